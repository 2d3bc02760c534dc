//! Neural networks for the `pullback` workspace.

pub mod error;
pub mod kernel;
pub mod ops;

pub use error::{Error, Result};
