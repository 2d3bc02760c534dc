//! Forward and inverse dynamics (`mj_forward`, `mj_inverse`).

use super::{actuation, bias, inertia, kinematics, passive, tendon, velocity};
use crate::data::finite;
use crate::error::length;
use crate::solve;
use crate::{Data, Model, Result, collide, constraint};

/// Everything that depends on positions: frames, inertia and its factor, contacts, constraint rows.
pub(crate) fn position(model: &Model, data: &mut Data) -> Result<()> {
    kinematics::kinematics(model, data);
    kinematics::center_of_mass(model, data);
    inertia::composite(model, data);
    data.qLD.copy_from_slice(&data.qM);
    inertia::factor(&model.dof_parentid, &mut data.qLD, &mut data.qLDiagInv);
    collide::collide(model, data);
    tendon::tendons(model, data);
    actuation::moments(model, data);
    constraint::make(model, data);
    Ok(())
}

/// Everything that depends on velocities: of bodies, passive forces, bias, references of constraints.
pub(crate) fn velocities(model: &Model, data: &mut Data) {
    velocity::velocity(model, data);
    tendon::velocities(model, data);
    actuation::velocities(model, data);
    passive::passive(model, data);
    super::bias_force(model, data);
    constraint::reference(model, data);
}

/// Accelerations: unconstrained, then constrained.
pub(crate) fn acceleration(model: &Model, data: &mut Data) {
    actuation::actuation(model, data);
    let mut smooth = std::mem::take(&mut data.qfrc_smooth);
    for k in 0..model.nv() {
        smooth[k] =
            data.qfrc_passive[k] - data.qfrc_bias[k] + data.qfrc_applied[k] + data.qfrc_actuator[k];
    }
    passive::applied(model, data, &mut smooth);
    data.qfrc_smooth = smooth;
    data.qacc_smooth.copy_from_slice(&data.qfrc_smooth);
    inertia::solve(&model.dof_parentid, &data.qLD, &data.qLDiagInv, &mut data.qacc_smooth);
    solve::solve(model, data);
    if model.opt.noslip_iterations > 0 {
        solve::remove_slip(model, data);
    }
}

/// Forward dynamics at `data`'s state, without checks.
pub(crate) fn forward(model: &Model, data: &mut Data) -> Result<()> {
    position(model, data)?;
    velocities(model, data);
    acceleration(model, data);
    finite("forward", "qacc", &data.qacc)
}

impl Model {
    /// Forward dynamics (`mj_forward`): from `qpos`, `qvel`, `act`, `ctrl` and applied forces to `qacc` and everything on the way.
    ///
    /// # Errors
    /// [`crate::Error::Length`] and [`crate::Error::NotFinite`] for wrong inputs, or where the acceleration is not finite.
    pub fn forward(&self, data: &mut Data) -> Result<()> {
        data.check(self, "forward")?;
        forward(self, data)
    }

    /// Inverse dynamics (`mj_inverse`): the generalized force `qfrc_inverse` that gives `data.qacc` at the present positions and
    /// velocities, beside passive and constraint forces:
    ///
    /// τ = M·a + c − passive − Jᵀ·f, f = −∇s(J·a − aref) row by row. The model is invertible: no optimization is needed. Forces are those of the
    /// main solver: accelerations that `noslip_iterations` changed have no inverse.
    ///
    /// `qacc` (`nv`, m/s² and rad/s²) is the acceleration.
    ///
    /// # Errors
    /// As of [`Model::forward`].
    pub fn inverse(&self, data: &mut Data, qacc: &[f64]) -> Result<()> {
        data.check(self, "inverse")?;
        length("inverse", "qacc", qacc.len(), self.nv())?;
        finite("inverse", "qacc", qacc)?;
        position(self, data)?;
        velocities(self, data);
        data.qacc.copy_from_slice(qacc);
        constraint_forces(self, data);
        let mut scratch = std::mem::take(&mut data.scratch);
        let mut out = std::mem::take(&mut data.qfrc_inverse);
        bias::rne(self, data, Some(qacc), &mut scratch.body, &mut scratch.force, &mut out);
        for k in 0..self.nv() {
            out[k] +=
                self.dof_armature[k] * qacc[k] - data.qfrc_passive[k] - data.qfrc_constraint[k];
        }
        data.qfrc_inverse = out;
        data.scratch = scratch;
        finite("inverse", "qfrc_inverse", &data.qfrc_inverse)
    }
}

/// `efc.force` and `qfrc_constraint` in closed form at `qacc`.
fn constraint_forces(model: &Model, data: &mut Data) {
    let nv = model.nv();
    let mut jar = std::mem::take(&mut data.efc.jar);
    let mut force = std::mem::take(&mut data.efc.force);
    let mut state = std::mem::take(&mut data.efc.state);
    data.efc.multiply(nv, &data.qacc, &mut jar);
    for (x, aref) in jar.iter_mut().zip(&data.efc.aref) {
        *x -= aref;
    }
    solve::forces(&data.efc, &data.contact, &jar, &mut force, &mut state);
    data.qfrc_constraint.fill(0.0);
    data.efc.add_transpose(nv, &force, &mut data.qfrc_constraint);
    (data.efc.jar, data.efc.force, data.efc.state) = (jar, force, state);
}
