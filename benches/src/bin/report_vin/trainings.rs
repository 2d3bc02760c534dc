//! Trainings on the paper's protocol, three seeds for each size; with `--full` QMDP-net's at its full size, too. Results of longer ones are read
//! from a file, said to be so, and no target's measure.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, anyhow};
use benches::output::{Options, Output};
use benches::row::Row;
use pullback_core_graph::candle::{DType, Device};
use pullback_nn::data::{Loader, LoaderOptions};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::Parameters;
use pullback_nn::train::{Trainer, TrainerOptions};
use pullback_vin::learn::{
    HiddenProblem, HiddenSpec, ProblemSet, Protocol, Share, demonstrations, measure, wilson,
};
use pullback_vin::network::{
    HiddenData, HiddenTask, PlanningTask, QmdpNet, QmdpNetSpec, Readings, Vin, VinSpec, greedy,
    hidden_runs, hidden_share,
};
use serde_json::Value;

use crate::learned::trained_by;

/// Each entry: the command without the seed, what it trains, and the runs.
const STORED: &str = include_str!("../../../../crates/vin/tests/reference/trainings.json");

/// Of each command the worst of its seeds.
fn stored(output: &mut Output) -> Result<()> {
    let all: Value = serde_json::from_str(STORED)?;
    let on = all["machine"].as_str().unwrap_or_default();
    for entry in all["trainings"].as_array().ok_or_else(|| anyhow!("no trainings"))? {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let runs = entry["runs"].as_array().ok_or_else(|| anyhow!("no runs"))?;
        let each = |key: &str| runs.iter().filter_map(|run| run[key].as_f64()).collect::<Vec<_>>();
        let worst = |key: &str| each(key).into_iter().fold(f64::INFINITY, f64::min);
        let most = |key: &str| each(key).into_iter().fold(f64::NEG_INFINITY, f64::max);
        let name = format!("earlier: `{}` on {on}, {} seeds", text("command"), runs.len());
        let measure = text("measure");
        let row = Row::new(format!("{name}: worst {measure}"), "%", 100.0 * worst(measure));
        output.push(row)?;
        let walks = runs.iter().find_map(|run| run["walks"].as_f64()).unwrap_or(1000.0);
        let hits = (worst(measure) * walks).round() as usize;
        let low = 100.0 * wilson(hits, walks as usize, 1.959_963_984_540_054)[0];
        output.push(Row::new(format!("{name}: worst {measure}, 95 % from"), "%", low))?;
        if most("cost_ratio").is_finite() {
            let row = Row::new(format!("{name}: worst cost ratio"), "ratio", most("cost_ratio"));
            output.push(row)?;
        }
        output.push(Row::new(format!("{name}: longest training"), "s", most("seconds")))?;
    }
    Ok(())
}

/// What a VIN knows before its training.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    /// The moves: W, U and the head are single steps.
    Steps,
    /// Nothing but that each action reads a channel of its own; W is random, U 0. As `train_vin --network sharpvin`.
    Random,
}

fn made(start: Start, size: usize, seed: u64) -> Result<(Vin, Parameters)> {
    let spec = VinSpec { symmetric: true, ..VinSpec::of_size(size) };
    let mut parameters = Parameters::new(seed, DType::F32, &Device::Cpu);
    let network = Vin::new(&mut parameters.root(), spec)?;
    match start {
        Start::Steps => network.start_as_steps(&mut parameters, 0.95)?,
        Start::Random => network.start_with_own_channels(&mut parameters)?,
    }
    Ok((network, parameters))
}

/// The loss of each start.
fn task(start: Start, size: usize) -> Result<PlanningTask<Vin>> {
    let network = made(start, size, 1)?.0;
    let vin = network.clone();
    let task = PlanningTask::new(network, None, false);
    Ok(match start {
        Start::Steps => task,
        Start::Random => task.with_penalty(move |p| (vin.blending(p)? * 3e-3).ok()),
    })
}

/// Of six random starts, each with the goal's neighbours first and one epoch after them, the one that is right most often on held-out maps.
fn begun(size: usize, seed: u64, set: &ProblemSet) -> Result<Parameters> {
    let near = set.filtered(|problem| problem.map < set.maps.len() / 5).within(1.5);
    let held_out = ProblemSet::generate(Protocol::Vin { size }, 100, 1_000_001)?;
    let mut best: Option<(f64, Parameters)> = None;
    for start in 0..6 {
        let (network, mut parameters) = made(Start::Random, size, seed + 1000 * start)?;
        for set in [&near, set] {
            parameters = trained_by(task(Start::Random, size)?, parameters, set, 1, seed)?;
        }
        let report = measure(&held_out, &greedy(&network, &parameters, &held_out)?, false)?;
        let right = report.right_action.value();
        if best.as_ref().is_none_or(|(most, _)| right > *most) {
            best = Some((right, parameters));
        }
    }
    Ok(best.ok_or_else(|| anyhow!("no start"))?.1)
}

