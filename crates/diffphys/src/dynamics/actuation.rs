//! Actuators: transmissions, activations, forces (`mj_transmission`, `mj_fwdActuation`).

use super::passive::gravity_compensation;
use crate::model::{Bias, Dynamics, Gain, JointType, Transmission, quat_of, three};
use crate::spatial::motion::at_point;
use crate::spatial::quaternion::{self, logarithm, right_jacobian_inverse_transpose};
use crate::spatial::{MINVAL, Vec3, angular, column, dot, norm, rotate, sub};
use crate::{Data, Model};

/// Calls `visit(dof, moment)` for every degree of freedom that an actuator acts on.
pub(crate) fn transmission(
    model: &Model,
    data: &Data,
    actuator: usize,
    mut visit: impl FnMut(usize, f64),
) {
    let row = &data.actuator_moment[actuator * model.nv()..];
    for &dof in &model.actuator_dofs[actuator] {
        visit(dof, row[dof]);
    }
}

/// The moment on `dof` if gear were 1 at `k` and else 0: moments are Σ gear_k·(this).
pub(crate) fn unit_moment(
    model: &Model,
    data: &Data,
    actuator: usize,
    k: usize,
    dof: usize,
) -> f64 {
    let id = model.actuator_trnid[actuator];
    let kind = model.actuator_trntype[actuator];
    match kind {
        Transmission::Tendon if k == 0 => data.ten_J[id * model.nv() + dof],
        Transmission::Tendon => 0.0,
        Transmission::Site => {
            let body = model.site_bodyid[id];
            let axis = column(&data.site_xmat[id], k % 3);
            let s = &data.cdof[dof];
            if k < 3 {
                let origin = data.subtree_com[model.body_rootid[body]];
                dot(axis, at_point(s, sub(data.site_xpos[id], origin)))
            } else {
                dot(axis, angular(s))
            }
        }
        Transmission::Joint | Transmission::JointInParent => {
            let at = dof - model.jnt_dofadr[id];
            let turns = match model.jnt_type[id] {
                JointType::Ball => 0,
                JointType::Free => 3,
                JointType::Slide | JointType::Hinge => {
                    return if k == 0 { 1.0 } else { 0.0 };
                }
            };
            let rotational = at >= turns && (turns..turns + 3).contains(&k);
            match (kind, rotational, model.rotation(id)) {
                (Transmission::JointInParent, true, Some((q, _))) => {
                    // Row k of the rotation: the parent's axis in the body's frame.
                    let turn = quaternion::matrix(quat_of(&data.qpos, q));
                    turn[3 * (k - turns) + at - turns]
                }
                _ => f64::from(u8::from(k == at)),
            }
        }
    }
}

/// How many numbers of gear an actuator uses.
pub(crate) fn gears(model: &Model, actuator: usize) -> usize {
    let id = model.actuator_trnid[actuator];
    match model.actuator_trntype[actuator] {
        Transmission::Tendon => 1,
        Transmission::Site => 6,
        Transmission::Joint | Transmission::JointInParent => model.jnt_type[id].velocities(),
    }
}

/// The length if gear were 1 at `k` and else 0. Free joints and sites have no length.
pub(crate) fn unit_length(model: &Model, data: &Data, actuator: usize, k: usize) -> f64 {
    let id = model.actuator_trnid[actuator];
    match model.actuator_trntype[actuator] {
        Transmission::Tendon => data.ten_length[id],
        Transmission::Site => 0.0,
        Transmission::Joint | Transmission::JointInParent => match model.jnt_type[id] {
            JointType::Slide | JointType::Hinge => data.qpos[model.jnt_qposadr[id]],
            JointType::Ball => logarithm(quat_of(&data.qpos, model.jnt_qposadr[id]))[k],
            JointType::Free => 0.0,
        },
    }
}

/// Calls `visit(dof, ∂length/∂q)`. It is the moment, but for balls, where it is Jr⁻ᵀ·gear of the rotation, and where there is no length.
pub(crate) fn length_slopes(
    model: &Model,
    data: &Data,
    actuator: usize,
    mut visit: impl FnMut(usize, f64),
) {
    let id = model.actuator_trnid[actuator];
    match model.actuator_trntype[actuator] {
        Transmission::Site => {}
        Transmission::Tendon => transmission(model, data, actuator, visit),
        Transmission::Joint | Transmission::JointInParent => match model.jnt_type[id] {
            JointType::Free => {}
            JointType::Slide | JointType::Hinge => transmission(model, data, actuator, visit),
            JointType::Ball => {
                let turn = logarithm(quat_of(&data.qpos, model.jnt_qposadr[id]));
                let slope = right_jacobian_inverse_transpose(
                    turn,
                    three(&model.actuator_gear[actuator], 0),
                );
                for k in 0..3 {
                    visit(model.jnt_dofadr[id] + k, slope[k]);
                }
            }
        },
    }
}

