//! A small training run whose ends are compared bit by bit: interrupted, killed, with a full disk, on any number of threads.
//!
//! Shared with `cargo xtask report nn`, so that a figure there and a passing test are the same fact.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::folder::Folder;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Var};
use pullback_nn::data::{Batch, Labelled, Loader, LoaderOptions, strokes};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Linear, MaxPool2d, Sequential};
use pullback_nn::optimizer::{Sgd, SgdOptions};
use pullback_nn::parameters::Bound;
use pullback_nn::train::{
    CheckpointOptions, ConfusionMatrix, Event, Goal, HistoryOptions, Stop, Task, Trainer,
    TrainerOptions, predict,
};
use pullback_nn::{Error, Initialization, Layer, Mode, Parameters, loss};

/// A convolution, noise that depends on the step's seed and a running mean in a buffer, a linear layer.
pub(crate) struct Digits {
    features: Sequential,
    head: Linear,
    mean: String,
    test: Labelled,
}

impl Layer for Digits {
    fn forward<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
    ) -> pullback_core_graph::Result<Var<'g>> {
        let x = self.features.forward(parameters, x)?;
        let x = x.reshape(&[x.dims()?[0], 4 * 5 * 5]);
        let x = match parameters.mode() {
            Mode::Training { seed } => {
                let old = parameters.buffer(&self.mean)?;
                let now = x.mean(()).value()?.reshape(1)?;
                parameters.update(&self.mean, &((old * 0.9)? + (now * 0.1)?)?);
                x * (1.0 + 1e-3 * (seed % 1000) as f64)
            }
            Mode::Evaluation => x,
        };
        self.head.forward(parameters, x)
    }
}

impl Task for Digits {
    fn loss<'g>(
        &self,
        graph: &'g Graph,
        parameters: &Bound<'g>,
        batch: &Batch,
    ) -> pullback_core_graph::Result<Var<'g>> {
        let logits = self.forward(parameters, graph.constant(&batch.tensors[0]))?;
        Ok(loss::cross_entropy(logits, &batch.tensors[1]).mean(()))
    }

    fn evaluate(&self, parameters: &Parameters) -> pullback_nn::Result<BTreeMap<String, f64>> {
        let scores = predict(self, parameters, self.test.inputs(), 50)?;
        let matrix = ConfusionMatrix::new(&scores, self.test.labels())?;
        Ok([("accuracy".to_string(), matrix.accuracy())].into())
    }
}

pub(crate) const EPOCHS: u64 = 4;

pub(crate) fn digits(parameters: &mut Parameters, test: Labelled) -> pullback_nn::Result<Digits> {
    let mut root = parameters.root();
    Ok(Digits {
        features: Sequential::new()
            .then(Conv2d::new(&mut root.scope("stem"), Conv2dSpec::same(1, 4, 3).rectified())?)
            .then(MaxPool2d::default()),
        head: Linear::new(&mut root.scope("head"), 100, 10, Initialization::Xavier)?,
        mean: root.scope("noise").buffer("mean", &[1], 0.0)?,
        test,
    })
}

/// A run in `folder` (none: nothing is written), with so many loading threads.
pub(crate) fn trainer(
    folder: Option<&Path>,
    threads: usize,
) -> pullback_nn::Result<Trainer<Digits, Sgd>> {
    trainer_of(folder, threads, EPOCHS)
}

/// The same with so many epochs.
pub(crate) fn trainer_of(
    folder: Option<&Path>,
    threads: usize,
    epochs: u64,
) -> pullback_nn::Result<Trainer<Digits, Sgd>> {
    trainer_with(folder, threads, |options| options.epochs = epochs)
}

