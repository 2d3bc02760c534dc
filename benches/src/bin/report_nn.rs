//! `cargo xtask report nn`: how exact layers and optimizers are, and how training behaves.
//!
//! The modules under crates/nn/tests/common are shared with the tests, so that a figure here and a passing test are the same fact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the shared test files fail by panics

#[path = "../../../crates/nn/tests/common"]
mod common {
    #![allow(dead_code)] // the tests use the rest
    #[path = "mod.rs"]
    mod all;
    pub(crate) use all::values;
}
#[path = "../../../examples/src/bin/07_digits/digits.rs"]
#[allow(dead_code)] // the example uses the rest
mod digits;
#[path = "../../../crates/nn/tests/common/files.rs"]
mod files;
#[path = "../../../crates/nn/tests/common/folder.rs"]
mod folder;
#[path = "report_nn/layers.rs"]
mod layers;
#[path = "report_nn/optimizers.rs"]
mod optimizers;
#[path = "../../../crates/nn/tests/common/runs.rs"]
mod runs;
#[path = "report_nn/training.rs"]
mod training;

use anyhow::Result;
use benches::output::{Options, Output, explain};
use clap::Parser;

fn main() -> Result<()> {
    // This program is also the one that is killed.
    if let Some(folder) = std::env::var_os(training::CHILD) {
        runs::child(folder.as_ref());
        return Ok(());
    }
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    layers::report(&mut output)?;
    optimizers::rows(&mut output)?;
    training::rows(&mut output, options.quick)?;
    output.finish()?;
    Ok(())
}
