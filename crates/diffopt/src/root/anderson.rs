//! Anderson's acceleration of the iteration y ← y + βF(y).

use pullback_core_graph::Result;
use pullback_core_graph::candle::Tensor;
use pullback_core_graph::linalg::solve_positive_definite;
use pullback_core_graph::tensor::to_f64;

use super::{
    RootProblem, RootSolver, check_settings, default_tolerance, largest, like, no_convergence,
};

/// Anderson's acceleration (type II), each element of the batch by itself: with the last m changes Δy and ΔF as columns,
///
/// > γ = argmin ‖F − ΔF·γ‖,  y ← y + βF − (Δy + βΔF)·γ.
///
/// For F(y) = T(y) − y and β = 1 this accelerates the fixed-point iteration. Needs no derivatives. Errors: `NoConvergence`.
///
/// Source: Anderson, Iterative procedures for nonlinear integral equations, 1965; Walker and Ni, Anderson acceleration for fixed-point
/// iterations, 2011.
#[derive(Debug, Clone, Copy)]
pub struct Anderson {
    /// The largest |F| at which it ends. Default: 10⁻¹⁰ for f64, 10⁻⁵ for f32.
    pub tolerance: Option<f64>,
    /// The most iterations. Default 500.
    pub iterations: usize,
    /// How many changes are remembered; 0 is the plain iteration. Default 5.
    pub memory: usize,
    /// β. Default 1.
    pub mixing: f64,
}

impl Default for Anderson {
    fn default() -> Self {
        Anderson { tolerance: None, iterations: 500, memory: 5, mixing: 1.0 }
    }
}

/// What is remembered of one element.
#[derive(Default)]
struct History {
    y: Vec<Vec<f64>>,
    f: Vec<Vec<f64>>,
}

impl RootSolver for Anderson {
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> Result<Tensor> {
        let tolerance = self.tolerance.unwrap_or_else(|| default_tolerance(guess));
        check_settings(problem, tolerance, &[("mixing", self.mixing)], self.iterations)?;
        let (batch, n) = problem.sizes();
        let mut y = to_f64(guess)?;
        let mut histories: Vec<History> = (0..batch).map(|_| History::default()).collect();
        let mut last: Option<(Vec<f64>, Vec<f64>)> = None;
        let mut residual = f64::INFINITY;
        for _ in 0..self.iterations {
            let f = to_f64(&problem.residual(&like(guess, y.clone())?)?)?;
            residual = largest(&f);
            if residual <= tolerance {
                return like(guess, y);
            }
            let mut next = y.clone();
            for (k, history) in histories.iter_mut().enumerate() {
                let rows = k * n..(k + 1) * n;
                if largest(&f[rows.clone()]) <= tolerance {
                    continue;
                }
                if let Some((last_y, last_f)) = &last {
                    let change = |a: &[f64], b: &[f64]| -> Vec<f64> {
                        a[rows.clone()].iter().zip(&b[rows.clone()]).map(|(a, b)| a - b).collect()
                    };
                    history.y.push(change(&y, last_y));
                    history.f.push(change(&f, last_f));
                    if self.memory < history.y.len() {
                        history.y.remove(0);
                        history.f.remove(0);
                    }
                }
                let step = history.step(&f[rows.clone()], self.mixing);
                next[rows].iter_mut().zip(step).for_each(|(y, s)| *y += s);
            }
            last = Some((std::mem::replace(&mut y, next), f));
        }
        Err(no_convergence(problem, self.iterations, residual))
    }
}

impl History {
    /// βF − (Δy + βΔF)·γ
    fn step(&self, f: &[f64], mixing: f64) -> Vec<f64> {
        let mut out: Vec<f64> = f.iter().map(|f| mixing * f).collect();
        let k = self.f.len();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut gram = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..k {
                gram[i * k + j] = dot(&self.f[i], &self.f[j]);
            }
            // Changes that hardly differ from each other must not get weights that cancel.
            gram[i * k + i] *= 1.0 + 1e-12;
        }
        let right: Vec<f64> = self.f.iter().map(|change| dot(change, f)).collect();
        let (mut l, mut gamma) = (vec![0.0; k * k], vec![0.0; k]);
        if k == 0 || solve_positive_definite(1, k, 1, &gram, &right, &mut l, &mut gamma).is_err() {
            return out;
        }
        for (g, (dy, df)) in gamma.iter().zip(self.y.iter().zip(&self.f)) {
            for i in 0..out.len() {
                out[i] -= g * (dy[i] + mixing * df[i]);
            }
        }
        out
    }
}
