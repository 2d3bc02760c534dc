//! What has to pass before a change lands: named steps, timed, in the order of how soon they fail.

use crate::{doc, metadata, shell, tidy};
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::time::{Duration, Instant};

/// Options of `ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The steps to run, in their usual order; all of them if none is named.
    #[arg(value_enum)]
    steps: Vec<Step>,
    /// Run the remaining steps after a failure.
    #[arg(long)]
    keep_going: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting (cargo fmt --check).
    Fmt,
    /// The rules of `cargo xtask tidy`.
    Tidy,
    /// clippy on every target, warnings are errors.
    Clippy,
    /// Unit and integration tests.
    Test,
    /// The examples in the documentation.
    Doctests,
    /// Every program in examples/, in its quick mode.
    Examples,
    /// The documentation builds without warnings.
    Doc,
    /// The CUDA code type-checks, with a stand-in for the CUDA compiler (Linux on x86-64 only).
    Cuda,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Fmt => shell::run(&mut shell::cargo(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run(),
            Self::Clippy => {
                let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                shell::run(&mut shell::cargo(clippy))
            }
            Self::Test => {
                let test = ["test", "--workspace", "--lib", "--bins", "--tests", "--examples"];
                shell::run(&mut shell::cargo(test))
            }
            Self::Doctests => shell::run(&mut shell::cargo(["test", "--workspace", "--doc"])),
            Self::Examples => examples(),
            Self::Doc => doc::build(&[("RUSTDOCFLAGS", "-D warnings".as_ref())]),
            Self::Cuda => cuda(),
        }
    }
}

fn examples() -> Result<()> {
    let binaries = metadata::package("examples")?.binaries();
    if binaries.is_empty() {
        bail!("examples/ has no programs");
    }
    // One build for all of them, then the runs.
    shell::run(&mut shell::cargo(["build", "-p", "examples", "--bins"]))?;
    for name in binaries {
        let arguments = ["run", "--quiet", "-p", "examples", "--bin", &name, "--", "--quick"];
        shell::run(&mut shell::cargo(arguments))?;
    }
    Ok(())
}

fn cuda() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("skipped: tools/cuda-toolchain.sh is for Linux on x86-64");
        return Ok(());
    }
    let tools = shell::target().join("cuda-toolchain");
    let mut setup = shell::program("bash", ["tools/cuda-toolchain.sh"]);
    let exports = shell::output(setup.arg(&tools).arg("--check"))?;
    let with_cuda: Vec<_> = metadata::workspace()?
        .packages
        .into_iter()
        .filter(|p| p.features.contains_key("cuda"))
        .map(|p| p.name)
        .collect();
    if with_cuda.is_empty() {
        bail!("no package has the feature cuda");
    }
    let mut check = shell::cargo(["check"]);
    for name in &with_cuda {
        check.args(["-p", name, "--features", &format!("{name}/cuda")]);
    }
    shell::run(check.envs(exported(&exports)))
}

/// The variables of lines `export NAME=VALUE NAME=VALUE …`, with plain values and the backslashes of bash's %q.
fn exported(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("export "))
        .flat_map(str::split_whitespace)
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace('\\', "")))
        .collect()
}

struct Outcome {
    name: String,
    time: Duration,
    failure: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let chosen = |s: &Step| arguments.steps.is_empty() || arguments.steps.contains(s);
    let mut outcomes = Vec::new();
    for step in Step::value_variants().iter().copied().filter(chosen) {
        println!("\n=== {} ===", step.name());
        let start = Instant::now();
        let failure = step.run().err().map(|e| format!("{e:#}"));
        if let Some(message) = &failure {
            eprintln!("error: {message}");
        }
        let failed = failure.is_some();
        outcomes.push(Outcome { name: step.name(), time: start.elapsed(), failure });
        if failed && !arguments.keep_going {
            break;
        }
    }
    println!("\n{}", summary(&outcomes));
    let failed: Vec<_> =
        outcomes.iter().filter(|o| o.failure.is_some()).map(|o| o.name.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn summary(outcomes: &[Outcome]) -> String {
    let width = outcomes.iter().map(|o| o.name.len()).max().unwrap_or(0).max(5);
    let mut text = String::new();
    for outcome in outcomes {
        let result = if outcome.failure.is_none() { "ok" } else { "FAILED" };
        let seconds = outcome.time.as_secs_f64();
        text.push_str(&format!("{:<width$}  {seconds:>8.1} s  {result}\n", outcome.name));
    }
    let total: f64 = outcomes.iter().map(|o| o.time.as_secs_f64()).sum();
    text.push_str(&format!("{:<width$}  {total:>8.1} s", "total"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_aligned_and_shows_failures() {
        let outcome = |name: &str, seconds, failure: Option<&str>| Outcome {
            name: name.into(),
            time: Duration::from_secs_f64(seconds),
            failure: failure.map(str::to_owned),
        };
        let text = summary(&[outcome("fmt", 0.5, None), outcome("doctests", 61.25, Some("no"))]);
        let want = "\
fmt            0.5 s  ok
doctests      61.2 s  FAILED
total         61.8 s";
        assert_eq!(text, want);
    }

    #[test]
    fn exports_are_read() {
        let text = "export CUDA_HOME=/a/b\\ c NVCC=/n\n# a comment\n";
        // A value with a blank is cut; the build folder has none, or bash could not have passed it on either.
        assert_eq!(exported(text)[1..], [("NVCC".to_owned(), "/n".to_owned())]);
    }

    #[test]
    fn steps_have_the_names_of_the_command_line() {
        let names: Vec<_> = Step::value_variants().iter().map(|s| s.name()).collect();
        let want = ["fmt", "tidy", "clippy", "test", "doctests", "examples", "doc", "cuda"];
        assert_eq!(names, want);
    }
}
