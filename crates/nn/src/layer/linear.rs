//! The affine map.

use pullback_core_graph::{Result, Var};

use super::Layer;
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// y = x·Wᵀ + b. Shapes: x (…, in) of rank 2 or more, W (out, in), b (out), y (…, out).
#[derive(Debug, Clone)]
pub struct Linear {
    weight: String,
    bias: Option<String>,
    sizes: [usize; 2],
}

impl Linear {
    /// Makes `weight` by `initialization` and `bias` by [`Initialization::of_bias`].
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(
        scope: &mut Scope<'_>,
        inputs: usize,
        outputs: usize,
        initialization: Initialization,
    ) -> crate::Result<Self> {
        let dims = [outputs, inputs];
        let weight = scope.parameter("weight", &dims, initialization)?;
        let bias = scope.parameter("bias", &[outputs], initialization.of_bias(&dims)?)?;
        Ok(Self { weight, bias: Some(bias), sizes: [inputs, outputs] })
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
            sizes: [inputs, outputs],
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

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let names: Vec<&str> =
            [&self.weight].into_iter().chain(&self.bias).map(String::as_str).collect();
        walk.features("linear", self.sizes, &names)
    }
}
