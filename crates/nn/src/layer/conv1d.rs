//! Convolution of sequences.

use pullback_core_graph::{Result, Var};

use super::pool::as_image;
use super::{Conv2d, Conv2dSpec, Layer};
use crate::arithmetic::Window;
use crate::ops::{self, Conv2dOptions};
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// What a [`Conv1d`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct Conv1dSpec {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// The window: taps, stride, padding, dilation.
    pub window: Window,
    /// Channels are split into this many groups.
    pub groups: usize,
    /// Whether a bias is added, see [`Initialization::of_bias`].
    pub bias: bool,
    /// The first values of the weight.
    pub initialization: Initialization,
}

impl Conv1dSpec {
    /// A convolution that keeps the length: odd kernel (an even one gives one more), padding ⌊kernel/2⌋, with a bias, Xavier's initialization.
    #[must_use]
    pub fn same(inputs: usize, outputs: usize, kernel: usize) -> Self {
        let window = Window::new(kernel).padding(kernel / 2);
        let initialization = Initialization::Xavier;
        Self { inputs, outputs, window, groups: 1, bias: true, initialization }
    }
}

/// y\[n,o,i\] = Σ over c and k of w\[o,c,k\]·x\[n,c, stride·i + dilation·k − padding\] + b\[o\].
///
/// Shapes: x (batch, in, length), w (out, in/groups, kernel), b (out), y (batch, out, ⌊(length + 2·padding − dilation·(kernel − 1) −
/// 1)/stride⌋ + 1).
#[derive(Debug, Clone)]
pub struct Conv1d {
    weight: String,
    bias: Option<String>,
    spec: Conv1dSpec,
}

impl Conv1d {
    /// Makes `weight` and, if wanted, `bias`.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: Conv1dSpec) -> crate::Result<Self> {
        let Conv1dSpec { inputs, outputs, window, groups, bias, initialization } = spec;
        check_groups("Conv1d", groups, [inputs, outputs])?;
        let dims = [outputs, inputs / groups, window.kernel];
        let weight = scope.parameter("weight", &dims, initialization)?;
        let mut make = || scope.parameter("bias", &[outputs], initialization.of_bias(&dims)?);
        let bias = bias.then(&mut make).transpose()?;
        Ok(Self { weight, bias, spec })
    }
}

/// Groups must divide both numbers of channels.
pub(super) fn check_groups(
    operation: &'static str,
    groups: usize,
    channels: [usize; 2],
) -> crate::Result<()> {
    if groups > 0 && channels.iter().all(|c| c.is_multiple_of(groups)) {
        return Ok(());
    }
    let reason = "must divide the input and the output channels";
    Err(crate::Error::Argument { operation, argument: "groups", value: groups, reason })
}

/// The options of a sequence as an image of height 1.
pub(super) fn flat_options(window: Window, groups: usize) -> Conv2dOptions {
    Conv2dOptions {
        stride: [1, window.stride],
        padding: [0, window.padding],
        dilation: [1, window.dilation],
        groups,
    }
}

impl Layer for Conv1d {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let x = as_image("conv1d", x)?;
        let weight = parameters.get(&self.weight)?.unsqueeze(2);
        let options = flat_options(self.spec.window, self.spec.groups);
        let y = match &self.bias {
            Some(bias) => ops::conv2d_fused(x, weight, parameters.get(bias)?, false, options),
            None => ops::conv2d(x, weight, options),
        };
        y.squeeze(2).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let names: Vec<&str> =
            [&self.weight].into_iter().chain(&self.bias).map(String::as_str).collect();
        let channels = [Some(self.spec.inputs), Some(self.spec.outputs)];
        walk.windows("conv1d", channels, &[self.spec.window], &names)
    }
}

/// A convolution of each channel alone, then a 1×1 convolution that mixes them (Sifre 2014; Howard et al. 2017).
#[derive(Debug, Clone)]
pub struct SeparableConv2d {
    depthwise: Conv2d,
    pointwise: Conv2d,
}

impl SeparableConv2d {
    /// Makes `depthwise` and `pointwise`, with an odd square kernel that keeps the size, and a bias at the end.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(
        scope: &mut Scope<'_>,
        inputs: usize,
        outputs: usize,
        kernel: usize,
    ) -> crate::Result<Self> {
        Self::initialized(scope, [inputs, outputs], kernel, Initialization::Xavier)
    }

    /// The same with other first values of both convolutions than Xavier's.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn initialized(
        scope: &mut Scope<'_>,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        initialization: Initialization,
    ) -> crate::Result<Self> {
        let first = Conv2dSpec { bias: false, ..Conv2dSpec::depthwise(inputs, 1, kernel) };
        let second = Conv2dSpec::same(inputs, outputs, 1);
        let mut make = |name, spec: Conv2dSpec| {
            Conv2d::new(&mut scope.scope(name), spec.initialized(initialization))
        };
        Ok(Self { depthwise: make("depthwise", first)?, pointwise: make("pointwise", second)? })
    }
}

impl Layer for SeparableConv2d {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.pointwise.forward(parameters, self.depthwise.forward(parameters, x)?)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        self.depthwise.walk(walk)?;
        self.pointwise.walk(walk)
    }
}
