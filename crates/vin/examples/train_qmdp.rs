//! Trains a QMDP-net by one command: `cargo run --release -p pullback-vin --example train_qmdp`.
//!
//! Arguments: `--seed N`, `--maps N`, `--epochs N`, `--rate X`, `--batch N`, `--hidden N`, `--moves P` and `--sees P` (1 and 1: deterministic), `--kinds N` (the
//! paper's observation model of N kinds in place of independent bits), `--sharpness X` (how near the moves both transition models begin), `--out FOLDER`. Ends with success, steps and collisions on 1,000 new maps beside those of the expert, QMDP with the true models, and writes a line of JSON.
#![allow(clippy::print_stdout, reason = "a program that prints what it measures")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use pullback_core_graph::candle::{DType, Device};
use pullback_nn::data::{Loader, LoaderOptions};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::Parameters;
use pullback_nn::train::{Event, Trainer, TrainerOptions};
use pullback_vin::learn::{HiddenProblem, HiddenRun, HiddenSpec, demonstrations};
use pullback_vin::network::{
    HiddenData, HiddenTask, QmdpNet, QmdpNetSpec, Readings, hidden_runs, hidden_share,
};

type Failure = Box<dyn std::error::Error>;

fn print(what: &str, runs: &[HiddenRun]) -> [f64; 3] {
    let share = hidden_share(runs);
    let [low, high] = share.interval();
    let steps: usize = runs.iter().filter(|r| r.arrived).map(|r| r.steps).sum();
    let steps = steps as f64 / share.hits.max(1) as f64;
    let collisions = runs.iter().map(|r| r.collisions).sum::<usize>() as f64 / runs.len() as f64;
    println!(
        "{what}: success {:.2} % (95 %: {:.2} … {:.2}), {} of {}; {steps:.2} steps, {collisions:.3} collisions a run",
        100.0 * share.value(),
        100.0 * low,
        100.0 * high,
        share.hits,
        share.of
    );
    [share.value(), steps, collisions]
}

fn main() -> Result<(), Failure> {
    let (mut seed, mut maps, mut epochs, mut rate, mut batch) = (1u64, 10_000, 12, 3e-3, 64);
    let (mut spec, mut hidden, mut out) = (HiddenSpec::default(), 50, None::<PathBuf>);
    let (mut readings, mut steps_at) = (Readings::Bits, 3.0);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--seed" => seed = value.parse()?,
            "--maps" => maps = value.parse()?,
            "--epochs" => epochs = value.parse()?,
            "--rate" => rate = value.parse()?,
            "--batch" => batch = value.parse()?,
            "--hidden" => hidden = value.parse()?,
            "--moves" => spec.moves = value.parse()?,
            "--sees" => spec.sees = value.parse()?,
            "--kinds" => readings = Readings::Kinds(value.parse()?),
            "--sharpness" => steps_at = value.parse()?,
            "--out" => out = Some(value.into()),
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    let started = Instant::now();
    // Seeds: training 2s, held out and test far off and odd.
    let (problems, runs) = demonstrations(spec, maps, 2 * seed)?;
    let (held_out, _) = demonstrations(spec, 200, 1_000_001)?;
    println!(
        "{} demonstrations on {maps} maps in {:.1} s",
        runs.len(),
        started.elapsed().as_secs_f64()
    );
    let mut parameters = Parameters::new(seed, DType::F32, &Device::Cpu);
    let net = QmdpNetSpec { hidden, readings, iterations: 3 * spec.size, ..Default::default() };
    let network = QmdpNet::new(&mut parameters.root(), net)?;
    network.start_as_steps(&mut parameters, steps_at)?;
    println!("{} parameters", parameters.element_count());
    let options = LoaderOptions { batch, seed, ..LoaderOptions::default() };
    let loader = Loader::new(HiddenData::new(problems, runs, 16)?, options)?;
    let steps = epochs * loader.batches() as u64;
    let adam = Adam::new(AdamOptions { learning_rate: rate, ..AdamOptions::default() })?;
    let options = TrainerOptions { epochs, seed, clip: Some(1.0), ..TrainerOptions::default() };
    let schedule = move |step: u64| {
        let t = step as f64 / steps.max(1) as f64;
        rate * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * t).cos()))
    };
    let task = HiddenTask::new(network, held_out);
    let mut trainer =
        Trainer::new(task, parameters, adam, loader, options)?.with_schedule(schedule);
    let training = Instant::now();
    trainer.run(|event| {
        if let Event::Epoch { epoch, loss, metrics, .. } = event {
            println!(
                "epoch {epoch:>3}, {:>6.1} s: loss {loss:.5}, success {:.4}, {:.3} collisions",
                training.elapsed().as_secs_f64(),
                metrics["success"],
                metrics["collisions"]
            );
        }
        ControlFlow::Continue(())
    })?;
    let seconds = training.elapsed().as_secs_f64();
    let parameters = trainer.into_parameters();
    let network = QmdpNet::new(&mut Parameters::new(seed, DType::F32, &Device::Cpu).root(), net)?;
    let test: Vec<HiddenProblem> = (0..1000)
        .map(|i| HiddenProblem::draw(spec, 2_000_001, i))
        .collect::<pullback_vin::Result<_>>()?;
    let mut expert = vec![];
    for (i, problem) in test.iter().enumerate() {
        expert.push(problem.demonstrate(i as u64)?.0);
    }
    let theirs = print("QMDP with the true models", &expert);
    let ours = print("QMDP-net", &hidden_runs(&network, &parameters, &test, 7)?);
    println!("trained in {seconds:.0} s");
    if let Some(folder) = &out {
        std::fs::create_dir_all(folder)?;
        let line = format!(
            "{{\"network\": \"qmdp-net\", \"seed\": {seed}, \"success\": {}, \"steps\": {}, \"collisions\": {}, \"expert\": {}, \"seconds\": {seconds:.1}}}\n",
            ours[0], ours[1], ours[2], theirs[0]
        );
        std::fs::write(folder.join(format!("qmdp_{seed}.json")), line)?;
    }
    Ok(())
}
