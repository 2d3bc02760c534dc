//! Newton's step in a Krylov subspace, and the step that saddles do not attract.
//!
//! Along an eigenvector of curvature λ Newton's step is −b/λ, where b is the slope: towards the critical point, whether that is a
//! minimum (λ > 0) or the top of a saddle (λ < 0). Gradient descent moves by −η·b: away from saddles, but slowly where |λ| is
//! small. −b/|λ| has the length of the one and the direction of the other (Dauphin et al. 2014, Identifying and attacking the saddle
//! point problem in high-dimensional non-convex optimization, section 4 and algorithm 1).

use candle_core::{DType, Device, Tensor};

use super::lanczos::{Ritz, ritz};
use super::lbfgs::{stored, stored_vector};
use super::minimize::{Minimizer, Progress, Status};
use super::objective::{Objective, Space};
use super::vector::{add, dot, norm, scaled};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// A step must lower f by this share of what the linear model promises.
const DECREASE: f64 = 1e-4;
/// Steps that one iteration tries.
const TRIALS: usize = 40;
/// By how much the subspace is larger in which a last look is taken.
const ENLARGED: usize = 4;
/// The damping never falls below this share of the largest curvature.
const LEAST_DAMPING: f64 = 1e-12;

/// Settings of [`SaddleFreeNewton`] and [`Newton`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewtonOptions {
    /// Dimensions of the Krylov subspace, above 0: as many Hessian products an iteration, and that many vectors in memory. Four times
    /// as many where [`SaddleFreeNewton`] would stop.
    pub subspace: usize,
    /// The first damping λ > 0 as a share of the largest |curvature|; for [`Newton`] the least |curvature| that is taken for one.
    pub damping: f64,
    /// ‖∇f‖ at which to stop, ≥ 0.
    pub gradient_tolerance: f64,
    /// Curvatures above minus this share of the largest count as not negative, ≥ 0.
    pub curvature_tolerance: f64,
    /// The longest step, above 0.
    pub radius: f64,
    /// Seed of the directions that are looked into where the gradient leads nowhere.
    pub seed: u64,
}

impl Default for NewtonOptions {
    fn default() -> Self {
        Self {
            subspace: 20,
            damping: 1e-3,
            gradient_tolerance: 1e-8,
            curvature_tolerance: 1e-6,
            radius: f64::INFINITY,
            seed: 0,
        }
    }
}

impl NewtonOptions {
    fn check(&self) -> Result<()> {
        let Self { subspace, damping, gradient_tolerance, curvature_tolerance, radius, .. } = *self;
        let check = |name, value: f64, fits, reason| {
            if fits { Ok(()) } else { Err(Error::Setting { name, value, reason }) }
        };
        check("subspace", subspace as f64, subspace > 0, "must be positive")?;
        let fits = damping > 0.0 && damping.is_finite();
        check("damping", damping, fits, "must be positive and finite")?;
        let (g, c) = (gradient_tolerance, curvature_tolerance);
        check("gradient_tolerance", g, g >= 0.0, "must not be negative")?;
        check("curvature_tolerance", c, c >= 0.0, "must not be negative")?;
        check("radius", radius, radius > 0.0, "must be positive")
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        let entries = [
            ("subspace", self.subspace.to_string()),
            ("damping", self.damping.to_string()),
            ("gradient_tolerance", self.gradient_tolerance.to_string()),
            ("curvature_tolerance", self.curvature_tolerance.to_string()),
            ("radius", self.radius.to_string()),
            ("seed", self.seed.to_string()),
        ];
        for (name, text) in entries {
            checkpoint.metadata.insert(format!("{prefix}{name}"), text);
        }
    }

