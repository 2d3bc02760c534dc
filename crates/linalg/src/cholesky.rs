//! Cholesky factorization A = L·Lᵀ and solves with it.
//!
//! l_jj = √(a_jj − Σₖ l_jk²), l_ij = (a_ij − Σₖ l_ik·l_jk) / l_jj, row by row in 4×4 register tiles (Golub and Van Loan, Matrix
//! Computations, 4th ed., §4.2). Above 64 rows: panels of 64 columns, and the rest by matrix products.

use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};

use super::batch::{
    Kernel, Output, Scratch, check_finite, check_result, gather, numbers, run, scatter,
};
use super::error::{LinalgError, check_length};
use super::lanes::Lanes;
use super::product::{View, subtract_product};
use super::real::{Field, Real};
use super::triangular::{BLOCK, Order, Substitutions, Triangle, check_diagonal, substitute};

/// A = L·Lᵀ for each symmetric positive definite matrix of a batch.
///
/// `a` and `l`: batch × n × n. Only the lower triangle of A is used (the upper one must be finite); the upper triangle of L is
/// set to 0.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] with the first pivot that is not positive, [`LinalgError::NotFinite`],
/// [`LinalgError::Length`].
pub fn cholesky<T: Real>(batch: usize, n: usize, a: &[T], l: &mut [T]) -> Result<(), LinalgError> {
    T::cholesky(batch, n, a, l)
}

/// The factor L of (A + Aᵀ)/2, for matrices whose two triangles carry one symmetric matrix together.
///
/// Otherwise as [`cholesky`].
///
/// # Errors
/// As of [`cholesky`].
pub fn cholesky_of_symmetric_part<T: Real>(
    batch: usize,
    n: usize,
    a: &[T],
    l: &mut [T],
) -> Result<(), LinalgError> {
    T::cholesky_of_symmetric_part(batch, n, a, l)
}

/// X = A⁻¹·B from the factor L of A = L·Lᵀ.
///
/// `l`: batch × n × n, of which the lower triangle is used; `b` and `x`: batch × n × k.
///
/// # Errors
/// [`LinalgError::Singular`] if a diagonal entry of L is 0, [`LinalgError::NotFinite`], [`LinalgError::Overflow`],
/// [`LinalgError::Length`].
pub fn cholesky_solve<T: Real>(
    batch: usize,
    n: usize,
    k: usize,
    l: &[T],
    b: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    T::cholesky_solve(batch, n, k, l, b, x)
}

/// Factor and solution in one pass: A = L·Lᵀ and A·X = B.
///
/// `a` and `l`: batch × n × n; `b` and `x`: batch × n × k. The same numbers as [`cholesky`], then [`cholesky_solve`], in less
/// time.
///
/// # Errors
/// As of the two.
pub fn solve_positive_definite<T: Real>(
    batch: usize,
    n: usize,
    k: usize,
    a: &[T],
    b: &[T],
    l: &mut [T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    T::solve_positive_definite(batch, n, k, a, b, l, x)
}

pub(super) fn factor_entry<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    l: &mut [T],
) -> Result<(), LinalgError> {
    factor(batch, n, a, l, false)
}

pub(super) fn factor_symmetric_entry<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    l: &mut [T],
) -> Result<(), LinalgError> {
    factor(batch, n, a, l, true)
}

fn factor<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    l: &mut [T],
    symmetrize: bool,
) -> Result<(), LinalgError> {
    check_length("cholesky", "a", &[batch, n, n], a.len())?;
    check_length("cholesky", "l", &[batch, n, n], l.len())?;
    if a.is_empty() {
        return Ok(());
    }
    check_finite("cholesky", "a", a, n * n)?;
    let kernel = Factor { n, k: 0, a, b: &[], symmetrize };
    run(
        &kernel,
        batch,
        n * n * (n + 8),
        (Output { data: l, stride: n * n }, Output { data: &mut [], stride: 0 }),
    )
}

