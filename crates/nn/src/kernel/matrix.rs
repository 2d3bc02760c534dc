//! Matrices over slices, and their product, for the kernels that multiply.

use pullback_core_graph::linalg::{self, View};
use pullback_core_graph::tensor::Real;
use pullback_core_graph::{Elementary, Error};

/// The element types of kernels that multiply matrices.
pub(crate) trait Element: Real + Elementary + linalg::Real {}
impl Element for f32 {}
impl Element for f64 {}

/// Rows of so many columns, one after the other.
pub(super) fn dense<T>(data: &[T], columns: usize) -> View<'_, T> {
    View { data, row: columns, column: 1 }
}

/// Rows as columns.
pub(super) fn transposed<T>(View { data, row, column }: View<'_, T>) -> View<'_, T> {
    View { data, row: column, column: row }
}

/// C (m, n) = A (m, k)·B (k, n) for `size` (m, n, k), with `threads` on all of the pool's. Sizes are the caller's, who made the slices.
pub(super) fn product<T: Element>(
    node: &'static str,
    size: (usize, usize, usize),
    a: View<'_, T>,
    b: View<'_, T>,
    c: &mut [T],
    threads: bool,
) -> crate::Result<()> {
    linalg::matmul(size, a, b, c, threads).map_err(|e| Error::external(node, e).into())
}
