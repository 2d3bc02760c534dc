//! Neural networks for the `pullback` workspace.

pub mod error;
pub mod kernel;

pub use error::{Error, Result};
