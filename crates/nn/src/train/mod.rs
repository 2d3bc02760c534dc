//! Training: steps over a loader's batches, evaluated, written down, stopped early, and resumed bit by bit after any end.
//!
//! Everything random in a step depends on the seed and the step's number alone, and everything else is in the checkpoint: a run
//! that was killed at any moment and resumed ends with the same bits as one that was left alone, for any number of threads.

mod folder;
mod history;
mod measure;
mod options;
mod state;
mod trainer;

use std::collections::BTreeMap;

use pullback_core_graph::{Graph, Var};

pub use folder::{CheckpointFolder, Found};
pub use measure::{ConfusionMatrix, predict};
pub use options::{CheckpointOptions, Goal, HistoryOptions, Stop, TrainerOptions};
pub use trainer::{Ending, Event, Trainer};

use crate::data::Batch;
use crate::error::Result;
use crate::parameters::{Bound, Parameters};

/// What a [`Trainer`] makes smaller.
pub trait Task {
    /// The loss of a batch, one number, recorded on `graph`. The batch is where the loader made it: with parameters on another device, move
    /// its tensors there first.
    ///
    /// # Errors
    /// Those of the network; a batch that is not what the task expects.
    fn loss<'g>(
        &self,
        graph: &'g Graph,
        parameters: &Bound<'g>,
        batch: &Batch,
    ) -> pullback_core_graph::Result<Var<'g>>;

    /// Figures by name after an epoch, as of accuracy on held-out examples. By default none.
    ///
    /// # Errors
    /// Those of the network.
    fn evaluate(&self, _parameters: &Parameters) -> Result<BTreeMap<String, f64>> {
        Ok(BTreeMap::new())
    }
}