pub(super) fn factor_solve_entry<T: Field>(
    batch: usize,
    n: usize,
    k: usize,
    a: &[T],
    b: &[T],
    l: &mut [T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    const NAME: &str = "positive definite solve";
    check_length(NAME, "a", &[batch, n, n], a.len())?;
    check_length(NAME, "b", &[batch, n, k], b.len())?;
    check_length(NAME, "l", &[batch, n, n], l.len())?;
    check_length(NAME, "x", &[batch, n, k], x.len())?;
    if a.is_empty() {
        return Ok(());
    }
    check_finite(NAME, "a", a, n * n)?;
    check_finite(NAME, "b", b, n * k)?;
    let out = (Output { data: l, stride: n * n }, Output { data: &mut *x, stride: n * k });
    run(&Factor { n, k, a, b, symmetrize: false }, batch, n * n * (n + 8 + 2 * k), out)?;
    check_result(NAME, 0, x, n * k)
}

pub(super) fn solve_entry<T: Field>(
    batch: usize,
    n: usize,
    k: usize,
    l: &[T],
    b: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    const NAME: &str = "cholesky solve";
    check_length(NAME, "l", &[batch, n, n], l.len())?;
    check_length(NAME, "b", &[batch, n, k], b.len())?;
    check_length(NAME, "x", &[batch, n, k], x.len())?;
    if l.is_empty() {
        return Ok(());
    }
    check_finite(NAME, "l", l, n * n)?;
    check_finite(NAME, "b", b, n * k)?;
    check_diagonal(batch, n, l)?;
    let steps = [Triangle::LOWER, Triangle::LOWER.transpose()];
    let kernel = Substitutions { n, k, steps: &steps, matrix: l, rows: Order::AsIs, b };
    run(&kernel, batch, kernel.work(), Output { data: &mut *x, stride: n * k })?;
    check_result(NAME, 0, x, n * k)
}

struct Factor<'a, T> {
    n: usize,
    k: usize,
    a: &'a [T],
    b: &'a [T],
    symmetrize: bool,
}

impl<'o, T: Field> Kernel<T, (Output<'o, T>, Output<'o, T>)> for Factor<'_, T> {
    fn interleaved(&self) -> bool {
        self.n <= BLOCK
    }

    #[inline(always)]
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        count: usize,
        (l, x): &mut (Output<'o, T>, Output<'o, T>),
    ) -> Result<(), LinalgError> {
        let (n, k) = (self.n, self.k);
        let zero = lanes.splat(T::ZERO);
        let scratch = scratch.vectors::<C>(n * n + 2 * n + n * k);
        let (matrix, rest) = scratch.split_at_mut(n * n);
        let (pivots, rest) = rest.split_at_mut(n);
        let (inverse, right) = rest.split_at_mut(n);
        gather(lanes, self.a, n * n, first, count, matrix);
        if self.symmetrize {
            let half = lanes.splat(T::ONE / (T::ONE + T::ONE));
            for i in 0..n {
                for j in 0..i {
                    let upper = lanes.mul(half, matrix[j * n + i]);
                    matrix[i * n + j] = lanes.mul_add(half, matrix[i * n + j], upper);
                }
            }
        }
        if C::WIDTH > 1 || n <= BLOCK {
            panel(lanes, n, 0, n, matrix, pivots, inverse);
        } else {
            blocked(lanes, n, matrix, pivots, inverse);
        }
        check_pivots::<C>(first, count, pivots)?;
        for i in 0..n {
            matrix[i * n + i + 1..(i + 1) * n].fill(zero);
        }
        scatter(lanes, matrix, count, n * n, l.data);
        if k > 0 {
            gather(lanes, self.b, n * k, first, count, right);
            for triangle in [Triangle::LOWER, Triangle::LOWER.transpose()] {
                substitute(lanes, n, k, triangle, matrix, inverse, right);
            }
            scatter(lanes, right, count, n * k, x.data);
        }
        Ok(())
    }
}

/// The lowest matrix with a pivot that is not positive and finite. A failed lane holds NaN from there on, the others are intact.
#[inline(always)]
fn check_pivots<C: Lanes>(
    first: usize,
    count: usize,
    pivots: &[C::Vector],
) -> Result<(), LinalgError> {
    let good = |d: C::Scalar| d > C::Scalar::ZERO && d.finite();
    let mut all = true;
    for &d in cast_slice::<C::Vector, C::Scalar>(pivots) {
        all &= good(d);
    }
    if all {
        return Ok(());
    }
    for lane in 0..count {
        if let Some(pivot) = pivots.iter().position(|v| !good(numbers::<C>(v)[lane])) {
            let value = numbers::<C>(&pivots[pivot])[lane].to_f64();
            return Err(LinalgError::NotPositiveDefinite { batch: first + lane, pivot, value });
        }
    }
    Ok(())
}

