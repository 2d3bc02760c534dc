//! Dynamics in reduced coordinates: kinematics, inertia, velocities, forces, and the steps made of them.

mod actuation;
mod bias;
mod forward;
pub(crate) mod gyroscopic;
mod inertia;
mod integrate;
mod kinematics;
pub(crate) mod medium;
mod passive;
pub(crate) mod tendon;
mod velocity;
pub(crate) mod wrap;

pub(crate) use actuation::{
    Law, clamped_control, free_activation, gears, law, length_slopes, moments, next_activation,
    site_wrench, transmission, unit_length, unit_moment,
};
pub(crate) use bias::NO_PARENT;
pub(crate) use forward::forward;
pub(crate) use inertia::{factor, multiply_inertia, solve, solve_rows};
pub(crate) use integrate::{NODE, WEIGHT, correct};
pub(crate) use passive::{spring, spring_rotation, stretch, tendon_force};

/// Positions, inertia and its factor at the reference configuration of a model whose constants are not known yet.
pub(crate) fn at_reference(model: &crate::Model, data: &mut crate::Data) {
    kinematics::bodies(model, data);
    kinematics::center_of_mass(model, data);
    inertia::composite(model, data);
    data.qLD.copy_from_slice(&data.qM);
    factor(&model.dof_parentid, &mut data.qLD, &mut data.qLDiagInv);
}

/// Frames, axes and tendons at `data.qpos`, for constants.
pub(crate) fn tendons_at(model: &crate::Model, data: &mut crate::Data) {
    kinematics::kinematics(model, data);
    kinematics::center_of_mass(model, data);
    tendon::tendons(model, data);
}

/// Frames of bodies, inertia and its factor, velocities: what unconstrained dynamics needs.
pub(crate) fn at_configuration(model: &crate::Model, data: &mut crate::Data) {
    at_reference(model, data);
    velocity::velocity(model, data);
}

/// `qfrc_bias` at the present positions and velocities.
pub(crate) fn bias_force(model: &crate::Model, data: &mut crate::Data) {
    let mut scratch = std::mem::take(&mut data.scratch);
    let mut out = std::mem::take(&mut data.qfrc_bias);
    bias::rne(model, data, None, &mut scratch.body, &mut scratch.force, &mut out);
    data.qfrc_bias = out;
    data.scratch = scratch;
}
