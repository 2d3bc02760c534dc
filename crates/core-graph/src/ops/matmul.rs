//! The matrix product over any batch rank.

use candle_core::Tensor;

use super::binary::check_alike;
use crate::graph::Var;
use crate::kernel::{broadcast_dims, matmul, zeros};
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{from_vec, is_real, room, with_slice, with_strides};
use crate::{Error, Result, Wrt, with_real};

/// (…, m, k) × (…, k, n) → (…, m, n); batch dimensions broadcast.
#[derive(Clone, Copy)]
struct Matmul;

impl Primitive for Matmul {
    fn name(&self) -> &str {
        "matmul"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        check_alike("matmul", x)?;
        let (a, b) = (x[0], x[1]);
        let fail = || Error::shape("matmul", "(…, m, k) and (…, k, n)", &[a.dims(), b.dims()]);
        if a.rank() < 2 || b.rank() < 2 {
            return Err(fail());
        }
        let ((ab, am), (bb, bm)) =
            (a.dims().split_at(a.rank() - 2), b.dims().split_at(b.rank() - 2));
        let (m, k, n) = (am[0], am[1], bm[1]);
        let batch = broadcast_dims(ab, bb).ok_or_else(fail)?;
        if k != bm[0] {
            return Err(fail());
        }
        let dims: Vec<usize> = batch.iter().copied().chain([m, n]).collect();
        if !is_real(a) {
            let what = "needs f32 or f64";
            return Err(Error::DType { node: "matmul".into(), what, got: vec![a.dtype()] });
        }
        room("matmul", &dims, a.dtype())?;
        if dims.contains(&0) || k == 0 {
            return one(Tensor::zeros(dims, a.dtype(), a.device())?);
        }
        if bb.iter().all(|&d| d == 1)
            && !ab.is_empty()
            && ab.iter().product::<usize>() == batch.iter().product::<usize>()
        {
            // One right-hand matrix: the batch joins the rows.
            let rows = a.reshape(((), k))?;
            return one(product(&rows, &b.reshape((k, n))?)?.reshape(dims)?);
        }
        if batch.is_empty() {
            return one(product(a, b)?);
        }
        let flat = |t: &Tensor, own: &[usize], r: usize, c: usize| -> Result<Tensor> {
            let full: Vec<usize> = batch.iter().copied().chain([r, c]).collect();
            let t = if own == batch.as_slice() { t.clone() } else { t.broadcast_as(full)? };
            Ok(t.reshape(((), r, c))?)
        };
        let (a, b) = (flat(a, ab, m, k)?, flat(b, bb, k, n)?);
        let count = a.dim(0)?;
        if a.device().is_cpu() && matmul::is_small(count, m, k, n) {
            return with_real!("matmul", a.dtype(), T => {
                let run = |x: &[T], y: &[T]| matmul::small(count, m, k, n, x, y);
                let c = with_slice::<T, _>(&a, |x| with_slice::<T, _>(&b, |y| run(x, y)))??;
                one(from_vec(c, &dims, a.device())?)
            });
        }
        one(product(&a, &b)?.reshape(dims)?)
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let left = dx[0].map(|d| d.matmul(x[1]));
        let right = dx[1].map(|d| x[0].matmul(d));
        match (left, right) {
            (Some(l), Some(r)) => slot(l + r),
            (Some(d), None) | (None, Some(d)) => slot(d.broadcast_like(y[0])),
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
        let mut out = Slots::from_elem(None, 2);
        if let Some(dy) = dy[0] {
            if wrt.needs(0) {
                out[0] = Some(dy.matmul(x[1].t()).sum_like(x[0]).ok()?);
            }
            if wrt.needs(1) {
                let d = if x[1].shape().len() == 2 && 2 < x[0].shape().len() {
                    // One right-hand matrix: contract the batch inside the product.
                    let rows = |v: Var<'g>| {
                        v.compose(|v| {
                            let d = v.shape();
                            let (&last, lead) = d
                                .split_last()
                                .ok_or_else(|| Error::shape("matmul", "rank 2", &[&d]))?;
                            Ok(v.reshape(&[lead.iter().product(), last]))
                        })
                    };
                    product_like(rows(x[0]), rows(dy), x[1])?
                } else {
                    product_like(x[0], dy, x[1])?.sum_like(x[1])
                };
                out[1] = Some(d.ok()?);
            }
        }
        Ok(out)
    }
}

/// aᵀ·dy, the derivative along b: laid out as b is. A weight that is used transposed gets a derivative that needs no copy when it is
/// transposed back.
fn product_like<'g>(a: Var<'g>, dy: Var<'g>, b: Var<'g>) -> Result<Var<'g>> {
    let value = b.value()?;
    let by_columns = matches!(*value.stride(), [.., 1, column] if 1 < column);
    Ok(if by_columns { dy.t().matmul(a).t() } else { a.t().matmul(dy) })
}

/// A·B of two tensors of rank 2, or of rank 3 with the same batch.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !a.device().is_cpu() {
        return Ok(a.matmul(b)?);
    }
    with_real!("matmul", a.dtype(), T => {
        let ((batch, m, k), n) = match a.dims() {
            [m, k] => ((1, *m, *k), b.dim(1)?),
            _ => (a.dims3()?, b.dim(2)?),
        };
        let mut c = zeros::<T>(batch * m * n);
        with_strides::<T, _>(a, |x, s| with_strides::<T, _>(b, |y, t| {
            matmul::batched((batch, m, k, n), (x, s), (y, t), &mut c)
        }))??.map_err(|e| Error::external("matmul", e))?;
        let dims: &[usize] = &[batch, m, n];
        from_vec(c, &dims[3 - a.rank()..], a.device())
    })
}

impl<'g> Var<'g> {
    /// The matrix product of each pair of matrices: (…, m, k) × (…, k, n) → (…, m, n); batch dimensions broadcast.
    ///
    /// Errors: rank below 2, inner dimensions that differ, batch dimensions that do not broadcast.
    #[must_use]
    pub fn matmul(self, other: Var<'g>) -> Self {
        self.graph().record(Matmul, &[self, other])
    }
}
