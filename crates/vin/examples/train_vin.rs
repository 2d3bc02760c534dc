//! Trains a value iteration network by one command: `cargo run --release -p pullback-vin --example train_vin -- 16`.
//!
//! Arguments: the size (8, 16 or 28 for the VIN paper's protocol, `gppn` for the 15×15 mazes of the GPPN paper), then `--seed N`, `--maps N`,
//! `--epochs N`, `--rate X`, `--batch N`, `--iterations K`, `--kernel N`, `--network vin|symvin|stepvin|untied|cnn|fcn|mvprop|calvin|dtvin|gppn`, `--warm 8:4,16:6` (epochs on smaller maps
//! first: the weights do not know how large a map is, and a sweep of a small one is cheap), `--out FOLDER`. Ends with the figures of the paper's test: walks from one
//! start of each of 1,000 new maps (GPPN: from every cell), with 95 % intervals, and writes the weights and a line of JSON.
#![allow(clippy::print_stdout, reason = "a program that prints what it measures")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use pullback_core_graph::candle::{DType, Device};
use pullback_nn::checkpoint::Checkpoint;
use pullback_nn::data::{Loader, LoaderOptions};
use pullback_nn::layer::Layer;
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::Parameters;
use pullback_nn::train::{Event, Trainer, TrainerOptions};
use pullback_vin::grid::Connectivity;
use pullback_vin::learn::{ProblemSet, Protocol, Report, measure};
use pullback_vin::network::{
    Calvin, CalvinSpec, Cnn, CnnSpec, DtVin, DtVinSpec, Fcn, FcnSpec, Gppn, GppnSpec, MvProp,
    MvPropSpec, PlanningData, PlanningTask, Vin, VinSpec, greedy,
};

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    size: usize,
    gppn: bool,
    seed: u64,
    maps: usize,
    epochs: u64,
    rate: f64,
    batch: usize,
    warm: Vec<(usize, u64)>,
    iterations: Option<usize>,
    kernel: usize,
    network: String,
    out: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut words = std::env::args().skip(1);
    let first = words.next().unwrap_or_else(|| "8".into());
    let gppn = first == "gppn";
    let size = if gppn { 15 } else { first.parse()? };
    let maps = if gppn { 10_000 } else { 4_286 }; // six of seven of the paper's 5,000
    let mut all = Arguments {
        size,
        gppn,
        seed: 1,
        maps,
        epochs: 30,
        rate: 5e-3,
        batch: 128,
        warm: vec![],
        iterations: None,
        kernel: if gppn { 5 } else { 3 },
        network: "vin".into(),
        out: None,
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--seed" => all.seed = value.parse()?,
            "--maps" => all.maps = value.parse()?,
            "--epochs" => all.epochs = value.parse()?,
            "--rate" => all.rate = value.parse()?,
            "--iterations" => all.iterations = Some(value.parse()?),
            "--kernel" => all.kernel = value.parse()?,
            "--batch" => all.batch = value.parse()?,
            "--warm" => {
                for stage in value.split(',') {
                    let (size, epochs) =
                        stage.split_once(':').ok_or_else(|| format!("{stage}: not SIZE:EPOCHS"))?;
                    all.warm.push((size.parse()?, epochs.parse()?));
                }
            }
            "--network" => all.network = value,
            "--out" => all.out = Some(value.into()),
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    Ok(all)
}

fn network(a: &Arguments, size: usize, p: &mut Parameters) -> Result<Arc<dyn Layer>, Failure> {
    let actions = if a.gppn { 4 } else { 8 };
    let kernel = a.kernel;
    let usual = if a.gppn { 30 } else { VinSpec::of_size(size).iterations };
    let iterations = a.iterations.filter(|_| size == a.size).unwrap_or(usual);
    let mut root = p.root();
    let vin = VinSpec { iterations, actions, kernel, channels: 10, ..VinSpec::default() };
    Ok(match a.network.as_str() {
        "vin" => Arc::new(Vin::new(&mut root, vin)?),
        "stepvin" => {
            // The planner is there at the start; what the map says is learned.
            let network = Vin::new(&mut root, VinSpec { symmetric: true, ..vin })?;
            network.start_as_steps(p, 0.95)?;
            Arc::new(network)
        }
        "symvin" => Arc::new(Vin::new(&mut root, VinSpec { symmetric: true, ..vin })?),
        "untied" => Arc::new(Vin::new(&mut root, VinSpec { untied: true, ..vin })?),
        "cnn" => Arc::new(Cnn::new(&mut root, CnnSpec { actions, ..CnnSpec::default() })?),
        "fcn" => {
            let spec = FcnSpec { inputs: 2, size, channels: [150, 100], actions };
            Arc::new(Fcn::new(&mut root, spec)?)
        }
        "mvprop" => {
            let spec = MvPropSpec { iterations, actions, ..MvPropSpec::default() };
            Arc::new(MvProp::new(&mut root, spec)?)
        }
        "calvin" => {
            let spec = CalvinSpec { iterations, actions, ..CalvinSpec::default() };
            Arc::new(Calvin::new(&mut root, spec)?)
        }
        "dtvin" => {
            let spec = DtVinSpec { iterations, actions, ..DtVinSpec::default() };
            Arc::new(DtVin::new(&mut root, spec)?)
        }
        "gppn" => Arc::new(Gppn::new(&mut root, GppnSpec { actions, ..GppnSpec::default() })?),
        other => return Err(format!("no network {other}").into()),
    })
}

