//! Derivatives of passive forces, actuators and applied forces: reverse, and dense.

use super::adjoint::Cotangent;
use super::bend::Bends;
use super::medium;
use super::smooth::{Motions, acts, outside_force, outside_of, uncompensated};
use crate::dynamics::{
    Law, clamped_control, free_activation, law, length_slopes, spring, spring_rotation, stretch,
    tendon_force, transmission,
};
use crate::model::{Dynamics, JointType};
use crate::spatial::motion::{accumulate, cross_force, wrench};
use crate::spatial::quaternion::{right_jacobian_inverse, right_jacobian_inverse_transpose};
use crate::spatial::{Spatial, angular, cross, sub};
use crate::{Data, Model};

/// Adds the cotangents for the cotangent `lambda` of generalized forces; `bodies` is Σ S·λ of each body.
pub(crate) fn pull(
    model: &Model,
    data: &Data,
    (lambda, bodies): (&[f64], &[Spatial]),
    bends: &Bends,
    [on_lambda, on_velocity, on_motion]: [&mut [Spatial]; 3],
    out: &mut Cotangent,
) {
    let opt = &model.opt;
    medium::pull(model, data, bodies, [on_lambda, on_velocity, on_motion]);
    if opt.spring {
        springs(
            model,
            data,
            |q, v| {
                let back =
                    right_jacobian_inverse_transpose(q, [lambda[v], lambda[v + 1], lambda[v + 2]]);
                (v, back)
            },
            lambda,
            out,
        );
    }
    for dof in 0..model.nv() {
        if opt.damper {
            out.qvel[dof] -= model.dof_damping[dof] * lambda[dof];
        }
    }
    let nv = model.nv();
    for (tendon, dofs) in model.tendon_dofs.iter().enumerate() {
        let row = &data.ten_J[tendon * nv..(tendon + 1) * nv];
        let along: f64 = dofs.iter().map(|&dof| row[dof] * lambda[dof]).sum();
        let (stiff, damp) = tendon_slopes(model, data, tendon);
        for &dof in dofs {
            out.qpos[dof] -= stiff * along * row[dof];
            out.qvel[dof] -= damp * along * row[dof];
        }
        let force = tendon_force(model, data, tendon);
        bends.pull_tendon(model, tendon, force, |i| lambda[i], &mut out.qpos);
        bends.pull_tendon(model, tendon, -damp * along, |i| data.qvel[i], &mut out.qpos);
    }
    for body in 1..model.nbody() {
        let (force, torque) = outside_of(model, data, body);
        if acts(force, torque) {
            let offset = sub(data.xipos[body], data.subtree_com[model.body_rootid[body]]);
            let w = wrench(offset, force, torque);
            accumulate(&mut on_lambda[body], &w);
            // The point moves with the body: force × rotation of λ is the cotangent of its motion.
            let point = cross(force, angular(&bodies[body]));
            accumulate(&mut on_motion[body], &wrench(offset, point, [0.0; 3]));
            accumulate(&mut on_motion[body], &cross_force(&bodies[body], &w));
        }
        uncompensated(model, data, body, |i, j, slope| out.qpos[j] -= lambda[i] * slope);
    }
    if opt.actuation {
        for actuator in 0..model.nu() {
            let mut along = 0.0;
            let free = |dof: usize| if clamped(model, data, dof) { 0.0 } else { lambda[dof] };
            transmission(model, data, actuator, |dof, moment| along += moment * free(dof));
            let law = law(model, data, actuator);
            bends.pull_actuator(model, actuator, law.force, free, &mut out.qpos);
            if law.free && along != 0.0 {
                pull_actuator(model, data, bends, (actuator, &law), along, out);
            }
        }
    }
}

/// Is the joint's total actuator force outside its limits? At a limit the derivative is the one from inside.
pub(crate) fn clamped(model: &Model, data: &Data, dof: usize) -> bool {
    data.scratch.clamped[model.dof_jntid[dof]]
}

/// Is gravity not compensated along this degree of freedom: does the compensation count as actuation, and is that off or clamped?
pub(crate) fn idle(model: &Model, data: &Data, dof: usize) -> bool {
    let off = !model.opt.actuation || model.nu() == 0;
    model.jnt_actgravcomp[model.dof_jntid[dof]] && (off || clamped(model, data, dof))
}

