//! Convolution, pooling, resizing and bias kernels for the CPU, on plain contiguous slices.
//!
//! They know nothing of tensors or graphs: sizes come in a small shape value, arrays as slices in NCHW order (row-major
//! within each plane), `f32` or `f64`. Every kernel that is linear has its exact transpose beside it. All use the
//! calling thread and others of its rayon pool, and give the same bits for any number of them.
//! [`Instructions`] tells which of the processor's they use.

pub(crate) mod attention;
pub mod bias;
pub mod conv;
mod instructions;
pub(crate) mod matrix;
pub mod normalization;
mod parallel;
pub mod pool;
mod real;
pub(crate) mod recurrent;
pub mod resize;

pub use instructions::Instructions;
pub use real::Real;
