//! The state of one simulation and everything computed from it, with the names of `mjData`. One per thread; nothing is allocated per step.

use crate::collide::Contact;
use crate::constraint::Rows;
use crate::error::length;
use crate::model::arrays;
use crate::spatial::motion::Inertia;
use crate::spatial::{IDENTITY, Mat3, Quat, Spatial, Vec3, quaternion};
use crate::{Error, Model, Result};

arrays! {
    /// State, inputs and results of one simulation.
    ///
    /// The inputs are public vectors: `qpos`, `qvel`, `act`, `ctrl`, `qfrc_applied`, `xfrc_applied`, `mocap_pos`, `mocap_quat`,
    /// `qacc_warmstart`. Keep their lengths;
    /// every entry point checks them. Everything else is computed, and read by methods.
    #[derive(Debug, Clone)]
    Data {
        /// Acceleration, `nv`.
        qacc: f64,
        /// Unconstrained acceleration, `nv`.
        qacc_smooth: f64,
        /// Positions of bodies, m.
        xpos: Vec3,
        /// Orientations of bodies.
        xquat: Quat,
        /// Orientations of bodies, row-major.
        xmat: Mat3,
        /// Centres of mass, m.
        xipos: Vec3,
        /// Principal axes, row-major.
        ximat: Mat3,
        /// Anchors of joints, m.
        xanchor: Vec3,
        /// Axes of joints.
        xaxis: Vec3,
        /// Positions of geoms, m.
        geom_xpos: Vec3,
        /// Orientations of geoms, row-major.
        geom_xmat: Mat3,
        /// Positions of sites, m.
        site_xpos: Vec3,
        /// Orientations of sites, row-major.
        site_xmat: Mat3,
        /// Centre of mass of each body's subtree, m.
        subtree_com: Vec3,
        /// Motion axis of each degree of freedom, about the centre of mass of its tree.
        cdof: Spatial,
        /// Inertia of each body about the centre of mass of its tree.
        cinert: Inertia,
        /// Composite inertia of each body's subtree.
        crb: Inertia,
        /// Joint-space inertia, `nv × nv`, both triangles.
        qM: f64,
        /// Factor of the inertia, M = Lᵀ·D·L: L below the diagonal, D on it; only entries of tree ancestors.
        qLD: f64,
        /// 1/D, `nv`.
        qLDiagInv: f64,
        /// Velocity of each body about the centre of mass of its tree.
        cvel: Spatial,
        /// Time derivative of `cdof` (of a ball's three together).
        cdof_dot: Spatial,
        /// Coriolis, centrifugal and gravity forces, `nv`.
        qfrc_bias: f64,
        /// Springs, dampers and gravity compensation, `nv`.
        qfrc_passive: f64,
        /// Forces of actuators, `nv`.
        qfrc_actuator: f64,
        /// All forces but those of constraints and inertia, `nv`.
        qfrc_smooth: f64,
        /// Forces of constraints, `nv`.
        qfrc_constraint: f64,
        /// The force that explains `qacc`, from [`Model::inverse`].
        qfrc_inverse: f64,
        /// Lengths of tendons.
        ten_length: f64,
        /// Velocities of tendons.
        ten_velocity: f64,
        /// Derivatives of the tendons' lengths in the positions, `ntendon × nv`.
        ten_J: f64,
        /// Moments of the actuators, `nu × nv`: what a force of 1 does to each degree of freedom.
        actuator_moment: f64,
        /// Lengths of actuators.
        actuator_length: f64,
        /// Velocities of actuators.
        actuator_velocity: f64,
        /// Forces of actuators.
        actuator_force: f64,
        /// Time derivative of `act`.
        act_dot: f64,
        /// Contacts.
        contact: Contact,
    } plain {
        /// Rows of the constrained problem: Jacobian, parameters, forces.
        efc: Rows,
        /// How the last solve went.
        solve: SolveStats,
    } inputs {
        /// Time, s.
        time: f64,
        /// Positions, `nq`.
        qpos: Vec<f64>,
        /// Velocities, `nv`.
        qvel: Vec<f64>,
        /// Activations, `na`.
        act: Vec<f64>,
        /// Controls, `nu`.
        ctrl: Vec<f64>,
        /// Applied generalized forces, `nv`.
        qfrc_applied: Vec<f64>,
        /// Applied forces (force; torque) at the centres of mass, one per body.
        xfrc_applied: Vec<[f64; 6]>,
        /// Positions of the bodies that are moved from outside, m, `nmocap`.
        mocap_pos: Vec<Vec3>,
        /// Orientations of the bodies that are moved from outside, `nmocap`.
        mocap_quat: Vec<Quat>,
        /// Where the solver starts, `nv`.
        qacc_warmstart: Vec<f64>,
    } hidden {
        /// Room for intermediate results.
        scratch: Scratch,
    }
}

