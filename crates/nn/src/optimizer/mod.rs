//! Optimizers: from gradients to new parameters, with a state that can be stored and resumed bit by bit.

mod adam;
mod average;
mod clip;
mod descent;
mod gauss_newton;
mod group;
mod lanczos;
mod lbfgs;
mod line_search;
mod minimize;
mod newton;
mod objective;
mod rms_prop;
mod rule;
mod sgd;
mod vector;

use candle_core::Tensor;

pub use adam::{Adam, AdamOptions, AdamW, AdamWOptions};
pub use average::ExponentialAverage;
pub use clip::{clip_by_norm, clip_by_value};
pub use descent::Descent;
pub use gauss_newton::{GaussNewton, GaussNewtonOptions};
pub use group::Group;
pub use lbfgs::{Lbfgs, LbfgsOptions};
pub use minimize::{Minimizer, Outcome, Progress, Status, minimize};
pub use newton::{Newton, NewtonOptions, SaddleFreeNewton};
pub use objective::{Curvature, Objective};
pub use rms_prop::{RmsProp, RmsPropOptions};
pub use rule::{Rule, Setting};
pub use sgd::{Sgd, SgdOptions};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::parameters::Parameters;

/// An optimizer that needs nothing but the gradient.
pub trait Optimizer: Send {
    /// Moves the parameters along `gradients`, which are in the order of the parameters' names; on an error nothing has changed.
    ///
    /// # Errors
    /// A gradient of another shape or element type, or that is not finite; a parameter that would not be finite.
    fn step(&mut self, parameters: &mut Parameters, gradients: &[Tensor]) -> Result<()>;

    /// The learning rate η.
    fn learning_rate(&self) -> f64;

    /// Changes the learning rate: for schedules.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if it is negative or not finite; a schedule may end at 0.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;

    /// Changes the momentum, Adam's β₁: for schedules.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if it is not in \[0, 1), or the method has none.
    fn set_momentum(&mut self, momentum: f64) -> Result<()>;

    /// Puts settings and state into a checkpoint, under `prefix`.
    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str);

    /// Takes settings and state back; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Entry`](crate::Error::Entry) if an entry is missing or unreadable,
    /// [`Error::Setting`](crate::Error::Setting) if a setting is outside its range,
    /// [`Error::Parameter`](crate::Error::Parameter) if state belongs to no parameter or has another shape.
    fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<()>;
}
