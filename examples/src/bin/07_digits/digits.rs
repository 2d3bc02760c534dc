//! The data, the network and how it is trained; the report measures with this same file.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Result as GraphResult, Var};
use pullback_nn::data::{Batch, Dataset, Labelled, Loader, LoaderOptions, npy, strokes};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Linear, MaxPool2d, Sequential};
use pullback_nn::optimizer::{Sgd, SgdOptions};
use pullback_nn::parameters::Bound;
use pullback_nn::train::{
    CheckpointOptions, ConfusionMatrix, Event, Goal, Stop, Task, Trainer, TrainerOptions, predict,
};
use pullback_nn::{Initialization, Layer, Parameters, Result, loss};
use rand::Rng;

/// Where `cargo xtask data digits` puts the real ones.
pub(crate) const FOLDER: &str = "target/data/digits";
const SIDE: usize = 8;

/// The 1797 handwritten digits of UCI, 8×8 pixels from 0 to 1; none if they were not fetched.
pub(crate) fn handwritten() -> Result<Option<Labelled>> {
    let folder = Path::new(FOLDER);
    if !folder.join("images.npy").exists() {
        return Ok(None);
    }
    let (images, labels) =
        (npy::read(folder.join("images.npy"))?, npy::read(folder.join("labels.npy"))?);
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let all = Labelled::new(&images, &labels, classes)?;
    all.map_inputs(|x| x.unsqueeze(1)?.to_dtype(DType::F32)? / 16.0).map(Some)
}

/// As many digits drawn from strokes.
pub(crate) fn drawn() -> Result<Labelled> {
    strokes::digits(180, SIDE, 1)
}

/// Three convolutions and two linear layers: 1×8×8 → 32×8×8 → 32×8×8 → 32×4×4 → 64×4×4 → 128 → 10.
pub(crate) struct Network {
    features: Sequential,
    hidden: Linear,
    head: Linear,
}

impl Network {
    fn new(parameters: &mut Parameters) -> Result<Self> {
        let mut root = parameters.root();
        let mut conv = |name: &str, inputs, outputs| {
            let spec = Conv2dSpec {
                initialization: Initialization::He,
                ..Conv2dSpec::same(inputs, outputs, 3)
            };
            Conv2d::new(&mut root.scope(name), spec.rectified())
        };
        let features = Sequential::new()
            .then(conv("one", 1, 32)?)
            .then(conv("two", 32, 32)?)
            .then(MaxPool2d::default())
            .then(conv("three", 32, 64)?);
        let hidden = Linear::new(&mut root.scope("hidden"), 1024, 128, Initialization::He)?;
        let head = Linear::new(&mut root.scope("head"), 128, 10, Initialization::Xavier)?;
        Ok(Self { features, hidden, head })
    }
}

impl Layer for Network {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> GraphResult<Var<'g>> {
        let x = self.features.forward(parameters, x)?;
        let x = x.reshape(&[x.dims()?[0], 1024]);
        self.head.forward(parameters, self.hidden.forward(parameters, x)?.relu())
    }
}

/// The network, and the digits that it is measured on.
pub(crate) struct Digits {
    network: Network,
    pub(crate) test: Labelled,
}

impl Digits {
    /// Scores (n, 10) of the test digits.
    pub(crate) fn scores(&self, parameters: &Parameters) -> Result<Tensor> {
        predict(&self.network, parameters, self.test.inputs(), 100)
    }
}

impl Task for Digits {
    fn loss<'g>(
        &self,
        graph: &'g Graph,
        parameters: &Bound<'g>,
        batch: &Batch,
    ) -> GraphResult<Var<'g>> {
        let logits = self.network.forward(parameters, graph.constant(&batch.tensors[0]))?;
        Ok(loss::cross_entropy(logits, &batch.tensors[1]).mean(()))
    }

    fn evaluate(&self, parameters: &Parameters) -> Result<BTreeMap<String, f64>> {
        let matrix = ConfusionMatrix::new(&self.scores(parameters)?, self.test.labels())?;
        Ok([("accuracy".to_string(), matrix.accuracy())].into())
    }
}

/// A run over four fifths of the digits, the rest held out; `seed` decides on the split, the parameters and the batches.
pub(crate) fn trainer(
    digits: &Labelled,
    epochs: u64,
    seed: u64,
    folder: Option<PathBuf>,
) -> Result<Trainer<Digits, Sgd>> {
    let [train, test] = digits.split(0.8, seed)?;
    let mut parameters = Parameters::new(seed, DType::F32, &Device::Cpu);
    let task = Digits { network: Network::new(&mut parameters)?, test };
    let loader =
        LoaderOptions { batch: 64, seed, drop_last: true, threads: 1, ..Default::default() };
    let loader = Loader::new(train, loader)?.with_map(|mut tensors, random| {
        tensors[0] = moved(&tensors[0], || random.random_range(-1..=1))?;
        Ok(tensors)
    });
    let steps = (epochs * loader.batches() as u64) as f64;
    let sgd = SgdOptions { learning_rate: 0.05, momentum: 0.9, weight_decay: 5e-4, nesterov: true };
    // No patience and no choice of epochs by the held-out digits: what is reported is the end of the run.
    let stop = Stop { metric: "loss".into(), goal: Goal::Smallest, patience: None };
    let options = TrainerOptions {
        epochs,
        seed,
        clip: Some(5.0),
        checkpoints: folder.map(|folder| CheckpointOptions { folder, every: 0, keep: 2 }),
        stop: Some(stop),
        ..TrainerOptions::default()
    };
    let trainer = Trainer::new(task, parameters, Sgd::new(sgd)?, loader, options)?;
    // Half a cosine from 0.05 to 0, after ten steps of warm-up.
    Ok(trainer.with_schedule(move |step| {
        let step = step as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step / steps).cos());
        0.05 * cosine.max(1e-3) * ((step + 1.0) / 10.0).min(1.0)
    }))
}

/// Each image moved by up to a pixel along each axis: a digit a pixel further is the same digit.
fn moved(images: &Tensor, mut by: impl FnMut() -> i32) -> Result<Tensor> {
    let old: Vec<f32> = images.flatten_all()?.to_vec1()?;
    let mut new = vec![0.0; old.len()];
    for (old, new) in old.chunks(SIDE * SIDE).zip(new.chunks_mut(SIDE * SIDE)) {
        let (dy, dx) = (by(), by());
        for (i, new) in new.iter_mut().enumerate() {
            let (y, x) = ((i / SIDE) as i32 - dy, (i % SIDE) as i32 - dx);
            let inside = 0..SIDE as i32;
            if inside.contains(&y) && inside.contains(&x) {
                *new = old[y as usize * SIDE + x as usize];
            }
        }
    }
    Ok(Tensor::from_vec(new, images.dims(), &Device::Cpu)?)
}

/// The test accuracy at the end of a run that says nothing.
#[allow(dead_code, reason = "the report's")]
pub(crate) fn accuracy(digits: &Labelled, epochs: u64, seed: u64) -> Result<(f64, usize)> {
    let mut trainer = trainer(digits, epochs, seed, None)?;
    let quietly = |_: &Event<'_>| ControlFlow::Continue(());
    trainer.run(quietly)?;
    let accuracy = trainer.task().evaluate(trainer.parameters())?["accuracy"];
    Ok((accuracy, trainer.task().test.len()))
}
