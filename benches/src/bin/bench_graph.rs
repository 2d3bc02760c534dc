//! `cargo xtask bench graph`: tapes against CasADi, generated C, JAX, PyTorch and other Rust crates.
//!
//! Each comparison first compares all numbers that both sides compute; the row that says so stands before the times.

#[path = "../../../crates/graph/tests/common/arm.rs"]
mod arm;
#[path = "bench_graph/data.rs"]
mod data;
#[path = "bench_graph/generated.rs"]
mod generated;
#[path = "bench_graph/gradbench.rs"]
mod gradbench;
#[path = "bench_graph/objectives.rs"]
mod objectives;
#[path = "bench_graph/ratios.rs"]
mod ratios;
#[path = "bench_graph/robot.rs"]
mod robot;
#[path = "bench_graph/rust_peers.rs"]
mod rust_peers;
#[path = "bench_graph/tapes.rs"]
mod tapes;

use anyhow::{Result, ensure};
use benches::output::{Options, Output};
use benches::peer::Peer;
use benches::row::Row;
use benches::timing::{SideBySide, median, repetitions_for, seconds_per_repetition, side_by_side};
use clap::Parser;
use serde_json::Value;

/// Where ours and a peer's numbers may differ, relative to the larger of 1 and the numbers.
const AGREEMENT: f64 = 1e-8;

struct Bench {
    output: Output,
    /// A server for one core, and one for two.
    peers: Option<[Peer; 2]>,
    rounds: usize,
    seconds: f64,
    quick: bool,
}

/// What a row says and is held to.
struct Figure<'a> {
    name: &'a str,
    unit: &'a str,
    /// Units per second of one repetition.
    per: f64,
    limit: Option<f64>,
}

/// A case in a peer server.
struct Rival {
    case: &'static str,
    parameters: Value,
    /// What the table calls it beside its version.
    note: &'static str,
    threads: usize,
    /// Its repetitions per one of ours.
    share: f64,
}

impl Rival {
    fn new(case: &'static str, parameters: Value, note: &'static str, threads: usize) -> Self {
        Rival { case, parameters, note, threads, share: 1.0 }
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let (rounds, seconds) = if options.quick { (3, 0.01) } else { (9, 0.2) };
    let peers = match (Peer::start(1)?, Peer::start(2)?) {
        (Some(one), Some(two)) => Some([one, two]),
        _ => None,
    };
    let output = Output::new(&options)?;
    let mut bench = Bench { output, peers, rounds, seconds, quick: options.quick };
    robot::arm(&mut bench)?;
    generated::arm(&mut bench)?;
    robot::path(&mut bench)?;
    ratios::all(&mut bench)?;
    gradbench::all(&mut bench)?;
    rust_peers::all(&mut bench)?;
    bench.output.finish()?;
    Ok(())
}

/// The largest |a − b|/max(1, |a|, |b|); NaN where one is NaN.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    let each = a.iter().zip(b).map(|(a, b)| (a - b).abs() / 1f64.max(a.abs()).max(b.abs()));
    each.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}

impl Bench {
    /// Ours against the fastest of `rivals`, in turns with each of them; `values` are our numbers, for the agreement.
    fn against(
        &mut self,
        figure: &Figure<'_>,
        rivals: Vec<Rival>,
        values: &[f64],
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut best: Option<(SideBySide, f64, String)> = None;
        for rival in rivals {
            let Some(peers) = &mut self.peers else { break };
            let peer = &mut peers[usize::from(rival.threads > 1)];
            let case = peer.load(rival.case, rival.parameters)?;
            peer.run(&case, 1)?;
            let theirs = peer.values(&case)?;
            let (count, name) = (theirs.len(), &case.system);
            let system = [name, rival.note].join(" ").trim_end().to_owned();
            // A rival that does many samples at a time is compared on those that we did.
            let same = values.len() == count || rival.share < 1.0 && values.len() < count;
            ensure!(same, "{}: {} numbers of ours, {count} of {system}", figure.name, values.len());
            let apart = difference(values, &theirs);
            let (who, _) = rival.case.split_once('/').unwrap_or((rival.case, ""));
            let who = [who, rival.note].join(" ").trim_end().to_owned();
            let row = Row::new(format!("{}: numbers apart, {who}", figure.name), "relative", apart);
            let row = Row { peer: Some(system.clone()), ..row };
            self.output.push(row.at_most(AGREEMENT))?;
            let t = side_by_side(self.rounds, self.seconds, &mut work, Some((peer, &case)))?;
            let Some(time) = t.peer.map(|time| time * rival.share) else { continue };
            if best.as_ref().is_none_or(|(_, least, _)| time < *least) {
                let spread = t.spread.map(|s| s.map(|ratio| ratio / rival.share));
                best = Some((SideBySide { spread, ..t }, time, system));
            }
        }
        let row = match best {
            Some((t, time, system)) => {
                self.row(figure, t.ours).against(system, time * figure.per).spread(t.spread)
            }
            None => {
                let ours = self.time(&mut work)?;
                self.row(figure, ours)
            }
        };
        self.output.push(match figure.limit {
            Some(limit) => row.ratio_at_most(limit),
            None => row,
        })
    }

    fn row(&self, figure: &Figure<'_>, seconds: f64) -> Row {
        Row::new(figure.name, figure.unit, seconds * figure.per)
    }

    /// Median seconds of our own work.
    fn time(&self, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
        let repetitions = repetitions_for(self.seconds, &mut work)?;
        let round = |_| seconds_per_repetition(repetitions, &mut work);
        Ok(median((0..self.rounds).map(round).collect::<Result<_>>()?))
    }

    /// Two pieces of our own process in turns; medians in seconds.
    fn in_turns(
        &self,
        mut a: impl FnMut() -> Result<()>,
        mut b: impl FnMut() -> Result<()>,
    ) -> Result<(f64, f64)> {
        let (n_a, n_b) =
            (repetitions_for(self.seconds, &mut a)?, repetitions_for(self.seconds, &mut b)?);
        let (mut t_a, mut t_b) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            t_a.push(seconds_per_repetition(n_a, &mut a)?);
            t_b.push(seconds_per_repetition(n_b, &mut b)?);
        }
        Ok((median(t_a), median(t_b)))
    }

    /// A count, without peer or goal.
    fn count(&mut self, name: &str, unit: &str, value: usize) -> Result<()> {
        self.output.push(Row::new(name, unit, value as f64))
    }
}
