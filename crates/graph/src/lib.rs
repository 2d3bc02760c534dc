//! Scalar function networks as flat tapes over SIMD lanes.
#![doc = include_str!("../README.md")]

mod dual;
mod error;
mod math;
mod real;
mod tape;

pub use dual::Dual;
pub use error::{Error, Result};
pub use real::Real;
pub use tape::{Entries, Expr, Op, Tape, Workspace};
