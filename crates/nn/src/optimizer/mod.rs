//! Optimizers: from gradients to new parameters, with a state that can be stored and resumed bit by bit.

mod clip;
mod sgd;

use candle_core::Tensor;

pub use clip::clip_by_norm;
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
    /// [`Error::Setting`](crate::Error::Setting) if it is not positive.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;

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
