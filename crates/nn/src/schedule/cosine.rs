//! Half waves of a cosine (Loshchilov and Hutter 2017, eq. 5).

use std::f64::consts::PI;

use super::{Schedule, not_negative, positive};
use crate::error::Result;

/// floor + (1 − floor)·½(1 + cos(π·x)): 1 at x = 0, floor at x = 1.
fn wave(floor: f64, x: f64) -> f64 {
    floor + (1.0 - floor) * 0.5 * (1.0 + (PI * x).cos())
}

/// One half wave from 1 to a floor, constant afterwards (where PyTorch's formula would rise again).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    steps: u64,
    floor: f64,
}

impl Cosine {
    /// `floor` ≥ 0 from step `steps` > 0 on; it is a share of the base learning rate.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside these ranges.
    pub fn new(steps: u64, floor: f64) -> Result<Self> {
        positive("steps", steps)?;
        not_negative("floor", floor)?;
        Ok(Self { steps, floor })
    }
}

impl Schedule for Cosine {
    fn factor(&self, step: u64) -> f64 {
        wave(self.floor, step.min(self.steps) as f64 / self.steps as f64)
    }
}

/// Half waves from 1 to a floor, each `growth` times as long as the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineRestarts {
    first: u64,
    growth: u64,
    floor: f64,
}

impl CosineRestarts {
    /// The first half wave takes `first` > 0 steps; growth > 0, floor ≥ 0.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) outside these ranges.
    pub fn new(first: u64, growth: u64, floor: f64) -> Result<Self> {
        positive("first", first)?;
        positive("growth", growth)?;
        not_negative("floor", floor)?;
        Ok(Self { first, growth, floor })
    }
}

impl Schedule for CosineRestarts {
    fn factor(&self, step: u64) -> f64 {
        let (mut within, mut length) = (step, self.first);
        if self.growth == 1 {
            within %= length;
        }
        // At most 64 turns: lengths at least double.
        while within >= length {
            within -= length;
            length = length.saturating_mul(self.growth);
        }
        wave(self.floor, within as f64 / length as f64)
    }
}
