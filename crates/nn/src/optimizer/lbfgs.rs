//! Limited-memory BFGS: the curvature of the last few steps, without a matrix.

use std::collections::VecDeque;

use candle_core::{Device, Tensor};
use pullback_core_graph::tensor::to_f64;

use super::line_search::{Trial, Wolfe};
use super::minimize::{Minimizer, Progress, Status};
use super::objective::{Objective, Space};
use super::vector::{add, difference, dot, norm, scaled};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// Settings of [`Lbfgs`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LbfgsOptions {
    /// Pairs of steps and changes of the gradient that are kept, above 0.
    pub memory: usize,
    /// ‖∇f‖ at which to stop, ≥ 0.
    pub gradient_tolerance: f64,
    /// 0 < c₁ < c₂ of the first Wolfe condition.
    pub decrease: f64,
    /// c₂ < 1 of the second.
    pub curvature: f64,
    /// Evaluations in one line search, above 0.
    pub evaluations: usize,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        Self {
            memory: 10,
            gradient_tolerance: 1e-8,
            decrease: 1e-4,
            curvature: 0.9,
            evaluations: 25,
        }
    }
}

/// d = −H·∇f by the two-loop recursion over the last pairs, then a step along d that satisfies the strong Wolfe conditions (Nocedal
/// and Wright 2006, algorithms 7.4 and 7.5). The objective must be the same function at each step: no mini-batches.
#[derive(Debug, Clone)]
pub struct Lbfgs {
    options: LbfgsOptions,
    /// s = the step, y = the change of the gradient along it; the newest last.
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
    /// What the last line search ended with: spares one evaluation. Not part of the state.
    last: Option<Last>,
    steps: u64,
}

/// f and its gradient where a step ended.
#[derive(Debug, Clone)]
struct Last {
    objective: Objective,
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Lbfgs {
    /// A method without memories.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is outside its range.
    pub fn new(options: LbfgsOptions) -> Result<Self> {
        let LbfgsOptions { memory, gradient_tolerance, decrease, curvature, evaluations } = options;
        let check = |name, value: f64, fits, reason| {
            if fits { Ok(()) } else { Err(Error::Setting { name, value, reason }) }
        };
        check("memory", memory as f64, memory > 0, "must be positive")?;
        check("evaluations", evaluations as f64, evaluations > 0, "must be positive")?;
        let tolerance = gradient_tolerance;
        check("gradient_tolerance", tolerance, tolerance >= 0.0, "must not be negative")?;
        let ordered = 0.0 < decrease && decrease < curvature;
        check("decrease", decrease, ordered, "must be between 0 and `curvature`")?;
        check("curvature", curvature, curvature < 1.0, "must be below 1")?;
        Ok(Self { options, pairs: VecDeque::new(), last: None, steps: 0 })
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// −H·g (algorithm 7.4) with H₀ = γ·I, γ = sᵀy/yᵀy of the newest pair (eq. 7.20).
    fn direction(&self, g: &[f64]) -> Vec<f64> {
        let mut q = scaled(-1.0, g);
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let alpha = dot(s, &q) / dot(s, y);
            add(&mut q, -alpha, y);
            alphas.push(alpha);
        }
        if let Some((s, y)) = self.pairs.back() {
            q = scaled(dot(s, y) / dot(y, y), &q);
        }
        for ((s, y), alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = dot(y, &q) / dot(s, y);
            add(&mut q, alpha - beta, s);
        }
        q
    }

    fn remember(&mut self, s: Vec<f64>, y: Vec<f64>) {
        // The second condition makes sᵀy positive; a search that ran out of evaluations may not have reached it.
        if dot(&s, &y) > 1e-14 * norm(&s) * norm(&y) {
            if self.pairs.len() == self.options.memory {
                self.pairs.pop_front();
            }
            self.pairs.push_back((s, y));
        }
    }
}

impl Lbfgs {
    fn iterate(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let space = Space::of(parameters);
        let x = space.ravel(&parameters.values())?;
        let mut evaluations = 0;
        let (value, g) = match self.last.take() {
            Some(last) if last.x == x && last.objective.is(objective) => {
                (last.value, last.gradient)
            }
            _ => {
                evaluations += 1;
                let (value, gradient) = objective.gradient(parameters)?;
                (value, space.ravel(&gradient)?)
            }
        };
        if self.pairs.iter().any(|(s, _)| s.len() != x.len()) {
            self.pairs.clear();
        }
        let gradient_norm = norm(&g);
        let mut progress = Progress {
            value,
            gradient_norm,
            curvature: None,
            next_value: value,
            evaluations,
            status: Status::Converged,
        };
        if gradient_norm <= self.options.gradient_tolerance {
            self.last = Some(Last { objective: objective.clone(), x, value, gradient: g });
            return Ok(progress);
        }
        let LbfgsOptions { decrease, curvature, evaluations, .. } = self.options;
        let wolfe = Wolfe { decrease, curvature, evaluations };
        // Where the memory leads nowhere, once more without it.
        loop {
            let d = self.direction(&g);
            let slope = dot(&g, &d);
            let first = if self.pairs.is_empty() { (1.0 / gradient_norm).min(1.0) } else { 1.0 };
            let start =
                Trial { t: 0.0, value, slope, gradient: g.clone(), parameters: parameters.clone() };
            let mut evaluate = |t: f64| {
                let moved = space.moved(parameters, &scaled(t, &d))?;
                let parameters = moved.as_ref().unwrap_or(parameters).clone();
                let (value, gradient) = match moved {
                    Some(_) => objective.trial_gradient(&parameters)?,
                    None => (f64::INFINITY, Vec::new()),
                };
                let slope = if value.is_finite() { dot(&gradient, &d) } else { f64::NAN };
                Ok(Trial { t, value, slope, gradient, parameters })
            };
            let downhill = slope < 0.0 && slope.is_finite();
            let (found, spent) =
                if downhill { wolfe.search(&start, first, &mut evaluate)? } else { (None, 0) };
            progress.evaluations += spent;
            if let Some(trial) = found {
                let next = space.ravel(&trial.parameters.values())?;
                self.remember(difference(&next, &x), difference(&trial.gradient, &g));
                let (x, value, gradient) = (next, trial.value, trial.gradient);
                self.last = Some(Last { objective: objective.clone(), x, value, gradient });
                *parameters = trial.parameters;
                self.steps += 1;
                (progress.next_value, progress.status) = (trial.value, Status::Running);
                return Ok(progress);
            }
            if self.pairs.is_empty() {
                return Ok(Progress { status: Status::Stalled, ..progress });
            }
            self.pairs.clear();
        }
    }
}

impl Minimizer for Lbfgs {
    fn step(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let made = self.iterate(objective, parameters);
        made.map_err(|error| objective.in_step("lbfgs", self.steps, parameters, error))
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        let LbfgsOptions { memory, gradient_tolerance, decrease, curvature, evaluations } =
            self.options;
        let entries = [
            ("memory", memory.to_string()),
            ("gradient_tolerance", gradient_tolerance.to_string()),
            ("decrease", decrease.to_string()),
            ("curvature", curvature.to_string()),
            ("evaluations", evaluations.to_string()),
            ("pairs", self.pairs.len().to_string()),
            ("steps", self.steps.to_string()),
        ];
        for (name, text) in entries {
            checkpoint.metadata.insert(format!("{prefix}{name}"), text);
        }
        for (i, (s, y)) in self.pairs.iter().enumerate() {
            for (kind, v) in [("step", s), ("change", y)] {
                // A vector in memory always makes a tensor.
                if let Ok(tensor) = Tensor::new(v.as_slice(), &Device::Cpu) {
                    checkpoint.tensors.insert(format!("{prefix}{kind}.{i:04}"), tensor);
                }
            }
        }
    }

    fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<()> {
        let entry = |name: &str| format!("{prefix}{name}");
        let mut next = Self::new(LbfgsOptions {
            memory: checkpoint.entry(&entry("memory"))?,
            gradient_tolerance: checkpoint.entry(&entry("gradient_tolerance"))?,
            decrease: checkpoint.entry(&entry("decrease"))?,
            curvature: checkpoint.entry(&entry("curvature"))?,
            evaluations: checkpoint.entry(&entry("evaluations"))?,
        })?;
        next.steps = checkpoint.entry(&entry("steps"))?;
        let pairs: usize =
            stored(checkpoint, &entry("pairs"), |&pairs| pairs <= next.options.memory)?;
        let vector = |kind: &str, i: usize| {
            let name = format!("{prefix}{kind}.{i:04}");
            stored_vector(checkpoint, &name, parameters.element_count())
        };
        for i in 0..pairs {
            next.pairs.push_back((vector("step", i)?, vector("change", i)?));
        }
        *self = next;
        Ok(())
    }
}

/// An entry of a checkpoint that `fits`, which NaN and the like do not.
pub(super) fn stored<V: std::str::FromStr>(
    checkpoint: &Checkpoint,
    name: &str,
    fits: impl Fn(&V) -> bool,
) -> Result<V> {
    let value = checkpoint.entry(name)?;
    match fits(&value) {
        true => Ok(value),
        false => {
            Err(Error::Entry { name: name.into(), found: checkpoint.metadata.get(name).cloned() })
        }
    }
}

/// A vector of all parameters from a checkpoint.
pub(super) fn stored_vector(
    checkpoint: &Checkpoint,
    name: &str,
    length: usize,
) -> Result<Vec<f64>> {
    let fail = |what: String| Error::Parameter { name: name.into(), what };
    let tensor =
        checkpoint.tensors.get(name).ok_or_else(|| fail("is not in the checkpoint".into()))?;
    let v = to_f64(tensor)?;
    if v.len() != length {
        return Err(fail(format!("has {} numbers, the parameters have {length}", v.len())));
    }
    match v.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(fail(format!("is {} at index {i}", v[i]))),
        None => Ok(v),
    }
}
