//! Matrix products: the one place that calls the `gemm` crate.

use super::error::{LinalgError, check_length};
use super::real::{Field, Real};

/// A matrix inside a slice: entry (i, j) is at `i·row + j·column`. Transposes and broadcast vectors are views.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    /// The numbers.
    pub data: &'a [T],
    /// Distance from a row to the next.
    pub row: usize,
    /// Distance from a column to the next.
    pub column: usize,
}

/// C = A·B for A of m×k, B of k×n and C of m×n, row-major.
///
/// `threads`: use rayon's current pool if the product is large; the numbers do not depend on it. The factors are not checked for NaN
/// and ∞, nor is the product.
///
/// # Errors
/// [`LinalgError::Length`] if C is not m×n or a view reaches beyond its slice.
pub fn matmul<T: Real>(
    (m, n, k): (usize, usize, usize),
    a: View<'_, T>,
    b: View<'_, T>,
    c: &mut [T],
    threads: bool,
) -> Result<(), LinalgError> {
    check_length("matmul", "c", &[m, n], c.len())?;
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        c.fill(T::ZERO);
        return Ok(());
    }
    for (argument, view, rows, columns) in [("a", a, m, k), ("b", b, k, n)] {
        let needed = reach(rows, view.row, columns, view.column).map_or(usize::MAX, |r| r + 1);
        if view.data.len() < needed {
            let (operation, found) = ("matmul", view.data.len());
            return Err(LinalgError::Length { operation, argument, expected: needed, found });
        }
    }
    let parallelism = match threads && 1 < rayon::current_num_threads() {
        true => gemm::Parallelism::Rayon(rayon::current_num_threads()),
        false => gemm::Parallelism::None,
    };
    gemm_into((m, n, k), c, n, a, b, None, parallelism);
    Ok(())
}

/// The largest index that a view of this size uses; `None` if it does not fit into a `usize`.
fn reach(rows: usize, row: usize, columns: usize, column: usize) -> Option<usize> {
    let (down, across) = ((rows - 1).checked_mul(row)?, (columns - 1).checked_mul(column)?);
    down.checked_add(across)?.checked_add(1).map(|past| past - 1)
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
    gemm_into((m, n, k), c, stride, a, b, Some(-T::ONE), gemm::Parallelism::None);
}

/// C ← A·B, or C ← C + scale·A·B, for m, n, k > 0.
fn gemm_into<T: Field>(
    (m, n, k): (usize, usize, usize),
    c: &mut [T],
    stride: usize,
    a: View<'_, T>,
    b: View<'_, T>,
    add: Option<T>,
    parallelism: gemm::Parallelism,
) {
    let inside = |length: usize, rows, row, columns, column| {
        reach(rows, row, columns, column).is_some_and(|last| last < length)
    };
    assert!(0 < m && 0 < n && 0 < k, "an empty product");
    assert!(n <= stride, "rows of the product overlap");
    assert!(inside(c.len(), m, stride, n, 1), "the product does not fit its slice");
    assert!(inside(a.data.len(), m, a.row, k, a.column), "the left factor exceeds its slice");
    assert!(inside(b.data.len(), k, b.row, n, b.column), "the right factor exceeds its slice");
    // The stride of an axis of length 1 is never taken, whatever it is.
    let step = |length: usize, stride: usize| if length == 1 { 0 } else { stride as isize };
    // SAFETY: `gemm` reads entries (i, p) of A and (p, j) of B and reads (if told to) and writes entries (i, j) of C, for i < m,
    // j < n, p < k, at the addresses given by the strides. The asserts above show that the largest of these indices is inside the
    // slices, without overflow (and a slice is at most isize::MAX bytes, so the strides of axes longer than 1 fit an isize); all
    // strides are non-negative, so the smallest index is 0. `c` is borrowed mutably, so it overlaps neither `a` nor `b`, and n ≤ stride
    // makes the entries of C distinct. T is f32 or f64 (sealed), which `gemm` accepts by type.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            stride as isize,
            add.is_some(),
            a.data.as_ptr(),
            step(k, a.column),
            step(m, a.row),
            b.data.as_ptr(),
            step(n, b.column),
            step(k, b.row),
            T::ONE,
            add.unwrap_or(T::ONE),
            false,
            false,
            false,
            parallelism,
        );
    }
}
