//! A step's derivative written out: A and B, and the velocity slopes of implicitfast's matrix.

use super::adjoint::Cotangent;
use super::bend::Bends;
use super::dense::Which;
use super::forces::{activation_slopes, input_slopes};
use super::smooth::Composite;
use super::step::StepDerivative;
use super::{gyroscopic, medium};
use crate::dynamics::{law, length_slopes, multiply_inertia, solve, transmission};
use crate::error::length;
use crate::model::{Integrator, Transmission};
use crate::solve::solve_factored;
use crate::spatial::Spatial;
use crate::{Data, Model, Result};

impl StepDerivative {
    /// A = ∂x⁺/∂x, (2·nv + na)², and B = ∂x⁺/∂ctrl, (2·nv + na) × nu, row-major, in tangents: those of `mjd_transitionFD`, exact.
    ///
    /// # Errors
    /// [`crate::Error::Length`]; [`crate::Error::Invalid`] before the first `evaluate` and for another model or other options
    /// than its; [`crate::Error::NotFinite`].
    pub fn jacobians(&mut self, model: &Model, a: &mut [f64], b: &mut [f64]) -> Result<()> {
        self.ready(model)?;
        let (nv, na, nu, h) = (model.nv(), model.na, model.nu(), model.opt.timestep);
        let n = 2 * nv + na;
        length("jacobians", "A", a.len(), n * n)?;
        length("jacobians", "B", b.len(), n * nu)?;
        a.fill(0.0);
        b.fill(0.0);
        if self.runge_kutta.is_some() {
            let outcome = self.jacobians_by_pulls(model, a, b);
            self.pulled = false;
            return outcome;
        }
        self.velocity_jacobian(model);
        let [turn, dq, dw, out] = &mut self.rows;
        for k in 0..nv {
            turn[k] = h * self.velocity[k];
        }
        // Column by column: dv⁺ = dv + h·dâ, dq⁺ by the tangent map.
        let dense = &self.dense;
        for column in 0..n + nu {
            let (matrix, width, at) = match column {
                c if c < nv => (&dense.dq, nv, c),
                c if c < 2 * nv => (&dense.dv, nv, c - nv),
                c if c < n => (&dense.da, na, c - 2 * nv),
                c => (&dense.du, nu, c - n),
            };
            dq.fill(0.0);
            if column < nv {
                dq[column] = 1.0;
            }
            for k in 0..nv {
                let own = f64::from(u8::from(column == nv + k));
                dw[k] = own + h * matrix[k * width + at];
            }
            let target =
                |row: usize| if column < n { row * n + column } else { row * nu + column - n };
            let slots: &mut [f64] = if column < n { a } else { b };
            for k in 0..nv {
                slots[target(nv + k)] = dw[k];
                dw[k] *= h;
            }
            model.push_position(turn, dq, dw, out);
            for k in 0..nv {
                slots[target(k)] = out[k];
            }
        }
        for actuator in 0..nu {
            let adr = model.actuator_actadr[actuator];
            if adr < na {
                let (by_ctrl, by_act) = activation_slopes(model, &self.data, actuator, h);
                a[(2 * nv + adr) * n + 2 * nv + adr] += by_act;
                b[(2 * nv + adr) * nu + actuator] += by_ctrl;
            }
        }
        crate::data::finite("jacobians", "A", a)?;
        crate::data::finite("jacobians", "B", b)
    }

