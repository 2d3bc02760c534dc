//! Critical points, saddles included: where the gradient vanishes.
//!
//! ½‖∇f‖² is minimized as a least squares problem whose residual is g = ∇f and whose Jacobian is H = ∇²f. Its Levenberg-Marquardt step
//! min ‖g + H·p‖² + μ‖p‖² is taken in the Krylov space of g, where H·Q = Q⁺·T̄ with T̄ tridiagonal: with T̄ = U·S·Vᵀ and β = ‖g‖,
//! p = −β·Q·Σᵢ vᵢ·sᵢ/(sᵢ² + μ)·u₁ᵢ (Newton-MR, Roosta et al. 2018, with damping in place of a line search).
//!
//! ½‖∇f‖² has stationary points that are not critical: there H·g = 0 with g ≠ 0. Frye et al. 2020 found that most of what such methods
//! report in networks is of this kind. It is a status of its own here.

use std::sync::Arc;

use pullback_core_graph::linalg::svd;
use pullback_core_graph::{Error as Network, Function};

use super::basis::{add, norm};
use super::curvature::{Curvature, value_and_gradient};
use super::lanczos::{LanczosOptions, failed, lanczos};
use super::operator::check_finite;
use super::parameters::Parameters;
use crate::{Error, Result};

/// When [`find_critical_point`] stops.
#[derive(Debug, Clone, Copy)]
pub struct CriticalOptions {
    /// Converged where ‖∇f‖ is at most this.
    pub gradient: f64,
    /// The most steps.
    pub iterations: usize,
    /// The most Lanczos steps in each: the dimension of the space that a step is chosen from.
    pub krylov: usize,
    /// Gradient-flat where ‖H·g‖ is at most this times ‖H‖·‖g‖.
    pub flat: f64,
}

impl Default for CriticalOptions {
    fn default() -> Self {
        CriticalOptions { gradient: 1e-9, iterations: 200, krylov: 200, flat: 1e-6 }
    }
}

/// How the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CriticalStatus {
    /// ‖∇f‖ is small enough: a critical point.
    Converged,
    /// H·g ≈ 0 while g is not: no critical point, and no direction makes the gradient smaller.
    GradientFlat,
    /// The iterations are used up, or no step makes the gradient smaller in f64.
    Stalled,
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticalPoint {
    /// The parameters, end to end.
    pub parameters: Vec<f64>,
    /// The loss there.
    pub loss: f64,
    /// ‖∇f‖ there.
    pub gradient_norm: f64,
    /// Steps made.
    pub iterations: usize,
    /// How the search ended: only `Converged` is a critical point.
    pub status: CriticalStatus,
}

/// Looks for a critical point of any index near `start`.
///
/// Errors: a loss that has no second derivative, or is not finite at the start.
pub fn find_critical_point(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    start: &[f64],
    options: CriticalOptions,
) -> Result<CriticalPoint> {
    check_finite("start of the search for a critical point", "parameter", start)?;
    let mut x = start.to_vec();
    let mut here = Curvature::at(loss, &layout.unravel(&x)?)?;
    let (mut damping, mut iterations) = (1e-3, 0);
    loop {
        let (size, made) = (norm(here.gradient()), iterations);
        let end = |status| CriticalPoint {
            parameters: x.clone(),
            loss: here.loss(),
            gradient_norm: size,
            iterations: made,
            status,
        };
        if size <= options.gradient {
            return Ok(end(CriticalStatus::Converged));
        }
        if iterations == options.iterations {
            return Ok(end(CriticalStatus::Stalled));
        }
        iterations += 1;
        let model = Model::new(&here, options.krylov)?;
        if model.image <= options.flat * model.scale * size {
            return Ok(end(CriticalStatus::GradientFlat));
        }
        // Nielsen's rule for the damping, relative to ‖H‖².
        let mut factor = 2.0;
        let moved = loop {
            let (step, left) = model.step(damping);
            let mut trial = x.clone();
            add(1.0, &step, &mut trial);
            let tried = layout.unravel(&trial).and_then(|x| value_and_gradient(loss, &x));
            let after = match tried {
                Ok((_, g)) => norm(&g),
                // A step out of the domain is a step too long; other errors are errors.
                Err(Error::Invalid { .. } | Error::Network(Network::NotFinite { .. })) => {
                    f64::INFINITY
                }
                Err(other) => return Err(other),
            };
            let gain = (size - after) * (size + after) / ((size - left) * (size + left));
            if after < size && 1e-4 < gain {
                damping *= (1.0 - (2.0 * gain - 1.0).powi(3)).max(0.1);
                damping = damping.max(1e-16);
                break Some(trial);
            }
            damping = (damping * factor).max(1e-15);
            factor *= 2.0;
            if 1e12 < damping || step.iter().zip(&x).all(|(p, x)| p.abs() <= 1e-16 * x.abs()) {
                break None;
            }
        };
        match moved {
            Some(trial) => {
                here = Curvature::at(loss, &layout.unravel(&trial)?)?;
                x = trial;
            }
            None => return Ok(end(CriticalStatus::Stalled)),
        }
    }
}

/// ‖g + H·p‖ over the Krylov space of g.
struct Model {
    vectors: Vec<Vec<f64>>,
    gradient: f64,
    /// ‖H·g‖.
    image: f64,
    /// ‖H‖ on the space.
    scale: f64,
    u: Vec<f64>,
    s: Vec<f64>,
    vt: Vec<f64>,
}

impl Model {
    fn new(at: &Curvature, krylov: usize) -> Result<Self> {
        let gradient = norm(at.gradient());
        let options = LanczosOptions { steps: krylov, ..LanczosOptions::default() };
        let run = lanczos(at, Some(at.gradient()), options)?;
        let (alpha, beta) = (run.alpha(), run.beta());
        let k = alpha.len();
        let mut t = vec![0.0; (k + 1) * k];
        for j in 0..k {
            t[j * k + j] = alpha[j];
            t[(j + 1) * k + j] = beta[j];
            if j + 1 < k {
                t[j * k + j + 1] = beta[j];
            }
        }
        let (mut u, mut s, mut vt) = (vec![0.0; (k + 1) * k], vec![0.0; k], vec![0.0; k * k]);
        svd(1, k + 1, k, &t, &mut u, &mut s, &mut vt).map_err(failed)?;
        let (image, scale) = (gradient * alpha[0].hypot(beta[0]), s[0]);
        Ok(Model { vectors: run.vectors().to_vec(), gradient, image, scale, u, s, vt })
    }

    /// The step for the damping μ = `damping`·‖H‖², and ‖g + H·p‖ after it.
    fn step(&self, damping: f64) -> (Vec<f64>, f64) {
        let k = self.s.len();
        let mu = damping * self.scale * self.scale;
        let mut y = vec![0.0; k];
        let mut explained = 0.0;
        for i in 0..k {
            let (s, u) = (self.s[i], self.u[i]);
            if s <= 1e-14 * self.scale {
                continue;
            }
            let c = s / (s * s + mu) * u;
            add(-self.gradient * c, &self.vt[i * k..(i + 1) * k], &mut y);
            // u·(1 − s²/(s² + μ)) is left of this component.
            explained += u * u * (1.0 - (mu / (s * s + mu)).powi(2));
        }
        let mut p = vec![0.0; self.vectors[0].len()];
        y.iter().zip(&self.vectors).for_each(|(y, q)| add(*y, q, &mut p));
        (p, self.gradient * (1.0 - explained).max(0.0).sqrt())
    }
}
