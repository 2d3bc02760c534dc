//! `cargo xtask report vin`: exact values, derivatives by every way, real maps, filters, and what a network learns.
//!
//! The modules under crates/vin/tests/common are shared with the tests, so that a figure here and a passing test are the same fact.

#[path = "../../../crates/vin/tests/common/mod.rs"]
mod common;
#[path = "report_vin/large.rs"]
mod large;
#[path = "report_vin/learned.rs"]
mod learned;
#[path = "report_vin/maps.rs"]
mod maps;
#[path = "report_vin/pictures.rs"]
mod pictures;
#[path = "report_vin/planning.rs"]
mod planning;
#[path = "report_vin/trainings.rs"]
mod trainings;

use anyhow::Result;
use benches::output::{Options, Output};
use clap::Parser;

fn main() -> Result<()> {
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    planning::rows(&mut output)?;
    maps::rows(&mut output, options.quick)?;
    large::rows(&mut output, options.quick)?;
    learned::rows(&mut output, options.quick)?;
    trainings::rows(&mut output, &options)?;
    output.finish()?;
    Ok(())
}
