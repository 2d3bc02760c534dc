//! The exact one-sided derivative in a direction of the data, kinks of the projections included.
//!
//! With r₁ = −(dP·x + dq + dAᵀz) and r₂ = db − dA·x, the derivative of the optimality conditions along the direction is
//! P·dx + Aᵀdz = r₁, A·dx + dz − dv = r₂, dz = Π'(v; dv). With the axes of Π' ([`Critical`]) these are the optimality conditions of a conic program:
//!
//! > min ½dxᵀP·dx − r₁ᵀdx + Σ ½·d/(1 − d)·(uᵀ(A·dx − r₂))² over smooth axes u with 0 < d < 1,
//! > subject to uᵀ(A·dx − r₂) = 0 where d = 1, and Uᵀ(r₂ − A·dx) ∈ K' for each block U of kinks with its cone K'.
//!
//! For inequalities this is the quadratic program of Ralph and Dempe (Directional derivatives of the solution of a parametric nonlinear
//! program, 1995); for other cones Bonnans and Shapiro, Perturbation Analysis of Optimization Problems, 2000, theorem 5.53.

use super::cone::{Cone, Jacobian};
use super::critical::{Axis, Critical};
use super::derivative::ConicTangent;
use super::problem::{Conic, ConicData, ConicSettings};
use super::solution::ConicSolution;
use super::sparse::Pattern;
use crate::{Error, Result};

/// A smooth axis with 1 − d below this is an equality.
const RIGID: f64 = 1e-12;

/// The derivative of one item along a direction, in the item's units, and the piece of the derivative that it lies on.
pub(super) struct Side {
    pub(super) dx: Vec<f64>,
    pub(super) dz: Vec<f64>,
    pub(super) jacobians: Vec<Jacobian>,
}

impl ConicSolution {
    /// lim (x(θ + t·dθ) − x(θ))/t for t ↓ 0, and the same of z. Positively homogeneous in the direction, and linear where the solution is
    /// differentiable. An empty slice is a zero direction; a slice of one item's length is shared.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::NotSolved`]; [`Error::NotDifferentiable`] where the solution or its multipliers are not unique, or at an
    /// edge of an exponential or power cone.
    pub fn directional(&self, direction: &ConicData<'_>) -> Result<ConicTangent> {
        let strides = direction.strides(self.problem(), self.batch(), true)?;
        let mut out = ConicTangent::default();
        for item in 0..self.batch() {
            let d = direction.item(self.problem().lengths(), strides, item);
            let side = self.side(item, &d)?;
            let [dx, dz] = self.tangent(item, [side.dx, side.dz]);
            out.x.extend(dx);
            out.z.extend(dz);
        }
        Ok(out)
    }

    /// One item on the side of a direction, which is in the user's units.
    pub(super) fn side(&self, item: usize, d: &ConicData<'_>) -> Result<Side> {
        self.ensure_solved(item)?;
        let problem = self.problem();
        let fails =
            |why: String| Error::NotDifferentiable { node: problem.name.clone(), item, why };
        let critical = self.critical(item)?;
        let certificate = self.certificate_with(item, &critical);
        if !certificate.unique_multipliers || certificate.curvature <= crate::degenerate::SINGULAR {
            return Err(fails(certificate.why_not().unwrap_or_default()));
        }
        let mut room = Default::default();
        let (inner, d) = (self.inner(item), self.direction(item, d, &mut room));
        let (r1, r2) = self.right_hand_sides_at(&inner.x, &inner.z, &d);
        let (conic, mut data, places) = self.program(item, &critical, &r1, &r2)?;
        // A direction of any size has the same side: it is found for one whose largest number is 1.
        let [p, q, a, b] = &mut data;
        let size = q.iter().chain(&*b).fold(0.0f64, |m, x| m.max(x.abs()));
        let size = if size > 0.0 { size } else { 1.0 };
        q.iter_mut().chain(&mut *b).for_each(|x| *x /= size);
        let solution = conic.solve(1, &ConicData { p, q, a, b })?;
        if !solution.is_solved(0) {
            let status = solution.status(0);
            return Err(fails(format!("the directional derivative's own program is {status}")));
        }
        let n = problem.sizes().0;
        let mut dx = solution.x(0)[..n].to_vec();
        let mut dz = vec![0.0; r2.len()];
        for (axis, row) in &places {
            axis.iter().for_each(|(i, u)| dz[*i] += u * solution.multipliers(0)[*row]);
        }
        // dv = A·dx + dz − r₂, in which the kinks take their side.
        let mut dv: Vec<f64> = dz.iter().zip(&r2).map(|(z, r)| z - r / size).collect();
        problem.a.add_product(self.values(item).1, &dx, &mut dv);
        let jacobians = critical
            .iter()
            .zip(problem.blocks())
            .map(|(critical, (_, rows))| {
                let dv = &dv[rows.clone()];
                critical.piece(rows.len(), |k, cone| {
                    let inside: Vec<f64> = critical.kinks[k]
                        .0
                        .iter()
                        .map(|axis| axis.iter().map(|(i, u)| u * dv[*i]).sum())
                        .collect();
                    cone.jacobian(&inside, 1e-9 * super::cone::norm(&inside).max(1.0), true)
                })
            })
            .collect();
        dx.iter_mut().chain(&mut dz).for_each(|x| *x *= size);
        Ok(Side { dx, dz, jacobians })
    }

