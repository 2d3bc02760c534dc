//! How the Jacobians of spatial tendons and of actuators at sites move with positions: C with C_ij = ∂J_i/∂q_j.
//!
//! A point x of a body moves by S_i@x along q_i, and that by ω_early × (S_late@x) along q_j. A straight span of length ℓ along n has
//! C_ij = D_i·(1 − n·nᵀ)·D_j/ℓ + n·∂D_i/∂q_j with the ends' relative motion D; one around an obstacle the same in the obstacle's frame, with the
//! second derivatives of its path.

use crate::dynamics::NO_PARENT;
use crate::dynamics::tendon::{Span, spans};
use crate::model::Transmission;
use crate::spatial::motion::at_point;
use crate::spatial::{Vec3, add, angular, cross, dot, norm, rotate_back, sub};
use crate::{Data, Model};

/// The matrices of one state, over each tendon's and actuator's degrees of freedom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bends {
    tendon: Vec<Vec<f64>>,
    actuator: Vec<Vec<f64>>,
    /// Which of three bodies each degree of freedom moves.
    moves: Vec<[bool; 3]>,
}

impl Bends {
    pub(crate) fn fill(&mut self, model: &Model, data: &Data) {
        self.tendon.resize(model.ntendon(), Vec::new());
        self.actuator.resize(model.nu(), Vec::new());
        for tendon in 0..model.ntendon() {
            if model.tendon_path[tendon].is_empty() {
                continue;
            }
            let dofs = &model.tendon_dofs[tendon];
            let matrix = &mut self.tendon[tendon];
            matrix.clear();
            matrix.resize(dofs.len() * dofs.len(), 0.0);
            let moves = &mut self.moves;
            spans(model, data, tendon, true, |span| {
                let third = span.around.as_ref().map_or(0, |a| a.body);
                moving(model, dofs, [span.body[0], span.body[1], third], moves);
                add_span(model, data, span, (dofs, moves), matrix);
            });
        }
        for actuator in 0..model.nu() {
            match model.actuator_trntype[actuator] {
                Transmission::Site => self.site(model, data, actuator),
                Transmission::JointInParent => self.in_parent(model, data, actuator),
                Transmission::Joint | Transmission::Tendon => {}
            }
        }
    }

    /// An axis of the parent, seen from the body that turns: dm = −ω × m.
    fn in_parent(&mut self, model: &Model, data: &Data, actuator: usize) {
        let Some((_, first)) = model.rotation(model.actuator_trnid[actuator]) else { return };
        let dofs = &model.actuator_dofs[actuator];
        let row = &data.actuator_moment[actuator * model.nv()..];
        let moment = [row[first], row[first + 1], row[first + 2]];
        let matrix = &mut self.actuator[actuator];
        matrix.clear();
        matrix.resize(dofs.len() * dofs.len(), 0.0);
        // Rotations are the last three, and come first in the decreasing list.
        for b in 0..3 {
            let mut turn = [0.0; 3];
            turn[2 - b] = 1.0;
            let change = cross(moment, turn);
            for a in 0..3 {
                matrix[a * dofs.len() + b] = change[2 - a];
            }
        }
    }

    /// A wrench that turns with the site: of force f and torque t at x, J_i = f·(S_i@x) + t·ω_i.
    fn site(&mut self, model: &Model, data: &Data, actuator: usize) {
        let site = model.actuator_trnid[actuator];
        let body = model.site_bodyid[site];
        let dofs = &model.actuator_dofs[actuator];
        let matrix = &mut self.actuator[actuator];
        matrix.clear();
        matrix.resize(dofs.len() * dofs.len(), 0.0);
        let offset = sub(data.site_xpos[site], data.subtree_com[model.body_rootid[body]]);
        let (force, torque) = crate::dynamics::site_wrench(model, data, actuator);
        for (a, &i) in dofs.iter().enumerate() {
            for (b, &j) in dofs.iter().enumerate() {
                // A joint after i moves neither its axis; one before turns point, axis and force alike.
                let (si, sj) = (&data.cdof[i], &data.cdof[j]);
                if i < model.dof_block[j] {
                    let turned = cross(angular(sj), force);
                    let moved = cross(angular(si), at_point(sj, offset));
                    matrix[a * dofs.len() + b] = dot(turned, at_point(si, offset))
                        + dot(force, moved)
                        + dot(cross(angular(sj), torque), angular(si));
                }
            }
        }
    }

