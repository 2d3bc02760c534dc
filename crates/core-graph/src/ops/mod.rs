//! The operations: each a [`crate::Primitive`] with its two rules, and a method of [`crate::Var`].

mod axes;
mod binary;
mod compare;
mod einsum;
mod index;
mod join;
mod linalg;
mod linear;
mod matmul;
mod product;
mod reduce;
mod shape;
mod softmax;
mod unary;

pub use axes::Axes;
pub(crate) use binary::check_alike;
pub use linear::Linear;
