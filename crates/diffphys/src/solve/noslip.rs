//! The pass that takes out slip (MuJoCo, "NoSlip"): after the main solver, friction alone is solved for again without regularization, the
//! normal forces held, by sweeps over the rows (Gauss and Seidel). No single problem has its result as a solution, so it has no derivative here.
//!
//! With a = a₀ + M⁻¹·Jᵀ·f, a row's residual without regularization is J·a − aref, and changing its force by δ moves a by M⁻¹·Jᵀ·δ.

use crate::constraint::{RowKind, RowState, Rows};
use crate::dynamics::solve as solve_inertia;
use crate::spatial::MINVAL;
use crate::{Data, Model};

/// A change of forces that raises the cost by more is undone.
const RISE: f64 = 1e-10;
/// Newton's steps for a cone's multiplier.
const STEPS: usize = 20;
/// Where they end.
const NEAR: f64 = 1e-10;
/// Friction rows of a contact.
const MOST: usize = 5;

type Block = [[f64; MOST]; MOST];
type Forces = [f64; MOST];

/// Scratch of the pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoSlip {
    /// M⁻¹·Jᵀ of each row, `nefc × nv`.
    moved: Vec<f64>,
    /// a.
    acceleration: Vec<f64>,
}

/// Changes `efc.force` of friction, `qfrc_constraint` and `qacc`.
pub(crate) fn remove_slip(model: &Model, data: &mut Data) {
    let (nv, nefc) = (model.nv(), data.efc.nefc());
    let mut work = std::mem::take(&mut data.scratch.noslip);
    if nv > 0 && nefc > 0 {
        let mut force = std::mem::take(&mut data.efc.force);
        work.prepare(model, data, &force);
        let trace: f64 = (0..nv).map(|k| data.qM[k * nv + k]).sum();
        let scale = 1.0 / trace.max(MINVAL);
        for iteration in 0..model.opt.noslip_iterations {
            // The main solver's cost had the regularization, the pass's has not.
            let dropped = |row: usize| 0.5 * force[row] * force[row] * data.efc.R[row];
            let start = if iteration == 0 { (0..nefc).map(dropped).sum() } else { 0.0 };
            let won: f64 = start + work.sweep(data, &mut force);
            if won * scale < model.opt.noslip_tolerance {
                break;
            }
        }
        data.efc.force = force;
        finish(model, data);
    }
    data.scratch.noslip = work;
}

/// Forces of constraints and accelerations for the new forces.
fn finish(model: &Model, data: &mut Data) {
    let nv = model.nv();
    data.qfrc_constraint.fill(0.0);
    data.efc.add_transpose(nv, &data.efc.force, &mut data.qfrc_constraint);
    for k in 0..nv {
        data.qacc[k] = data.qfrc_smooth[k] + data.qfrc_constraint[k];
    }
    solve_inertia(&model.dof_parentid, &data.qLD, &data.qLDiagInv, &mut data.qacc);
    let mut jar = std::mem::take(&mut data.efc.jar);
    data.efc.multiply(nv, &data.qacc, &mut jar);
    for (x, aref) in jar.iter_mut().zip(&data.efc.aref) {
        *x -= aref;
    }
    data.efc.jar = jar;
    for row in 0..data.efc.nefc() {
        let force = data.efc.force[row];
        data.efc.state[row] = match data.efc.kind[row] {
            RowKind::Equality(_) => RowState::Quadratic,
            RowKind::FrictionDof(_) | RowKind::FrictionTendon(_) => {
                let bound = data.efc.frictionloss[row];
                match (force <= -bound, force >= bound) {
                    (true, _) => RowState::LinearPositive,
                    (_, true) => RowState::LinearNegative,
                    _ => RowState::Quadratic,
                }
            }
            // The main solver's.
            RowKind::ContactElliptic(_) => continue,
            _ if force > 0.0 => RowState::Quadratic,
            _ => RowState::Satisfied,
        };
    }
}

impl NoSlip {
    fn prepare(&mut self, model: &Model, data: &Data, force: &[f64]) {
        let nv = model.nv();
        self.moved.clear();
        self.moved.extend_from_slice(&data.efc.J);
        for row in self.moved.chunks_exact_mut(nv) {
            solve_inertia(&model.dof_parentid, &data.qLD, &data.qLDiagInv, row);
        }
        self.acceleration.clear();
        self.acceleration.extend_from_slice(&data.qacc_smooth);
        for (row, f) in force.iter().enumerate() {
            self.push(row, *f);
        }
    }

    /// a += M⁻¹·Jᵀ·δ of a row.
    fn push(&mut self, row: usize, delta: f64) {
        let nv = self.acceleration.len();
        if delta != 0.0 {
            let moved = &self.moved[row * nv..(row + 1) * nv];
            for (a, m) in self.acceleration.iter_mut().zip(moved) {
                *a += delta * m;
            }
        }
    }

    fn along(rows: &Rows, row: usize, x: &[f64]) -> f64 {
        let j = &rows.J[row * x.len()..(row + 1) * x.len()];
        rows.support(row).iter().map(|&dof| j[dof] * x[dof]).sum()
    }

    /// J·M⁻¹·Jᵀ of `dim` rows from `first`, and their residuals.
    fn block(&self, rows: &Rows, first: usize, dim: usize) -> (Block, Forces) {
        let nv = self.acceleration.len();
        let (mut block, mut residual) = ([[0.0; MOST]; MOST], [0.0; MOST]);
        for i in 0..dim {
            residual[i] = Self::along(rows, first + i, &self.acceleration) - rows.aref[first + i];
            for j in 0..dim {
                let moved = &self.moved[(first + j) * nv..(first + j + 1) * nv];
                block[i][j] = Self::along(rows, first + i, moved);
            }
        }
        (block, residual)
    }

