//! Newton's method without a matrix.

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Result};

use super::krylov::Gmres;
use super::{
    RootProblem, RootSolver, check_settings, default_tolerance, largest, like, no_convergence,
    residual_at,
};

/// Newton's method whose linear systems are solved by GMRES from pushes through F, the whole batch as one system.
///
/// The forcing term follows Eisenstat and Walker (Choosing the forcing terms in an inexact Newton method, 1996, choice 2); steps are halved
/// until max |F| falls. Errors: `NoConvergence`.
#[derive(Debug, Clone, Copy)]
pub struct NewtonKrylov {
    /// The largest |F| at which it ends. Default: 10⁻¹⁰ for f64, 10⁻⁵ for f32.
    pub tolerance: Option<f64>,
    /// The most Newton steps. Default 100.
    pub iterations: usize,
    /// The linear solver; its tolerance is the least that is asked of a step.
    pub gmres: Gmres,
}

impl Default for NewtonKrylov {
    fn default() -> Self {
        NewtonKrylov { tolerance: None, iterations: 100, gmres: Gmres::default() }
    }
}

impl RootSolver for NewtonKrylov {
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> Result<Tensor> {
        let tolerance = self.tolerance.unwrap_or_else(|| default_tolerance(guess));
        check_settings(problem, tolerance, &[], self.iterations)?;
        let mut y = to_f64(guess)?;
        let (mut forcing, mut before) = (0.1f64, f64::NAN);
        for iteration in 0..=self.iterations {
            let at = like(guess, y.clone())?;
            let (r, map) = problem.linearized(&at)?;
            let r = to_f64(&r)?;
            let norm = largest(&r);
            if norm <= tolerance {
                return like(guess, y);
            }
            if iteration == self.iterations {
                return Err(no_convergence(problem, iteration, norm));
            }
            if iteration > 0 {
                let ratio = 0.9 * (norm / before).powi(2);
                forcing = ratio.max(0.9 * forcing * forcing).clamp(0.0, 0.1);
            }
            before = norm;
            let slots = 1 + problem.parameters().len();
            let apply = |d: &[f64]| -> Result<Vec<f64>> {
                let mut direction = vec![None; slots];
                direction[0] = Some(like(guess, d.to_vec())?);
                match map.push(&direction)?.into_iter().next().flatten() {
                    Some(image) => to_f64(&image),
                    None => Ok(vec![0.0; d.len()]),
                }
            };
            // No more exact than F needs to be small, either.
            let goal = forcing.max(0.5 * tolerance / norm).min(0.1).max(self.gmres.tolerance);
            let minus: Vec<f64> = r.iter().map(|r| -r).collect();
            let (step, error) = Gmres { tolerance: goal, ..self.gmres }.solve(&minus, &apply)?;
            if error.is_nan() || 0.99 < error {
                return Err(Error::Matrix {
                    node: problem.name().into(),
                    what: "singular: GMRES gains nothing on ∂F/∂y",
                    batch: 0,
                    pivot: 0,
                    value: error,
                    rcond: f64::NAN,
                });
            }
            let mut alpha = 1.0;
            loop {
                let trial: Vec<f64> = y.iter().zip(&step).map(|(y, d)| y + alpha * d).collect();
                if let Some(r) = residual_at(problem, guess, &trial)?
                    && largest(&r) <= (1.0 - 1e-4 * alpha) * norm
                {
                    y = trial;
                    break;
                }
                alpha *= 0.5;
                if alpha < 1e-12 {
                    return Err(no_convergence(problem, iteration + 1, norm));
                }
            }
        }
        Err(no_convergence(problem, self.iterations, before))
    }
}
