//! Running other programs: always from the workspace's root, always said, never through a shell.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The build folder: CARGO_TARGET_DIR if set, else target/.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// `program arguments…`, to run in the root.
pub(crate) fn program<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The cargo that started us.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// The user's Python: the variable PYTHON, else python3.
pub(crate) fn python<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    program(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()), arguments)
}

/// Whether a program is there and answers `--version`.
pub(crate) fn is_present(name: &str) -> bool {
    let mut probe = program(name, ["--version"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// The command as one line, the way a user would type it.
pub(crate) fn line(command: &Command) -> String {
    let name = Path::new(command.get_program());
    let name = name.file_stem().unwrap_or(name.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|a| {
        let text = a.to_string_lossy();
        if text.contains(char::is_whitespace) { format!("'{text}'") } else { text.into_owned() }
    });
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Runs with the user's terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = line(command);
    eprintln!("$ {text}");
    let status = command.status().with_context(|| format!("cannot start `{text}`"))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => bail!("`{text}` ended with exit code {code}"),
        None => bail!("`{text}` was killed by a signal"),
    }
}

/// Runs in silence and gives standard output; standard error goes into the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let text = line(command);
    let output = command.output().with_context(|| format!("cannot start `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{text}` printed no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("xtask").join("Cargo.toml").is_file());
    }

    #[test]
    fn lines_read_as_typed() {
        let command = program("/usr/bin/python3", ["-m", "pip", "a b"]);
        assert_eq!(line(&command), "python3 -m pip 'a b'");
    }

    #[test]
    fn failures_name_the_command() {
        let missing = run(&mut program("no-such-program", ["x"])).err();
        assert!(missing.is_some_and(|e| format!("{e:#}").contains("`no-such-program x`")));
        let failing = output(&mut cargo(["no-such-subcommand"])).err();
        assert!(failing.is_some_and(|e| format!("{e:#}").contains("no-such-subcommand")));
        assert!(!is_present("no-such-program"));
    }
}
