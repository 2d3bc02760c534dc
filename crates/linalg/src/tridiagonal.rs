//! Symmetric eigendecomposition by reduction to tridiagonal form and implicit QL iteration, one matrix at a time.
//!
//! Householder reflectors H_k give A = Q·T·Qᵀ (Golub and Van Loan, Matrix Computations, 4th ed., Algorithm 8.3.1); QL steps with
//! Wilkinson's shift then make T diagonal (§8.3.5, after the procedure tql2 of Bowdler, Martin, Reinsch and Wilkinson 1968).
//! Eigenvectors are kept as rows, so that all inner loops run along rows.

use super::batch::{Kernel, Output, Scratch, numbers};
use super::eigen::{NAME, emit};
use super::error::LinalgError;
use super::lanes::Lanes;
use super::real::Field;
use super::rows::{add_multiple, dot};
use super::scale::normalize;

/// QL steps for one eigenvalue; two or three are usual.
const STEPS: usize = 60;
/// QL steps after which a coupling counts as zero beside the whole matrix, not only beside its two neighbours.
const PATIENCE: usize = 30;

/// The whole decomposition of matrices of one size.
pub(super) struct Eigen<'a, T> {
    pub(super) n: usize,
    pub(super) a: &'a [T],
}

impl<'o, T: Field> Kernel<T, (Output<'o, T>, Output<'o, T>)> for Eigen<'_, T> {
    fn interleaved(&self) -> bool {
        false
    }

    #[inline(always)]
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        _count: usize,
        (w, v): &mut (Output<'o, T>, Output<'o, T>),
    ) -> Result<(), LinalgError> {
        self.one(lanes.narrow(), scratch, first, w.data, v.data)
    }
}

impl<T: Field> Eigen<'_, T> {
    #[inline(always)]
    fn one<C: Lanes<Scalar = T, Vector = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        batch: usize,
        w: &mut [T],
        v: &mut [T],
    ) -> Result<(), LinalgError> {
        let n = self.n;
        let (a, rest) = scratch.vectors::<C>(2 * n * n + 4 * n).split_at_mut(n * n);
        let (q, rest) = rest.split_at_mut(n * n);
        let (diagonal, rest) = rest.split_at_mut(n);
        let (off, rest) = rest.split_at_mut(n);
        let (tau, work) = rest.split_at_mut(n);
        for i in 0..n {
            for j in 0..=i {
                let x = self.a[batch * n * n + i * n + j];
                a[i * n + j] = x;
                a[j * n + i] = x;
            }
        }
        let up = normalize(lanes, a);
        reduce(lanes, n, a, diagonal, off, tau, work);
        form(lanes, n, a, tau, q);
        if !iterate(lanes, n, diagonal, off, q) {
            return Err(LinalgError::NoConvergence { operation: NAME, batch, iterations: STEPS });
        }
        let up = numbers::<C>(&up)[0];
        emit(n, |j| diagonal[j] * up, |j, i| q[j * n + i], w, v);
        Ok(())
    }
}

/// A → T = tridiag(off, diagonal, off); `off[k]` couples k and k+1. The vector of H_k is left in row k of `a`, from column k+1.
#[inline(always)]
fn reduce<C: Lanes<Vector = T, Scalar = T>, T: Field>(
    lanes: C,
    n: usize,
    a: &mut [T],
    diagonal: &mut [T],
    off: &mut [T],
    tau: &mut [T],
    work: &mut [T],
) {
    for k in 0..n {
        diagonal[k] = a[k * n + k];
        off[k] = T::ZERO;
        tau[k] = T::ZERO;
        if k + 1 == n {
            break;
        }
        let (above, below) = a.split_at_mut((k + 1) * n);
        let v = &mut above[k * n + k + 1..];
        let (t, beta) = reflect(lanes, v);
        tau[k] = t;
        off[k] = beta;
        if t == T::ZERO {
            continue;
        }
        // With p = τ·A·v and u = p − (τ/2)(vᵀp)·v: H·A·H = A − v·uᵀ − u·vᵀ.
        let size = n - k - 1;
        let u = &mut work[..size];
        for i in 0..size {
            u[i] = t * dot(lanes, &below[i * n + k + 1..i * n + n], v);
        }
        let half = t * dot(lanes, u, v) * T::from_f64(-0.5);
        add_multiple(lanes, half, v, u);
        for i in 0..size {
            let row = &mut below[i * n + k + 1..i * n + n];
            let (vi, ui) = (v[i], u[i]);
            for ((x, &vj), &uj) in row.iter_mut().zip(&*v).zip(&*u) {
                *x = lanes.mul_sub(ui, vj, lanes.mul_sub(vi, uj, *x));
            }
        }
    }
}

