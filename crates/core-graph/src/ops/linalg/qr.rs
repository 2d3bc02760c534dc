//! The QR factorization.

use candle_core::Tensor;
use smallvec::smallvec;

use super::{located, lower, matrices, with_last};
use crate::graph::Var;
use crate::kernel::linalg::{Triangle, qr};
use crate::primitive::{Primitive, Slots, Values, slot};
use crate::tensor::{from_vec, with_slice};
use crate::{Result, Wrt, with_real};

/// A ↦ (Q, R) for m ≥ n, thin, with a diagonal of R that is not negative.
#[derive(Clone, Copy)]
struct Qr;

impl Primitive for Qr {
    fn name(&self) -> &str {
        "qr"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let a = x[0];
        let (batch, m, n) = matrices("qr", a)?;
        let p = m.min(n);
        with_real!("qr", a.dtype(), T => {
            let (mut q, mut r) = (vec![T::default(); batch * m * p], vec![T::default(); batch * p * n]);
            with_slice::<T, _>(a, |a| qr(batch, m, n, a, &mut q, &mut r))?.map_err(|e| located("qr", e))?;
            Ok(smallvec![from_vec(q, &with_last(a, &[m, p]), a.device())?, from_vec(r, &with_last(a, &[p, n]), a.device())?])
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // With C = dA·R⁻¹, M = Qᵀ·C and Ω = X − Xᵀ, X the strict lower triangle of M: dQ = Q·Ω + C − Q·M, dR = (M − Ω)·R.
        let Some(da) = dx[0] else { return Ok(Slots::from_elem(None, 2)) };
        let (q, r) = (y[0], y[1]);
        let c = r.triangular_solve(da.t(), Triangle::UPPER.transpose()).t();
        let m = q.t().matmul(c);
        let x = lower(m, 0.0);
        let turn = x - x.t();
        let dq = q.matmul(turn - m) + c;
        Ok(smallvec![Some(dq.ok()?), Some((m - turn).matmul(r).ok()?)])
    }

    fn pull<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dy: &[Option<Var<'g>>], _: Wrt<'_>) -> Result<Slots<'g>> {
        // Ā = (Q̄ + Q·copyltu(R·R̄ᵀ − Q̄ᵀ·Q))·R⁻ᵀ, copyltu the lower triangle mirrored (Walter and Lehmann 2010).
        let (q, r) = (y[0], y[1]);
        let from_r = dy[1].map(|d| r.matmul(super::upper(d, 1.0).t()));
        let from_q = dy[0].map(|d| d.t().matmul(q));
        let m = match (from_r, from_q) {
            (Some(a), Some(b)) => a - b,
            (Some(a), None) => a,
            (None, Some(b)) => -b,
            (None, None) => return Ok(Slots::from_elem(None, x.len())),
        };
        let strict = lower(m, 0.0);
        let inner = q.matmul(lower(m, 1.0) + strict.t());
        let inner = dy[0].map_or(inner, |d| inner + d);
        slot(r.triangular_solve(inner.t(), Triangle::UPPER).t())
    }
}

impl<'g> Var<'g> {
    /// Q and R of each matrix, thin: (…, m, n) → (…, m, p), (…, p, n) with p = min(m, n), QᵀQ = I and a diagonal of R ≥ 0.
    ///
    /// The derivative needs linearly independent columns (for m < n: the first m); else it is an error. Errors: rank below 2.
    pub fn qr(self) -> Result<(Self, Self)> {
        let dims = self.dims()?;
        let wide = matches!(dims.as_slice(), [.., m, n] if m < n);
        if wide {
            let m = dims[dims.len() - 2];
            let y = self.graph().record_all(std::sync::Arc::new(Qr), &[self.narrow(-1, 0, m)])?;
            let rest = y[0].t().matmul(self.narrow(-1, m, dims[dims.len() - 1] - m));
            return Ok((y[0], self.graph().cat(&[y[1], rest], -1).ok()?));
        }
        let y = self.graph().record_all(std::sync::Arc::new(Qr), &[self])?;
        Ok((y[0], y[1]))
    }
}
