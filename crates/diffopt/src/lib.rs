//! Optimization problems as nodes of a function network: solved first, then differentiated at the solution.
#![doc = include_str!("../README.md")]

pub mod conic;
pub mod qp;
pub mod root;

mod degenerate;
mod error;
mod lanes;
mod node;
mod status;

pub use degenerate::{Certificate, Degenerate};
pub use error::{Error, Result};
pub use node::Unsolved;
pub use status::Status;
