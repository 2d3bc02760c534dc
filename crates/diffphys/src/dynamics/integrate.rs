//! One step of time (`mj_step`): Euler, implicit in velocity-dependent forces, Runge-Kutta.

use super::actuation::{Law, law, next_activation};
use super::forward::forward;
use super::{factor, inertia};
use crate::data::finite;
use crate::gradient::symmetric_slopes;
use crate::model::{Integrator, Transmission};
use crate::spatial::motion::dot6;
use crate::spatial::quaternion::right_jacobian_inverse;
use crate::{Data, Model, Result};

impl Model {
    /// One step of `opt.timestep` seconds: forward dynamics, then integration of `act`, `qvel`, `qpos` and `time`.
    ///
    /// How far the constrained problem was solved within `opt.iterations` is told by [`Data::solve`]: Newton's method ends at rounding, conjugate
    /// gradients may not. A derivative refuses what was not solved.
    ///
    /// # Errors
    /// As of [`Model::forward`]; [`crate::Error::NotFinite`] where the new state is not finite. `data` then holds a state that is of no
    /// use; reset it.
    pub fn step(&self, data: &mut Data) -> Result<()> {
        data.check(self, "step")?;
        forward(self, data)?;
        match self.opt.integrator {
            Integrator::Euler => {
                let mut a = std::mem::take(&mut data.scratch.dof);
                self.euler_acceleration(data, &mut a);
                advance(self, data, &a);
                data.scratch.dof = a;
            }
            Integrator::ImplicitFast => {
                let mut a = std::mem::take(&mut data.scratch.dof);
                self.implicit_acceleration(data, &mut a);
                advance(self, data, &a);
                data.scratch.dof = a;
            }
            Integrator::RungeKutta4 => runge_kutta(self, data)?,
        }
        data.qacc_warmstart.copy_from_slice(&data.qacc);
        finite("step", "qvel", &data.qvel)?;
        finite("step", "qpos", &data.qpos)
    }

    /// Is Euler implicit in joint damping here?
    pub(crate) fn damps_implicitly(&self) -> bool {
        self.opt.eulerdamp && self.opt.damper && self.dof_damping.iter().any(|&d| d > 0.0)
    }

    /// The acceleration by which Euler steps: (M + h·diag(damping))⁻¹·M·a.
    fn euler_acceleration(&self, data: &mut Data, out: &mut [f64]) {
        if !self.damps_implicitly() {
            out.copy_from_slice(&data.qacc);
            return;
        }
        let (nv, h) = (self.nv(), self.opt.timestep);
        for k in 0..nv {
            out[k] = data.qfrc_smooth[k] + data.qfrc_constraint[k];
        }
        // The factor of M is not needed any more in this step.
        data.qLD.copy_from_slice(&data.qM);
        for k in 0..nv {
            data.qLD[k * nv + k] += h * self.dof_damping[k];
        }
        factor(&self.dof_parentid, &mut data.qLD, &mut data.qLDiagInv);
        inertia::solve(&self.dof_parentid, &data.qLD, &data.qLDiagInv, out);
    }

    /// The acceleration by which implicitfast steps: (M − h·∂(passive + actuator)/∂v)⁻¹·M·a, of lone free bodies with ∂bias/∂v.
    fn implicit_acceleration(&self, data: &mut Data, out: &mut [f64]) {
        let nv = self.nv();
        for k in 0..nv {
            out[k] = data.qfrc_smooth[k] + data.qfrc_constraint[k];
        }
        let mut m = std::mem::take(&mut data.qLD);
        m.copy_from_slice(&data.qM);
        let h = self.opt.timestep;
        self.velocity_slopes(data, |i, j, slope| m[i * nv + j] -= h * slope);
        let mut free = std::mem::take(&mut data.scratch.free);
        free.take(self, data, &mut m);
        factor(&self.dof_parentid, &mut m, &mut data.qLDiagInv);
        inertia::solve(&self.dof_parentid, &m, &data.qLDiagInv, out);
        free.solve(out);
        (data.qLD, data.scratch.free) = (m, free);
    }

