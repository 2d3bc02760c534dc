//! The same start for every method, and what became of it.

use anyhow::Result;
use pullback_core_graph::linalg::symmetric_eigen;
use pullback_core_graph::tensor::to_f64;
use pullback_nn::optimizer::{
    Adam, AdamOptions, Minimizer, Newton, NewtonOptions, RmsProp, RmsPropOptions, SaddleFreeNewton,
    Sgd, SgdOptions, Status, minimize,
};
use pullback_nn::{Optimizer, Parameters};

use super::problems::Problem;

/// One method's run.
pub(crate) struct Run {
    pub(crate) method: &'static str,
    /// The learning rate that did best, where there is one.
    pub(crate) rate: Option<f64>,
    /// (iterations, gradients that they cost, loss). A Hessian product counts two, a value a half.
    pub(crate) curve: Vec<[f64; 3]>,
    /// The two parameters after each iteration, where there are but two.
    pub(crate) path: Vec<[f64; 2]>,
    pub(crate) end: Parameters,
}

impl Run {
    fn new(method: &'static str, rate: Option<f64>, problem: &Problem) -> Result<Self> {
        let mut run =
            Self { method, rate, curve: vec![], path: vec![], end: problem.start.clone() };
        run.record(0.0, problem.objective.value(&problem.start)?, &problem.start)?;
        Ok(run)
    }

    fn record(&mut self, cost: f64, loss: f64, at: &Parameters) -> Result<()> {
        let before = self.curve.last().map_or(0.0, |p| p[1]);
        self.curve.push([self.curve.len() as f64, before + cost, loss]);
        if at.element_count() == 2 {
            let values = at.values();
            self.path.push([to_f64(&values[0])?[0], to_f64(&values[1])?[0]]);
        }
        self.end = at.clone();
        Ok(())
    }

    pub(crate) fn loss(&self) -> f64 {
        self.curve.last().map_or(f64::NAN, |p| p[2])
    }

    /// Iterations until the loss is below `level` for good, if ever.
    pub(crate) fn reached(&self, level: f64) -> Option<usize> {
        let above = self.curve.iter().rposition(|p| p[2].is_nan() || p[2] > level);
        let first = above.map_or(0, |i| i + 1);
        (first < self.curve.len()).then_some(first)
    }
}

/// Plain, root-mean-square and adaptive descent by their best learning rates of a grid, then both Newtons.
pub(crate) fn race(problem: &Problem, steps: usize, newton_steps: usize) -> Result<Vec<Run>> {
    let sgd = |learning_rate| -> Result<Box<dyn Optimizer>> {
        Ok(Box::new(Sgd::new(SgdOptions { learning_rate, ..Default::default() })?))
    };
    let rms = |learning_rate| -> Result<Box<dyn Optimizer>> {
        let options = RmsPropOptions { learning_rate, smoothing: 0.9, ..Default::default() };
        Ok(Box::new(RmsProp::new(options)?))
    };
    let adam = |learning_rate| -> Result<Box<dyn Optimizer>> {
        Ok(Box::new(Adam::new(AdamOptions { learning_rate, ..Default::default() })?))
    };
    let (coarse, fine) = ([1.0, 0.3, 0.1, 0.03, 0.01], [0.1, 0.03, 0.01, 0.003, 0.001]);
    let options = NewtonOptions { subspace: 30, ..Default::default() };
    let damped = NewtonOptions { damping: 1e-6, radius: 1.0, ..options };
    Ok(vec![
        best("SGD", problem, steps, &coarse, &sgd)?,
        best("RMSProp", problem, steps, &fine, &rms)?,
        best("Adam", problem, steps, &fine, &adam)?,
        second_order("Newton", problem, newton_steps, &mut Newton::new(damped)?, 30)?,
        second_order(
            "saddle-free Newton",
            problem,
            newton_steps,
            &mut SaddleFreeNewton::new(options)?,
            30,
        )?,
    ])
}

fn best(
    method: &'static str,
    problem: &Problem,
    steps: usize,
    rates: &[f64],
    make: &dyn Fn(f64) -> Result<Box<dyn Optimizer>>,
) -> Result<Run> {
    let mut best: Option<Run> = None;
    for &rate in rates {
        // A rate that leads out of the numbers is no candidate.
        let Ok(run) = first_order(method, problem, steps, rate, &mut *make(rate)?) else {
            continue;
        };
        if best.as_ref().is_none_or(|b| run.loss() < b.loss()) {
            best = Some(run);
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("{method} diverges at every rate"))
}

fn first_order(
    method: &'static str,
    problem: &Problem,
    steps: usize,
    rate: f64,
    optimizer: &mut dyn Optimizer,
) -> Result<Run> {
    let mut run = Run::new(method, Some(rate), problem)?;
    let mut parameters = problem.start.clone();
    for _ in 0..steps {
        let (_, gradient) = problem.objective.gradient(&parameters)?;
        optimizer.step(&mut parameters, &gradient)?;
        run.record(1.0, problem.objective.value(&parameters)?, &parameters)?;
    }
    Ok(run)
}

fn second_order(
    method: &'static str,
    problem: &Problem,
    steps: usize,
    minimizer: &mut dyn Minimizer,
    subspace: usize,
) -> Result<Run> {
    let mut run = Run::new(method, None, problem)?;
    let mut parameters = problem.start.clone();
    let products = (subspace + 1).min(parameters.element_count());
    let mut failure = None;
    minimize(minimizer, &problem.objective, &mut parameters, steps, |progress, at| {
        if progress.status == Status::Running {
            let cost = 1.0 + 2.0 * products as f64 + 0.5 * (progress.evaluations - 1) as f64;
            failure = run.record(cost, progress.next_value, at).err().or(failure.take());
        }
    })?;
    failure.map_or(Ok(run), Err)
}

/// ‖∇f‖, and the share of the Hessian's eigenvalues below −10⁻⁶ of the largest.
pub(crate) fn index(problem: &Problem, at: &Parameters) -> Result<[f64; 2]> {
    let here = problem.objective.curvature(at)?;
    let n = here.gradient.len();
    let mut hessian = vec![0.0; n * n];
    for (i, row) in hessian.chunks_mut(n).enumerate() {
        let mut unit = vec![0.0; n];
        unit[i] = 1.0;
        row.copy_from_slice(&here.product(&unit)?);
    }
    let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
    symmetric_eigen(1, n, &hessian, &mut values, &mut vectors)?;
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let negative = values.iter().filter(|v| **v < -1e-6 * largest).count();
    let norm = here.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    Ok([norm, negative as f64 / n as f64])
}
