//! Acting under uncertainty: where the robot may be, and what to do about it.
//!
//! The filter's prediction is the transpose of the planner's expectation: ⟨P·V, b⟩ = ⟨V, Pᵀ·b⟩, from the same transitions, so the two cannot
//! disagree about the model.

mod histogram;
mod particles;
mod qmdp;
mod sensor;

pub use histogram::{Updated, expected, predict, update};
pub use particles::{Particles, Resampling, pull_soft};
pub use qmdp::{Qmdp, Run, entropy};
pub use sensor::{RangeScan, Sensor, WallSensing};
