//! The derivative of constrained forward dynamics as matrices: ∂r/∂(q, v, act, ctrl) of the residual r = τ − ID + Jᵀ·f at fixed
//! acceleration, then ∂a = H⁻¹·∂r.

use super::adjoint::{Cotangent, attachment_of, is_contact, sum_subtrees};
use super::attachment::Kinematics;
use super::bend::Bends;
use super::contact::{ContactMotions, Sides, in_world, on_axes, push, rows_of};
use super::forces;
use super::rows::{self, Bend, bend};
use super::smooth::{Composite, Motions};
use crate::collide::geometry::Motion;
use crate::constraint::{Chain, contact_rows};
use crate::dynamics::NO_PARENT;
use crate::model::Cone;
use crate::solve::{Curvature, row_curvature};
use crate::spatial::motion::{accumulate_scaled, at_point, cross_motion, wrench};
use crate::spatial::{Spatial, Vec3, add, angular, cross, dot, scale};
use crate::{Data, Model};

/// Scratch of the dense derivative.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dense {
    pub(crate) composite: Composite,
    outside: Vec<Spatial>,
    /// ∂r/∂q, ∂r/∂v (nv × nv), ∂r/∂act (nv × na), ∂r/∂ctrl (nv × nu).
    pub(crate) dq: Vec<f64>,
    pub(crate) dv: Vec<f64>,
    pub(crate) da: Vec<f64>,
    pub(crate) du: Vec<f64>,
    columns: Vec<[f64; 6]>,
    dofs: Vec<usize>,
}

fn zero(list: &mut Vec<f64>, len: usize) {
    list.clear();
    list.resize(len, 0.0);
}

impl Dense {
    /// Fills ∂r.
    pub(crate) fn fill(
        &mut self,
        model: &Model,
        data: &Data,
        motions: &Motions,
        contacts: &ContactMotions,
    ) {
        let nv = model.nv();
        zero(&mut self.dq, nv * nv);
        zero(&mut self.dv, nv * nv);
        zero(&mut self.da, nv * model.na);
        zero(&mut self.du, nv * model.nu());
        self.outside.clear();
        self.outside.resize(model.nbody(), [0.0; 6]);
        let out = (
            self.dq.as_mut_slice(),
            self.dv.as_mut_slice(),
            self.da.as_mut_slice(),
            self.du.as_mut_slice(),
        );
        forces::add_derivatives(model, data, (motions, &contacts.bends), &mut self.outside, out);
        for (id, motion) in contacts.list.iter().enumerate() {
            if let Some(motion) = motion {
                self.contact(model, data, motions, id, motion);
            }
        }
        self.rows(model, data, motions, &contacts.bends);
        sum_subtrees(model, &mut self.outside);
        self.composite.fill(model, data);
        self.composite.add_derivatives(
            model,
            data,
            motions,
            Some(&self.outside),
            -1.0,
            &mut self.dq,
            Some(&mut self.dv),
        );
    }

