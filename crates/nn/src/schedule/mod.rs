//! Learning rates that change with the step. A schedule is a pure function of the step's number, so the number is all its state.

mod compose;
mod cosine;
mod linear;
mod one_cycle;
mod step;

pub use compose::{Product, Sequence};
pub use cosine::{Cosine, CosineRestarts};
pub use linear::{Constant, Linear, Polynomial};
pub use one_cycle::{Anneal, OneCycle};
pub use step::{Exponential, MultiStep, Step};

use crate::error::{Error, Result};
use crate::optimizer::Optimizer;

/// What the learning rate is multiplied by at a step.
pub trait Schedule: Send + Sync {
    /// The factor at step number `step`, from 0.
    fn factor(&self, step: u64) -> f64;

    /// The momentum (β₁ of Adam) at step number `step`; none leaves the optimizer's own.
    fn momentum(&self, _step: u64) -> Option<f64> {
        None
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn factor(&self, step: u64) -> f64 {
        (**self).factor(step)
    }

    fn momentum(&self, step: u64) -> Option<f64> {
        (**self).momentum(step)
    }
}

/// Gives `optimizer` the learning rate `base`·factor(step), and the momentum if the schedule has one: call it before each step, with
/// the number of steps made so far.
///
/// # Errors
/// [`Error::Setting`] if the rate is negative or not finite, or the momentum not in \[0, 1).
pub fn apply(
    schedule: &dyn Schedule,
    base: f64,
    step: u64,
    optimizer: &mut dyn Optimizer,
) -> Result<()> {
    optimizer.set_learning_rate(base * schedule.factor(step))?;
    schedule.momentum(step).map_or(Ok(()), |momentum| optimizer.set_momentum(momentum))
}

fn setting(name: &'static str, value: f64, fits: bool, reason: &'static str) -> Result<()> {
    if fits && value.is_finite() { Ok(()) } else { Err(Error::Setting { name, value, reason }) }
}

/// A number of steps must be positive.
fn positive(name: &'static str, steps: u64) -> Result<()> {
    setting(name, steps as f64, steps > 0, "must be positive")
}

/// A factor must not be negative.
fn not_negative(name: &'static str, factor: f64) -> Result<()> {
    setting(name, factor, factor >= 0.0, "must be finite and not negative")
}
