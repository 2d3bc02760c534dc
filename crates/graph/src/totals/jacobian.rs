//! Small dense matrices of derivatives that know the shapes they belong to.

use pullback_core_graph::Phase;
use pullback_core_graph::candle::Tensor;
use pullback_core_graph::drawing::short;
use pullback_core_graph::linalg::{View, matmul};
use pullback_core_graph::tensor::to_f64;

use crate::{Error, Result};

/// ∂f/∂x as a matrix, row-major: a row for each element of f, a column for each element of x.
#[derive(Debug, Clone, PartialEq)]
pub struct Jacobian {
    /// Elements of f.
    pub rows: usize,
    /// Elements of x.
    pub columns: usize,
    /// rows × columns numbers.
    pub values: Vec<f64>,
}

impl Jacobian {
    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        Jacobian { rows, columns, values: vec![0.0; rows * columns] }
    }

    pub(super) fn identity(n: usize) -> Self {
        let mut one = Jacobian::zeros(n, n);
        (0..n).for_each(|i| one.values[i * n + i] = 1.0);
        one
    }

    /// From a tensor whose shape is that of f, then that of x.
    pub(super) fn of(tensor: &Tensor, rows: usize, columns: usize) -> Result<Self> {
        Ok(Jacobian { rows, columns, values: to_f64(tensor)? })
    }

    /// The derivative itself, where both sides have one element.
    pub fn scalar(&self) -> Option<f64> {
        match *self.values.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Frobenius norm √(Σ Jᵢⱼ²); |J| of one number.
    pub fn norm(&self) -> f64 {
        self.values.iter().fold(0.0, |sum: f64, v| sum.hypot(*v))
    }

    /// self·right.
    pub(super) fn times(&self, right: &Jacobian) -> Result<Jacobian> {
        let (m, k, n) = (self.rows, self.columns, right.columns);
        let mut product = Jacobian::zeros(m, n);
        let left = View { data: &self.values, row: k, column: 1 };
        let right = View { data: &right.values, row: n, column: 1 };
        matmul((m, n, k), left, right, &mut product.values, false)
            .map_err(|e| Error::invalid("explain", e.to_string()))?;
        Ok(product)
    }

    pub(super) fn add(&mut self, other: &Jacobian, sign: f64) {
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a += sign * b);
    }

    /// The largest difference of two entries.
    pub(super) fn distance(&self, other: &Jacobian) -> f64 {
        self.values.iter().zip(&other.values).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
    }

    /// `Ok` means finite: a product of finite derivatives may overflow.
    pub(super) fn finite(self, name: impl FnOnce() -> String, phase: Phase) -> Result<Self> {
        match self.values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            None => Ok(self),
            Some((index, &value)) => {
                let (node, port) = (name(), 0);
                Err(pullback_core_graph::Error::NotFinite { node, phase, port, index, value }
                    .into())
            }
        }
    }
}

/// The number, or the shape and the norm of a matrix.
impl std::fmt::Display for Jacobian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.scalar() {
            Some(one) => f.write_str(&short(one)),
            None => write!(f, "[{}×{}, ‖·‖ {}]", self.rows, self.columns, short(self.norm())),
        }
    }
}