/// The force and torque of an actuator at a site per unit, in the world.
pub(crate) fn site_wrench(model: &Model, data: &Data, actuator: usize) -> (Vec3, Vec3) {
    let gear = &model.actuator_gear[actuator];
    let frame = &data.site_xmat[model.actuator_trnid[actuator]];
    (rotate(frame, three(gear, 0)), rotate(frame, three(gear, 3)))
}

/// `actuator_length` and `actuator_moment`.
pub(crate) fn moments(model: &Model, data: &mut Data) {
    let nv = model.nv();
    let mut rows = std::mem::take(&mut data.actuator_moment);
    for actuator in 0..model.nu() {
        let gear = &model.actuator_gear[actuator];
        let count = gears(model, actuator);
        let row = &mut rows[actuator * nv..(actuator + 1) * nv];
        for &dof in &model.actuator_dofs[actuator] {
            row[dof] = if count == 1 {
                gear[0] * unit_moment(model, data, actuator, 0, dof)
            } else {
                (0..count).map(|k| gear[k] * unit_moment(model, data, actuator, k, dof)).sum()
            };
        }
        let lengths = if count == 6 { 0 } else { count };
        data.actuator_length[actuator] =
            (0..lengths).map(|k| gear[k] * unit_length(model, data, actuator, k)).sum();
    }
    data.actuator_moment = rows;
}

/// `actuator_velocity`.
pub(crate) fn velocities(model: &Model, data: &mut Data) {
    for actuator in 0..model.nu() {
        let mut velocity = 0.0;
        transmission(model, data, actuator, |dof, moment| velocity += moment * data.qvel[dof]);
        data.actuator_velocity[actuator] = velocity;
    }
}

/// The control after clamping, and whether clamping leaves it free to move.
pub(crate) fn clamped_control(model: &Model, actuator: usize, ctrl: f64) -> (f64, bool) {
    let [low, high] = model.actuator_ctrlrange[actuator];
    if model.actuator_ctrllimited[actuator] && model.opt.clampctrl {
        (ctrl.clamp(low, high), (low..=high).contains(&ctrl))
    } else {
        (ctrl, true)
    }
}

/// The activation after `h` seconds at that rate, before it is clamped.
pub(crate) fn free_activation(model: &Model, actuator: usize, act: f64, rate: f64, h: f64) -> f64 {
    match model.actuator_dyntype[actuator] {
        Dynamics::FilterExact => {
            let tau = model.actuator_dynprm[actuator][0].max(crate::spatial::MINVAL);
            act + rate * tau * (1.0 - (-h / tau).exp())
        }
        Dynamics::None | Dynamics::Integrator | Dynamics::Filter => act + rate * h,
    }
}

/// The activation after `h` seconds.
pub(crate) fn next_activation(model: &Model, actuator: usize, act: f64, rate: f64, h: f64) -> f64 {
    let next = free_activation(model, actuator, act, rate, h);
    if model.actuator_actlimited[actuator] {
        let [low, high] = model.actuator_actrange[actuator];
        next.clamp(low, high)
    } else {
        next
    }
}

/// What multiplies the gain (a control or activation), the gain, the force, (∂force/∂length, ∂force/∂velocity), and the derivatives of the latter
/// in length, velocity and input.
pub(crate) struct Law {
    pub(crate) input: f64,
    /// Of a ball's servo, by how many turns of 2π·‖gear‖ the input is below the control or activation.
    pub(crate) turns: f64,
    pub(crate) gain: f64,
    pub(crate) force: f64,
    pub(crate) slope: [f64; 2],
    pub(crate) curve: [f64; 3],
    /// Is the force inside its range, or on a bound of it? Then it has the slopes above.
    pub(crate) free: bool,
}

