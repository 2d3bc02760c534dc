//! `cargo xtask bench core-graph`: what a node costs, and gradients against candle, PyTorch and JAX.

#[path = "bench_core_graph/cases.rs"]
mod cases;

use anyhow::Result;
use benches::output::{Options, Output};
use benches::peer::Peer;
use benches::row::Row;
use benches::timing::{repetitions_for, seconds_per_repetition, side_by_side};
use cases::{Chain, CholeskySolve, Mlp};
use clap::Parser;
use serde_json::{Value, json};

/// Operations of the scalar chain.
const CHAIN: usize = 1000;

struct Bench {
    output: Output,
    peer: Option<Peer>,
    rounds: usize,
    seconds: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let (rounds, seconds) = if options.quick { (3, 0.02) } else { (9, 0.3) };
    let mut bench =
        Bench { output: Output::new(&options)?, peer: Peer::start(2)?, rounds, seconds };
    bench.recording()?;
    bench.pulling()?;
    bench.mlp()?;
    for n in [6, 32] {
        bench.cholesky(n)?;
    }
    bench.output.finish()?;
    Ok(())
}

impl Bench {
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
        Ok((benches::timing::median(t_a), benches::timing::median(t_b)))
    }

    /// One row against a system in the peer server, if it runs.
    fn against(
        &mut self,
        name: &str,
        (unit, per): (&str, f64),
        case: &str,
        parameters: Value,
        limit: Option<f64>,
        work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let loaded = peer.load(case, parameters)?;
        let t = side_by_side(self.rounds, self.seconds, work, Some((peer, &loaded)))?;
        let system = case.split('/').next().unwrap_or(case);
        let row = Row::new(format!("{name}, against {system}"), unit, t.ours * per);
        let row = match t.peer {
            Some(theirs) => {
                let row = row.against(loaded.system, theirs * per).spread(t.spread);
                match limit {
                    Some(limit) => row.ratio_at_most(limit),
                    None => row,
                }
            }
            None => row,
        };
        self.output.push(row)
    }

    fn recording(&mut self) -> Result<()> {
        let chain = Chain::new(CHAIN)?;
        let per = 1e6 / CHAIN as f64;
        let (bare, ours) = self.in_turns(|| chain.bare(), || chain.record(true).map(drop))?;
        let overhead = Row::new(
            "recording overhead per node over the bare candle operation",
            "µs",
            (ours - bare) * per,
        );
        self.output.push(overhead.at_most(0.4))?;
        self.output.push(
            Row::new("recording, per node, against bare operations", "µs", ours * per)
                .against("candle, nothing recorded", bare * per),
        )?;
        let (tracked, ours) =
            self.in_turns(|| chain.tracked().map(drop), || chain.record(true).map(drop))?;
        self.output.push(
            Row::new("recording, per node, against candle's tape", "µs", ours * per)
                .against("candle, on its tape", tracked * per),
        )?;
        let (unchecked, checked) =
            self.in_turns(|| chain.record(false).map(drop), || chain.record(true).map(drop))?;
        let cost = Row::new(
            "finite check, share of recording scalars",
            "%",
            (checked / unchecked - 1.0) * 100.0,
        );
        self.output.push(cost)?;
        let mlp = Mlp::new()?;
        let (unchecked, checked) = self.in_turns(|| mlp.ours(false), || mlp.ours(true))?;
        let cost = Row::new(
            "finite check, share of an MLP gradient",
            "%",
            (checked / unchecked - 1.0) * 100.0,
        );
        self.output.push(cost)
    }

    fn pulling(&mut self) -> Result<()> {
        let chain = Chain::new(CHAIN)?;
        let per = 1e6 / CHAIN as f64;
        let (graph, x, y) = chain.recorded(true)?;
        let tape = chain.tracked()?;
        let pull = || graph.gradient(graph.var(y)?, &[graph.var(x)?]).map(drop).map_err(Into::into);
        let (theirs, ours) =
            self.in_turns(|| tape.backward().map(drop).map_err(Into::into), pull)?;
        let row = Row::new("pull, per scalar operation, against candle", "µs", ours * per);
        self.output.push(row.against("candle backward", theirs * per).ratio_at_most(0.5))?;
        let parameters = json!({"n": CHAIN, "phase": "backward"});
        self.against(
            "pull, per scalar operation",
            ("µs", per),
            "torch/core_graph_scalar_chain",
            parameters,
            Some(0.5),
            pull,
        )
    }

    fn mlp(&mut self) -> Result<()> {
        let mlp = Mlp::new()?;
        let name = "gradient of a 3-layer MLP, batch 256, f32";
        let (theirs, ours) = self.in_turns(|| mlp.candle(), || mlp.ours(true))?;
        let row = Row::new(format!("{name}, against candle"), "µs", ours * 1e6);
        self.output.push(row.against("candle", theirs * 1e6).ratio_at_most(1.0))?;
        // JAX compiles the whole program: shown, not a target.
        for (case, limit) in [("torch/core_graph_mlp", Some(1.0)), ("jax/core_graph_mlp", None)] {
            self.against(name, ("µs", 1e6), case, json!({}), limit, || mlp.ours(true))?;
        }
        Ok(())
    }

    fn cholesky(&mut self, n: usize) -> Result<()> {
        let solve = CholeskySolve::new(1024, n)?;
        let name = format!("Cholesky solve with gradient, 1024 × {n}×{n}, f64");
        if self.peer.is_none() {
            let repetitions = repetitions_for(self.seconds, || solve.ours())?;
            let each = seconds_per_repetition(repetitions, || solve.ours())?;
            return self.output.push(Row::new(name, "µs", each * 1e6));
        }
        for case in ["torch/core_graph_cholesky_solve", "jax/core_graph_cholesky_solve"] {
            let parameters = json!({"batch": 1024, "n": n});
            self.against(&name, ("µs", 1e6), case, parameters, Some(0.5), || solve.ours())?;
        }
        Ok(())
    }
}
