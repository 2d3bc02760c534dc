//! `cargo xtask report graph`: how exact tapes are and how they behave, from the very tables that the tests of graph read.
//!
//! The modules under crates/graph/tests/common are shared with the tests, so that a figure here and a passing test are the same fact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the shared test files fail by panics

#[path = "../../../crates/graph/tests/common"]
mod common {
    #![allow(dead_code)] // the tests use the rest
    pub(crate) mod arm;
    pub(crate) mod bad_numbers;
    pub(crate) mod bad_tapes;
    pub(crate) mod dags;
    pub(crate) mod duals;
    pub(crate) mod elementary;
    pub(crate) mod fuzz_tape;
    pub(crate) mod instructions;
    pub(crate) mod kinks;
    pub(crate) mod landscapes;
    pub(crate) mod long_tapes;
    #[cfg(target_os = "linux")]
    pub(crate) mod memory;
    pub(crate) mod networks;
    pub(crate) mod nodes;
    pub(crate) mod reasons;
    pub(crate) mod second_kinks;
    pub(crate) mod splits;
    pub(crate) mod threads;
    pub(crate) mod worst;
}
#[path = "report_graph/landscapes.rs"]
mod landscapes;
#[path = "report_graph/nodes.rs"]
mod nodes;
#[path = "report_graph/reference.rs"]
mod reference;
#[path = "report_graph/robustness.rs"]
mod robustness;
#[path = "report_graph/scans.rs"]
mod scans;
#[path = "report_graph/sparsity.rs"]
mod sparsity;

use anyhow::Result;
use benches::output::{Options, Output, explain};
use clap::Parser;

fn main() -> Result<()> {
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    #[cfg(target_os = "linux")]
    scans::memory(&mut output)?;
    reference::elementary(&mut output)?;
    reference::instructions(&mut output)?;
    reference::networks(&mut output)?;
    reference::duals(&mut output)?;
    reference::conventions(&mut output)?;
    sparsity::colours(&mut output)?;
    scans::revolve(&mut output)?;
    scans::gradients(&mut output)?;
    nodes::written_out(&mut output)?;
    landscapes::known(&mut output)?;
    robustness::determinism(&mut output)?;
    robustness::bad_inputs(&mut output)?;
    robustness::depth(&mut output, options.quick)?;
    robustness::damaged_tapes(&mut output, options.quick)?;
    output.finish()?;
    Ok(())
}