    fn tendon_of(&self, tendon: usize) -> Option<&[f64]> {
        self.tendon.get(tendon).map(Vec::as_slice).filter(|m| !m.is_empty())
    }

    /// out_j += scale·Σ_i x_i·C_ij of a tendon.
    pub(crate) fn pull_tendon(
        &self,
        model: &Model,
        tendon: usize,
        scale: f64,
        x: impl Fn(usize) -> f64,
        out: &mut [f64],
    ) {
        if let Some(matrix) = self.tendon_of(tendon) {
            pull(&model.tendon_dofs[tendon], matrix, scale, x, out);
        }
    }

    /// The same of an actuator's moments.
    pub(crate) fn pull_actuator(
        &self,
        model: &Model,
        actuator: usize,
        scale: f64,
        x: impl Fn(usize) -> f64,
        out: &mut [f64],
    ) {
        if let Some((dofs, matrix, gear)) = self.of_actuator(model, actuator) {
            pull(dofs, matrix, scale * gear, x, out);
        }
    }

    /// Visits (i, j, C_ij) of a tendon.
    pub(crate) fn each_of_tendon(
        &self,
        model: &Model,
        tendon: usize,
        visit: impl FnMut(usize, usize, f64),
    ) {
        if let Some(matrix) = self.tendon_of(tendon) {
            each(&model.tendon_dofs[tendon], matrix, 1.0, visit);
        }
    }

    /// Visits (i, j, C_ij) of an actuator's moments.
    pub(crate) fn each_of_actuator(
        &self,
        model: &Model,
        actuator: usize,
        visit: impl FnMut(usize, usize, f64),
    ) {
        if let Some((dofs, matrix, gear)) = self.of_actuator(model, actuator) {
            each(dofs, matrix, gear, visit);
        }
    }

    /// Do an actuator's moments move?
    pub(crate) fn bends(&self, model: &Model, actuator: usize) -> bool {
        self.of_actuator(model, actuator).is_some()
    }

    fn of_actuator<'a>(
        &'a self,
        model: &'a Model,
        actuator: usize,
    ) -> Option<(&'a [usize], &'a [f64], f64)> {
        if model.actuator_trntype[actuator] == Transmission::Tendon {
            let tendon = model.actuator_trnid[actuator];
            let gear = model.actuator_gear[actuator][0];
            return self.tendon_of(tendon).map(|m| (model.tendon_dofs[tendon].as_slice(), m, gear));
        }
        let matrix = self.actuator.get(actuator).filter(|m| !m.is_empty())?;
        Some((&model.actuator_dofs[actuator], matrix, 1.0))
    }
}

fn pull(dofs: &[usize], matrix: &[f64], scale: f64, x: impl Fn(usize) -> f64, out: &mut [f64]) {
    for (row, &i) in matrix.chunks_exact(dofs.len()).zip(dofs) {
        let by = scale * x(i);
        if by != 0.0 {
            for (c, &j) in row.iter().zip(dofs) {
                out[j] += by * c;
            }
        }
    }
}

fn each(dofs: &[usize], matrix: &[f64], scale: f64, mut visit: impl FnMut(usize, usize, f64)) {
    for (row, &i) in matrix.chunks_exact(dofs.len()).zip(dofs) {
        for (c, &j) in row.iter().zip(dofs) {
            visit(i, j, scale * c);
        }
    }
}

/// Which of the bodies each degree of freedom moves.
fn moving(model: &Model, dofs: &[usize], bodies: [usize; 3], moves: &mut Vec<[bool; 3]>) {
    moves.clear();
    moves.resize(dofs.len(), [false; 3]);
    for (k, body) in bodies.into_iter().enumerate() {
        let mut dof = model.last_dof(body);
        // Both decrease.
        let mut at = 0;
        while dof != NO_PARENT {
            while at < dofs.len() && dofs[at] > dof {
                at += 1;
            }
            if at < dofs.len() && dofs[at] == dof {
                moves[at][k] = true;
            }
            dof = model.dof_parentid[dof];
        }
    }
}

