//! One step with its derivative: evaluated once, then pushed, pulled or written out as A and B.

use super::GradientReport;
use super::adjoint::{Adjoint, Cotangent, pull_inertia};
use super::contact::ContactMotions;
use super::dense::Dense;
use super::forces::activation_slopes;
use super::gyroscopic;
use super::jacobian::pull_slopes;
use super::parameter::{Implicit, Pulled};
use super::runge_kutta::RungeKutta;
use super::smooth::Motions;
use crate::dynamics::gyroscopic::Blocks;
use crate::dynamics::{factor, forward, solve};
use crate::error::length;
use crate::model::{Integrator, Parameter, Shape};
use crate::solve::factor_hessian;
use crate::spatial::Spatial;
use crate::{Data, Error, Model, Result};

/// A solve whose scaled gradient is above this has no derivative.
const NEEDED: f64 = 1e-7;

/// A solve whose scaled gradient is above this is continued, as far as rounding lets it.
const POLISHED: f64 = 1e-11;

/// A step and its derivative. Room for one model; reused, it allocates nothing once contacts have reached their largest number.
///
/// The state is x = (qpos, qvel, act), its tangent (nv, nv, na) numbers as in MuJoCo (`mj_integratePos`): a rotation's are body axes. The
/// derivative is that of the present piece: contact set, features and active rows frozen. At a clamped control, force or activation
/// exactly on its bound it is the one from inside.
///
/// ```
/// use pullback_diffphys::{Cotangent, Data, StepDerivative, mjcf};
/// let model = mjcf::parse(r#"<mujoco><worldbody><geom type="plane" size="1 1 1"/>
///     <body pos="0 0 0.095"><freejoint/><geom size="0.1"/></body></worldbody></mujoco>"#)?;
/// let data = Data::new(&model);
/// let mut step = StepDerivative::new(&model);
/// step.evaluate(&model, &data)?;
/// // d(height after the step): the contact pushes back harder the deeper it is.
/// let mut height = Cotangent::zeros(&model);
/// height.qpos[2] = 1.0;
/// let mut slope = Cotangent::zeros(&model);
/// step.pull(&model, &height, &mut slope)?;
/// assert!(slope.qpos[2] < 1.0 && slope.qvel[2] > 0.0);
/// # Ok::<(), pullback_diffphys::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StepDerivative {
    pub(super) data: Data,
    /// M·a, and the acceleration that the integrator steps by.
    pub(super) acceleration: Vec<f64>,
    pub(super) velocity: Vec<f64>,
    next_qpos: Vec<f64>,
    next_act: Vec<f64>,
    pub(super) hessian: Vec<f64>,
    /// Factor of the integrator's matrix M̂ and its 1/D; used if `implicit`.
    pub(super) implicit: bool,
    pub(super) factor: Vec<f64>,
    pub(super) inverse: Vec<f64>,
    /// The blocks of M̂ that are not in `factor`.
    pub(super) free: Blocks,
    pub(super) motions: Motions,
    pub(super) still: Motions,
    pub(super) contacts: ContactMotions,
    adjoint: Adjoint,
    pub(super) dense: Dense,
    scratch: [Vec<Spatial>; 2],
    /// Scratch for the change of implicitfast's matrix.
    pub(super) slopes: Cotangent,
    pub(super) rows: [Vec<f64>; 4],
    /// a − â.
    change: Vec<f64>,
    /// M̂⁻¹·h·v̄ of the last pull; h·v̄ if not `implicit`.
    weight: Vec<f64>,
    prepared: bool,
    pub(super) pulled: bool,
    /// Of the model that was evaluated.
    shape: Shape,
    /// The four solves, if the integrator is Runge-Kutta.
    pub(super) runge_kutta: Option<Box<RungeKutta>>,
}

