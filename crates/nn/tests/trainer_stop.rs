//! Trainer: early stop, the watched metric, averages, and a network with everything that remembers, resumed bit by bit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/folder.rs"]
mod folder;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use folder::Folder;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Result, Var};
use pullback_nn::data::{Batch, Labelled, Loader, LoaderOptions, synthetic};
use pullback_nn::layer::{BatchNorm1d, Dropout, Linear, Sequential};
use pullback_nn::optimizer::{AdamW, AdamWOptions, ExponentialAverage, Group, Sgd, SgdOptions};
use pullback_nn::schedule::OneCycle;
use pullback_nn::train::{
    CheckpointOptions, Ending, Event, Goal, Stop, Task, Trainer, TrainerOptions, predict,
};
use pullback_nn::{Activation, Bound, Checkpoint, Error, Initialization, Layer as _, Parameters};

fn go_on(_: &Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bits(parameters: &Parameters) -> Vec<u64> {
    let all = parameters.iter().chain(parameters.buffers());
    let numbers = all.flat_map(|(_, t)| t.flatten_all().unwrap().to_vec1::<f64>().unwrap());
    numbers.map(f64::to_bits).collect()
}

fn one_number() -> (Parameters, Loader) {
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    parameters.root().parameter("p", &[], Initialization::Constant(1.0)).unwrap();
    let moons = synthetic::two_moons(4, 0.1, 2).unwrap();
    (parameters, Loader::new(moons, LoaderOptions { batch: 4, ..Default::default() }).unwrap())
}

/// ½p², and after epoch i the figure i of a list.
struct Figures(Mutex<VecDeque<f64>>);

impl Task for Figures {
    fn loss<'g>(&self, _: &'g Graph, parameters: &Bound<'g>, _: &Batch) -> Result<Var<'g>> {
        (0.5 * parameters.get("p")?.sqr()).ok()
    }

    fn evaluate(&self, _: &Parameters) -> pullback_nn::Result<BTreeMap<String, f64>> {
        let figure = self.0.lock().unwrap().pop_front().expect("no more epochs than figures");
        Ok([("figure".to_string(), figure)].into())
    }
}

/// A run of at most as many epochs as there are figures.
fn watched(
    figures: &[f64],
    metric: &str,
    goal: Goal,
    patience: Option<u64>,
    folder: Option<&Path>,
) -> pullback_nn::Result<Trainer<Figures, Sgd>> {
    let (parameters, loader) = one_number();
    let checkpoints =
        folder.map(|folder| CheckpointOptions { folder: folder.into(), every: 0, keep: 2 });
    let options = TrainerOptions {
        epochs: figures.len() as u64,
        checkpoints,
        stop: Some(Stop { metric: metric.into(), goal, patience }),
        ..Default::default()
    };
    let sgd = Sgd::new(SgdOptions { learning_rate: 0.1, ..Default::default() })?;
    let task = Figures(Mutex::new(figures.to_vec().into()));
    Trainer::new(task, parameters, sgd, loader, options)
}

#[test]
fn a_run_ends_after_as_many_epochs_without_a_better_figure_as_it_has_patience() {
    const NAN: f64 = f64::NAN;
    let up = [0.1, 0.3, 0.2, 0.3, 0.4, 0.4, 0.1, 0.5];
    // Equal is not better, and what is no number neither.
    for (figures, goal, patience, epochs, best) in [
        (&up[..], Goal::Greatest, Some(1), 3, Some(0.3)),
        (&up, Goal::Greatest, Some(2), 4, Some(0.3)),
        (&up, Goal::Greatest, Some(3), 8, Some(0.5)),
        (&up, Goal::Greatest, None, 8, Some(0.5)),
        (&up, Goal::Smallest, Some(3), 4, Some(0.1)),
        (&[NAN, NAN, NAN, 1.0], Goal::Smallest, Some(2), 2, None),
        (&[NAN, 2.0, NAN, 1.0, 3.0], Goal::Smallest, Some(2), 5, Some(1.0)),
    ] {
        let mut trainer = watched(figures, "figure", goal, patience, None).unwrap();
        let (mut seen, mut bests) = (0, vec![]);
        let ending = trainer.run(|event| {
            if let Event::Epoch { epoch, best, .. } = event {
                seen += 1;
                bests.extend(best.then_some(*epoch as usize));
            }
            ControlFlow::Continue(())
        });
        let early = epochs < figures.len();
        let expected = if early { Ending::StoppedEarly } else { Ending::Finished };
        assert_eq!((ending.unwrap(), seen), (expected, epochs), "{figures:?}, {patience:?}");
        assert_eq!((trainer.best(), trainer.steps()), (best, 2 * epochs as u64));
        assert_eq!(bests.last().map(|&epoch| figures[epoch]), best, "{figures:?}, {patience:?}");
    }
}

#[test]
fn a_run_that_stopped_early_stays_so_when_it_is_resumed() {
    let folder = Folder::new("stale");
    let figures = [0.5, 0.4, 0.3, 0.6, 0.2];
    let make = |patience| watched(&figures, "figure", Goal::Greatest, patience, Some(&folder.0));
    let mut first = make(Some(2)).unwrap();
    assert_eq!(first.run(go_on).unwrap(), Ending::StoppedEarly);
    assert_eq!((first.steps(), first.best()), (6, Some(0.5)));
    // The best epoch is the first one: two steps, p = 0.9².
    let best = Checkpoint::load(first.best_checkpoint().unwrap()).unwrap();
    assert!((best.tensors["model.p"].to_scalar::<f64>().unwrap() - 0.81).abs() < 1e-15);
    drop(first);
    let mut second = make(Some(2)).unwrap();
    assert_eq!(second.resume().unwrap().unwrap().step, 6);
    assert_eq!(second.run(go_on).unwrap(), Ending::StoppedEarly);
    assert_eq!((second.steps(), second.best()), (6, Some(0.5)));
    drop(second);
    // With more patience it goes on from there.
    let mut third = make(Some(5)).unwrap();
    third.resume().unwrap();
    assert_eq!(third.run(go_on).unwrap(), Ending::Finished);
    assert_eq!((third.steps(), third.best()), (10, Some(0.5)));
}

#[test]
fn the_loss_can_be_watched_and_metrics_that_are_not_there_are_told() {
    let mut trainer = watched(&[0.0; 3], "loss", Goal::Smallest, Some(1), None).unwrap();
    assert_eq!(trainer.run(go_on).unwrap(), Ending::Finished);
    // Mean of ½p² before the steps five and six: p = 0.9⁴, 0.9⁵.
    let expected = 0.25 * (0.9f64.powi(8) + 0.9f64.powi(10));
    assert!((trainer.best().unwrap() - expected).abs() < 1e-15);

    let mut trainer = watched(&[0.0; 3], "accuracy", Goal::Greatest, None, None).unwrap();
    let error = trainer.run(go_on).unwrap_err();
    assert!(matches!(&error, Error::Name { .. }), "{error}");
    for name in ["accuracy", "figure", "loss"] {
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = watched(&[0.0], "figure", Goal::Greatest, Some(0), None).unwrap_err();
    assert!(error.to_string().contains("patience"), "{error}");
}

/// A batch norm's statistics, dropout, a schedule of rates and momenta, groups, an average: all that a step depends on.
struct Moons {
    network: Sequential,
    test: Labelled,
}

impl Task for Moons {
    fn loss<'g>(&self, graph: &'g Graph, p: &Bound<'g>, batch: &Batch) -> Result<Var<'g>> {
        let logits = self.network.forward(p, graph.constant(&batch.tensors[0]))?;
        Ok(pullback_nn::loss::cross_entropy(logits, &batch.tensors[1]).mean(()))
    }

    fn evaluate(&self, parameters: &Parameters) -> pullback_nn::Result<BTreeMap<String, f64>> {
        let scores = predict(&self.network, parameters, self.test.inputs(), 64)?;
        let sum = scores.sqr()?.sum_all()?.to_scalar::<f64>()?;
        Ok([("scores".to_string(), sum)].into())
    }
}

fn moons(folder: Option<&Path>, averaged: bool) -> Trainer<Moons, AdamW> {
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let mut root = parameters.root();
    let network = Sequential::new()
        .then(Linear::new(&mut root.scope("hidden"), 2, 8, Initialization::Xavier).unwrap())
        .then(BatchNorm1d::new(&mut root.scope("norm"), 8, Default::default()).unwrap())
        .then(Activation::Gelu)
        .then(Dropout::new(&root.scope("dropout"), 0.3).unwrap())
        .then(Linear::new(&mut root.scope("logits"), 8, 2, Initialization::Xavier).unwrap());
    let all = synthetic::two_moons(60, 0.1, 2).unwrap();
    let [train, test] = all.map_inputs(|x| x.to_dtype(DType::F64)).unwrap().split(0.8, 3).unwrap();
    let optimizer = AdamW::new(AdamWOptions::default()).unwrap();
    let optimizer = optimizer.with_groups(vec![Group::biases().weight_decay(0.0)]).unwrap();
    let loader = LoaderOptions { batch: 20, seed: 7, ..Default::default() };
    let loader = Loader::new(train, loader).unwrap();
    let cycle = OneCycle::new(6 * loader.batches() as u64).unwrap().cycle_momentum(0.85, 0.95);
    let options = TrainerOptions {
        epochs: 6,
        seed: 11,
        checkpoints: folder.map(|f| CheckpointOptions { folder: f.into(), every: 1, keep: 2 }),
        stop: Some(Stop { metric: "scores".into(), goal: Goal::Greatest, patience: None }),
        ..Default::default()
    };
    let average = ExponentialAverage::new(0.9, &parameters).unwrap().with_warm_up();
    let trainer =
        Trainer::new(Moons { network, test }, parameters, optimizer, loader, options).unwrap();
    let trainer = trainer.with_scheduled_rate(0.05, cycle.unwrap());
    if averaged { trainer.with_average(average).unwrap() } else { trainer }
}

#[test]
fn a_run_with_all_that_remembers_is_the_same_after_a_stop_at_any_step() {
    let mut alone = moons(None, true);
    let mut steps = 0;
    let mut expected = ExponentialAverage::new(0.9, alone.parameters()).unwrap().with_warm_up();
    // Break at each step, to average by hand beside the trainer.
    while alone.run(|_| ControlFlow::Break(())).unwrap() == Ending::Interrupted {
        if alone.steps() > steps {
            steps = alone.steps();
            expected.update(alone.parameters()).unwrap();
        }
    }
    let average = alone.average().unwrap();
    assert_eq!(bits(average), bits(expected.parameters()));
    assert_ne!(bits(average), bits(alone.parameters()));
    let figure = |p: &Parameters| alone.task().evaluate(p).unwrap()["scores"];

    let folder = Folder::new("remembers");
    for stop in 1..=steps {
        let mut trainer = moons(Some(&folder.0), true);
        assert_eq!(trainer.resume().unwrap().map_or(0, |found| found.step), stop - 1);
        let _ = trainer.run(|event| match event {
            Event::Step { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!(trainer.steps(), stop);
    }
    let mut last = moons(Some(&folder.0), true);
    last.resume().unwrap();
    assert_eq!(last.run(go_on).unwrap(), Ending::Finished);
    assert_eq!(bits(last.parameters()), bits(alone.parameters()));
    assert_eq!(bits(last.average().unwrap()), bits(average));
    assert_eq!(last.best(), alone.best());
    // The best epoch is the average's.
    let best = Checkpoint::load(last.best_checkpoint().unwrap()).unwrap();
    let mut parameters = last.parameters().clone();
    parameters.load(&best, "average.average.").unwrap();
    assert_eq!(Some(figure(&parameters)), last.best());
    drop(last);

    // Neither side may have an average without the other.
    let error = moons(Some(&folder.0), false).resume().unwrap_err();
    assert!(matches!(&error, Error::Checkpoint { reason, .. } if reason.contains("averaged")));
    let plain = moons(None, false).checkpoint();
    assert!(matches!(moons(None, true).restore(&plain), Err(Error::Checkpoint { .. })));
}

#[test]
fn an_average_of_other_parameters_is_refused() {
    let mut other = Parameters::new(1, DType::F64, &Device::Cpu);
    other.root().parameter("q", &[], Initialization::Constant(1.0)).unwrap();
    let of = |parameters: &Parameters| ExponentialAverage::new(0.5, parameters).unwrap();
    let trainer = || watched(&[0.0], "figure", Goal::Greatest, None, None).unwrap();
    let refused = |average| matches!(trainer().with_average(average), Err(Error::Parameter { .. }));
    assert!(refused(of(&other)));
    let mut single = Parameters::new(1, DType::F32, &Device::Cpu);
    single.root().parameter("p", &[], Initialization::Constant(1.0)).unwrap();
    assert!(refused(of(&single)));
    let mut long = Parameters::new(1, DType::F64, &Device::Cpu);
    long.root().parameter("p", &[2], Initialization::Constant(1.0)).unwrap();
    assert!(refused(of(&long)));
    let (same, _) = one_number();
    let mut trainer = trainer().with_average(of(&same)).unwrap();
    trainer.run(go_on).unwrap();
    // p = 0.9, 0.81; the average 0.95, 0.88.
    let average: &Tensor = trainer.average().unwrap().get("p").unwrap();
    assert!((average.to_scalar::<f64>().unwrap() - 0.88).abs() < 1e-15);
}