/// Trains on small maps first: the weights do not know how large a map is.
fn train(start: Start, size: usize, seed: u64) -> Result<(Vin, Parameters)> {
    let (network, mut parameters) = made(start, size, seed)?;
    let stages: &[(usize, u64)] = match (start, size) {
        (Start::Steps, _) => &[(8, 2), (16, 2), (28, 2)],
        (Start::Random, 8) => &[(8, 4)],
        (Start::Random, 16) => &[(8, 3), (16, 3)],
        (Start::Random, _) => &[(8, 3), (16, 2), (28, 1)],
    };
    for (k, &(small, epochs)) in stages.iter().filter(|(small, _)| *small <= size).enumerate() {
        let set = ProblemSet::generate(Protocol::Vin { size: small }, 4286, 2 * seed)?;
        if k == 0 && start == Start::Random {
            parameters = begun(small, seed, &set)?;
        }
        parameters = trained_by(task(start, small)?, parameters, &set, epochs, seed)?;
    }
    Ok((network, parameters))
}

/// The worst of three seeds.
fn vin(output: &mut Output, start: Start, size: usize, target: f64) -> Result<()> {
    let mut test = ProblemSet::generate(Protocol::Vin { size }, 1000, 2_000_001)?;
    let mut last = usize::MAX;
    test.problems.retain(|p| std::mem::replace(&mut last, p.map) != p.map);
    let (mut worst, mut ratio, mut longest) = (None::<Share>, 0.0f64, 0.0f64);
    for seed in 1..=3 {
        let started = Instant::now();
        let (network, parameters) = train(start, size, seed)?;
        longest = longest.max(started.elapsed().as_secs_f64());
        let report = measure(&test, &greedy(&network, &parameters, &test)?, false)?;
        ratio = ratio.max(report.cost_ratio);
        if worst.is_none_or(|worst| report.success.value() < worst.value()) {
            worst = Some(report.success);
        }
    }
    let worst = worst.ok_or_else(|| anyhow!("no seeds"))?;
    let begins = match start {
        Start::Steps => "that begins as steps",
        Start::Random => "from random kernels",
    };
    let name = format!("VIN {size}×{size} {begins}, 4,286 maps, three seeds");
    let row = Row::new(format!("{name}: worst success"), "%", 100.0 * worst.value());
    output.push(row.at_least(target))?;
    let low = 100.0 * worst.interval()[0];
    output.push(Row::new(format!("{name}: worst success, 95 % from"), "%", low))?;
    output.push(Row::new(format!("{name}: worst cost ratio"), "ratio", ratio).at_most(1.005))?;
    output.push(Row::new(format!("{name}: longest training"), "s", longest).at_most(600.0))
}

fn qmdp(output: &mut Output, maps: usize, epochs: u64, target: Option<f64>) -> Result<()> {
    let spec = HiddenSpec::default();
    let (problems, runs) = demonstrations(spec, maps, 2)?;
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let net = QmdpNetSpec { hidden: 50, readings: Readings::Bits, ..QmdpNetSpec::default() };
    let network = QmdpNet::new(&mut parameters.root(), net)?;
    network.start_as_steps(&mut parameters, 3.0)?;
    let options = LoaderOptions { batch: 64, seed: 1, ..LoaderOptions::default() };
    let loader = Loader::new(HiddenData::new(problems, runs, 16)?, options)?;
    let steps = (epochs * loader.batches() as u64) as f64;
    let adam = Adam::new(AdamOptions { learning_rate: 3e-3, ..AdamOptions::default() })?;
    let options = TrainerOptions { epochs, seed: 1, clip: Some(1.0), ..TrainerOptions::default() };
    let schedule = move |step: u64| {
        3e-3 * (0.01 + 0.495 * (1.0 + (std::f64::consts::PI * step as f64 / steps).cos()))
    };
    let task = HiddenTask::new(network, vec![]);
    let mut trainer =
        Trainer::new(task, parameters, adam, loader, options)?.with_schedule(schedule);
    trainer.run(|_| ControlFlow::Continue(()))?;
    let parameters = trainer.into_parameters();
    let network = QmdpNet::new(&mut Parameters::new(1, DType::F32, &Device::Cpu).root(), net)?;
    let count = if target.is_some() { 1000 } else { 200 };
    let test: Vec<_> = (0..count)
        .map(|i| HiddenProblem::draw(spec, 2_000_001, i))
        .collect::<pullback_vin::Result<_>>()?;
    let mut arrived = 0;
    for (i, problem) in test.iter().enumerate() {
        arrived += usize::from(problem.demonstrate(i as u64)?.0.arrived);
    }
    let share = hidden_share(&hidden_runs(&network, &parameters, &test, 7)?);
    let name = format!("QMDP-net 10×10, deterministic, {maps} maps");
    let row = Row::new(format!("{name}: success"), "%", 100.0 * share.value());
    output.push(match target {
        Some(target) => row.at_least(target),
        None => row,
    })?;
    output.push(Row::new(format!("{name}: 95 % from"), "%", 100.0 * share.interval()[0]))?;
    let expert = 100.0 * arrived as f64 / test.len() as f64;
    output.push(Row::new(format!("{name}: QMDP with the true models"), "%", expert))
}

pub(crate) fn rows(output: &mut Output, options: &Options) -> Result<()> {
    if !options.quick {
        for (size, target) in [(8, 99.6), (16, 99.3), (28, 97.0)] {
            vin(output, Start::Steps, size, target)?;
            vin(output, Start::Random, size, target)?;
        }
    }
    stored(output)?;
    if options.full {
        qmdp(output, 10_000, 12, Some(99.0))?;
    } else if options.quick {
        qmdp(output, 100, 1, None)?;
    } else {
        qmdp(output, 2000, 6, None)?;
    }
    Ok(())
}
