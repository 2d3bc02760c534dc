//! LU factorization with partial pivoting, P·A = L·U, and what follows from it: solves, inverses, determinants.
//!
//! Right-looking in panels of 4 columns with a rank-4 update of the rest (Golub and Van Loan, Matrix Computations, 4th ed.,
//! §3.4). Above 64 rows: panels of 64 columns, the rest by matrix products. The pivot is the first entry of largest magnitude.

use pulp::bytemuck::{cast_slice, cast_slice_mut};

use super::batch::{Kernel, Output, Scratch, check_finite, check_result, gather, numbers, run, scatter};
use super::condition::{norm_one, reciprocal_condition_of};
use super::error::{LinalgError, check_length};
use super::lanes::Lanes;
use super::product::{View, subtract_product};
use super::real::{Field, Real};
use super::scale::largest;
use super::triangular::{BLOCK, Order, Substitutions, Triangle, substitute};

/// P·A = L·U for each matrix of a batch.
///
/// `a`, `lu`: batch × n × n; `lu` holds U on and above the diagonal and L below it, whose diagonal of ones is not stored.
/// `permutation`: batch × n; row i of P·A is row `permutation[i]` of A.
///
/// # Errors
/// [`LinalgError::Singular`] if a pivot is 0 or smaller in magnitude than n·ε·max|a_ij|; its reciprocal condition number is an
/// estimate. [`LinalgError::NotFinite`], [`LinalgError::Overflow`], [`LinalgError::Length`].
pub fn lu<T: Real>(
    batch: usize,
    n: usize,
    a: &[T],
    lu: &mut [T],
    permutation: &mut [usize],
) -> Result<(), LinalgError> {
    T::lu(batch, n, a, lu, permutation)
}

/// X = A⁻¹·B, or A⁻ᵀ·B if `transposed`, from the factors of [`lu`].
///
/// `b` and `x`: batch × n × k.
///
/// # Errors
/// [`LinalgError::Singular`] if a diagonal entry of U is 0, [`LinalgError::Argument`] if `permutation` names a row ≥ n,
/// [`LinalgError::NotFinite`], [`LinalgError::Overflow`], [`LinalgError::Length`].
pub fn lu_solve<T: Real>(
    batch: usize,
    n: usize,
    k: usize,
    lu: &[T],
    permutation: &[usize],
    transposed: bool,
    b: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    T::lu_solve(batch, n, k, lu, permutation, transposed, b, x)
}

/// Factors and solution in one pass: P·A = L·U and A·X = B.
///
/// The same numbers as [`lu`], then [`lu_solve`], in less time. `b` and `x`: batch × n × k.
///
/// # Errors
/// As of the two.
pub fn solve<T: Real>(
    batch: usize,
    n: usize,
    k: usize,
    a: &[T],
    b: &[T],
    lu: &mut [T],
    permutation: &mut [usize],
    x: &mut [T],
) -> Result<(), LinalgError> {
    T::solve(batch, n, k, a, b, lu, permutation, x)
}

/// A⁻¹ for each matrix of a batch; `a` and `x`: batch × n × n.
///
/// # Errors
/// As of [`lu`].
pub fn inverse<T: Real>(batch: usize, n: usize, a: &[T], x: &mut [T]) -> Result<(), LinalgError> {
    T::inverse(batch, n, a, x)
}

/// det A = sign·exp(logabs) for each matrix of a batch; `sign` (±1) and `logabs`: batch numbers.
///
/// # Errors
/// [`LinalgError::Singular`] only if a pivot is exactly 0 (log|det A| = −∞); [`LinalgError::NotFinite`],
/// [`LinalgError::Overflow`], [`LinalgError::Length`].
pub fn slogdet<T: Real>(
    batch: usize,
    n: usize,
    a: &[T],
    sign: &mut [T],
    logabs: &mut [T],
) -> Result<(), LinalgError> {
    T::slogdet(batch, n, a, sign, logabs)
}