    fn load(checkpoint: &Checkpoint, prefix: &str) -> Result<Self> {
        let options = Self {
            subspace: checkpoint.entry(&format!("{prefix}subspace"))?,
            damping: checkpoint.entry(&format!("{prefix}damping"))?,
            gradient_tolerance: checkpoint.entry(&format!("{prefix}gradient_tolerance"))?,
            curvature_tolerance: checkpoint.entry(&format!("{prefix}curvature_tolerance"))?,
            radius: checkpoint.entry(&format!("{prefix}radius"))?,
            seed: checkpoint.entry(&format!("{prefix}seed"))?,
        };
        options.check()?;
        Ok(options)
    }
}

/// An objective at a point, in the subspace.
struct View {
    value: f64,
    gradient_norm: f64,
    ritz: Ritz,
    /// bᵢ = yᵢ·∇f.
    slopes: Vec<f64>,
    /// The largest |λ|.
    largest: f64,
}

impl View {
    fn at(
        options: &NewtonOptions,
        objective: &Objective,
        parameters: &Parameters,
        extra: Option<&[f64]>,
        seed: u64,
        thorough: bool,
    ) -> Result<Self> {
        let here = objective.curvature(parameters)?;
        let gradient_norm = norm(&here.gradient);
        // At a critical point the gradient is noise: the subspace then begins at random.
        let critical = gradient_norm <= options.gradient_tolerance;
        let start = if critical { vec![0.0; here.gradient.len()] } else { here.gradient.clone() };
        let extra = extra.filter(|v| v.len() == start.len());
        let of = |subspace: usize| {
            let ritz = ritz(&|v: &[f64]| here.product(v), &start, subspace, extra, seed)?;
            let slopes = ritz.vectors.iter().map(|y| dot(y, &here.gradient)).collect();
            let largest = ritz.values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            Ok(Self { value: here.value, gradient_norm, ritz, slopes, largest })
        };
        let first = of(options.subspace)?;
        // Few directions out of many may miss the way down; as many as there are cannot.
        let all = options.subspace >= start.len();
        if !(thorough && critical) || all || first.leads_down(options) {
            return Ok(first);
        }
        of(options.subspace.saturating_mul(ENLARGED))
    }

    /// Whether the lowest curvature is more than rounding and tolerance below 0.
    fn leads_down(&self, options: &NewtonOptions) -> bool {
        let NewtonOptions { gradient_tolerance, curvature_tolerance, .. } = options;
        self.lowest() < -(curvature_tolerance * self.largest) && !self.is_flat(*gradient_tolerance)
    }

    /// Whether all curvature is too small to be told from none.
    fn is_flat(&self, gradient_tolerance: f64) -> bool {
        self.largest <= gradient_tolerance.sqrt()
    }

    fn lowest(&self) -> f64 {
        self.ritz.values.first().copied().unwrap_or(0.0)
    }

    fn progress(&self) -> Progress {
        let highest = self.ritz.values.last().copied().unwrap_or(0.0);
        Progress {
            value: self.value,
            gradient_norm: self.gradient_norm,
            curvature: Some([self.lowest(), highest]),
            next_value: self.value,
            evaluations: 1,
            status: Status::Stalled,
        }
    }

    /// −Σ bᵢ/divisor(λᵢ)·yᵢ, and what the linear model promises, Σ bᵢ²/divisor(λᵢ); no longer than `radius`.
    fn step(&self, radius: f64, divisor: impl Fn(f64) -> f64) -> (Vec<f64>, f64) {
        let mut s = vec![0.0; self.ritz.vectors.first().map_or(0, Vec::len)];
        let mut promise = 0.0;
        for ((&value, y), b) in self.ritz.values.iter().zip(&self.ritz.vectors).zip(&self.slopes) {
            let t = b / divisor(value);
            add(&mut s, -t, y);
            promise += b * t;
        }
        let length = norm(&s);
        if length > radius {
            (scaled(radius / length, &s), promise * radius / length)
        } else {
            (s, promise)
        }
    }
}

