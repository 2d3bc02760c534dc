//! The Cholesky factorization and what it solves.

use candle_core::Tensor;

use super::symmetric::{SymmetricProduct, symmetric, symmetrize};
use super::{located, lower, matrices, square};
use crate::graph::Var;
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{Real, from_vec, with_slice};
use crate::{Error, Result, Wrt, with_real};
use pullback_linalg::{
    LinalgError, Triangle, cholesky_of_symmetric_part, cholesky_solve, symmetric_eigen,
};

/// L with L·Lᵀ = (A + Aᵀ)/2.
#[derive(Clone, Copy)]
struct Cholesky;

impl Primitive for Cholesky {
    fn name(&self) -> &str {
        "cholesky"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let a = x[0];
        let (batch, n) = square("cholesky", a)?;
        with_real!("cholesky", a.dtype(), T => {
            let mut l = vec![T::default(); batch * n * n];
            let factor = |a: &[T]| cholesky_of_symmetric_part(batch, n, a, &mut l).map_err(|e| with_spectrum(a, n, e));
            with_slice::<T, _>(a, factor)??;
            one(from_vec(l, a.dims(), a.device())?)
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // dL = L·Φ(L⁻¹ dA L⁻ᵀ), Φ the lower triangle with half the diagonal (Murray 2016, eq. 8).
        let Some(da) = dx[0] else { return Ok(Slots::from_elem(None, 1)) };
        let l = y[0];
        let half = l.triangular_solve(symmetric(da), Triangle::LOWER);
        let inner = l.triangular_solve(half.t(), Triangle::LOWER);
        slot(l.matmul(lower(inner, 0.5)))
    }

    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        // Ā = sym(L⁻ᵀ Φ(Lᵀ L̄) L⁻¹) (Murray 2016, eq. 10).
        let Some(dl) = dy[0] else { return Ok(Slots::from_elem(None, 1)) };
        let l = y[0];
        let inner = lower(l.t().matmul(lower(dl, 1.0)), 0.5);
        let half = l.triangular_solve(inner, Triangle::LOWER.transpose());
        slot(symmetric(l.triangular_solve(half.t(), Triangle::LOWER.transpose())))
    }

    fn keeps_finite(&self) -> bool {
        true // each entry of a row enters its pivot squared, and every pivot is checked
    }
}

/// A failed factorization's error, with λ_min/λ_max of the matrix in the place of its condition: negative if it is indefinite.
fn with_spectrum<T: Real + pullback_linalg::Real>(a: &[T], n: usize, e: LinalgError) -> Error {
    let mut error = located("cholesky", e);
    if let Error::Matrix { batch, rcond, .. } = &mut error {
        let (mut w, mut v) = (vec![T::default(); n], vec![T::default(); n * n]);
        let mut matrix = a[*batch * n * n..(*batch + 1) * n * n].to_vec();
        symmetrize(&mut matrix, n);
        if symmetric_eigen(1, n, &matrix, &mut w, &mut v).is_ok() {
            let largest = w.iter().fold(0.0, |m: f64, x| m.max(x.wide().abs()));
            *rcond = w.first().map_or(0.0, |x| x.wide()) / largest.max(f64::MIN_POSITIVE);
        }
    }
    error
}

/// (A, L, B) ↦ A⁻¹·B for symmetric positive definite A = L·Lᵀ. L only saves work: A carries the whole derivative.
#[derive(Clone, Copy)]
struct PositiveSolve;

impl Primitive for PositiveSolve {
    fn name(&self) -> &str {
        "cholesky_solve"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (l, b) = (x[1], x[2]);
        let ((batch, n), (other, m, k)) = (square(self.name(), l)?, matrices(self.name(), b)?);
        if batch != other || m != n {
            return Err(Error::shape(
                self.name(),
                "(…, n, n) and (…, n, k)",
                &[l.dims(), b.dims()],
            ));
        }
        crate::ops::check_alike(self.name(), &x[1..])?;
        with_real!(self.name(), b.dtype(), T => {
            let mut out = vec![T::default(); batch * n * k];
            let mut run = |l: &[T], b: &[T]| cholesky_solve(batch, n, k, l, b, &mut out);
            with_slice::<T, _>(l, |l| with_slice::<T, _>(b, |b| run(l, b)))??.map_err(|e| located(self.name(), e))?;
            one(from_vec(out, b.dims(), b.device())?)
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // dX = A⁻¹(dB − sym(dA)·X)
        let right = match (dx[0], dx[2]) {
            (Some(da), Some(db)) => db - symmetric(da).matmul(y[0]),
            (Some(da), None) => -symmetric(da).matmul(y[0]),
            (None, Some(db)) => db,
            (None, None) => return Ok(Slots::from_elem(None, 1)),
        };
        slot(x[0].graph().record(PositiveSolve, &[x[0], x[1], right]))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        // B̄ = A⁻¹ X̄, Ā = −sym(B̄·Xᵀ)
        let mut out = Slots::from_elem(None, 3);
        let Some(dy) = dy[0] else { return Ok(out) };
        let b = x[0].graph().record(PositiveSolve, &[x[0], x[1], dy]);
        if wrt.needs(0) {
            out[0] = Some(SymmetricProduct { scale: -1.0 }.of(b, y[0]).ok()?);
        }
        if wrt.needs(2) {
            out[2] = Some(b.ok()?);
        }
        Ok(out)
    }

    fn keeps_finite(&self) -> bool {
        true // the kernel refuses to hand out anything else
    }
}

impl<'g> Var<'g> {
    /// The lower factor L of each symmetric positive definite matrix, A = L·Lᵀ: (…, n, n).
    ///
    /// A is symmetrized first, so its derivative is symmetric. Errors: not positive definite, with the pivot; not square.
    #[must_use]
    pub fn cholesky(self) -> Self {
        self.graph().record(Cholesky, &[self])
    }

    /// A⁻¹·B for symmetric positive definite A = `self`: (…, n, n), B: (…, n, k); batch dimensions broadcast. Errors: as of
    /// [`Var::cholesky`].
    #[must_use]
    pub fn cholesky_solve(self, b: Var<'g>) -> Self {
        self.compose(|a| {
            let (a, b) = a.same_batch(b, 2)?;
            let l = a.detach().cholesky();
            Ok(a.graph().record(PositiveSolve, &[a, l, b]))
        })
    }
}
