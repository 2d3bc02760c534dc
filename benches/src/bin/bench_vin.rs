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
use benches::output::{Options, Output};
use benches::peer::Peer;
use benches::row::Row;
use benches::timing::{median, repetitions_for, seconds_per_repetition, side_by_side};
use clap::Parser;
use serde_json::Value;

struct Bench {
    output: Output,
    peer: Option<Peer>,
    rounds: usize,
    seconds: f64,
    quick: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let (rounds, seconds) = if options.quick { (3, 0.02) } else { (7, 0.3) };
    let (output, peer) = (Output::new(&options)?, Peer::start(2)?);
    let mut bench = Bench { output, peer, rounds, seconds, quick: options.quick };
    network::all(&mut bench)?;
    tabular::all(&mut bench)?;
    bench.output.finish()?;
    Ok(())
}

impl Bench {
    /// Median seconds of our own work.
    fn time(&self, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
        let repetitions = repetitions_for(self.seconds, &mut work)?;
        let round = |_| seconds_per_repetition(repetitions, &mut work);
        Ok(median((0..self.rounds).map(round).collect::<Result<_>>()?))
    }

    /// Ours and one peer's in turns, in milliseconds, after a row that says how far the numbers are apart.
    fn against(
        &mut self,
        name: &str,
        (case, parameters): (&str, Value),
        limit: Option<f64>,
        values: &[f64],
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let loaded = match peer.load(case, parameters) {
            Ok(loaded) => loaded,
            Err(error) => {
                // A peer that is not installed is said, and its rows are left open.
                let row = Row::new(
                    format!("{name}: no peer, {error}"),
                    "ms",
                    self.time(&mut work)? * 1e3,
                );
                return self.output.push(row);
            }
        };
        peer.run(&loaded, 1)?;
        let theirs = peer.values(&loaded)?;
        let apart =
            if theirs.len() == values.len() { common::apart(values, &theirs) } else { f64::NAN };
        let row =
            Row::new(format!("{name}: numbers apart from {}", loaded.system), "relative", apart);
        self.output.push(row)?;
        let t = side_by_side(self.rounds, self.seconds, &mut work, Some((peer, &loaded)))?;
        let row = Row::new(format!("{name}, against {}", loaded.system), "ms", t.ours * 1e3);
        let row = row.spread(t.spread);
        self.output.push(match (t.peer, limit) {
            (Some(theirs), Some(limit)) => {
                row.against(loaded.system, theirs * 1e3).ratio_at_most(limit)
            }
            (Some(theirs), None) => row.against(loaded.system, theirs * 1e3),
            _ => row,
        })
    }
}
