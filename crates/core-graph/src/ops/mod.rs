//! The operations: each a [`crate::Primitive`] with its two rules, and a method of [`crate::Var`].

mod axes;
mod binary;
mod compare;
mod join;
mod linear;
mod matmul;
mod reduce;
mod shape;
mod unary;

pub use axes::Axes;
pub use linear::Linear;
