//! Planning as layers.
mod error;
pub mod gradient;
pub mod grid;
pub mod kernel;
mod lanes;
pub mod policy;
pub mod process;
pub mod solve;
pub use error::{Error, Result};