pub(super) fn factor_entry<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    lu: &mut [T],
    permutation: &mut [usize],
) -> Result<(), LinalgError> {
    factor(batch, n, a, T::from_f64(n as f64) * T::EPSILON, lu, permutation)
}

fn factor<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    tolerance: T,
    lu: &mut [T],
    permutation: &mut [usize],
) -> Result<(), LinalgError> {
    check_length("lu", "a", &[batch, n, n], a.len())?;
    check_length("lu", "lu", &[batch, n, n], lu.len())?;
    check_length("lu", "permutation", &[batch, n], permutation.len())?;
    check_finite("lu", "a", a, n * n)?;
    if n == 0 {
        return Ok(());
    }
    let kernel = Factor { n, k: 0, a, tolerance, right: Right::None };
    let none = Output { data: &mut [], stride: 0 };
    let out = (Output { data: &mut *lu, stride: n * n }, Output { data: permutation, stride: n }, none);
    run(&kernel, batch, kernel.work(), out)?;
    check_result("lu", 0, lu, n * n)
}

pub(super) fn solve_entry<T: Field>(
    batch: usize,
    n: usize,
    k: usize,
    a: &[T],
    b: &[T],
    lu: &mut [T],
    permutation: &mut [usize],
    x: &mut [T],
) -> Result<(), LinalgError> {
    check_length("solve", "a", &[batch, n, n], a.len())?;
    check_length("solve", "b", &[batch, n, k], b.len())?;
    check_length("solve", "lu", &[batch, n, n], lu.len())?;
    check_length("solve", "permutation", &[batch, n], permutation.len())?;
    check_length("solve", "x", &[batch, n, k], x.len())?;
    check_finite("solve", "a", a, n * n)?;
    check_finite("solve", "b", b, n * k)?;
    if n == 0 {
        return Ok(());
    }
    let kernel = Factor { n, k, a, tolerance: T::from_f64(n as f64) * T::EPSILON, right: Right::Given(b) };
    let out = (
        Output { data: &mut *lu, stride: n * n },
        Output { data: permutation, stride: n },
        Output { data: &mut *x, stride: n * k },
    );
    run(&kernel, batch, kernel.work(), out)?;
    check_result("solve", 0, lu, n * n)?;
    check_result("solve", 0, x, n * k)
}

pub(super) fn inverse_entry<T: Field>(batch: usize, n: usize, a: &[T], x: &mut [T]) -> Result<(), LinalgError> {
    check_length("inverse", "a", &[batch, n, n], a.len())?;
    check_length("inverse", "x", &[batch, n, n], x.len())?;
    check_finite("inverse", "a", a, n * n)?;
    if n == 0 {
        return Ok(());
    }
    let mut permutation = vec![0; batch * n];
    let kernel = Factor { n, k: n, a, tolerance: T::from_f64(n as f64) * T::EPSILON, right: Right::Identity };
    let out = (
        Output { data: &mut [], stride: 0 },
        Output { data: &mut permutation, stride: n },
        Output { data: &mut *x, stride: n * n },
    );
    run(&kernel, batch, kernel.work(), out)?;
    check_result("inverse", 0, x, n * n)
}

pub(super) fn lu_solve_entry<T: Field>(
    batch: usize,
    n: usize,
    k: usize,
    lu: &[T],
    permutation: &[usize],
    transposed: bool,
    b: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    const NAME: &str = "lu solve";
    check_length(NAME, "lu", &[batch, n, n], lu.len())?;
    check_length(NAME, "permutation", &[batch, n], permutation.len())?;
    check_length(NAME, "b", &[batch, n, k], b.len())?;
    check_length(NAME, "x", &[batch, n, k], x.len())?;
    if permutation.iter().any(|&row| row >= n) {
        return Err(LinalgError::Argument { operation: NAME, what: "the permutation names a row that does not exist" });
    }
    check_finite(NAME, "lu", lu, n * n)?;
    check_finite(NAME, "b", b, n * k)?;
    if n == 0 {
        return Ok(());
    }
    super::triangular::check_diagonal(batch, n, lu)?;
    // A⁻¹ = U⁻¹·L⁻¹·P and A⁻ᵀ = Pᵀ·L⁻ᵀ·U⁻ᵀ.
    let (steps, rows) = if transposed {
        ([Triangle::UPPER.transpose(), Triangle::LOWER.unit().transpose()], Order::After(permutation))
    } else {
        ([Triangle::LOWER.unit(), Triangle::UPPER], Order::Before(permutation))
    };
    let kernel = Substitutions { n, k, steps: &steps, matrix: lu, rows, b };
    run(&kernel, batch, kernel.work(), Output { data: &mut *x, stride: n * k })?;
    check_result(NAME, 0, x, n * k)
}

