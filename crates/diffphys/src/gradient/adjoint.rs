//! The reverse derivative of constrained forward dynamics: from a cotangent of `qacc` to cotangents of positions, velocities, activations and
//! controls, in one solve with the Newton factor and O(n) sweeps.
//!
//! At the solution r(q, v, …, a) = τ − ID(q, v, a) + Jᵀ·f(J·a − aref) = 0 and ∂r/∂a = −H, so λ = H⁻¹·ā gives every other cotangent as that of
//! λᵀ·r at fixed a. λᵀ·ID is a sum over bodies of Λ_b·(I_b·A_b + v_b ×* I_b·v_b) with Λ_b = Σ S·λ; along δq_j a body's own view of
//! Λ, v, A changes by Λ_λ(j) × S_j, Ψ̇_j and Ψ̈_j + Ψ̇_j × v_b.

use super::attachment::Kinematics;
use super::bend::Bends;
use super::contact::{ContactMotions, Sides, on_axes, pull, rows_of};
use super::forces;
use super::rows::{self, Bend, bend};
use super::smooth::Motions;
use crate::constraint::{RowKind, attaches};
use crate::solve::solve_factored;
use crate::spatial::Spatial;
use crate::spatial::motion::{
    accumulate, accumulate_scaled, cross_force, cross_motion, dot6, multiply,
};
use crate::{Data, Model};

/// Cotangents of what a step depends on. Tangent coordinates: `qpos` has `nv` numbers (a rotation's are body axes).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cotangent {
    /// Of positions, `nv`.
    pub qpos: Vec<f64>,
    /// Of velocities, `nv`.
    pub qvel: Vec<f64>,
    /// Of activations, `na`.
    pub act: Vec<f64>,
    /// Of controls, `nu`.
    pub ctrl: Vec<f64>,
    /// Of applied generalized forces, `nv`.
    pub qfrc_applied: Vec<f64>,
}

impl Cotangent {
    /// Zeros for a model.
    pub fn zeros(model: &Model) -> Self {
        Self {
            qpos: vec![0.0; model.nv()],
            qvel: vec![0.0; model.nv()],
            act: vec![0.0; model.na],
            ctrl: vec![0.0; model.nu()],
            qfrc_applied: vec![0.0; model.nv()],
        }
    }

    /// Sets all numbers to 0.
    pub fn clear(&mut self) {
        for list in
            [&mut self.qpos, &mut self.qvel, &mut self.act, &mut self.ctrl, &mut self.qfrc_applied]
        {
            list.fill(0.0);
        }
    }
}

/// Scratch of the reverse sweeps; what parameters need is left in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Adjoint {
    pub(crate) lambda: Vec<f64>,
    /// Σ S·λ of each body.
    pub(crate) bodies: Vec<Spatial>,
    /// J·λ, the cotangent of jar, and the damping's part B·z.
    pub(crate) y: Vec<f64>,
    pub(crate) z: Vec<f64>,
    pub(crate) bz: Vec<f64>,
    /// Forces on bodies: cotangents of δ'X for λ, a, v, and of the bodies' motions.
    on_x: [Vec<Spatial>; 3],
    pub(crate) on_motion: Vec<Spatial>,
    /// I·Λ composite, and the cotangent of velocities 2BᵀΛ composite.
    inertial: Vec<Spatial>,
    momentum: Vec<Spatial>,
    /// Cotangents of (dist, pos, turn) of each contact.
    pub(crate) contacts: Vec<[f64; 7]>,
}

impl Adjoint {
    fn resize(&mut self, model: &Model, data: &Data) {
        let (nv, nbody, nefc) = (model.nv(), model.nbody(), data.efc.nefc());
        self.lambda.resize(nv, 0.0);
        for list in [&mut self.y, &mut self.z, &mut self.bz] {
            list.resize(nefc, 0.0);
        }
        let [a, b, c] = &mut self.on_x;
        for list in [a, b, c, &mut self.on_motion] {
            list.clear();
            list.resize(nbody, [0.0; 6]);
        }
        for list in [&mut self.bodies, &mut self.inertial, &mut self.momentum] {
            list.resize(nbody, [0.0; 6]);
        }
        self.contacts.clear();
        self.contacts.resize(data.contact.len(), [0.0; 7]);
    }

    /// Adds to `out` the cotangents of everything `qacc` depends on, for the cotangent `qacc_bar`.
    ///
    /// `data` is at a solution, `hessian` the factor there, `motions` and `contacts` as filled there.
    pub(crate) fn pull(
        &mut self,
        model: &Model,
        data: &Data,
        hessian: &[f64],
        motions: &Motions,
        contacts: &ContactMotions,
        qacc_bar: &[f64],
        out: &mut Cotangent,
    ) {
        self.resize(model, data);
        let nv = model.nv();
        self.lambda.copy_from_slice(qacc_bar);
        solve_factored(hessian, nv, &mut self.lambda);
        for k in 0..nv {
            out.qfrc_applied[k] += self.lambda[k];
        }
        self.body_sums(model, data);
        self.inertial_forces(model, data);
        self.rows(model, data, motions, contacts, out);
        let [on_lambda, _, on_velocity] = &mut self.on_x;
        let on = [on_lambda.as_mut_slice(), on_velocity.as_mut_slice(), &mut self.on_motion];
        let at = (self.lambda.as_slice(), self.bodies.as_slice());
        forces::pull(model, data, at, &contacts.bends, on, out);
        self.gather(model, data, motions, out);
    }