/// −(|H| + λI)⁻¹∇f in the Krylov subspace of the gradient and the last step, with λ adapted as by Marquardt: down after a step that
/// is taken at once, up until f falls enough.
///
/// At a critical point with negative curvature, where the gradient says nothing, it steps along the lowest curvature. Before it stops
/// at one it looks for negative curvature in a subspace four times as large, from a random direction: certain up to four times
/// [`subspace`](NewtonOptions::subspace) parameters, and with many more it finds what lies well apart from the rest of the spectrum.
/// Where gradient and curvature both vanish it reports [`Status::Flat`].
#[derive(Debug, Clone)]
pub struct SaddleFreeNewton {
    options: NewtonOptions,
    damping: f64,
    previous: Vec<f64>,
    steps: u64,
}

impl SaddleFreeNewton {
    /// A method at rest.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is outside its range.
    pub fn new(options: NewtonOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options, damping: options.damping, previous: Vec::new(), steps: 0 })
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// From a critical point along the lowest curvature, to the side that lies lower.
    fn escape(
        &self,
        view: &View,
        space: &Space,
        objective: &Objective,
        parameters: &Parameters,
        progress: &mut Progress,
    ) -> Result<Option<(Parameters, Vec<f64>)>> {
        let Some(y) = view.ritz.vectors.first() else { return Ok(None) };
        let mut length =
            (0.1 * (1.0 + norm(&space.ravel(&parameters.values())?))).min(self.options.radius);
        for _ in 0..TRIALS / 2 {
            let mut best: Option<(Parameters, Vec<f64>)> = None;
            for side in [1.0, -1.0] {
                let s = scaled(side * length, y);
                let Some(next) = space.moved(parameters, &s)? else { continue };
                let value = objective.trial(&next)?;
                progress.evaluations += 1;
                if value < progress.next_value {
                    (progress.next_value, best) = (value, Some((next, s)));
                }
            }
            if best.is_some() {
                return Ok(best);
            }
            length *= 0.25;
        }
        Ok(None)
    }
}

impl SaddleFreeNewton {
    fn iterate(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let NewtonOptions { gradient_tolerance, radius, seed, .. } = self.options;
        let space = Space::of(parameters);
        let extra = Some(self.previous.as_slice()).filter(|p| !p.is_empty());
        let seed = seed.wrapping_add(self.steps);
        let view = View::at(&self.options, objective, parameters, extra, seed, true)?;
        let mut progress = view.progress();
        if view.gradient_norm <= gradient_tolerance {
            if view.leads_down(&self.options) {
                let found = self.escape(&view, &space, objective, parameters, &mut progress)?;
                if let Some((next, s)) = found {
                    (*parameters, self.previous, self.steps) = (next, s, self.steps + 1);
                    progress.status = Status::Running;
                }
                return Ok(progress);
            }
            let flat = view.is_flat(gradient_tolerance);
            progress.status = if flat { Status::Flat } else { Status::Converged };
            return Ok(progress);
        }
        // A function without curvature has no other scale than its slope.
        let scale = if view.largest > 0.0 { view.largest } else { view.gradient_norm };
        let noise = 16.0 * epsilon(parameters) * view.value.abs();
        for trial in 0..TRIALS {
            let damping = self.damping * scale;
            let (s, promise) = view.step(radius, |curvature| curvature.abs() + damping);
            if let Some(next) = space.moved(parameters, &s)? {
                let value = objective.trial(&next)?;
                progress.evaluations += 1;
                // Close to a minimum the fall is below the rounding of f.
                let below = promise <= noise && value <= view.value + noise;
                if value <= view.value - DECREASE * promise || below {
                    if trial == 0 {
                        self.damping = (0.25 * self.damping).max(LEAST_DAMPING);
                    }
                    (*parameters, self.previous, self.steps) = (next, s, self.steps + 1);
                    (progress.next_value, progress.status) = (value, Status::Running);
                    return Ok(progress);
                }
            }
            self.damping = 4.0 * self.damping.max(1e-4);
        }
        // Not spoiled for the next call by what led nowhere.
        self.damping = self.options.damping;
        Ok(progress)
    }
}