impl StepDerivative {
    /// Room for a model.
    pub fn new(model: &Model) -> Self {
        let nv = model.nv();
        Self {
            data: Data::new(model),
            acceleration: vec![0.0; nv],
            velocity: vec![0.0; nv],
            next_qpos: vec![0.0; model.nq()],
            next_act: vec![0.0; model.na],
            hessian: vec![0.0; nv * nv],
            implicit: false,
            factor: vec![0.0; nv * nv],
            inverse: vec![0.0; nv],
            free: Blocks::default(),
            motions: Motions::default(),
            still: Motions::default(),
            contacts: ContactMotions::default(),
            adjoint: Adjoint::default(),
            dense: Dense::default(),
            scratch: [Vec::new(), Vec::new()],
            slopes: Cotangent::zeros(model),
            rows: [vec![0.0; nv], vec![0.0; nv], vec![0.0; nv], vec![0.0; nv]],
            change: vec![0.0; nv],
            weight: vec![0.0; nv],
            prepared: false,
            pulled: false,
            shape: model.shape(),
            runge_kutta: None,
        }
    }

    /// Takes the step from the state and inputs of `data`, which stays as it is, and keeps what its derivative needs.
    ///
    /// # Errors
    /// As of [`Model::step`]; [`Error::NotConverged`] if the solver's scaled gradient is above 10⁻⁷: raise `opt.iterations` or lower
    /// `opt.tolerance`. [`Error::NotDifferentiable`] with `noslip_iterations`.
    pub fn evaluate(&mut self, model: &Model, data: &Data) -> Result<()> {
        const NODE: &str = "step derivative";
        (self.prepared, self.pulled) = (false, false);
        data.check(model, NODE)?;
        length(NODE, "this StepDerivative's nv", self.velocity.len(), model.nv())?;
        self.data.check(model, NODE)?;
        self.shape = model.shape();
        if model.opt.integrator == Integrator::RungeKutta4 {
            let runge_kutta =
                self.runge_kutta.get_or_insert_with(|| Box::new(RungeKutta::new(model)));
            let next = (
                self.next_qpos.as_mut_slice(),
                self.velocity.as_mut_slice(),
                self.next_act.as_mut_slice(),
            );
            runge_kutta.evaluate(model, data, next)?;
            crate::data::finite(NODE, "qvel", &self.velocity)?;
            self.prepared = true;
            return Ok(());
        }
        self.runge_kutta = None;
        let own = &mut self.data;
        own.copy_inputs(data);
        solved(model, own)?;
        self.integrate(model);
        crate::data::finite(NODE, "qvel", &self.velocity)?;
        self.prepare(model);
        self.prepared = true;
        Ok(())
    }

    /// The integrator's acceleration and the next state.
    fn integrate(&mut self, model: &Model) {
        let (nv, h, data) = (model.nv(), model.opt.timestep, &self.data);
        self.implicit = match model.opt.integrator {
            Integrator::Euler => model.damps_implicitly(),
            _ => true,
        };
        self.acceleration.copy_from_slice(&data.qacc);
        self.free.clear();
        if self.implicit {
            self.factor.copy_from_slice(&data.qM);
            if model.opt.integrator == Integrator::Euler {
                for k in 0..nv {
                    self.factor[k * nv + k] += h * model.dof_damping[k];
                }
            } else {
                let factor = &mut self.factor;
                model.velocity_slopes(data, |i, j, slope| factor[i * nv + j] -= h * slope);
                self.free.take(model, data, factor);
            }
            factor(&model.dof_parentid, &mut self.factor, &mut self.inverse);
            for k in 0..nv {
                self.acceleration[k] = data.qfrc_smooth[k] + data.qfrc_constraint[k];
            }
            solve(&model.dof_parentid, &self.factor, &self.inverse, &mut self.acceleration);
            self.free.solve(&mut self.acceleration);
        }
        for k in 0..nv {
            self.velocity[k] = data.qvel[k] + h * self.acceleration[k];
        }
        self.next_qpos.copy_from_slice(&data.qpos);
        model.move_along(&mut self.next_qpos, &self.velocity, h);
        self.next_act.copy_from_slice(&data.act);
        for actuator in 0..model.nu() {
            let adr = model.actuator_actadr[actuator];
            if adr < model.na {
                self.next_act[adr] = crate::dynamics::next_activation(
                    model,
                    actuator,
                    data.act[adr],
                    data.act_dot[adr],
                    h,
                );
            }
        }
    }

    /// What pulls and Jacobians share.
    fn prepare(&mut self, model: &Model) {
        let data = &self.data;
        factor_hessian(model, data, &mut self.hessian);
        self.motions.fill(model, data, &data.qacc, false);
        self.contacts.fill(model, data);
        if self.implicit {
            // a − â, whose inertial force the integrator's matrix leaves out.
            for k in 0..model.nv() {
                self.change[k] = data.qacc[k] - self.acceleration[k];
            }
            self.still.fill(model, data, &self.change, true);
        }
    }