    /// Moves a tangent of the start (positions, velocities, activations, controls and applied forces in `here`) to the next state: the
    /// product with A and B and the force's Jacobian, without making them. `next.ctrl` and `next.qfrc_applied` are left alone.
    ///
    /// # Errors
    /// [`crate::Error::Length`]; [`crate::Error::Invalid`] before the first `evaluate` and for another model or other options
    /// than its; [`crate::Error::NotFinite`].
    pub fn push(&mut self, model: &Model, here: &Cotangent, next: &mut Cotangent) -> Result<()> {
        self.ready(model)?;
        let (nv, na, nu, h) = (model.nv(), model.na, model.nu(), model.opt.timestep);
        for (what, want, got) in [
            ("qpos tangent", nv, here.qpos.len()),
            ("qvel tangent", nv, here.qvel.len()),
            ("act tangent", na, here.act.len()),
            ("ctrl tangent", nu, here.ctrl.len()),
            ("qfrc_applied tangent", nv, here.qfrc_applied.len()),
            ("next qpos tangent", nv, next.qpos.len()),
            ("next qvel tangent", nv, next.qvel.len()),
            ("next act tangent", na, next.act.len()),
        ] {
            length("push", what, got, want)?;
        }
        for (what, list) in [
            ("here.qpos", &here.qpos),
            ("here.qvel", &here.qvel),
            ("here.act", &here.act),
            ("here.ctrl", &here.ctrl),
            ("here.qfrc_applied", &here.qfrc_applied),
        ] {
            crate::data::finite("push", what, list)?;
        }
        if self.runge_kutta.is_some() {
            let outcome = self.push_by_pulls(model, here, next);
            self.pulled = false;
            return outcome;
        }
        let data = &self.data;
        self.dense.fill(model, data, &self.motions, &self.contacts);
        let [turn, acceleration, moved, _] = &mut self.rows;
        acceleration.copy_from_slice(&here.qfrc_applied);
        self.dense.add_product(here, acceleration);
        solve_factored(&self.hessian, nv, acceleration);
        if self.implicit {
            // M̂·dâ = M·da + dM·(a − â) + h·dD·â − h·dC·â.
            moved.fill(0.0);
            multiply_inertia(&model.dof_parentid, &data.qM, acceleration, moved);
            self.dense.clear();
            let composite: &Composite = &self.dense.composite;
            composite.add_derivatives(
                model,
                data,
                &self.still,
                None,
                1.0,
                &mut self.dense.dq,
                None,
            );
            if model.opt.integrator == Integrator::ImplicitFast {
                let psi = self.motions.psi.as_slice();
                let at = (psi, &self.contacts.bends, self.acceleration.as_slice());
                push_slopes(model, data, at, turn, &mut self.slopes, self.dense.blocks());
                gyroscopic::push(model, data, &self.acceleration, self.dense.blocks());
            }
            self.dense.add_product(here, moved);
            solve(&model.dof_parentid, &self.factor, &self.inverse, moved);
            self.free.solve(moved);
            acceleration.copy_from_slice(moved);
        }
        for k in 0..nv {
            turn[k] = h * self.velocity[k];
            next.qvel[k] = here.qvel[k] + h * acceleration[k];
            moved[k] = h * next.qvel[k];
        }
        model.push_position(turn, &here.qpos, moved, &mut next.qpos);
        for actuator in 0..nu {
            let adr = model.actuator_actadr[actuator];
            if adr < na {
                let (by_ctrl, by_act) = activation_slopes(model, data, actuator, h);
                next.act[adr] = by_act * here.act[adr] + by_ctrl * here.ctrl[actuator];
            }
        }
        crate::data::finite("push", "the tangent of qpos", &next.qpos)?;
        crate::data::finite("push", "the tangent of qvel", &next.qvel)
    }

    /// Number by number: the transpose of a pull.
    fn push_by_pulls(
        &mut self,
        model: &Model,
        here: &Cotangent,
        next: &mut Cotangent,
    ) -> Result<()> {
        let (nv, n) = (model.nv(), 2 * model.nv() + model.na);
        let (mut unit, mut out) = (Cotangent::zeros(model), Cotangent::zeros(model));
        for row in 0..n {
            unit.clear();
            out.clear();
            let mut places = unit.qpos.iter_mut().chain(&mut unit.qvel).chain(&mut unit.act);
            if let Some(x) = places.nth(row) {
                *x = 1.0;
            }
            self.pull(model, &unit, &mut out)?;
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let value = dot(&out.qpos, &here.qpos)
                + dot(&out.qvel, &here.qvel)
                + dot(&out.act, &here.act)
                + dot(&out.ctrl, &here.ctrl)
                + dot(&out.qfrc_applied, &here.qfrc_applied);
            match row {
                r if r < nv => next.qpos[r] = value,
                r if r < 2 * nv => next.qvel[r - nv] = value,
                r => next.act[r - 2 * nv] = value,
            }
        }
        Ok(())
    }

