//! Learning rates that rise or fall along a line or a power of it.

use super::{Schedule, not_negative, positive};
use crate::error::Result;

/// The same factor at every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant(
    /// The factor.
    pub f64,
);

impl Schedule for Constant {
    fn factor(&self, _: u64) -> f64 {
        self.0
    }
}

/// From one factor to another in a number of steps, constant afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    from: f64,
    to: f64,
    steps: u64,
}

impl Linear {
    /// `from` ≥ 0 at step 0, `to` ≥ 0 from step `steps` > 0 on.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside these ranges.
    pub fn new(from: f64, to: f64, steps: u64) -> Result<Self> {
        not_negative("from", from)?;
        not_negative("to", to)?;
        positive("steps", steps)?;
        Ok(Self { from, to, steps })
    }

    /// The warm-up from `from` to 1 in `steps` steps (Goyal et al. 2017, section 2.2).
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn warm_up(from: f64, steps: u64) -> Result<Self> {
        Self::new(from, 1.0, steps)
    }
}

impl Schedule for Linear {
    fn factor(&self, step: u64) -> f64 {
        if step >= self.steps {
            return self.to;
        }
        self.from + (self.to - self.from) * (step as f64 / self.steps as f64)
    }
}

/// (1 − step/steps)^power, 0 afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Polynomial {
    steps: u64,
    power: f64,
}

impl Polynomial {
    /// A fall to 0 in `steps` > 0 steps, by a power ≥ 0.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside these ranges.
    pub fn new(steps: u64, power: f64) -> Result<Self> {
        positive("steps", steps)?;
        not_negative("power", power)?;
        Ok(Self { steps, power })
    }
}

impl Schedule for Polynomial {
    fn factor(&self, step: u64) -> f64 {
        if step >= self.steps {
            return 0.0;
        }
        (1.0 - step as f64 / self.steps as f64).powf(self.power)
    }
}
