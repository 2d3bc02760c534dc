//! `cargo xtask bench nn`: convolutions, the parts between them, and whole training steps, against PyTorch and candle; the share of the
//! machine's matrix product that the convolutions reach; the memory of a step.

#[path = "../../candle/src/convolution.rs"]
mod candle_convolution;
#[path = "bench_nn/candle_model.rs"]
mod candle_model;
#[path = "bench_nn/convolution.rs"]
mod convolution;
#[path = "bench_nn/memory.rs"]
mod memory;
#[path = "bench_nn/model.rs"]
mod model;
#[path = "bench_nn/parts.rs"]
mod parts;

use anyhow::Result;
use benches::numbers;
use benches::output::{Options, Output, explain};
use benches::peer::{Case, Peer};
use benches::row::Row;
use benches::timing::{quartiles, quiet, repetitions_for, seconds_per_repetition, side_by_side};
use candle_core::{DType, Tensor};
use clap::Parser;
use convolution::{Convolution, Phase, ceiling, convolutions};
use model::Model;
use pullback_core_graph::tensor::to_f64;
use serde_json::Value;
use std::time::Duration;

/// By how much `f32` results may differ from PyTorch's, relative to the largest number of the same work.
const DIFFERENCE: f64 = 1e-5;

/// The share of a gradient's `f32` numbers that may differ by more than that: rectifiers and maxima have kinks, and an input within a
/// rounding of one can be on its other side.
const BEYOND: f64 = 1e-3;

/// What our convolutions may take of candle's time.
const CANDLE: f64 = 0.5;

/// So many times the rounds decide what the first ones leave open.
const MORE: usize = 3;

/// So long after one of these the next begins, so that they do not all lie in the same phase of the machine.
const PAUSE: Duration = Duration::from_secs(1);

/// Rounds of two works in turns.
struct Rounds {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Rounds {
    /// `count` rounds of a turn of each, and more if some of them are on one side of the limit of ours / theirs and some on the other.
    fn run(
        count: usize,
        limit: f64,
        pause: Duration,
        mut ours: impl FnMut() -> Result<f64>,
        mut theirs: impl FnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut rounds = Self { ours: Vec::new(), theirs: Vec::new() };
        for k in 0..MORE * count {
            if k >= count {
                if k == count && !rounds.undecided(limit) {
                    break;
                }
                std::thread::sleep(pause);
            }
            rounds.ours.push(ours()?);
            rounds.theirs.push(theirs()?);
        }
        Ok(rounds)
    }

    fn undecided(&self, limit: f64) -> bool {
        let met = |(a, b): (&f64, &f64)| a / b <= limit;
        let met = self.ours.iter().zip(&self.theirs).filter(|&pair| met(pair)).count();
        0 < met && met < self.ours.len()
    }

