//! Newton's method and conjugate gradients on the primal problem (MuJoCo, "Solver algorithms"), in the accelerations.

use super::cost::{Curvature, forces, row_curvature};
use super::line_search::Line;
use crate::dynamics::{multiply_inertia, solve as solve_inertia};
use crate::model::Solver;
use crate::{Data, Model};

/// Scratch of the solver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workspace {
    /// H = M + Jᵀ·W·J, then its Cholesky factor in the lower triangle.
    pub(crate) hessian: Vec<f64>,
    momentum: Vec<f64>,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    moved: Vec<f64>,
    change: Vec<f64>,
    constraint: Vec<f64>,
    conditioned: Vec<f64>,
    old_gradient: Vec<f64>,
    old_conditioned: Vec<f64>,
}

impl Workspace {
    fn resize(&mut self, nv: usize, nefc: usize) {
        for v in [
            &mut self.momentum,
            &mut self.gradient,
            &mut self.direction,
            &mut self.moved,
            &mut self.constraint,
            &mut self.conditioned,
            &mut self.old_gradient,
            &mut self.old_conditioned,
        ] {
            v.resize(nv, 0.0);
        }
        self.hessian.resize(nv * nv, 0.0);
        self.change.resize(nefc, 0.0);
    }
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

/// H = M + Jᵀ·W·J with the curvature W of the rows at `efc.jar`, `efc.state`, and its Cholesky factor H = Lᵀ·L. Kept in `hessian`, lower triangle.
pub(crate) fn factor_hessian(model: &Model, data: &Data, hessian: &mut [f64]) {
    let nv = model.nv();
    hessian.copy_from_slice(&data.qM);
    let efc = &data.efc;
    let mut row = 0;
    while row < efc.nefc() {
        let support = efc.support(row);
        match row_curvature(efc, &data.contact, &efc.jar, &efc.state, row) {
            Curvature::Row(w) => {
                if w != 0.0 {
                    let j = &efc.J[row * nv..(row + 1) * nv];
                    add_square(hessian, nv, support, j, j, w);
                }
                row += 1;
            }
            Curvature::Block(dim, block) => {
                for a in 0..dim {
                    let ja = &efc.J[(row + a) * nv..(row + a + 1) * nv];
                    for b in 0..dim {
                        let jb = &efc.J[(row + b) * nv..(row + b + 1) * nv];
                        add_square(hessian, nv, support, ja, jb, block[a][b]);
                    }
                }
                row += dim;
            }
        }
    }
    cholesky(hessian, nv);
}

/// The lower triangle of H += w·a·bᵀ over the entries of `support`, which decrease.
fn add_square(h: &mut [f64], nv: usize, support: &[usize], a: &[f64], b: &[f64], w: f64) {
    for (k, &i) in support.iter().enumerate() {
        let wi = w * a[i];
        if wi != 0.0 {
            let line = &mut h[i * nv..i * nv + i + 1];
            for &j in &support[k..] {
                line[j] += wi * b[j];
            }
        }
    }
}

/// H = Lᵀ·L in the lower triangle, from the last degree of freedom to the first: what does not couple subtrees leaves the tree's zeros zero,
/// as in the factor of M. Pivots that rounding makes non-positive are raised.
fn cholesky(h: &mut [f64], nv: usize) {
    for k in (0..nv).rev() {
        let (before, rest) = h.split_at_mut(k * nv);
        let line = &mut rest[..k + 1];
        let pivot = line[k].max(crate::spatial::MINVAL).sqrt();
        line[k] = pivot;
        let by = 1.0 / pivot;
        line[..k].iter_mut().for_each(|x| *x *= by);
        for (i, target) in before.chunks_exact_mut(nv).enumerate() {
            let l = line[i];
            if l != 0.0 {
                for (t, x) in target[..i + 1].iter_mut().zip(&line[..i + 1]) {
                    *t -= l * x;
                }
            }
        }
    }
}

/// x = H⁻¹·x with the factor of `factor_hessian`.
pub(crate) fn solve_factored(h: &[f64], nv: usize, x: &mut [f64]) {
    for k in (0..nv).rev() {
        let line = &h[k * nv..k * nv + k + 1];
        let xk = x[k] / line[k];
        x[k] = xk;
        for (t, l) in x[..k].iter_mut().zip(line) {
            *t -= l * xk;
        }
    }
    for k in 0..nv {
        let line = &h[k * nv..k * nv + k + 1];
        x[k] = (x[k] - dot(&line[..k], &x[..k])) / line[k];
    }
}

/// jar, forces, states and the cost at `qacc`; M·qacc goes to `momentum`.
fn evaluate(model: &Model, data: &mut Data, ws: &mut Workspace) -> f64 {
    multiply_inertia(&model.dof_parentid, &data.qM, &data.qacc, &mut ws.momentum);
    let mut jar = std::mem::take(&mut data.efc.jar);
    data.efc.multiply(model.nv(), &data.qacc, &mut jar);
    for (x, aref) in jar.iter_mut().zip(&data.efc.aref) {
        *x -= aref;
    }
    data.efc.jar = jar;
    row_forces(data) + gauss(data, ws)
}

/// Forces and states at jar; their cost.
fn row_forces(data: &mut Data) -> f64 {
    let mut force = std::mem::take(&mut data.efc.force);
    let mut state = std::mem::take(&mut data.efc.state);
    let cost = forces(&data.efc, &data.contact, &data.efc.jar, &mut force, &mut state);
    data.efc.force = force;
    data.efc.state = state;
    cost
}

/// ½(a − a₀)ᵀ·M·(a − a₀).
fn gauss(data: &Data, ws: &Workspace) -> f64 {
    (0..data.qacc.len())
        .map(|k| {
            0.5 * (ws.momentum[k] - data.qfrc_smooth[k]) * (data.qacc[k] - data.qacc_smooth[k])
        })
        .sum()
}

/// Solves for `qacc`, `efc.force` and `qfrc_constraint`.
pub(crate) fn solve(model: &Model, data: &mut Data) {
    solve_to(model, data, model.opt.tolerance);
}

/// Solves to another tolerance than the model's.
pub(crate) fn solve_to(model: &Model, data: &mut Data, tolerance: f64) {
    let nv = model.nv();
    data.solve = crate::SolveStats::default();
    data.qfrc_constraint.fill(0.0);
    data.qacc.copy_from_slice(&data.qacc_smooth);
    if data.efc.nefc() == 0 {
        return;
    }
    let mut ws = std::mem::take(&mut data.scratch.newton);
    ws.resize(nv, data.efc.nefc());
    let mut cost = evaluate(model, data, &mut ws);
    if model.opt.warmstart {
        std::mem::swap(&mut data.qacc, &mut ws.conditioned);
        data.qacc.copy_from_slice(&data.qacc_warmstart);
        let warm = evaluate(model, data, &mut ws);
        if warm < cost {
            cost = warm;
        } else {
            std::mem::swap(&mut data.qacc, &mut ws.conditioned);
            cost = evaluate(model, data, &mut ws);
        }
    }
    iterate(model, data, &mut ws, cost, tolerance);
    data.qfrc_constraint.copy_from_slice(&ws.constraint);
    data.scratch.newton = ws;
}

/// The gradient M·a − f_smooth − Jᵀ·force; returns its norm and the norm below which it is rounding.
fn gradient(model: &Model, data: &Data, ws: &mut Workspace) -> (f64, f64) {
    ws.constraint.fill(0.0);
    data.efc.add_transpose(model.nv(), &data.efc.force, &mut ws.constraint);
    for k in 0..model.nv() {
        ws.gradient[k] = ws.momentum[k] - data.qfrc_smooth[k] - ws.constraint[k];
    }
    // Rows that nothing moves may have any force, and no part in it.
    let efc = &data.efc;
    let terms: f64 = efc.force.iter().zip(&efc.weight).map(|(f, w)| f * f * w).sum();
    let size = norm(&ws.momentum) + norm(&data.qfrc_smooth) + terms.sqrt();
    (norm(&ws.gradient), size)
}

fn iterate(model: &Model, data: &mut Data, ws: &mut Workspace, mut cost: f64, tolerance: f64) {
    let (nv, opt) = (model.nv(), &model.opt);
    let trace: f64 = (0..nv).map(|k| data.qM[k * nv + k]).sum();
    let scale = 1.0 / trace.max(crate::spatial::MINVAL);
    let newton = opt.solver == Solver::Newton;
    let (mut norm_now, mut size) = gradient(model, data, ws);
    // Conjugate gradients go up and down; they have stalled when nothing is won in many steps.
    let (mut least, mut since) = (norm_now, 0);
    for iteration in 0..opt.iterations {
        if norm_now <= 8.0 * f64::EPSILON * size || norm_now * scale < tolerance {
            break;
        }
        data.solve.iterations = iteration + 1;
        if newton {
            let mut h = std::mem::take(&mut ws.hessian);
            factor_hessian(model, data, &mut h);
            ws.direction.copy_from_slice(&ws.gradient);
            solve_factored(&h, nv, &mut ws.direction);
            ws.direction.iter_mut().for_each(|d| *d = -*d);
            ws.hessian = h;
        } else {
            conjugate(model, data, ws, iteration);
        }
        // Along the direction.
        multiply_inertia(&model.dof_parentid, &data.qM, &ws.direction, &mut ws.moved);
        data.efc.multiply(nv, &ws.direction, &mut ws.change);
        let line = Line {
            rows: &data.efc,
            contacts: &data.contact,
            jar: &data.efc.jar,
            change: &ws.change,
            linear: dot(&ws.direction, &ws.momentum) - dot(&ws.direction, &data.qfrc_smooth),
            quadratic: dot(&ws.direction, &ws.moved),
        };
        let slope = tolerance * opt.ls_tolerance * norm(&ws.direction) / scale;
        let alpha = line.search(slope, opt.ls_iterations);
        if alpha == 0.0 {
            break;
        }
        for k in 0..nv {
            data.qacc[k] += alpha * ws.direction[k];
            ws.momentum[k] += alpha * ws.moved[k];
        }
        for (x, change) in data.efc.jar.iter_mut().zip(&ws.change) {
            *x += alpha * change;
        }
        let now = row_forces(data) + gauss(data, ws);
        let before = norm_now;
        (norm_now, size) = gradient(model, data, ws);
        // Newton's steps square the error, until rounding is all that is left of it.
        let stalled = norm_now >= 0.5 * before && (now >= cost || norm_now <= 1e-9 * size);
        if norm_now < 0.9 * least {
            (least, since) = (norm_now, 0);
        } else {
            since += 1;
        }
        if (stalled && newton) || since > 4 * nv + 100 {
            break;
        }
        cost = now;
    }
    data.solve.gradient = norm_now / size.max(crate::spatial::MINVAL);
}

/// The next direction of conjugate gradients, preconditioned by M (Polak and Ribière, restarted where it turns uphill).
fn conjugate(model: &Model, data: &Data, ws: &mut Workspace, iteration: usize) {
    ws.conditioned.copy_from_slice(&ws.gradient);
    solve_inertia(&model.dof_parentid, &data.qLD, &data.qLDiagInv, &mut ws.conditioned);
    let beta = if iteration == 0 {
        0.0
    } else {
        let change = dot(&ws.gradient, &ws.conditioned) - dot(&ws.old_gradient, &ws.conditioned);
        let before = dot(&ws.old_gradient, &ws.old_conditioned);
        (change / before.max(crate::spatial::MINVAL)).max(0.0)
    };
    for k in 0..ws.direction.len() {
        ws.direction[k] = beta * ws.direction[k] - ws.conditioned[k];
    }
    if dot(&ws.direction, &ws.gradient) >= 0.0 {
        for k in 0..ws.direction.len() {
            ws.direction[k] = -ws.conditioned[k];
        }
    }
    ws.old_gradient.copy_from_slice(&ws.gradient);
    ws.old_conditioned.copy_from_slice(&ws.conditioned);
}
