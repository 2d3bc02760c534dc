//! Many steps and their reverse derivative. Only states are stored; each step is taken again on the way back.

use crate::error::length;
use crate::gradient::{Cotangent, StepDerivative};
use crate::model::{Shape, fingerprint};
use crate::{Data, Error, Model, Parameter, Result};

/// A trajectory of a model, and its reverse derivative: nq + 2·nv + na numbers of memory per step, nothing allocated per step.
///
/// ```
/// use pullback_diffphys::{Cotangent, Data, Rollout, mjcf};
/// let model = mjcf::parse(r#"<mujoco><worldbody><body><joint name="j" axis="0 1 0"/><geom size="0.1" pos="0 0 -1"/></body>
///     </worldbody><actuator><motor joint="j"/></actuator></mujoco>"#)?;
/// let mut rollout = Rollout::new(&model);
/// let controls = [1.0; 100];
/// rollout.run(&model, &Data::new(&model), &controls)?;
/// // Of the last angle in every control: the later, the less time it has to act.
/// let mut states = vec![0.0; 101 * 2];
/// states[200] = 1.0;
/// let (mut start, mut slope) = (Cotangent::zeros(&model), vec![0.0; 100]);
/// rollout.pull(&model, &controls, &states, &mut start, &mut slope, &mut [])?;
/// assert!(slope[0] > slope[50] && slope[50] > slope[99] && slope[99] > 0.0);
/// # Ok::<(), pullback_diffphys::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rollout {
    data: Data,
    step: StepDerivative,
    /// (qpos, qvel, act) of every time, then where each step's solver started.
    states: Vec<f64>,
    warmstarts: Vec<f64>,
    /// How many steps were taken, and whether with the controls of the start.
    steps: usize,
    free: bool,
    /// What tells the controls of the last run from others, and its model.
    controls: u64,
    model: (Shape, u64),
    cotangents: [Cotangent; 2],
}

impl Rollout {
    /// Room for a model; the trajectory's grows with the first run.
    pub fn new(model: &Model) -> Self {
        Self {
            data: Data::new(model),
            step: StepDerivative::new(model),
            states: Vec::new(),
            warmstarts: Vec::new(),
            steps: 0,
            free: true,
            controls: fingerprint([].iter()),
            model: (model.shape(), model.fingerprint()),
            cotangents: [Cotangent::zeros(model), Cotangent::zeros(model)],
        }
    }

    /// Steps from the state and applied forces of `start`, once for each row of `controls` (T × nu; for a model without controls, see
    /// [`Rollout::run_free`]).
    ///
    /// # Errors
    /// [`crate::Error::Length`]; as of [`Model::step`].
    pub fn run(&mut self, model: &Model, start: &Data, controls: &[f64]) -> Result<()> {
        let nu = model.nu();
        let steps = controls.len().checked_div(nu).unwrap_or(0);
        length("rollout", "controls", controls.len(), steps * nu)?;
        self.take(model, start, Some(controls), steps)
    }

    /// `steps` steps with the controls of `start`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more steps than there is memory for; as of [`Model::step`].
    pub fn run_free(&mut self, model: &Model, start: &Data, steps: usize) -> Result<()> {
        self.take(model, start, None, steps)
    }

    fn take(
        &mut self,
        model: &Model,
        start: &Data,
        controls: Option<&[f64]>,
        steps: usize,
    ) -> Result<()> {
        start.check(model, "rollout")?;
        self.data.check(model, "rollout")?;
        self.data.copy_inputs(start);
        let (width, nv, nu) = (model.nq() + model.nv() + model.na, model.nv(), model.nu());
        self.states.clear();
        self.warmstarts.clear();
        (self.steps, self.free) = (0, controls.is_none());
        self.controls = fingerprint(controls.unwrap_or_default().iter());
        self.model = (model.shape(), model.fingerprint());
        let room = |v: &mut Vec<f64>, rows: Option<usize>, width: usize| {
            let numbers = rows.and_then(|rows| rows.checked_mul(width));
            numbers.filter(|&k| v.try_reserve_exact(k).is_ok())
        };
        if room(&mut self.states, steps.checked_add(1), width).is_none()
            || room(&mut self.warmstarts, Some(steps), nv).is_none()
        {
            let what = format!(
                "{steps} steps of {} numbers each are more than memory holds",
                width.saturating_add(nv)
            );
            return Err(Error::Invalid { node: "rollout".into(), what });
        }
        self.store();
        for t in 0..steps {
            if let Some(controls) = controls {
                self.data.ctrl.copy_from_slice(&controls[t * nu..(t + 1) * nu]);
            }
            self.warmstarts.extend_from_slice(&self.data.qacc_warmstart);
            model.step(&mut self.data)?;
            self.store();
            self.steps += 1;
        }
        Ok(())
    }

