//! To and from checkpoints.

use std::path::PathBuf;

use super::Trainer;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::train::Task;
use crate::train::folder::Found;
use crate::train::history::History;
use crate::train::state::State;

/// What an average's entries in a checkpoint begin with.
const AVERAGE: &str = "average.";

impl<T: Task, O: Optimizer> Trainer<T, O> {
    /// Goes to where the newest checkpoint that is whole stands, and says which newer ones are damaged; `None` if there is no
    /// checkpoint.
    ///
    /// What only steers the steps to come may differ from the earlier run, and is this trainer's from here on: the number of epochs, the
    /// clip, the schedules. The optimizer's settings are the checkpoint's, its learning rate too unless a schedule sets it. With the
    /// same options the run goes on bit by bit.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the options name no folder, all are damaged, or the run is another one: its seed, its data or its batches differ, or one has an
    /// average. What does not fit the parameters or the optimizer. Nothing has changed then.
    pub fn resume(&mut self) -> Result<Option<Found>> {
        let Some(folder) = &self.folder else {
            let reason = "the options name no folder for checkpoints".into();
            return Err(Error::Checkpoint { path: Default::default(), reason });
        };
        let Some(found) = folder.newest()? else { return Ok(None) };
        self.restore(&found.checkpoint).map_err(|error| match error {
            Error::Checkpoint { reason, .. } => {
                Error::Checkpoint { path: found.path.clone(), reason }
            }
            other => other,
        })?;
        Ok(Some(found))
    }

    /// Everything that a run is resumed from.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let history = self.history.as_ref().map_or(self.state.history, History::length);
        self.checkpoint_at(&State { history, ..self.state.clone() })
    }

    pub(super) fn checkpoint_at(&self, state: &State) -> Checkpoint {
        let mut checkpoint = Checkpoint::new();
        self.parameters.store(&mut checkpoint, "model.");
        self.optimizer.store(&mut checkpoint, "optimizer.");
        if let Some(average) = &self.average {
            average.store(&mut checkpoint, AVERAGE);
        }
        state.store(&mut checkpoint);
        checkpoint.metadata.insert("train.run".into(), self.run_text());
        checkpoint
    }

    /// Takes a run back from its checkpoint; on an error nothing has changed.
    ///
    /// # Errors
    /// As [`Trainer::resume`].
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let (made, now): (String, _) = (checkpoint.entry("train.run")?, self.run_text());
        if made != now {
            let reason = format!("it is of a run with {made}; this one has {now}");
            return Err(Error::Checkpoint { path: PathBuf::new(), reason });
        }
        let state = State::restore(checkpoint)?;
        let mut parameters = self.parameters.clone();
        parameters.load(checkpoint, "model.")?;
        let mut average = self.average.clone();
        average.as_mut().map(|average| average.restore(checkpoint, AVERAGE)).transpose()?;
        // Last: it changes nothing unless it succeeds.
        self.optimizer.restore(checkpoint, "optimizer.", &parameters)?;
        (self.parameters, self.average) = (parameters, average);
        (self.state, self.history) = (state, None);
        self.begun = true;
        Ok(())
    }

    /// What must be equal for a resumed run to be the one that was left.
    fn run_text(&self) -> String {
        let o = self.loader.options();
        let averaged = if self.average.is_some() { ", averaged" } else { "" };
        format!(
            "seed {}, {} examples in batches of {}, shuffled {} by seed {}, last one dropped {}{averaged}",
            self.options.seed,
            self.loader.examples(),
            o.batch,
            o.shuffle,
            o.seed,
            o.drop_last
        )
    }
}
