//! `cargo xtask bench diffopt`: dense batches of quadratic programs, forward and with gradients, against moreau, proxsuite, qpth and cvxpylayers; tiny
//! programs; sparse and cone programs against clarabel, moreau and diffcp.
//!
//! Each comparison first compares all numbers that both sides compute; the row that says so stands before the times.

#[path = "../../../crates/diffopt/tests/common/mod.rs"]
mod common;
#[path = "bench_diffopt/dense.rs"]
mod dense;
#[path = "bench_diffopt/sparse.rs"]
mod sparse;

use anyhow::Result;
use benches::bench::Bench;
use benches::output::Options;
use clap::Parser;

fn main() -> Result<()> {
    let mut bench = Bench::start(&Options::parse(), 2, 7, 0.3)?;
    dense::all(&mut bench)?;
    sparse::all(&mut bench)?;
    bench.output.finish()?;
    Ok(())
}