    /// Rows that are not contacts'.
    fn rows(&mut self, model: &Model, data: &Data, motions: &Motions, bends: &Bends) {
        let efc = &data.efc;
        let nv = model.nv();
        for row in 0..efc.nefc() {
            if !rows::acts(data, row) || is_contact(efc.kind[row]) {
                continue;
            }
            if let Some(id) = attachment_of(model, efc.kind[row]) {
                if row == efc.group(row).start {
                    let kinematics = Kinematics::new(model, data, motions, id);
                    kinematics.add(row, &mut self.dq, &mut self.dv);
                }
                continue;
            }
            let w = match row_curvature(efc, &data.contact, &efc.jar, &efc.state, row) {
                Curvature::Row(w) => w,
                Curvature::Block(..) => 0.0,
            };
            let j = &efc.J[row * nv..(row + 1) * nv];
            let (f, b) = (efc.force[row], efc.KBIP[row][1]);
            let log_d =
                if rows::scales_with_d(data, row) { rows::log_d_slope(data, row) } else { 0.0 };
            let by_pos = -w * rows::reference_slope(data, row) + f * log_d;
            for &i in efc.support(row) {
                for &k in efc.support(row) {
                    self.dq[i * nv + k] += j[i] * by_pos * j[k];
                    self.dv[i * nv + k] -= j[i] * w * b * j[k];
                }
            }
            for (tendon, scale) in rows::tendons_of(model, data, row) {
                bends.each_of_tendon(model, tendon, |i, k, c| {
                    self.dq[i * nv + k] += f * scale * c;
                    let by = w * scale * c * (data.qacc[i] + b * data.qvel[i]);
                    for &l in efc.support(row) {
                        self.dq[l * nv + k] -= j[l] * by;
                    }
                });
            }
            // x ↦ dJ·x for a displacement, and (dJ)ᵀ·f.
            match bend(model, data, row) {
                Bend::Straight => {}
                Bend::Polynomial(curvature, second) => {
                    let rate = -curvature
                        * (second.along(model, data, &data.qacc)
                            + b * second.along(model, data, &data.qvel));
                    second.visit(model, data, |k, ck| {
                        for &i in efc.support(row) {
                            self.dq[i * nv + k] -= j[i] * w * rate * ck;
                        }
                        second.visit(model, data, |i, ci| {
                            self.dq[i * nv + k] -= curvature * f * ci * ck;
                        });
                    });
                }
                Bend::Axis(dof, turn) => {
                    for c in 0..3 {
                        let mut e = [0.0; 3];
                        e[c] = 1.0;
                        // J = −n.
                        let dn = rows::push_axis(turn, e);
                        let rate: f64 = (0..3)
                            .map(|k| -dn[k] * (data.qacc[dof + k] + b * data.qvel[dof + k]))
                            .sum();
                        for k in 0..3 {
                            let i = dof + k;
                            self.dq[i * nv + dof + c] += -j[i] * w * rate - dn[k] * f;
                        }
                    }
                }
            }
        }
    }

    fn contact(
        &mut self,
        model: &Model,
        data: &Data,
        motions: &Motions,
        id: usize,
        motion: &Motion,
    ) {
        let nv = model.nv();
        let (contact, efc) = (&data.contact[id], &data.efc);
        let sides = Sides::new(model, data, contact);
        let dim = contact.dim;
        let pyramidal = model.opt.cone == Cone::Pyramidal;
        let (force, torque) =
            in_world(&contact.frame, &on_axes(model, contact, |row| efc.force[row]));
        for (side, sign) in [(0, -1.0), (1, 1.0)] {
            let w = wrench(sides.offset[side], force, torque);
            accumulate_scaled(&mut self.outside[sides.body[side]], &w, sign);
        }
        // The Jacobian on the contact's axes, by degree of freedom of the chain.
        self.dofs.clear();
        self.columns.clear();
        for (dof, sign) in Chain::new(model, sides.body[0], sides.body[1]) {
            let column = crate::constraint::contact_column(
                model,
                data,
                (contact.pos, &contact.frame),
                (dof, sign),
                dim,
            );
            self.dofs.push(dof);
            self.columns.push(column);
        }
        // Curvature on the axes: Σ weightᵀ·W·weight, and how the axes' forces change with distance.
        let (curvature, by_dist) = axes_curvature(model, data, id, pyramidal);
        // Friction rows of an elliptic cone may have damping of their own.
        let damping = |k: usize| efc.KBIP[contact.efc_address + if pyramidal { 0 } else { k }][1];
        let relative_a = sides.relative(&motions.pure);
        let relative_v = sides.relative(&data.cvel);
        // Every degree of freedom that moves one of the bodies, common ancestors too: the frame does not turn with both.
        let [b1, b2] = sides.body;
        let (mut j1, mut j2) = (model.last_dof(b1), model.last_dof(b2));
        while j1 != NO_PARENT || j2 != NO_PARENT {
            let next = match (j1, j2) {
                (NO_PARENT, j) | (j, NO_PARENT) => j,
                (a, b) => a.max(b),
            };
            let moves = [j1 == next, j2 == next];
            if moves[0] {
                j1 = model.dof_parentid[next];
            }
            if moves[1] {
                j2 = model.dof_parentid[next];
            }
            let step = Displacement::new(data, motions, &sides, motion, next, moves);
            let da = push(contact, relative_a, step.da, step.dp, step.dtheta);
            let dv = push(contact, relative_v, step.dv, step.dp, step.dtheta);
            // Forces on the axes: −W·(dJ·a + B·dJ·v) + (distance).
            let mut change = [0.0; 6];
            for k in 0..dim {
                change[k] = by_dist[k] * step.ddist;
                for l in 0..dim {
                    change[k] -= curvature[k][l] * (da[l] + damping(l) * dv[l]);
                }
            }
            // Fixed forces, moved and turned.
            let dforce = cross(step.dtheta, force);
            let dtorque = add(cross(step.dtheta, torque), cross(step.dp, force));
            for (&i, column) in self.dofs.iter().zip(&self.columns) {
                let on = i32::from(is_on(model, i, b2)) - i32::from(is_on(model, i, b1));
                let side = usize::from(on > 0);
                let s = &data.cdof[i];
                let moved = dot(at_point(s, sides.offset[side]), dforce) + dot(angular(s), dtorque);
                let sum: f64 = column.iter().zip(&change).map(|(c, x)| c * x).sum();
                self.dq[i * nv + next] += sum + f64::from(on) * moved;
            }
        }
        // Velocities: −Jᵀ·W·B·J over the chain.
        for (&i, ci) in self.dofs.iter().zip(&self.columns) {
            let mut left = [0.0; 6];
            for k in 0..dim {
                left[k] = damping(k) * (0..dim).map(|l| curvature[k][l] * ci[l]).sum::<f64>();
            }
            for (&j, cj) in self.dofs.iter().zip(&self.columns) {
                self.dv[i * nv + j] -= left.iter().zip(cj).map(|(a, b)| a * b).sum::<f64>();
            }
        }
    }