    /// Calls `visit(i, j, ∂force_i/∂v_j)`, i ≥ j, for the velocity derivatives of passive and actuator forces that implicitfast uses: those
    /// between a degree of freedom and its ancestors. Those of the medium on lone free bodies are not symmetric and not among them.
    pub(crate) fn velocity_slopes(&self, data: &Data, mut visit: impl FnMut(usize, usize, f64)) {
        if self.opt.damper {
            for k in 0..self.nv() {
                if self.dof_damping[k] != 0.0 {
                    visit(k, k, -self.dof_damping[k]);
                }
            }
            for (tendon, dofs) in self.tendon_dofs.iter().enumerate() {
                let damping = self.tendon_damping[tendon];
                let row = &data.ten_J[tendon * self.nv()..];
                if damping != 0.0 {
                    for &i in dofs {
                        for &j in dofs.iter().filter(|&&j| i >= j && self.is_ancestor(j, i)) {
                            visit(i, j, -damping * row[i] * row[j]);
                        }
                    }
                }
            }
        }
        super::medium::each_element(self, data, |element| {
            if self.is_lone(element.body) {
                return;
            }
            let force = element.by_velocity(self, data);
            let mut j = self.last_dof(element.body);
            while j != super::NO_PARENT {
                let local = element.local(&data.cdof[j]);
                let w = element.world(&symmetric_slopes(&force, &local));
                let mut i = self.last_dof(element.body);
                while i != super::NO_PARENT && i >= j {
                    visit(i, j, dot6(&data.cdof[i], &w));
                    i = self.dof_parentid[i];
                }
                j = self.dof_parentid[j];
            }
        });
        if !self.opt.actuation {
            return;
        }
        for actuator in 0..self.nu() {
            let law = law(self, data, actuator);
            if law.slope[1] == 0.0 || !self.implicit_in(data, actuator, &law) {
                continue;
            }
            let (row, dofs) =
                (&data.actuator_moment[actuator * self.nv()..], &self.actuator_dofs[actuator]);
            for &i in dofs {
                for &j in dofs.iter().filter(|&&j| i >= j && self.is_ancestor(j, i)) {
                    visit(i, j, law.slope[1] * row[i] * row[j]);
                }
            }
        }
    }

    /// Is implicitfast implicit in an actuator's force? MuJoCo asks that it is strictly within its range and, of actuators on joints (not of
    /// those on tendons and at sites), that the joint's total actuator force is strictly within its limits.
    pub(crate) fn implicit_in(&self, data: &Data, actuator: usize, law: &Law) -> bool {
        let joint = self.actuator_trnid[actuator];
        let saturated = || {
            let [low, high] = self.jnt_actfrcrange[joint];
            let force = data.qfrc_actuator[self.jnt_dofadr[joint]];
            self.jnt_actfrclimited[joint] && (force <= low || force >= high)
        };
        let kind = self.actuator_trntype[actuator];
        let on_joint = matches!(kind, Transmission::Joint | Transmission::JointInParent);
        let [low, high] = self.actuator_forcerange[actuator];
        let inside = !self.actuator_forcelimited[actuator] || (law.force > low && law.force < high);
        inside && !(on_joint && saturated())
    }

    /// Is degree of freedom `j` on the way from `i` to the world (or `i` itself)?
    pub(crate) fn is_ancestor(&self, j: usize, i: usize) -> bool {
        let mut k = i;
        while k != super::NO_PARENT && k > j {
            k = self.dof_parentid[k];
        }
        k == j
    }
}

/// Activations, velocities by the acceleration `a`, positions by the new velocities, time.
fn advance(model: &Model, data: &mut Data, a: &[f64]) {
    let h = model.opt.timestep;
    advance_activations(model, data, h);
    for k in 0..model.nv() {
        data.qvel[k] += h * a[k];
    }
    model.move_along(&mut data.qpos, &data.qvel, h);
    data.time += h;
}

