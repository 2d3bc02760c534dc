//! The derivative of a Runge-Kutta step: four solves, pulled back one after the other.
//!
//! With nodes c_s and weights b_s: stage s is at q₀ ⊕ h·c_s·k_{s−1}, v₀ + h·c_s·a_{s−1}; k_s = Jr⁻¹(h·c_s·k_{s−1})·v_s in tangents of the start
//! (plain v_s for all but rotations), a_s = a(stage); q⁺ = q₀ ⊕ h·Σ b_s·k_s, v⁺ = v₀ + h·Σ b_s·a_s.

use super::adjoint::{Adjoint, Cotangent};
use super::contact::ContactMotions;
use super::parameter::Pulled;
use super::smooth::Motions;
use super::step::solved;
use crate::dynamics::{NODE, WEIGHT, clamped_control, correct};
use crate::model::{Dynamics, Parameter};
use crate::solve::factor_hessian;
use crate::spatial::quaternion::{right_jacobian_inverse_transpose, right_jacobian_inverse_turn};
use crate::{Data, Model, Result};

/// One of the four solves, and the cotangents that reach it.
#[derive(Debug, Clone)]
struct Stage {
    data: Data,
    hessian: Vec<f64>,
    motions: Motions,
    contacts: ContactMotions,
    adjoint: Adjoint,
    /// k_s, and the cotangents of k_s and a_s.
    rate: Vec<f64>,
    rate_bar: Vec<f64>,
    acceleration_bar: Vec<f64>,
    activation_bar: Vec<f64>,
    state_bar: Cotangent,
}

impl Stage {
    fn new(model: &Model) -> Self {
        let nv = model.nv();
        Self {
            data: Data::new(model),
            hessian: vec![0.0; nv * nv],
            motions: Motions::default(),
            contacts: ContactMotions::default(),
            adjoint: Adjoint::default(),
            rate: vec![0.0; nv],
            rate_bar: vec![0.0; nv],
            acceleration_bar: vec![0.0; nv],
            activation_bar: vec![0.0; model.na],
            state_bar: Cotangent::zeros(model),
        }
    }
}

/// A step of Runge-Kutta that keeps its derivative.
#[derive(Debug, Clone)]
pub(crate) struct RungeKutta {
    stages: Vec<Stage>,
    /// Σ b_s·k_s, and scratch.
    rate: Vec<f64>,
    turn: Vec<f64>,
    turn_bar: Vec<f64>,
}

impl RungeKutta {
    pub(crate) fn new(model: &Model) -> Self {
        let zeros = || vec![0.0; model.nv()];
        let stages = (0..4).map(|_| Stage::new(model)).collect();
        Self { stages, rate: zeros(), turn: zeros(), turn_bar: zeros() }
    }

    pub(crate) fn data(&self) -> &Data {
        &self.stages[0].data
    }