    /// (r₁, r₂) of a direction at the point (x, z).
    pub(super) fn right_hand_sides_at(
        &self,
        x: &[f64],
        z: &[f64],
        d: &ConicData<'_>,
    ) -> (Vec<f64>, Vec<f64>) {
        let problem = self.problem();
        let (n, m) = problem.sizes();
        let (mut r1, mut r2) = (vec![0.0; n], vec![0.0; m]);
        if !d.p.is_empty() {
            problem.p.add_symmetric(d.p, x, &mut r1);
        }
        if !d.a.is_empty() {
            problem.a.add_transposed(d.a, z, &mut r1);
            problem.a.add_product(d.a, x, &mut r2);
        }
        for (j, r) in r1.iter_mut().enumerate() {
            *r = -*r - d.q.get(j).copied().unwrap_or(0.0);
        }
        for (i, r) in r2.iter_mut().enumerate() {
            *r = d.b.get(i).copied().unwrap_or(0.0) - *r;
        }
        (r1, r2)
    }

    /// The program, its values, and the axis of A's space that each of its rows stands for.
    fn program(
        &self,
        item: usize,
        critical: &[Critical],
        r1: &[f64],
        r2: &[f64],
    ) -> Result<(Conic, [Vec<f64>; 4], Vec<(Axis, usize)>)> {
        let problem = self.problem();
        let n = problem.sizes().0;
        let (p_values, a_values) = self.values(item);
        // The axes in A's rows: equalities, those with a quadratic term, then the kinks cone by cone.
        let (mut equal, mut soft, mut kinks): (Vec<Axis>, Vec<(Axis, f64)>, Vec<Axis>) =
            (vec![], vec![], vec![]);
        let mut cones = Vec::new();
        for (critical, (_, rows)) in critical.iter().zip(problem.blocks()) {
            let moved = |axis: &Axis| axis.iter().map(|(i, u)| (i + rows.start, *u)).collect();
            for (axis, d) in &critical.smooth {
                if 1.0 - d <= RIGID {
                    equal.push(moved(axis));
                } else {
                    soft.push((moved(axis), d / (1.0 - d)));
                }
            }
            for (axes, cone) in &critical.kinks {
                kinks.extend(axes.iter().map(moved));
                cones.push(*cone);
            }
        }
        let hard = equal.len() + soft.len();
        let all: Vec<Axis> =
            equal.into_iter().chain(soft.iter().map(|(a, _)| a.clone())).chain(kinks).collect();
        let unknowns = n + soft.len();
        // The columns of UᵀA, and −1 for each t = uᵀ(A·dx − r₂).
        let (starts, by_rows) = problem.a.by_rows();
        let mut columns: Vec<Vec<(usize, f64)>> = vec![Vec::new(); unknowns];
        let mut b = vec![0.0; all.len()];
        for (row, axis) in all.iter().enumerate() {
            for &(i, u) in axis {
                b[row] += u * r2[i];
                for &(j, k) in &by_rows[starts[i]..starts[i + 1]] {
                    match columns[j].last_mut() {
                        Some((last, x)) if *last == row => *x += u * a_values[k],
                        _ => columns[j].push((row, u * a_values[k])),
                    }
                }
            }
        }
        for t in 0..soft.len() {
            columns[n + t].push((hard - soft.len() + t, -1.0));
        }
        let (a, a_values) = compressed(all.len(), columns)?;
        let mut columns: Vec<Vec<(usize, f64)>> = vec![Vec::new(); unknowns];
        for ((i, j), x) in problem.p.entries().zip(p_values) {
            columns[j].push((i, *x));
        }
        for (t, (_, weight)) in soft.iter().enumerate() {
            columns[n + t].push((n + t, *weight));
        }
        let (p, p_values) = compressed(unknowns, columns)?;
        let mut q: Vec<f64> = r1.iter().map(|r| -r).collect();
        q.resize(unknowns, 0.0);
        let cones = std::iter::once(Cone::Zero(hard)).chain(cones).collect();
        let settings = ConicSettings { tolerance: 1e-9, ..ConicSettings::default() };
        let conic = Conic::new(p, a, cones)?.settings(settings);
        let places = all.into_iter().enumerate().map(|(row, axis)| (axis, row)).collect();
        Ok((conic, [p_values, q, a_values, b], places))
    }
}

/// A pattern and its values from the columns' entries, rows ascending.
pub(super) fn compressed(
    rows: usize,
    columns: Vec<Vec<(usize, f64)>>,
) -> Result<(Pattern, Vec<f64>)> {
    let (mut starts, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for column in &columns {
        for (i, x) in column {
            indices.push(*i);
            values.push(*x);
        }
        starts.push(indices.len());
    }
    Ok((Pattern::new(rows, columns.len(), starts, indices)?, values))
}
