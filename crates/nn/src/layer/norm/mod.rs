//! Normalizations: over the batch, over features, over groups of channels.

mod affine;
mod batch;
mod group;
mod last;

pub use batch::{BatchNorm1d, BatchNorm2d, BatchNormSpec};
pub use group::{GroupNorm, InstanceNorm2d};
pub use last::{LayerNorm, RmsNorm};
