//! Broyden's method: one Jacobian, then rank-one updates of its inverse.

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::linalg::inverse;
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Result};

use super::{
    RootProblem, RootSolver, check_settings, default_tolerance, largest, like, no_convergence,
    residual_at,
};

/// Broyden's good method, each element of the batch by itself: the Jacobian at the guess by pushes, its inverse B updated by
///
/// > B ← B + (s − B·r)·sᵀB/(sᵀB·r)  for the step s and the change r of F.
///
/// A step that does not make max |F| smaller is halved; after ten halvings the Jacobian is made anew, once for each time that it has helped
/// since. For residuals whose Jacobian costs much more than they do.
///
/// Errors: `NoConvergence`; `Matrix` where a Jacobian is singular. Source: Broyden, A class of methods for solving nonlinear simultaneous
/// equations, Mathematics of Computation 19, 1965.
#[derive(Debug, Clone, Copy)]
pub struct Broyden {
    /// The largest |F| at which it ends. Default: 10⁻¹⁰ for f64, 10⁻⁵ for f32.
    pub tolerance: Option<f64>,
    /// The most steps. Default 200.
    pub iterations: usize,
}

impl Default for Broyden {
    fn default() -> Self {
        Broyden { tolerance: None, iterations: 200 }
    }
}

impl RootSolver for Broyden {
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> Result<Tensor> {
        let tolerance = self.tolerance.unwrap_or_else(|| default_tolerance(guess));
        check_settings(problem, tolerance, &[], self.iterations)?;
        let (batch, n) = problem.sizes();
        let mut y = to_f64(guess)?;
        let mut r = to_f64(&problem.residual(guess)?)?;
        let mut b = inverses(problem, guess, &y)?;
        let mut fresh = true;
        let rows = |v: &[f64], k: usize| v[k * n..(k + 1) * n].to_vec();
        for iteration in 0..self.iterations {
            let norms: Vec<f64> = (0..batch).map(|k| largest(&r[k * n..(k + 1) * n])).collect();
            if norms.iter().all(|norm| *norm <= tolerance) {
                return like(guess, y);
            }
            let mut step = vec![0.0; y.len()];
            for k in (0..batch).filter(|&k| tolerance < norms[k]) {
                for i in 0..n {
                    let row = &b[(k * n + i) * n..(k * n + i + 1) * n];
                    step[k * n + i] = -row.iter().zip(&r[k * n..]).map(|(b, r)| b * r).sum::<f64>();
                }
            }
            let mut alpha = vec![1.0; batch];
            let mut found = None;
            for _ in 0..10 {
                let trial: Vec<f64> = (0..y.len()).map(|i| y[i] + alpha[i / n] * step[i]).collect();
                let next = residual_at(problem, guess, &trial)?;
                let better = |k: usize, next: &[f64]| {
                    norms[k] <= tolerance
                        || largest(&next[k * n..(k + 1) * n]) <= (1.0 - 1e-4 * alpha[k]) * norms[k]
                };
                let fails: Vec<usize> = match &next {
                    Some(next) => (0..batch).filter(|&k| !better(k, next)).collect(),
                    None => (0..batch).collect(),
                };
                if let Some(next) = next.filter(|_| fails.is_empty()) {
                    found = Some((trial, next));
                    break;
                }
                fails.into_iter().for_each(|k| alpha[k] *= 0.5);
            }
            let Some((trial, next)) = found else {
                if fresh {
                    return Err(no_convergence(problem, iteration + 1, largest(&r)));
                }
                b = inverses(problem, guess, &y)?;
                fresh = true;
                continue;
            };
            for k in (0..batch).filter(|&k| tolerance < norms[k]) {
                let (s, change): (Vec<f64>, Vec<f64>) = (
                    rows(&trial, k).iter().zip(rows(&y, k)).map(|(a, b)| a - b).collect(),
                    rows(&next, k).iter().zip(rows(&r, k)).map(|(a, b)| a - b).collect(),
                );
                update(n, &mut b[k * n * n..(k + 1) * n * n], &s, &change);
            }
            fresh = false;
            (y, r) = (trial, next);
        }
        Err(no_convergence(problem, self.iterations, largest(&r)))
    }
}

/// B ← B + (s − B·r)·sᵀB/(sᵀB·r), unless the denominator is lost in rounding.
fn update(n: usize, b: &mut [f64], s: &[f64], r: &[f64]) {
    let image: Vec<f64> =
        b.chunks_exact(n).map(|row| row.iter().zip(r).map(|(b, r)| b * r).sum()).collect();
    let mut left = vec![0.0; n];
    for (row, s) in b.chunks_exact(n).zip(s) {
        left.iter_mut().zip(row).for_each(|(l, b)| *l += s * b);
    }
    let scale: f64 = s.iter().zip(&image).map(|(s, i)| s * i).sum();
    let size: f64 = s.iter().map(|s| s * s).sum();
    if scale.is_nan() || scale.abs() <= 1e-8 * size {
        return;
    }
    for (i, row) in b.chunks_exact_mut(n).enumerate() {
        let factor = (s[i] - image[i]) / scale;
        row.iter_mut().zip(&left).for_each(|(b, l)| *b += factor * l);
    }
}

/// The inverses of the Jacobians, one for each element.
fn inverses(problem: &RootProblem<'_>, guess: &Tensor, y: &[f64]) -> Result<Vec<f64>> {
    let (batch, n) = problem.sizes();
    let (_, map) = problem.linearized(&like(guess, y.to_vec())?)?;
    let mut jacobian = vec![0.0; batch * n * n];
    for j in 0..n {
        let mut unit = vec![0.0; batch * n];
        unit.iter_mut().skip(j).step_by(n).for_each(|u| *u = 1.0);
        let mut direction = vec![None; 1 + problem.parameters().len()];
        direction[0] = Some(like(guess, unit)?);
        let Some(column) = map.push(&direction)?.into_iter().next().flatten() else { continue };
        for (i, v) in to_f64(&column)?.into_iter().enumerate() {
            jacobian[i * n + j] = v;
        }
    }
    let mut out = vec![0.0; jacobian.len()];
    inverse(batch, n, &jacobian, &mut out).map_err(|e| match e {
        pullback_core_graph::linalg::LinalgError::Singular {
            batch,
            pivot,
            value,
            reciprocal_condition,
        } => Error::Matrix {
            node: problem.name().into(),
            what: "singular: ∂F/∂y",
            batch,
            pivot,
            value,
            rcond: reciprocal_condition,
        },
        other => Error::external(problem.name(), other),
    })?;
    Ok(out)
}