    /// ∂r/∂q, ∂r/∂v, ∂r/∂act, ∂r/∂ctrl.
    pub(crate) fn blocks(&mut self) -> [&mut [f64]; 4] {
        [&mut self.dq, &mut self.dv, &mut self.da, &mut self.du]
    }

    /// All four blocks to 0.
    pub(crate) fn clear(&mut self) {
        for block in [&mut self.dq, &mut self.dv, &mut self.da, &mut self.du] {
            block.fill(0.0);
        }
    }

    /// out += the four blocks times a tangent.
    pub(crate) fn add_product(&self, x: &Cotangent, out: &mut [f64]) {
        for (block, x) in
            [(&self.dq, &x.qpos), (&self.dv, &x.qvel), (&self.da, &x.act), (&self.du, &x.ctrl)]
        {
            if !x.is_empty() {
                for (sum, row) in out.iter_mut().zip(block.chunks_exact(x.len())) {
                    *sum += row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
                }
            }
        }
    }

    /// In place: columns become H⁻¹·columns. `width` columns, row-major.
    pub(crate) fn solve(&mut self, hessian: &[f64], which: Which, nv: usize, width: usize) {
        let matrix = match which {
            Which::Positions => &mut self.dq,
            Which::Velocities => &mut self.dv,
            Which::Activations => &mut self.da,
            Which::Controls => &mut self.du,
        };
        solve_columns(hessian, nv, width, matrix);
    }
}

/// One of the four blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Positions,
    Velocities,
    Activations,
    Controls,
}

/// Lᵀ·L·X = B for all columns of B at once: rows of X are vectors of the width, so the loops run along memory; zeros of the factor are skipped.
fn solve_columns(factor: &[f64], nv: usize, width: usize, x: &mut [f64]) {
    if width == 0 {
        return;
    }
    for k in (0..nv).rev() {
        let (before, rest) = x.split_at_mut(k * width);
        let row = &mut rest[..width];
        let line = &factor[k * nv..k * nv + k + 1];
        let by = 1.0 / line[k];
        row.iter_mut().for_each(|a| *a *= by);
        for (other, l) in before.chunks_exact_mut(width).zip(line) {
            if *l != 0.0 {
                for (a, b) in other.iter_mut().zip(row.iter()) {
                    *a -= l * b;
                }
            }
        }
    }
    for k in 0..nv {
        let (done, rest) = x.split_at_mut(k * width);
        let row = &mut rest[..width];
        let line = &factor[k * nv..k * nv + k + 1];
        for (other, l) in done.chunks_exact(width).zip(line) {
            if *l != 0.0 {
                for (a, b) in row.iter_mut().zip(other) {
                    *a -= l * b;
                }
            }
        }
        let by = 1.0 / line[k];
        row.iter_mut().for_each(|a| *a *= by);
    }
}

