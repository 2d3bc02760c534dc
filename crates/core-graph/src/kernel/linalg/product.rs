//! Matrix products inside one large matrix: the one place that calls the `gemm` crate.

use super::real::Field;

/// A matrix inside a slice: entry (i, j) is at `i·row + j·column`.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T> {
    pub(super) data: &'a [T],
    pub(super) row: usize,
    pub(super) column: usize,
}

/// C ← C − A·B for A of m×k, B of k×n and C of m×n, where entry (i, j) of C is at `i·stride + j`.
///
/// Runs on the calling thread, so that its bits do not depend on the thread pool.
pub(super) fn subtract_product<T: Field>(
    (m, n, k): (usize, usize, usize),
    c: &mut [T],
    stride: usize,
    a: View<'_, T>,
    b: View<'_, T>,
) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let reach = |rows: usize, row: usize, columns: usize, column: usize| {
        (rows - 1) * row + (columns - 1) * column
    };
    assert!(n <= stride, "rows of the product overlap");
    assert!(reach(m, stride, n, 1) < c.len(), "the product does not fit its slice");
    assert!(
        reach(m, a.row, k, a.column) < a.data.len(),
        "the left factor is larger than its slice"
    );
    assert!(
        reach(k, b.row, n, b.column) < b.data.len(),
        "the right factor is larger than its slice"
    );
    // SAFETY: `gemm` reads entries (i, p) of A and (p, j) of B and reads and writes entries (i, j) of C, for i < m, j < n, p < k,
    // at the addresses given by the strides. The three asserts above show that the largest of these indices is inside the slices;
    // all strides are non-negative, so the smallest is 0. `c` is borrowed mutably, so it overlaps neither `a` nor `b`, and
    // n ≤ stride makes the entries of C distinct. T is f32 or f64 (sealed), which `gemm` accepts by type.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            stride as isize,
            true,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            T::ONE,
            -T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