    /// A row, with the target if there is one.
    fn row(&self, name: &str, system: &str, limit: Option<f64>) -> Row {
        let row = Row::new(name, "ms", quiet(&self.ours) * 1e3);
        let row = row.spread(Some(quartiles(&self.ours, &self.theirs)));
        let row = row.against(system, quiet(&self.theirs) * 1e3);
        match limit {
            Some(limit) => row.ratio_at_most(limit),
            None => row,
        }
    }
}

struct Bench {
    options: Options,
    output: Output,
    peer: Option<Peer>,
    /// Started when it is first asked.
    candle: Option<Peer>,
    rounds: usize,
    seconds: f64,
    pause: Duration,
    /// The largest difference from the peer's numbers so far, relative to the largest number of the same work.
    difference: f64,
    compared: usize,
    /// The largest share so far of a gradient's `f32` numbers that differ by more than [`DIFFERENCE`].
    beyond: f64,
}

fn main() -> Result<()> {
    if let Some(size) = memory::asked() {
        return memory::report(size);
    }
    let options = Options::parse();
    let (rounds, seconds, pause) =
        if options.quick { (3, 0.02, Duration::ZERO) } else { (9, 0.2, PAUSE) };
    let (output, peer) = (Output::new(&options)?, Peer::start(2)?);
    let size = if options.quick { [45, 35] } else { [180, 140] };
    let times = if options.quick { 5 } else { 40 };
    let mut bench = Bench {
        options,
        output,
        peer,
        candle: None,
        rounds,
        seconds,
        pause,
        difference: 0.0,
        compared: 0,
        beyond: 0.0,
    };
    let ceiling =
        if bench.options.wants("matrix product") { bench.ceilings(times)? } else { f64::NAN };
    for case in convolutions() {
        bench.convolution(&case, ceiling)?;
    }
    bench.differences("convolutions")?;
    for part in parts::parts()? {
        if !bench.options.wants(&part.name) {
            continue;
        }
        let run = || part.run();
        let values = || Ok(Values { exact: part.run()?, rounded: None });
        bench.against_torch(&part.name, "nn_part", part.sizes.clone(), 1.0, run, values)?;
    }
    bench.differences("the parts")?;
    bench.model("TossingBot", || model::robot(size), 0.8)?;
    bench.memory(size)?;
    let sizes = [784, 1024, 1024, 10];
    if let Some((name, ours)) = bench.model("MLP", || model::perceptron(256, sizes), 1.0)? {
        bench.candle_perceptron(&name, ours, sizes)?;
    }
    bench.model("MLP", || model::perceptron(32, [64, 64, 64, 4]), 1.0)?;
    bench.model("GRU", || model::recurrent([32, 64, 64, 128]), 1.0)?;
    bench.model("attention", || model::attention([8, 256, 256, 8]), 1.0)?;
    let steps = bench.compared;
    bench.differences("gradients of the training steps, in f64")?;
    if steps > 0 {
        let name = format!("the same in f32: share that differs by more than {DIFFERENCE:e}");
        bench.output.push(Row::new(name, "ratio", bench.beyond).at_most(BEYOND))?;
    }
    bench.output.finish()?;
    Ok(())
}

/// At most 2¹⁶ numbers of all tensors in a row: every k-th, as `sampled` in benches/peers/common.py.
fn sampled(tensors: &[Tensor]) -> Result<Vec<f64>> {
    let all = tensors.iter().map(to_f64).collect::<pullback_core_graph::Result<Vec<_>>>()?.concat();
    Ok(all.iter().copied().step_by(all.len().div_ceil(1 << 16).max(1)).collect())
}

impl Bench {
    /// Rates of the matrix product by the `gemm` crate with its AVX-512 path: what a convolution by any matrix product can reach.
    fn ceilings(&mut self, times: usize) -> Result<f64> {
        let mut rates = [0.0f64; 2];
        for (rate, kind) in rates.iter_mut().zip(["f32", "f64"]) {
            let work = ceiling(kind)?;
            for _ in 0..times {
                *rate = rate.max(work.flops / seconds_per_repetition(1, || work.run())? * 1e-9);
            }
            let name = format!("{kind} matrix product, 2048×2048×1024, best of {times}");
            self.output.push(Row::new(name, "GFLOP/s", *rate))?;
        }
        Ok(rates[0])
    }