/// The setpoint of a servo on a ball is on a circle: the one that is nearest to the length, and how many turns it is away.
fn nearest_turn(model: &Model, actuator: usize, input: f64, length: f64) -> (f64, f64) {
    let joint = matches!(
        model.actuator_trntype[actuator],
        Transmission::Joint | Transmission::JointInParent
    );
    if !joint
        || model.jnt_type[model.actuator_trnid[actuator]] != JointType::Ball
        || !model.servo(actuator)
    {
        return (input, 0.0);
    }
    let turn = std::f64::consts::TAU * norm(three(&model.actuator_gear[actuator], 0));
    let turns = if turn < MINVAL { 0.0 } else { ((input - length) / turn).round() };
    (input - turn * turns, turns)
}

/// The force of an actuator at the present lengths and velocities.
pub(crate) fn law(model: &Model, data: &Data, actuator: usize) -> Law {
    let (length, velocity) = (data.actuator_length[actuator], data.actuator_velocity[actuator]);
    let adr = model.actuator_actadr[actuator];
    let input = if model.actuator_dyntype[actuator] == Dynamics::None {
        clamped_control(model, actuator, data.ctrl[actuator]).0
    } else if model.actuator_actearly[actuator] {
        let h = model.opt.timestep;
        next_activation(model, actuator, data.act[adr], data.act_dot[adr], h)
    } else {
        data.act[adr]
    };
    let (input, turns) = nearest_turn(model, actuator, input, length);
    let affine = |p: &[f64; 3]| p[0] + p[1] * length + p[2] * velocity;
    let gain_prm = &model.actuator_gainprm[actuator];
    let bias_prm = &model.actuator_biasprm[actuator];
    let (gain, gain_slope) = match model.actuator_gaintype[actuator] {
        Gain::Fixed => (gain_prm[0], [0.0; 2]),
        Gain::Affine => (affine(gain_prm), [gain_prm[1], gain_prm[2]]),
    };
    let (bias, bias_slope) = match model.actuator_biastype[actuator] {
        Bias::None => (0.0, [0.0; 2]),
        Bias::Affine => (affine(bias_prm), [bias_prm[1], bias_prm[2]]),
    };
    let force = gain * input + bias;
    let slope = [gain_slope[0] * input + bias_slope[0], gain_slope[1] * input + bias_slope[1]];
    let curve = [0.0, 0.0, gain_slope[1]];
    let [low, high] = model.actuator_forcerange[actuator];
    let free = !model.actuator_forcelimited[actuator] || (force >= low && force <= high);
    let force = if free { force } else { force.clamp(low, high) };
    Law { input, turns, gain, force, slope, curve, free }
}

/// `act_dot`, `actuator_force` and `qfrc_actuator`.
pub(crate) fn actuation(model: &Model, data: &mut Data) {
    data.qfrc_actuator.fill(0.0);
    data.actuator_force.fill(0.0);
    data.scratch.clamped.fill(false);
    // Without actuators MuJoCo leaves this out altogether: gravity compensation, too.
    if !model.opt.actuation || model.nu() == 0 {
        data.act_dot.fill(0.0);
        return;
    }
    let nv = model.nv();
    for actuator in 0..model.nu() {
        let adr = model.actuator_actadr[actuator];
        if adr < model.na {
            let ctrl = clamped_control(model, actuator, data.ctrl[actuator]).0;
            data.act_dot[adr] = match model.actuator_dyntype[actuator] {
                Dynamics::None => 0.0,
                Dynamics::Integrator => ctrl,
                Dynamics::Filter | Dynamics::FilterExact => {
                    let tau = model.actuator_dynprm[actuator][0].max(crate::spatial::MINVAL);
                    (ctrl - data.act[adr]) / tau
                }
            };
        }
        let force = law(model, data, actuator).force;
        data.actuator_force[actuator] = force;
        if force != 0.0 {
            for &dof in &model.actuator_dofs[actuator] {
                data.qfrc_actuator[dof] += data.actuator_moment[actuator * nv + dof] * force;
            }
        }
    }
    gravity_compensation(model, data, true);
    for joint in 0..model.njnt() {
        if model.jnt_actfrclimited[joint] {
            let [low, high] = model.jnt_actfrcrange[joint];
            let force = &mut data.qfrc_actuator[model.jnt_dofadr[joint]];
            data.scratch.clamped[joint] = *force < low || *force > high;
            *force = force.clamp(low, high);
        }
    }
}
