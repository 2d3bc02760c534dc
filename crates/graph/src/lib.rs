//! What one does with function networks: scalar tapes, sparse derivatives, totals, scans, implicit nodes, landscapes.
#![doc = include_str!("../README.md")]

mod direction;
mod dual;
mod error;
mod function;
mod implicit;
pub mod landscape;
mod map;
mod math;
pub mod plot;
mod real;
mod scan;
pub mod sparsity;
mod tape;
pub mod totals;

pub use dual::Dual;
pub use error::{Error, Result};
pub use function::TapeFunction;
pub use implicit::{Implicit, Newton, RootProblem, RootSolver};
pub use map::Map;
pub use real::Real;
pub use scan::{Checkpoints, Scan, revolve};
pub use tape::{Expr, Op, SampleSum, Tape, Workspace};
