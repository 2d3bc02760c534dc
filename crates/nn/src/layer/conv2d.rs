//! Convolution with its parameters.

use pullback_core_graph::{Result, Var};

use super::Layer;
use super::conv1d::check_groups;
use crate::ops::{self, Conv2dOptions};
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// What a [`Conv2d`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct Conv2dSpec {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel, in taps.
    pub kernel: [usize; 2],
    /// Stride, padding, dilation, groups.
    pub options: Conv2dOptions,
    /// Whether a bias is added, see [`Initialization::of_bias`].
    pub bias: bool,
    /// Whether the positive part is taken.
    pub relu: bool,
    /// The first values of the weight.
    pub initialization: Initialization,
}

impl Conv2dSpec {
    /// A convolution that keeps the image's size: odd square kernel (an even one gives one pixel more), padding ⌊kernel/2⌋, with a bias, Xavier's
    /// initialization, no rectifier.
    #[must_use]
    pub fn same(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel: [kernel; 2],
            options: Conv2dOptions { padding: [kernel / 2; 2], ..Conv2dOptions::default() },
            bias: true,
            relu: false,
            initialization: Initialization::Xavier,
        }
    }

    /// A depthwise convolution: each channel by a kernel of its own, `multiplier` outputs for each.
    #[must_use]
    pub fn depthwise(channels: usize, multiplier: usize, kernel: usize) -> Self {
        let mut spec = Self::same(channels, channels.saturating_mul(multiplier), kernel);
        spec.options.groups = channels;
        spec
    }

    /// The same with other first values.
    #[must_use]
    pub fn initialized(self, initialization: Initialization) -> Self {
        Self { initialization, ..self }
    }

    /// The same followed by a rectifier.
    #[must_use]
    pub fn rectified(self) -> Self {
        Self { relu: true, ..self }
    }
}

/// y = max(x ⋆ w + b, 0), see [`ops::conv2d_fused`]; bias and rectifier as the [`Conv2dSpec`] says.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: String,
    bias: Option<String>,
    options: Conv2dOptions,
    relu: bool,
    channels: [usize; 2],
    kernel: [usize; 2],
}

impl Conv2d {
    /// Makes `weight` and, if wanted, `bias`.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) if the groups do not divide the input and the output channels.
    pub fn new(scope: &mut Scope<'_>, spec: Conv2dSpec) -> crate::Result<Self> {
        let Conv2dSpec { inputs, outputs, kernel, options, bias, relu, initialization } = spec;
        check_groups("Conv2d", options.groups, [inputs, outputs])?;
        let dims = [outputs, inputs / options.groups, kernel[0], kernel[1]];
        let weight = scope.parameter("weight", &dims, initialization)?;
        let bias = if bias {
            Some(scope.parameter("bias", &[outputs], initialization.of_bias(&dims)?)?)
        } else {
            None
        };
        Ok(Self { weight, bias, options, relu, channels: [inputs, outputs], kernel })
    }
}

impl Layer for Conv2d {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let weight = parameters.get(&self.weight)?;
        match &self.bias {
            Some(bias) => {
                ops::conv2d_fused(x, weight, parameters.get(bias)?, self.relu, self.options).ok()
            }
            None if self.relu => ops::conv2d(x, weight, self.options).relu().ok(),
            None => ops::conv2d(x, weight, self.options).ok(),
        }
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let names: Vec<&str> =
            [&self.weight].into_iter().chain(&self.bias).map(String::as_str).collect();
        let kind = if self.relu { "conv2d + relu" } else { "conv2d" };
        walk.windows(kind, self.channels.map(Some), &self.options.windows(self.kernel), &names)
    }
}