/// The same with other options.
pub(crate) fn trainer_with(
    folder: Option<&Path>,
    threads: usize,
    edit: impl FnOnce(&mut TrainerOptions),
) -> pullback_nn::Result<Trainer<Digits, Sgd>> {
    let all = strokes::digits(24, 10, 1)?;
    let [train, test] = all.split(0.75, 2)?;
    let mut parameters = Parameters::new(3, DType::F32, &Device::Cpu);
    let task = digits(&mut parameters, test)?;
    let loader = LoaderOptions { batch: 16, seed: 4, threads, ahead: 3, ..Default::default() };
    let loader = Loader::new(train, loader)?.with_map(|mut tensors, random| {
        let scale = 0.5 + rand::Rng::random::<f64>(random);
        tensors[0] = (&tensors[0] * scale)?;
        Ok(tensors)
    });
    let sgd = Sgd::new(SgdOptions { momentum: 0.9, weight_decay: 1e-4, ..Default::default() })?;
    let stop = Stop { metric: "accuracy".into(), goal: Goal::Greatest, patience: None };
    let mut options = TrainerOptions {
        epochs: EPOCHS,
        seed: 5,
        clip: Some(1.0),
        checkpoints: folder.map(|f| CheckpointOptions {
            folder: f.join("checkpoints"),
            every: 3,
            keep: 3,
        }),
        history: folder.map(|f| HistoryOptions { file: f.join("history.jsonl"), every: 2 }),
        stop: Some(stop),
    };
    edit(&mut options);
    Ok(Trainer::new(task, parameters, sgd, loader, options)?
        .with_schedule(|step| 0.05 / (1.0 + 0.01 * step as f64)))
}

/// The bits of all parameters and buffers.
pub(crate) fn bits(parameters: &Parameters) -> Vec<u32> {
    let of = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let all = parameters.iter().chain(parameters.buffers());
    all.flat_map(|(_, tensor)| of(tensor)).map(f32::to_bits).collect()
}