    /// The data of the step: forward dynamics at its start. Of a new model's before the first `evaluate`.
    pub fn data(&self) -> &Data {
        self.runge_kutta.as_ref().map_or(&self.data, |r| r.data())
    }

    /// The next positions, velocities and activations, of the last [`StepDerivative::evaluate`] that returned `Ok`. Before that they are no
    /// state: zeros, or what a failed step left.
    pub fn next(&self) -> (&[f64], &[f64], &[f64]) {
        (&self.next_qpos, &self.velocity, &self.next_act)
    }

    /// How near the step is to where its derivative changes; of Runge-Kutta, its first stage. Without rows before the first `evaluate`.
    pub fn report(&self) -> GradientReport {
        GradientReport::new(self.data())
    }

    /// A step of this model has been evaluated.
    pub(super) fn ready(&self, model: &Model) -> Result<()> {
        if self.prepared {
            self.shape.same("step derivative", "the step that was evaluated", model)
        } else {
            Err(Error::invalid("step derivative", "no step has been evaluated"))
        }
    }

    /// Adds to `out` the cotangents of the start for the cotangents of the next state: out += (∂x⁺/∂(x, u))ᵀ·next. `next.ctrl` and
    /// `next.qfrc_applied` are not looked at.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Invalid`] before the first `evaluate` and for another model or other options than its; [`Error::NotFinite`].
    pub fn pull(&mut self, model: &Model, next: &Cotangent, out: &mut Cotangent) -> Result<()> {
        self.ready(model)?;
        for (what, want, a, b) in [
            ("qpos cotangent", model.nv(), &next.qpos, &out.qpos),
            ("qvel cotangent", model.nv(), &next.qvel, &out.qvel),
            ("act cotangent", model.na, &next.act, &out.act),
        ] {
            length("pull", what, a.len(), want)?;
            length("pull", what, b.len(), want)?;
        }
        for (what, list) in [
            ("next.qpos", &next.qpos),
            ("next.qvel", &next.qvel),
            ("next.act", &next.act),
            ("out.qpos", &out.qpos),
            ("out.qvel", &out.qvel),
        ] {
            crate::data::finite("pull", what, list)?;
        }
        length("pull", "ctrl cotangent", out.ctrl.len(), model.nu())?;
        length("pull", "qfrc_applied cotangent", out.qfrc_applied.len(), model.nv())?;
        if let Some(runge_kutta) = &mut self.runge_kutta {
            runge_kutta.pull(model, next, out);
        } else {
            self.pull_single(model, next, out);
        }
        self.pulled = true;
        crate::data::finite("pull", "the cotangent of qpos", &out.qpos)?;
        crate::data::finite("pull", "the cotangent of qvel", &out.qvel)
    }

    /// The pull of a step with one solve.
    fn pull_single(&mut self, model: &Model, next: &Cotangent, out: &mut Cotangent) {
        let (nv, h) = (model.nv(), model.opt.timestep);
        let [turn, velocity, qacc, _] = &mut self.rows;
        let weight = &mut self.weight;
        // q⁺ = q ⊕ h·v⁺.
        for k in 0..nv {
            turn[k] = h * self.velocity[k];
            weight[k] = 0.0;
        }
        model.pull_position(turn, &next.qpos, &mut out.qpos, weight);
        for k in 0..nv {
            velocity[k] = next.qvel[k] + h * weight[k];
            out.qvel[k] += velocity[k];
            qacc[k] = h * velocity[k];
        }
        let data = &self.data;
        if self.implicit {
            // â = M̂⁻¹·M·a: w = M̂⁻ᵀ·h·v̄, ā = M·w, and wᵀ·(δM·(a − â) + h·δD·â − h·δC·â), C of lone free bodies.
            weight.copy_from_slice(qacc);
            solve(&model.dof_parentid, &self.factor, &self.inverse, weight);
            self.free.solve_transposed(weight);
            qacc.fill(0.0);
            crate::dynamics::multiply_inertia(&model.dof_parentid, &data.qM, weight, qacc);
            pull_inertia(model, data, &self.still, weight, &mut self.scratch, &mut out.qpos);
            if model.opt.integrator == Integrator::ImplicitFast {
                let at = (weight.as_slice(), self.acceleration.as_slice());
                let how = (self.motions.psi.as_slice(), &self.contacts.bends);
                pull_slopes(model, data, how, at, out);
                gyroscopic::pull(model, data, at, out);
            }
        } else {
            weight.copy_from_slice(qacc);
        }
        self.adjoint.pull(model, data, &self.hessian, &self.motions, &self.contacts, qacc, out);
        for actuator in 0..model.nu() {
            let adr = model.actuator_actadr[actuator];
            if adr < model.na {
                let (by_ctrl, by_act) = activation_slopes(model, data, actuator, h);
                out.act[adr] += by_act * next.act[adr];
                out.ctrl[actuator] += by_ctrl * next.act[adr];
            }
        }
    }

