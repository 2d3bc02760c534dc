//! Optimizers: from gradients to new parameters, with a state that can be stored and resumed bit by bit.

mod clip;
mod sgd;

pub use clip::clip_by_norm;
pub use sgd::{Sgd, SgdOptions};
