//! `cargo xtask bench nn`: convolutions, forward and with gradients, against PyTorch and candle, and the share of the
//! machine's matrix product that they reach.

#[path = "bench_nn/convolution.rs"]
mod convolution;

use anyhow::Result;
use benches::output::{Options, Output};
use benches::peer::Peer;
use benches::row::Row;
use benches::timing::{repetitions_for, seconds_per_repetition, side_by_side};
use clap::Parser;
use convolution::{Convolution, Phase, ceiling, convolutions};

struct Bench {
    output: Output,
    peer: Option<Peer>,
    rounds: usize,
    seconds: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let (rounds, seconds) = if options.quick { (3, 0.02) } else { (9, 0.2) };
    let mut bench =
        Bench { output: Output::new(&options)?, peer: Peer::start(2)?, rounds, seconds };
    let work = ceiling()?;
    let mut best = f64::INFINITY;
    for _ in 0..if options.quick { 5 } else { 40 } {
        best = best.min(seconds_per_repetition(1, || work.run())?);
    }
    let ceiling = work.flops / best * 1e-9;
    bench.output.push(Row::new("f32 matrix product, 1024³, best of 40", "GFLOP/s", ceiling))?;
    for case in convolutions() {
        bench.convolution(&case, ceiling)?;
    }
    bench.output.finish()?;
    Ok(())
}

impl Bench {
    fn convolution(&mut self, case: &Convolution, ceiling: f64) -> Result<()> {
        for phase in [Phase::Forward, Phase::Both] {
            let name = format!("{}, {}", case.name(), phase.name());
            let ours = case.ours()?;
            let mut fastest = f64::INFINITY;
            if let Some(peer) = &mut self.peer {
                let loaded = peer.load("torch/nn_convolution", case.parameters(phase))?;
                let t = side_by_side(
                    self.rounds,
                    self.seconds,
                    || ours.run(phase),
                    Some((peer, &loaded)),
                )?;
                fastest = fastest.min(t.ours);
                let row = Row::new(&name, "ms", t.ours * 1e3);
                self.output.push(match t.peer {
                    Some(theirs) => row.against(loaded.system, theirs * 1e3).ratio_at_most(0.8),
                    None => row,
                })?;
            }
            let candle = case.candle()?;
            let repetitions = repetitions_for(self.seconds, || ours.run(phase))?;
            let theirs = repetitions_for(self.seconds, || candle.run(phase))?;
            let (mut a, mut b) = (Vec::new(), Vec::new());
            // Candle takes up to 20 times as long, so a third of the rounds must do.
            for _ in 0..self.rounds.div_ceil(3) {
                a.push(seconds_per_repetition(repetitions, || ours.run(phase))?);
                b.push(seconds_per_repetition(theirs, || candle.run(phase))?);
            }
            let (a, b) = (benches::timing::median(a), benches::timing::median(b));
            let row = Row::new(&name, "ms", a * 1e3).against("candle 0.11", b * 1e3);
            self.output.push(row.ratio_at_most(0.5))?;
            fastest = fastest.min(a);
            // Winograd's method multiplies less than the count says, so that it can exceed 1.
            let share = case.flops(phase) / fastest * 1e-9 / ceiling;
            let name = format!("{name}: direct method's operations per second over the product's");
            self.output.push(Row::new(name, "ratio", share))?;
        }
        Ok(())
    }
}
