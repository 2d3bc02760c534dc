//! Dynamics in reduced coordinates: kinematics, inertia, velocities, forces, and the steps made of them.

mod actuation;
mod bias;
mod forward;
mod inertia;
mod integrate;
mod kinematics;
mod passive;
mod velocity;

pub(crate) use actuation::{Law, clamped_control, law, next_activation, transmission};
pub(crate) use forward::forward;
pub(crate) use passive::{spring_rotation, stretch};
pub(crate) use bias::NO_PARENT;
pub(crate) use inertia::{factor, multiply_inertia, solve};

/// Positions, inertia and its factor at the reference configuration of a model whose constants are not known yet.
pub(crate) fn at_reference(model: &crate::Model, data: &mut crate::Data) {
    kinematics::kinematics(model, data);
    kinematics::center_of_mass(model, data);
    inertia::composite(model, data);
    data.qLD.copy_from_slice(&data.qM);
    factor(&model.dof_parentid, &mut data.qLD, &mut data.qLDiagInv);
}