    /// Euler's matrix is M as long as there is no damping, but damping would be in it: then M⁻¹·h·v̄ of the last pull.
    fn undamped(&self, model: &Model, parameter: Parameter) -> Option<Vec<f64>> {
        let wanted = parameter == Parameter::DofDamping && model.opt.eulerdamp && !self.implicit;
        wanted.then(|| {
            let mut weight = self.weight.clone();
            let data = &self.data;
            solve(&model.dof_parentid, &data.qLD, &data.qLDiagInv, &mut weight);
            weight
        })
    }

    /// Adds to `out` the cotangent of a parameter that belongs to the last `pull`: out += (∂x⁺/∂parameter)ᵀ·next.
    ///
    /// Constants that the compiler derived (`invweight0`) are held, see [`Parameter`]. Contact parameters of explicit pairs are not geoms'.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Invalid`] before the first `pull` (with Runge-Kutta also after `jacobians` and `push`, which pull what is
    /// not asked for), for another model than the evaluated one, and for sizes of geoms where tendons wrap around geoms; [`Error::NotFinite`].
    pub fn pull_parameter(
        &self,
        model: &Model,
        parameter: Parameter,
        out: &mut [f64],
    ) -> Result<()> {
        self.ready(model)?;
        if !self.pulled {
            return Err(Error::invalid("pull_parameter", "nothing has been pulled since the step"));
        }
        if parameter == Parameter::GeomSize && model.wraps() {
            let what = "tendons around geoms have no derivative in the geoms' radii here";
            return Err(Error::invalid("pull_parameter geom_size", what));
        }
        let want = model.parameter(parameter).len();
        length("pull_parameter", parameter.name(), out.len(), want)?;
        if let Some(runge_kutta) = &self.runge_kutta {
            runge_kutta.pull_parameter(model, parameter, out);
            return crate::data::finite("pull_parameter", parameter.name(), out);
        }
        let implicit = self.implicit.then(|| Implicit {
            weight: &self.weight,
            weight_bodies: &self.scratch[0],
            change: &self.change,
            change_bodies: &self.still.pure,
            acceleration: &self.acceleration,
        });
        let pulled = Pulled {
            model,
            data: &self.data,
            adjoint: &self.adjoint,
            pure: &self.motions.pure,
            accelerations: &self.motions.acceleration,
            contacts: &self.contacts.list,
            implicit,
            undamped: self.undamped(model, parameter),
        };
        pulled.add(parameter, out);
        crate::data::finite("pull_parameter", parameter.name(), out)
    }
}

/// Forward dynamics at the state of `data`, solved as exactly as a derivative needs.
pub(super) fn solved(model: &Model, data: &mut Data) -> Result<()> {
    const NODE: &str = "step derivative";
    if model.opt.noslip_iterations > 0 {
        let what = format!("noslip_iterations = {}", model.opt.noslip_iterations);
        return Err(Error::NotDifferentiable { node: NODE, what });
    }
    forward(model, data)?;
    if data.solve.gradient > POLISHED {
        // A step may stop earlier than a derivative can.
        data.qacc_warmstart.copy_from_slice(&data.qacc);
        crate::solve::solve_to(model, data, 0.0);
        crate::data::finite(NODE, "qacc", &data.qacc)?;
    }
    let stats = data.solve;
    if stats.gradient <= NEEDED {
        return Ok(());
    }
    Err(Error::NotConverged {
        node: NODE,
        iterations: stats.iterations,
        gradient: stats.gradient,
        needed: NEEDED,
    })
}