/// d(S_i@x)/dq_j for a point x of a body that both move.
fn second(data: &Data, offset: Vec3, i: usize, j: usize, i_first: bool) -> Vec3 {
    let (si, sj) = (&data.cdof[i], &data.cdof[j]);
    if i_first {
        cross(angular(si), at_point(sj, offset))
    } else {
        cross(angular(sj), at_point(si, offset))
    }
}

fn add_span(
    model: &Model,
    data: &Data,
    span: &Span,
    (dofs, moves): (&[usize], &[[bool; 3]]),
    matrix: &mut [f64],
) {
    // Points from the origin of the tree of whoever moves them.
    let from =
        |body: usize, k: usize| sub(span.point[k], data.subtree_com[model.body_rootid[body]]);
    let offset = [from(span.body[0], 0), from(span.body[1], 1)];
    let pull = span.pull();
    let Some(around) = &span.around else {
        let length = norm(sub(span.point[1], span.point[0]));
        if length <= crate::spatial::MINVAL {
            return;
        }
        let relative = |at: usize| {
            let (s, on) = (&data.cdof[dofs[at]], moves[at]);
            let end = |k: usize| if on[k] { at_point(s, offset[k]) } else { [0.0; 3] };
            sub(end(1), end(0))
        };
        for a in 0..dofs.len() {
            let da = relative(a);
            let na = dot(pull[1], da);
            for b in 0..dofs.len() {
                let db = relative(b);
                let nb = dot(pull[1], db);
                let mut sum = (span.share * dot(da, db) - na * nb / span.share) / length;
                for k in 0..2 {
                    if moves[a][k] && moves[b][k] {
                        let i_first = dofs[a] < model.dof_block[dofs[b]];
                        sum += dot(pull[k], second(data, offset[k], dofs[a], dofs[b], i_first));
                    }
                }
                matrix[a * dofs.len() + b] += sum;
            }
        }
        return;
    };
    let obstacle = [from(around.body, 0), from(around.body, 1)];
    // The ends' motion relative to the obstacle, in its frame.
    let relative = |at: usize, k: usize| {
        let (s, on) = (&data.cdof[dofs[at]], moves[at]);
        let own = if on[k] { at_point(s, offset[k]) } else { [0.0; 3] };
        let its = if on[2] { at_point(s, obstacle[k]) } else { [0.0; 3] };
        rotate_back(&around.frame, sub(own, its))
    };
    for a in 0..dofs.len() {
        let da = [relative(a, 0), relative(a, 1)];
        for b in 0..dofs.len() {
            let db = [relative(b, 0), relative(b, 1)];
            let mut sum = 0.0;
            for r in 0..6 {
                for c in 0..6 {
                    sum += around.path.bend[r][c] * da[r / 3][r % 3] * db[c / 3][c % 3];
                }
            }
            sum *= span.share;
            let (i, j) = (dofs[a], dofs[b]);
            let i_first = i < model.dof_block[j];
            for k in 0..2 {
                let on = |at: usize| (moves[at][k], moves[at][2]);
                let change = relative_change(
                    data,
                    [offset[k], obstacle[k]],
                    (i, on(a)),
                    (j, on(b)),
                    i_first,
                );
                sum += dot(pull[k], change);
            }
            matrix[a * dofs.len() + b] += sum;
        }
    }
}

/// The change along q_j of the motion of an end relative to the obstacle along q_i, as seen from the obstacle, in the world's axes. For each of
/// both: does it move the end's body, the obstacle's?
fn relative_change(
    data: &Data,
    [own, its]: [Vec3; 2],
    (i, (i_own, i_its)): (usize, (bool, bool)),
    (j, (j_own, j_its)): (usize, (bool, bool)),
    i_first: bool,
) -> Vec3 {
    let (si, sj) = (&data.cdof[i], &data.cdof[j]);
    let mut out = [0.0; 3];
    match (i_own, i_its) {
        (true, false) => {
            if j_its {
                out = sub(out, cross(angular(sj), at_point(si, own)));
            }
            if j_own {
                out = add(out, second(data, own, i, j, i_first));
            }
        }
        (false, true) => {
            if j_its {
                out = add(out, cross(angular(sj), at_point(si, its)));
                if !i_first {
                    let moved = crate::spatial::motion::cross_motion(sj, si);
                    out = sub(out, at_point(&moved, its));
                }
            }
            if j_own {
                out = sub(out, cross(angular(si), at_point(sj, own)));
            }
        }
        _ => {}
    }
    out
}
