//! Cotangents of physical parameters, from what the reverse sweep of a step left behind: λ, the forces' cotangents y, those of jar z, and
//! those of each contact's geometry.

use super::adjoint::Adjoint;
use super::contact::rows_of;
use super::forces::{clamped, idle};
use super::jacobian::slope_form;
use super::medium;
use super::softness::{geom_friction, geom_solimp, geom_solref, other_rows, pair, ranges};
use crate::collide::geometry::Motion;
use crate::constraint::RowKind;
use crate::dynamics::gyroscopic;
use crate::dynamics::{
    Law, NO_PARENT, gears, law, spring_rotation, stretch, transmission, unit_length, unit_moment,
};
use crate::model::{Bias, Gain, Integrator, JointType, Parameter, three};
use crate::spatial::motion::{accumulate_scaled, at_point, cross_motion};
use crate::spatial::{Spatial, Vec3, angular, column, cross, dot, norm, scale, sub};
use crate::{Data, Model, RowState};
use std::f64::consts::TAU;

/// What a pull left behind.
pub(crate) struct Pulled<'a> {
    pub(crate) model: &'a Model,
    pub(crate) data: &'a Data,
    pub(crate) adjoint: &'a Adjoint,
    /// Σ S·a of bodies, and their accelerations with Coriolis terms and gravity.
    pub(crate) pure: &'a [Spatial],
    pub(crate) accelerations: &'a [Spatial],
    pub(crate) contacts: &'a [Option<Motion>],
    /// Of an implicit integrator: w, Σ S·w of bodies, a − â and Σ S·(a − â), â.
    pub(crate) implicit: Option<Implicit<'a>>,
    /// Where Euler would be implicit in damping if there were any: M⁻¹·h·v̄.
    pub(crate) undamped: Option<Vec<f64>>,
}

/// See [`Pulled`].
pub(crate) struct Implicit<'a> {
    pub(crate) weight: &'a [f64],
    pub(crate) weight_bodies: &'a [Spatial],
    pub(crate) change: &'a [f64],
    pub(crate) change_bodies: &'a [Spatial],
    pub(crate) acceleration: &'a [f64],
}

