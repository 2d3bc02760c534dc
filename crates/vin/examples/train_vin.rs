//! Trains a value iteration network by one command: `cargo run --release -p pullback-vin --example train_vin -- 16`.
//!
//! Arguments: the size (8, 16 or 28 for the VIN paper's protocol, `gppn` for the 15×15 mazes of the GPPN paper), then `--seed N`, `--maps N`,
//! `--epochs N`, `--rate X`, `--batch N`, `--iterations K`, `--kernel N`, `--network vin|symvin|sharpvin|stepvin|untied|cnn|fcn|mvprop|calvin|dtvin|gppn`, `--warm 8:4,16:6`
//! (epochs on smaller maps first: the weights do not know how large a map is, and a sweep of a small one is cheap), `--near N` (before all else one epoch on the
//! first N maps, with labels for the goal's neighbours alone), `--starts N` (so many random beginnings get one epoch each, and the one that is right most often on
//! held-out maps goes on), `--blend X` (the weight of `Vin::blending` in the loss), `--out FOLDER`. `sharpvin` is the VIN with
//! the symmetries of the square, random kernels and a channel for each action; its defaults are those with which it was measured. Ends with the figures of the paper's test: walks from one
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
    near: usize,
    starts: u64,
    blend: f64,
    iterations: Option<usize>,
    kernel: usize,
    network: String,
    out: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, Failure> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let sharp = given.windows(2).any(|two| two[0] == "--network" && two[1] == "sharpvin");
    let mut words = given.into_iter();
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
        near: 0,
        starts: 1,
        blend: 0.0,
        iterations: None,
        kernel: if gppn { 5 } else { 3 },
        network: "vin".into(),
        out: None,
    };
    if sharp {
        // Small maps until the kernels are sharp, and a few epochs more.
        let (warm, epochs): (&[_], _) = match size {
            _ if gppn => (&[], 6), // its mazes have odd sides
            ..=8 => (&[], 4),
            9..=16 => (&[(8, 3)], 3),
            _ => (&[(8, 3), (16, 2)], 1),
        };
        (all.warm, all.epochs, all.batch) = (warm.to_vec(), epochs, 32);
        (all.near, all.starts, all.blend) = (maps / 5, 6, 3e-3);
    }
    let mut warm = vec![];
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
                    warm.push((size.parse()?, epochs.parse()?));
                }
            }
            "--near" => all.near = value.parse()?,
            "--starts" => all.starts = value.parse()?,
            "--blend" => all.blend = value.parse()?,
            "--network" => all.network = value,
            "--out" => all.out = Some(value.into()),
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    if !warm.is_empty() {
        all.warm = warm;
    }
    Ok(all)
}

/// The layer, and the VIN that it is, where a penalty is asked of it.
type Network = (Arc<dyn Layer>, Option<Vin>);