    /// Row by row.
    fn jacobians_by_pulls(&mut self, model: &Model, a: &mut [f64], b: &mut [f64]) -> Result<()> {
        let (nv, na, nu) = (model.nv(), model.na, model.nu());
        let n = 2 * nv + na;
        let (mut unit, mut out) = (Cotangent::zeros(model), Cotangent::zeros(model));
        for row in 0..n {
            unit.clear();
            out.clear();
            let mut places = unit.qpos.iter_mut().chain(&mut unit.qvel).chain(&mut unit.act);
            if let Some(x) = places.nth(row) {
                *x = 1.0;
            }
            self.pull(model, &unit, &mut out)?;
            let values = out.qpos.iter().chain(&out.qvel).chain(&out.act);
            a[row * n..(row + 1) * n].iter_mut().zip(values).for_each(|(a, x)| *a = *x);
            b[row * nu..(row + 1) * nu].copy_from_slice(&out.ctrl);
        }
        Ok(())
    }

    /// ∂â for the integrator's acceleration in `dense`.
    fn velocity_jacobian(&mut self, model: &Model) {
        let (nv, na, nu) = (model.nv(), model.na, model.nu());
        let data = &self.data;
        self.dense.fill(model, data, &self.motions, &self.contacts);
        for (which, width) in [
            (Which::Positions, nv),
            (Which::Velocities, nv),
            (Which::Activations, na),
            (Which::Controls, nu),
        ] {
            self.dense.solve(&self.hessian, which, nv, width);
        }
        if !self.implicit {
            return;
        }
        // M̂·∂â = M·∂a + ∂M·(a − â) + h·∂D·â − h·∂C·â.
        let parents = &model.dof_parentid;
        let [column, moved, unit, _] = &mut self.rows;
        let blocks = [
            (&mut self.dense.dq, nv),
            (&mut self.dense.dv, nv),
            (&mut self.dense.da, na),
            (&mut self.dense.du, nu),
        ];
        for (matrix, width) in blocks {
            for c in 0..width {
                for k in 0..nv {
                    column[k] = matrix[k * width + c];
                }
                moved.fill(0.0);
                multiply_inertia(parents, &data.qM, column, moved);
                for k in 0..nv {
                    matrix[k * width + c] = moved[k];
                }
            }
        }
        let composite: &Composite = &self.dense.composite;
        let dq = &mut self.dense.dq;
        composite.add_derivatives(model, data, &self.still, None, 1.0, dq, None);
        if model.opt.integrator == Integrator::ImplicitFast {
            let psi = self.motions.psi.as_slice();
            let at = (psi, &self.contacts.bends, self.acceleration.as_slice());
            push_slopes(model, data, at, unit, &mut self.slopes, self.dense.blocks());
            gyroscopic::push(model, data, &self.acceleration, self.dense.blocks());
        }
        let blocks = [
            (&mut self.dense.dq, nv),
            (&mut self.dense.dv, nv),
            (&mut self.dense.da, na),
            (&mut self.dense.du, nu),
        ];
        for (matrix, width) in blocks {
            for c in 0..width {
                for k in 0..nv {
                    column[k] = matrix[k * width + c];
                }
                solve(parents, &self.factor, &self.inverse, column);
                self.free.solve(column);
                for k in 0..nv {
                    matrix[k * width + c] = column[k];
                }
            }
        }
    }
}

/// Σ m_i·n_j·(w_i·a_j + w_j·a_i), i ≥ j, over the entries that implicitfast keeps: those between a degree of freedom and its ancestors.
pub(super) fn slope_form(
    model: &Model,
    dofs: &[usize],
    (m, n): (impl Fn(usize) -> f64, impl Fn(usize) -> f64),
    (w, a): (&[f64], &[f64]),
) -> f64 {
    let mut sum = 0.0;
    for &i in dofs {
        for &j in dofs.iter().filter(|&&j| i >= j && model.is_ancestor(j, i)) {
            sum += m(i) * n(j) * w[i] * a[j];
            if i != j {
                sum += m(i) * n(j) * w[j] * a[i];
            }
        }
    }
    sum
}