pub(super) fn slogdet_entry<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    sign: &mut [T],
    logabs: &mut [T],
) -> Result<(), LinalgError> {
    check_length("slogdet", "a", &[batch, n, n], a.len())?;
    check_length("slogdet", "sign", &[batch], sign.len())?;
    check_length("slogdet", "logabs", &[batch], logabs.len())?;
    let (mut lu, mut permutation) = (vec![T::ZERO; a.len()], vec![0; batch * n]);
    factor(batch, n, a, T::ZERO, &mut lu, &mut permutation)?;
    for m in 0..batch {
        let mut negative = is_odd(&mut permutation[m * n..(m + 1) * n]);
        let mut sum = T::ZERO;
        for &pivot in lu[m * n * n..(m + 1) * n * n].iter().step_by(n + 1) {
            negative ^= pivot < T::ZERO;
            sum = sum + pivot.magnitude().logarithm();
        }
        sign[m] = if negative { -T::ONE } else { T::ONE };
        logabs[m] = sum;
    }
    Ok(())
}

/// Whether an odd number of swaps makes up the permutation, which is sorted on the way.
fn is_odd(permutation: &mut [usize]) -> bool {
    let mut odd = false;
    for i in 0..permutation.len() {
        while permutation[i] != i {
            let j = permutation[i];
            permutation.swap(i, j);
            odd = !odd;
        }
    }
    odd
}

enum Right<'a, T> {
    None,
    Identity,
    Given(&'a [T]),
}

struct Factor<'a, T> {
    n: usize,
    k: usize,
    a: &'a [T],
    tolerance: T,
    right: Right<'a, T>,
}

impl<T> Factor<'_, T> {
    fn work(&self) -> usize {
        self.n * self.n * (self.n + 2 * self.k + 8)
    }
}

type Outputs<'o, T> = (Output<'o, T>, Output<'o, usize>, Output<'o, T>);

impl<'o, T: Field> Kernel<T, Outputs<'o, T>> for Factor<'_, T> {
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
        (lu, permutation, x): &mut Outputs<'o, T>,
    ) -> Result<(), LinalgError> {
        let (n, k) = (self.n, self.k);
        let scratch = scratch.vectors::<C>(n * n + n + n * k);
        let (matrix, rest) = scratch.split_at_mut(n * n);
        let (inverse, right) = rest.split_at_mut(n);
        gather(lanes, self.a, n * n, first, count, matrix);
        let size = largest(lanes, matrix);
        for rows in permutation.data.chunks_exact_mut(n) {
            for (i, row) in rows.iter_mut().enumerate() {
                *row = i;
            }
        }
        let mut columns = Columns { n, matrix: &mut *matrix, permutation: &mut *permutation.data, count };
        if C::WIDTH > 1 || n <= BLOCK {
            columns.factor(lanes, 0, n);
        } else {
            columns.blocked(lanes);
        }
        self.check_pivots::<C>(first, count, matrix, &size, permutation.data)?;
        if lu.stride > 0 {
            scatter(lanes, matrix, count, n * n, lu.data);
        }
        if k == 0 {
            return Ok(());
        }
        let numbers = cast_slice_mut::<C::Vector, T>(right);
        for lane in 0..C::WIDTH {
            let source = lane.min(count - 1);
            for i in 0..n {
                let row = permutation.data[source * n + i];
                for j in 0..k {
                    numbers[(i * k + j) * C::WIDTH + lane] = match self.right {
                        Right::Given(b) => b[((first + source) * n + row) * k + j],
                        _ if row == j => T::ONE,
                        _ => T::ZERO,
                    };
                }
            }
        }
        for i in 0..n {
            inverse[i] = lanes.div(lanes.splat(T::ONE), matrix[i * n + i]);
        }
        for triangle in [Triangle::LOWER.unit(), Triangle::UPPER] {
            substitute(lanes, n, k, triangle, matrix, inverse, right);
        }
        scatter(lanes, right, count, n * k, x.data);
        Ok(())
    }
}

