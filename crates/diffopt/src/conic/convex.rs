//! Is P positive semidefinite? By the signs of the pivots of P + a little: as many are negative as eigenvalues are (Sylvester's law of inertia).

use clarabel::algebra::CscMatrix;
use clarabel::qdldl::{QDLDLFactorisation, QDLDLSettingsBuilder};

use super::cone::norm;
use super::problem::{Conic, ConicData};
use crate::qp::symmetric;

/// An eigenvalue below minus this times the largest entry is negative.
const NOTHING: f64 = 1e-9;
/// The most dimensions in which the direction of least curvature is looked for.
const STEPS: usize = 60;

impl Conic {
    /// A negative curvature of P, if it has one: dᵀPd/‖d‖² for a direction d, near that of least curvature.
    pub(super) fn not_convex(&self, d: &ConicData<'_>) -> Option<f64> {
        let n = self.p.columns;
        let largest = d.p.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if largest == 0.0 || !largest.is_finite() {
            return None;
        }
        let (mut starts, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for j in 0..n {
            let mut diagonal = NOTHING * largest;
            for k in self.p.starts[j]..self.p.starts[j + 1] {
                if self.p.indices[k] == j {
                    diagonal += d.p[k];
                } else {
                    indices.push(self.p.indices[k]);
                    values.push(d.p[k]);
                }
            }
            indices.push(j);
            values.push(diagonal);
            starts.push(indices.len());
        }
        let matrix = CscMatrix::new(n, n, starts, indices, values);
        let settings = QDLDLSettingsBuilder::default().regularize_enable(false).build().ok()?;
        let Ok(factor) = QDLDLFactorisation::new(&matrix, Some(settings)) else {
            // A pivot is 0, as those of a semidefinite P are not.
            let start = (0..n).map(|i| (2.399_963 * i as f64 + 1.0).sin()).collect();
            return Some(self.least_curvature(d.p, start)).filter(|c| *c < -NOTHING * largest);
        };
        let worst = (0..n)
            .filter(|&k| factor.D[k] < 0.0)
            .min_by(|&a, &b| factor.D[a].total_cmp(&factor.D[b]))?;
        // x = L⁻ᵀe_k has xᵀ(P + a little)x = D_k.
        let mut x = vec![0.0; n];
        x[worst] = 1.0;
        for j in (0..n).rev() {
            let column = factor.L.colptr[j]..factor.L.colptr[j + 1];
            let sum: f64 = column.map(|k| factor.L.nzval[k] * x[factor.L.rowval[k]]).sum();
            x[j] -= sum;
        }
        let mut start = vec![0.0; n];
        factor.perm.iter().zip(x).for_each(|(&i, x)| start[i] = x);
        Some(self.least_curvature(d.p, start).min(-NOTHING * largest))
    }

    /// The least of dᵀPd/‖d‖² over the Krylov space of P and a direction, in as many dimensions as [`STEPS`]: near the least eigenvalue that the direction has
    /// a part of (Lanczos 1950, orthogonalized in full).
    fn least_curvature(&self, p: &[f64], start: Vec<f64>) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (mut basis, mut images): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![], vec![]);
        let (mut next, mut whole) = (start, 0.0);
        while basis.len() < STEPS.min(next.len()) {
            for _ in 0..2 {
                for v in &basis {
                    let along = dot(v, &next);
                    next.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
                }
            }
            let size = norm(&next);
            if size.is_nan() || size <= 1e-12 * whole {
                break;
            }
            next.iter_mut().for_each(|x| *x /= size);
            let mut image = vec![0.0; next.len()];
            self.p.add_symmetric(p, &next, &mut image);
            whole = norm(&image);
            basis.push(std::mem::replace(&mut next, image.clone()));
            images.push(image);
        }
        let k = basis.len();
        let inner: Vec<f64> =
            basis.iter().flat_map(|v| images.iter().map(|image| dot(v, image))).collect();
        symmetric(k, &inner).map_or(f64::NAN, |(w, _)| w[0])
    }
}