/// Is degree of freedom `i` on the way from `body` to the world?
fn is_on(model: &Model, i: usize, body: usize) -> bool {
    let mut k = model.last_dof(body);
    while k != NO_PARENT && k > i {
        k = model.dof_parentid[k];
    }
    k == i
}

/// What one degree of freedom does to a contact.
struct Displacement {
    ddist: f64,
    dp: Vec3,
    dtheta: Vec3,
    /// Change of the relative velocity and rotation at the point (which itself is held), for a and v.
    da: (Vec3, Vec3),
    dv: (Vec3, Vec3),
}

impl Displacement {
    fn new(
        data: &Data,
        motions: &Motions,
        sides: &Sides,
        motion: &Motion,
        dof: usize,
        moves: [bool; 2],
    ) -> Self {
        let s = &data.cdof[dof];
        let mut geometry = [0.0; 7];
        let (mut da, mut dv) = (([0.0; 3], [0.0; 3]), ([0.0; 3], [0.0; 3]));
        for side in 0..2 {
            if !moves[side] {
                continue;
            }
            let part = motion.push(side, &sides.geom_motion(side, s));
            for k in 0..7 {
                geometry[k] += part[k];
            }
            let body = sides.body[side];
            let sign = if side == 1 { 1.0 } else { -1.0 };
            // δX_b = S × X_b + X_λ × S.
            let change = |x: &Spatial, psi: &Spatial, out: &mut (Vec3, Vec3)| {
                let mut d = cross_motion(s, x);
                for k in 0..6 {
                    d[k] += psi[k];
                }
                out.0 = add(out.0, scale(at_point(&d, sides.offset[side]), sign));
                out.1 = add(out.1, scale(angular(&d), sign));
            };
            change(&motions.pure[body], &motions.pure_psi[dof], &mut da);
            change(&data.cvel[body], &motions.psi[dof], &mut dv);
        }
        Self {
            ddist: geometry[0],
            dp: [geometry[1], geometry[2], geometry[3]],
            dtheta: [geometry[4], geometry[5], geometry[6]],
            da,
            dv,
        }
    }
}

/// The curvature of a contact's cost on its axes, and how the forces on the axes change with the distance at fixed J·a and J·v.
fn axes_curvature(
    model: &Model,
    data: &Data,
    id: usize,
    pyramidal: bool,
) -> ([[f64; 6]; 6], [f64; 6]) {
    let (contact, efc) = (&data.contact[id], &data.efc);
    let first = contact.efc_address;
    let log_d = rows::log_d_slope(data, first);
    let mut curvature = [[0.0; 6]; 6];
    if let Curvature::Block(_, block) =
        row_curvature(efc, &data.contact, &efc.jar, &efc.state, first)
    {
        let slopes = |row: usize| rows::reference_slope(data, first + row);
        let mut by_dist = [0.0; 6];
        for k in 0..contact.dim {
            by_dist[k] = efc.force[first + k] * log_d
                - (0..contact.dim).map(|l| block[k][l] * slopes(l)).sum::<f64>();
        }
        return (block, by_dist);
    }
    let mut weights = [[0.0; 6]; 10];
    contact_rows(pyramidal, contact.dim, &contact.friction, |row, axis, weight| {
        weights[row][axis] = weight;
    });
    let mut by_dist = [0.0; 6];
    for (k, row) in rows_of(model, contact).enumerate() {
        let w = match row_curvature(efc, &data.contact, &efc.jar, &efc.state, row) {
            Curvature::Row(w) => w,
            Curvature::Block(..) => 0.0,
        };
        let change = efc.force[row] * log_d - w * rows::reference_slope(data, row);
        for a in 0..6 {
            by_dist[a] += weights[k][a] * change;
            if w != 0.0 {
                for b in 0..6 {
                    curvature[a][b] += w * weights[k][a] * weights[k][b];
                }
            }
        }
    }
    (curvature, by_dist)
}
