//! Actuators: transmissions, activations, forces (`mj_transmission`, `mj_fwdActuation`).

use super::passive::gravity_compensation;
use crate::model::{Bias, Dynamics, Gain, JointType, Transmission};
use crate::{Data, Model};

/// Calls `visit(dof, moment)` for every nonzero moment of an actuator. Moments of scalar joints, free joints and fixed tendons are constant.
pub(crate) fn transmission(model: &Model, actuator: usize, mut visit: impl FnMut(usize, f64)) {
    let (id, gear) = (model.actuator_trnid[actuator], &model.actuator_gear[actuator]);
    match model.actuator_trntype[actuator] {
        Transmission::Joint => {
            let count = model.jnt_type[id].velocities();
            for k in 0..count {
                visit(model.jnt_dofadr[id] + k, gear[k]);
            }
        }
        Transmission::Tendon => {
            for &(joint, coefficient) in &model.tendon_terms[id] {
                visit(model.jnt_dofadr[joint], gear[0] * coefficient);
            }
        }
    }
}

/// `actuator_length` and `actuator_velocity`.
pub(crate) fn lengths(model: &Model, data: &mut Data) {
    for actuator in 0..model.nu() {
        let (id, gear) = (model.actuator_trnid[actuator], &model.actuator_gear[actuator]);
        data.actuator_length[actuator] = match model.actuator_trntype[actuator] {
            Transmission::Tendon => gear[0] * data.ten_length[id],
            Transmission::Joint => match model.jnt_type[id] {
                JointType::Slide | JointType::Hinge => gear[0] * data.qpos[model.jnt_qposadr[id]],
                // A free joint has no length; actuators of balls are refused by the compiler.
                JointType::Free | JointType::Ball => 0.0,
            },
        };
        let mut velocity = 0.0;
        transmission(model, actuator, |dof, moment| velocity += moment * data.qvel[dof]);
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

/// What multiplies the gain (a control or activation), the gain, the force, and (∂force/∂length, ∂force/∂velocity).
pub(crate) struct Law {
    pub(crate) input: f64,
    pub(crate) gain: f64,
    pub(crate) force: f64,
    pub(crate) slope: [f64; 2],
    /// Is the force inside its range?
    pub(crate) free: bool,
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
    let [low, high] = model.actuator_forcerange[actuator];
    if model.actuator_forcelimited[actuator] && (force < low || force > high) {
        return Law { input, gain, force: force.clamp(low, high), slope, free: false };
    }
    Law { input, gain, force, slope, free: true }
}

/// `act_dot`, `actuator_force` and `qfrc_actuator`.
pub(crate) fn actuation(model: &Model, data: &mut Data) {
    data.qfrc_actuator.fill(0.0);
    data.actuator_force.fill(0.0);
    if !model.opt.actuation {
        data.act_dot.fill(0.0);
        return;
    }
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
            transmission(model, actuator, |dof, moment| {
                data.qfrc_actuator[dof] += moment * force;
            });
        }
    }
    gravity_compensation(model, data, true);
    for joint in 0..model.njnt() {
        if model.jnt_actfrclimited[joint] {
            let [low, high] = model.jnt_actfrcrange[joint];
            let force = &mut data.qfrc_actuator[model.jnt_dofadr[joint]];
            *force = force.clamp(low, high);
        }
    }
}