    /// Once over all friction rows; returns by how much the cost fell.
    fn sweep(&mut self, data: &Data, force: &mut [f64]) -> f64 {
        let rows = &data.efc;
        let mut won = 0.0;
        let mut row = rows.ne;
        while row < rows.nefc() {
            match rows.kind[row] {
                RowKind::FrictionDof(_) | RowKind::FrictionTendon(_) => {
                    let (block, residual) = self.block(rows, row, 1);
                    let bound = rows.frictionloss[row];
                    let free = force[row] - residual[0] / block[0][0].max(MINVAL);
                    let new = [free.max(-bound).min(bound), 0.0, 0.0, 0.0, 0.0];
                    won += self.change(force, (row, 1), new, (&block, &residual));
                    row += 1;
                }
                RowKind::ContactPyramidal(id) => {
                    // Opposite edges share their sum, which is normal force.
                    let count = 2 * (data.contact[id].dim - 1);
                    for first in (row..row + count).step_by(2) {
                        let (block, residual) = self.block(rows, first, 2);
                        let middle = 0.5 * (force[first] + force[first + 1]);
                        let half = 0.5 * (force[first] - force[first + 1]);
                        let curvature = block[0][0] + block[1][1] - block[0][1] - block[1][0];
                        let y = if curvature < MINVAL {
                            0.0
                        } else {
                            (half - (residual[0] - residual[1]) / curvature)
                                .max(-middle)
                                .min(middle)
                        };
                        let new = [middle + y, middle - y, 0.0, 0.0, 0.0];
                        won += self.change(force, (first, 2), new, (&block, &residual));
                    }
                    row += count;
                }
                RowKind::ContactElliptic(id) => {
                    let contact = &data.contact[id];
                    let (first, dim) = (row + 1, contact.dim - 1);
                    let (block, residual) = self.block(rows, first, dim);
                    let mut linear = residual;
                    for i in 0..dim {
                        for j in 0..dim {
                            linear[i] -= block[i][j] * force[first + j];
                        }
                    }
                    let new = if force[row] < MINVAL {
                        [0.0; MOST]
                    } else {
                        in_cone(&block, &linear, &contact.friction, force[row], dim)
                    };
                    won += self.change(force, (first, dim), new, (&block, &residual));
                    row += contact.dim;
                }
                _ => row += 1,
            }
        }
        won
    }

    /// Takes new forces, unless they raise the cost; returns by how much it fell.
    fn change(
        &mut self,
        force: &mut [f64],
        (first, dim): (usize, usize),
        new: Forces,
        (block, residual): (&Block, &Forces),
    ) -> f64 {
        let mut delta = [0.0; MOST];
        for i in 0..dim {
            delta[i] = new[i] - force[first + i];
        }
        let mut rise = 0.0;
        for i in 0..dim {
            let curved: f64 = (0..dim).map(|j| block[i][j] * delta[j]).sum();
            rise += delta[i] * (residual[i] + 0.5 * curved);
        }
        if rise > RISE {
            return 0.0;
        }
        for i in 0..dim {
            force[first + i] = new[i];
            self.push(first + i, delta[i]);
        }
        -rise
    }
}

/// The v of least ½·vᵀ·A·v + bᵀ·v with Σ(v/μ)² ≤ r²: Newton's method for the multiplier λ of (A' + λ)·v' = −b' in v' = v/μ.
fn in_cone(a: &Block, b: &Forces, mu: &Forces, r: f64, dim: usize) -> Forces {
    let mut lambda = 0.0;
    let mut v = [0.0; MOST];
    for _ in 0..STEPS {
        let mut scaled = [[0.0; MOST]; MOST];
        let mut right = [0.0; MOST];
        for i in 0..dim {
            right[i] = -mu[i] * b[i];
            for j in 0..dim {
                scaled[i][j] = mu[i] * a[i][j] * mu[j];
            }
            scaled[i][i] += lambda;
        }
        let Some(factor) = cholesky(&scaled, dim) else { return [0.0; MOST] };
        v = right;
        back(&factor, dim, &mut v);
        let over = v.iter().map(|x| x * x).sum::<f64>() - r * r;
        if over < NEAR {
            break;
        }
        let mut again = v;
        back(&factor, dim, &mut again);
        let slope = -2.0 * v.iter().zip(&again).map(|(x, y)| x * y).sum::<f64>();
        let step = -over / slope.min(-MINVAL);
        if step < NEAR {
            break;
        }
        lambda += step;
    }
    let size = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let by = if lambda == 0.0 { 1.0 } else { r / size.max(MINVAL) };
    for k in 0..dim {
        v[k] *= mu[k] * by;
    }
    v
}

/// A = L·Lᵀ, or none where a pivot is not positive.
fn cholesky(a: &Block, dim: usize) -> Option<Block> {
    let mut l = [[0.0; MOST]; MOST];
    for i in 0..dim {
        for j in 0..=i {
            let sum = a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            if i == j {
                if sum < NEAR {
                    return None;
                }
                l[i][i] = sum.sqrt();
            } else {
                l[i][j] = sum / l[j][j];
            }
        }
    }
    Some(l)
}

/// x = A⁻¹·x.
fn back(l: &Block, dim: usize, x: &mut Forces) {
    for i in 0..dim {
        x[i] = (x[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    for i in (0..dim).rev() {
        x[i] = (x[i] - (i + 1..dim).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
}
