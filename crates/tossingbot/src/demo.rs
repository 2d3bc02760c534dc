//! The main job as a resumable sequence: train every method, evaluate them together, identify gravity, write the page.
//!
//! All state is in one folder. A checkpoint is written every few seconds; whatever kills the process, the next one goes on from the last
//! checkpoint and ends with the same bits. Nothing is printed here: [`Demo::advance`] tells what happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::{broken, fingerprint, io, read, replace};
use crate::attempt::World;
use crate::error::Result;
use crate::evaluate::{Evaluation, Pilot, SceneRecord, Trial, groups};
use crate::method::Method;
use crate::objects::ObjectModel;
use crate::preset::Preset;
use crate::report;
use crate::train::{Progress, Setup, Trainer};

/// Scenes that are evaluated in one step.
const SCENES_PER_STEP: usize = 20;
/// Most groups of objects that are evaluated apart.
const MOST_GROUPS: usize = 6;
/// Seed of the evaluation's scenes, the same whatever the training's seed: figures of several seeds are comparable.
pub const EVALUATION_SEED: u64 = 20_261_123;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sizes and schedules.
    pub preset: Preset,
    /// The world.
    pub world: World,
    /// What bins are filled with.
    pub catalogue: Vec<Arc<ObjectModel>>,
    /// Master seed of the training.
    pub seed: u64,
    /// Where everything is kept.
    pub folder: PathBuf,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// A training step of the `index`-th method.
    Trained {
        /// The method.
        method: Method,
        /// Its position among the methods.
        index: usize,
        /// How far it has come.
        progress: Progress,
    },
    /// Some evaluation scenes.
    Evaluated {
        /// Scenes done.
        done: usize,
        /// Scenes in all.
        of: usize,
    },
    /// The page was written: nothing is left to do.
    Finished,
}

/// The job.
pub struct Demo {
    plan: Plan,
    trainers: Vec<Trainer>,
    current: usize,
    since_checkpoint: usize,
    records: Vec<SceneRecord>,
    seconds: f64,
    finished: bool,
}

/// What is kept beside the checkpoints: the evaluation as far as it has come, and the time spent.
#[derive(Debug, Serialize, Deserialize)]
struct Notes {
    fingerprint: String,
    seconds: f64,
    records: Vec<SceneRecord>,
}

impl Plan {
    fn setup(&self, method: Method) -> Setup {
        Setup {
            preset: self.preset.clone(),
            world: self.world.clone(),
            catalogue: self.catalogue.clone(),
            method,
            seed: self.seed,
        }
    }

    /// The checkpoint of a method.
    pub fn checkpoint(&self, method: Method) -> PathBuf {
        self.folder.join(format!("{}.checkpoint", method.name()))
    }

    /// Where the page is written.
    pub fn page(&self) -> PathBuf {
        self.folder.join("index.html")
    }

    fn notes(&self) -> PathBuf {
        self.folder.join("progress.json")
    }

    /// A fingerprint of everything that determines the job's result.
    pub fn fingerprint(&self) -> String {
        let all: Vec<String> = Method::ALL.iter().map(|&m| self.setup(m).fingerprint()).collect();
        fingerprint(all.concat().as_bytes())
    }

    /// The evaluation's scenes.
    pub fn trial(&self) -> Trial {
        Trial {
            groups: groups(&self.catalogue, MOST_GROUPS),
            scenes: self.preset.evaluation,
            workspace: self.preset.workspace,
            objects: self.preset.objects,
            seed: EVALUATION_SEED,
        }
    }
}