/// The derivative of `slope_form` with n = m in m_k.
fn slope_form_by(
    model: &Model,
    dofs: &[usize],
    m: impl Fn(usize) -> f64,
    (w, a): (&[f64], &[f64]),
    k: usize,
) -> f64 {
    let mut sum = 0.0;
    for &j in dofs {
        let (high, low) = (k.max(j), k.min(j));
        if model.is_ancestor(low, high) {
            sum += m(j) * (w[high] * a[low] + w[low] * a[high]);
        }
    }
    sum
}

/// Adds the cotangents of h·wᵀ·D·â, D implicitfast's derivative of forces in velocities, at fixed w and â.
pub(super) fn pull_slopes(
    model: &Model,
    data: &Data,
    (psi, bends): (&[Spatial], &Bends),
    (w, acceleration): (&[f64], &[f64]),
    out: &mut Cotangent,
) {
    let (h, nv) = (model.opt.timestep, model.nv());
    let ends = (w, acceleration);
    medium::pull_form(model, data, psi, (w, acceleration, h), out);
    for (tendon, dofs) in model.tendon_dofs.iter().enumerate() {
        let damping = model.tendon_damping[tendon];
        if damping != 0.0 && model.opt.damper {
            let row = |i: usize| data.ten_J[tendon * nv + i];
            let by = |k: usize| slope_form_by(model, dofs, row, ends, k);
            bends.pull_tendon(model, tendon, -h * damping, by, &mut out.qpos);
        }
    }
    if !model.opt.actuation {
        return;
    }
    for actuator in 0..model.nu() {
        let law = law(model, data, actuator);
        let bent = bends.bends(model, actuator);
        if !model.implicit_in(data, actuator, &law) || (law.curve == [0.0; 3] && !bent) {
            continue;
        }
        let dofs = model.actuator_dofs[actuator].as_slice();
        let row = |i: usize| data.actuator_moment[actuator * nv + i];
        let by = |k: usize| slope_form_by(model, dofs, row, ends, k);
        bends.pull_actuator(model, actuator, h * law.slope[1], by, &mut out.qpos);
        if law.curve == [0.0; 3] {
            continue;
        }
        // How the slope itself changes with length, velocity and input.
        let form = h * slope_form(model, dofs, (row, row), ends);
        let [by_length, by_velocity, by_input] = law.curve.map(|c| c * form);
        length_slopes(model, data, actuator, |dof, s| out.qpos[dof] += by_length * s);
        transmission(model, data, actuator, |dof, m| out.qvel[dof] += by_velocity * m);
        bends.pull_actuator(model, actuator, by_velocity, |i| data.qvel[i], &mut out.qpos);
        let (by_ctrl, by_act) = input_slopes(model, data, actuator);
        out.ctrl[actuator] += by_input * by_ctrl;
        let adr = model.actuator_actadr[actuator];
        if adr < model.na {
            out.act[adr] += by_input * by_act;
        }
    }
}

/// Is D constant?
fn fixed_slopes(model: &Model) -> bool {
    let straight = (0..model.nu()).all(|k| {
        model.actuator_gainprm[k][2] == 0.0
            && matches!(model.actuator_trntype[k], Transmission::Joint | Transmission::Tendon)
    });
    straight
        && !crate::dynamics::medium::present(model)
        && model.tendon_path.iter().all(Vec::is_empty)
}

/// Adds h·(∂D)·â to the blocks, row by row.
fn push_slopes(
    model: &Model,
    data: &Data,
    (psi, bends, acceleration): (&[Spatial], &Bends, &[f64]),
    unit: &mut [f64],
    scratch: &mut Cotangent,
    [dq, dv, da, du]: [&mut [f64]; 4],
) {
    if fixed_slopes(model) {
        return;
    }
    let (nv, na, nu) = (model.nv(), model.na, model.nu());
    unit.fill(0.0);
    for k in 0..nv {
        unit[k] = 1.0;
        scratch.clear();
        pull_slopes(model, data, (psi, bends), (unit, acceleration), scratch);
        unit[k] = 0.0;
        for (matrix, width, row) in [
            (&mut *dq, nv, &scratch.qpos),
            (&mut *dv, nv, &scratch.qvel),
            (&mut *da, na, &scratch.act),
            (&mut *du, nu, &scratch.ctrl),
        ] {
            let line = &mut matrix[k * width..(k + 1) * width];
            line.iter_mut().zip(row).for_each(|(a, b)| *a += b);
        }
    }
}
