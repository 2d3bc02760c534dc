//! Up once and down once (Smith and Topin 2019).

use std::f64::consts::PI;

use super::{Schedule, setting};
use crate::error::Result;

/// The way between two learning rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anneal {
    /// A half wave of a cosine.
    #[default]
    Cosine,
    /// A line.
    Linear,
}

impl Anneal {
    fn between(self, from: f64, to: f64, x: f64) -> f64 {
        match self {
            Self::Cosine => to + (from - to) * 0.5 * (1.0 + (PI * x).cos()),
            Self::Linear => from + (to - from) * x,
        }
    }
}

/// From 1/start to 1 in a share of the steps, then down to 1/(start·end) at the last; the base learning rate is the peak.
///
/// The two ways meet at step warm_up·steps − 1, which need not be whole: PyTorch's convention. The momentum is left alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    steps: u64,
    warm_up: f64,
    start: f64,
    end: f64,
    anneal: Anneal,
}

impl OneCycle {
    /// `steps` > 1 steps with PyTorch's defaults: 0.3 of them upwards, start 25, end 10⁴, cosines.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside this range.
    pub fn new(steps: u64) -> Result<Self> {
        setting("steps", steps as f64, steps > 1, "must be above 1")?;
        Ok(Self { steps, warm_up: 0.3, start: 25.0, end: 1e4, anneal: Anneal::Cosine })
    }

    /// Another share of the steps for the way up, in [0, 1].
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside this range.
    pub fn warm_up(self, share: f64) -> Result<Self> {
        setting("warm_up", share, (0.0..=1.0).contains(&share), "must be in [0, 1]")?;
        Ok(Self { warm_up: share, ..self })
    }

    /// Other divisors > 0: peak/start at the beginning, that over end at the end.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside this range.
    pub fn divisors(self, start: f64, end: f64) -> Result<Self> {
        setting("start", start, start > 0.0, "must be positive")?;
        setting("end", end, end > 0.0, "must be positive")?;
        Ok(Self { start, end, ..self })
    }

    /// Another way between the rates.
    #[must_use]
    pub fn anneal(self, anneal: Anneal) -> Self {
        Self { anneal, ..self }
    }
}

impl Schedule for OneCycle {
    fn factor(&self, step: u64) -> f64 {
        let (low, lowest) = (1.0 / self.start, 1.0 / self.start / self.end);
        let last = (self.steps - 1) as f64;
        let (step, peak) = ((step as f64).min(last), self.warm_up * self.steps as f64 - 1.0);
        if step <= peak && peak > 0.0 {
            self.anneal.between(low, 1.0, step / peak)
        } else if peak < last {
            self.anneal.between(1.0, lowest, (step - peak) / (last - peak))
        } else {
            1.0
        }
    }
}
