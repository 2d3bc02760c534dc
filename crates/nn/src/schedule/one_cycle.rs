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
/// In three phases, the way back to 1/start takes as long as the way up, and the rest goes on to 1/(start·end). The ways meet at step
/// warm_up·steps − 1, which need not be whole, and at twice that: PyTorch's convention. The momentum is left alone, or goes the other
/// way: high where the rate is low.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    steps: u64,
    warm_up: f64,
    start: f64,
    end: f64,
    anneal: Anneal,
    three_phases: bool,
    momentum: Option<[f64; 2]>,
}

impl OneCycle {
    /// `steps` > 1 steps with PyTorch's defaults: 0.3 of them upwards, start 25, end 10⁴, cosines; the momentum left alone.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside this range.
    pub fn new(steps: u64) -> Result<Self> {
        setting("steps", steps as f64, steps > 1, "must be above 1")?;
        let (warm_up, start, end, anneal) = (0.3, 25.0, 1e4, Anneal::Cosine);
        Ok(Self { steps, warm_up, start, end, anneal, three_phases: false, momentum: None })
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

    /// Down as symmetrically as up, and then the rest of the steps to the end.
    #[must_use]
    pub fn three_phases(self) -> Self {
        Self { three_phases: true, ..self }
    }

    /// Lets the momentum (β₁ of Adam) go from `high` down to `low` at the peak of the rate, and back; both in \[0, 1). PyTorch's
    /// defaults are 0.85 and 0.95.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside this range.
    pub fn cycle_momentum(self, low: f64, high: f64) -> Result<Self> {
        for (name, value) in [("low", low), ("high", high)] {
            setting(name, value, (0.0..1.0).contains(&value), "must be in [0, 1)")?;
        }
        Ok(Self { momentum: Some([low, high]), ..self })
    }

    /// Where `step` stands: what goes from corner to corner of `low`, `peak`, `low` again and `last`.
    fn at(&self, step: u64, low: f64, peak: f64, last: f64) -> f64 {
        let end = (self.steps - 1) as f64;
        let (step, top) = ((step as f64).min(end), self.warm_up * self.steps as f64 - 1.0);
        let phases = match self.three_phases {
            true => {
                [(0.0, top, low, peak), (top, 2.0 * top, peak, low), (2.0 * top, end, low, last)]
            }
            false => [(0.0, top, low, peak), (top, end, peak, last), (end, end, last, last)],
        };
        // The first that the step is not behind, else the last.
        let within = |&&(from, to, ..): &&(f64, f64, f64, f64)| step <= to && from < to;
        match phases.iter().find(within) {
            Some(&(from, to, a, b)) => self.anneal.between(a, b, (step - from) / (to - from)),
            None => last,
        }
    }
}

impl Schedule for OneCycle {
    fn factor(&self, step: u64) -> f64 {
        self.at(step, 1.0 / self.start, 1.0, 1.0 / self.start / self.end)
    }

    fn momentum(&self, step: u64) -> Option<f64> {
        self.momentum.map(|[low, high]| self.at(step, high, low, high))
    }
}