fn advance_activations(model: &Model, data: &mut Data, h: f64) {
    for actuator in 0..model.nu() {
        let adr = model.actuator_actadr[actuator];
        if adr < model.na {
            data.act[adr] = next_activation(model, actuator, data.act[adr], data.act_dot[adr], h);
        }
    }
}

/// Nodes of the classical method: where each stage is, and the weights of the sum.
pub(crate) const NODE: [f64; 4] = [0.0, 0.5, 0.5, 1.0];
pub(crate) const WEIGHT: [f64; 4] = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];

/// The classical method of order 4. Rotations are combined in the tangent space of the start, with Jr⁻¹ (Munthe-Kaas, "High order
/// Runge-Kutta methods on manifolds", 1999).
fn runge_kutta(model: &Model, data: &mut Data) -> Result<()> {
    let (nv, h) = (model.nv(), model.opt.timestep);
    let mut stage = std::mem::take(&mut data.scratch.stage);
    let start = data.time;
    stage.qpos.copy_from_slice(&data.qpos);
    stage.qvel.copy_from_slice(&data.qvel);
    stage.act.copy_from_slice(&data.act);
    let mut outcome = Ok(());
    // Of all four solves.
    let mut stats = data.solve;
    for s in 0..4 {
        if s > 0 {
            // The displacement from the start in tangents, from the stage before.
            let step = h * NODE[s];
            data.qpos.copy_from_slice(&stage.qpos);
            model.move_along(&mut data.qpos, &stage.velocity[s - 1], step);
            for k in 0..nv {
                data.qvel[k] = stage.qvel[k] + step * stage.acceleration[s - 1][k];
            }
            for k in 0..model.na {
                data.act[k] = stage.act[k] + step * stage.activation[s - 1][k];
            }
            data.time = start + step;
            if let Err(e) = forward(model, data) {
                outcome = Err(e);
                break;
            }
            stats.iterations += data.solve.iterations;
            stats.gradient = stats.gradient.max(data.solve.gradient);
        }
        stage.velocity[s].copy_from_slice(&data.qvel);
        stage.acceleration[s].copy_from_slice(&data.qacc);
        stage.activation[s].copy_from_slice(&data.act_dot);
        if s > 0 {
            let (before, now) = stage.velocity.split_at_mut(s);
            correct(model, &before[s - 1], h * NODE[s], &mut now[0]);
        }
    }
    if outcome.is_ok() {
        // Weighted sums; stage 0 holds them.
        for list in [&mut stage.velocity, &mut stage.acceleration, &mut stage.activation] {
            for k in 0..list[0].len() {
                list[0][k] = (0..4).map(|s| WEIGHT[s] * list[s][k]).sum();
            }
        }
        data.qpos.copy_from_slice(&stage.qpos);
        model.move_along(&mut data.qpos, &stage.velocity[0], h);
        for k in 0..nv {
            data.qvel[k] = stage.qvel[k] + h * stage.acceleration[0][k];
        }
        data.act.copy_from_slice(&stage.act);
        data.act_dot.copy_from_slice(&stage.activation[0]);
        advance_activations(model, data, h);
        data.time = start + h;
    }
    data.solve = stats;
    data.scratch.stage = stage;
    outcome
}

/// The velocity of a stage as the rate of the tangent that reached it: ω ↦ Jr⁻¹(displacement)·ω for rotations.
pub(crate) fn correct(model: &Model, before: &[f64], step: f64, velocity: &mut [f64]) {
    for joint in 0..model.njnt() {
        if let Some((_, v)) = model.rotation(joint) {
            let turn = [before[v] * step, before[v + 1] * step, before[v + 2] * step];
            let rate =
                right_jacobian_inverse(turn, [velocity[v], velocity[v + 1], velocity[v + 2]]);
            velocity[v..v + 3].copy_from_slice(&rate);
        }
    }
}