/// Stiffness (0 where the spring is slack) and damping of a tendon.
fn tendon_slopes(model: &Model, data: &Data, tendon: usize) -> (f64, f64) {
    let slack = stretch(model, tendon, data.ten_length[tendon]) == 0.0
        && model.tendon_lengthspring[tendon][0] < model.tendon_lengthspring[tendon][1];
    let stiff = if model.opt.spring && !slack {
        let x = stretch(model, tendon, data.ten_length[tendon]);
        spring(model.tendon_stiffness[tendon], model.tendon_stiffnesspoly[tendon], x).1
    } else {
        0.0
    };
    (stiff, if model.opt.damper { model.tendon_damping[tendon] } else { 0.0 })
}

/// The slope of a joint's spring.
fn joint_stiffness(model: &Model, data: &Data, joint: usize) -> f64 {
    let poly = model.jnt_stiffnesspoly[joint];
    if poly == [0.0; 2] {
        return model.jnt_stiffness[joint];
    }
    let q = model.jnt_qposadr[joint];
    spring(model.jnt_stiffness[joint], poly, data.qpos[q] - model.qpos_spring[q]).1
}

fn springs(
    model: &Model,
    data: &Data,
    rotate: impl Fn([f64; 3], usize) -> (usize, [f64; 3]),
    lambda: &[f64],
    out: &mut Cotangent,
) {
    for joint in 0..model.njnt() {
        let k = joint_stiffness(model, data, joint);
        if k == 0.0 {
            continue;
        }
        let v = model.jnt_dofadr[joint];
        let plain = match model.jnt_type[joint] {
            JointType::Free => 3,
            JointType::Ball => 0,
            JointType::Slide | JointType::Hinge => 1,
        };
        for dof in v..v + plain {
            out.qpos[dof] -= k * lambda[dof];
        }
        if let Some((q, v)) = model.rotation(joint) {
            let (at, back) = rotate(spring_rotation(model, &data.qpos, q), v);
            for i in 0..3 {
                out.qpos[at + i] -= k * back[i];
            }
        }
    }
}

/// How an actuator's input depends on its control and activation: ∂input/∂ctrl, ∂input/∂act.
pub(crate) fn input_slopes(model: &Model, data: &Data, actuator: usize) -> (f64, f64) {
    let free = f64::from(u8::from(clamped_control(model, actuator, data.ctrl[actuator]).1));
    if model.actuator_dyntype[actuator] == Dynamics::None {
        return (free, 0.0);
    }
    if !model.actuator_actearly[actuator] {
        return (0.0, 1.0);
    }
    let (by_ctrl, by_act) = activation_slopes(model, data, actuator, model.opt.timestep);
    (by_ctrl, by_act)
}

/// The derivatives of the activation after `h` seconds in control and activation.
pub(crate) fn activation_slopes(model: &Model, data: &Data, actuator: usize, h: f64) -> (f64, f64) {
    let adr = model.actuator_actadr[actuator];
    let free = f64::from(u8::from(clamped_control(model, actuator, data.ctrl[actuator]).1));
    let tau = model.actuator_dynprm[actuator][0].max(crate::spatial::MINVAL);
    let (by_ctrl, by_act) = match model.actuator_dyntype[actuator] {
        // Activations stay as they are.
        _ if !model.opt.actuation => (0.0, 1.0),
        Dynamics::None => (0.0, 1.0),
        Dynamics::Integrator => (h, 1.0),
        Dynamics::Filter => (h / tau, 1.0 - h / tau),
        Dynamics::FilterExact => {
            let left = (-h / tau).exp();
            (1.0 - left, left)
        }
    };
    if model.actuator_actlimited[actuator] {
        let [low, high] = model.actuator_actrange[actuator];
        let rate = data.act_dot[adr];
        let next = free_activation(model, actuator, data.act[adr], rate, h);
        if next < low || next > high {
            return (0.0, 0.0);
        }
    }
    (by_ctrl * free, by_act)
}

fn pull_actuator(
    model: &Model,
    data: &Data,
    bends: &Bends,
    (actuator, law): (usize, &Law),
    along: f64,
    out: &mut Cotangent,
) {
    let (by_ctrl, by_act) = input_slopes(model, data, actuator);
    out.ctrl[actuator] += along * law.gain * by_ctrl;
    let adr = model.actuator_actadr[actuator];
    if adr < model.na {
        out.act[adr] += along * law.gain * by_act;
    }
    if law.slope[0] != 0.0 {
        length_slopes(model, data, actuator, |dof, slope| {
            out.qpos[dof] += along * law.slope[0] * slope;
        });
    }
    if law.slope[1] != 0.0 {
        transmission(model, data, actuator, |dof, moment| {
            out.qvel[dof] += along * law.slope[1] * moment;
        });
        let by = along * law.slope[1];
        bends.pull_actuator(model, actuator, by, |i| data.qvel[i], &mut out.qpos);
    }
}

