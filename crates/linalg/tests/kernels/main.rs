//! Laws of the batched linear algebra kernels over a table of matrices, values against nalgebra, errors, and bit equality.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bits;
mod factorizations;
mod failures;
mod spectra;
mod tables;
