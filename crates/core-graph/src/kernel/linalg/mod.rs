//! Batched dense linear algebra on plain slices.
//!
//! Matrices are row-major and contiguous, the batch dimension leads: a batch of m×n matrices is a slice of batch·m·n numbers, f32
//! or f64. Input is checked for NaN and ∞ before any arithmetic, failures are typed errors that name the matrix, and `Ok` means
//! that all results are finite. These kernels compute values; derivative rules live with the graph's operations.

mod batch;
mod cholesky;
mod entry;
mod error;
mod lanes;
mod product;
mod real;
mod transpose;
mod triangular;

pub use cholesky::{cholesky, cholesky_solve, solve_positive_definite};
pub use error::LinalgError;
pub use real::Real;
pub use triangular::{Triangle, solve_triangular};
