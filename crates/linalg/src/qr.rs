//! Thin QR factorization by Householder reflectors.

use super::batch::{Kernel, Output, Scratch, check_finite, check_result, gather, run, scatter};
use super::error::{LinalgError, check_length};
use super::lanes::Lanes;
use super::real::{Field, Real};
use super::reflectors::{apply, make, vector};
use super::scale::normalize;
use super::triangular::BLOCK;

/// A = Q·R for each m×n matrix of a batch, with p = min(m, n).
///
/// `a`: batch × m × n. `q`: batch × m × p with QᵀQ = I. `r`: batch × p × n, upper triangular (trapezoidal for m < n) with a
/// diagonal ≥ 0, which makes the factors unique if A has full column rank. A rank-deficient A is no error: some r_jj are then
/// 0 or of the order of rounding.
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::Overflow`], [`LinalgError::Length`].
pub fn qr<T: Real>(
    batch: usize,
    m: usize,
    n: usize,
    a: &[T],
    q: &mut [T],
    r: &mut [T],
) -> Result<(), LinalgError> {
    T::qr(batch, m, n, a, q, r)
}

pub(super) fn entry<T: Field>(
    batch: usize,
    m: usize,
    n: usize,
    a: &[T],
    q: &mut [T],
    r: &mut [T],
) -> Result<(), LinalgError> {
    let p = m.min(n);
    check_length("qr", "a", &[batch, m, n], a.len())?;
    check_length("qr", "q", &[batch, m, p], q.len())?;
    check_length("qr", "r", &[batch, p, n], r.len())?;
    // All outputs are empty, too. First, because m·n need not fit into a `usize` if there is no matrix.
    if a.is_empty() {
        return Ok(());
    }
    check_finite("qr", "a", a, m * n)?;
    let out = (Output { data: q, stride: m * p }, Output { data: &mut *r, stride: p * n });
    run(&Factor { m, n, a }, batch, 2 * m * n * (p + 4), out)?;
    check_result("qr", 0, r, p * n)
}

struct Factor<'a, T> {
    m: usize,
    n: usize,
    a: &'a [T],
}

impl<'o, T: Field> Kernel<T, (Output<'o, T>, Output<'o, T>)> for Factor<'_, T> {
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
        (q_out, r_out): &mut (Output<'o, T>, Output<'o, T>),
    ) -> Result<(), LinalgError> {
        let (m, n) = (self.m, self.n);
        let p = m.min(n);
        let (zero, one) = (lanes.splat(T::ZERO), lanes.splat(T::ONE));
        let (a, rest) = scratch.vectors::<C>(m * n + m * p + p + m).split_at_mut(m * n);
        let (q, rest) = rest.split_at_mut(m * p);
        let (tau, v) = rest.split_at_mut(p);
        gather(lanes, self.a, m * n, first, count, a);
        let up = normalize(lanes, a);
        for k in 0..p {
            tau[k] = make(lanes, m, n, k, a);
            vector(m, n, k, a, v);
            apply(lanes, k..m, v, tau[k], a, n, k + 1..n);
        }
        q.fill(zero);
        for k in 0..p {
            q[k * p + k] = one;
        }
        for k in (0..p).rev() {
            vector(m, n, k, a, v);
            apply(lanes, k..m, v, tau[k], q, p, k..p);
        }
        // Row k of R and column k of Q change sign together.
        for k in 0..p {
            let sign = lanes.select(lanes.less(a[k * n + k], zero), lanes.neg(one), one);
            for i in 0..m {
                q[i * p + k] = lanes.mul(q[i * p + k], sign);
            }
            let factor = lanes.mul(sign, up);
            a[k * n..k * n + k].fill(zero);
            for x in &mut a[k * n + k..(k + 1) * n] {
                *x = lanes.mul(*x, factor);
            }
        }
        scatter(lanes, q, count, m * p, q_out.data);
        scatter(lanes, &a[..p * n], count, p * n, r_out.data);
        Ok(())
    }
}
