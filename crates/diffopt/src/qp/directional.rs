//! The exact one-sided derivative in a direction of the data, weakly active rows and non-unique multipliers included.
//!
//! With y a vertex of the multipliers that maximizes the Lagrangian's derivative along the direction, dx minimizes
//! ½dxᵀQ·dx + dxᵀ(dQ·x + dq + dCᵀy) subject to Jᵢdx = dcᵢ − dCᵢx for rows with yᵢ > 0, and ≤ for the other active rows.
//!
//! Source: Ralph and Dempe, Directional derivatives of the solution of a parametric nonlinear program, Mathematical Programming 70,
//! 1995, theorem 2; Kyparisis, Sensitivity analysis for nonlinear programs and variational inequalities with nonunique multipliers, 1990.

use super::data::QpData;
use super::local::{Local, Row};
use super::sensitivity::QpTangent;
use super::solution::QpSolution;
use crate::degenerate::SINGULAR;
use crate::{Error, Result};

/// The derivative of one item, and which rows stay active along it.
pub(super) struct Side {
    pub(super) dx: Vec<f64>,
    pub(super) dy: Vec<f64>,
    pub(super) active: Vec<bool>,
}

impl QpSolution {
    /// lim (x(θ + t·dθ) − x(θ))/t for t ↓ 0, with the multipliers' derivatives along that side. Positively homogeneous in the direction, and linear where the
    /// solution is differentiable. An empty slice is a zero direction; a slice of one item's length is shared.
    ///
    /// Where multipliers are not unique, those of dν, dλ that belong to the chosen vertex are given.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Invalid`] for numbers that are not finite; [`Error::NotSolved`]; [`Error::NotDifferentiable`] where x is not unique, or the constraints have no solution
    /// on this side.
    pub fn directional(&self, direction: &QpData<'_>) -> Result<QpTangent> {
        let (n, p, m) = self.qp.sizes();
        let direction = direction.as_direction(&self.qp.name, self.batch, (n, p, m))?;
        let mut out = QpTangent::default();
        for item in 0..self.batch {
            if let Some((argument, index, value)) = direction.first_not_finite(item) {
                let what =
                    format!("the direction of item {item}: {argument} is {value} at entry {index}");
                return Err(Error::invalid(&self.qp.name, what));
            }
            let side = self.side(item, &direction)?;
            out.x.extend(side.dx);
            out.equality.extend_from_slice(&side.dy[..p]);
            out.inequality.extend_from_slice(&side.dy[p..]);
        }
        Ok(out)
    }

    /// One item's derivative on the side of a direction.
    pub(super) fn side(&self, item: usize, direction: &QpData<'_>) -> Result<Side> {
        self.ensure_solved(item)?;
        let (group, lane) = self.place(item)?;
        let local = Local::of(group, lane);
        let sides = local.sides(self.weak(item));
        let [dq_matrix, dq, da, db, dg, dh] = direction.item(item);
        let (n, p, r) = (local.n, local.p, local.r);
        let x = self.x(item);
        // dC·x − dc, and the rows of dC, in the user's units.
        let row = |i: usize| -> &[f64] {
            let (matrix, i) = if i < p { (da, i) } else { (dg, i - p) };
            if matrix.is_empty() { &[] } else { &matrix[i * n..(i + 1) * n] }
        };
        let change = |i: usize| {
            let (dc, k) = if i < p { (db, i) } else { (dh, i - p) };
            let moved: f64 = row(i).iter().zip(x).map(|(a, x)| a * x).sum();
            moved - dc.get(k).copied().unwrap_or(0.0)
        };
        // In scaled units from here on.
        let shift: Vec<f64> = (0..r).map(|i| local.e[i] * change(i)).collect();
        let active: Vec<usize> = (0..r).filter(|&i| sides[i] != Row::Inactive).collect();
        let independent = SINGULAR < local.independence(&active);
        let fails =
            |why: String| Error::NotDifferentiable { node: self.qp.name.clone(), item, why };
        let y = if independent {
            local.y.clone()
        } else {
            local.vertex(&sides, &shift).ok_or_else(|| {
                fails("in this direction no multipliers keep the constraints satisfiable".into())
            })?
        };
        let weak = self.weak(item);
        let strong = |i: usize| i < p || weak < y[i];
        let rows: [Vec<usize>; 2] = [
            active.iter().copied().filter(|&i| strong(i)).collect(),
            active.iter().copied().filter(|&i| !strong(i)).collect(),
        ];
        let curvature = local.curvature(&rows[0]);
        if curvature <= SINGULAR {
            let what = "there is no curvature along some feasible direction (least eigenvalue";
            return Err(fails(format!("{what} {curvature:e}), so x is not unique")));
        }
        let mut slope = vec![0.0; n];
        for j in 0..n {
            let mut sum = dq.get(j).copied().unwrap_or(0.0);
            if !dq_matrix.is_empty() {
                for k in 0..n {
                    sum += 0.5 * (dq_matrix[j * n + k] + dq_matrix[k * n + j]) * x[k];
                }
            }
            for &i in &active {
                // y in the user's units is E·ŷ/k.
                sum += row(i).get(j).copied().unwrap_or(0.0) * local.e[i] * y[i] / local.cost;
            }
            slope[j] = local.cost * local.d[j] * sum;
        }
        // A direction of any size has the same side: it is found for one whose largest number is 1.
        let size = largest(&slope).max(active.iter().fold(0.0, |m, &i| m.max(shift[i].abs())));
        let size = if size > 0.0 { size } else { 1.0 };
        slope.iter_mut().for_each(|x| *x /= size);
        let collect = |rows: &[usize]| -> (Vec<f64>, Vec<f64>) {
            (
                rows.iter().flat_map(|&i| local.row(i)).copied().collect(),
                rows.iter().map(|&i| -shift[i] / size).collect(),
            )
        };
        let ((a, b), (g, h)) = (collect(&rows[0]), collect(&rows[1]));
        let qp = Local::inner(n, rows[0].len(), rows[1].len());
        let solution = qp.solve(1, &QpData::new(&local.q_matrix, &slope, (&a, &b), (&g, &h)))?;
        if !solution.is_solved(0) {
            let status = solution.status(0);
            return Err(fails(format!("the directional derivative's own program is {status}")));
        }
        let mut side =
            Side { dx: solution.x(0).to_vec(), dy: vec![0.0; r], active: vec![false; r] };
        side.dx.iter_mut().zip(&local.d).for_each(|(dx, d)| *dx *= size * d);
        for (k, &i) in rows[0].iter().enumerate() {
            side.dy[i] = solution.equality_multipliers(0)[k];
            side.active[i] = true;
        }
        for (k, &i) in rows[1].iter().enumerate() {
            side.dy[i] = solution.inequality_multipliers(0)[k];
            // Of the direction of size 1, as are the slack and the multiplier.
            side.active[i] = solution.slacks(0)[k] <= side.dy[i].max(weak);
        }
        for (dy, e) in side.dy.iter_mut().zip(&local.e) {
            *dy *= size * (e / local.cost);
        }
        Ok(side)
    }
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m, x| m.max(x.abs()))
}
