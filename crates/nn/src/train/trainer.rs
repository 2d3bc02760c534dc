//! The loop.

mod resume;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use pullback_core_graph::{Error as GraphError, Graph, Phase};

use super::Task;
use super::folder::CheckpointFolder;
use super::history::{History, Line};
use super::options::TrainerOptions;
use super::state::{State, step_seed};
use crate::data::{Batch, Loader};
use crate::error::{Error, Result};
use crate::optimizer::{ExponentialAverage, Optimizer, clip_by_norm};
use crate::parameters::Parameters;
use crate::schedule::Schedule;

/// Trains the parameters of a task with an optimizer over a loader's batches.
pub struct Trainer<T, O> {
    task: T,
    parameters: Parameters,
    optimizer: O,
    loader: Loader,
    options: TrainerOptions,
    schedule: Option<Box<dyn Fn(u64) -> f64 + Send>>,
    momentum: Option<Box<dyn Fn(u64) -> Option<f64> + Send>>,
    average: Option<ExponentialAverage>,
    folder: Option<CheckpointFolder>,
    history: Option<History>,
    state: State,
    /// Whether it has run, or goes on from a checkpoint.
    begun: bool,
}

/// What [`Trainer::run`] tells while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step is done.
    Step {
        /// Its epoch, from 0.
        epoch: u64,
        /// Steps made since the beginning, this one included.
        step: u64,
        /// Steps of the whole run.
        of: u64,
        /// The batch's loss before the step.
        loss: f64,
        /// The norm of all gradients together, before they were clipped; `None` without clipping.
        norm: Option<f64>,
    },
    /// An epoch is done.
    Epoch {
        /// Its number, from 0.
        epoch: u64,
        /// The mean of its batches' losses.
        loss: f64,
        /// What the task measured.
        metrics: &'a BTreeMap<String, f64>,
        /// Whether the watched metric is the best so far.
        best: bool,
    },
    /// A checkpoint is on disk.
    Saved(&'a std::path::Path),
}

/// Why [`Trainer::run`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Finished,
    /// The watched metric did not become better for as many epochs as it may.
    StoppedEarly,
    /// The callback said so; a checkpoint was written, and the same trainer or another one can go on.
    Interrupted,
}

impl<T: Task, O: Optimizer> Trainer<T, O> {
    /// A run at its beginning. Opens the folder of checkpoints.
    ///
    /// # Errors
    /// A setting outside its range; [`Error::Io`]; [`Error::Checkpoint`] if another trainer holds the folder, in this process or another.
    pub fn new(
        task: T,
        parameters: Parameters,
        optimizer: O,
        loader: Loader,
        options: TrainerOptions,
    ) -> Result<Self> {
        options.check()?;
        let folder = options.checkpoints.as_ref();
        let folder = folder.map(|c| CheckpointFolder::open(&c.folder, c.keep)).transpose()?;
        Ok(Self {
            task,
            parameters,
            optimizer,
            loader,
            options,
            schedule: None,
            momentum: None,
            average: None,
            folder,
            history: None,
            state: State::default(),
            begun: false,
        })
    }

    /// The same with the learning rate `base`·factor(step) at each step, and the momentum (Adam's β₁) where the schedule has one: a
    /// [`Schedule`] such as [`Cosine`](crate::schedule::Cosine) or [`OneCycle`](crate::schedule::OneCycle). The optimizer's own learning
    /// rate does not count then. A base that is negative or not finite is an error of the first step.
    #[must_use]
    pub fn with_scheduled_rate(self, base: f64, schedule: impl Schedule + 'static) -> Self {
        let rates = Arc::new(schedule);
        let momenta = rates.clone();
        Self {
            schedule: Some(Box::new(move |step| base * rates.factor(step))),
            momentum: Some(Box::new(move |step| momenta.momentum(step))),
            ..self
        }
    }

    /// The same with a learning rate for each step, numbered from 0: a function of the number alone, so that there is nothing to
    /// store. For a [`Schedule`] see [`Trainer::with_scheduled_rate`].
    #[must_use]
    pub fn with_schedule(self, schedule: impl Fn(u64) -> f64 + Send + 'static) -> Self {
        Self { schedule: Some(Box::new(schedule)), ..self }
    }

