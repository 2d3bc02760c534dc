//! Planning as layers: decision processes, value iteration unrolled or implicit, value iteration networks, beliefs.
#![doc = include_str!("../README.md")]

pub mod archive;
pub mod belief;
pub mod gradient;
pub mod grid;
pub mod kernel;
pub mod learn;
pub mod network;
pub mod node;
pub mod policy;
pub mod process;
pub mod solve;

mod error;
mod lanes;

pub use error::{Error, Result};
