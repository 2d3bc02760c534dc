//! Layers, seeded parameters, losses, optimizers, checkpoints, and fast convolution on the CPU.
#![doc = include_str!("../README.md")]

pub mod checkpoint;
pub mod error;
pub mod kernel;
pub mod layer;
pub mod loss;
pub mod ops;
pub mod optimizer;
pub mod parameters;
pub mod schedule;

pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use layer::Layer;
pub use optimizer::Optimizer;
pub use parameters::{Bound, Initialization, Mode, Parameters};