impl Demo {
    /// Begins from nothing; what an earlier job left in the folder is removed.
    ///
    /// # Errors
    /// `Io`, and those of [`Trainer::new`].
    pub fn start(plan: Plan) -> Result<Self> {
        let leftovers = Method::ALL.iter().map(|&m| plan.checkpoint(m));
        for path in leftovers.chain([plan.notes(), plan.page()]) {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&path, &e)),
                _ => {}
            }
        }
        Self::resume(plan)
    }

    /// Goes on from the checkpoints in the folder; begins where there are none.
    ///
    /// # Errors
    /// `Io`; `Checkpoint` for files that are damaged or belong to another plan; those of [`Trainer::new`].
    pub fn resume(plan: Plan) -> Result<Self> {
        let trainers: Result<Vec<Trainer>> = Method::ALL
            .iter()
            .map(|&method| {
                let (setup, path) = (plan.setup(method), plan.checkpoint(method));
                if path.exists() { Trainer::load(setup, &path) } else { Trainer::new(setup) }
            })
            .collect();
        let trainers = trainers?;
        let (records, seconds) = match read(&plan.notes()) {
            Ok(bytes) => {
                let notes: Notes = serde_json::from_slice(&bytes)
                    .map_err(|e| broken(&plan.notes(), e.to_string()))?;
                if notes.fingerprint == plan.fingerprint() {
                    (notes.records, notes.seconds)
                } else {
                    (Vec::new(), 0.0)
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => (Vec::new(), 0.0),
            Err(e) => return Err(io(&plan.notes(), &e)),
        };
        let current = trainers.iter().position(|t| !t.is_done()).unwrap_or(trainers.len());
        Ok(Self { plan, trainers, current, since_checkpoint: 0, records, seconds, finished: false })
    }

    /// What is being done.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The training runs, in the order of [`Method::ALL`].
    pub fn trainers(&self) -> &[Trainer] {
        &self.trainers
    }

    /// Seconds spent on the job, over all processes that worked on it.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Work done and work in all, of all parts, for a progress bar.
    pub fn position(&self) -> (usize, usize) {
        let curriculum = &self.plan.preset.curriculum;
        // An attempt without a network costs next to nothing.
        let work = |step: usize| step - step.min(curriculum.collect) * 49 / 50;
        let done: usize = self.trainers.iter().map(|t| work(t.steps_done())).sum();
        let scenes = self.plan.preset.evaluation;
        (done + self.records.len(), work(curriculum.steps()) * self.trainers.len() + scenes)
    }

    /// Does the next piece of work and says what it was.
    ///
    /// # Errors
    /// Those of training, evaluation, files.
    pub fn advance(&mut self) -> Result<Event> {
        let clock = std::time::Instant::now();
        let event = self.work();
        self.seconds += clock.elapsed().as_secs_f64();
        event
    }

    fn work(&mut self) -> Result<Event> {
        if let Some(trainer) = self.trainers.get_mut(self.current) {
            let index = self.current;
            let method = trainer.setup().method;
            let progress = trainer.advance()?;
            let done = trainer.is_done();
            self.since_checkpoint += 1;
            if done || self.since_checkpoint >= self.plan.preset.curriculum.checkpoint {
                self.checkpoint()?;
            }
            if done {
                self.current += 1;
            }
            return Ok(Event::Trained { method, index, progress });
        }
        let of = self.plan.preset.evaluation;
        if self.records.len() < of {
            let first = self.records.len();
            let pilots: Vec<&dyn Pilot> =
                self.trainers.iter().map(|t| t.model() as &dyn Pilot).collect();
            let range = first..(first + SCENES_PER_STEP).min(of);
            self.records.extend(self.plan.trial().run(&self.plan.world, &pilots, range)?);
            if self.records.len() == of {
                self.checkpoint()?;
            }
            return Ok(Event::Evaluated { done: self.records.len(), of });
        }
        if !self.finished {
            let page = report::page(self)?;
            replace(&self.plan.page(), page.as_bytes())?;
            self.finished = true;
        }
        Ok(Event::Finished)
    }

    /// Writes the state to the disk now, atomically. [`Demo::advance`] does so often enough by itself; call it before leaving early.
    ///
    /// # Errors
    /// `Io`.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.since_checkpoint = 0;
        if let Some(trainer) = self.trainers.get(self.current) {
            trainer.save(&self.plan.checkpoint(trainer.setup().method))?;
        }
        let notes = Notes {
            fingerprint: self.plan.fingerprint(),
            seconds: self.seconds,
            records: self.records.clone(),
        };
        let text =
            serde_json::to_vec(&notes).map_err(|e| broken(&self.plan.notes(), e.to_string()))?;
        replace(&self.plan.notes(), &text)
    }

    /// The evaluation, as far as it has come.
    pub fn evaluation(&self) -> Evaluation {
        Evaluation {
            methods: self.trainers.iter().map(|t| t.setup().method).collect(),
            groups: self.plan.trial().groups.into_iter().map(|group| group.name).collect(),
            records: self.records.clone(),
        }
    }
}

/// Whether a folder holds a job that can be resumed.
pub fn resumable(folder: &Path) -> bool {
    let checkpoint = |m: &Method| folder.join(format!("{}.checkpoint", m.name())).exists();
    folder.join("progress.json").exists() || Method::ALL.iter().any(checkpoint)
}
