//! Damped Gauss-Newton steps for least squares over few parameters: Levenberg's and Marquardt's method.

use candle_core::{DType, Tensor};
use pullback_core_graph::linalg::{LinalgError, View, matmul, solve_positive_definite};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Direction, Error as GraphError, LinearMap, Wrt};

use super::lbfgs::stored;
use super::minimize::{Minimizer, Progress, Status};
use super::objective::{Objective, Space};
use super::vector::{add, dot, norm};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// Steps that one iteration tries.
const TRIALS: usize = 40;
/// Numbers of a Jacobian that is still written out: 1 GiB.
const LARGEST: usize = 1 << 27;
/// Directions that are pushed or pulled at once.
const TOGETHER: usize = 32;

/// Settings of [`GaussNewton`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussNewtonOptions {
    /// τ ≥ 0: the first damping over the largest diagonal entry of JᵀJ. 0 is Gauss and Newton's own step, damped only where it fails.
    pub damping: f64,
    /// ‖Jᵀr‖ at which to stop, ≥ 0.
    pub gradient_tolerance: f64,
}

impl Default for GaussNewtonOptions {
    fn default() -> Self {
        Self { damping: 1e-3, gradient_tolerance: 1e-8 }
    }
}

/// −(JᵀJ + μI)⁻¹Jᵀr for ½‖r‖², with μ by Nielsen's rule (Madsen, Nielsen and Tingleff 2004, Methods for non-linear least squares
/// problems, algorithm 3.16). Its objective is made by [`Objective::least_squares`].
///
/// The Jacobian is written out, by pushes where there are no more parameters than residuals, else by pulls; then the smaller system
/// −Jᵀ(JJᵀ + μI)⁻¹r is solved, which is the same step.
#[derive(Debug, Clone)]
pub struct GaussNewton {
    options: GaussNewtonOptions,
    /// μ, once the first Jacobian is known.
    damping: Option<f64>,
    /// What μ is multiplied by if a step fails.
    growth: f64,
    /// ‖Jᵀr‖ before the last step, if that step promised no more than rounding: the next one has to be better.
    floor: Option<f64>,
    steps: u64,
}