/// How the constrained problem was solved; of a step of Runge-Kutta, all four of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SolveStats {
    /// Iterations; of Runge-Kutta the sum.
    pub iterations: usize,
    /// Norm of the gradient at the end, divided by the norm of the forces in it; of Runge-Kutta the largest.
    pub gradient: f64,
}

/// `solved in 5 iterations to 1.0e-15`, the scaled gradient.
impl std::fmt::Display for SolveStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { iterations, gradient, .. } = self;
        write!(f, "solved in {iterations} iterations to {gradient:.1e}")
    }
}

/// Room for intermediate results of sweeps; kept so that a step allocates nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    pub(crate) body: Vec<Spatial>,
    pub(crate) force: Vec<Spatial>,
    pub(crate) dof: Vec<f64>,
    pub(crate) stage: Stages,
    pub(crate) newton: crate::solve::Workspace,
    pub(crate) noslip: crate::solve::NoSlip,
    pub(crate) broad: crate::collide::Broad,
    pub(crate) free: crate::dynamics::gyroscopic::Blocks,
    /// Was the joint's total actuator force outside its limits before it was clamped? One per joint.
    pub(crate) clamped: Vec<bool>,
}

/// Stages of Runge-Kutta.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stages {
    pub(crate) qpos: Vec<f64>,
    pub(crate) qvel: Vec<f64>,
    pub(crate) act: Vec<f64>,
    pub(crate) velocity: Vec<Vec<f64>>,
    pub(crate) acceleration: Vec<Vec<f64>>,
    pub(crate) activation: Vec<Vec<f64>>,
}

impl Data {
    /// Room for simulations of a model, at its reference configuration and at rest.
    pub fn new(model: &Model) -> Self {
        let (nv, nu, nbody) = (model.nv(), model.nu(), model.nbody());
        let (njnt, ngeom, nsite) = (model.njnt(), model.ngeom(), model.site_pos.len());
        let zeros = || vec![0.0; nv];
        let stage = || (0..4).map(|_| vec![0.0; nv]).collect::<Vec<_>>();
        Self {
            time: 0.0,
            qpos: model.qpos0.clone(),
            qvel: zeros(),
            act: vec![0.0; model.na],
            ctrl: vec![0.0; nu],
            qfrc_applied: zeros(),
            xfrc_applied: vec![[0.0; 6]; nbody],
            qacc_warmstart: zeros(),
            mocap_pos: of_moved(model, &model.body_pos),
            mocap_quat: of_moved(model, &model.body_quat),
            qacc: zeros(),
            qacc_smooth: zeros(),
            xpos: vec![[0.0; 3]; nbody],
            xquat: vec![quaternion::UNIT; nbody],
            xmat: vec![IDENTITY; nbody],
            xipos: vec![[0.0; 3]; nbody],
            ximat: vec![IDENTITY; nbody],
            xanchor: vec![[0.0; 3]; njnt],
            xaxis: vec![[0.0; 3]; njnt],
            geom_xpos: vec![[0.0; 3]; ngeom],
            geom_xmat: vec![IDENTITY; ngeom],
            site_xpos: vec![[0.0; 3]; nsite],
            site_xmat: vec![IDENTITY; nsite],
            subtree_com: vec![[0.0; 3]; nbody],
            cdof: vec![[0.0; 6]; nv],
            cinert: vec![[0.0; 10]; nbody],
            crb: vec![[0.0; 10]; nbody],
            qM: vec![0.0; nv * nv],
            qLD: vec![0.0; nv * nv],
            qLDiagInv: zeros(),
            cvel: vec![[0.0; 6]; nbody],
            cdof_dot: vec![[0.0; 6]; nv],
            qfrc_bias: zeros(),
            qfrc_passive: zeros(),
            qfrc_actuator: zeros(),
            qfrc_smooth: zeros(),
            qfrc_constraint: zeros(),
            qfrc_inverse: zeros(),
            ten_length: vec![0.0; model.ntendon()],
            ten_velocity: vec![0.0; model.ntendon()],
            ten_J: vec![0.0; model.ntendon() * nv],
            actuator_moment: vec![0.0; nu * nv],
            actuator_length: vec![0.0; nu],
            actuator_velocity: vec![0.0; nu],
            actuator_force: vec![0.0; nu],
            act_dot: vec![0.0; model.na],
            contact: Vec::new(),
            efc: Rows::default(),
            solve: SolveStats::default(),
            scratch: Scratch {
                body: vec![[0.0; 6]; nbody],
                force: vec![[0.0; 6]; nbody],
                dof: zeros(),
                clamped: vec![false; njnt],
                stage: Stages {
                    qpos: model.qpos0.clone(),
                    qvel: zeros(),
                    act: vec![0.0; model.na],
                    velocity: stage(),
                    acceleration: stage(),
                    activation: (0..4).map(|_| vec![0.0; model.na]).collect(),
                },
                ..Scratch::default()
            },
        }
    }

