//! Learning rates that fall by a factor.

use super::{Schedule, not_negative, positive};
use crate::error::{Error, Result};

/// γ^⌊step/every⌋.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    every: u64,
    gamma: f64,
}

impl Step {
    /// A fall by γ ≥ 0 after each `every` > 0 steps.
    ///
    /// # Errors
    /// [`Error::Setting`] outside these ranges.
    pub fn new(every: u64, gamma: f64) -> Result<Self> {
        positive("every", every)?;
        not_negative("gamma", gamma)?;
        Ok(Self { every, gamma })
    }
}

impl Schedule for Step {
    fn factor(&self, step: u64) -> f64 {
        self.gamma.powf((step / self.every) as f64)
    }
}

/// γ to the number of milestones that are reached.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiStep {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStep {
    /// A fall by γ ≥ 0 at each of the milestones, which ascend.
    ///
    /// # Errors
    /// [`Error::Setting`] outside this range, or if the milestones are not in order.
    pub fn new(milestones: &[u64], gamma: f64) -> Result<Self> {
        not_negative("gamma", gamma)?;
        if let Some(pair) = milestones.windows(2).find(|w| w[1] < w[0]) {
            let (name, value, reason) = ("milestone", pair[1] as f64, "milestones must ascend");
            return Err(Error::Setting { name, value, reason });
        }
        Ok(Self { milestones: milestones.to_vec(), gamma })
    }
}

impl Schedule for MultiStep {
    fn factor(&self, step: u64) -> f64 {
        self.gamma.powf(self.milestones.partition_point(|&m| m <= step) as f64)
    }
}

/// γ^step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential {
    gamma: f64,
}

impl Exponential {
    /// A fall by 0 ≤ γ ≤ 1 at each step.
    ///
    /// # Errors
    /// [`Error::Setting`] outside this range.
    pub fn new(gamma: f64) -> Result<Self> {
        super::setting("gamma", gamma, (0.0..=1.0).contains(&gamma), "must be in [0, 1]")?;
        Ok(Self { gamma })
    }
}

impl Schedule for Exponential {
    fn factor(&self, step: u64) -> f64 {
        self.gamma.powf(step as f64)
    }
}
