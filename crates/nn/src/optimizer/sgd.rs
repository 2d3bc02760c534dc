//! Stochastic gradient descent with momentum and weight decay.

use std::collections::BTreeMap;

use candle_core::Tensor;
use pullback_core_graph::tensor::{Real, ensure_finite, from_vec, with_slice};
use pullback_core_graph::{Phase, with_real};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::parameters::{Parameters, check_like};

/// Settings of [`Sgd`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    /// η > 0.
    pub learning_rate: f64,
    /// 0 ≤ μ < 1.
    pub momentum: f64,
    /// λ ≥ 0, of the penalty ½λ‖p‖².
    pub weight_decay: f64,
    /// Step along g + μ·v instead of v (Nesterov).
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self { learning_rate: 1e-2, momentum: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

/// g ← ∇L + λ·p, v ← μ·v + g, p ← p − η·v: the convention of PyTorch, where the first v is g and η does not enter v.
#[derive(Debug, Clone)]
pub struct Sgd {
    options: SgdOptions,
    velocity: BTreeMap<String, Tensor>,
    steps: u64,
}

impl Sgd {
    /// An optimizer at rest.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is outside its range.
    pub fn new(options: SgdOptions) -> Result<Self> {
        let SgdOptions { learning_rate, momentum, weight_decay, .. } = options;
        let check = |name, value: f64, fits: bool, reason| {
            if fits && value.is_finite() {
                Ok(())
            } else {
                Err(Error::Setting { name, value, reason })
            }
        };
        check("learning rate", learning_rate, learning_rate > 0.0, "must be positive")?;
        check("momentum", momentum, (0.0..1.0).contains(&momentum), "must be in [0, 1)")?;
        check("weight decay", weight_decay, weight_decay >= 0.0, "must not be negative")?;
        Ok(Self { options, velocity: BTreeMap::new(), steps: 0 })
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> SgdOptions {
        self.options
    }

    /// Changes the learning rate: for schedules.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is not positive.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.options = Self::new(SgdOptions { learning_rate, ..self.options })?.options;
        Ok(())
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step. `gradients` are in the order of the parameters' names, as a gradient with respect to
    /// [`Bound::vars`](crate::parameters::Bound::vars) is. On an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Parameter`] if their number, a shape or an element type differs; [`Error::Graph`] if one is not finite or
    /// the step leads to a parameter that is not.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &[Tensor]) -> Result<()> {
        if gradients.len() != parameters.len() {
            let what = format!("{} gradients for {} parameters", gradients.len(), parameters.len());
            return Err(Error::Parameter { name: String::new(), what });
        }
        let mut next = parameters.clone();
        let mut velocity = BTreeMap::new();
        for (port, ((name, p), g)) in parameters.iter().zip(gradients).enumerate() {
            check_like(name, p, g)?;
            ensure_finite(g, name, Phase::Pull, port)?;
            let (p, v) = with_real!(name, p.dtype(), T => self.moved::<T>(name, p, g))?;
            ensure_finite(&p, name, Phase::Eval, port)?;
            next.set(name, &p)?;
            if let Some(v) = v {
                velocity.insert(name.to_string(), v);
            }
        }
        *parameters = next;
        self.velocity = velocity;
        self.steps += 1;
        Ok(())
    }

    /// The next value of a parameter, and its next velocity if there is momentum.
    fn moved<T: Real>(
        &self,
        name: &str,
        p: &Tensor,
        g: &Tensor,
    ) -> pullback_core_graph::Result<(Tensor, Option<Tensor>)> {
        let SgdOptions { learning_rate, momentum, weight_decay, nesterov } = self.options;
        let (rate, decay, mu) = (T::lit(learning_rate), T::lit(weight_decay), T::lit(momentum));
        let old = match self.velocity.get(name) {
            Some(v) => with_slice::<T, _>(v, <[T]>::to_vec)?,
            None => Vec::new(),
        };
        let (mut values, mut velocity) = with_slice::<T, _>(p, |p| {
            with_slice::<T, _>(g, |g| {
                let damped = p.iter().zip(g).map(|(&p, &g)| g + decay * p);
                (p.to_vec(), damped.collect::<Vec<T>>())
            })
        })??;
        for (i, (p, v)) in values.iter_mut().zip(&mut velocity).enumerate() {
            let g = *v;
            if let Some(&old) = old.get(i) {
                *v = mu * old + g;
            }
            *p -= rate * if nesterov { g + mu * *v } else { *v };
        }
        let velocity =
            if momentum > 0.0 { Some(from_vec(velocity, p.dims(), p.device())?) } else { None };
        Ok((from_vec(values, p.dims(), p.device())?, velocity))
    }

    /// Puts settings and state into a checkpoint, under `prefix`.
    pub fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        for (name, tensor) in &self.velocity {
            checkpoint.tensors.insert(format!("{prefix}velocity.{name}"), tensor.clone());
        }
        let SgdOptions { learning_rate, momentum, weight_decay, nesterov } = self.options;
        let entries = [
            ("learning_rate", learning_rate.to_string()),
            ("momentum", momentum.to_string()),
            ("weight_decay", weight_decay.to_string()),
            ("nesterov", nesterov.to_string()),
            ("steps", self.steps.to_string()),
        ];
        for (name, value) in entries {
            checkpoint.metadata.insert(format!("{prefix}{name}"), value);
        }
    }

    /// The optimizer that [`store`](Self::store) put into a checkpoint for `parameters`.
    ///
    /// # Errors
    /// [`Error::Entry`] if an entry is missing or unreadable, [`Error::Setting`] if a setting is outside its range,
    /// [`Error::Parameter`] if a velocity belongs to no parameter or has another shape.
    pub fn load(checkpoint: &Checkpoint, prefix: &str, parameters: &Parameters) -> Result<Self> {
        let mut sgd = Self::new(SgdOptions {
            learning_rate: checkpoint.entry(&format!("{prefix}learning_rate"))?,
            momentum: checkpoint.entry(&format!("{prefix}momentum"))?,
            weight_decay: checkpoint.entry(&format!("{prefix}weight_decay"))?,
            nesterov: checkpoint.entry(&format!("{prefix}nesterov"))?,
        })?;
        sgd.steps = checkpoint.entry(&format!("{prefix}steps"))?;
        for (name, tensor) in checkpoint.with_prefix(&format!("{prefix}velocity.")) {
            check_like(name, parameters.get(name)?, tensor)?;
            sgd.velocity.insert(name.to_string(), tensor.to_device(parameters.device())?);
        }
        Ok(sgd)
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, parameters: &mut Parameters, gradients: &[Tensor]) -> Result<()> {
        Sgd::step(self, parameters, gradients)
    }

    fn learning_rate(&self) -> f64 {
        self.options.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        Sgd::set_learning_rate(self, learning_rate)
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        Sgd::store(self, checkpoint, prefix);
    }

    fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<()> {
        *self = Sgd::load(checkpoint, prefix, parameters)?;
        Ok(())
    }
}