    /// Back to the reference configuration, at rest, without inputs.
    pub fn reset(&mut self, model: &Model) {
        *self = Self::new(model);
    }

    /// Back to keyframe `key`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such keyframe.
    pub fn reset_to_key(&mut self, model: &Model, key: usize) -> Result<()> {
        let Some(frame) = model.key.get(key) else {
            let what = format!("there is no keyframe {key}; the model has {}", model.key.len());
            return Err(Error::invalid("reset_to_key", what));
        };
        self.reset(model);
        self.time = frame.time;
        self.qpos.clone_from(&frame.qpos);
        self.qvel.clone_from(&frame.qvel);
        self.act.clone_from(&frame.act);
        self.ctrl.clone_from(&frame.ctrl);
        self.mocap_pos.clone_from(&frame.mpos);
        self.mocap_quat.clone_from(&frame.mquat);
        Ok(())
    }

    /// State and inputs of another data of the same model; nothing is allocated.
    pub(crate) fn copy_inputs(&mut self, other: &Data) {
        self.time = other.time;
        self.qpos.copy_from_slice(&other.qpos);
        self.qvel.copy_from_slice(&other.qvel);
        self.act.copy_from_slice(&other.act);
        self.ctrl.copy_from_slice(&other.ctrl);
        self.qfrc_applied.copy_from_slice(&other.qfrc_applied);
        self.xfrc_applied.copy_from_slice(&other.xfrc_applied);
        self.mocap_pos.copy_from_slice(&other.mocap_pos);
        self.mocap_quat.copy_from_slice(&other.mocap_quat);
        self.qacc_warmstart.copy_from_slice(&other.qacc_warmstart);
    }

    /// The inputs have the model's lengths and are finite.
    pub(crate) fn check(&self, model: &Model, node: &'static str) -> Result<()> {
        let nv = model.nv();
        length(node, "qpos", self.qpos.len(), model.nq())?;
        length(node, "qvel", self.qvel.len(), nv)?;
        length(node, "act", self.act.len(), model.na)?;
        length(node, "ctrl", self.ctrl.len(), model.nu())?;
        length(node, "qfrc_applied", self.qfrc_applied.len(), nv)?;
        length(node, "xfrc_applied", self.xfrc_applied.len(), model.nbody())?;
        length(node, "qacc_warmstart", self.qacc_warmstart.len(), nv)?;
        length(node, "mocap_pos", self.mocap_pos.len(), model.nmocap())?;
        length(node, "mocap_quat", self.mocap_quat.len(), model.nmocap())?;
        // A Data of another model.
        length(node, "xpos of this Data", self.xpos.len(), model.nbody())?;
        length(node, "cdof of this Data", self.cdof.len(), nv)?;
        length(node, "xanchor of this Data", self.xanchor.len(), model.njnt())?;
        length(node, "geom_xpos of this Data", self.geom_xpos.len(), model.ngeom())?;
        length(node, "site_xpos of this Data", self.site_xpos.len(), model.site_pos.len())?;
        length(node, "ten_length of this Data", self.ten_length.len(), model.ntendon())?;
        finite(node, "qpos", &self.qpos)?;
        finite(node, "qvel", &self.qvel)?;
        finite(node, "act", &self.act)?;
        finite(node, "ctrl", &self.ctrl)?;
        finite(node, "mocap_pos", self.mocap_pos.as_flattened())?;
        finite(node, "mocap_quat", self.mocap_quat.as_flattened())?;
        finite(node, "qfrc_applied", &self.qfrc_applied)?;
        finite(node, "xfrc_applied", self.xfrc_applied.as_flattened())
    }
}

/// Of the bodies that are moved from outside, in order.
pub(crate) fn of_moved<T: Copy>(model: &Model, of_bodies: &[T]) -> Vec<T> {
    let moved = |body: &usize| model.body_mocapid[*body] != usize::MAX;
    (0..model.nbody()).filter(moved).map(|body| of_bodies[body]).collect()
}

/// All numbers are finite; else the first that is not, by its index.
pub(crate) fn finite(node: &'static str, what: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(k) => Err(Error::NotFinite { node, what: format!("{what}[{k}] = {}", values[k]) }),
    }
}
