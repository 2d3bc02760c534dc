//! The LU factorization: general systems, inverses, determinants.

use candle_core::{Device, Tensor};
use smallvec::smallvec;

use super::{constant, located, lower, matrices, square, upper, with_last};
use crate::graph::Var;
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{from_vec, with_slice};
use crate::{Error, Result, Wrt, with_real};
use pullback_linalg::{Triangle, lu, lu_solve};

/// A ↦ (L and U packed, row order). The factors carry no derivative: what is made from them reads A too, which carries it all.
#[derive(Clone, Copy)]
struct Factor;

impl Primitive for Factor {
    fn name(&self) -> &str {
        "lu"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let a = x[0];
        let (batch, n) = square("lu", a)?;
        with_real!("lu", a.dtype(), T => {
            let (mut packed, mut rows) = (vec![T::default(); batch * n * n], vec![0usize; batch * n]);
            with_slice::<T, _>(a, |a| lu(batch, n, a, &mut packed, &mut rows))?.map_err(|e| located("lu", e))?;
            let rows: Vec<u32> = rows.into_iter().map(|r| r as u32).collect();
            let rows = from_vec(rows, &with_last(a, &[n]), &Device::Cpu)?;
            Ok(smallvec![from_vec(packed, a.dims(), a.device())?, rows])
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], _: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Ok(Slots::from_elem(None, 2))
    }

    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        _: &[Var<'g>],
        _: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        Ok(Slots::from_elem(None, 1))
    }
}

/// (A, packed, rows, B) ↦ A⁻¹·B, or A⁻ᵀ·B.
#[derive(Clone, Copy)]
struct Solve {
    transposed: bool,
}

impl Primitive for Solve {
    fn name(&self) -> &str {
        "solve"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (packed, rows, b) = (x[1], x[2], x[3]);
        let ((batch, n), (other, m, k)) = (square("solve", packed)?, matrices("solve", b)?);
        if batch != other || m != n {
            return Err(Error::shape(
                "solve",
                "(…, n, n) and (…, n, k)",
                &[packed.dims(), b.dims()],
            ));
        }
        crate::ops::check_alike("solve", &[packed, b])?;
        let rows: Vec<usize> =
            with_slice::<u32, _>(rows, |r| r.iter().map(|&r| r as usize).collect())?;
        with_real!("solve", b.dtype(), T => {
            let mut out = vec![T::default(); batch * n * k];
            let mut run = |f: &[T], b: &[T]| lu_solve(batch, n, k, f, &rows, self.transposed, b, &mut out);
            with_slice::<T, _>(packed, |f| with_slice::<T, _>(b, |b| run(f, b)))??.map_err(|e| located("solve", e))?;
            one(from_vec(out, b.dims(), b.device())?)
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // dX = A⁻¹(dB − dA·X)
        let moved =
            dx[0].map(|da| if self.transposed { da.t().matmul(y[0]) } else { da.matmul(y[0]) });
        let right = match (dx[3], moved) {
            (Some(db), Some(m)) => db - m,
            (Some(db), None) => db,
            (None, Some(m)) => -m,
            (None, None) => return Ok(Slots::from_elem(None, 1)),
        };
        slot(x[0].graph().record(*self, &[x[0], x[1], x[2], right]))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 4);
        let Some(dy) = dy[0] else { return Ok(out) };
        // B̄ = A⁻ᵀ X̄, Ā = −B̄·Xᵀ
        let back = Solve { transposed: !self.transposed };
        let b = x[0].graph().record(back, &[x[0], x[1], x[2], dy]);
        if wrt.needs(0) {
            let full = if self.transposed { y[0].matmul(b.t()) } else { b.matmul(y[0].t()) };
            out[0] = Some((-full).ok()?);
        }
        if wrt.needs(3) {
            out[3] = Some(b.ok()?);
        }
        Ok(out)
    }
}

/// (A, packed, rows) ↦ (sign of det A, ln |det A|).
#[derive(Clone, Copy)]
struct LogDeterminant;

impl Primitive for LogDeterminant {
    fn name(&self) -> &str {
        "slogdet"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (packed, rows) = (x[1], x[2]);
        let (batch, n) = square("slogdet", packed)?;
        let swaps =
            with_slice::<u32, _>(rows, |r| r.chunks(n.max(1)).map(odd).collect::<Vec<bool>>())?;
        with_real!("slogdet", packed.dtype(), T => {
            let (mut sign, mut logabs) = (vec![1.0 as T; batch], vec![0.0 as T; batch]);
            with_slice::<T, _>(packed, |f| {
                for (b, f) in f.chunks((n * n).max(1)).take(batch).enumerate() {
                    let pivots = (0..n).map(|i| f[i * n + i]);
                    let negative = pivots.clone().filter(|p| *p < 0.0).count() % 2 == 1;
                    sign[b] = if negative != swaps.get(b).copied().unwrap_or(false) { -1.0 } else { 1.0 };
                    logabs[b] = pivots.map(|p| p.abs().ln()).sum();
                }
            })?;
            let dims = with_last(packed, &[]);
            Ok(smallvec![from_vec(sign, &dims, packed.device())?, from_vec(logabs, &dims, packed.device())?])
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // d ln|det A| = tr(A⁻¹ dA)
        let Some(da) = dx[0] else { return Ok(Slots::from_elem(None, 2)) };
        let solved = x[0].graph().record(Solve { transposed: false }, &[x[0], x[1], x[2], da]);
        Ok(smallvec![None, Some(solved.trace().ok()?)])
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let Some(d) = dy[1] else { return Ok(Slots::from_elem(None, 3)) };
        let n = x[0].shape().last().copied().unwrap_or(0);
        let identity = constant(x[0], n, |i, j| f64::from(u8::from(i == j))).broadcast_like(x[0]);
        let inverse =
            x[0].graph().record(Solve { transposed: true }, &[x[0], x[1], x[2], identity]);
        Ok(smallvec![Some((inverse * d.unsqueeze(-1).unsqueeze(-1)).ok()?), None, None])
    }
}

/// Is the permutation odd?
fn odd(rows: &[u32]) -> bool {
    let mut seen = vec![false; rows.len()];
    let mut transpositions = 0;
    for start in 0..rows.len() {
        let mut at = start;
        let mut length = 0;
        while !std::mem::replace(&mut seen[at], true) {
            at = rows[at] as usize;
            length += 1;
        }
        transpositions += usize::max(length, 1) - 1;
    }
    transpositions % 2 == 1
}

/// A ↦ (L, U, rows) with L·U = A[rows].
#[derive(Clone, Copy)]
struct Factors;

impl Primitive for Factors {
    fn name(&self) -> &str {
        "lu"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let packed = Factor.eval(x)?;
        let (_, n) = square("lu", x[0])?;
        with_real!("lu", x[0].dtype(), T => {
            let split = |keep: &dyn Fn(usize, usize, T) -> T| -> Result<Tensor> {
                let entry = |(k, &v): (usize, &T)| keep(k / n % n, k % n, v);
                let data = with_slice::<T, _>(&packed[0], |f| f.iter().enumerate().map(entry).collect::<Vec<T>>())?;
                from_vec(data, x[0].dims(), x[0].device())
            };
            let l = split(&|i, j, v| if j < i { v } else if i == j { 1.0 } else { 0.0 })?;
            let u = split(&|i, j, v| if i <= j { v } else { 0.0 })?;
            Ok(smallvec![l, u, packed[1].clone()])
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // With G = L⁻¹ dA[rows] U⁻¹: dL = L·strict lower(G), dU = upper(G)·U.
        let Some(da) = dx[0] else { return Ok(Slots::from_elem(None, 3)) };
        let (l, u) = (y[0], y[1]);
        let left = l.triangular_solve(reordered(da, y[2], false)?, Triangle::LOWER.unit());
        let g = u.triangular_solve(left.t(), Triangle::UPPER.transpose()).t();
        Ok(smallvec![
            Some(l.matmul(lower(g, 0.0)).ok()?),
            Some(upper(g, 1.0).matmul(u).ok()?),
            None
        ])
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        // Ā[rows] = L⁻ᵀ (strict lower(Lᵀ L̄) + upper(Ū Uᵀ)) U⁻ᵀ
        let (l, u) = (y[0], y[1]);
        let from_l = dy[0].map(|d| lower(l.t().matmul(d), 0.0));
        let from_u = dy[1].map(|d| upper(d.matmul(u.t()), 1.0));
        let g = match (from_l, from_u) {
            (Some(a), Some(b)) => a + b,
            (Some(g), None) | (None, Some(g)) => g,
            (None, None) => return Ok(Slots::from_elem(None, x.len())),
        };
        let left = l.triangular_solve(g, Triangle::LOWER.unit().transpose());
        let both = u.triangular_solve(left.t(), Triangle::UPPER).t();
        slot(reordered(both, y[2], true)?)
    }
}

/// The rows of each matrix in the factorization's order, or back.
fn reordered<'g>(a: Var<'g>, rows: Var<'g>, back: bool) -> Result<Var<'g>> {
    let dims = a.ok()?.shape();
    let n = dims.last().copied().unwrap_or(0);
    let mut order = with_slice::<u32, _>(&rows.value()?, <[u32]>::to_vec)?;
    if back {
        for rows in order.chunks_mut(n.max(1)) {
            let mut inverse = vec![0; rows.len()];
            rows.iter().enumerate().for_each(|(i, &r)| inverse[r as usize] = i as u32);
            rows.copy_from_slice(&inverse);
        }
    }
    let index: Vec<u32> = order.iter().flat_map(|&r| std::iter::repeat_n(r, n)).collect();
    Ok(a.gather(&from_vec(index, &dims, &Device::Cpu)?, -2))
}

impl<'g> Var<'g> {
    /// X with A·X = B, where `self` is A: (…, n, n), `b`: (…, n, k); batch dimensions broadcast.
    ///
    /// Errors: singular to working precision, with the pivot and an estimate of the condition; shapes.
    #[must_use]
    pub fn solve(self, b: Var<'g>) -> Self {
        self.compose(|a| {
            let (a, b) = a.same_batch(b, 2)?;
            let f = a.graph().record_all(std::sync::Arc::new(Factor), &[a])?;
            Ok(a.graph().record(Solve { transposed: false }, &[a, f[0], f[1], b]))
        })
    }

    /// The inverse of each matrix: (…, n, n). Errors: singular, with the pivot and an estimate of the condition; not square.
    #[must_use]
    pub fn inverse(self) -> Self {
        self.compose(|a| {
            let n = a.shape().last().copied().unwrap_or(0);
            Ok(a.solve(constant(a, n, |i, j| f64::from(u8::from(i == j)))))
        })
    }

    /// The sign of the determinant (without derivative) and ln |det A| of each matrix: (…, n, n) → (…), (…).
    ///
    /// Errors: singular to working precision; not square.
    pub fn slogdet(self) -> Result<(Self, Self)> {
        let f = self.graph().record_all(std::sync::Arc::new(Factor), &[self])?;
        let y =
            self.graph().record_all(std::sync::Arc::new(LogDeterminant), &[self, f[0], f[1]])?;
        Ok((y[0], y[1]))
    }

    /// ln det A of each symmetric positive definite matrix: (…, n, n) → (…). Errors: as of [`Var::cholesky`].
    #[must_use]
    pub fn logdet(self) -> Self {
        self.cholesky().diagonal().log().sum(-1) * 2.0
    }

    /// The determinant of each matrix: (…, n, n) → (…). Errors: singular to working precision; not square.
    #[must_use]
    pub fn det(self) -> Self {
        self.compose(|a| {
            let (sign, logabs) = a.slogdet()?;
            Ok(sign * logabs.exp())
        })
    }

    /// L, U and the row order (u32) with L·U = `A[rows]`, by partial pivoting: (…, n, n). Errors: singular; not square.
    pub fn lu(self) -> Result<(Self, Self, Tensor)> {
        let y = self.graph().record_all(std::sync::Arc::new(Factors), &[self])?;
        Ok((y[0], y[1], y[2].value()?))
    }
}
