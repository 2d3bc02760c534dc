//! Derivatives of unconstrained dynamics as matrices: τ(q, v, a) = M·a + c and a(q, v, τ) = M⁻¹·(τ − c).

use super::smooth::{Composite, Motions};
use crate::data::finite;
use crate::dynamics::{at_configuration, bias_force, solve};
use crate::error::length;
use crate::{Data, Model, Result};

/// Inverse and forward dynamics of the bare mechanism (no contacts, limits, passive or actuator forces) with their derivatives.
///
/// Armature counts as inertia; gravity acts. Tangents as everywhere: a rotation's are body axes. O(n·depth) for inverse dynamics, one
/// more factorization for forward dynamics. Source: Singh, Russo and Wensing, "Efficient analytical derivatives of rigid-body
/// dynamics using spatial vector algebra", RA-L 2022.
///
/// Results are those of the last `inverse` or `forward` that returned `Ok`, and zeros before the first: [`DynamicsDerivative::dtau_dq`] and
/// `dtau_dv` after `inverse`, [`DynamicsDerivative::dqacc_dq`], `dqacc_dv` and `minv` after `forward`.
///
/// ```
/// use pullback_diffphys::{Data, DynamicsDerivative, mjcf};
/// let model = mjcf::parse(r#"<mujoco><worldbody><body><joint name="j" axis="0 1 0"/><geom size="0.1" mass="2" pos="0 0 -1"/></body>
///     </worldbody></mujoco>"#)?;
/// let mut data = Data::new(&model);
/// let mut d = DynamicsDerivative::new(&model);
/// d.inverse(&model, &mut data, &[0.0])?;
/// // m·g·l at the bottom.
/// assert!((d.dtau_dq()[0] - 2.0 * 9.81).abs() < 1e-12);
/// # Ok::<(), pullback_diffphys::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DynamicsDerivative {
    motions: Motions,
    composite: Composite,
    force: Vec<f64>,
    acceleration: Vec<f64>,
    dq: Vec<f64>,
    dv: Vec<f64>,
    inverse: Vec<f64>,
}

impl DynamicsDerivative {
    /// Room for a model.
    pub fn new(model: &Model) -> Self {
        let nv = model.nv();
        Self {
            motions: Motions::default(),
            composite: Composite::default(),
            force: vec![0.0; nv],
            acceleration: vec![0.0; nv],
            dq: vec![0.0; nv * nv],
            dv: vec![0.0; nv * nv],
            inverse: vec![0.0; nv * nv],
        }
    }

    fn enter(
        &mut self,
        model: &Model,
        data: &mut Data,
        node: &'static str,
        (name, x): (&'static str, &[f64]),
    ) -> Result<()> {
        data.check(model, node)?;
        length(node, name, x.len(), model.nv())?;
        length(node, "this derivative's nv", self.force.len(), model.nv())?;
        finite(node, name, x)?;
        at_configuration(model, data);
        Ok(())
    }

    fn differentiate(&mut self, model: &Model, data: &Data) {
        self.motions.fill(model, data, &self.acceleration, false);
        self.composite.fill(model, data);
        self.dq.fill(0.0);
        self.dv.fill(0.0);
        let dv = Some(self.dv.as_mut_slice());
        self.composite.add_derivatives(model, data, &self.motions, None, 1.0, &mut self.dq, dv);
    }

    /// τ for the acceleration `qacc` (`nv`) at the positions and velocities of `data`, ∂τ/∂q, ∂τ/∂v; ∂τ/∂a is `data.qM()`.
    ///
    /// # Errors
    /// [`crate::Error::Length`], [`crate::Error::NotFinite`].
    pub fn inverse(&mut self, model: &Model, data: &mut Data, qacc: &[f64]) -> Result<()> {
        self.enter(model, data, "inverse derivative", ("qacc", qacc))?;
        self.acceleration.copy_from_slice(qacc);
        self.differentiate(model, data);
        for k in 0..model.nv() {
            let s = &data.cdof[k];
            let f = &self.motions.force[model.dof_bodyid[k]];
            let own = model.dof_armature[k] * qacc[k];
            self.force[k] = own + crate::spatial::motion::dot6(s, f);
        }
        let lists = [("tau", &self.force), ("dtau_dq", &self.dq), ("dtau_dv", &self.dv)];
        lists.into_iter().try_for_each(|(what, list)| finite("inverse derivative", what, list))
    }

    /// The acceleration for the forces `tau` (`nv`) at the positions and velocities of `data`, ∂a/∂q, ∂a/∂v and ∂a/∂τ = M⁻¹.
    ///
    /// # Errors
    /// [`crate::Error::Length`], [`crate::Error::NotFinite`].
    pub fn forward(&mut self, model: &Model, data: &mut Data, tau: &[f64]) -> Result<()> {
        self.enter(model, data, "forward derivative", ("tau", tau))?;
        let nv = model.nv();
        bias_force(model, data);
        for k in 0..nv {
            self.acceleration[k] = tau[k] - data.qfrc_bias[k];
        }
        let (parents, ld, diagonal) = (&model.dof_parentid, &data.qLD, &data.qLDiagInv);
        solve(parents, ld, diagonal, &mut self.acceleration);
        self.differentiate(model, data);
        self.force.copy_from_slice(tau);
        // M⁻¹, then −M⁻¹·∂τ.
        self.inverse.fill(0.0);
        for k in 0..nv {
            let row = &mut self.inverse[k * nv..(k + 1) * nv];
            row[k] = 1.0;
            solve(parents, ld, diagonal, row);
        }
        crate::dynamics::solve_rows(parents, ld, diagonal, nv, &mut self.dq);
        crate::dynamics::solve_rows(parents, ld, diagonal, nv, &mut self.dv);
        self.dq.iter_mut().chain(&mut self.dv).for_each(|x| *x = -*x);
        let lists = [
            ("qacc", &self.acceleration),
            ("dqacc_dq", &self.dq),
            ("dqacc_dv", &self.dv),
            ("minv", &self.inverse),
        ];
        lists.into_iter().try_for_each(|(what, list)| finite("forward derivative", what, list))
    }

    /// τ.
    pub fn tau(&self) -> &[f64] {
        &self.force
    }

    /// The acceleration.
    pub fn qacc(&self) -> &[f64] {
        &self.acceleration
    }

    /// After `inverse`: ∂τ/∂q, `nv × nv`, row-major.
    pub fn dtau_dq(&self) -> &[f64] {
        &self.dq
    }

    /// After `inverse`: ∂τ/∂v.
    pub fn dtau_dv(&self) -> &[f64] {
        &self.dv
    }

    /// After `forward`: ∂a/∂q.
    pub fn dqacc_dq(&self) -> &[f64] {
        &self.dq
    }

    /// After `forward`: ∂a/∂v.
    pub fn dqacc_dv(&self) -> &[f64] {
        &self.dv
    }

    /// After `forward`: M⁻¹.
    pub fn minv(&self) -> &[f64] {
        &self.inverse
    }
}
