//! The singular value decomposition and the pseudo-inverse.

use candle_core::{DType, Tensor};
use smallvec::smallvec;

use super::eigen::Gaps;
use super::{located, matrices, with_last};
use crate::graph::Var;
use crate::kernel::linalg::svd;
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{Real, from_vec, with_slice};
use crate::{Error, Result, Wrt, with_real};

/// A ↦ (U, s, Vᵀ), thin, descending.
#[derive(Clone, Copy)]
struct Svd;

impl Primitive for Svd {
    fn name(&self) -> &str {
        "svd"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let a = x[0];
        let (batch, m, n) = matrices("svd", a)?;
        with_real!("svd", a.dtype(), T => {
            let [u, s, vt] = decompose::<T>(a, batch, m, n)?;
            let p = m.min(n);
            let tensor = |data, last: &[usize]| from_vec(data, &with_last(a, last), a.device());
            Ok(smallvec![tensor(u, &[m, p])?, tensor(s, &[p])?, tensor(vt, &[p, n])?])
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // With P = Uᵀ dA V, F_ij = 1/(s_j² − s_i²): ds = diag P, dU = U·(F∘(P·S + S·Pᵀ)) + (I − U·Uᵀ)·dA·V·S⁻¹, and for V alike
        // (Townsend 2016, eqs. 17–19).
        let Some(da) = dx[0] else { return Ok(Slots::from_elem(None, 3)) };
        let (u, s, vt) = (y[0], y[1], y[2]);
        let gaps = Gaps::new("svd", s.sqr())?;
        let p = u.t().matmul(da).matmul(vt.t());
        gaps.require_zero(p + p.t(), "the direction splits them")?;
        let (row, column) = (s.unsqueeze(-2), s.unsqueeze(-1));
        let turn_u = gaps.inverse * (p * row + column * p.t());
        let turn_v = gaps.inverse * (column * p + p.t() * row);
        let av = da.matmul(vt.t());
        let au = da.t().matmul(u);
        let du = u.matmul(turn_u) + outside(u, av, row)?;
        let dv = vt.t().matmul(turn_v) + outside(vt.t(), au, row)?;
        Ok(smallvec![Some(du.ok()?), Some(p.diagonal().ok()?), Some(dv.t().ok()?)])
    }

    fn pull<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dy: &[Option<Var<'g>>], _: Wrt<'_>) -> Result<Slots<'g>> {
        let (u, s, vt) = (y[0], y[1], y[2]);
        let gaps = Gaps::new("svd", s.sqr())?;
        let (row, column) = (s.unsqueeze(-2), s.unsqueeze(-1));
        let mut inner: Option<Var<'g>> = None;
        let mut rest: Option<Var<'g>> = None;
        let add = |into: &mut Option<Var<'g>>, v: Var<'g>| *into = Some(into.map_or(v, |have| have + v));
        if let Some(d) = dy[1] {
            gaps.require_zero(d.unsqueeze(-1) - d.unsqueeze(-2), "the singular values are weighted differently")?;
            add(&mut inner, d.diag());
        }
        if let Some(d) = dy[0] {
            let k = u.t().matmul(d);
            gaps.require_zero(k - k.t(), "the result depends on the choice of singular vectors")?;
            add(&mut inner, gaps.inverse * (k - k.t()) * row);
            add(&mut rest, outside(u, d, row)?.matmul(vt));
        }
        if let Some(d) = dy[2] {
            let k = vt.matmul(d.t());
            gaps.require_zero(k - k.t(), "the result depends on the choice of singular vectors")?;
            add(&mut inner, column * (gaps.inverse * (k - k.t())));
            add(&mut rest, u.matmul(outside(vt.t(), d.t(), row)?.t()));
        }
        let inside = inner.map(|i| u.matmul(i).matmul(vt));
        match (inside, rest) {
            (Some(a), Some(b)) => slot(a + b),
            (Some(a), None) | (None, Some(a)) => slot(a),
            (None, None) => Ok(Slots::from_elem(None, 1)),
        }
    }
}

/// (I − B·Bᵀ)·X·S⁻¹ for an orthonormal basis B; zero for a square one.
fn outside<'g>(basis: Var<'g>, x: Var<'g>, s: Var<'g>) -> Result<Var<'g>> {
    let dims = basis.ok()?.shape();
    if dims[dims.len() - 2] == dims[dims.len() - 1] {
        return Ok(x.zeros_like());
    }
    Ok((x - basis.matmul(basis.t().matmul(x))) / s)
}

