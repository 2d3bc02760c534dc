//! An estimate of the condition number from an LU factorization.
//!
//! ‖A⁻¹‖₁ = max over ‖x‖₁ = 1 of ‖A⁻¹x‖₁ is a convex maximization over a polytope; each step solves with A and with Aᵀ and moves
//! to the vertex e_j where the gradient is largest (Hager 1984; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
//! Algorithm 15.1, with the alternating vector of its last step). The estimate is a lower bound, nearly always within a factor 3.

use super::batch::{check_finite, first_not_finite};
use super::error::{LinalgError, check_length};
use super::lu::check_permutation;
use super::real::{Field, Real};

/// 1 / (‖A‖₁·‖A⁻¹‖₁), estimated from the factors of [`super::lu`]: batch numbers between 0 and about 1.
///
/// `norm`: ‖A‖₁ = maxⱼ Σᵢ |a_ij| for each matrix. A zero pivot gives 0; a matrix without rows gives 1.
///
/// # Errors
/// [`LinalgError::Argument`] if `permutation` is none, [`LinalgError::NotFinite`], [`LinalgError::Length`].
pub fn reciprocal_condition<T: Real>(
    batch: usize,
    n: usize,
    lu: &[T],
    permutation: &[usize],
    norm: &[T],
    reciprocal: &mut [T],
) -> Result<(), LinalgError> {
    T::reciprocal_condition(batch, n, lu, permutation, norm, reciprocal)
}

pub(super) fn entry<T: Field>(
    batch: usize,
    n: usize,
    lu: &[T],
    permutation: &[usize],
    norm: &[T],
    reciprocal: &mut [T],
) -> Result<(), LinalgError> {
    const NAME: &str = "reciprocal condition";
    check_length(NAME, "lu", &[batch, n, n], lu.len())?;
    check_length(NAME, "permutation", &[batch, n], permutation.len())?;
    check_length(NAME, "norm", &[batch], norm.len())?;
    check_length(NAME, "reciprocal", &[batch], reciprocal.len())?;
    check_permutation(NAME, n, permutation)?;
    check_finite(NAME, "lu", lu, n * n)?;
    check_finite(NAME, "norm", norm, 1)?;
    for (m, reciprocal) in reciprocal.iter_mut().enumerate() {
        let lu = &lu[m * n * n..(m + 1) * n * n];
        *reciprocal = reciprocal_condition_of(n, lu, &permutation[m * n..(m + 1) * n], norm[m]);
    }
    Ok(())
}

/// ‖A‖₁ = maxⱼ Σᵢ |a_ij| of one n×n matrix.
pub(super) fn norm_one<T: Field>(n: usize, a: &[T]) -> T {
    let mut norm = T::ZERO;
    for j in 0..n {
        let sum = size(a[j..].iter().step_by(n));
        norm = if norm < sum { sum } else { norm };
    }
    norm
}

fn size<'a, T: Field>(x: impl IntoIterator<Item = &'a T>) -> T {
    x.into_iter().fold(T::ZERO, |sum, &x| sum + x.magnitude())
}

/// The estimate for one matrix.
pub(super) fn reciprocal_condition_of<T: Field>(
    n: usize,
    lu: &[T],
    permutation: &[usize],
    norm: T,
) -> T {
    if n == 0 {
        return T::ONE;
    }
    let inverse_norm = inverse_norm(n, lu, permutation);
    let product = norm * inverse_norm;
    if product.finite() && product > T::ZERO { T::ONE / product } else { T::ZERO }
}

/// A lower bound of ‖A⁻¹‖₁, or something that is not finite if a solve overflows.
fn inverse_norm<T: Field>(n: usize, lu: &[T], permutation: &[usize]) -> T {
    const STEPS: usize = 5;
    let mut x = vec![T::ONE / T::from_f64(n as f64); n];
    let mut vertex = n;
    let mut estimate = T::ZERO;
    for _ in 0..STEPS {
        solve(n, lu, permutation, &mut x);
        let found = size(&x);
        if !found.finite() {
            return found;
        }
        if vertex < n && found <= estimate {
            break;
        }
        estimate = found;
        let mut gradient: Vec<T> =
            x.iter().map(|&x| if x < T::ZERO { -T::ONE } else { T::ONE }).collect();
        solve_transposed(n, lu, permutation, &mut gradient);
        let mut next = 0;
        for j in 1..n {
            if gradient[next].magnitude() < gradient[j].magnitude() {
                next = j;
            }
        }
        if next == vertex {
            break;
        }
        vertex = next;
        x.fill(T::ZERO);
        x[vertex] = T::ONE;
    }
    // A vector that defeats matrices built against the steps above.
    for (i, x) in x.iter_mut().enumerate() {
        let growing = T::ONE + T::from_f64(i as f64 / (n.max(2) - 1) as f64);
        *x = if i % 2 == 0 { growing } else { -growing };
    }
    solve(n, lu, permutation, &mut x);
    let other = T::from_f64(2.0 / (3.0 * n as f64)) * size(&x);
    if other > estimate || first_not_finite(&x).is_some() { other } else { estimate }
}

/// x ← A⁻¹·x
fn solve<T: Field>(n: usize, lu: &[T], permutation: &[usize], x: &mut [T]) {
    let right: Vec<T> = permutation.iter().map(|&row| x[row]).collect();
    x.copy_from_slice(&right);
    for i in 0..n {
        for j in 0..i {
            x[i] = x[i] - lu[i * n + j] * x[j];
        }
    }
    for i in (0..n).rev() {
        for j in i + 1..n {
            x[i] = x[i] - lu[i * n + j] * x[j];
        }
        x[i] = x[i] / lu[i * n + i];
    }
}

/// x ← A⁻ᵀ·x
fn solve_transposed<T: Field>(n: usize, lu: &[T], permutation: &[usize], x: &mut [T]) {
    for i in 0..n {
        x[i] = x[i] / lu[i * n + i];
        for j in i + 1..n {
            x[j] = x[j] - lu[i * n + j] * x[i];
        }
    }
    for i in (0..n).rev() {
        for j in 0..i {
            x[j] = x[j] - lu[i * n + j] * x[i];
        }
    }
    let solved = x.to_vec();
    for (&row, &value) in permutation.iter().zip(&solved) {
        x[row] = value;
    }
}