    /// Times `run` in turns with PyTorch's `case`, and compares what `values` gives with its numbers. Returns our seconds.
    fn against_torch<A>(
        &mut self,
        name: &str,
        case: &str,
        sizes: Value,
        limit: f64,
        mut run: impl FnMut() -> Result<A>,
        values: impl FnOnce() -> Result<Values>,
    ) -> Result<f64> {
        let run = || run().map(|_| ());
        let Some(peer) = &mut self.peer else {
            let t = side_by_side(self.rounds, self.seconds, run, None)?;
            self.output.push(Row::new(name, "ms", t.ours * 1e3))?;
            return Ok(t.ours);
        };
        let loaded = peer.load(&format!("torch/{case}"), sizes)?;
        // Before the timing, which may move parameters.
        peer.run(&loaded, 0)?;
        let theirs = peer.values(&loaded)?;
        let values = values()?;
        let largest = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
        let difference = largest(&differences(&sampled(&values.exact)?, &theirs, &loaded)?);
        if difference > DIFFERENCE {
            let text = format!("{name}: {difference:.1e} of the largest number from PyTorch");
            explain("differs", &[text])?;
        }
        self.difference = self.difference.max(difference);
        if let Some(rounded) = values.rounded {
            let all = differences(&sampled(&rounded)?, &theirs, &loaded)?;
            let beyond = all.iter().filter(|&&d| d > DIFFERENCE).count();
            if beyond > 0 {
                let (n, most) = (all.len(), largest(&all));
                let text = format!(
                    "{name}: {beyond} of {n} numbers in f32 by {DIFFERENCE:e} to {most:.1e} of the largest from PyTorch"
                );
                explain("differs", &[text])?;
            }
            self.beyond = self.beyond.max(beyond as f64 / all.len() as f64);
        }
        self.compared += 1;
        let mut run = run;
        let repetitions = repetitions_for(self.seconds, &mut run)?;
        // The first run compiles and warms up, the second one is long enough to count on.
        peer.run(&loaded, 1)?;
        let each = peer.run(&loaded, 3)?.seconds_per_repetition;
        let their_repetitions = ((self.seconds / each.max(1e-9)) as usize).clamp(1, 1 << 24);
        let rounds = Rounds::run(
            self.rounds,
            limit,
            self.pause,
            || seconds_per_repetition(repetitions, &mut run),
            || Ok(peer.run(&loaded, their_repetitions)?.seconds_per_repetition),
        )?;
        self.output.push(rounds.row(name, &loaded.system, Some(limit)))?;
        Ok(quiet(&rounds.ours))
    }

    /// A row with the largest difference from PyTorch since the last one.
    fn differences(&mut self, of: &str) -> Result<()> {
        if self.compared > 0 {
            let name = format!("{of}: largest difference from PyTorch in {} cases", self.compared);
            self.output.push(Row::new(name, "relative", self.difference).at_most(DIFFERENCE))?;
        }
        (self.difference, self.compared) = (0.0, 0);
        Ok(())
    }

    fn convolution(&mut self, case: &Convolution, ceiling: f64) -> Result<()> {
        for phase in [Phase::Forward, Phase::Both] {
            let name = format!("{}, {}", case.name(), phase.name());
            if !self.options.wants(&name) {
                continue;
            }
            let ours = case.ours()?;
            let run = || ours.run(phase);
            let parameters = case.parameters(phase);
            let values = || Ok(Values { exact: run()?, rounded: None });
            let first =
                self.against_torch(&name, "nn_convolution", parameters, 0.8, run, values)?;
            // y, or the weights' gradient, of which candle's program tells the first number.
            let compared = if phase == Phase::Forward { 0 } else { 2 };
            let expected = to_f64(&run()?[compared])?;
            let second = self
                .against_candle(&name, case.parameters(phase), &expected, || run().map(|_| ()))?;
            // Winograd's method multiplies less than the count says, so that it can exceed 1.
            let share = case.flops(phase) / first.min(second) * 1e-9 / ceiling;
            let name = format!("{name}: direct method's operations per second over the product's");
            self.output.push(Row::new(name, "ratio", share))?;
        }
        Ok(())
    }

    /// In turns with candle: as it builds itself, in a process of its own, and in this process, where our crates turn on the AVX-512 path of its
    /// matrix product. A third of the rounds where one of candle's repetitions takes a turn. The first of `expected` is what candle must result in.
    fn against_candle(
        &mut self,
        name: &str,
        sizes: Value,
        expected: &[f64],
        mut ours: impl FnMut() -> Result<()>,
    ) -> Result<f64> {
        let repetitions = repetitions_for(self.seconds, &mut ours)?;
        let mut ours = || seconds_per_repetition(repetitions, &mut ours);
        let rounds = self.rounds;
        let count = |theirs: usize| if theirs > 1 { rounds } else { rounds.div_ceil(3) };
        let peer = match &mut self.candle {
            Some(peer) => peer,
            none => none.insert(Peer::candle()?),
        };
        let loaded = peer.load("candle/convolution", sizes.clone())?;
        let theirs = peer.run(&loaded, 1)?.check;
        let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let difference = (theirs - expected[0]).abs() / largest;
        anyhow::ensure!(difference <= DIFFERENCE, "{name}: {theirs} in candle, {}", expected[0]);
        let each = peer.run(&loaded, 1)?.seconds_per_repetition;
        let theirs = ((self.seconds / each.max(1e-9)) as usize).clamp(1, 1 << 24);
        let turn = || Ok(peer.run(&loaded, theirs)?.seconds_per_repetition);
        let alone = Rounds::run(count(theirs), CANDLE, self.pause, &mut ours, turn)?;
        let row = alone.row(&format!("{name} (candle)"), &loaded.system, Some(CANDLE));
        self.output.push(row)?;
        let candle = candle_convolution::Convolution::new(&sizes)?;
        let theirs = repetitions_for(self.seconds, || candle.run().map(|_| ()))?;
        let turn = || seconds_per_repetition(theirs, || candle.run().map(|_| ()));
        let beside = Rounds::run(count(theirs), f64::INFINITY, self.pause, &mut ours, turn)?;
        let name = format!("{name} (candle with our AVX-512 product)");
        self.output.push(beside.row(&name, "candle 0.11", None))?;
        Ok(quiet(&alone.ours).min(quiet(&beside.ours)))
    }