pub(crate) fn go_on(_: &Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The bits at the end of a run that is left alone, and its history.
pub(crate) fn undisturbed(threads: usize) -> (Vec<u32>, Vec<u8>) {
    let folder = Folder::new(&format!("undisturbed-{threads}"));
    let mut trainer = trainer(Some(&folder.0), threads).unwrap();
    trainer.run(go_on).unwrap();
    (bits(trainer.parameters()), fs::read(folder.0.join("history.jsonl")).unwrap())
}

/// What the killed process does: resumes, says so, trains to the end, says the bits.
pub(crate) fn child(folder: &Path) {
    let mut to = std::io::stdout();
    let mut trainer = trainer(Some(folder), 1).unwrap();
    let found = trainer.resume().unwrap();
    let step = found.map_or(0, |found| found.step);
    writeln!(to, "\nresumed {step}").unwrap();
    trainer.run(go_on).unwrap();
    writeln!(to, "\nfinished {:?}", bits(trainer.parameters())).unwrap();
}

/// What became of a run that was killed again and again.
#[derive(Default)]
pub(crate) struct Killed {
    /// How often a process was killed before it had finished.
    pub(crate) kills: usize,
    /// From how many different steps one went on.
    pub(crate) places: usize,
    /// Runs that came to their end, killed on the way, and were compared.
    pub(crate) finished: usize,
    /// Runs that ended with other bits, or another history.
    pub(crate) different: usize,
    /// Processes that ended neither with their run nor by a kill.
    pub(crate) crashed: usize,
}

/// Kills `kills` processes that `start` starts for a folder, each a random time after it resumed. A run that comes to its end is
/// compared, and another one begins. A process that crashes ends it all.
pub(crate) fn kill(
    kills: usize,
    seed: u64,
    name: &str,
    start: impl Fn(&Path) -> Command,
) -> Killed {
    let (expected, history) = undisturbed(0);
    let expected = format!("{expected:?}");
    let mut result = Killed::default();
    let mut places = std::collections::BTreeSet::new();
    let mut random = crate::common::values::<f64>(seed, 100 * kills + 100).into_iter();
    while result.crashed == 0 && result.kills < kills {
        let folder = Folder::new(&format!("{name}-{}", result.finished));
        loop {
            let mut child: Child = start(&folder.0).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut wait = |what: &str| {
                let mut found = lines.by_ref().map_while(Result::ok);
                found.find_map(|line| line.strip_prefix(what).map(str::to_string))
            };
            let Some(step) = wait("resumed ") else {
                child.wait().unwrap();
                result.crashed += 1;
                break;
            };
            places.insert(step.parse::<u64>().unwrap());
            let killed = result.kills < kills;
            if killed {
                // Up to about a half of a run.
                let part = (1.0 + random.next().unwrap()) / 2.0;
                std::thread::sleep(Duration::from_micros((12_000.0 * part) as u64));
                child.kill().unwrap();
            }
            // A process that is killed while it says the bits leaves half a line.
            let (end, status) = (wait("finished "), child.wait().unwrap());
            match end.filter(|_| status.success()) {
                Some(end) => {
                    let written = fs::read(folder.0.join("history.jsonl")).unwrap();
                    result.finished += 1;
                    result.different += usize::from(end != expected || written != history);
                    break;
                }
                // Where there are signals, a kill leaves no code.
                None if killed && (status.code().is_none() || cfg!(windows)) => result.kills += 1,
                None => {
                    result.crashed += 1;
                    break;
                }
            }
        }
    }
    result.places = places.len();
    result
}

/// Saves over a whole checkpoint on a disk without room; the error's text if the one before is still whole.
///
/// The temporary file is a link to the device that is always full, so that the error is the true one.
#[cfg(target_os = "linux")]
pub(crate) fn full_disk() -> Result<String, String> {
    let folder = Folder::new("full");
    let mut trainer = trainer(Some(&folder.0), 0).map_err(|e| e.to_string())?;
    let mut seen = 0;
    let result = trainer.run(|event| {
        if let Event::Saved(path) = event {
            seen += 1;
            if seen == 2 {
                for step in 0..100 {
                    let (process, thread) = (std::process::id(), std::thread::current().id());
                    let name = format!("step-{step:012}.safetensors.{process}.{thread:?}.tmp");
                    let link = path.with_file_name(name);
                    std::os::unix::fs::symlink("/dev/full", link).unwrap();
                }
            }
        }
        ControlFlow::Continue(())
    });
    let error = match result {
        Err(error @ Error::Io { .. }) => error.to_string(),
        other => return Err(format!("no error of the disk: {other:?}")),
    };
    let stood = bits(trainer.parameters());
    // With room again, the same trainer goes on, and another one resumes from what was there.
    for entry in fs::read_dir(folder.0.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tmp") {
            fs::remove_file(path).unwrap();
        }
    }
    let found = match trainer.resume() {
        Ok(Some(found)) if found.damaged.is_empty() => found.step,
        other => return Err(format!("the checkpoint before is not whole: {other:?}")),
    };
    trainer.run(go_on).map_err(|e| e.to_string())?;
    let (expected, history) = undisturbed(0);
    let written = fs::read(folder.0.join("history.jsonl")).unwrap();
    if bits(trainer.parameters()) != expected || written != history || stood == expected {
        return Err(format!("resumed from step {found} to other bits"));
    }
    Ok(error)
}

/// Cuts the newest checkpoint at `cuts` places; how many were told and answered with the one before, to the same bits.
pub(crate) fn truncated(cuts: usize) -> (usize, usize) {
    let (folder, mut right) = (Folder::new("cut"), 0);
    let mut all = trainer(Some(&folder.0), 0).unwrap();
    all.run(go_on).unwrap();
    let expected = bits(all.parameters());
    drop(all);
    let checkpoints = folder.0.join("checkpoints");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&checkpoints).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("step-"));
    files.sort();
    let (newest, before) = (files.pop().unwrap(), files.pop().unwrap());
    let whole = fs::read(&newest).unwrap();
    for cut in 0..cuts {
        fs::write(&newest, &whole[..whole.len() * cut / cuts]).unwrap();
        let mut trainer = trainer(Some(&folder.0), 0).unwrap();
        let found = trainer.resume().unwrap().unwrap();
        let told =
            matches!(&found.damaged[..], [(path, Error::Checkpoint { .. })] if *path == newest);
        trainer.run(go_on).unwrap();
        right +=
            usize::from(told && found.path == before && bits(trainer.parameters()) == expected);
    }
    (cuts, right)
}
