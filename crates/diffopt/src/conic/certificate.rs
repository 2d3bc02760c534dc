//! What is known about the derivative of a conic solution, in the words that quadratic programs use.
//!
//! The axes of the projection's derivative ([`Critical`]) take the place of active rows: those with eigenvalue 1 are strongly active, those
//! of kinks weakly; those with 0 < d < 1 are the curvature of the cone's boundary, d/(1 − d)·(Aᵀu)(Aᵀu)ᵀ beside P. LICQ becomes
//! nondegeneracy: the strongly and weakly active rows uᵀA are independent (Alizadeh, Haeberly, Overton, Complementarity and
//! nondegeneracy in semidefinite programming, 1997; Bonnans and Shapiro 2000, section 5.3).

use super::critical::Critical;
use super::solution::ConicSolution;
use crate::degenerate::Certificate;
use crate::qp::Local;
use crate::{Error, Result};

impl ConicSolution {
    /// What is known about the derivative of an item's solution. Rows count from 0 among those of A; a cone of several rows is named by
    /// its first one (inequalities one by one, equalities not at all). Costs some O((n + m)³): eigenvalues and singular values of dense
    /// matrices; [`ConicSolution::estimate`] is cheaper.
    ///
    /// # Errors
    /// [`Error::NotSolved`]; [`Error::Invalid`] for an item outside of the batch; [`Error::NotDifferentiable`] at an edge of an exponential or power cone.
    pub fn certificate(&self, item: usize) -> Result<Certificate> {
        self.ensure_solved(item)?;
        let critical = self.critical(item)?;
        Ok(self.certificate_with(item, &critical))
    }

    /// The derivative of each cone's projection.
    pub(super) fn critical(&self, item: usize) -> Result<Vec<Critical>> {
        let v = self.normal(item);
        let one = |(cone, rows): (super::Cone, std::ops::Range<usize>)| {
            let v = &v[rows.clone()];
            cone.critical(v, self.weak(item) * cone.size(v)).ok_or_else(|| {
                let (node, first) = (self.problem().name.clone(), rows.start);
                let why = format!("rows {first} to {} are at an edge of their cone", first + 2);
                Error::NotDifferentiable { node, item, why }
            })
        };
        self.problem().blocks().map(one).collect()
    }

    pub(super) fn certificate_with(&self, item: usize, critical: &[Critical]) -> Certificate {
        let problem = self.problem();
        let n = problem.sizes().0;
        let (p, a) = self.values(item);
        let mut q_matrix = vec![0.0; n * n];
        for ((i, j), x) in problem.p.entries().zip(p) {
            q_matrix[i * n + j] = *x;
            q_matrix[j * n + i] = *x;
        }
        let (starts, by_rows) = problem.a.by_rows();
        let image = |axis: &[(usize, f64)], first: usize| {
            let mut out = vec![0.0; n];
            for &(i, u) in axis {
                let row = first + i;
                for &(j, k) in &by_rows[starts[row]..starts[row + 1]] {
                    out[j] += u * a[k];
                }
            }
            out
        };
        let (mut strong, mut weak) = (Vec::new(), Vec::new());
        let (mut strongly_active, mut weakly_active) = (Vec::new(), Vec::new());
        for (critical, (cone, rows)) in critical.iter().zip(problem.blocks()) {
            let first = rows.start;
            let name = |axis: &[(usize, f64)]| match cone {
                super::Cone::NonNegative(_) => first + axis.first().map_or(0, |(i, _)| *i),
                _ => first,
            };
            for (axis, d) in &critical.smooth {
                let row = image(axis, first);
                if !matches!(cone, super::Cone::Zero(_)) {
                    strongly_active.push(name(axis));
                }
                if 1.0 - d <= 1e-12 {
                    strong.extend(row);
                } else {
                    for i in 0..n {
                        for j in 0..n {
                            q_matrix[i * n + j] += d / (1.0 - d) * row[i] * row[j];
                        }
                    }
                }
            }
            for (axes, _) in &critical.kinks {
                weakly_active.extend(axes.iter().map(|axis| name(axis)));
                axes.iter().for_each(|axis| weak.extend(image(axis, first)));
            }
        }
        weakly_active.dedup();
        strongly_active.dedup();
        strongly_active.retain(|row| !weakly_active.contains(row));
        let count = strong.len() / n;
        let rows = (strong.len() + weak.len()) / n;
        let local = Local::of_rows(n, q_matrix, [strong, weak].concat());
        let (strong, weak): (Vec<usize>, Vec<usize>) = (0..rows).partition(|&i| i < count);
        let active: Vec<usize> = (0..rows).collect();
        let independence = local.independence(&active);
        // Blocks of kinks are cones inside the half-spaces of their first axes; what a half-space cannot move, they cannot.
        let single = critical.iter().all(|c| c.kinks.iter().all(|(axes, _)| axes.len() == 1));
        let singular = crate::degenerate::SINGULAR;
        let unique_multipliers = singular < independence
            || single
                && singular < local.independence(&strong)
                && !local.positive_dependence(&strong, &weak);
        let estimate = self.estimate_of(item);
        Certificate {
            margin: estimate.margin,
            strongly_active,
            weakly_active,
            independence,
            unique_multipliers,
            curvature: local.curvature(&strong),
            gradient_error: estimate.gradient_error,
        }
    }
}