    /// A training step of the model whose name starts with `kind`: its name and our seconds, unless it is left out.
    fn model(
        &mut self,
        kind: &str,
        make: impl FnOnce() -> Result<Model>,
        limit: f64,
    ) -> Result<Option<(String, f64)>> {
        if !self.options.only.as_ref().is_none_or(|text| text.contains(kind)) {
            return Ok(None);
        }
        let mut model = make()?;
        let (name, case, sizes) = (model.name.clone(), model.case, model.sizes.clone());
        let [exact, rounded] = [DType::F64, DType::F32].map(|dtype| {
            let (loss, gradient) = model.gradient(dtype)?;
            anyhow::Ok([loss].into_iter().chain(gradient).collect())
        });
        let values = || Ok(Values { exact: exact?, rounded: Some(rounded?) });
        let ours = self.against_torch(&name, case, sizes, limit, || model.step(), values)?;
        Ok(Some((name, ours)))
    }

    fn candle_perceptron(&mut self, name: &str, ours: f64, sizes: [usize; 4]) -> Result<()> {
        let mut peer = candle_model::Perceptron::new(256, sizes)?;
        let repetitions = repetitions_for(self.seconds, || peer.step())?;
        let mut times = Vec::new();
        for _ in 0..self.rounds.div_ceil(3).max(4) {
            times.push(seconds_per_repetition(repetitions, || peer.step())?);
        }
        let row = Row::new(format!("{name} (candle)"), "ms", ours * 1e3);
        self.output.push(row.against("candle-nn 0.11", quiet(&times) * 1e3))
    }

    /// The most memory that three steps take, in a process of their own, beyond what it has before the network is made.
    fn memory(&mut self, size: [usize; 2]) -> Result<()> {
        let [height, width] = size;
        let name = format!("most memory of TossingBot's step at {height}×{width}");
        if !self.options.wants(&name) {
            return Ok(());
        }
        let mut row = Row::new(name, "MiB", memory::of_child(size)?);
        if self.peer.is_some()
            && let Some(mut peer) = Peer::start(2)?
        {
            let case = peer.load("torch/nn_robot_memory", serde_json::json!({ "size": size }))?;
            let theirs = peer.run(&case, 3)?.check;
            row = row.against(case.system, theirs).ratio_at_most(1.0);
        }
        self.output.push(row)
    }
}

/// What is compared with PyTorch's numbers.
struct Values {
    /// Each with a difference of at most [`DIFFERENCE`].
    exact: Vec<Tensor>,
    /// The same in `f32`, a share of which may differ more, see [`BEYOND`].
    rounded: Option<Vec<Tensor>>,
}

/// The differences from the peer's numbers, relative to its largest.
fn differences(ours: &[f64], theirs: &[f64], case: &Case) -> Result<Vec<f64>> {
    anyhow::ensure!(
        ours.len() == theirs.len(),
        "{} numbers of ours, {} of {}",
        ours.len(),
        theirs.len(),
        case.system
    );
    let largest = theirs.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    Ok(ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / largest).collect())
}