impl Minimizer for SaddleFreeNewton {
    fn step(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let made = self.iterate(objective, parameters);
        made.map_err(|error| objective.in_step("saddle_free_newton", self.steps, parameters, error))
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        self.options.store(checkpoint, prefix);
        let entries =
            [("current_damping", self.damping.to_string()), ("steps", self.steps.to_string())];
        for (name, text) in entries {
            checkpoint.metadata.insert(format!("{prefix}{name}"), text);
        }
        // A vector in memory always makes a tensor.
        if let (false, Ok(previous)) =
            (self.previous.is_empty(), Tensor::new(self.previous.as_slice(), &Device::Cpu))
        {
            checkpoint.tensors.insert(format!("{prefix}previous"), previous);
        }
    }

    fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<()> {
        let mut next = Self::new(NewtonOptions::load(checkpoint, prefix)?)?;
        let fits = |damping: &f64| *damping > 0.0 && damping.is_finite();
        next.damping = stored(checkpoint, &format!("{prefix}current_damping"), fits)?;
        next.steps = checkpoint.entry(&format!("{prefix}steps"))?;
        let name = format!("{prefix}previous");
        if next.steps > 0 {
            next.previous = stored_vector(checkpoint, &name, parameters.element_count())?;
        }
        *self = next;
        Ok(())
    }
}

/// −H⁻¹∇f in the Krylov subspace of the gradient, as it is: without a look at whether f falls. It converges to the critical point that
/// is near, most often a saddle, and says [`Status::Converged`] of any; [`Progress::curvature`] tells which. It is here to be compared
/// with.
#[derive(Debug, Clone)]
pub struct Newton {
    options: NewtonOptions,
    steps: u64,
}

impl Newton {
    /// A method at rest.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is outside its range.
    pub fn new(options: NewtonOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options, steps: 0 })
    }
}

impl Newton {
    fn iterate(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let NewtonOptions { damping, gradient_tolerance, radius, seed, .. } = self.options;
        let space = Space::of(parameters);
        let seed = seed.wrapping_add(self.steps);
        let view = View::at(&self.options, objective, parameters, None, seed, false)?;
        let mut progress = view.progress();
        if view.gradient_norm <= gradient_tolerance {
            return Ok(Progress { status: Status::Converged, ..progress });
        }
        let least = if view.largest > 0.0 { damping * view.largest } else { view.gradient_norm };
        let mut longest = radius;
        for _ in 0..TRIALS {
            let (s, _) =
                view.step(longest, |curvature| curvature.signum() * curvature.abs().max(least));
            if let Some(next) = space.moved(parameters, &s)? {
                let value = objective.trial(&next)?;
                progress.evaluations += 1;
                if value.is_finite() {
                    (*parameters, self.steps) = (next, self.steps + 1);
                    (progress.next_value, progress.status) = (value, Status::Running);
                    return Ok(progress);
                }
            }
            longest = 0.25 * norm(&s);
        }
        Ok(progress)
    }
}

impl Minimizer for Newton {
    fn step(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress> {
        let made = self.iterate(objective, parameters);
        made.map_err(|error| objective.in_step("newton", self.steps, parameters, error))
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        self.options.store(checkpoint, prefix);
        checkpoint.metadata.insert(format!("{prefix}steps"), self.steps.to_string());
    }

    fn restore(&mut self, checkpoint: &Checkpoint, prefix: &str, _: &Parameters) -> Result<()> {
        let options = NewtonOptions::load(checkpoint, prefix)?;
        *self = Self { options, steps: checkpoint.entry(&format!("{prefix}steps"))? };
        Ok(())
    }
}

/// The rounding of the parameters' element type.
fn epsilon(parameters: &Parameters) -> f64 {
    match parameters.dtype() {
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    }
}
