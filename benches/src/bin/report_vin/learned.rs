//! What a small training gives (8×8, one seed, minutes less than the paper's), what it says about r, and success against K.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use benches::output::Output;
use benches::row::Row;
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device};
use pullback_core_graph::tensor::to_f64;
use pullback_nn::Layer;
use pullback_nn::data::{Loader, LoaderOptions};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::Parameters;
use pullback_nn::train::{Trainer, TrainerOptions};
use pullback_vin::learn::{ProblemSet, Protocol, Report, measure};
use pullback_vin::network::{
    Cnn, CnnSpec, PlanningData, PlanningTask, Vin, VinSpec, greedy, images,
};

pub(crate) fn trained<L: Layer>(
    network: L,
    parameters: Parameters,
    train: &ProblemSet,
    epochs: u64,
    seed: u64,
) -> Result<Parameters> {
    trained_by(PlanningTask::new(network, None, false), parameters, train, epochs, seed)
}

pub(crate) fn trained_by<L: Layer>(
    task: PlanningTask<L>,
    parameters: Parameters,
    train: &ProblemSet,
    epochs: u64,
    seed: u64,
) -> Result<Parameters> {
    let options = LoaderOptions { batch: 32, seed, ..LoaderOptions::default() };
    let loader = Loader::new(PlanningData::new(train.clone())?, options)?;
    let adam = Adam::new(AdamOptions { learning_rate: 5e-3, ..AdamOptions::default() })?;
    let options = TrainerOptions { epochs, clip: Some(5.0), ..TrainerOptions::default() };
    let steps = (epochs * loader.batches() as u64) as f64;
    let schedule = move |step: u64| {
        5e-3 * (0.01 + 0.495 * (1.0 + (std::f64::consts::PI * step as f64 / steps).cos()))
    };
    let mut trainer =
        Trainer::new(task, parameters, adam, loader, options)?.with_schedule(schedule);
    trainer.run(|_| ControlFlow::Continue(()))?;
    Ok(trainer.into_parameters())
}

pub(crate) fn figures(
    output: &mut Output,
    name: &str,
    report: &Report,
    limit: Option<f64>,
) -> Result<()> {
    let row = Row::new(format!("{name}: success"), "%", 100.0 * report.success.value());
    output.push(match limit {
        Some(limit) => row.at_least(limit),
        None => row,
    })?;
    let [low, high] = report.success.interval();
    output.push(Row::new(format!("{name}: success, 95 % from"), "%", 100.0 * low))?;
    output.push(Row::new(format!("{name}: success, 95 % to"), "%", 100.0 * high))?;
    let right = 100.0 * report.right_action.value();
    output.push(Row::new(format!("{name}: actions that are among the best"), "%", right))?;
    output.push(Row::new(format!("{name}: cost ratio"), "ratio", report.cost_ratio))
}

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let protocol = Protocol::Vin { size: 8 };
    let (maps, epochs) = if quick { (100, 3) } else { (1500, 20) };
    let train = ProblemSet::generate(protocol, maps, 2)?;
    let test = ProblemSet::generate(protocol, if quick { 40 } else { 300 }, 2_000_001)?;
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let vin = Vin::new(&mut parameters.root(), VinSpec::of_size(8))?;
    let parameters = trained(vin.clone(), parameters, &train, epochs, 1)?;
    let limit = if quick { None } else { Some(99.6) };
    let report = measure(&test, &greedy(&vin, &parameters, &test)?, false)?;
    figures(output, "VIN 8×8, a third of the paper's maps", &report, limit)?;
    crate::pictures::draw("scratch", &vin, &parameters, &test)?;
    // The same with a planner at the start.
    let mut own = Parameters::new(1, DType::F32, &Device::Cpu);
    let steps = Vin::new(&mut own.root(), VinSpec { symmetric: true, ..VinSpec::of_size(8) })?;
    steps.start_as_steps(&mut own, 0.95)?;
    let own = trained(steps.clone(), own, &train, epochs.div_ceil(8), 1)?;
    let report = measure(&test, &greedy(&steps, &own, &test)?, false)?;
    figures(output, "VIN 8×8 that begins as steps, the same maps", &report, limit)?;
    crate::pictures::draw("steps", &steps, &own, &test)?;
    // The learned reward against what is true: high at the goal, low in walls.
    let graph = Graph::new();
    let problems: Vec<_> = test.problems.iter().take(50).collect();
    let x = images(&test, &problems)?;
    let r = vin.reward(&parameters.bind_constant(&graph), graph.constant(&x))?.value()?;
    let (r, x) = (to_f64(&r)?, to_f64(&x)?);
    let mean = |keep: &dyn Fn(usize, usize) -> bool| -> f64 {
        let mut sum = (0.0, 0.0);
        for n in 0..problems.len() {
            for i in (0..64).filter(|&i| keep(n, i)) {
                sum = (sum.0 + r[n * 64 + i], sum.1 + 1.0);
            }
        }
        sum.0 / sum.1
    };
    let wall = |n: usize, i: usize| x[n * 128 + i] > 0.5;
    let goal = |n: usize, i: usize| x[n * 128 + 64 + i] > 0.5;
    let free = mean(&|n, i| !wall(n, i) && !goal(n, i));
    output.push(Row::new(
        "VIN 8×8: learned r at the goal, less that of free cells",
        "",
        mean(&goal) - free,
    ))?;
    output.push(Row::new(
        "VIN 8×8: learned r in walls, less that of free cells",
        "",
        mean(&wall) - free,
    ))?;
    for iterations in [2, 5, 10, 20, 40] {
        let spec = VinSpec { iterations, ..VinSpec::of_size(8) };
        // The same weights: names are the same for every K.
        let mut other = Parameters::new(1, DType::F32, &Device::Cpu);
        let network = Vin::new(&mut other.root(), spec)?;
        for (name, value) in parameters.iter() {
            other.set(name, value).map_err(|e| anyhow!("{name}: {e}"))?;
        }
        let report = measure(&test, &greedy(&network, &other, &test)?, false)?;
        let name = format!("VIN 8×8, trained with K = 10, used with K = {iterations}: success");
        output.push(Row::new(name, "%", 100.0 * report.success.value()))?;
    }
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let cnn = Arc::new(Cnn::new(&mut parameters.root(), CnnSpec::default())?);
    let parameters = trained(cnn.clone(), parameters, &train, epochs.div_ceil(4), 1)?;
    let report = measure(&test, &greedy(&cnn, &parameters, &test)?, false)?;
    figures(output, "CNN of 5 layers, 8×8, the same maps", &report, None)
}
