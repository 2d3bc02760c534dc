//! Image operations as nodes of a function network, each with derivatives of every order.
//!
//! Images are (batch, channels, height, width), `f32` or `f64`. The operations compute with this crate's CPU
//! [kernels](crate::kernel); a tensor on another device is brought to the CPU and the result sent back.
//!
//! An operation that fails gives a variable that stands for its error, as the operators of
//! [`Var`](pullback_core_graph::Var) do: see [`Var::ok`](pullback_core_graph::Var::ok).

mod average_pool2d;
mod channel;
mod conv2d;
mod conv2d_gradient;
mod max_pool2d;
mod pixel;
mod resize;
mod slices;

pub use average_pool2d::average_pool2d;
pub use conv2d::{Conv2dOptions, conv2d, conv2d_fused, conv_transpose2d};
pub use max_pool2d::max_pool2d;
pub use pixel::at_pixels;
pub use resize::{resize_bilinear, resize_nearest};