impl GaussNewton {
    /// A method at rest.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is outside its range.
    pub fn new(options: GaussNewtonOptions) -> Result<Self> {
        let GaussNewtonOptions { damping, gradient_tolerance } = options;
        for (name, value) in [("damping", damping), ("gradient_tolerance", gradient_tolerance)] {
            if !(value >= 0.0 && value.is_finite()) {
                let reason = "must be finite and not negative";
                return Err(Error::Setting { name, value, reason });
            }
        }
        Ok(Self { options, damping: None, growth: 2.0, floor: None, steps: 0 })
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// The Jacobian as K: its transpose (by pushes) where it is tall, itself (by pulls) where it is wide.
struct Jacobian {
    k: Vec<f64>,
    rows: usize,
    columns: usize,
    tall: bool,
    /// K·Kᵀ.
    gram: Vec<f64>,
}

impl Jacobian {
    fn of(map: &dyn LinearMap, space: &Space, residuals: &Tensor) -> Result<Self> {
        let (m, n) = (residuals.elem_count(), space.len());
        if m.saturating_mul(n) > LARGEST {
            return Err(Error::Argument {
                operation: "gauss_newton",
                argument: "residuals × parameters",
                value: m.saturating_mul(n),
                reason: "the Jacobian must have at most 2²⁷ numbers",
            });
        }
        let tall = n <= m;
        let (rows, columns) = if tall { (n, m) } else { (m, n) };
        let mut k = Vec::with_capacity(rows * columns);
        let unit = |i: usize| -> Result<Direction> {
            let mut e = vec![0.0; rows];
            e[i] = 1.0;
            if tall {
                return Ok(space.unravel(&e)?.into_iter().map(Some).collect());
            }
            let e = Tensor::from_vec(e, residuals.dims(), residuals.device())?;
            Ok(vec![Some(e.to_dtype(residuals.dtype())?)])
        };
        for first in (0..rows).step_by(TOGETHER) {
            let units =
                (first..rows.min(first + TOGETHER)).map(unit).collect::<Result<Vec<_>>>()?;
            let found = if tall { map.push_many(&units)? } else { map.pull_many(&units)? };
            for row in found {
                let start = k.len();
                for (slot, tensor) in row.into_iter().enumerate() {
                    match tensor {
                        Some(t) => k.extend(to_f64(&t)?),
                        None if tall => k.resize(start + columns, 0.0),
                        None => k.resize(k.len() + space.size(slot), 0.0),
                    }
                }
            }
        }
        let mut gram = vec![0.0; rows * rows];
        let view = View { data: &k, row: columns, column: 1 };
        let transposed = View { data: &k, row: 1, column: columns };
        matmul((rows, rows, columns), view, transposed, &mut gram, true).map_err(failed)?;
        Ok(Self { k, rows, columns, tall, gram })
    }

    /// K·x.
    fn times(&self, x: &[f64]) -> Vec<f64> {
        self.k.chunks(self.columns.max(1)).map(|row| dot(row, x)).collect()
    }

    /// Kᵀ·x.
    fn transposed_times(&self, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.columns];
        self.k.chunks(self.columns.max(1)).zip(x).for_each(|(row, &x)| add(&mut y, x, row));
        y
    }

    /// Jᵀ·r.
    fn gradient(&self, r: &[f64]) -> Vec<f64> {
        if self.tall { self.times(r) } else { self.transposed_times(r) }
    }

    fn largest(&self) -> f64 {
        (0..self.rows).fold(0.0f64, |m, i| m.max(self.gram[i * self.rows + i]))
    }

    /// −(JᵀJ + μI)⁻¹Jᵀr; none where the matrix is singular to working precision.
    fn step(&self, r: &[f64], g: &[f64], damping: f64) -> Result<Option<Vec<f64>>> {
        let n = self.rows;
        let mut a = self.gram.clone();
        (0..n).for_each(|i| a[i * n + i] += damping);
        let right = if self.tall { g } else { r };
        let right: Vec<f64> = right.iter().map(|v| -v).collect();
        let (mut l, mut x) = (vec![0.0; n * n], vec![0.0; n]);
        match solve_positive_definite(1, n, 1, &a, &right, &mut l, &mut x) {
            Ok(()) => Ok(Some(if self.tall { x } else { self.transposed_times(&x) })),
            Err(LinalgError::NotPositiveDefinite { .. } | LinalgError::Overflow { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: LinalgError) -> Error {
    GraphError::external("gauss_newton", error).into()
}

impl GaussNewton {
    fn iterate(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        objective.check(parameters)?;
        let (space, values) = (Space::of(parameters), parameters.values());
        let (y, map) = objective.residuals()?.linearize(&values, Wrt(&vec![true; values.len()]))?;
        let [residuals] = &y[..] else {
            let (node, what) = ("residuals".into(), "tensors");
            return Err(GraphError::Arity { node, what, expected: 1, got: y.len() }.into());
        };
        let r = to_f64(residuals)?;
        let jacobian = Jacobian::of(&*map, &space, residuals)?;
        let g = jacobian.gradient(&r);
        let value = 0.5 * dot(&r, &r);
        let mut progress = Progress {
            value,
            gradient_norm: norm(&g),
            curvature: None,
            next_value: value,
            evaluations: 1,
            status: Status::Stalled,
        };
        if progress.gradient_norm <= self.options.gradient_tolerance {
            return Ok(Progress { status: Status::Converged, ..progress });
        }
        // As good as this number type allows.
        if self.floor.is_some_and(|floor| progress.gradient_norm >= floor) {
            return Ok(progress);
        }
        let largest = jacobian.largest();
        let mut damping = self.damping.unwrap_or(self.options.damping * largest);
        let mut growth = self.growth;
        let rounding = match parameters.dtype() {
            DType::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        let noise = 16.0 * rounding * value;
        for _ in 0..TRIALS {
            let step = jacobian.step(&r, &g, damping)?;
            let moved = step.as_ref().map(|s| space.moved(parameters, s)).transpose()?.flatten();
            if let (Some(s), Some(next)) = (step, moved) {
                let found = objective.trial(&next)?;
                progress.evaluations += 1;
                // The fall of the linear model, ½sᵀ(μs − Jᵀr).
                let promise = 0.5 * (damping * dot(&s, &s) - dot(&s, &g));
                let gain = if promise > 0.0 { (value - found) / promise } else { 0.0 };
                if gain > 1e-4 || (promise <= noise && found <= value + noise) {
                    self.floor = (promise <= noise).then_some(progress.gradient_norm);
                    let shrink = 1.0 - (2.0 * gain - 1.0).powi(3);
                    self.damping = Some(damping * shrink.clamp(1.0 / 3.0, 2.0));
                    self.growth = 2.0;
                    (*parameters, self.steps) = (next, self.steps + 1);
                    (progress.next_value, progress.status) = (found, Status::Running);
                    return Ok(progress);
                }
            }
            damping = (damping * growth).max(1e-8 * largest);
            growth *= 2.0;
            if !damping.is_finite() {
                break;
            }
        }
        Ok(progress)
    }
}

impl Minimizer for GaussNewton {
    fn step(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let made = self.iterate(objective, parameters);
        made.map_err(|error| objective.in_step("gauss_newton", self.steps, parameters, error))
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        let entries = [
            ("damping", self.options.damping.to_string()),
            ("gradient_tolerance", self.options.gradient_tolerance.to_string()),
            // Before the first step there is none.
            ("current_damping", self.damping.map_or("none".into(), |d| d.to_string())),
            ("growth", self.growth.to_string()),
            ("floor", self.floor.map_or("none".into(), |f| f.to_string())),
            ("steps", self.steps.to_string()),
        ];
        for (name, text) in entries {
            checkpoint.metadata.insert(format!("{prefix}{name}"), text);
        }
    }

    fn restore(&mut self, checkpoint: &Checkpoint, prefix: &str, _: &Parameters) -> Result<()> {
        let entry = |name: &str, least: f64| {
            let fits = |value: &f64| *value >= least && value.is_finite();
            stored(checkpoint, &format!("{prefix}{name}"), fits)
        };
        let mut next = Self::new(GaussNewtonOptions {
            damping: entry("damping", 0.0)?,
            gradient_tolerance: entry("gradient_tolerance", 0.0)?,
        })?;
        let current: String = checkpoint.entry(&format!("{prefix}current_damping"))?;
        next.damping = if current == "none" { None } else { Some(entry("current_damping", 0.0)?) };
        next.growth = entry("growth", 1.0)?;
        let floor: String = checkpoint.entry(&format!("{prefix}floor"))?;
        next.floor = if floor == "none" { None } else { Some(entry("floor", 0.0)?) };
        next.steps = checkpoint.entry(&format!("{prefix}steps"))?;
        *self = next;
        Ok(())
    }
}