/// Panels of `BLOCK` columns, right-looking.
#[inline(always)]
fn blocked<C: Lanes>(
    lanes: C,
    n: usize,
    matrix: &mut [C::Vector],
    pivots: &mut [C::Vector],
    inverse: &mut [C::Vector],
) {
    let mut copy = Vec::new();
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let width = end - start;
        panel(lanes, n, start, end, matrix, pivots, inverse);
        copy.clear();
        for i in end..n {
            copy.extend_from_slice(cast_slice::<C::Vector, C::Scalar>(
                &matrix[i * n + start..i * n + end],
            ));
        }
        // The lower triangle of what is left, a block of rows at a time: A₂₂ ← A₂₂ − L₂₁·L₂₁ᵀ.
        for top in (end..n).step_by(BLOCK) {
            let bottom = n.min(top + BLOCK);
            subtract_product(
                (bottom - top, bottom - end, width),
                cast_slice_mut::<C::Vector, C::Scalar>(&mut matrix[top * n + end..]),
                n,
                View { data: &copy[(top - end) * width..], row: width, column: 1 },
                View { data: &copy, row: 1, column: width },
            );
        }
    }
}

/// Columns start..end of L for all rows from `start`, when the columns before `start` have been subtracted already.
#[inline(always)]
fn panel<C: Lanes>(
    lanes: C,
    n: usize,
    start: usize,
    end: usize,
    matrix: &mut [C::Vector],
    pivots: &mut [C::Vector],
    inverse: &mut [C::Vector],
) {
    const TILE: usize = 4;
    // From here on single columns. Tiles of rows begin where tiles of columns do, so that a diagonal tile is square.
    let single = start + (end - start) / TILE * TILE;
    let mut panel = Panel { n, start, matrix, pivots, inverse };
    let mut i = start;
    while i < n {
        if i < single || (i >= end && i + TILE <= n) {
            for j in (start..single.min(i)).step_by(TILE) {
                panel.tile::<C, TILE, TILE, false>(lanes, i, j);
            }
            if i < single {
                panel.tile::<C, TILE, TILE, true>(lanes, i, i);
            } else {
                for j in single..end {
                    panel.tile::<C, TILE, 1, false>(lanes, i, j);
                }
            }
            i += TILE;
        } else {
            for j in (start..single).step_by(TILE) {
                panel.tile::<C, 1, TILE, false>(lanes, i, j);
            }
            for j in single..end.min(i) {
                panel.tile::<C, 1, 1, false>(lanes, i, j);
            }
            if i < end {
                panel.tile::<C, 1, 1, true>(lanes, i, i);
            }
            i += 1;
        }
    }
}

struct Panel<'a, V> {
    n: usize,
    start: usize,
    matrix: &'a mut [V],
    pivots: &'a mut [V],
    inverse: &'a mut [V],
}

impl<V: Pod> Panel<'_, V> {
    /// Rows i..i+R, columns j..j+W of L; i = j and R = W for a tile on the diagonal.
    #[inline(always)]
    fn tile<C: Lanes<Vector = V>, const R: usize, const W: usize, const DIAGONAL: bool>(
        &mut self,
        lanes: C,
        i: usize,
        j: usize,
    ) {
        let (n, start) = (self.n, self.start);
        let matrix = &mut *self.matrix;
        let depth = j - start;
        // Plain loops: a closure would not be compiled for the instruction set of its caller.
        let mut sum = [[V::zeroed(); W]; R];
        let mut left: [&[V]; R] = [&[]; R];
        let mut right: [&[V]; W] = [&[]; W];
        for r in 0..R {
            let row = (i + r) * n;
            sum[r].copy_from_slice(&matrix[row + j..row + j + W]);
            left[r] = &matrix[row + start..][..depth];
        }
        for w in 0..W {
            right[w] = &matrix[(j + w) * n + start..][..depth];
        }
        for p in 0..depth {
            for w in 0..W {
                let factor = right[w][p];
                for r in 0..R {
                    sum[r][w] = lanes.mul_sub(left[r][p], factor, sum[r][w]);
                }
            }
        }
        for c in 0..W {
            if DIAGONAL {
                let root = lanes.sqrt(sum[c][c]);
                self.pivots[j + c] = sum[c][c];
                self.inverse[j + c] = lanes.div(lanes.splat(C::Scalar::ONE), root);
                sum[c][c] = root;
            }
            let inverse = self.inverse[j + c];
            for r in 0..R {
                if !DIAGONAL || r > c {
                    sum[r][c] = lanes.mul(sum[r][c], inverse);
                }
            }
            for w in 0..W {
                if w > c {
                    let factor = if DIAGONAL { sum[w][c] } else { matrix[(j + w) * n + j + c] };
                    for r in 0..R {
                        if !DIAGONAL || r >= w {
                            sum[r][w] = lanes.mul_sub(sum[r][c], factor, sum[r][w]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            matrix[(i + r) * n + j..][..W].copy_from_slice(&sum[r]);
        }
    }
}