fn print(what: &str, report: &Report) {
    for (name, share) in [
        ("success", report.success),
        ("optimal", report.optimal),
        ("right action", report.right_action),
    ] {
        let [low, high] = share.interval();
        println!(
            "{what}: {name} {:.2} % (95 %: {:.2} … {:.2}), {} of {}",
            100.0 * share.value(),
            100.0 * low,
            100.0 * high,
            share.hits,
            share.of
        );
    }
    println!("{what}: cost ratio {:.5}", report.cost_ratio);
}

/// Draws and solves problems of a size, and trains on them; the rate falls along a cosine to `last` of itself.
fn stage(
    a: &Arguments,
    size: usize,
    epochs: u64,
    last: f64,
    parameters: Parameters,
    network: Arc<dyn Layer>,
) -> Result<Parameters, Failure> {
    let started = Instant::now();
    // Seeds of maps: training 2s, held out and test far off and odd.
    let train = ProblemSet::generate(protocol(a, size), a.maps, 2 * a.seed)?;
    let held_out = Arc::new(ProblemSet::generate(protocol(a, size), 100, 1_000_001)?);
    println!(
        "{size}×{size}: {} problems on {} maps, made and solved in {:.1} s",
        train.problems.len(),
        a.maps,
        started.elapsed().as_secs_f64()
    );
    let options = LoaderOptions { batch: a.batch, seed: a.seed, ..LoaderOptions::default() };
    let loader = Loader::new(PlanningData::new(train)?, options)?;
    let steps = epochs * loader.batches() as u64;
    let adam = Adam::new(AdamOptions { learning_rate: a.rate, ..AdamOptions::default() })?;
    let task = PlanningTask::new(network, Some(held_out), a.gppn);
    let options =
        TrainerOptions { epochs, seed: a.seed, clip: Some(5.0), ..TrainerOptions::default() };
    let rate = a.rate;
    let schedule = move |step: u64| {
        let t = step as f64 / steps.max(1) as f64;
        rate * (last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * t).cos()))
    };
    let mut trainer =
        Trainer::new(task, parameters, adam, loader, options)?.with_schedule(schedule);
    trainer.run(|event| {
        if let Event::Epoch { epoch, loss, metrics, .. } = event {
            println!(
                "epoch {epoch:>3}, {:>6.1} s: loss {loss:.5}, success {:.4}, right action {:.4}",
                started.elapsed().as_secs_f64(),
                metrics["success"],
                metrics["right_action"]
            );
        }
        ControlFlow::Continue(())
    })?;
    Ok(trainer.into_parameters())
}

fn protocol(a: &Arguments, size: usize) -> Protocol {
    match a.gppn {
        true => Protocol::Gppn { size, connectivity: Connectivity::Four },
        false => Protocol::Vin { size },
    }
}

fn main() -> Result<(), Failure> {
    let a = arguments()?;
    let mut parameters = Parameters::new(a.seed, DType::F32, &Device::Cpu);
    let last = network(&a, a.size, &mut parameters)?;
    println!("{}: {} parameters", a.network, parameters.element_count());
    let training = Instant::now();
    for &(size, epochs) in &a.warm {
        // The same names and shapes, fewer iterations.
        let small = network(&a, size, &mut Parameters::new(a.seed, DType::F32, &Device::Cpu))?;
        parameters = stage(&a, size, epochs, 0.2, parameters, small)?;
    }
    parameters = stage(&a, a.size, a.epochs, 0.01, parameters, last.clone())?;
    let seconds = training.elapsed().as_secs_f64();
    let test = ProblemSet::generate(protocol(&a, a.size), 1000, 2_000_001)?;
    let once: ProblemSet = {
        // One goal on each of the 1,000 maps.
        let mut last = usize::MAX;
        let mut set = test.clone();
        set.problems.retain(|p| std::mem::replace(&mut last, p.map) != p.map);
        set
    };
    let report = measure(&once, &greedy(&*last, &parameters, &once)?, a.gppn)?;
    print("test", &report);
    println!("trained in {seconds:.0} s");
    if let Some(folder) = &a.out {
        std::fs::create_dir_all(folder)?;
        let size = if a.gppn { "gppn".to_string() } else { a.size.to_string() };
        let name = format!("{}_{size}_{}", a.network, a.seed);
        let mut checkpoint = Checkpoint::new();
        parameters.store(&mut checkpoint, "");
        checkpoint.save(folder.join(format!("{name}.safetensors")))?;
        let line = format!(
            "{{\"network\": \"{}\", \"size\": \"{size}\", \"seed\": {}, \"success\": {}, \"optimal\": {}, \"cost_ratio\": {}, \"walks\": {}, \"seconds\": {seconds:.1}}}\n",
            a.network,
            a.seed,
            report.success.value(),
            report.optimal.value(),
            report.cost_ratio,
            report.success.of
        );
        std::fs::write(folder.join(format!("{name}.json")), line)?;
    }
    Ok(())
}