    /// Takes the step; the next state goes to `qpos`, `qvel`, `act`.
    pub(crate) fn evaluate(
        &mut self,
        model: &Model,
        start: &Data,
        (qpos, qvel, act): (&mut [f64], &mut [f64], &mut [f64]),
    ) -> Result<()> {
        let (nv, h) = (model.nv(), model.opt.timestep);
        for s in 0..4 {
            let (before, rest) = self.stages.split_at_mut(s);
            let stage = &mut rest[0];
            stage.data.copy_inputs(start);
            if let Some(last) = before.last() {
                let step = h * NODE[s];
                model.move_along(&mut stage.data.qpos, &last.rate, step);
                for k in 0..nv {
                    stage.data.qvel[k] = start.qvel[k] + step * last.data.qacc[k];
                }
                for k in 0..model.na {
                    stage.data.act[k] = start.act[k] + step * last.data.act_dot[k];
                }
                stage.data.qacc_warmstart.copy_from_slice(&last.data.qacc);
            }
            solved(model, &mut stage.data)?;
            stage.rate.copy_from_slice(&stage.data.qvel);
            if let Some(last) = before.last() {
                correct(model, &last.rate, h * NODE[s], &mut stage.rate);
            }
            factor_hessian(model, &stage.data, &mut stage.hessian);
            stage.motions.fill(model, &stage.data, &stage.data.qacc, false);
            stage.contacts.fill(model, &stage.data);
        }
        let sum = |of: &dyn Fn(&Stage) -> f64| -> f64 {
            self.stages.iter().zip(WEIGHT).map(|(stage, b)| b * of(stage)).sum()
        };
        for k in 0..nv {
            self.rate[k] = sum(&|stage| stage.rate[k]);
            qvel[k] = start.qvel[k] + h * sum(&|stage| stage.data.qacc[k]);
        }
        qpos.copy_from_slice(&start.qpos);
        model.move_along(qpos, &self.rate, h);
        act.copy_from_slice(&start.act);
        for actuator in 0..model.nu() {
            let adr = model.actuator_actadr[actuator];
            if adr < model.na {
                let rate = sum(&|stage| stage.data.act_dot[adr]);
                act[adr] =
                    crate::dynamics::next_activation(model, actuator, start.act[adr], rate, h);
            }
        }
        Ok(())
    }

    /// Adds the cotangents of the start.
    pub(crate) fn pull(&mut self, model: &Model, next: &Cotangent, out: &mut Cotangent) {
        let (nv, h) = (model.nv(), model.opt.timestep);
        self.finish(model, next, out);
        for s in (0..4).rev() {
            let (before, rest) = self.stages.split_at_mut(s);
            let stage = &mut rest[0];
            stage.state_bar.clear();
            stage.adjoint.pull(
                model,
                &stage.data,
                &stage.hessian,
                &stage.motions,
                &stage.contacts,
                &stage.acceleration_bar,
                &mut stage.state_bar,
            );
            pull_rates(model, &stage.data, &stage.activation_bar, &mut stage.state_bar);
            let Some(last) = before.last_mut() else {
                // k₀ = v₀.
                for k in 0..nv {
                    stage.state_bar.qvel[k] += stage.rate_bar[k];
                    out.qpos[k] += stage.state_bar.qpos[k];
                }
                add_rest(&stage.state_bar, out);
                return;
            };
            let step = h * NODE[s];
            for k in 0..nv {
                self.turn[k] = step * last.rate[k];
                self.turn_bar[k] = 0.0;
            }
            pull_correction(model, &self.turn, stage, &mut self.turn_bar);
            let bar = &stage.state_bar;
            model.pull_position(&self.turn, &bar.qpos, &mut out.qpos, &mut self.turn_bar);
            for k in 0..nv {
                last.rate_bar[k] += step * self.turn_bar[k];
                last.acceleration_bar[k] += step * bar.qvel[k];
            }
            for k in 0..model.na {
                last.activation_bar[k] += step * bar.act[k];
            }
            add_rest(bar, out);
        }
    }

    /// The end of the step: cotangents of the weighted sums.
    fn finish(&mut self, model: &Model, next: &Cotangent, out: &mut Cotangent) {
        let (nv, h) = (model.nv(), model.opt.timestep);
        for k in 0..nv {
            self.turn[k] = h * self.rate[k];
            self.turn_bar[k] = 0.0;
        }
        model.pull_position(&self.turn, &next.qpos, &mut out.qpos, &mut self.turn_bar);
        for (stage, b) in self.stages.iter_mut().zip(WEIGHT) {
            for k in 0..nv {
                stage.rate_bar[k] = b * h * self.turn_bar[k];
                stage.acceleration_bar[k] = b * h * next.qvel[k];
            }
            stage.activation_bar.fill(0.0);
        }
        for k in 0..nv {
            out.qvel[k] += next.qvel[k];
        }
        for actuator in 0..model.nu() {
            let adr = model.actuator_actadr[actuator];
            if adr >= model.na {
                continue;
            }
            let start = self.stages[0].data.act[adr];
            let rate: f64 =
                self.stages.iter().zip(WEIGHT).map(|(s, b)| b * s.data.act_dot[adr]).sum();
            // The next activation is linear in the rate, unless it is clamped.
            let free = crate::dynamics::free_activation(model, actuator, start, rate, h);
            let [low, high] = model.actuator_actrange[actuator];
            if model.actuator_actlimited[actuator] && (free < low || free > high) {
                continue;
            }
            out.act[adr] += next.act[adr];
            let by_rate = crate::dynamics::free_activation(model, actuator, 0.0, 1.0, h);
            for (stage, b) in self.stages.iter_mut().zip(WEIGHT) {
                stage.activation_bar[adr] = b * by_rate * next.act[adr];
            }
        }
    }

