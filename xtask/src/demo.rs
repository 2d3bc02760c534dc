//! The main job: a release build of the robot's program, with the user's flags.

use crate::shell;
use anyhow::{Context, Result};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the program: --quick, --seed N, --resume, --objects DIR, --out DIR, --preset NAME, --robot NAME (all of them:
    /// `demo -- --help`).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // Ctrl-C reaches the demo too, which saves its state and says how to resume: wait for it instead of leaving first.
    ctrlc::set_handler(|| {}).context("cannot handle Ctrl-C")?;
    let fixed =
        ["run", "--release", "-p", "pullback-tossingbot", "--bin", "tossingbot", "--", "demo"];
    shell::run(shell::cargo(fixed).args(&arguments.rest))
}
