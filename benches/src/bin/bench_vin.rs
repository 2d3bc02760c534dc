//! `cargo xtask bench vin`: a training step of the VIN against PyTorch and against candle's operations, its tape; sweeps over grids and sparse processes
//! against mdpsolver; an exact plan with its adjoint beside SciPy's Dijkstra.
//!
//! Each comparison first compares all numbers that both sides compute; the row that says so stands before the times.

#[path = "../../../crates/vin/tests/common/mod.rs"]
mod common;
#[path = "bench_vin/network.rs"]
mod network;
#[path = "bench_vin/tabular.rs"]
mod tabular;

use anyhow::Result;
use benches::bench::Bench;
use benches::output::Options;
use clap::Parser;

fn main() -> Result<()> {
    let mut bench = Bench::start(&Options::parse(), 2, 7, 0.3)?;
    network::all(&mut bench)?;
    tabular::all(&mut bench)?;
    bench.output.finish()?;
    Ok(())
}
