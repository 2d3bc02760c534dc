//! What one does with function networks: scalar tapes, sparse derivatives, totals, scans, implicit nodes, landscapes.
#![doc = include_str!("../README.md")]

mod dual;
mod error;
mod math;
mod real;
pub mod sparsity;
mod tape;
pub mod totals;

pub use dual::Dual;
pub use error::{Error, Result};
pub use real::Real;
pub use tape::{Expr, Op, Tape, Workspace};
