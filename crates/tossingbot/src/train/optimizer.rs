//! Stochastic gradient descent with momentum, weight decay and a bound on the gradient's length.

use candle_core::Tensor;
use pullback_core_graph::tensor::{from_vec, with_slice};

use crate::error::Result;

/// v ← m·v − η·(c·g + λ·w),  w ← w + v, where c ≤ 1 shortens the gradient of all parameters together to the length `clip`.
#[derive(Debug, Clone)]
pub struct Momentum {
    /// The velocities v, like the parameters.
    pub velocity: Vec<Tensor>,
}

/// Settings of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// Learning rate η.
    pub rate: f64,
    /// Momentum m.
    pub momentum: f64,
    /// Weight decay λ.
    pub decay: f64,
    /// Longest gradient.
    pub clip: f64,
}

impl Momentum {
    /// At rest.
    ///
    /// # Errors
    /// Those of tensor construction.
    pub fn new(parameters: &[Tensor]) -> Result<Self> {
        let velocity: candle_core::Result<Vec<Tensor>> =
            parameters.iter().map(Tensor::zeros_like).collect();
        Ok(Self { velocity: velocity? })
    }

    /// One step along `gradients` (f32, like the parameters). Returns the gradient's length before it was bounded.
    ///
    /// # Errors
    /// Those of the tensors.
    pub fn step(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        size: &StepSize,
    ) -> Result<f64> {
        let mut squares = 0.0;
        for g in gradients {
            squares += with_slice::<f32, _>(g, |g| {
                g.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
            })?;
        }
        let length = squares.sqrt();
        let shorten = if length > size.clip { size.clip / length } else { 1.0 };
        let [rate, momentum, decay, shorten] =
            [size.rate, size.momentum, size.decay, shorten].map(|x| x as f32);
        for ((w, v), g) in parameters.iter_mut().zip(&mut self.velocity).zip(gradients) {
            let dims = w.dims().to_vec();
            let moved = with_slice::<f32, _>(w, |w| {
                with_slice::<f32, _>(v, |v| {
                    with_slice::<f32, _>(g, |g| {
                        let velocity: Vec<f32> = v
                            .iter()
                            .zip(w)
                            .zip(g)
                            .map(|((v, w), g)| momentum * v - rate * (shorten * g + decay * w))
                            .collect();
                        let weight: Vec<f32> =
                            w.iter().zip(&velocity).map(|(w, v)| w + v).collect();
                        (weight, velocity)
                    })
                })
            })???;
            *w = from_vec(moved.0, &dims, &candle_core::Device::Cpu)?;
            *v = from_vec(moved.1, &dims, &candle_core::Device::Cpu)?;
        }
        Ok(length)
    }
}