/// The reflector that maps x to β·e₁; x becomes its vector, with the leading 1 stored. Returns τ and β.
#[inline(always)]
fn reflect<C: Lanes<Vector = T, Scalar = T>, T: Field>(lanes: C, x: &mut [T]) -> (T, T) {
    let mut largest = T::ZERO;
    for value in x.iter() {
        let size = value.magnitude();
        largest = if largest < size { size } else { largest };
    }
    let head = x[0];
    if x.len() == 1 || largest < T::TINY {
        return (T::ZERO, head);
    }
    for value in x.iter_mut() {
        *value = *value / largest;
    }
    let tail = dot(lanes, &x[1..], &x[1..]);
    if tail < T::TINY {
        return (T::ZERO, head);
    }
    let norm = lanes.mul_add(x[0], x[0], tail).root();
    let beta = if x[0] < T::ZERO { norm } else { -norm };
    let (scale, tau) = (T::ONE / (x[0] - beta), (beta - x[0]) / beta);
    for value in x.iter_mut() {
        *value = *value * scale;
    }
    x[0] = T::ONE;
    (tau, beta * largest)
}

/// Qᵀ = H_{n−2} ⋯ H_0, from the right: each row loses τ·(row·v)·v.
#[inline(always)]
fn form<C: Lanes<Vector = T, Scalar = T>, T: Field>(
    lanes: C,
    n: usize,
    a: &[T],
    tau: &[T],
    q: &mut [T],
) {
    q.fill(T::ZERO);
    for i in 0..n {
        q[i * n + i] = T::ONE;
    }
    for k in (0..n.saturating_sub(1)).rev() {
        if tau[k] == T::ZERO {
            continue;
        }
        let v = &a[k * n + k + 1..(k + 1) * n];
        for i in k + 1..n {
            let row = &mut q[i * n + k + 1..(i + 1) * n];
            let factor = -(tau[k] * dot(lanes, row, v));
            add_multiple(lanes, factor, v, row);
        }
    }
}

/// √(x² + y²) without overflow or loss of small numbers.
#[inline(always)]
fn hypotenuse<T: Field>(x: T, y: T) -> T {
    let (x, y) = (x.magnitude(), y.magnitude());
    let (small, large) = if x < y { (x, y) } else { (y, x) };
    if large == T::ZERO {
        return T::ZERO;
    }
    let ratio = small / large;
    large * (T::ONE + ratio * ratio).root()
}

/// QL steps until T is diagonal; rotations go into the rows of `q`. False if one eigenvalue takes too many steps.
///
/// A coupling is zero if it is ≤ ε beside its neighbours on the diagonal: so small eigenvalues of graded matrices keep their digits.
/// Between eigenvalues that are themselves rounding of ‖T‖ that may never come, as each step rounds anew; for one that takes long,
/// couplings ≤ ε·‖T‖ are zero, which changes eigenvalues by no more than the reduction to T has (tql2's criterion).
#[inline(always)]
fn iterate<C: Lanes<Vector = T, Scalar = T>, T: Field>(
    lanes: C,
    n: usize,
    diagonal: &mut [T],
    off: &mut [T],
    q: &mut [T],
) -> bool {
    let two = T::ONE + T::ONE;
    // The matrix has been scaled to about 1: couplings below this are nothing beside it.
    let tiny = T::TINY / T::EPSILON;
    let sizes = diagonal.iter().zip(&*off).map(|(d, e)| d.magnitude() + e.magnitude());
    let norm = sizes.fold(T::ZERO, |largest, size| if largest < size { size } else { largest });
    for l in 0..n {
        let mut steps = 0;
        loop {
            let least = if steps < PATIENCE { tiny } else { T::EPSILON * norm };
            let negligible = |m: &usize| {
                let beside = diagonal[*m].magnitude() + diagonal[*m + 1].magnitude();
                off[*m].magnitude() <= T::EPSILON * beside + least
            };
            let m = (l..n - 1).find(negligible).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if steps == STEPS {
                return false;
            }
            steps += 1;
            let g = (diagonal[l + 1] - diagonal[l]) / (two * off[l]);
            let r = hypotenuse(g, T::ONE);
            let mut g = diagonal[m] - diagonal[l] + off[l] / (g + if g < T::ZERO { -r } else { r });
            let (mut s, mut c, mut p) = (T::ONE, T::ONE, T::ZERO);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * off[i], c * off[i]);
                let r = hypotenuse(f, g);
                off[i + 1] = r;
                if r == T::ZERO {
                    // The matrix falls into two parts here.
                    diagonal[i + 1] = diagonal[i + 1] - p;
                    off[m] = T::ZERO;
                    split = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = diagonal[i + 1] - p;
                let r = (diagonal[i] - g) * s + two * c * b;
                p = s * r;
                diagonal[i + 1] = g + p;
                g = c * r - b;
                let (above, below) = q.split_at_mut((i + 1) * n);
                for (x, y) in above[i * n..].iter_mut().zip(&mut below[..n]) {
                    let (a, b) = (*x, *y);
                    *x = lanes.mul_sub(s, b, c * a);
                    *y = lanes.mul_add(s, a, c * b);
                }
            }
            if !split {
                diagonal[l] = diagonal[l] - p;
                off[l] = g;
                off[m] = T::ZERO;
            }
        }
    }
    true
}
