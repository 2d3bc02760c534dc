//! The feed-forward network, with its backward recursion written out.
//!
//! Forward, for l = 1 … L, with z the sums, σ the activation and h_l the sizes:
//!
//! ```text
//! z_l = W_l·x_{l−1} + b_l        W_l ∈ ℝ^{h_l × h_{l−1}}
//! x_l = σ_l(z_l)
//! ```
//!
//! Backward, with the row δ_l = dL/dz_l: by the chain rule
//!
//! ```text
//! δ_L     = dL/dx_L ∘ σ_L'(z_L)
//! δ_l     = [δ_{l+1}·W_{l+1}] ∘ σ_l'(z_l)
//! dL/dW_l = δ_lᵀ·x_{l−1}ᵀ        dL/db_l = δ_lᵀ
//! ```
//!
//! Here each row of X_l and Δ_l belongs to one sample, so the outer products add up to Δ_lᵀ·X_{l−1}, and the biases' to the sum of the
//! rows. It is what a graph computes when it pulls the loss back through [`FeedForward`] as a [`Layer`]; no graph is used here.

use std::collections::BTreeMap;

use candle_core::Tensor;
use pullback_core_graph::{Result, Var};

use crate::activation::Activation;
use crate::layer::Layer;
use crate::parameters::{Bound, Initialization, Parameters, Scope};
use crate::summary::Walk;

/// A network of L affine maps, each followed by an activation.
#[derive(Debug, Clone)]
pub struct FeedForward {
    layers: Vec<Affine>,
}

#[derive(Debug, Clone)]
struct Affine {
    weight: String,
    bias: String,
    activation: Activation,
    sizes: [usize; 2],
}

/// What the forward pass leaves for the backward one.
#[derive(Debug, Clone)]
pub struct Pass {
    /// x_0 … x_L, each (samples, h_l).
    pub x: Vec<Tensor>,
    /// z_1 … z_L, each (samples, h_l).
    pub z: Vec<Tensor>,
}

/// What the backward recursion gives.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// dL/dW_l and dL/db_l, by the parameters' names.
    pub parameters: BTreeMap<String, Tensor>,
    /// δ_1 … δ_L, each (samples, h_l).
    pub deltas: Vec<Tensor>,
    /// dL/dx_0 = δ_1·W_1.
    pub input: Tensor,
}

impl FeedForward {
    /// Makes `layer{l}.weight` (h_l, h_{l−1}) and `layer{l}.bias` (h_l) for l = 1 … L, where `sizes` is h_0 … h_L; σ_l is `hidden` for
    /// l < L and `output` for l = L.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) for fewer than two sizes or a size of 0.
    pub fn new(
        scope: &mut Scope<'_>,
        sizes: &[usize],
        hidden: Activation,
        output: Activation,
        initialization: Initialization,
    ) -> crate::Result<Self> {
        if sizes.len() < 2 || sizes.contains(&0) {
            return Err(crate::Error::Argument {
                operation: "FeedForward",
                argument: "sizes",
                value: sizes.len(),
                reason: "needs an input and an output size, none of them 0",
            });
        }
        let last = sizes.len() - 1;
        let layers = (1..=last).map(|l| {
            let mut scope = scope.scope(&format!("layer{l}"));
            let (inputs, outputs) = (sizes[l - 1], sizes[l]);
            let dims = [outputs, inputs];
            Ok(Affine {
                weight: scope.parameter("weight", &dims, initialization)?,
                bias: scope.parameter("bias", &[outputs], initialization.of_bias(&dims)?)?,
                activation: if l == last { output } else { hidden },
                sizes: [inputs, outputs],
            })
        });
        Ok(Self { layers: layers.collect::<crate::Result<_>>()? })
    }

    /// All z and x for the inputs x_0 (samples, h_0).
    ///
    /// # Errors
    /// Shapes that do not fit, parameters that are not there.
    pub fn forward_by_hand(&self, parameters: &Parameters, x: &Tensor) -> crate::Result<Pass> {
        let mut pass = Pass { x: vec![x.clone()], z: vec![] };
        let mut x = x.clone();
        for layer in &self.layers {
            let (weight, bias) = (parameters.get(&layer.weight)?, parameters.get(&layer.bias)?);
            let z = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
            x = evaluate(layer.activation, &z)?;
            pass.z.push(z);
            pass.x.push(x.clone());
        }
        Ok(pass)
    }

    /// All gradients of a loss L from dL/dx_L (samples, h_L), by the recursion.
    ///
    /// # Errors
    /// Shapes that do not fit, a pass of another network, an activation that looks along an axis ([`Activation::slope`]).
    pub fn backward_by_hand(
        &self,
        parameters: &Parameters,
        pass: &Pass,
        loss_by_output: &Tensor,
    ) -> crate::Result<Gradients> {
        if pass.z.len() != self.layers.len() || pass.x.len() != self.layers.len() + 1 {
            return Err(crate::Error::Argument {
                operation: "FeedForward",
                argument: "layers of the pass",
                value: pass.z.len(),
                reason: "the pass is that of another network",
            });
        }
        let mut gradients = BTreeMap::new();
        let mut deltas = vec![];
        // dL/dx_l; first that of the last layer.
        let mut by_x = loss_by_output.clone();
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let delta = by_x.mul(&layer.activation.slope(&pass.z[l])?)?;
            gradients.insert(layer.weight.clone(), delta.t()?.matmul(&pass.x[l])?);
            gradients.insert(layer.bias.clone(), delta.sum(0)?);
            by_x = delta.matmul(parameters.get(&layer.weight)?)?;
            deltas.push(delta);
        }
        deltas.reverse();
        Ok(Gradients { parameters: gradients, deltas, input: by_x })
    }
}

/// σ(z) as a tensor.
fn evaluate(activation: Activation, z: &Tensor) -> Result<Tensor> {
    let graph = pullback_core_graph::Graph::new();
    activation.apply(graph.constant(z))?.value()
}

impl Layer for FeedForward {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.layers.iter().try_fold(x, |x, layer| {
            let (weight, bias) = (parameters.get(&layer.weight)?, parameters.get(&layer.bias)?);
            layer.activation.apply(x.matmul(weight.t()) + bias)
        })
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        self.layers.iter().try_for_each(|layer| {
            walk.features("linear", layer.sizes, &[&layer.weight, &layer.bias])?;
            layer.activation.walk(walk)
        })
    }
}