fn network(a: &Arguments, size: usize, p: &mut Parameters) -> Result<Network, Failure> {
    let actions = if a.gppn { 4 } else { 8 };
    let kernel = a.kernel;
    let usual = if a.gppn { 30 } else { VinSpec::of_size(size).iterations };
    let iterations = a.iterations.filter(|_| size == a.size).unwrap_or(usual);
    let mut root = p.root();
    let vin = VinSpec { iterations, actions, kernel, channels: 10, ..VinSpec::default() };
    let vin = match a.network.as_str() {
        "vin" => Some(vin),
        "stepvin" | "symvin" | "sharpvin" => Some(VinSpec { symmetric: true, ..vin }),
        "untied" => Some(VinSpec { untied: true, ..vin }),
        _ => None,
    };
    if let Some(spec) = vin {
        let network = Vin::new(&mut root, spec)?;
        match a.network.as_str() {
            // The planner is there at the start; what the map says is learned.
            "stepvin" => network.start_as_steps(p, 0.95)?,
            "sharpvin" => network.start_with_own_channels(p)?,
            _ => {}
        }
        return Ok((Arc::new(network.clone()), Some(network)));
    }
    let layer: Arc<dyn Layer> = match a.network.as_str() {
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
    };
    Ok((layer, None))
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
    (size, near): (usize, bool),
    epochs: u64,
    last: f64,
    parameters: Parameters,
    (network, vin): Network,
) -> Result<Parameters, Failure> {
    let started = Instant::now();
    // Seeds of maps: training 2s, held out and test far off and odd.
    let maps = if near { a.near } else { a.maps };
    let mut train = ProblemSet::generate(protocol(a, size), maps, 2 * a.seed)?;
    if near {
        train = train.within(1.5);
    }
    let held_out = Arc::new(ProblemSet::generate(protocol(a, size), 100, 1_000_001)?);
    println!(
        "{size}×{size}: {} problems on {} maps, made and solved in {:.1} s",
        train.problems.len(),
        maps,
        started.elapsed().as_secs_f64()
    );
    let options = LoaderOptions { batch: a.batch, seed: a.seed, ..LoaderOptions::default() };
    let loader = Loader::new(PlanningData::new(train)?, options)?;
    let steps = epochs * loader.batches() as u64;
    let adam = Adam::new(AdamOptions { learning_rate: a.rate, ..AdamOptions::default() })?;
    let mut task = PlanningTask::new(network, Some(held_out), a.gppn);
    if let Some(vin) = vin.filter(|_| a.blend > 0.0) {
        let weight = a.blend;
        task = task.with_penalty(move |p| (vin.blending(p)? * weight).ok());
    }
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

/// A network and its first weights.
fn drawn(a: &Arguments, size: usize, seed: u64) -> Result<(Network, Parameters), Failure> {
    let mut parameters = Parameters::new(seed, DType::F32, &Device::Cpu);
    Ok((network(a, size, &mut parameters)?, parameters))
}

/// The goal's neighbours first; of several starts the best after one epoch.
fn begun(a: &Arguments) -> Result<Parameters, Failure> {
    let size = a.warm.first().map_or(a.size, |stage| stage.0);
    let held_out = ProblemSet::generate(protocol(a, size), 100, 1_000_001)?;
    let mut best: Option<(f64, Parameters)> = None;
    for start in 0..a.starts {
        let (network, mut parameters) = drawn(a, size, a.seed + 1000 * start)?;
        if a.near > 0 {
            parameters = stage(a, (size, true), 1, 0.2, parameters, network.clone())?;
        }
        if a.starts > 1 {
            parameters = stage(a, (size, false), 1, 0.2, parameters, network.clone())?;
        }
        let report = measure(&held_out, &greedy(&*network.0, &parameters, &held_out)?, false)?;
        let right = report.right_action.value();
        if best.as_ref().is_none_or(|(most, _)| right > *most) {
            best = Some((right, parameters));
        }
    }
    Ok(best.ok_or("--starts 0: at least one")?.1)
}

fn main() -> Result<(), Failure> {
    let a = arguments()?;
    let (last, mut parameters) = drawn(&a, a.size, a.seed)?;
    println!("{}: {} parameters", a.network, parameters.element_count());
    let training = Instant::now();
    if a.near > 0 || a.starts > 1 {
        parameters = begun(&a)?;
    }
    // The same names and shapes, fewer iterations.
    for &(size, epochs) in &a.warm {
        let small = drawn(&a, size, a.seed)?.0;
        parameters = stage(&a, (size, false), epochs, 0.2, parameters, small)?;
    }
    parameters = stage(&a, (a.size, false), a.epochs, 0.01, parameters, last.clone())?;
    let seconds = training.elapsed().as_secs_f64();
    let test = ProblemSet::generate(protocol(&a, a.size), 1000, 2_000_001)?;
    let once: ProblemSet = {
        // One goal on each of the 1,000 maps.
        let mut last = usize::MAX;
        let mut set = test.clone();
        set.problems.retain(|p| std::mem::replace(&mut last, p.map) != p.map);
        set
    };
    let report = measure(&once, &greedy(&*last.0, &parameters, &once)?, a.gppn)?;
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