    /// The same with a momentum for each step, Adam's β₁. Of this and [`Trainer::with_scheduled_rate`], the later counts.
    #[must_use]
    pub fn with_momentum(self, momentum: impl Fn(u64) -> f64 + Send + 'static) -> Self {
        Self { momentum: Some(Box::new(move |step| Some(momentum(step)))), ..self }
    }

    /// The same with an average of the parameters that each step takes in. [`Task::evaluate`] gets the average then, so that the best
    /// epoch is the average's; checkpoints have both.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the average is of parameters with other names, shapes or element types.
    pub fn with_average(self, average: ExponentialAverage) -> Result<Self> {
        average.check(&self.parameters)?;
        Ok(Self { average: Some(average), ..self })
    }

    /// Trains until the epochs are done, the metric stops early, or `progress` breaks.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the folder has checkpoints of an earlier run and [`Trainer::resume`] was not called. Those of the
    /// loader, the task and the optimizer, and [`Error::NotFinite`], with the step, for a loss that is not finite: the parameters are
    /// then those of the last good step. [`Error::Io`] if a checkpoint or the history cannot be written; the checkpoints and the
    /// history's lines before are as they were, and the run can go on; or if there are no checkpoints, and the history of an earlier
    /// run is there.
    pub fn run(
        &mut self,
        mut progress: impl FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<Ending> {
        self.begin()?;
        let every = self.options.checkpoints.as_ref().map_or(0, |c| c.every);
        while self.state.epoch < self.options.epochs {
            if self.is_stale() {
                return Ok(Ending::StoppedEarly);
            }
            let batches = self.loader.epoch_from(self.state.epoch, self.state.batch as usize);
            for batch in batches {
                let event = self.step(&batch?)?;
                let flow = progress(&event);
                if flow.is_break() {
                    self.save(&mut progress)?;
                    return Ok(Ending::Interrupted);
                }
                let at_end = self.state.batch as usize == self.loader.batches();
                if self.state.step.is_multiple_of(every) && !at_end {
                    self.save(&mut progress)?;
                }
            }
            let flow = self.end_epoch(&mut progress)?;
            self.save(&mut progress)?;
            if flow.is_break() {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(if self.is_stale() { Ending::StoppedEarly } else { Ending::Finished })
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The parameters, for good; the folder is let go.
    #[must_use]
    pub fn into_parameters(self) -> Parameters {
        self.parameters
    }

    /// Their average, of a trainer [that has one](Trainer::with_average).
    #[must_use]
    pub fn average(&self) -> Option<&Parameters> {
        self.average.as_ref().map(ExponentialAverage::parameters)
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &T {
        &self.task
    }

    /// Steps made since the beginning.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state.step
    }

    /// The best figure of the watched metric so far.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        self.state.best
    }

    /// The file with the parameters of the best epoch, under `model.`, their average under `average.average.`, if there are checkpoints and a watched metric.
    #[must_use]
    pub fn best_checkpoint(&self) -> Option<PathBuf> {
        self.options.stop.as_ref()?;
        self.folder.as_ref().map(CheckpointFolder::best)
    }

    fn is_stale(&self) -> bool {
        let patience = self.options.stop.as_ref().and_then(|stop| stop.patience);
        patience.is_some_and(|patience| self.state.stale >= patience)
    }

    fn begin(&mut self) -> Result<()> {
        let folder = self.folder.as_ref().filter(|_| !self.begun);
        if let Some(step) =
            folder.map(CheckpointFolder::steps).transpose()?.unwrap_or_default().last()
        {
            let path =
                self.options.checkpoints.as_ref().map_or_else(PathBuf::new, |c| c.folder.clone());
            let reason = format!(
                "there are checkpoints of an earlier run, up to step {step}: resume it, or choose another folder"
            );
            return Err(Error::Checkpoint { path, reason });
        }
        if let (Some(options), None) = (&self.options.history, &self.history) {
            let file = options.file.clone();
            // A run with a folder may have been killed before its first checkpoint, and begins again.
            let fresh = !self.begun && self.folder.is_none();
            let open =
                if fresh { History::begin(file) } else { History::open(file, self.state.history) };
            self.history = Some(open?);
        }
        self.begun = true;
        Ok(())
    }

    fn step(&mut self, batch: &Batch) -> Result<Event<'static>> {
        if let Some(schedule) = &self.schedule {
            self.optimizer.set_learning_rate(schedule(self.state.step))?;
        }
        if let Some(momentum) = self.momentum.as_ref().and_then(|of| of(self.state.step)) {
            self.optimizer.set_momentum(momentum)?;
        }
        let graph = Graph::new();
        let seed = step_seed(self.options.seed, self.state.step);
        let bound = self.parameters.bind(&graph).training(seed);
        let made = self
            .task
            .loss(&graph, &bound, batch)
            .and_then(|loss| Ok((loss.to_f64()?, graph.gradient(loss, bound.vars())?)));
        let (value, mut gradients) = made.map_err(|error| self.in_step(error))?;
        let clip = self.options.clip;
        let norm = clip.map(|most| clip_by_norm(&mut gradients, most)).transpose()?;
        let mut next = self.parameters.clone();
        next.apply(&bound)?;
        self.optimizer.step(&mut next, &gradients)?;
        self.average.as_mut().map(|average| average.update(&next)).transpose()?;
        self.parameters = next;
        self.state.step += 1;
        self.state.batch += 1;
        self.state.loss += value;
        let (epoch, step, learning_rate) =
            (self.state.epoch, self.state.step, self.optimizer.learning_rate());
        let every = self.options.history.as_ref().map_or(0, |history| history.every);
        if let Some(history) = self.history.as_mut().filter(|_| step.is_multiple_of(every)) {
            history.write(&Line::Step { epoch, step, loss: value, learning_rate })?;
        }
        let of = self.options.epochs.saturating_mul(self.loader.batches() as u64);
        Ok(Event::Step { epoch, step, of, loss: value, norm })
    }

    /// What is not finite in the step that is being made, with its number.
    fn in_step(&self, error: GraphError) -> Error {
        match error {
            GraphError::NotFinite { node, phase, index, value, .. } => {
                let operation = format!("Trainer, step {}", self.state.step + 1);
                let what = match phase {
                    Phase::Eval => format!("the value at {node}"),
                    _ => format!("a derivative at {node}"),
                };
                Error::NotFinite { operation, what, index, value }
            }
            other => other.into(),
        }
    }

    fn end_epoch(
        &mut self,
        progress: &mut impl FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (epoch, loss) = (self.state.epoch, self.state.loss / self.loader.batches() as f64);
        let metrics = self.task.evaluate(self.average().unwrap_or(&self.parameters))?;
        let mut next = State { epoch: epoch + 1, batch: 0, loss: 0.0, ..self.state.clone() };
        let mut best = false;
        if let Some(stop) = &self.options.stop {
            let figure = match stop.metric.as_str() {
                "loss" => Some(loss),
                name => metrics.get(name).copied(),
            };
            let figure = figure.ok_or_else(|| {
                let known: Vec<_> = metrics.keys().cloned().chain(["loss".into()]).collect();
                let (what, name) = ("metric", stop.metric.clone());
                Error::Name { what, name, known: known.join(", ") }
            })?;
            best = stop.goal.is_better(figure, next.best);
            (next.best, next.stale) =
                if best { (Some(figure), 0) } else { (next.best, next.stale + 1) };
        }
        // What can fail comes before the epoch counts as done, so that it can be tried again.
        if let Some(folder) = self.folder.as_ref().filter(|_| best) {
            folder.save_best(&self.checkpoint_at(&next))?;
        }
        if let Some(history) = &mut self.history {
            let step = next.step;
            history.write(&Line::Epoch { epoch, step, loss, metrics: &metrics })?;
        }
        self.state = next;
        Ok(progress(&Event::Epoch { epoch, loss, metrics: &metrics, best }))
    }

    fn save(&mut self, progress: &mut impl FnMut(&Event<'_>) -> ControlFlow<()>) -> Result<()> {
        if self.folder.is_none() {
            return Ok(());
        }
        if let Some(history) = &mut self.history {
            self.state.history = history.sync()?;
        }
        let checkpoint = self.checkpoint();
        let path =
            self.folder.as_ref().map(|f| f.save(self.state.step, &checkpoint)).transpose()?;
        if let Some(path) = path {
            // A break here would be lost between two steps; the next event can say it again.
            let _ = progress(&Event::Saved(&path));
        }
        Ok(())
    }
}

impl<T, O> std::fmt::Debug for Trainer<T, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trainer({:?}, {:?})", self.state, self.options)
    }
}