fn decompose<T: Real + crate::kernel::linalg::Real>(a: &Tensor, batch: usize, m: usize, n: usize) -> Result<[Vec<T>; 3]> {
    let p = m.min(n);
    let mut u = vec![T::default(); batch * m * p];
    let mut s = vec![T::default(); batch * p];
    let mut vt = vec![T::default(); batch * p * n];
    with_slice::<T, _>(a, |a| svd(batch, m, n, a, &mut u, &mut s, &mut vt))?.map_err(|e| located("svd", e))?;
    Ok([u, s, vt])
}

/// The Moore–Penrose inverse; singular values below `tolerance`·s₁ count as zero.
#[derive(Clone, Copy)]
struct PseudoInverse {
    tolerance: f64,
}

impl Primitive for PseudoInverse {
    fn name(&self) -> &str {
        "pinv"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let a = x[0];
        let (batch, m, n) = matrices("pinv", a)?;
        let p = m.min(n);
        with_real!("pinv", a.dtype(), T => {
            let [u, s, vt] = decompose::<T>(a, batch, m, n)?;
            let mut out = vec![T::default(); batch * n * m];
            for b in 0..batch {
                let s = &s[b * p..(b + 1) * p];
                let cut = s.first().copied().unwrap_or_default() * T::lit(self.tolerance);
                for (k, &sigma) in s.iter().enumerate().filter(|(_, s)| cut < **s) {
                    for i in 0..n {
                        let v = vt[b * p * n + k * n + i] / sigma;
                        for j in 0..m {
                            out[b * n * m + i * m + j] += v * u[b * m * p + j * p + k];
                        }
                    }
                }
            }
            one(from_vec(out, &with_last(a, &[n, m]), a.device())?)
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // dP = −P dA P + P Pᵀ dAᵀ (I − A P) + (I − P A) dAᵀ Pᵀ P at constant rank (Golub and Pereyra 1973, eq. 4.12).
        let Some(d) = dx[0] else { return Ok(Slots::from_elem(None, 1)) };
        let (a, p) = (x[0], y[0]);
        let first = p.matmul(p.t()).matmul(d.t());
        let second = d.t().matmul(p.t()).matmul(p);
        let left = first - first.matmul(a).matmul(p);
        let right = second - p.matmul(a.matmul(second));
        slot(left + right - p.matmul(d).matmul(p))
    }

    fn pull<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dy: &[Option<Var<'g>>], _: Wrt<'_>) -> Result<Slots<'g>> {
        // Ā = −Pᵀ P̄ Pᵀ + (I − A P) P̄ᵀ P Pᵀ + Pᵀ P P̄ᵀ (I − P A)
        let Some(d) = dy[0] else { return Ok(Slots::from_elem(None, 1)) };
        let (a, p) = (x[0], y[0]);
        let first = d.t().matmul(p).matmul(p.t());
        let second = p.t().matmul(p).matmul(d.t());
        let left = first - a.matmul(p.matmul(first));
        let right = second - second.matmul(p).matmul(a);
        slot(left + right - p.t().matmul(d).matmul(p.t()))
    }
}

impl<'g> Var<'g> {
    /// U, s and Vᵀ of each matrix, thin: (…, m, n) → (…, m, p), (…, p), (…, p, n) with p = min(m, n), A = U·diag(s)·Vᵀ.
    ///
    /// Singular values descend; each column's component of U of largest magnitude is positive. Where singular values coincide, the
    /// derivative of what depends on the choice of vectors is an error (`NotDifferentiable`). Errors: rank below 2, no convergence.
    pub fn svd(self) -> Result<(Self, Self, Self)> {
        let y = self.graph().record_all(std::sync::Arc::new(Svd), &[self])?;
        Ok((y[0], y[1], y[2]))
    }

    /// The Moore–Penrose inverse of each matrix: (…, m, n) → (…, n, m). Singular values below max(m, n)·ε·s₁ count as zero.
    ///
    /// The derivative is that at constant rank. Errors: rank below 2, no convergence.
    #[must_use]
    pub fn pinv(self) -> Self {
        self.compose(|a| {
            let t = a.value()?;
            let (_, m, n) = matrices("pinv", &t)?;
            let eps = if t.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
            if m == 0 || n == 0 {
                return Err(Error::shape("pinv", "matrices with entries", &[t.dims()]));
            }
            Ok(a.graph().record(PseudoInverse { tolerance: m.max(n) as f64 * eps }, &[a]))
        })
    }
}
