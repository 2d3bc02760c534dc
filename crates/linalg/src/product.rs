//! Matrix products: the one place that calls the `gemm` crate.

use std::ops::Range;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::error::{LinalgError, check_length};
use super::real::{Field, Real};
use super::spread::spread;

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
    let panels = panels((m, n, k));
    gemm_into((m, n, k), c, n, a, b, None, panels, threads);
    Ok(())
}

/// Multiplications that are worth a panel of their own.
const PANEL: usize = 1 << 19;
/// Panels of a product, at most.
const PANELS: usize = 16;
/// The least columns and rows of a panel where there are more. `gemm` packs one factor for each panel of columns and the other for each of rows, which
/// must be little beside the panel's own work: with 16 columns, or 64 rows, it takes half of the time.
const LEAST: [usize; 2] = [64, 512];
/// Rows and columns of a panel are a multiple of this: whole registers.
const STEP: usize = 16;

/// A product in parts that threads share: panels of columns, those cut into rows where there are few of them. A fixed function of the sizes, as how
/// far `gemm` sums before it rounds to memory depends on the size that it sees.
///
/// `gemm`'s own threads meet after each block that they pack; by panels a product by a transposed matrix of 1024 columns takes 3.8 ms in place of 4.6.
fn panels((m, n, k): (usize, usize, usize)) -> Panels {
    let count = (m.saturating_mul(n).saturating_mul(k) / PANEL).clamp(1, PANELS);
    let across = (n / LEAST[0]).clamp(1, count);
    let down = (m / LEAST[1]).clamp(1, count / across);
    let cut = |length: usize, count: usize| {
        let step = length.div_ceil(count).next_multiple_of(STEP);
        (0..length).step_by(step).map(|first| first..(first + step).min(length)).collect()
    };
    Panels { rows: cut(m, down), columns: cut(n, across) }
}

/// A part for each range of rows and each of columns; the ranges are in order, without overlap.
struct Panels {
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
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
    let all = |n| std::iter::once(0..n).collect();
    let whole = Panels { rows: all(m), columns: all(n) };
    gemm_into((m, n, k), c, stride, a, b, Some(-T::ONE), whole, false);
}

/// C ← A·B, or C ← C + scale·A·B, for m, n, k > 0, by panels, on several threads if told to.
fn gemm_into<T: Field>(
    (m, n, k): (usize, usize, usize),
    c: &mut [T],
    stride: usize,
    a: View<'_, T>,
    b: View<'_, T>,
    add: Option<T>,
    panels: Panels,
    threads: bool,
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
    for ranges in [&panels.rows, &panels.columns] {
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "panels overlap");
    }
    let target = AtomicPtr::new(c.as_mut_ptr());
    let panel = |(rows, columns): (Range<usize>, Range<usize>)| {
        assert!(rows.end <= m && columns.end <= n, "a panel exceeds the product");
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        // SAFETY: `gemm` reads entries (i, p) of A and (p, j) of B and reads (if told to) and writes entries (i, j) of C, for i in `rows`,
        // j in `columns`, p < k, at the addresses given by the first entries and the strides. The asserts above show that the largest of these
        // indices is inside the slices, without overflow (and a slice is at most isize::MAX bytes, so the strides of axes longer than 1 fit
        // an isize); all strides are non-negative, so the smallest index is 0 or more. `c` is borrowed mutably until all panels are done, so it overlaps
        // neither `a` nor `b`; n ≤ stride makes the entries of C distinct, and no two panels have one in common, as
        // they differ in their range of rows or of columns, and those follow one another. T is f32 or f64 (sealed), which `gemm`
        // accepts by type.
        #[allow(unsafe_code)]
        unsafe {
            gemm::gemm(
                rows.len(),
                columns.len(),
                k,
                target.load(Ordering::Relaxed).add(rows.start * stride + columns.start),
                1,
                stride as isize,
                add.is_some(),
                a.data.as_ptr().add(rows.start * step(m, a.row) as usize),
                step(k, a.column),
                step(m, a.row),
                b.data.as_ptr().add(columns.start * step(n, b.column) as usize),
                step(n, b.column),
                step(k, b.row),
                T::ONE,
                add.unwrap_or(T::ONE),
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    let Panels { rows, columns } = &panels;
    let parts: Vec<_> =
        columns.iter().flat_map(|c| rows.iter().map(|r| (r.clone(), c.clone()))).collect();
    match threads && 1 < parts.len() {
        true => drop(spread(parts, |_, part| panel(part))),
        false => parts.into_iter().for_each(panel),
    }
}
