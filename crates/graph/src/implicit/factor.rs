//! The LU factors of the Jacobian of a root, one matrix for each element of the batch.

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::linalg::{LinalgError, lu, lu_solve};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Error, Phase, Result};

use crate::direction::Spec;

/// P·F_y = L·U, in f64 whatever y's element type is.
pub(super) struct Factors {
    name: String,
    batch: usize,
    n: usize,
    jacobian: Vec<f64>,
    packed: Vec<f64>,
    rows: Vec<usize>,
    y: Spec,
}

impl Factors {
    /// Errors: a singular matrix, with its place in the batch and its reciprocal condition.
    pub(super) fn new(
        name: &str,
        batch: usize,
        n: usize,
        jacobian: Vec<f64>,
        y: Spec,
    ) -> Result<Self> {
        let (mut packed, mut rows) = (vec![0.0; jacobian.len()], vec![0; batch * n]);
        lu(batch, n, &jacobian, &mut packed, &mut rows).map_err(|e| located(name, e))?;
        Ok(Factors { name: name.to_string(), batch, n, jacobian, packed, rows, y })
    }

    /// F_y⁻¹·b, or F_y⁻ᵀ·b, for b like y.
    pub(super) fn solve(&self, b: &Tensor, transposed: bool) -> Result<Tensor> {
        let mut x = self.solve_many(&[b], transposed)?;
        x.pop().ok_or_else(|| Error::invalid(&self.name, "no right-hand side"))
    }

    /// The same for several right-hand sides at once.
    pub(super) fn solve_many(&self, b: &[&Tensor], transposed: bool) -> Result<Vec<Tensor>> {
        let (k, n) = (b.len(), self.n);
        let mut right = vec![0.0; self.batch * n * k];
        for (j, b) in b.iter().enumerate() {
            for (i, v) in to_f64(b)?.into_iter().enumerate() {
                right[i * k + j] = v;
            }
        }
        let mut x = vec![0.0; right.len()];
        lu_solve(self.batch, n, k, &self.packed, &self.rows, transposed, &right, &mut x)
            .map_err(|e| located(&self.name, e))?;
        let column = |j: usize| {
            let data: Vec<f64> = x.iter().skip(j).step_by(k).copied().collect();
            Ok(from_vec(data, &self.y.dims, &self.y.device)?.to_dtype(self.y.dtype)?)
        };
        (0..k).map(column).collect()
    }

    /// F_y·d, block by block.
    pub(super) fn product(&self, d: &[f64]) -> Vec<f64> {
        let row = |i: usize| {
            let (row, start) = (&self.jacobian[i * self.n..(i + 1) * self.n], i / self.n * self.n);
            row.iter().zip(&d[start..start + self.n]).map(|(a, d)| a * d).sum()
        };
        (0..self.batch * self.n).map(row).collect()
    }
}

/// A kernel's error under the name of the node.
fn located(name: &str, e: LinalgError) -> Error {
    match e {
        LinalgError::Singular { batch, pivot, value, reciprocal_condition } => Error::Matrix {
            node: name.into(),
            what: "singular: ∂F/∂y",
            batch,
            pivot,
            value,
            rcond: reciprocal_condition,
        },
        LinalgError::Overflow { index, .. } => Error::NotFinite {
            node: name.into(),
            phase: Phase::Push,
            port: 0,
            index,
            value: f64::INFINITY,
        },
        other => Error::external(name, other),
    }
}