    /// A model or controls that are not those of the last run would give the derivative of another one. Returns how many rows
    /// of numbers their cotangents and tangents have: of a free run, one.
    fn check_run(&self, node: &'static str, model: &Model, controls: &[f64]) -> Result<usize> {
        self.model.0.same(node, "the last run", model)?;
        if self.model.1 != model.fingerprint() {
            let what = "the model has other parameters than in the last run";
            return Err(Error::invalid(node, what));
        }
        let rows = if self.free { 0 } else { self.steps };
        length(node, "controls", controls.len(), rows * model.nu())?;
        if self.controls != fingerprint(controls.iter()) {
            return Err(Error::invalid(node, "the controls are not those of the last run"));
        }
        Ok(if self.free { 1 } else { self.steps })
    }

    fn store(&mut self) {
        self.states.extend_from_slice(&self.data.qpos);
        self.states.extend_from_slice(&self.data.qvel);
        self.states.extend_from_slice(&self.data.act);
    }

    /// (qpos, qvel, act) of all T + 1 times, row after row.
    pub fn states(&self) -> &[f64] {
        &self.states
    }

    /// The last step's data, with the state after it.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The state at time `t` into `self.data`.
    fn state(&mut self, model: &Model, t: usize) {
        let (nq, nv) = (model.nq(), model.nv());
        let width = nq + nv + model.na;
        let state = &self.states[t * width..(t + 1) * width];
        self.data.qpos.copy_from_slice(&state[..nq]);
        self.data.qvel.copy_from_slice(&state[nq..nq + nv]);
        self.data.act.copy_from_slice(&state[nq + nv..]);
    }

    /// State, controls and start of the solver at time `t` into `self.data`.
    fn restore(&mut self, model: &Model, t: usize, controls: &[f64]) {
        let (nv, nu) = (model.nv(), model.nu());
        self.state(model, t);
        self.data.qacc_warmstart.copy_from_slice(&self.warmstarts[t * nv..(t + 1) * nv]);
        if !self.free {
            self.data.ctrl.copy_from_slice(&controls[t * nu..(t + 1) * nu]);
        }
    }

    /// Back to the end of the run.
    fn end(&mut self, model: &Model, controls: &[f64]) {
        if let Some(last) = self.steps.checked_sub(1) {
            self.restore(model, last, controls);
            self.data.qacc_warmstart.copy_from_slice(&self.data.qacc);
            self.state(model, self.steps);
        }
    }

