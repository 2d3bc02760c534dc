//! Velocities of bodies and of motion axes (`mj_comVel`).

use crate::model::JointType;
use crate::spatial::motion::{accumulate_scaled, cross_motion};
use crate::{Data, Model};

/// `cvel` and `cdof_dot` at `qvel`; velocities of tendons and actuators are with their own.
pub(crate) fn velocity(model: &Model, data: &mut Data) {
    for body in 1..model.nbody() {
        let mut v = data.cvel[model.body_parentid[body]];
        let first = model.body_jntadr[body];
        for joint in first..first + model.body_jntnum[body] {
            let mut dof = model.jnt_dofadr[joint];
            let rotations = match model.jnt_type[joint] {
                JointType::Free => {
                    // World axes do not move.
                    for _ in 0..3 {
                        data.cdof_dot[dof] = [0.0; 6];
                        accumulate_scaled(&mut v, &data.cdof[dof], data.qvel[dof]);
                        dof += 1;
                    }
                    3
                }
                JointType::Ball => 3,
                JointType::Slide | JointType::Hinge => 1,
            };
            // The rotations of a ball among themselves cancel: Σ(ω × S_k)·ω_k = 0 for ω = Σ S_k·ω_k.
            for k in dof..dof + rotations {
                data.cdof_dot[k] = cross_motion(&v, &data.cdof[k]);
            }
            for k in dof..dof + rotations {
                accumulate_scaled(&mut v, &data.cdof[k], data.qvel[k]);
            }
        }
        data.cvel[body] = v;
    }
}
