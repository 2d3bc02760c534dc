//! Singular value decomposition A = U·Σ·Vᵀ by one-sided Jacobi rotations.
//!
//! With m ≥ n (else Aᵀ takes A's place): A·P = Q·R with column pivoting, then rotations from the left make the rows of R
//! orthogonal, G = Wᵀ·R = Σ·Zᵀ, so that U = Q·W and V = P·Z. Working on the rows of R speeds up convergence and keeps small
//! singular values of graded matrices accurate (Drmač and Veselić, New fast and accurate Jacobi SVD algorithm, SIAM J. Matrix
//! Anal. Appl. 29, 2008).

use pulp::bytemuck::{cast_slice, cast_slice_mut};

use super::batch::{Kernel, Output, Scratch, check_finite, check_result, gather, numbers, run};
use super::eigen::{tangent, turn};
use super::error::{LinalgError, check_length};
use super::lanes::Lanes;
use super::real::{Field, Real};
use super::reflectors::{apply, make, vector};
use super::rows::dot;
use super::scale::normalize;
use super::svd_output::Factors;
use super::triangular::BLOCK;

const NAME: &str = "singular value decomposition";
/// Sweeps converge quadratically, six or so suffice.
const SWEEPS: usize = 40;

/// A = U·diag(s)·Vᵀ for each m×n matrix of a batch, with p = min(m, n).
///
/// `a`: batch × m × n, `u`: batch × m × p, `s`: batch × p, `vt`: batch × p × n. Singular values descend and are ≥ 0; the columns of
/// U and the rows of Vᵀ are orthonormal, also for rank-deficient A; a singular value below about ε²·s₀ is returned as 0. In each column of U the component of largest magnitude (the
/// first of equals) is positive.
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::NoConvergence`] (not known to happen), [`LinalgError::Overflow`],
/// [`LinalgError::Length`].
pub fn svd<T: Real>(
    batch: usize,
    m: usize,
    n: usize,
    a: &[T],
    u: &mut [T],
    s: &mut [T],
    vt: &mut [T],
) -> Result<(), LinalgError> {
    T::svd(batch, m, n, a, u, s, vt)
}

pub(super) fn entry<T: Field>(
    batch: usize,
    m: usize,
    n: usize,
    a: &[T],
    u: &mut [T],
    s: &mut [T],
    vt: &mut [T],
) -> Result<(), LinalgError> {
    let p = m.min(n);
    check_length(NAME, "a", &[batch, m, n], a.len())?;
    check_length(NAME, "u", &[batch, m, p], u.len())?;
    check_length(NAME, "s", &[batch, p], s.len())?;
    check_length(NAME, "vt", &[batch, p, n], vt.len())?;
    // All outputs are empty, too. First, because m·n need not fit into a `usize` if there is no matrix.
    if a.is_empty() {
        return Ok(());
    }
    check_finite(NAME, "a", a, m * n)?;
    let out = (
        Output { data: u, stride: m * p },
        Output { data: &mut *s, stride: p },
        Output { data: vt, stride: p * n },
    );
    run(&Svd { m, n, a }, batch, 40 * m * n * p, out)?;
    check_result(NAME, 0, s, p)
}

struct Svd<'a, T> {
    m: usize,
    n: usize,
    a: &'a [T],
}

impl<'o, T: Field> Kernel<T, (Output<'o, T>, Output<'o, T>, Output<'o, T>)> for Svd<'_, T> {
    fn interleaved(&self) -> bool {
        self.m.max(self.n) <= BLOCK
    }

    #[inline(always)]
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        count: usize,
        (u, s, vt): &mut (Output<'o, T>, Output<'o, T>, Output<'o, T>),
    ) -> Result<(), LinalgError> {
        let (tall, m, n) = (self.m >= self.n, self.m.max(self.n), self.m.min(self.n));
        let scratch = scratch.vectors::<C>(2 * m * n + 2 * n * n + n + m + n);
        let (a, rest) = scratch.split_at_mut(m * n);
        let (q, rest) = rest.split_at_mut(m * n);
        let (g, rest) = rest.split_at_mut(n * n);
        let (w, rest) = rest.split_at_mut(n * n);
        let (tau, rest) = rest.split_at_mut(n);
        let (v, squares) = rest.split_at_mut(m);
        if tall {
            gather(lanes, self.a, m * n, first, count, a);
        } else {
            gather(lanes, self.a, m * n, first, count, q);
            for i in 0..m {
                for j in 0..n {
                    a[i * n + j] = q[j * m + i];
                }
            }
        }
        let up = normalize(lanes, a);
        let mut order: Vec<usize> = (0..n * C::WIDTH).map(|index| index / C::WIDTH).collect();
        for k in 0..n {
            bring_largest_column(lanes, m, n, k, a, squares, &mut order);
            tau[k] = make(lanes, m, n, k, a);
            vector(m, n, k, a, v);
            apply(lanes, k..m, v, tau[k], a, n, k + 1..n);
        }
        let zero = lanes.splat(T::ZERO);
        g.fill(zero);
        w.fill(zero);
        for i in 0..n {
            g[i * n + i..(i + 1) * n].copy_from_slice(&a[i * n + i..(i + 1) * n]);
            w[i * n + i] = lanes.splat(T::ONE);
        }
        let mut sweeps = 0;
        while sweep(lanes, n, g, w, squares) {
            sweeps += 1;
            if sweeps == SWEEPS {
                return Err(unsettled(lanes, n, first, count, g, w, squares));
            }
        }
        // U = Q·[W; 0], with the rows of w being the columns of W.
        q.fill(zero);
        for i in 0..n {
            for j in 0..n {
                q[i * n + j] = w[j * n + i];
            }
        }
        for k in (0..n).rev() {
            vector(m, n, k, a, v);
            apply(lanes, k..m, v, tau[k], q, n, 0..n);
        }
        for lane in 0..count {
            let factors = Factors {
                m,
                n,
                width: C::WIDTH,
                left: &cast_slice::<C::Vector, T>(q)[lane..],
                right: &cast_slice::<C::Vector, T>(g)[lane..],
                order: &order[lane..],
                up: numbers::<C>(&up)[lane],
            };
            let range = |stride: usize| lane * stride..(lane + 1) * stride;
            factors.write(
                tall,
                &mut u.data[range(u.stride)],
                &mut s.data[range(s.stride)],
                &mut vt.data[range(vt.stride)],
            );
        }
        Ok(())
    }
}

/// Swaps the column of largest norm, among those from k on and counting rows from k on, to column k, in each lane by itself.
#[inline(always)]
fn bring_largest_column<C: Lanes>(
    lanes: C,
    m: usize,
    n: usize,
    k: usize,
    a: &mut [C::Vector],
    squares: &mut [C::Vector],
    order: &mut [usize],
) {
    squares.fill(lanes.splat(C::Scalar::ZERO));
    for i in k..m {
        for (sum, &x) in squares[k..].iter_mut().zip(&a[i * n + k..(i + 1) * n]) {
            *sum = lanes.mul_add(x, x, *sum);
        }
    }
    let squares = cast_slice::<C::Vector, C::Scalar>(squares);
    let a = cast_slice_mut::<C::Vector, C::Scalar>(a);
    for lane in 0..C::WIDTH {
        let mut largest = k;
        for j in k + 1..n {
            if squares[largest * C::WIDTH + lane] < squares[j * C::WIDTH + lane] {
                largest = j;
            }
        }
        if largest != k {
            order.swap(k * C::WIDTH + lane, largest * C::WIDTH + lane);
            for row in a.chunks_exact_mut(n * C::WIDTH) {
                row.swap(k * C::WIDTH + lane, largest * C::WIDTH + lane);
            }
        }
    }
}

/// Rows whose square is below this, ε⁴, count as zero beside the matrix, which is about 1: a row that was nearly parallel to
/// another is only rounding errors after a rotation, and would be shaved down by a factor ε in each sweep until it underflows.
pub(super) fn negligible_square<T: Field>() -> T {
    T::EPSILON * T::EPSILON * T::EPSILON * T::EPSILON
}

/// Makes each pair of rows of g orthogonal once, in each lane that needs it; w takes the same rotations. Whether any lane did.
///
/// For rows x, y with α = x·x, β = y·y, γ = x·y the rotation has t = tan θ, the smaller root of t² + 2ζt − 1 = 0 with
/// ζ = (β − α) / 2γ. A lane needs it if |γ| > ε·√n·√α·√β.
#[inline(always)]
fn sweep<C: Lanes>(
    lanes: C,
    n: usize,
    g: &mut [C::Vector],
    w: &mut [C::Vector],
    squares: &mut [C::Vector],
) -> bool {
    let (zero, one) = (lanes.splat(C::Scalar::ZERO), lanes.splat(C::Scalar::ONE));
    let tolerance = lanes.splat(C::Scalar::EPSILON * C::Scalar::from_f64(n as f64).root());
    let floor = lanes.splat(negligible_square::<C::Scalar>());
    for i in 0..n {
        let row = &g[i * n..(i + 1) * n];
        squares[i] = dot(lanes, row, row);
    }
    let mut any = false;
    for p in 0..n {
        for q in p + 1..n {
            let (above, below) = g.split_at_mut(q * n);
            let (x, y) = (&mut above[p * n..(p + 1) * n], &mut below[..n]);
            let (alpha, beta, gamma) = (squares[p], squares[q], dot(lanes, x, y));
            let bound = lanes.mul(tolerance, lanes.mul(lanes.sqrt(alpha), lanes.sqrt(beta)));
            // An infinite bound in lanes with a row that counts as zero.
            let smaller = lanes.select(lanes.less(alpha, beta), alpha, beta);
            let never = lanes.div(one, zero);
            let bound = lanes.select(lanes.less(smaller, floor), never, bound);
            let rotate = lanes.less(bound, lanes.abs(gamma));
            if !lanes.any(rotate) {
                continue;
            }
            any = true;
            let divisor = lanes.select(rotate, lanes.add(gamma, gamma), one);
            let ratio = lanes.div(lanes.sub(beta, alpha), divisor);
            let t = tangent(lanes, ratio);
            let c = lanes.div(one, lanes.sqrt(lanes.mul_add(t, t, one)));
            let s = lanes.mul(t, c);
            squares[p] =
                lanes.select(rotate, positive(lanes, lanes.mul_sub(t, gamma, alpha)), alpha);
            squares[q] = lanes.select(rotate, positive(lanes, lanes.mul_add(t, gamma, beta)), beta);
            rotate_rows(lanes, rotate, c, s, x, y);
            let (above, below) = w.split_at_mut(q * n);
            rotate_rows(lanes, rotate, c, s, &mut above[p * n..(p + 1) * n], &mut below[..n]);
        }
    }
    any
}

#[inline(always)]
fn positive<C: Lanes>(lanes: C, x: C::Vector) -> C::Vector {
    let zero = lanes.splat(C::Scalar::ZERO);
    lanes.select(lanes.less(x, zero), zero, x)
}

#[inline(always)]
fn rotate_rows<C: Lanes>(
    lanes: C,
    mask: C::Mask,
    c: C::Vector,
    s: C::Vector,
    x: &mut [C::Vector],
    y: &mut [C::Vector],
) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = turn(lanes, mask, c, s, *x, *y);
    }
}

/// The lowest matrix that still needs rotations.
#[inline(always)]
fn unsettled<C: Lanes>(
    lanes: C,
    n: usize,
    first: usize,
    count: usize,
    g: &mut [C::Vector],
    w: &mut [C::Vector],
    squares: &mut [C::Vector],
) -> LinalgError {
    let before = cast_slice::<C::Vector, C::Scalar>(w).to_vec();
    sweep(lanes, n, g, w, squares);
    let after = cast_slice::<C::Vector, C::Scalar>(w);
    let moved = (0..count).find(|&lane| {
        (0..n * n).any(|e| before[e * C::WIDTH + lane] != after[e * C::WIDTH + lane])
    });
    LinalgError::NoConvergence {
        operation: NAME,
        batch: first + moved.unwrap_or(0),
        iterations: SWEEPS,
    }
}
