//! Settings of a trainer.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Settings of a [`Trainer`](super::Trainer).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainerOptions {
    /// Epochs in all, resumed ones included.
    pub epochs: u64,
    /// Of everything random in the steps, as dropout is.
    pub seed: u64,
    /// The greatest norm of all gradients together; longer ones are scaled to it.
    pub clip: Option<f64>,
    /// Where and how often to write checkpoints.
    pub checkpoints: Option<CheckpointOptions>,
    /// Where to write metrics down.
    pub history: Option<HistoryOptions>,
    /// Which metric decides on the best parameters, and when to stop early.
    pub stop: Option<Stop>,
}

/// How checkpoints are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// A folder of this run alone; it is made if it is not there.
    pub folder: PathBuf,
    /// Steps between two checkpoints; 0 for those at the end of each epoch alone.
    pub every: u64,
    /// How many of the newest are kept, at least 2, so that one stays if the newest is damaged.
    pub keep: usize,
}

/// How metrics are written down: a JSON object a line, a line each `every` steps and after each epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryOptions {
    /// The file, of this run alone. With [checkpoints](TrainerOptions::checkpoints) it is cut back to what the one says that the run
    /// resumes from, to nothing if there is none yet; without, one that has lines is refused.
    pub file: PathBuf,
    /// Steps between two lines; 0 for those of the epochs alone.
    pub every: u64,
}

/// What the best parameters are, and how long to wait for better ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The name of a metric of [`Task::evaluate`](super::Task::evaluate), or `loss` for an epoch's mean loss.
    pub metric: String,
    /// Which way is better.
    pub goal: Goal,
    /// End after so many epochs in a row without a better figure; `None` for never.
    pub patience: Option<u64>,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Smaller is better.
    Smallest,
    /// Greater is better.
    Greatest,
}

impl Goal {
    /// Whether `now` is better than the best so far. A figure that is no number never is.
    pub(super) fn is_better(self, now: f64, best: Option<f64>) -> bool {
        match (self, best) {
            (_, None) => !now.is_nan(),
            (Self::Smallest, Some(best)) => now < best,
            (Self::Greatest, Some(best)) => now > best,
        }
    }
}

impl TrainerOptions {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(clip) = self.clip.filter(|clip| !(*clip > 0.0 && clip.is_finite())) {
            let (name, reason) = ("clip", "must be positive");
            return Err(Error::Setting { name, value: clip, reason });
        }
        if let Some(keep) = self.checkpoints.as_ref().map(|c| c.keep).filter(|keep| *keep < 2) {
            let (operation, argument) = ("Trainer", "checkpoints to keep");
            let reason = "must be at least 2, so that one stays if the newest is damaged";
            return Err(Error::Argument { operation, argument, value: keep, reason });
        }
        if self.stop.as_ref().is_some_and(|stop| stop.patience == Some(0)) {
            let (operation, argument, reason) = ("Trainer", "patience", "must be positive");
            return Err(Error::Argument { operation, argument, value: 0, reason });
        }
        Ok(())
    }
}