    fn body_sums(&mut self, model: &Model, data: &Data) {
        self.bodies[0] = [0.0; 6];
        for body in 1..model.nbody() {
            let mut sum = self.bodies[model.body_parentid[body]];
            let first = model.body_dofadr[body];
            for j in first..first + model.body_dofnum[body] {
                accumulate_scaled(&mut sum, &data.cdof[j], self.lambda[j]);
            }
            self.bodies[body] = sum;
        }
    }

    /// I·Λ and 2BᵀΛ = −I·(v × Λ) + v ×* I·Λ − Λ ×* I·v, over subtrees.
    fn inertial_forces(&mut self, model: &Model, data: &Data) {
        for body in 1..model.nbody() {
            let (lambda, v, inertia) = (&self.bodies[body], &data.cvel[body], &data.cinert[body]);
            let inertial = multiply(inertia, lambda);
            let first = multiply(inertia, &cross_motion(v, lambda));
            let mut momentum = cross_force(v, &inertial);
            let third = cross_force(lambda, &multiply(inertia, v));
            for k in 0..6 {
                momentum[k] -= first[k] + third[k];
            }
            self.inertial[body] = inertial;
            self.momentum[body] = momentum;
        }
        self.inertial[0] = [0.0; 6];
        self.momentum[0] = [0.0; 6];
        for list in [&mut self.inertial, &mut self.momentum] {
            sum_subtrees(model, list);
        }
    }

    fn rows(
        &mut self,
        model: &Model,
        data: &Data,
        motions: &Motions,
        contacts: &ContactMotions,
        out: &mut Cotangent,
    ) {
        let efc = &data.efc;
        efc.multiply(model.nv(), &self.lambda, &mut self.y);
        rows::pull_force(data, &self.y, &mut self.z);
        for row in 0..efc.nefc() {
            self.bz[row] = efc.KBIP[row][1] * self.z[row];
        }
        let mut row = 0;
        while row < efc.nefc() && !is_contact(efc.kind[row]) {
            if let Some(id) = attachment_of(model, efc.kind[row]) {
                let kinematics = Kinematics::new(model, data, motions, id);
                let lambda = (self.lambda.as_slice(), self.bodies.as_slice());
                kinematics.pull(row, lambda, (&self.y, &self.z), out);
                row = efc.group(row).end;
                continue;
            }
            if rows::acts(data, row) {
                self.row(model, data, &contacts.bends, row, out);
            }
            row += 1;
        }
        for (id, motion) in contacts.list.iter().enumerate() {
            let (contact, Some(motion)) = (&data.contact[id], motion) else { continue };
            let sides = Sides::new(model, data, contact);
            let axes = [
                on_axes(model, contact, |row| efc.force[row]),
                on_axes(model, contact, |row| self.z[row]),
                on_axes(model, contact, |row| self.bz[row]),
            ];
            let dist = self.distance(model, data, id);
            let x = [self.bodies.as_slice(), motions.pure.as_slice(), data.cvel.as_slice()];
            self.contacts[id] =
                pull(&sides, contact, motion, x, &axes, dist, &mut self.on_x, &mut self.on_motion);
        }
    }

    /// The cotangent of a contact's distance: by the reference of its rows and by their common D.
    fn distance(&self, model: &Model, data: &Data, id: usize) -> f64 {
        let contact = &data.contact[id];
        let mut sum = 0.0;
        let mut log_d = 0.0;
        for row in rows_of(model, contact) {
            sum += self.z[row] * rows::reference_slope(data, row);
            log_d += self.y[row] * data.efc.force[row];
        }
        sum + log_d * rows::log_d_slope(data, contact.efc_address)
    }

