//! Where a run stands, to and from a checkpoint's entries.

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// Everything about a run that is neither parameters nor the optimizer's.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    /// Steps made.
    pub(super) step: u64,
    /// The present epoch.
    pub(super) epoch: u64,
    /// Batches of it that are done.
    pub(super) batch: u64,
    /// The sum of their losses.
    pub(super) loss: f64,
    /// The best figure so far.
    pub(super) best: Option<f64>,
    /// Epochs since.
    pub(super) stale: u64,
    /// Bytes of the history.
    pub(super) history: u64,
}

const PREFIX: &str = "train.";

impl State {
    pub(super) fn store(&self, checkpoint: &mut Checkpoint) {
        let Self { step, epoch, batch, loss, best, stale, history } = self;
        // A float's shortest text gives the same bits back.
        let entries = [
            ("step", step.to_string()),
            ("epoch", epoch.to_string()),
            ("batch", batch.to_string()),
            ("loss", loss.to_string()),
            ("best", best.map_or("none".into(), |best| best.to_string())),
            ("stale", stale.to_string()),
            ("history", history.to_string()),
        ];
        for (name, text) in entries {
            checkpoint.metadata.insert(format!("{PREFIX}{name}"), text);
        }
    }

    pub(super) fn restore(checkpoint: &Checkpoint) -> Result<Self> {
        let name = |name: &str| format!("{PREFIX}{name}");
        let best: String = checkpoint.entry(&name("best"))?;
        let best = match best.as_str() {
            "none" => None,
            text => Some(
                text.parse()
                    .map_err(|_| Error::Entry { name: name("best"), found: Some(best.clone()) })?,
            ),
        };
        Ok(Self {
            step: checkpoint.entry(&name("step"))?,
            epoch: checkpoint.entry(&name("epoch"))?,
            batch: checkpoint.entry(&name("batch"))?,
            loss: checkpoint.entry(&name("loss"))?,
            best,
            stale: checkpoint.entry(&name("stale"))?,
            history: checkpoint.entry(&name("history"))?,
        })
    }
}

/// The seed of a step, from the run's: SplitMix64's finalizer, whose numbers for neighbouring steps are unrelated.
pub(super) fn step_seed(seed: u64, step: u64) -> u64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
