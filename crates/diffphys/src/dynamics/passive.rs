//! Passive forces: springs, dampers, gravity compensation (`mj_passive`).

use crate::model::{JointType, quat_of, three};
use crate::spatial::motion::{dot6, wrench};
use crate::spatial::quaternion::{conjugate, logarithm, product};
use crate::spatial::{scale, sub};
use crate::{Data, Model};

/// How far the spring of a tendon is stretched; 0 where it is slack.
pub(crate) fn stretch(model: &Model, tendon: usize, length: f64) -> f64 {
    let [low, high] = model.tendon_lengthspring[tendon];
    if length > high {
        length - high
    } else if length < low {
        length - low
    } else {
        0.0
    }
}

/// k·x + b·x² + c·x³, and its slope.
pub(crate) fn spring(k: f64, [b, c]: [f64; 2], x: f64) -> (f64, f64) {
    (x * (k + x * (b + x * c)), k + x * (2.0 * b + 3.0 * x * c))
}

/// The force of a tendon's spring and damper.
pub(crate) fn tendon_force(model: &Model, data: &Data, tendon: usize) -> f64 {
    let mut force = 0.0;
    if model.opt.spring {
        let x = stretch(model, tendon, data.ten_length[tendon]);
        force -= spring(model.tendon_stiffness[tendon], model.tendon_stiffnesspoly[tendon], x).0;
    }
    if model.opt.damper {
        force -= model.tendon_damping[tendon] * data.ten_velocity[tendon];
    }
    force
}

/// `qfrc_passive`. Gravity compensation of joints that count it as actuation goes to `qfrc_actuator` instead, see `actuation`.
pub(crate) fn passive(model: &Model, data: &mut Data) {
    let opt = &model.opt;
    data.qfrc_passive.fill(0.0);
    for joint in 0..model.njnt() {
        let k = model.jnt_stiffness[joint];
        let poly = model.jnt_stiffnesspoly[joint];
        if (k == 0.0 && poly == [0.0; 2]) || !opt.spring {
            continue;
        }
        let (q, v) = (model.jnt_qposadr[joint], model.jnt_dofadr[joint]);
        match model.jnt_type[joint] {
            JointType::Free => {
                for i in 0..3 {
                    data.qfrc_passive[v + i] -= k * (data.qpos[q + i] - model.qpos_spring[q + i]);
                }
            }
            JointType::Ball => {}
            JointType::Slide | JointType::Hinge => {
                let x = data.qpos[q] - model.qpos_spring[q];
                data.qfrc_passive[v] -= spring(k, poly, x).0;
            }
        }
        if let Some((q, v)) = model.rotation(joint) {
            let turn = spring_rotation(model, &data.qpos, q);
            for i in 0..3 {
                data.qfrc_passive[v + i] -= k * turn[i];
            }
        }
    }
    if opt.damper {
        for dof in 0..model.nv() {
            data.qfrc_passive[dof] -= model.dof_damping[dof] * data.qvel[dof];
        }
    }
    let nv = model.nv();
    for (tendon, dofs) in model.tendon_dofs.iter().enumerate() {
        let force = tendon_force(model, data, tendon);
        if force != 0.0 {
            for &dof in dofs {
                data.qfrc_passive[dof] += data.ten_J[tendon * nv + dof] * force;
            }
        }
    }
    gravity_compensation(model, data, false);
    super::medium::add_forces(model, data);
}

/// The rotation from the spring's rest to the present, in body axes.
pub(crate) fn spring_rotation(model: &Model, qpos: &[f64], q: usize) -> [f64; 3] {
    logarithm(product(conjugate(quat_of(&model.qpos_spring, q)), quat_of(qpos, q)))
}

/// Adds the compensation of gravity at the centres of mass: to passive forces, or to actuator forces of the joints that ask for it.
pub(crate) fn gravity_compensation(model: &Model, data: &mut Data, as_actuation: bool) {
    let gravity = model.opt.gravity_vector();
    if gravity == [0.0; 3] {
        return;
    }
    for body in 1..model.nbody() {
        let share = model.body_gravcomp[body];
        if share == 0.0 {
            continue;
        }
        let force = scale(gravity, -model.body_mass[body] * share);
        let origin = data.subtree_com[model.body_rootid[body]];
        let w = wrench(sub(data.xipos[body], origin), force, [0.0; 3]);
        let mut dof = model.last_dof(body);
        while dof != super::NO_PARENT {
            if model.jnt_actgravcomp[model.dof_jntid[dof]] == as_actuation {
                let f = dot6(&data.cdof[dof], &w);
                if as_actuation {
                    data.qfrc_actuator[dof] += f;
                } else {
                    data.qfrc_passive[dof] += f;
                }
            }
            dof = model.dof_parentid[dof];
        }
    }
}

/// Applied forces at centres of mass, added to `out`.
pub(crate) fn applied(model: &Model, data: &Data, out: &mut [f64]) {
    for body in 1..model.nbody() {
        let f = data.xfrc_applied[body];
        if f == [0.0; 6] {
            continue;
        }
        let origin = data.subtree_com[model.body_rootid[body]];
        let w = wrench(sub(data.xipos[body], origin), three(&f, 0), three(&f, 3));
        let mut dof = model.last_dof(body);
        while dof != super::NO_PARENT {
            out[dof] += dot6(&data.cdof[dof], &w);
            dof = model.dof_parentid[dof];
        }
    }
}
