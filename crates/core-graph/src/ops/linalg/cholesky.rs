//! The Cholesky factorization and what it solves.

use candle_core::Tensor;

use super::{located, lower, square, symmetric, symmetric_part};
use crate::graph::Var;
use crate::kernel::linalg::{Triangle, cholesky};
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{from_vec, with_slice};
use crate::{Result, Wrt, with_real};

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
            with_slice::<T, _>(&symmetric_part(a)?, |a| cholesky(batch, n, a, &mut l))?.map_err(|e| located("cholesky", e))?;
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

    fn pull<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dy: &[Option<Var<'g>>], _: Wrt<'_>) -> Result<Slots<'g>> {
        // Ā = sym(L⁻ᵀ Φ(Lᵀ L̄) L⁻¹) (Murray 2016, eq. 10).
        let Some(dl) = dy[0] else { return Ok(Slots::from_elem(None, 1)) };
        let l = y[0];
        let inner = lower(l.t().matmul(lower(dl, 1.0)), 0.5);
        let half = l.triangular_solve(inner, Triangle::LOWER.transpose());
        slot(symmetric(l.triangular_solve(half.t(), Triangle::LOWER.transpose())))
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
            let l = a.cholesky();
            Ok(l.triangular_solve(l.triangular_solve(b, Triangle::LOWER), Triangle::LOWER.transpose()))
        })
    }
}
