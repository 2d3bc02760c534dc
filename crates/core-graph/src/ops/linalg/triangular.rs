//! Triangular systems.

use candle_core::Tensor;

use super::{located, lower, matrices, square, upper, with_last};
use crate::graph::Var;
use crate::kernel::linalg::{Triangle, solve_triangular};
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{from_vec, with_slice};
use crate::{Error, Result, Wrt, with_real};

/// X = op(T)⁻¹·B from (T, B).
#[derive(Clone, Copy)]
struct TriangularSolve(Triangle);

impl Primitive for TriangularSolve {
    fn name(&self) -> &str {
        "triangular_solve"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (t, b) = (x[0], x[1]);
        let ((batch, n), (other, rows, k)) = (square(self.name(), t)?, matrices(self.name(), b)?);
        if batch != other || n != rows {
            return Err(Error::shape(self.name(), "(…, n, n) and (…, n, k)", &[t.dims(), b.dims()]));
        }
        crate::ops::check_alike(self.name(), x)?;
        with_real!(self.name(), t.dtype(), T => {
            let mut out = vec![T::default(); batch * n * k];
            let mut run = |t: &[T], b: &[T]| solve_triangular(batch, n, k, self.0, t, b, &mut out);
            with_slice::<T, _>(t, |t| with_slice::<T, _>(b, |b| run(t, b)))??.map_err(|e| located(self.name(), e))?;
            one(from_vec(out, &with_last(b, &[n, k]), b.device())?)
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        // dX = op(T)⁻¹(dB − op(dT)·X)
        let moved = dx[0].map(|dt| {
            let dt = self.triangle(dt);
            if self.0.transposed { dt.t().matmul(y[0]) } else { dt.matmul(y[0]) }
        });
        let right = match (dx[1], moved) {
            (Some(db), Some(m)) => db - m,
            (Some(db), None) => db,
            (None, Some(m)) => -m,
            (None, None) => return Ok(Slots::from_elem(None, 1)),
        };
        slot(x[0].graph().record(*self, &[x[0], right]))
    }

    fn pull<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dy: &[Option<Var<'g>>], wrt: Wrt<'_>) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 2);
        let Some(dy) = dy[0] else { return Ok(out) };
        // B̄ = op(T)⁻ᵀ X̄, T̄ = −B̄·Xᵀ (or its transpose) on the triangle.
        let b = x[0].graph().record(TriangularSolve(self.0.transpose()), &[x[0], dy]);
        if wrt.needs(0) {
            let full = if self.0.transposed { y[0].matmul(b.t()) } else { b.matmul(y[0].t()) };
            out[0] = Some((-self.triangle(full)).ok()?);
        }
        if wrt.needs(1) {
            out[1] = Some(b.ok()?);
        }
        Ok(out)
    }
}

impl TriangularSolve {
    /// The entries that the solve reads; the others are zero.
    fn triangle<'g>(&self, x: Var<'g>) -> Var<'g> {
        let diagonal = if self.0.unit_diagonal { 0.0 } else { 1.0 };
        if self.0.upper { upper(x, diagonal) } else { lower(x, diagonal) }
    }
}

impl<'g> Var<'g> {
    /// X = op(T)⁻¹·B, where `self` is T: (…, n, n), `b`: (…, n, k); batch dimensions broadcast.
    ///
    /// Only the named triangle of T is read (for a unit diagonal, without the diagonal), and only it has a derivative.
    /// Errors: a zero on the diagonal, with its place; shapes.
    #[must_use]
    pub fn triangular_solve(self, b: Var<'g>, triangle: Triangle) -> Self {
        self.compose(|t| {
            let (t, b) = t.same_batch(b, 2)?;
            Ok(t.graph().record(TriangularSolve(triangle), &[t, b]))
        })
    }
}
