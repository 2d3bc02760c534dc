//! Batched dense linear algebra on plain slices.
#![doc = include_str!("../README.md")]
//!
//!
//! Matrices are row-major and contiguous, the batch dimension leads: a batch of m×n matrices is a slice of batch·m·n numbers, f32
//! or f64. Input is checked for NaN and ∞ before any arithmetic, failures are typed errors that name the matrix, and `Ok` means
//! that all results are finite. These kernels compute values; derivative rules live with the graph's operations.

mod batch;
mod cholesky;
mod condition;
mod eigen;
mod entry;
mod error;
mod lanes;
mod lu;
mod lu_factor;
mod product;
mod qr;
mod real;
mod reflectors;
mod rows;
mod scale;
mod spread;
mod svd;
mod svd_output;
mod transpose;
mod triangular;
mod tridiagonal;

pub use cholesky::{cholesky, cholesky_of_symmetric_part, cholesky_solve, solve_positive_definite};
pub use condition::reciprocal_condition;
pub use eigen::symmetric_eigen;
pub use error::LinalgError;
pub use lu::{inverse, lu, lu_solve, slogdet, solve};
pub use product::{View, matmul};
pub use qr::qr;
pub use real::Real;
pub use spread::{alone, is_helper, spread};
pub use svd::svd;
pub use triangular::{Triangle, solve_triangular};
