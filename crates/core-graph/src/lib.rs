//! Function networks over candle tensors, differentiated by the forward and the backward chain rule.
#![doc = include_str!("../README.md")]

pub mod check;
pub mod drawing;
mod kernel;
mod magnitude;
pub mod primitive;
pub mod tensor;

mod bridge;
mod checkpoint;
mod error;
mod function;
mod graph;
mod numdiff;
mod ops;

pub use bridge::{CandleFunction, attach};
pub use candle_core as candle;
pub use checkpoint::checkpoint;
pub use error::{Error, Phase, Result};
pub use function::{Direction, Function, LinearMap, Wrt};
pub use graph::{Closure, Graph, Options, Recording, Var, function};
pub use kernel::{
    Elementary, Fresh, Seen, Unwritten, Written, blocks_of, fresh, in_rows, prefetch, refill,
    sum_of, sums_of, vectorized, zeroed,
};
pub use magnitude::{Bits, Top};
pub use numdiff::NumDiff;
pub use ops::{Axes, Linear};
pub use primitive::{Op, Primitive};
pub use pullback_linalg as linalg;
pub use pullback_linalg::spread;
