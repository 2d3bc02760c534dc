//! Options of the simulation (`mjOption`).

use crate::{Error, Result};

/// How a step is integrated (`mjtIntegrator`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrator {
    /// Semi-implicit Euler, implicit in joint damping.
    Euler,
    /// Runge-Kutta of order 4.
    RungeKutta4,
    /// Implicit in the velocity derivative of passive and actuator forces, made symmetric. Free bodies to which nothing is jointed
    /// keep the slopes of their gyroscopic forces, as in MuJoCo since 3.11.
    ImplicitFast,
}

/// The shape of friction cones (`mjtCone`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cone {
    /// A pyramid: 2·(condim − 1) rows per contact.
    Pyramidal,
    /// An elliptic cone: condim rows per contact.
    Elliptic,
}

/// How the constrained problem is solved (`mjtSolver`). All of them reach the same minimum: the problem is strictly convex.
///
/// MJCF's `solver="PGS"` is read as [`Solver::Newton`]. MuJoCo's PGS solves the dual of the same problem; Newton's method here solves the primal,
/// and reaches what PGS comes near: MuJoCo 4.0.1's PGS ends 10⁻⁵ to 10⁻⁴ from it after its 100 iterations, and at it after 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// Newton's method with an exact line search.
    Newton,
    /// Preconditioned conjugate gradients with an exact line search.
    ConjugateGradient,
}

/// Options of the simulation, with MuJoCo's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Time step, s. 0.002.
    pub timestep: f64,
    /// Gravity, m/s². (0, 0, −9.81).
    pub gravity: [f64; 3],
    /// Density of the medium, kg/m³. 0.
    pub density: f64,
    /// Viscosity of the medium, Pa·s. 0.
    pub viscosity: f64,
    /// Velocity of the medium, m/s. 0.
    pub wind: [f64; 3],
    /// Ratio of frictional to normal impedance. 1.
    pub impratio: f64,
    /// Tolerance of the solver, relative to the trace of M. 1e−8.
    pub tolerance: f64,
    /// Tolerance of the line search. 0.01.
    pub ls_tolerance: f64,
    /// Iterations of the solver. 100.
    pub iterations: usize,
    /// Iterations of the line search. 50.
    pub ls_iterations: usize,
    /// Sweeps of the pass that takes out slip after the solver. 0: none. With it there are no derivatives of steps.
    pub noslip_iterations: usize,
    /// Tolerance of that pass. 1e−6.
    pub noslip_tolerance: f64,
    /// Integrator. Euler.
    pub integrator: Integrator,
    /// Friction cones. Pyramidal.
    pub cone: Cone,
    /// Solver. Newton.
    pub solver: Solver,
    /// Is Euler implicit in joint damping? Yes.
    pub eulerdamp: bool,
    /// Is `solref[0]` kept above two time steps? Yes.
    pub refsafe: bool,
    /// Are parent and child bodies kept from touching? Yes.
    pub filterparent: bool,
    /// All constraints. On.
    pub constraint: bool,
    /// Equality constraints. On.
    pub equality: bool,
    /// Dry friction. On.
    pub frictionloss: bool,
    /// Limits. On.
    pub limit: bool,
    /// Contacts. On.
    pub contact: bool,
    /// Springs. On.
    pub spring: bool,
    /// Dampers. On.
    pub damper: bool,
    /// Gravity. On.
    pub gravity_on: bool,
    /// Clamping of controls. On.
    pub clampctrl: bool,
    /// Actuators. On.
    pub actuation: bool,
    /// Does the solver start from the last acceleration? Yes.
    pub warmstart: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timestep: 0.002,
            gravity: [0.0, 0.0, -9.81],
            density: 0.0,
            viscosity: 0.0,
            wind: [0.0; 3],
            impratio: 1.0,
            tolerance: 1e-8,
            ls_tolerance: 0.01,
            iterations: 100,
            ls_iterations: 50,
            noslip_iterations: 0,
            noslip_tolerance: 1e-6,
            integrator: Integrator::Euler,
            cone: Cone::Pyramidal,
            solver: Solver::Newton,
            eulerdamp: true,
            refsafe: true,
            filterparent: true,
            constraint: true,
            equality: true,
            frictionloss: true,
            limit: true,
            contact: true,
            spring: true,
            damper: true,
            gravity_on: true,
            clampctrl: true,
            actuation: true,
            warmstart: true,
        }
    }
}

impl Options {
    /// Gravity as it acts, m/s².
    pub(crate) fn gravity_vector(&self) -> [f64; 3] {
        if self.gravity_on { self.gravity } else { [0.0; 3] }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong =
            |what: &str, value: f64| Err(Error::invalid("option", format!("{what} is {value}")));
        if !(self.timestep.is_finite() && self.timestep > 0.0) {
            return wrong("the timestep", self.timestep);
        }
        if let Some(&g) = self.gravity.iter().find(|g| !g.is_finite()) {
            return wrong("gravity", g);
        }
        for (what, value) in [("density", self.density), ("viscosity", self.viscosity)] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(what, value);
            }
        }
        if let Some(&w) = self.wind.iter().find(|w| !w.is_finite()) {
            return wrong("wind", w);
        }
        if !(self.impratio.is_finite() && self.impratio > 0.0) {
            return wrong("impratio", self.impratio);
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return wrong("the tolerance", self.tolerance);
        }
        if !(self.ls_tolerance.is_finite() && self.ls_tolerance >= 0.0) {
            return wrong("ls_tolerance", self.ls_tolerance);
        }
        if !(self.noslip_tolerance.is_finite() && self.noslip_tolerance >= 0.0) {
            return wrong("noslip_tolerance", self.noslip_tolerance);
        }
        Ok(())
    }
}
