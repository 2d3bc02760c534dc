//! Image operations as nodes of a function network, each with derivatives of every order.
//!
//! Images are (batch, channels, height, width), `f32` or `f64`. The operations compute with this crate's CPU
//! [kernels](crate::kernel); a tensor on another device is brought to the CPU and the result sent back.
//!
//! An operation that fails gives a variable that stands for its error, as the operators of
//! [`Var`](pullback_core_graph::Var) do: see [`Var::ok`](pullback_core_graph::Var::ok).

mod adaptive_max_pool2d;
mod adaptive_pool2d;
mod attention;
mod average_pool2d;
mod channel;
mod conv2d;
mod conv2d_gradient;
mod failed;
mod fused;
mod max_pool2d;
mod normalize;
mod pixel;
mod recurrent;
mod resize;
mod slices;
mod standardize;

pub use adaptive_max_pool2d::adaptive_max_pool2d;
pub use adaptive_pool2d::adaptive_average_pool2d;
pub(crate) use attention::{Heads, attention};
pub use average_pool2d::{average_pool2d, average_pool2d_ceil};
pub use conv2d::{Conv2dOptions, conv_transpose2d, conv2d, conv2d_fused};
pub(crate) use failed::failed;
pub use max_pool2d::{max_pool2d, max_pool2d_ceil};
pub use normalize::{NormalizedVar, normalized};
pub use pixel::at_pixels;
pub(crate) use recurrent::{gru_sequence, gru_step, lstm_sequence, lstm_step};
pub use resize::{resize_bilinear, resize_bilinear_corners, resize_nearest};
pub(crate) use slices::check_room;
pub use standardize::{Standardized, standardize, unit_rms};
