//! First-order optimizers: gradient descent with momentum, and Adam.

use candle_core::{Device, Tensor};
use pullback_core_graph::tensor::{from_vec, with_slice};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Which rule moves the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// u ← m·u + g,  w ← w − η·(u + λ·w).
    Momentum {
        /// Momentum m.
        momentum: f64,
    },
    /// u ← β₁·u + (1 − β₁)·g,  s ← β₂·s + (1 − β₂)·g²,  w ← w − η·(û/(√ŝ + ε) + λ·w), û and ŝ without the bias of their start
    /// (Kingma and Ba 2015; decoupled decay: Loshchilov and Hutter 2019). β₁ = .9, β₂ = .999, ε = 1e-8.
    Adam,
}

const ADAM: [f64; 3] = [0.9, 0.999, 1e-8];

/// One step's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// Learning rate η.
    pub rate: f64,
    /// Weight decay λ.
    pub decay: f64,
    /// Longest gradient of all parameters together; a longer one is shortened to it.
    pub clip: f64,
}

/// An optimizer with its memory.
#[derive(Debug, Clone)]
pub struct Optimizer {
    rule: Rule,
    /// u, like the parameters.
    pub(super) mean: Vec<Tensor>,
    /// s, like the parameters; all zero for [`Rule::Momentum`].
    pub(super) square: Vec<Tensor>,
}

impl Optimizer {
    /// At rest.
    ///
    /// # Errors
    /// Those of tensor construction.
    pub fn new(rule: Rule, parameters: &[Tensor]) -> Result<Self> {
        let zeros =
            || -> Result<Vec<Tensor>> { parameters.iter().map(|t| Ok(t.zeros_like()?)).collect() };
        Ok(Self { rule, mean: zeros()?, square: zeros()? })
    }

    /// Step number `count`, counted from 0, along `gradients` (f32, like the parameters). Returns the gradient's length before it was
    /// bounded.
    ///
    /// # Errors
    /// Those of the tensors.
    pub fn step(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        size: &StepSize,
        count: usize,
    ) -> Result<f64> {
        let mut squares = 0.0;
        for g in gradients {
            squares += with_slice::<f32, _>(g, |g| {
                g.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
            })?;
        }
        let length = squares.sqrt();
        let shorten = if length > size.clip { size.clip / length } else { 1.0 };
        let steps = (count + 1).min(1 << 20) as i32;
        let rule = self.rule;
        // (w, u, s, g) ↦ (w, u, s).
        let element = move |w: f32, u: f32, s: f32, g: f32| {
            let (w, u, s) = (f64::from(w), f64::from(u), f64::from(s));
            let g = shorten * f64::from(g);
            let (u, s, direction) = match rule {
                Rule::Momentum { momentum } => {
                    let u = momentum * u + g;
                    (u, s, u)
                }
                Rule::Adam => {
                    let [b1, b2, epsilon] = ADAM;
                    let (u, s) = (b1 * u + (1.0 - b1) * g, b2 * s + (1.0 - b2) * g * g);
                    let (first, second) = (u / (1.0 - b1.powi(steps)), s / (1.0 - b2.powi(steps)));
                    (u, s, first / (second.sqrt() + epsilon))
                }
            };
            (w - size.rate * (direction + size.decay * w), u, s)
        };
        for (i, gradient) in gradients.iter().enumerate() {
            let dims = parameters[i].dims().to_vec();
            let read = |t: &Tensor| with_slice::<f32, _>(t, <[f32]>::to_vec);
            let (mut w, g) = (read(&parameters[i])?, read(gradient)?);
            let (mut u, mut s) = (read(&self.mean[i])?, read(&self.square[i])?);
            for j in 0..w.len() {
                let (wj, uj, sj) = element(w[j], u[j], s[j], g[j]);
                (w[j], u[j], s[j]) = (wj as f32, uj as f32, sj as f32);
            }
            parameters[i] = from_vec(w, &dims, &Device::Cpu)?;
            self.mean[i] = from_vec(u, &dims, &Device::Cpu)?;
            self.square[i] = from_vec(s, &dims, &Device::Cpu)?;
        }
        Ok(length)
    }
}