impl<T: Field> Factor<'_, T> {
    /// The lowest matrix with a pivot that is 0 or negligible.
    #[inline(always)]
    fn check_pivots<C: Lanes<Scalar = T>>(
        &self,
        first: usize,
        count: usize,
        matrix: &[C::Vector],
        size: &C::Vector,
        permutation: &[usize],
    ) -> Result<(), LinalgError> {
        let n = self.n;
        for lane in 0..count {
            let smallest = self.tolerance * numbers::<C>(size)[lane];
            let bad = |d: T| d == T::ZERO || d.magnitude() < smallest;
            let found = (0..n).find(|&i| bad(numbers::<C>(&matrix[i * n + i])[lane]));
            if let Some(pivot) = found {
                let batch = first + lane;
                let value = numbers::<C>(&matrix[pivot * n + pivot])[lane].to_f64();
                let lu: Vec<T> = cast_slice::<C::Vector, T>(matrix)[lane..].iter().step_by(C::WIDTH).copied().collect();
                let norm = norm_one(n, &self.a[batch * n * n..(batch + 1) * n * n]);
                let rows = &permutation[lane * n..(lane + 1) * n];
                let reciprocal_condition = reciprocal_condition_of(n, &lu, rows, norm).to_f64();
                return Err(LinalgError::Singular { batch, pivot, value, reciprocal_condition });
            }
        }
        Ok(())
    }
}

struct Columns<'a, V> {
    n: usize,
    matrix: &'a mut [V],
    permutation: &'a mut [usize],
    count: usize,
}

