//! A moving average of the parameters, which often generalizes better than the last of them.

use candle_core::Tensor;
use pullback_core_graph::tensor::{Real, from_vec, with_slice};
use pullback_core_graph::with_real;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// a ← a + (1 − d)·(p − a) after each step, elementwise (Polyak and Juditsky 1992, with exponential weights). Buffers are copied.
#[derive(Debug, Clone)]
pub struct ExponentialAverage {
    decay: f64,
    warm_up: bool,
    average: Parameters,
    updates: u64,
}

impl ExponentialAverage {
    /// An average that begins at `parameters`; 0 ≤ d < 1.
    ///
    /// # Errors
    /// [`Error::Setting`] if the decay is outside its range.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            let (name, reason) = ("decay", "must be in [0, 1)");
            return Err(Error::Setting { name, value: decay, reason });
        }
        Ok(Self { decay, warm_up: false, average: parameters.clone(), updates: 0 })
    }

    /// The same with d = min(decay, (1 + t)/(10 + t)) at update t from 0: early parameters are forgotten faster.
    #[must_use]
    pub fn with_warm_up(self) -> Self {
        Self { warm_up: true, ..self }
    }

    /// The averaged parameters, with the buffers of the last update.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.average
    }

    /// Are these parameters like those of the average?
    pub(crate) fn check(&self, parameters: &Parameters) -> Result<()> {
        if parameters.names() != self.average.names() {
            let what = "the parameters to average have other names".into();
            return Err(Error::Parameter { name: String::new(), what });
        }
        let mut pairs = self.average.iter().zip(parameters.iter());
        pairs.try_for_each(|((name, a), (_, p))| crate::parameters::check_like(name, a, p))
    }

    /// Takes in the parameters after a step; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Parameter`] if a name, a shape or an element type differs.
    pub fn update(&mut self, parameters: &Parameters) -> Result<()> {
        self.check(parameters)?;
        let t = self.updates as f64;
        let decay = if self.warm_up { self.decay.min((1.0 + t) / (10.0 + t)) } else { self.decay };
        let mut next = self.average.clone();
        for ((name, a), (_, p)) in self.average.iter().zip(parameters.iter()) {
            let moved = with_real!(name, a.dtype(), T => toward::<T>(a, p, T::lit(1.0 - decay)))?;
            next.set(name, &moved)?;
        }
        for (name, buffer) in parameters.buffers() {
            next.set_buffer(name, buffer)?;
        }
        (self.average, self.updates) = (next, self.updates + 1);
        Ok(())
    }

    /// Puts settings and average into a checkpoint, under `prefix`.
    pub fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        self.average.store(checkpoint, &format!("{prefix}average."));
        let entries = [
            ("decay", self.decay.to_string()),
            ("warm_up", self.warm_up.to_string()),
            ("updates", self.updates.to_string()),
        ];
        for (name, text) in entries {
            checkpoint.metadata.insert(format!("{prefix}{name}"), text);
        }
    }

    /// Takes settings and average back; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Entry`], [`Error::Setting`], [`Error::Parameter`].
    pub fn restore(&mut self, checkpoint: &Checkpoint, prefix: &str) -> Result<()> {
        let mut next = Self::new(checkpoint.entry(&format!("{prefix}decay"))?, &self.average)?;
        next.warm_up = checkpoint.entry(&format!("{prefix}warm_up"))?;
        next.updates = checkpoint.entry(&format!("{prefix}updates"))?;
        next.average.load(checkpoint, &format!("{prefix}average."))?;
        *self = next;
        Ok(())
    }
}

/// a + w·(p − a).
fn toward<T: Real>(a: &Tensor, p: &Tensor, w: T) -> pullback_core_graph::Result<Tensor> {
    let mixed = with_slice::<T, _>(a, |a| {
        with_slice::<T, _>(p, |p| {
            a.iter().zip(p).map(|(&a, &p)| a + w * (p - a)).collect::<Vec<T>>()
        })
    })??;
    from_vec(mixed, a.dims(), a.device())
}
