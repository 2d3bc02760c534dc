//! `cargo xtask report diffopt`: how exact solutions and derivatives are, and what degenerate and bad problems do.
//!
//! The modules under crates/diffopt/tests/common are shared with the tests, so that a figure here and a passing test are the same fact.

#[path = "../../../crates/diffopt/tests/common/mod.rs"]
mod common;
#[path = "report_diffopt/conic.rs"]
mod conic;
#[path = "report_diffopt/degenerate.rs"]
mod degenerate;
#[path = "report_diffopt/peers.rs"]
mod peers;
#[path = "report_diffopt/quadratic.rs"]
mod quadratic;

use anyhow::Result;
use benches::output::{Options, Output};
use clap::Parser;

fn main() -> Result<()> {
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    quadratic::rows(&mut output, options.quick)?;
    peers::rows(&mut output)?;
    conic::rows(&mut output, options.quick)?;
    degenerate::rows(&mut output, options.quick)?;
    output.finish()?;
    Ok(())
}

/// The larger one; NaN if either is.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
