//! Symmetric parts, and the symmetric product that the derivative of a solve needs.

use candle_core::Tensor;

use super::{matrices, square, with_last};
use crate::graph::Var;
use crate::kernel::matmul::symmetric_product;
use crate::ops::check_alike;
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{Real, from_vec, room, with_slice};
use crate::{Error, Result, Wrt, with_real};

/// (X + Xᵀ)/2.
pub(super) fn symmetric(x: Var<'_>) -> Var<'_> {
    (x + x.t()) * 0.5
}

/// The symmetric part of each matrix, as values.
pub(super) fn symmetric_part(t: &Tensor) -> Result<Tensor> {
    with_real!("symmetric part", t.dtype(), T => {
        let (_, n) = square("symmetric part", t)?;
        let mut data = with_slice::<T, _>(t, <[T]>::to_vec)?;
        data.chunks_mut((n * n).max(1)).for_each(|a| symmetrize(a, n));
        from_vec(data, t.dims(), t.device())
    })
}

/// a ← (a + aᵀ)/2 for one n×n matrix.
pub(super) fn symmetrize<T: Real>(a: &mut [T], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let mean = T::lit(0.5) * a[i * n + j] + T::lit(0.5) * a[j * n + i];
            (a[i * n + j], a[j * n + i]) = (mean, mean);
        }
    }
}

/// (X, Y) ↦ scale·(X·Yᵀ + Y·Xᵀ)/2 in one pass.
#[derive(Clone, Copy)]
pub(super) struct SymmetricProduct {
    pub(super) scale: f64,
}

impl SymmetricProduct {
    pub(super) fn of<'g>(self, x: Var<'g>, y: Var<'g>) -> Var<'g> {
        x.graph().record(self, &[x, y])
    }
}

impl Primitive for SymmetricProduct {
    fn name(&self) -> &str {
        "symmetric_product"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (x, y) = (x[0], x[1]);
        check_alike(self.name(), &[x, y])?;
        let (batch, n, k) = matrices(self.name(), x)?;
        if x.dims() != y.dims() {
            let what = "two factors of one shape (…, n, k)";
            return Err(Error::shape(self.name(), what, &[x.dims(), y.dims()]));
        }
        let dims = with_last(x, &[n, n]);
        room(self.name(), &dims, x.dtype())?;
        with_real!(self.name(), x.dtype(), T => {
            let run = |x: &[T], y: &[T]| symmetric_product(batch, n, k, self.scale, x, y);
            let c = with_slice::<T, _>(x, |x| with_slice::<T, _>(y, |y| run(x, y)))??;
            one(from_vec(c, &dims, x.device())?)
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        match (dx[0].map(|d| self.of(d, x[1])), dx[1].map(|d| self.of(x[0], d))) {
            (Some(a), Some(b)) => slot(a + b),
            (Some(d), None) | (None, Some(d)) => slot(d),
            (None, None) => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        // X̄ = scale·sym(Z̄)·Y, Ȳ = scale·sym(Z̄)·X
        let mut out = Slots::from_elem(None, 2);
        if let Some(dy) = dy[0] {
            let half = symmetric(dy) * self.scale;
            for i in (0..2).filter(|&i| wrt.needs(i)) {
                out[i] = Some(half.matmul(x[1 - i]).ok()?);
            }
        }
        Ok(out)
    }
}

impl<'g> Var<'g> {
    /// (X + Xᵀ)/2 of each matrix. Errors: not square.
    #[must_use]
    pub fn symmetrized(self) -> Self {
        self.compose(|x| square("symmetrized", &x.value()?).map(|_| symmetric(x)))
    }

    /// (X·Yᵀ + Y·Xᵀ)/2 of each pair of matrices: (…, n, k) and (…, n, k) → (…, n, n), symmetric.
    ///
    /// Errors: shapes that differ, rank below 2.
    #[must_use]
    pub fn symmetric_product(self, other: Var<'g>) -> Self {
        SymmetricProduct { scale: 1.0 }.of(self, other)
    }
}
