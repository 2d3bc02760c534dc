//! The residual block without normalization.

use pullback_core_graph::{Result, Var};

use super::{Conv2d, Conv2dSpec, Layer};
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// Choices of a [`ResidualBlock`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResidualOptions {
    /// Start the second convolution at zero, so that the block begins as its skip connection. Deep stacks then train
    /// without normalization (Zhang, Dauphin, Ma 2019).
    pub zero_second: bool,
    /// The first values of the other convolutions.
    pub initialization: Initialization,
    /// Take the positive part of the sum.
    pub relu: bool,
}

impl Default for ResidualOptions {
    fn default() -> Self {
        Self { zero_second: true, initialization: Initialization::He, relu: true }
    }
}

/// y = max(skip(x) + conv₂(max(conv₁(x), 0)), 0), both convolutions 3×3 at the image's size (He et al. 2016, without the
/// batch normalization: exact for one image, and for a crop).
///
/// The skip connection is the identity, or a 1×1 convolution where the number of channels changes.
#[derive(Debug, Clone)]
pub struct ResidualBlock {
    first: Conv2d,
    second: Conv2d,
    skip: Option<Conv2d>,
    relu: bool,
}

impl ResidualBlock {
    /// Makes the parameters of `first`, `second` and, if needed, `skip`.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(
        scope: &mut Scope<'_>,
        inputs: usize,
        outputs: usize,
        options: ResidualOptions,
    ) -> crate::Result<Self> {
        let ResidualOptions { zero_second, initialization, relu } = options;
        let second = if zero_second { Initialization::Constant(0.0) } else { initialization };
        let spec = |inputs, kernel, initialization| Conv2dSpec {
            initialization,
            ..Conv2dSpec::same(inputs, outputs, kernel)
        };
        let skip = Conv2dSpec { bias: false, ..spec(inputs, 1, Initialization::Xavier) };
        Ok(Self {
            first: Conv2d::new(
                &mut scope.scope("first"),
                spec(inputs, 3, initialization).rectified(),
            )?,
            second: Conv2d::new(&mut scope.scope("second"), spec(outputs, 3, second))?,
            skip: if inputs == outputs {
                None
            } else {
                Some(Conv2d::new(&mut scope.scope("skip"), skip)?)
            },
            relu,
        })
    }
}

impl Layer for ResidualBlock {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let change = self.second.forward(parameters, self.first.forward(parameters, x)?)?;
        let kept = match &self.skip {
            Some(skip) => skip.forward(parameters, x)?,
            None => x,
        };
        let y = kept + change;
        if self.relu { y.relu().ok() } else { y.ok() }
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.sum(
            |walk| [&self.first, &self.second].into_iter().try_for_each(|layer| layer.walk(walk)),
            |walk| self.skip.iter().try_for_each(|layer| layer.walk(walk)),
        )?;
        if self.relu { walk.keep("relu", &[]) } else { Ok(()) }
    }
}
