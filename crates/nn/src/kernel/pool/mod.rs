//! Two-dimensional pooling with any kernel, stride and padding.
//!
//! Maximum pooling returns, beside the values, where each maximum was. Its derivative is then linear: the push is
//! [`gather`], the pull is [`scatter_add`], each the other's exact transpose, so that all higher orders are the same two
//! maps.

mod adaptive;
mod average;
mod maximum;
mod shape;

pub use adaptive::adaptive_maximum;
pub(crate) use adaptive::{adaptive_window, longest_adaptive_window};
pub use average::{Divisor, average, average_transpose};
pub(crate) use maximum::{Planes, gather_planes, scatter_add_planes};
pub use maximum::{gather, maximum, scatter_add};
pub use shape::Pool2dShape;
