//! The affine map.

use pullback_core_graph::{Result, Var};

use super::Layer;
use crate::parameters::{Bound, Initialization, Scope};

/// y = x·Wᵀ + b. Shapes: x (…, in) of rank 2 or more, W (out, in), b (out), y (…, out).
#[derive(Debug, Clone)]
pub struct Linear {
    weight: String,
    bias: Option<String>,
}

impl Linear {
    /// Makes `weight` by `initialization` and a `bias` of zeros.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(
        scope: &mut Scope<'_>,
        inputs: usize,
        outputs: usize,
        initialization: Initialization,
    ) -> crate::Result<Self> {
        let weight = scope.parameter("weight", &[outputs, inputs], initialization)?;
        let bias = Some(scope.parameter("bias", &[outputs], Initialization::Constant(0.0))?);
        Ok(Self { weight, bias })
    }

    /// The same without a bias.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn without_bias(
        scope: &mut Scope<'_>,
        inputs: usize,
        outputs: usize,
        initialization: Initialization,
    ) -> crate::Result<Self> {
        Ok(Self {
            weight: scope.parameter("weight", &[outputs, inputs], initialization)?,
            bias: None,
        })
    }
}

impl Layer for Linear {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let y = x.matmul(parameters.get(&self.weight)?.t());
        match &self.bias {
            Some(bias) => (y + parameters.get(bias)?).ok(),
            None => y.ok(),
        }
    }
}