impl<V: pulp::bytemuck::Pod> Columns<'_, V> {
    /// Factors columns start..end, in which the columns before `start` have been eliminated already.
    #[inline(always)]
    fn factor<C: Lanes<Vector = V>>(&mut self, lanes: C, start: usize, end: usize) {
        const PANEL: usize = 4;
        let n = self.n;
        let mut left = start;
        while left < end {
            let right = end.min(left + PANEL);
            for k in left..right {
                self.pivot(lanes, k);
                let matrix = &mut *self.matrix;
                let inverse = lanes.div(lanes.splat(C::Scalar::ONE), matrix[k * n + k]);
                for i in k + 1..n {
                    let factor = lanes.mul(matrix[i * n + k], inverse);
                    matrix[i * n + k] = factor;
                    for j in k + 1..right {
                        matrix[i * n + j] = lanes.mul_sub(factor, matrix[k * n + j], matrix[i * n + j]);
                    }
                }
            }
            self.finish_rows(lanes, left, right, end);
            if right - left == PANEL {
                let mut i = right;
                while i + 4 <= n {
                    self.update_rows::<C, 4>(lanes, i, left, end);
                    i += 4;
                }
                while i < n {
                    self.update_rows::<C, 1>(lanes, i, left, end);
                    i += 1;
                }
            }
            left = right;
        }
    }

    /// Rows top..bottom of U, in columns bottom..end: forward substitution with the unit triangle of the panel.
    #[inline(always)]
    fn finish_rows<C: Lanes<Vector = V>>(&mut self, lanes: C, top: usize, bottom: usize, end: usize) {
        let n = self.n;
        for k in top..bottom {
            let (above, below) = self.matrix.split_at_mut((k + 1) * n);
            let row = &above[k * n + bottom..k * n + end];
            for i in k + 1..bottom {
                let below = &mut below[(i - k - 1) * n..][..n];
                let factor = below[k];
                for (x, &u) in below[bottom..end].iter_mut().zip(row) {
                    *x = lanes.mul_sub(factor, u, *x);
                }
            }
        }
    }

    /// Rows i..i+R, columns left+4..end: subtracts the product of the panel's 4 columns and the 4 rows of U.
    #[inline(always)]
    fn update_rows<C: Lanes<Vector = V>, const R: usize>(&mut self, lanes: C, i: usize, left: usize, end: usize) {
        let n = self.n;
        let (above, below) = self.matrix.split_at_mut((left + 4) * n);
        let rows = &mut below[(i - left - 4) * n..][..R * n];
        let mut factor = [[V::zeroed(); 4]; R];
        for r in 0..R {
            factor[r].copy_from_slice(&rows[r * n + left..r * n + left + 4]);
        }
        let u0 = &above[left * n..][..end];
        let u1 = &above[(left + 1) * n..][..end];
        let u2 = &above[(left + 2) * n..][..end];
        let u3 = &above[(left + 3) * n..][..end];
        for j in left + 4..end {
            let u = [u0[j], u1[j], u2[j], u3[j]];
            for r in 0..R {
                let mut x = rows[r * n + j];
                for c in 0..4 {
                    x = lanes.mul_sub(factor[r][c], u[c], x);
                }
                rows[r * n + j] = x;
            }
        }
    }

    /// Brings the entry of largest magnitude of column k, from row k on, to row k; each lane swaps its own rows.
    #[inline(always)]
    fn pivot<C: Lanes<Vector = V>>(&mut self, lanes: C, k: usize) {
        let n = self.n;
        let mut best = lanes.abs(self.matrix[k * n + k]);
        let mut row = lanes.splat(C::Scalar::from_f64(k as f64));
        for i in k + 1..n {
            let size = lanes.abs(self.matrix[i * n + k]);
            let larger = lanes.less(best, size);
            best = lanes.select(larger, size, best);
            row = lanes.select(larger, lanes.splat(C::Scalar::from_f64(i as f64)), row);
        }
        let rows = numbers::<C>(&row);
        let matrix = cast_slice_mut::<V, C::Scalar>(self.matrix);
        for lane in 0..C::WIDTH {
            // Row numbers are small integers, exact in both number types.
            let other = rows[lane].to_f64() as usize;
            if other == k {
                continue;
            }
            if lane < self.count {
                self.permutation.swap(lane * n + k, lane * n + other);
            }
            let (above, below) = matrix.split_at_mut(other * n * C::WIDTH);
            let one = above[k * n * C::WIDTH..][..n * C::WIDTH].chunks_exact_mut(C::WIDTH);
            let two = below[..n * C::WIDTH].chunks_exact_mut(C::WIDTH);
            for (x, y) in one.zip(two) {
                std::mem::swap(&mut x[lane], &mut y[lane]);
            }
        }
    }

    /// Panels of `BLOCK` columns of one matrix.
    #[inline(always)]
    fn blocked<C: Lanes<Vector = V>>(&mut self, lanes: C) {
        let n = self.n;
        let mut copy = Vec::new();
        for start in (0..n).step_by(BLOCK) {
            let end = n.min(start + BLOCK);
            self.factor(lanes, start, end);
            self.finish_rows(lanes, start, end, n);
            copy.clear();
            for i in end..n {
                copy.extend_from_slice(cast_slice::<V, C::Scalar>(&self.matrix[i * n + start..i * n + end]));
            }
            let (above, below) = self.matrix.split_at_mut(end * n);
            if below.is_empty() {
                return;
            }
            subtract_product(
                (n - end, n - end, end - start),
                cast_slice_mut::<V, C::Scalar>(&mut below[end..]),
                n,
                View { data: &copy, row: end - start, column: 1 },
                View { data: cast_slice(&above[start * n + end..]), row: n, column: 1 },
            );
        }
    }
}
