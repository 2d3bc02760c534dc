//! A sparse LDLᵀ factorization of a quasi-definite matrix, read-only once made.

use clarabel::algebra::CscMatrix;
use clarabel::qdldl::{QDLDLFactorisation, QDLDLSettingsBuilder};

/// Π·M·Πᵀ = L·D·Lᵀ for M = [positive definite, B; Bᵀ, negative definite].
#[derive(Debug, Clone)]
pub(super) struct Ldl {
    l: CscMatrix<f64>,
    inverse: Vec<f64>,
    order: Vec<usize>,
}

impl Ldl {
    /// From the upper triangle; the first `positive` rows are those of the positive definite part. `None` if it breaks down.
    pub(super) fn new(matrix: &CscMatrix<f64>, positive: usize) -> Option<Self> {
        let signs: Vec<i8> = (0..matrix.n).map(|j| if j < positive { 1 } else { -1 }).collect();
        let settings = QDLDLSettingsBuilder::default().Dsigns(signs).build().ok()?;
        let factor = QDLDLFactorisation::new(matrix, Some(settings)).ok()?;
        Some(Ldl { l: factor.L, inverse: factor.Dinv, order: factor.perm })
    }

    /// M⁻¹·b
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = self.order.iter().map(|&i| b[i]).collect();
        let entries = |j: usize| self.l.colptr[j]..self.l.colptr[j + 1];
        for j in 0..x.len() {
            let xj = x[j];
            for k in entries(j) {
                x[self.l.rowval[k]] -= self.l.nzval[k] * xj;
            }
        }
        x.iter_mut().zip(&self.inverse).for_each(|(x, d)| *x *= d);
        for j in (0..x.len()).rev() {
            let sum: f64 = entries(j).map(|k| self.l.nzval[k] * x[self.l.rowval[k]]).sum();
            x[j] -= sum;
        }
        let mut out = vec![0.0; x.len()];
        self.order.iter().zip(&x).for_each(|(&i, x)| out[i] = *x);
        out
    }
}
