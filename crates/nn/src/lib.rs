//! Layers, seeded parameters, losses, optimizers, checkpoints, and fast convolution on the CPU.
#![doc = include_str!("../README.md")]

pub mod activation;
pub mod arithmetic;
pub mod checkpoint;
pub mod data;
pub mod error;
pub mod feed_forward;
pub mod interop;
pub mod kernel;
pub mod layer;
pub mod loss;
pub mod ops;
pub mod optimizer;
pub mod parameters;
mod random;
pub mod schedule;
pub mod summary;
pub mod train;

pub use activation::Activation;
pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use feed_forward::FeedForward;
pub use layer::Layer;
pub use optimizer::Optimizer;
pub use parameters::{Bound, Initialization, Mode, Parameters};
pub use summary::summary;
