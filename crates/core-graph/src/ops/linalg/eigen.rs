//! The symmetric eigendecomposition.

use candle_core::{DType, Tensor};
use smallvec::smallvec;

use super::symmetric::{symmetric, symmetric_part};
use super::{located, square, with_last};
use crate::graph::Var;
use crate::primitive::{Primitive, Slots, Values, slot};
use crate::tensor::{from_vec, to_f64, with_slice};
use crate::{Error, Result, Wrt, with_real};
use pullback_linalg::symmetric_eigen;

/// (A + Aᵀ)/2 ↦ (w, V), ascending.
#[derive(Clone, Copy)]
struct Eigen;

impl Primitive for Eigen {
    fn name(&self) -> &str {
        "eigh"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let a = x[0];
        let (batch, n) = square("eigh", a)?;
        with_real!("eigh", a.dtype(), T => {
            let (mut w, mut v) = (vec![T::default(); batch * n], vec![T::default(); batch * n * n]);
            with_slice::<T, _>(&symmetric_part(a)?, |a| symmetric_eigen(batch, n, a, &mut w, &mut v))?
                .map_err(|e| located("eigh", e))?;
            Ok(smallvec![from_vec(w, &with_last(a, &[n]), a.device())?, from_vec(v, a.dims(), a.device())?])
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // With M = Vᵀ dA V: dw = diag M, dV = V·(F∘M), F_ij = 1/(w_j − w_i) off the diagonal (Giles 2008, section 3.1).
        let Some(da) = dx[0] else { return Ok(Slots::from_elem(None, 2)) };
        let (w, v) = (y[0], y[1]);
        let m = v.t().matmul(symmetric(da)).matmul(v);
        let gaps = Gaps::new("eigh", w)?;
        gaps.require_zero(m, "the direction splits them")?;
        Ok(smallvec![Some(m.diagonal().ok()?), Some(v.matmul(gaps.inverse * m).ok()?)])
    }

    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        // Ā = sym(V·(diag w̄ + F∘(Vᵀ V̄))·Vᵀ)
        let (w, v) = (y[0], y[1]);
        let gaps = Gaps::new("eigh", w)?;
        let from_values = dy[0].map(|d| {
            gaps.require_zero(
                d.unsqueeze(-1) - d.unsqueeze(-2),
                "the eigenvalues are weighted differently",
            )?;
            Ok::<_, Error>(d.diag())
        });
        let from_vectors = dy[1].map(|d| {
            let k = v.t().matmul(d);
            gaps.require_zero(k - k.t(), "the result depends on the choice of eigenvectors")?;
            Ok::<_, Error>(gaps.inverse * k)
        });
        let inner = match (from_values.transpose()?, from_vectors.transpose()?) {
            (Some(a), Some(b)) => a + b,
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => return Ok(Slots::from_elem(None, 1)),
        };
        slot(symmetric(v.matmul(inner).matmul(v.t())))
    }
}

/// The reciprocal gaps 1/(w_j − w_i), zero where two numbers coincide to rounding.
pub(super) struct Gaps<'g> {
    node: &'static str,
    pub(super) inverse: Var<'g>,
    /// Pairs i ≠ j that coincide: (flat index of the pair, values).
    equal: Vec<(usize, f64)>,
}

impl<'g> Gaps<'g> {
    pub(super) fn new(node: &'static str, w: Var<'g>) -> Result<Self> {
        let tensor = w.value()?;
        let n = tensor.dims().last().copied().unwrap_or(0);
        let values = to_f64(&tensor)?;
        let eps = if tensor.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let mut off = Vec::with_capacity(values.len() * n);
        let mut equal = Vec::new();
        for (b, w) in values.chunks(n.max(1)).enumerate() {
            let tolerance = 4.0 * n as f64 * eps * w.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            for i in 0..n {
                for j in 0..n {
                    let same = (w[j] - w[i]).abs() <= tolerance;
                    off.push(if same { 1.0 } else { 0.0 });
                    if same && i != j {
                        equal.push((b * n * n + i * n + j, w[i]));
                    }
                }
            }
        }
        let dims: Vec<usize> = tensor.dims().iter().copied().chain([n]).collect();
        let off = from_vec(off, &dims, tensor.device())?.to_dtype(tensor.dtype())?;
        let off = w.graph().own(off);
        let gap = w.unsqueeze(-2) - w.unsqueeze(-1);
        // Where two coincide, the gap is replaced by 1 and its reciprocal by 0.
        let inverse = (off.select(off, gap).reciprocal() - off).ok()?;
        Ok(Gaps { node, inverse, equal })
    }

    /// `m` must vanish for the pairs that coincide; else the derivative does not exist.
    pub(super) fn require_zero(&self, m: Var<'g>, why: &str) -> Result<()> {
        let Some(&(_, value)) = self.equal.first() else { return Ok(()) };
        let m = to_f64(&m.value()?)?;
        let scale = m.iter().fold(0.0, |s: f64, x| s.max(x.abs()));
        match self.equal.iter().find(|(k, _)| 1e-6 * scale.min(1.0) < m[*k].abs()) {
            None => Ok(()),
            Some(_) => Err(Error::NotDifferentiable {
                node: self.node.into(),
                why: format!("two values coincide at {value:e}, and {why}"),
            }),
        }
    }
}

impl<'g> Var<'g> {
    /// The eigenvalues, ascending, and eigenvectors of each symmetric matrix: (…, n, n) → (…, n), (…, n, n), A = V·diag(w)·Vᵀ.
    ///
    /// A is symmetrized first, so its derivative is symmetric. Each eigenvector's component of largest magnitude is positive. Where
    /// eigenvalues coincide, the derivative of what depends on the choice of eigenvectors is an error (`NotDifferentiable`).
    /// Errors: not square, no convergence.
    pub fn eigh(self) -> Result<(Self, Self)> {
        let y = self.graph().record_all(std::sync::Arc::new(Eigen), &[self])?;
        Ok((y[0], y[1]))
    }
}