    /// Adds the reverse derivative of the last run: for cotangents `states` of the states at all T + 1 times ((T + 1) × (2·nv + na), in
    /// tangents), those of the start, of the controls (T × nu; those of a free run are summed: nu) and of parameters. Applied forces act at
    /// every step: `start.qfrc_applied` gets the sum.
    ///
    /// `controls` are those of the run (empty for a free run).
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Invalid`] for other controls than the last run's, another model, or other parameters or options of it; as
    /// of [`StepDerivative::evaluate`] and [`StepDerivative::pull`].
    pub fn pull(
        &mut self,
        model: &Model,
        controls: &[f64],
        states: &[f64],
        start: &mut Cotangent,
        control_bar: &mut [f64],
        parameters: &mut [(Parameter, Vec<f64>)],
    ) -> Result<()> {
        const NODE: &str = "rollout pull";
        let (nv, na, nu) = (model.nv(), model.na, model.nu());
        let n = 2 * nv + na;
        let rows = self.check_run(NODE, model, controls)?;
        let steps = self.steps;
        length(NODE, "states' cotangents", states.len(), (steps + 1) * n)?;
        length(NODE, "controls' cotangents", control_bar.len(), rows * nu)?;
        for (what, got, want) in [
            ("start's qpos cotangent", start.qpos.len(), nv),
            ("start's qvel cotangent", start.qvel.len(), nv),
            ("start's act cotangent", start.act.len(), na),
            ("start's qfrc_applied cotangent", start.qfrc_applied.len(), nv),
        ] {
            length(NODE, what, got, want)?;
        }
        let [mut now, mut before] = std::mem::take(&mut self.cotangents);
        now.clear();
        let outcome = (0..=steps).rev().try_for_each(|t| {
            if t < steps {
                self.restore(model, t, controls);
                self.step.evaluate(model, &self.data)?;
                before.clear();
                self.step.pull(model, &now, &mut before)?;
                for (parameter, bar) in parameters.iter_mut() {
                    self.step.pull_parameter(model, *parameter, bar)?;
                }
                let row = if self.free { 0 } else { t * nu };
                for (sum, c) in control_bar[row..].iter_mut().zip(&before.ctrl) {
                    *sum += c;
                }
                for (sum, c) in start.qfrc_applied.iter_mut().zip(&before.qfrc_applied) {
                    *sum += c;
                }
                std::mem::swap(&mut now, &mut before);
            }
            let row = &states[t * n..(t + 1) * n];
            for (sum, c) in now.qpos.iter_mut().chain(&mut now.qvel).chain(&mut now.act).zip(row) {
                *sum += c;
            }
            Ok(())
        });
        if outcome.is_ok() {
            for (sum, c) in start.qpos.iter_mut().zip(&now.qpos) {
                *sum += c;
            }
            for (sum, c) in start.qvel.iter_mut().zip(&now.qvel) {
                *sum += c;
            }
            for (sum, c) in start.act.iter_mut().zip(&now.act) {
                *sum += c;
            }
        }
        self.cotangents = [now, before];
        self.end(model, controls);
        outcome
    }

    /// Moves tangents of the start, of controls and of parameters forward through the last run: the tangents of the states at all T + 1
    /// times, (T + 1) × (2·nv + na). Parameters cost one pull for each number of the state. `controls` are those of the run, `dcontrols` their
    /// tangents (T × nu); of a free run none, and those of the controls of the start (nu). Applied forces are held.
    ///
    /// # Errors
    /// As of [`Rollout::pull`].
    pub fn push(
        &mut self,
        model: &Model,
        controls: &[f64],
        start: &[f64],
        dcontrols: &[f64],
        dparameters: &[(Parameter, Vec<f64>)],
        out: &mut Vec<f64>,
    ) -> Result<()> {
        const NODE: &str = "rollout push";
        let nu = model.nu();
        let n = 2 * model.nv() + model.na;
        let rows = self.check_run(NODE, model, controls)?;
        length(NODE, "start's tangent", start.len(), n)?;
        length(NODE, "controls' tangents", dcontrols.len(), rows * nu)?;
        for (parameter, tangent) in dparameters {
            length(NODE, parameter.name(), tangent.len(), model.parameter(*parameter).len())?;
        }
        let outcome = self.push_steps(model, controls, start, dcontrols, dparameters, out);
        self.end(model, controls);
        outcome
    }

    fn push_steps(
        &mut self,
        model: &Model,
        controls: &[f64],
        start: &[f64],
        dcontrols: &[f64],
        dparameters: &[(Parameter, Vec<f64>)],
        out: &mut Vec<f64>,
    ) -> Result<()> {
        let (nv, nu) = (model.nv(), model.nu());
        let n = 2 * nv + model.na;
        let (mut here, mut next) = (Cotangent::zeros(model), Cotangent::zeros(model));
        out.clear();
        out.extend_from_slice(start);
        for t in 0..self.steps {
            self.restore(model, t, controls);
            self.step.evaluate(model, &self.data)?;
            let x = &out[t * n..(t + 1) * n];
            here.qpos.copy_from_slice(&x[..nv]);
            here.qvel.copy_from_slice(&x[nv..2 * nv]);
            here.act.copy_from_slice(&x[2 * nv..]);
            let row = if self.free { 0 } else { t * nu };
            here.ctrl.copy_from_slice(&dcontrols[row..row + nu]);
            self.step.push(model, &here, &mut next)?;
            out.extend(next.qpos.iter().chain(&next.qvel).chain(&next.act));
            let moved = self.push_parameters(model, dparameters)?;
            for (x, by) in out[(t + 1) * n..].iter_mut().zip(&moved) {
                *x += by;
            }
        }
        Ok(())
    }

    /// What tangents of parameters do to the step at hand, row by row; empty without any.
    fn push_parameters(
        &mut self,
        model: &Model,
        tangents: &[(Parameter, Vec<f64>)],
    ) -> Result<Vec<f64>> {
        let n = if tangents.is_empty() { 0 } else { 2 * model.nv() + model.na };
        let [unit, bar] = &mut self.cotangents;
        let mut out = Vec::with_capacity(n);
        for row in 0..n {
            unit.clear();
            if let Some(x) =
                unit.qpos.iter_mut().chain(&mut unit.qvel).chain(&mut unit.act).nth(row)
            {
                *x = 1.0;
            }
            self.step.pull(model, unit, bar)?;
            let mut sum = 0.0;
            for (parameter, tangent) in tangents {
                let mut slope = vec![0.0; tangent.len()];
                self.step.pull_parameter(model, *parameter, &mut slope)?;
                sum += slope.iter().zip(tangent).map(|(a, b)| a * b).sum::<f64>();
            }
            out.push(sum);
        }
        Ok(out)
    }
}