impl Pulled<'_> {
    /// Adds the cotangent of a parameter to `out`, which has the parameter's length.
    pub(crate) fn add(&self, parameter: Parameter, out: &mut [f64]) {
        let slopes = self.model.opt.integrator == Integrator::ImplicitFast;
        let form = self.implicit.as_ref().filter(|_| slopes);
        let form = form.map(|i| (i.weight, i.acceleration, self.model.opt.timestep));
        let bodies = &self.adjoint.bodies;
        medium::pull_parameter(self.model, self.data, bodies, form, parameter, out);
        match parameter {
            Parameter::Gravity => self.gravity(out),
            Parameter::BodyMass | Parameter::BodyInertia | Parameter::BodyIpos => {
                self.bodies(parameter, out);
            }
            Parameter::DofDamping => self.damping(out),
            Parameter::DofArmature => self.armature(out),
            Parameter::DofFrictionloss => self.frictionloss(parameter, out),
            Parameter::JntStiffness => self.stiffness(out),
            Parameter::ActuatorGear | Parameter::ActuatorGainprm | Parameter::ActuatorBiasprm => {
                self.actuators(parameter, out)
            }
            Parameter::GeomSize => self.sizes(out),
            Parameter::GeomFriction => self.each_contact(|id| geom_friction(self, id, out)),
            Parameter::GeomSolref => self.each_contact(|id| geom_solref(self, id, out)),
            Parameter::GeomSolimp => self.each_contact(|id| geom_solimp(self, id, out)),
            Parameter::PairFriction
            | Parameter::PairSolref
            | Parameter::PairSolreffriction
            | Parameter::PairSolimp => self.each_contact(|id| pair(self, id, parameter, out)),
            Parameter::JntRange | Parameter::TendonRange => {
                ranges(self, parameter == Parameter::TendonRange, out);
            }
            Parameter::TendonStiffness | Parameter::TendonDamping => self.tendons(parameter, out),
            Parameter::TendonFrictionloss => self.frictionloss(parameter, out),
            _ => self.softness(parameter, out),
        }
    }

    fn gravity(&self, out: &mut [f64]) {
        if !self.model.opt.gravity_on {
            return;
        }
        for body in 1..self.model.nbody() {
            // Weight m·g at the centre of mass, less its compensation, through the motion of λ.
            let (offset, mass) = (self.offset(body), self.model.body_mass[body]);
            let velocity = at_point(&self.adjoint.bodies[body], offset);
            let held = at_point(&self.compensated(body), offset);
            let share = self.model.body_gravcomp[body];
            for k in 0..3 {
                out[k] += mass * (velocity[k] - share * held[k]);
            }
        }
    }

    /// Σ S·λ of a body over the degrees of freedom along which gravity is compensated.
    fn compensated(&self, body: usize) -> Spatial {
        let mut sum = self.adjoint.bodies[body];
        if self.model.body_gravcomp[body] == 0.0 {
            return sum;
        }
        let mut dof = self.model.last_dof(body);
        while dof != NO_PARENT {
            if idle(self.model, self.data, dof) {
                accumulate_scaled(&mut sum, &self.data.cdof[dof], -self.adjoint.lambda[dof]);
            }
            dof = self.model.dof_parentid[dof];
        }
        sum
    }

    /// The centre of mass from the tree's origin.
    fn offset(&self, body: usize) -> Vec3 {
        sub(self.data.xipos[body], self.data.subtree_com[self.model.body_rootid[body]])
    }

    /// Pairs of body motions whose bilinear form with the inertia is −λᵀ·ID + wᵀ·M·(a − â), with signs:
    /// −Λ·I·A + (v × Λ)·I·v + W·I·X, and −h·wᵀ·C·â of lone free bodies.
    fn forms(&self, body: usize) -> [(f64, Spatial, Spatial); 5] {
        let (lambda, v) = (self.adjoint.bodies[body], self.data.cvel[body]);
        let implicit = match &self.implicit {
            Some(i) => (1.0, i.weight_bodies[body], i.change_bodies[body]),
            None => (0.0, [0.0; 6], [0.0; 6]),
        };
        let first = [(-1.0, lambda, self.accelerations[body]), (1.0, cross_motion(&v, &lambda), v)];
        let [a, b] = self.gyroscopic(body);
        [first[0], first[1], implicit, a, b]
    }

    /// −h·wᵀ·C(ω)·α = h·((ω × W)·I·α + (α × W)·I·ω) where implicitfast has C, else 0.
    fn gyroscopic(&self, body: usize) -> [(f64, Spatial, Spatial); 2] {
        let (model, root) = (self.model, self.model.body_rootid[body]);
        let first = model.body_dofadr[root];
        match &self.implicit {
            Some(i) if model.opt.integrator == Integrator::ImplicitFast && model.is_lone(body) => {
                let omega = gyroscopic::rotation(self.data, first, &self.data.qvel);
                let alpha = gyroscopic::rotation(self.data, first, i.acceleration);
                let (h, w) = (model.opt.timestep, &i.weight_bodies[body]);
                [(h, cross_motion(&omega, w), alpha), (h, cross_motion(&alpha, w), omega)]
            }
            _ => [(0.0, [0.0; 6], [0.0; 6]); 2],
        }
    }

    fn bodies(&self, parameter: Parameter, out: &mut [f64]) {
        let (model, data) = (self.model, self.data);
        let gravity = model.opt.gravity_vector();
        for body in 1..model.nbody() {
            let c = self.offset(body);
            let lambda = &self.adjoint.bodies[body];
            for (sign, x, y) in self.forms(body) {
                match parameter {
                    Parameter::BodyMass => {
                        out[body] += sign * dot(at_point(&x, c), at_point(&y, c))
                    }
                    Parameter::BodyInertia => {
                        for k in 0..3 {
                            let axis = column(&data.ximat[body], k);
                            out[3 * body + k] +=
                                sign * dot(axis, angular(&x)) * dot(axis, angular(&y));
                        }
                    }
                    _ => {
                        for k in 0..3 {
                            let e = column(&data.xmat[body], k);
                            let first = dot(cross(angular(&x), e), at_point(&y, c));
                            let second = dot(at_point(&x, c), cross(angular(&y), e));
                            out[3 * body + k] += sign * model.body_mass[body] * (first + second);
                        }
                    }
                }
            }
            // Forces at the centre of mass: compensation of gravity, and applied ones.
            let share = model.body_gravcomp[body];
            let held = self.compensated(body);
            match parameter {
                Parameter::BodyMass => out[body] -= share * dot(gravity, at_point(&held, c)),
                Parameter::BodyIpos => {
                    let applied = three(&data.xfrc_applied[body], 0);
                    let compensation = scale(gravity, -share * model.body_mass[body]);
                    for k in 0..3 {
                        let e = column(&data.xmat[body], k);
                        out[3 * body + k] += dot(applied, cross(angular(lambda), e))
                            + dot(compensation, cross(angular(&held), e));
                    }
                }
                _ => {}
            }
        }
    }

    fn damping(&self, out: &mut [f64]) {
        let model = self.model;
        if !model.opt.damper {
            return;
        }
        for k in 0..model.nv() {
            out[k] -= self.adjoint.lambda[k] * self.data.qvel[k];
            if let Some(i) = &self.implicit {
                out[k] -= model.opt.timestep * i.weight[k] * i.acceleration[k];
            }
            if let Some(weight) = &self.undamped {
                out[k] -= model.opt.timestep * weight[k] * self.data.qacc[k];
            }
        }
    }

    fn armature(&self, out: &mut [f64]) {
        for k in 0..self.model.nv() {
            out[k] -= self.adjoint.lambda[k] * self.data.qacc[k];
            if let Some(i) = &self.implicit {
                out[k] += i.weight[k] * i.change[k];
            }
        }
    }

    fn frictionloss(&self, parameter: Parameter, out: &mut [f64]) {
        let efc = &self.data.efc;
        for row in 0..efc.nefc() {
            let object = match efc.kind[row] {
                RowKind::FrictionDof(dof) if parameter == Parameter::DofFrictionloss => dof,
                RowKind::FrictionTendon(t) if parameter == Parameter::TendonFrictionloss => t,
                _ => continue,
            };
            match efc.state[row] {
                RowState::LinearNegative => out[object] += self.adjoint.y[row],
                RowState::LinearPositive => out[object] -= self.adjoint.y[row],
                _ => {}
            }
        }
    }

    /// `solref` and `solimp` of limits, dry friction and equalities.
    fn softness(&self, parameter: Parameter, out: &mut [f64]) {
        let impedance = matches!(
            parameter,
            Parameter::JntSolimp
                | Parameter::DofSolimp
                | Parameter::TendonSolimpLim
                | Parameter::TendonSolimpFri
                | Parameter::EqSolimp
        );
        let of = |kind: RowKind| match (parameter, kind) {
            (Parameter::JntSolref | Parameter::JntSolimp, RowKind::LimitJoint(k))
            | (Parameter::DofSolref | Parameter::DofSolimp, RowKind::FrictionDof(k))
            | (Parameter::TendonSolrefLim | Parameter::TendonSolimpLim, RowKind::LimitTendon(k))
            | (
                Parameter::TendonSolrefFri | Parameter::TendonSolimpFri,
                RowKind::FrictionTendon(k),
            )
            | (Parameter::EqSolref | Parameter::EqSolimp, RowKind::Equality(k)) => Some(k),
            _ => None,
        };
        other_rows(self, impedance, of, out);
    }

    /// Linear stiffness and damping of tendons.
    fn tendons(&self, parameter: Parameter, out: &mut [f64]) {
        let (model, data, lambda) = (self.model, self.data, &self.adjoint.lambda);
        for (tendon, dofs) in model.tendon_dofs.iter().enumerate() {
            let row = |i: usize| data.ten_J[tendon * model.nv() + i];
            let along: f64 = dofs.iter().map(|&i| row(i) * lambda[i]).sum();
            if parameter == Parameter::TendonStiffness {
                if model.opt.spring {
                    out[tendon] -= along * stretch(model, tendon, data.ten_length[tendon]);
                }
            } else if model.opt.damper {
                out[tendon] -= along * data.ten_velocity[tendon];
                if let Some(i) = &self.implicit
                    && model.opt.integrator == Integrator::ImplicitFast
                {
                    let ends = (i.weight, i.acceleration);
                    let form = slope_form(model, dofs, (row, row), ends);
                    out[tendon] -= model.opt.timestep * form;
                }
            }
        }
    }

    fn stiffness(&self, out: &mut [f64]) {
        let (model, data, lambda) = (self.model, self.data, &self.adjoint.lambda);
        if !model.opt.spring {
            return;
        }
        for joint in 0..model.njnt() {
            let (q, v) = (model.jnt_qposadr[joint], model.jnt_dofadr[joint]);
            let plain = match model.jnt_type[joint] {
                JointType::Free => 3,
                JointType::Ball => 0,
                JointType::Slide | JointType::Hinge => 1,
            };
            for k in 0..plain {
                out[joint] -= lambda[v + k] * (data.qpos[q + k] - model.qpos_spring[q + k]);
            }
            if let Some((q, v)) = model.rotation(joint) {
                let turn = spring_rotation(model, &data.qpos, q);
                out[joint] -= (0..3).map(|k| lambda[v + k] * turn[k]).sum::<f64>();
            }
        }
    }

    fn actuators(&self, parameter: Parameter, out: &mut [f64]) {
        let (model, data, lambda) = (self.model, self.data, &self.adjoint.lambda);
        if !model.opt.actuation {
            return;
        }
        for actuator in 0..model.nu() {
            let law = law(model, data, actuator);
            let mut along = 0.0;
            transmission(model, data, actuator, |dof, moment| {
                if !clamped(model, data, dof) {
                    along += moment * lambda[dof];
                }
            });
            if !law.free && parameter != Parameter::ActuatorGear {
                continue;
            }
            // Of implicitfast's matrix: the cotangent of the slope ∂force/∂velocity.
            let row = |i: usize| data.actuator_moment[actuator * model.nv() + i];
            let form = self.slope_form(actuator, &law, (row, row));
            let at = [1.0, data.actuator_length[actuator], data.actuator_velocity[actuator]];
            let slots = &mut out[..];
            match parameter {
                Parameter::ActuatorGainprm => {
                    let count =
                        if model.actuator_gaintype[actuator] == Gain::Affine { 3 } else { 1 };
                    for k in 0..count {
                        slots[3 * actuator + k] += along * law.input * at[k];
                    }
                    if count == 3 {
                        slots[3 * actuator + 2] += form * law.input;
                    }
                }
                Parameter::ActuatorBiasprm => {
                    if model.actuator_biastype[actuator] == Bias::Affine {
                        for k in 0..3 {
                            slots[3 * actuator + k] += along * at[k];
                        }
                        slots[3 * actuator + 2] += form;
                    }
                }
                _ => {
                    let out = &mut slots[6 * actuator..6 * actuator + 6];
                    self.gear(actuator, along, &law, out);
                }
            }
        }
    }

    fn implicit_in(&self, actuator: usize, law: &Law) -> bool {
        self.model.opt.integrator == Integrator::ImplicitFast
            && self.model.implicit_in(self.data, actuator, law)
    }

    /// h·wᵀ·(m·nᵀ)·â of an integrator that is implicit in the actuator's force; else 0.
    fn slope_form(
        &self,
        actuator: usize,
        law: &Law,
        moments: (impl Fn(usize) -> f64, impl Fn(usize) -> f64),
    ) -> f64 {
        match &self.implicit {
            Some(i) if self.implicit_in(actuator, law) => {
                let dofs = self.model.actuator_dofs[actuator].as_slice();
                let ends = (i.weight, i.acceleration);
                self.model.opt.timestep * slope_form(self.model, dofs, moments, ends)
            }
            _ => 0.0,
        }
    }

    /// Length, velocity and moments are linear in gear; a turn of a ball's servo is 2π·‖gear‖.
    fn gear(&self, actuator: usize, along: f64, law: &Law, out: &mut [f64]) {
        let (model, data, lambda) = (self.model, self.data, &self.adjoint.lambda);
        let slope = if law.free { law.slope } else { [0.0; 2] };
        let gear = three(&model.actuator_gear[actuator], 0);
        let row = |i: usize| data.actuator_moment[actuator * model.nv() + i];
        for k in 0..gears(model, actuator) {
            let unit = |dof: usize| unit_moment(model, data, actuator, k, dof);
            for &dof in &model.actuator_dofs[actuator] {
                if !clamped(model, data, dof) {
                    out[k] += law.force * unit(dof) * lambda[dof];
                }
                out[k] += along * slope[1] * unit(dof) * data.qvel[dof];
            }
            if slope[0] != 0.0 {
                out[k] += along * slope[0] * unit_length(model, data, actuator, k);
            }
            if law.free && law.turns != 0.0 {
                out[k] -= along * law.gain * law.turns * TAU * gear[k] / norm(gear);
            }
            if slope[1] != 0.0 {
                out[k] += slope[1] * self.slope_form(actuator, law, (unit, row));
                out[k] += slope[1] * self.slope_form(actuator, law, (row, unit));
            }
        }
    }

    fn sizes(&self, out: &mut [f64]) {
        self.each_contact(|id| {
            if let Some(motion) = &self.contacts[id] {
                let cotangent = &self.adjoint.contacts[id];
                for side in 0..2 {
                    let geom = self.data.contact[id].geom[side];
                    for k in 0..3 {
                        let column = &motion.by_size[side][k];
                        out[3 * geom + k] +=
                            column.iter().zip(cotangent).map(|(c, y)| c * y).sum::<f64>();
                    }
                }
            }
        });
    }

    fn each_contact(&self, mut visit: impl FnMut(usize)) {
        for id in 0..self.data.contact.len() {
            if !rows_of(self.model, &self.data.contact[id]).is_empty() {
                visit(id);
            }
        }
    }
}