    /// Adds the cotangent of a parameter that belongs to the last pull.
    pub(crate) fn pull_parameter(&self, model: &Model, parameter: Parameter, out: &mut [f64]) {
        for stage in &self.stages {
            let pulled = Pulled {
                model,
                data: &stage.data,
                adjoint: &stage.adjoint,
                pure: &stage.motions.pure,
                accelerations: &stage.motions.acceleration,
                contacts: &stage.contacts.list,
                implicit: None,
                undamped: None,
            };
            pulled.add(parameter, out);
        }
    }
}

/// Everything but positions, whose tangents belong to another point.
fn add_rest(from: &Cotangent, out: &mut Cotangent) {
    for (to, from) in [
        (&mut out.qvel, &from.qvel),
        (&mut out.act, &from.act),
        (&mut out.ctrl, &from.ctrl),
        (&mut out.qfrc_applied, &from.qfrc_applied),
    ] {
        for (t, f) in to.iter_mut().zip(from) {
            *t += f;
        }
    }
}

/// From cotangents of `act_dot` to those of activations and controls.
fn pull_rates(model: &Model, data: &Data, bar: &[f64], out: &mut Cotangent) {
    if !model.opt.actuation {
        return;
    }
    for actuator in 0..model.nu() {
        let adr = model.actuator_actadr[actuator];
        if adr >= model.na || bar[adr] == 0.0 {
            continue;
        }
        let free = f64::from(u8::from(clamped_control(model, actuator, data.ctrl[actuator]).1));
        let tau = model.actuator_dynprm[actuator][0].max(crate::spatial::MINVAL);
        let (by_ctrl, by_act) = match model.actuator_dyntype[actuator] {
            Dynamics::None => (0.0, 0.0),
            Dynamics::Integrator => (1.0, 0.0),
            Dynamics::Filter | Dynamics::FilterExact => (1.0 / tau, -1.0 / tau),
        };
        out.ctrl[actuator] += bar[adr] * by_ctrl * free;
        out.act[adr] += bar[adr] * by_act;
    }
}

/// k = Jr⁻¹(w)·v for rotations, v for the rest: adds to the cotangents of v and w.
fn pull_correction(model: &Model, turn: &[f64], stage: &mut Stage, turn_bar: &mut [f64]) {
    let (bar, velocity) = (&stage.rate_bar, &stage.data.qvel);
    let out = &mut stage.state_bar.qvel;
    for joint in 0..model.njnt() {
        let from = model.jnt_dofadr[joint];
        let rotation = model.rotation(joint).map_or(usize::MAX, |(_, v)| v);
        let to = from + model.jnt_type[joint].velocities();
        for k in from..to.min(rotation) {
            out[k] += bar[k];
        }
        if rotation < to {
            let three = |x: &[f64]| [x[rotation], x[rotation + 1], x[rotation + 2]];
            let (w, y) = (three(turn), three(bar));
            let own = right_jacobian_inverse_transpose(w, y);
            let by_turn = right_jacobian_inverse_turn(w, three(velocity), y);
            for k in 0..3 {
                out[rotation + k] += own[k];
                turn_bar[rotation + k] += by_turn[k];
            }
        }
    }
}