    /// A row that is not a contact's: its residual moves by J·δq, its Jacobian as `bend` says.
    fn row(&self, model: &Model, data: &Data, bends: &Bends, row: usize, out: &mut Cotangent) {
        let efc = &data.efc;
        let nv = model.nv();
        let j = &efc.J[row * nv..(row + 1) * nv];
        let (f, z, bz) = (efc.force[row], self.z[row], self.bz[row]);
        let mut pos = z * rows::reference_slope(data, row);
        if rows::scales_with_d(data, row) {
            pos += self.y[row] * f * rows::log_d_slope(data, row);
        }
        for &dof in efc.support(row) {
            out.qpos[dof] += pos * j[dof];
            out.qvel[dof] += bz * j[dof];
        }
        let weighted = |dof: usize| f * self.lambda[dof] + z * data.qacc[dof] + bz * data.qvel[dof];
        for (tendon, scale) in rows::tendons_of(model, data, row) {
            bends.pull_tendon(model, tendon, scale, weighted, &mut out.qpos);
        }
        match bend(model, data, row) {
            Bend::Straight => {}
            Bend::Polynomial(curvature, second) => {
                let mut along = 0.0;
                second.visit(model, data, |dof, c| along += c * weighted(dof));
                second.visit(model, data, |dof, c| out.qpos[dof] -= curvature * along * c);
            }
            Bend::Axis(dof, w) => {
                let c = [weighted(dof), weighted(dof + 1), weighted(dof + 2)];
                let back = rows::pull_axis(w, c);
                for k in 0..3 {
                    out.qpos[dof + k] -= back[k];
                }
            }
        }
    }

    /// From forces on bodies to positions and velocities.
    fn gather(&mut self, model: &Model, data: &Data, motions: &Motions, out: &mut Cotangent) {
        let [a, b, c] = &mut self.on_x;
        for list in [a, b, c, &mut self.on_motion] {
            sum_subtrees(model, list);
        }
        let mut before = [0.0; 6];
        for j in 0..model.nv() {
            let body = model.dof_bodyid[j];
            let s = &data.cdof[j];
            if model.dof_block[j] == j {
                // Λ before the block: of the parent, plus what comes first in the same body.
                before = self.bodies[model.body_parentid[body]];
                for k in model.body_dofadr[body]..j {
                    accumulate_scaled(&mut before, &data.cdof[k], self.lambda[k]);
                }
            }
            let (inertial, momentum) = (&self.inertial[body], &self.momentum[body]);
            let (on_lambda, on_a, on_v) =
                (&self.on_x[0][body], &self.on_x[1][body], &self.on_x[2][body]);
            let lambda_psi = cross_motion(&before, s);
            let psi = &motions.psi[j];
            out.qpos[j] += dot6(on_lambda, &lambda_psi) - dot6(&motions.force[body], &lambda_psi)
                + dot6(on_a, &motions.pure_psi[j])
                - dot6(inertial, &motions.psi2[j])
                + dot6(on_v, psi)
                - dot6(momentum, psi)
                + dot6(&self.on_motion[body], s);
            out.qvel[j] += dot6(on_v, s)
                - dot6(momentum, s)
                - dot6(inertial, psi)
                - dot6(inertial, &motions.sdot[j]);
        }
    }
}

/// Sums over subtrees, leaves first.
pub(crate) fn sum_subtrees(model: &Model, list: &mut [Spatial]) {
    for body in (1..model.nbody()).rev() {
        let own = list[body];
        accumulate(&mut list[model.body_parentid[body]], &own);
    }
}

/// The connect or weld that a row belongs to.
pub(crate) fn attachment_of(model: &Model, kind: RowKind) -> Option<usize> {
    match kind {
        RowKind::Equality(id) if attaches(model, id) => Some(id),
        _ => None,
    }
}

pub(crate) fn is_contact(kind: RowKind) -> bool {
    matches!(
        kind,
        RowKind::ContactFrictionless(_)
            | RowKind::ContactPyramidal(_)
            | RowKind::ContactElliptic(_)
    )
}

/// Adds the cotangent, in positions, of weightᵀ·M(q)·acceleration. `still` is filled at rest and without gravity for the acceleration.
pub(crate) fn pull_inertia(
    model: &Model,
    data: &Data,
    still: &Motions,
    weight: &[f64],
    scratch: &mut [Vec<Spatial>; 2],
    qpos: &mut [f64],
) {
    let [sums, inertial] = scratch;
    sums.resize(model.nbody(), [0.0; 6]);
    inertial.resize(model.nbody(), [0.0; 6]);
    sums[0] = [0.0; 6];
    inertial[0] = [0.0; 6];
    for body in 1..model.nbody() {
        let mut sum = sums[model.body_parentid[body]];
        let first = model.body_dofadr[body];
        for j in first..first + model.body_dofnum[body] {
            accumulate_scaled(&mut sum, &data.cdof[j], weight[j]);
        }
        sums[body] = sum;
        inertial[body] = multiply(&data.cinert[body], &sum);
    }
    sum_subtrees(model, inertial);
    let mut before = [0.0; 6];
    for j in 0..model.nv() {
        let body = model.dof_bodyid[j];
        if model.dof_block[j] == j {
            before = sums[model.body_parentid[body]];
            for k in model.body_dofadr[body]..j {
                accumulate_scaled(&mut before, &data.cdof[k], weight[k]);
            }
        }
        let psi = cross_motion(&before, &data.cdof[j]);
        qpos[j] += dot6(&still.force[body], &psi) + dot6(&inertial[body], &still.psi2[j]);
    }
}