/// Adds ∂force/∂q, ∂force/∂v, ∂force/∂act, ∂force/∂ctrl (row-major) and the wrenches of forces that keep their direction.
pub(crate) fn add_derivatives(
    model: &Model,
    data: &Data,
    (motions, bends): (&Motions, &Bends),
    outside: &mut [Spatial],
    (dq, dv, da, du): (&mut [f64], &mut [f64], &mut [f64], &mut [f64]),
) {
    let (nv, na, nu) = (model.nv(), model.na, model.nu());
    let opt = &model.opt;
    medium::add_derivatives(model, data, motions, dq, dv);
    for joint in 0..model.njnt() {
        let k = joint_stiffness(model, data, joint);
        if k == 0.0 || !opt.spring {
            continue;
        }
        let v = model.jnt_dofadr[joint];
        let plain = match model.jnt_type[joint] {
            JointType::Free => 3,
            JointType::Ball => 0,
            JointType::Slide | JointType::Hinge => 1,
        };
        for dof in v..v + plain {
            dq[dof * nv + dof] -= k;
        }
        if let Some((q, v)) = model.rotation(joint) {
            let w = spring_rotation(model, &data.qpos, q);
            for c in 0..3 {
                let mut e = [0.0; 3];
                e[c] = 1.0;
                let column = right_jacobian_inverse(w, e);
                for r in 0..3 {
                    dq[(v + r) * nv + v + c] -= k * column[r];
                }
            }
        }
    }
    if opt.damper {
        for dof in 0..nv {
            dv[dof * nv + dof] -= model.dof_damping[dof];
        }
    }
    for (tendon, dofs) in model.tendon_dofs.iter().enumerate() {
        let row = &data.ten_J[tendon * nv..(tendon + 1) * nv];
        let (stiff, damp) = tendon_slopes(model, data, tendon);
        for &i in dofs {
            for &j in dofs {
                dq[i * nv + j] -= stiff * row[i] * row[j];
                dv[i * nv + j] -= damp * row[i] * row[j];
            }
        }
        let force = tendon_force(model, data, tendon);
        bends.each_of_tendon(model, tendon, |i, j, c| {
            dq[i * nv + j] += force * c;
            let by = damp * data.qvel[i] * c;
            for &k in dofs {
                dq[k * nv + j] -= row[k] * by;
            }
        });
    }
    for body in 1..model.nbody() {
        let (force, torque) = outside_of(model, data, body);
        if acts(force, torque) {
            outside_force(model, data, body, (force, torque), outside, dq);
        }
        uncompensated(model, data, body, |i, j, slope| dq[i * nv + j] -= slope);
    }
    if !opt.actuation {
        return;
    }
    for actuator in 0..nu {
        let law = law(model, data, actuator);
        let row = &data.actuator_moment[actuator * nv..(actuator + 1) * nv];
        bends.each_of_actuator(model, actuator, |i, j, c| {
            if clamped(model, data, i) {
                return;
            }
            dq[i * nv + j] += law.force * c;
        });
        if !law.free {
            continue;
        }
        bends.each_of_actuator(model, actuator, |i, j, c| {
            let by = law.slope[1] * data.qvel[i] * c;
            for &k in &model.actuator_dofs[actuator] {
                if by != 0.0 && !clamped(model, data, k) {
                    dq[k * nv + j] += row[k] * by;
                }
            }
        });
        let (by_ctrl, by_act) = input_slopes(model, data, actuator);
        let adr = model.actuator_actadr[actuator];
        for &i in &model.actuator_dofs[actuator] {
            if clamped(model, data, i) {
                continue;
            }
            let mi = row[i];
            du[i * nu + actuator] += mi * law.gain * by_ctrl;
            if adr < na {
                da[i * na + adr] += mi * law.gain * by_act;
            }
            if law.slope[0] != 0.0 {
                length_slopes(model, data, actuator, |j, slope| {
                    dq[i * nv + j] += mi * law.slope[0] * slope;
                });
            }
            for &j in &model.actuator_dofs[actuator] {
                dv[i * nv + j] += mi * law.slope[1] * row[j];
            }
        }
    }
}
