//! Positions: frames of bodies, joints, geoms and sites; centres of mass; motion axes (`mj_kinematics`, `mj_comPos`).

use crate::model::JointType;
use crate::spatial::motion::{about, about_axis};
use crate::spatial::{
    IDENTITY, MINVAL, Quat, Vec3, add, add_scaled, column, quaternion, rotate, scale, spatial, sub,
};
use crate::{Data, Model};

/// A frame given in a body's coordinates, in the world's.
fn placed(data: &Data, body: usize, pos: Vec3, quat: Quat) -> (Vec3, crate::spatial::Mat3) {
    let at = add(data.xpos[body], rotate(&data.xmat[body], pos));
    (at, quaternion::matrix(quaternion::product(data.xquat[body], quat)))
}

/// Frames of everything at `qpos`.
pub(crate) fn kinematics(model: &Model, data: &mut Data) {
    bodies(model, data);
    attached(model, data);
}

/// Frames of bodies and joints.
pub(crate) fn bodies(model: &Model, data: &mut Data) {
    for body in 1..model.nbody() {
        let (joints, first) = (model.body_jntnum[body], model.body_jntadr[body]);
        let free = joints == 1 && model.jnt_type[first] == JointType::Free;
        let (mut pos, mut quat);
        let mocap = model.body_mocapid[body];
        if mocap != usize::MAX {
            (pos, quat) = (data.mocap_pos[mocap], data.mocap_quat[mocap]);
        } else if free {
            let q = model.jnt_qposadr[first];
            pos = [data.qpos[q], data.qpos[q + 1], data.qpos[q + 2]];
            quat = crate::model::quat_of(&data.qpos, q + 3);
            data.xanchor[first] = pos;
            data.xaxis[first] = model.jnt_axis[first];
        } else {
            let parent = model.body_parentid[body];
            pos = add(data.xpos[parent], rotate(&data.xmat[parent], model.body_pos[body]));
            quat = quaternion::product(data.xquat[parent], model.body_quat[body]);
            for joint in first..first + joints {
                let axis = quaternion::rotate(quat, model.jnt_axis[joint]);
                let anchor = add(pos, quaternion::rotate(quat, model.jnt_pos[joint]));
                data.xaxis[joint] = axis;
                data.xanchor[joint] = anchor;
                let q = model.jnt_qposadr[joint];
                let turn = match model.jnt_type[joint] {
                    JointType::Slide => {
                        pos = add_scaled(pos, axis, data.qpos[q] - model.qpos0[q]);
                        continue;
                    }
                    JointType::Hinge => {
                        let angle = data.qpos[q] - model.qpos0[q];
                        quaternion::axis_angle(model.jnt_axis[joint], angle)
                    }
                    // A free joint stands alone in its body; the compiler sees to that.
                    JointType::Ball | JointType::Free => crate::model::quat_of(&data.qpos, q),
                };
                quat = quaternion::product(quat, turn);
                // The anchor does not move when the joint turns.
                pos = sub(anchor, quaternion::rotate(quat, model.jnt_pos[joint]));
            }
        }
        let quat = quaternion::normalize(quat);
        data.xpos[body] = pos;
        data.xquat[body] = quat;
        data.xmat[body] = quaternion::matrix(quat);
        (data.xipos[body], data.ximat[body]) =
            placed(data, body, model.body_ipos[body], model.body_iquat[body]);
    }
}

/// Frames of geoms and sites.
fn attached(model: &Model, data: &mut Data) {
    for geom in 0..model.ngeom() {
        let body = model.geom_bodyid[geom];
        (data.geom_xpos[geom], data.geom_xmat[geom]) =
            placed(data, body, model.geom_pos[geom], model.geom_quat[geom]);
    }
    for site in 0..model.site_pos.len() {
        let body = model.site_bodyid[site];
        (data.site_xpos[site], data.site_xmat[site]) =
            placed(data, body, model.site_pos[site], model.site_quat[site]);
    }
}

/// Centres of mass of subtrees, inertias and motion axes about that of the tree.
pub(crate) fn center_of_mass(model: &Model, data: &mut Data) {
    let nbody = model.nbody();
    for body in 0..nbody {
        data.subtree_com[body] = scale(data.xipos[body], model.body_mass[body]);
    }
    for body in (1..nbody).rev() {
        let parent = model.body_parentid[body];
        data.subtree_com[parent] = add(data.subtree_com[parent], data.subtree_com[body]);
    }
    for body in 0..nbody {
        let mass = model.body_subtreemass[body];
        data.subtree_com[body] = if mass < MINVAL {
            data.xipos[body]
        } else {
            scale(data.subtree_com[body], 1.0 / mass)
        };
    }
    for body in 1..nbody {
        let offset = sub(data.xipos[body], data.subtree_com[model.body_rootid[body]]);
        data.cinert[body] =
            about(model.body_inertia[body], &data.ximat[body], offset, model.body_mass[body]);
    }
    for joint in 0..model.njnt() {
        let (body, dof) = (model.jnt_bodyid[joint], model.jnt_dofadr[joint]);
        let to_origin = sub(data.subtree_com[model.body_rootid[body]], data.xanchor[joint]);
        match model.jnt_type[joint] {
            JointType::Slide => data.cdof[dof] = spatial([0.0; 3], data.xaxis[joint]),
            JointType::Hinge => data.cdof[dof] = about_axis(data.xaxis[joint], to_origin),
            JointType::Free => {
                for k in 0..3 {
                    data.cdof[dof + k] = spatial([0.0; 3], column(&IDENTITY, k));
                }
            }
            JointType::Ball => {}
        }
        if let Some((_, dof)) = model.rotation(joint) {
            for k in 0..3 {
                data.cdof[dof + k] = about_axis(column(&data.xmat[body], k), to_origin);
            }
        }
    }
}
