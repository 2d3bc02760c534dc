//! Eigendecomposition of symmetric matrices, A = V·Λ·Vᵀ.
//!
//! Small matrices: cyclic Jacobi rotations, many matrices at once (Golub and Van Loan, Matrix Computations, 4th ed., §8.5).
//! Larger ones: [`super::tridiagonal`]. Which of the two depends on n only.

use pulp::bytemuck::{cast_slice, cast_slice_mut};

use super::batch::{Kernel, Output, Scratch, check_finite, check_result, gather, numbers, run};
use super::error::{LinalgError, check_length};
use super::lanes::Lanes;
use super::real::{Field, Real};
use super::scale::normalize;
use super::tridiagonal;

pub(super) const NAME: &str = "symmetric eigendecomposition";
/// Up to this size Jacobi rotations. Measured for batches with 8 lanes: 7.6 µs against 11 µs at 16, 22 against 25 at 24, 53 against
/// 45 at 32; with fewer lanes the two meet earlier.
pub(super) const JACOBI: usize = 16;
/// Sweeps converge quadratically, six or so suffice.
const SWEEPS: usize = 40;

/// A = V·diag(w)·Vᵀ for each symmetric matrix of a batch.
///
/// `a` and `v`: batch × n × n, `w`: batch × n. Only the lower triangle of A is used (the upper one must be finite). Eigenvalues
/// ascend; column j of V is the eigenvector of w_j, of norm 1, its component of largest magnitude (the first of equals) positive.
/// The error is of the order of ε·‖A‖; eigenvectors of equal eigenvalues are one orthonormal basis of many.
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::NoConvergence`] (not known to happen), [`LinalgError::Overflow`],
/// [`LinalgError::Length`].
pub fn symmetric_eigen<T: Real>(
    batch: usize,
    n: usize,
    a: &[T],
    w: &mut [T],
    v: &mut [T],
) -> Result<(), LinalgError> {
    T::symmetric_eigen(batch, n, a, w, v)
}

pub(super) fn entry<T: Field>(
    batch: usize,
    n: usize,
    a: &[T],
    w: &mut [T],
    v: &mut [T],
) -> Result<(), LinalgError> {
    check_length(NAME, "a", &[batch, n, n], a.len())?;
    check_length(NAME, "w", &[batch, n], w.len())?;
    check_length(NAME, "v", &[batch, n, n], v.len())?;
    if a.is_empty() {
        return Ok(());
    }
    check_finite(NAME, "a", a, n * n)?;
    let out = (Output { data: &mut *w, stride: n }, Output { data: v, stride: n * n });
    if n <= JACOBI {
        run(&Jacobi { n, a }, batch, 40 * n * n * n, out)?;
    } else {
        run(&tridiagonal::Eigen { n, a }, batch, 10 * n * n * n, out)?;
    }
    check_result(NAME, 0, w, n)
}

/// Writes eigenpairs in ascending order with the documented sign. `value(j)` is the j-th eigenvalue, `component(j, i)` the i-th
/// component of its vector.
#[inline(always)]
pub(super) fn emit<T: Field>(
    n: usize,
    value: impl Fn(usize) -> T,
    component: impl Fn(usize, usize) -> T,
    w: &mut [T],
    v: &mut [T],
) {
    let mut order: Vec<usize> = (0..n).collect();
    // Stable and total: the values are finite.
    order.sort_by(|&i, &j| value(i).partial_cmp(&value(j)).unwrap_or(std::cmp::Ordering::Equal));
    for (j, &from) in order.iter().enumerate() {
        w[j] = value(from);
        let mut largest = T::ZERO;
        for i in 0..n {
            let x = component(from, i);
            v[i * n + j] = x;
            if largest.magnitude() < x.magnitude() {
                largest = x;
            }
        }
        if largest < T::ZERO {
            for i in 0..n {
                v[i * n + j] = -v[i * n + j];
            }
        }
    }
}

struct Jacobi<'a, T> {
    n: usize,
    a: &'a [T],
}

impl<'o, T: Field> Kernel<T, (Output<'o, T>, Output<'o, T>)> for Jacobi<'_, T> {
    fn interleaved(&self) -> bool {
        true
    }

    #[inline(always)]
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        count: usize,
        (w, v): &mut (Output<'o, T>, Output<'o, T>),
    ) -> Result<(), LinalgError> {
        let n = self.n;
        let (a, vectors) = scratch.vectors::<C>(2 * n * n).split_at_mut(n * n);
        gather(lanes, self.a, n * n, first, count, a);
        for i in 0..n {
            for j in 0..i {
                a[j * n + i] = a[i * n + j];
            }
        }
        let up = normalize(lanes, a);
        for (index, x) in vectors.iter_mut().enumerate() {
            *x = lanes.splat(if index % (n + 1) == 0 { T::ONE } else { T::ZERO });
        }
        let mut sweeps = 0;
        while sweep(lanes, n, a, vectors) {
            sweeps += 1;
            if sweeps == SWEEPS {
                return Err(self.unsettled::<C>(lanes, first, count, a, vectors));
            }
        }
        let (a, vectors) = (cast_slice::<C::Vector, T>(a), cast_slice::<C::Vector, T>(vectors));
        for lane in 0..count {
            let up = numbers::<C>(&up)[lane];
            emit(
                n,
                |j| a[(j * n + j) * C::WIDTH + lane] * up,
                |j, i| vectors[(j * n + i) * C::WIDTH + lane],
                &mut w.data[lane * n..(lane + 1) * n],
                &mut v.data[lane * n * n..(lane + 1) * n * n],
            );
        }
        Ok(())
    }
}

impl<T: Field> Jacobi<'_, T> {
    /// The lowest matrix that still needs rotations.
    #[inline(always)]
    fn unsettled<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        first: usize,
        count: usize,
        a: &mut [C::Vector],
        vectors: &mut [C::Vector],
    ) -> LinalgError {
        let n = self.n;
        let before = cast_slice::<C::Vector, T>(vectors).to_vec();
        sweep(lanes, n, a, vectors);
        let after = cast_slice_mut::<C::Vector, T>(vectors);
        let moved = (0..count).find(|&lane| {
            (0..n * n).any(|e| before[e * C::WIDTH + lane] != after[e * C::WIDTH + lane])
        });
        LinalgError::NoConvergence {
            operation: NAME,
            batch: first + moved.unwrap_or(0),
            iterations: SWEEPS,
        }
    }
}

/// One rotation for each pair p < q in each lane that needs it; whether any lane did.
///
/// The rotation has t = tan θ, the smaller root of t² + 2τt − 1 = 0 with τ = (a_qq − a_pp) / (2·a_pq), and makes a_pq zero. A
/// lane needs it if |a_pq| > ε/2·√|a_pp·a_qq| and |a_pq| > ε², the matrix having been scaled to about 1.
#[inline(always)]
fn sweep<C: Lanes>(lanes: C, n: usize, a: &mut [C::Vector], vectors: &mut [C::Vector]) -> bool {
    let epsilon = C::Scalar::EPSILON;
    let (zero, one) = (lanes.splat(C::Scalar::ZERO), lanes.splat(C::Scalar::ONE));
    let half = lanes.splat(epsilon * C::Scalar::from_f64(0.5));
    let tiny = lanes.splat(epsilon * epsilon);
    let mut any = false;
    for p in 0..n {
        for q in p + 1..n {
            let (app, aqq, apq) = (a[p * n + p], a[q * n + q], a[p * n + q]);
            let threshold = lanes.mul(half, lanes.sqrt(lanes.abs(lanes.mul(app, aqq))));
            let threshold = lanes.select(lanes.less(threshold, tiny), tiny, threshold);
            let rotate = lanes.less(threshold, lanes.abs(apq));
            if !lanes.any(rotate) {
                continue;
            }
            any = true;
            let divisor = lanes.select(rotate, lanes.add(apq, apq), one);
            let ratio = lanes.div(lanes.sub(aqq, app), divisor);
            let t = tangent(lanes, ratio);
            let c = lanes.div(one, lanes.sqrt(lanes.mul_add(t, t, one)));
            let s = lanes.mul(t, c);
            a[p * n + p] = lanes.select(rotate, lanes.mul_sub(t, apq, app), app);
            a[q * n + q] = lanes.select(rotate, lanes.mul_add(t, apq, aqq), aqq);
            let rest = lanes.select(rotate, zero, apq);
            a[p * n + q] = rest;
            a[q * n + p] = rest;
            for r in 0..n {
                if r != p && r != q {
                    let (x, y) = (a[p * n + r], a[q * n + r]);
                    let (x, y) = turn(lanes, rotate, c, s, x, y);
                    a[p * n + r] = x;
                    a[r * n + p] = x;
                    a[q * n + r] = y;
                    a[r * n + q] = y;
                }
            }
            for r in 0..n {
                let (x, y) = turn(lanes, rotate, c, s, vectors[p * n + r], vectors[q * n + r]);
                vectors[p * n + r] = x;
                vectors[q * n + r] = y;
            }
        }
    }
    any
}

/// The root of smaller magnitude of t² + 2τt − 1 = 0, sign(τ) / (|τ| + √(1 + τ²)).
#[inline(always)]
pub(super) fn tangent<C: Lanes>(lanes: C, tau: C::Vector) -> C::Vector {
    let (zero, one) = (lanes.splat(C::Scalar::ZERO), lanes.splat(C::Scalar::ONE));
    let size = lanes.abs(tau);
    // √(1 + τ²) is |τ| long before the square overflows.
    let large = lanes.less(lanes.splat(C::Scalar::ONE / C::Scalar::EPSILON), size);
    let root = lanes.select(large, size, lanes.sqrt(lanes.mul_add(tau, tau, one)));
    let t = lanes.div(one, lanes.add(size, root));
    lanes.select(lanes.less(tau, zero), lanes.neg(t), t)
}

/// (c·x − s·y, s·x + c·y) where the mask holds, (x, y) elsewhere, bit for bit.
#[inline(always)]
pub(super) fn turn<C: Lanes>(
    lanes: C,
    mask: C::Mask,
    c: C::Vector,
    s: C::Vector,
    x: C::Vector,
    y: C::Vector,
) -> (C::Vector, C::Vector) {
    let first = lanes.mul_sub(s, y, lanes.mul(c, x));
    let second = lanes.mul_add(s, x, lanes.mul(c, y));
    (lanes.select(mask, first, x), lanes.select(mask, second, y))
}
