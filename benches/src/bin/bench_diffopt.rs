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
    dense::all(&mut bench)?;
    sparse::all(&mut bench)?;
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
        limit: impl Into<Option<f64>>,
        values: &[f64],
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let loaded = peer.load(case, parameters)?;
        peer.run(&loaded, 1)?;
        let theirs = peer.values(&loaded)?;
        let apart = if theirs.len() == values.len() {
            common::problems::apart(values, &theirs)
        } else {
            f64::NAN
        };
        let row =
            Row::new(format!("{name}: numbers apart from {}", loaded.system), "relative", apart);
        self.output.push(row)?;
        let t = side_by_side(self.rounds, self.seconds, &mut work, Some((peer, &loaded)))?;
        let name = format!("{name}, against {}", loaded.system);
        let row = Row::new(name, "ms", t.ours * 1e3).spread(t.spread);
        self.output.push(match t.peer {
            Some(theirs) => {
                let row = row.against(loaded.system, theirs * 1e3);
                limit.into().map_or(row.clone(), |limit| row.ratio_at_most(limit))
            }
            None => row,
        })
    }
}
