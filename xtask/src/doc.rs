//! The documentation of the crates, with `$…$` and `$$…$$` rendered by a KaTeX that lies beside the pages.

use crate::{data, shell, tidy};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Options of `doc`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Show the pages in the browser.
    #[arg(long)]
    open: bool,
}

const PACKAGE: &str = "katex@0.16.22";
const ARCHIVE: &str = "katex-0.16.22.tgz";
const SHA256: &str = "e9e0d167db3175481cbadaff38e8d90b130f6a3ddb451a47e43c577fd511f365";

/// Goes into the head of every page. rustdoc names the way to the root of the pages in its own meta element.
const HEADER: &str = r#"<script>
addEventListener("DOMContentLoaded", () => {
  const vars = document.querySelector('meta[name="rustdoc-vars"]');
  const base = (vars ? vars.dataset.rootPath : "./") + "katex/";
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = base + "katex.min.css";
  document.head.append(style);
  const load = (name, then) => {
    const script = document.createElement("script");
    script.src = base + name;
    script.onload = then;
    document.head.append(script);
  };
  load("katex.min.js", () => load("auto-render.min.js", () => {
    for (const block of document.querySelectorAll(".docblock")) {
      renderMathInElement(block, {
        delimiters: [{ left: "$$", right: "$$", display: true }, { left: "$", right: "$", display: false }],
        throwOnError: false,
      });
    }
  }));
});
</script>
"#;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let katex = match katex() {
        Ok(folder) => Some(folder),
        Err(reason) => {
            println!("formulas stay as text: {reason:#}");
            None
        }
    };
    if katex.is_some() {
        let header = shell::target().join("katex-header.html");
        fs::write(&header, HEADER).with_context(|| format!("cannot write {}", header.display()))?;
        // The encoded form separates arguments by 0x1f, so that a path may have blanks.
        let flags = format!("--html-in-header\u{1f}{}", header.display());
        build(&[("CARGO_ENCODED_RUSTDOCFLAGS", flags.as_ref())])?;
    } else {
        build(&[])?;
    }
    let pages = shell::target().join("doc");
    if let Some(katex) = katex {
        copy(&katex, &pages.join("katex"))?;
    }
    let first = pages.join("pullback_core_graph").join("index.html");
    println!("{}", first.display());
    if arguments.open {
        let opener = if cfg!(target_os = "macos") {
            "open"
        } else if cfg!(windows) {
            "explorer"
        } else {
            "xdg-open"
        };
        shell::run(shell::program::<&str>(opener, []).arg(&first))?;
    }
    Ok(())
}

/// The pages of the crates, without those of the tools.
pub(crate) fn build(variables: &[(&str, &OsStr)]) -> Result<()> {
    let mut cargo = shell::cargo(["doc", "--workspace", "--no-deps"]);
    for tool in tidy::TOOLS {
        cargo.args(["--exclude", tool]);
    }
    shell::run(cargo.envs(variables.iter().copied()))
}

/// A folder with the script, the style and the fonts; fetched once.
fn katex() -> Result<PathBuf> {
    let folder = shell::target().join("katex");
    let ready = folder.join("ready");
    // The mark holds the sum: a newer pin fetches again.
    if fs::read_to_string(&ready).is_ok_and(|sum| sum == SHA256) {
        return Ok(folder);
    }
    if !shell::is_present("npm") {
        bail!("npm is not here to fetch {PACKAGE}");
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let fetched = shell::target().join("katex-package");
    fs::create_dir_all(&fetched).with_context(|| format!("cannot make {}", fetched.display()))?;
    let mut pack = shell::program("npm", ["pack", "--silent", PACKAGE, "--pack-destination"]);
    shell::output(pack.arg(&fetched)).with_context(|| format!("cannot fetch {PACKAGE}"))?;
    data::verify(&fetched.join(ARCHIVE), SHA256)?;
    let mut unpack = shell::program("tar", ["-xzf", ARCHIVE]);
    shell::output(unpack.current_dir(&fetched))?;
    let dist = fetched.join("package").join("dist");
    for file in ["katex.min.js", "katex.min.css", "contrib/auto-render.min.js"] {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::create_dir_all(&folder)?;
        fs::copy(dist.join(file), folder.join(name))
            .with_context(|| format!("{ARCHIVE} has no {file}"))?;
    }
    fs::create_dir_all(folder.join("fonts"))?;
    for entry in fs::read_dir(dist.join("fonts"))? {
        let path = entry?.path();
        // Every browser that runs the script reads woff2; the style names it first.
        if path.extension().is_some_and(|e| e == "woff2") {
            fs::copy(&path, folder.join("fonts").join(path.file_name().unwrap_or_default()))?;
        }
    }
    fs::write(&ready, SHA256)?;
    fs::remove_dir_all(&fetched)?;
    Ok(folder)
}

/// Copies a folder and the folders in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut open = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((source, target)) = open.pop() {
        fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            let there = target.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push((entry.path(), there));
            } else {
                fs::copy(entry.path(), &there)
                    .with_context(|| format!("cannot write {}", there.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_loads_nothing_from_the_network() {
        assert!(!HEADER.contains("//"), "a comment or an address in the header");
        assert!(HEADER.contains("rootPath") && HEADER.contains("renderMathInElement"));
    }

    #[test]
    fn folders_copy_whole() -> Result<()> {
        let base = std::env::temp_dir().join(format!("pullback-copy-{}", std::process::id()));
        fs::create_dir_all(base.join("a/fonts"))?;
        fs::write(base.join("a/x"), "1")?;
        fs::write(base.join("a/fonts/y"), "2")?;
        copy(&base.join("a"), &base.join("b"))?;
        let found = fs::read_to_string(base.join("b/fonts/y"))?;
        fs::remove_dir_all(&base)?;
        assert_eq!(found, "2");
        Ok(())
    }
}
