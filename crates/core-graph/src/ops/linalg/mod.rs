//! Batched linear algebra: matrices are the last two axes, all axes before them are the batch.

mod cholesky;
mod eigen;
mod lu;
mod qr;
mod svd;
mod symmetric;
mod triangular;

use candle_core::{Device, Tensor};

use crate::graph::Var;
use crate::tensor::from_vec;
use crate::{Error, Phase, Result};
use pullback_linalg::LinalgError;

/// A batch of matrices: (batch, rows, columns). Errors: rank below 2.
fn matrices(node: &str, t: &Tensor) -> Result<(usize, usize, usize)> {
    match t.dims() {
        [lead @ .., m, n] => Ok((lead.iter().product(), *m, *n)),
        dims => Err(Error::shape(node, "matrices: rank 2 or more", &[dims])),
    }
}

/// A batch of square matrices: (batch, n). Errors: rank below 2, not square.
fn square(node: &str, t: &Tensor) -> Result<(usize, usize)> {
    match matrices(node, t)? {
        (batch, m, n) if m == n => Ok((batch, n)),
        _ => Err(Error::shape(node, "square matrices", &[t.dims()])),
    }
}

/// The batch dimensions followed by others.
fn with_last(t: &Tensor, last: &[usize]) -> Vec<usize> {
    let lead = &t.dims()[..t.rank().saturating_sub(2)];
    lead.iter().chain(last).copied().collect()
}

/// A kernel's error under the name of the operation.
fn located(node: &str, e: LinalgError) -> Error {
    let node = node.to_string();
    match e {
        LinalgError::NotPositiveDefinite { batch, pivot, value } => Error::Matrix {
            node,
            what: "not positive definite",
            batch,
            pivot,
            value,
            rcond: f64::NAN,
        },
        LinalgError::Singular { batch, pivot, value, reciprocal_condition } => Error::Matrix {
            node,
            what: "singular",
            batch,
            pivot,
            value,
            rcond: reciprocal_condition,
        },
        LinalgError::Overflow { index, .. } => {
            Error::NotFinite { node, phase: Phase::Eval, port: 0, index, value: f64::INFINITY }
        }
        LinalgError::NotFinite { index, .. } => {
            Error::NotFinite { node, phase: Phase::Eval, port: 0, index, value: f64::NAN }
        }
        LinalgError::NoConvergence { iterations, .. } => {
            Error::NoConvergence { node, iterations, residual: f64::NAN }
        }
        other => Error::external(node, other),
    }
}

/// An n×n constant like `like`: f(row, column).
fn constant<'g>(like: Var<'g>, n: usize, f: impl Fn(usize, usize) -> f64) -> Var<'g> {
    like.compose(|v| {
        let t = v.value()?;
        let data: Vec<f64> = (0..n * n).map(|k| f(k / n, k % n)).collect();
        Ok(v.graph().own(
            from_vec(data, &[n, n], &Device::Cpu)?.to_dtype(t.dtype())?.to_device(t.device())?,
        ))
    })
}

/// The lower triangle with the diagonal times `diagonal`.
fn lower<'g>(x: Var<'g>, diagonal: f64) -> Var<'g> {
    let n = x.shape().last().copied().unwrap_or(0);
    x * constant(x, n, |i, j| {
        if j < i {
            1.0
        } else if i == j {
            diagonal
        } else {
            0.0
        }
    })
}

/// The upper triangle with the diagonal times `diagonal`.
fn upper<'g>(x: Var<'g>, diagonal: f64) -> Var<'g> {
    let n = x.shape().last().copied().unwrap_or(0);
    x * constant(x, n, |i, j| {
        if i < j {
            1.0
        } else if i == j {
            diagonal
        } else {
            0.0
        }
    })
}

impl<'g> Var<'g> {
    /// The lower triangle of each square matrix, diagonal included. Errors: not square.
    #[must_use]
    pub fn tril(self) -> Self {
        self.compose(|x| square("tril", &x.value()?).map(|_| lower(x, 1.0)))
    }

    /// The upper triangle of each square matrix, diagonal included. Errors: not square.
    #[must_use]
    pub fn triu(self) -> Self {
        self.compose(|x| square("triu", &x.value()?).map(|_| upper(x, 1.0)))
    }

    /// The batch of `self`, and of `other`, broadcast to one another (their last `rank` axes are left alone).
    fn same_batch(self, other: Var<'g>, rank: usize) -> Result<(Self, Self)> {
        let (a, b) = (self.ok()?.shape(), other.ok()?.shape());
        if a.len() < 2 || b.len() < rank {
            return Err(Error::shape("linear solve", "matrices: rank 2 or more", &[&a, &b]));
        }
        let ((ab, am), (bb, bm)) = (a.split_at(a.len() - 2), b.split_at(b.len() - rank));
        let Some(batch) = crate::kernel::broadcast_dims(ab, bb) else {
            return Err(Error::shape("linear solve", "batch dimensions that broadcast", &[&a, &b]));
        };
        let full = |m: &[usize]| batch.iter().chain(m).copied().collect::<Vec<usize>>();
        Ok((self.broadcast_to(&full(am)), other.broadcast_to(&full(bm))))
    }
}
