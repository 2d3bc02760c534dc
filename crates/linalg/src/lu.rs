//! LU factorization with partial pivoting, P·A = L·U, and what follows from it: solves, inverses, determinants.
//!
//! The pivot is the first entry of largest magnitude in its column.

use super::batch::{Output, check_finite, check_result, run};
use super::error::{LinalgError, check_length};
use super::lu_factor::{Factor, Right};
use super::real::{Field, Real};
use super::triangular::{Order, Substitutions, Triangle, check_diagonal};

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
/// [`LinalgError::Singular`] if a diagonal entry of U is 0, [`LinalgError::Argument`] if `permutation` is none,
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
    if a.is_empty() {
        return Ok(());
    }
    check_finite("lu", "a", a, n * n)?;
    let kernel = Factor { n, k: 0, a, tolerance, right: Right::None };
    let none = Output { data: &mut [], stride: 0 };
    let out =
        (Output { data: &mut *lu, stride: n * n }, Output { data: permutation, stride: n }, none);
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
    if a.is_empty() {
        return Ok(());
    }
    check_finite("solve", "a", a, n * n)?;
    check_finite("solve", "b", b, n * k)?;
    let kernel =
        Factor { n, k, a, tolerance: T::from_f64(n as f64) * T::EPSILON, right: Right::Given(b) };
    let out = (
        Output { data: &mut *lu, stride: n * n },
        Output { data: permutation, stride: n },
        Output { data: &mut *x, stride: n * k },
    );
    run(&kernel, batch, kernel.work(), out)?;
    check_result("solve", 0, lu, n * n)?;
    check_result("solve", 0, x, n * k)
}

pub(super) fn inverse_entry<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    x: &mut [T],
) -> Result<(), LinalgError> {
    check_length("inverse", "a", &[batch, n, n], a.len())?;
    check_length("inverse", "x", &[batch, n, n], x.len())?;
    if a.is_empty() {
        return Ok(());
    }
    check_finite("inverse", "a", a, n * n)?;
    let mut permutation = vec![0; batch * n];
    let kernel = Factor {
        n,
        k: n,
        a,
        tolerance: T::from_f64(n as f64) * T::EPSILON,
        right: Right::Identity,
    };
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
    if lu.is_empty() {
        return Ok(());
    }
    check_permutation(NAME, n, permutation)?;
    check_finite(NAME, "lu", lu, n * n)?;
    check_finite(NAME, "b", b, n * k)?;
    check_diagonal(batch, n, lu)?;
    // A⁻¹ = U⁻¹·L⁻¹·P and A⁻ᵀ = Pᵀ·L⁻ᵀ·U⁻ᵀ.
    let (steps, rows) = if transposed {
        (
            [Triangle::UPPER.transpose(), Triangle::LOWER.unit().transpose()],
            Order::After(permutation),
        )
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

/// Refuses row numbers in which one is missing.
pub(super) fn check_permutation(
    operation: &'static str,
    n: usize,
    permutation: &[usize],
) -> Result<(), LinalgError> {
    // Row r has been seen in the matrix whose number, from 1, stands in its place.
    let mut seen = vec![0; n];
    for (index, rows) in permutation.chunks_exact(n.max(1)).enumerate() {
        for &row in rows {
            match seen.get_mut(row) {
                Some(last) if *last <= index => *last = index + 1,
                _ => {
                    return Err(LinalgError::Argument {
                        operation,
                        what: "the row numbers are no permutation",
                    });
                }
            }
        }
    }
    Ok(())
}
