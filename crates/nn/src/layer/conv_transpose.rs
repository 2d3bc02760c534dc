//! Transposed convolution of images and sequences.

use candle_core::Tensor;
use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use super::conv1d::{check_groups, flat_options};
use super::pool::as_image;
use crate::arithmetic::Window;
use crate::ops::{self, Conv2dOptions};
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// What a [`ConvTranspose2d`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct ConvTranspose2dSpec {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// The windows along height and width, of the convolution that this is the transpose of.
    pub windows: [Window; 2],
    /// Rows below and columns to the right that no whole window reaches; less than the stride or the dilation.
    pub output_padding: [usize; 2],
    /// Channels are split into this many groups.
    pub groups: usize,
    /// Whether a bias is added, see [`Initialization::of_bias`].
    pub bias: bool,
    /// The first values of the weight.
    pub initialization: Initialization,
}

impl ConvTranspose2dSpec {
    /// Doubles height and width: 4×4 with stride 2 and padding 1.
    #[must_use]
    pub fn double(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            windows: [Window::new(4).stride(2).padding(1); 2],
            output_padding: [0; 2],
            groups: 1,
            bias: true,
            initialization: Initialization::Xavier,
        }
    }
}

/// The transpose of a convolution with the same weight, plus a bias: it makes of an image what the convolution's backward pass would.
///
/// Shapes: x (batch, in, h, w), weight (in, out/groups, kernel height, kernel width), bias (out), y (batch, out, (h − 1)·stride −
/// 2·padding + dilation·(kernel − 1) + output padding + 1, …). Weights are as PyTorch's.
#[derive(Debug, Clone)]
pub struct ConvTranspose2d {
    weight: String,
    bias: Option<String>,
    spec: ConvTranspose2dSpec,
}

fn make(
    operation: &'static str,
    scope: &mut Scope<'_>,
    spec: &ConvTranspose2dSpec,
    kernel: &[usize],
) -> crate::Result<(String, Option<String>)> {
    check_groups(operation, spec.groups, [spec.inputs, spec.outputs])?;
    for (window, extra) in spec.windows.iter().zip(spec.output_padding) {
        // Refuses what fits no size; a padding that cuts away small inputs is found with them.
        window.padding(0).transposed(1, extra)?;
    }
    let dims = [&[spec.inputs, spec.outputs / spec.groups], kernel].concat();
    let weight = scope.parameter("weight", &dims, spec.initialization)?;
    let mut make = || scope.parameter("bias", &[spec.outputs], spec.initialization.of_bias(&dims)?);
    let bias = spec.bias.then(&mut make).transpose()?;
    Ok((weight, bias))
}

impl ConvTranspose2d {
    /// Makes `weight` and, if wanted, `bias`.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) for groups that do not divide the channels, and output
    /// padding that is not less than stride or dilation.
    pub fn new(scope: &mut Scope<'_>, spec: ConvTranspose2dSpec) -> crate::Result<Self> {
        let kernel = spec.windows.map(|w| w.kernel);
        let (weight, bias) = make("ConvTranspose2d", scope, &spec, &kernel)?;
        Ok(Self { weight, bias, spec })
    }
}

fn transposed<'g>(
    x: Var<'g>,
    weight: Var<'g>,
    spec: &ConvTranspose2dSpec,
    options: Conv2dOptions,
) -> Result<Var<'g>> {
    let dims = x.dims()?;
    let [_, _, height, width] = dims[..] else {
        let what = "(batch, channels, height, width)";
        return Err(Error::shape("conv_transpose2d", what, &[&dims]));
    };
    let size = |axis: usize, n| spec.windows[axis].transposed(n, spec.output_padding[axis]);
    let size = [size(0, height)?, size(1, width)?];
    let mut x = x;
    for (axis, (window, extra)) in spec.windows.iter().zip(spec.output_padding).enumerate() {
        x = with_zeros(x, 2 + axis, extra / window.stride)?;
    }
    ops::conv_transpose2d(x, weight, size, options).ok()
}

/// So many zeros behind the last place of an axis. Output padding of whole strides makes room for as many windows more in the convolution
/// that this is the transpose of; nothing comes from those.
fn with_zeros(x: Var<'_>, axis: usize, zeros: usize) -> Result<Var<'_>> {
    if zeros == 0 {
        return Ok(x);
    }
    let mut dims = x.dims()?;
    dims[axis] = zeros;
    ops::check_room::<f64>("conv_transpose2d", &dims)?;
    let zeros = Tensor::zeros(dims, x.dtype()?, &x.device()?)?;
    x.graph().cat(&[x, x.graph().constant(&zeros)], axis as i32).ok()
}

impl Layer for ConvTranspose2d {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let windows = self.spec.windows;
        let options = Conv2dOptions {
            stride: windows.map(|w| w.stride),
            padding: windows.map(|w| w.padding),
            dilation: windows.map(|w| w.dilation),
            groups: self.spec.groups,
        };
        let y = transposed(x, parameters.get(&self.weight)?, &self.spec, options)?;
        with_bias(parameters, &self.bias, y, 2)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let names: Vec<&str> =
            [&self.weight].into_iter().chain(&self.bias).map(String::as_str).collect();
        let channels = [Some(self.spec.inputs), Some(self.spec.outputs)];
        let [h, w] = [0, 1].map(|i| (self.spec.windows[i], self.spec.output_padding[i]));
        walk.transposed("conv_transpose2d", channels, &[h, w], &names)
    }
}

fn with_bias<'g>(
    parameters: &Bound<'g>,
    bias: &Option<String>,
    y: Var<'g>,
    axes: usize,
) -> Result<Var<'g>> {
    let Some(bias) = bias else { return y.ok() };
    let bias = parameters.get(bias)?;
    let mut dims = bias.dims()?;
    dims.resize(1 + axes, 1);
    (y + bias.reshape(&dims)).ok()
}

/// What a [`ConvTranspose1d`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct ConvTranspose1dSpec {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// The window of the convolution that this is the transpose of.
    pub window: Window,
    /// Places at the end that no whole window reaches; less than the stride or the dilation.
    pub output_padding: usize,
    /// Channels are split into this many groups.
    pub groups: usize,
    /// Whether a bias is added, see [`Initialization::of_bias`].
    pub bias: bool,
    /// The first values of the weight.
    pub initialization: Initialization,
}

/// [`ConvTranspose2d`] of sequences: x (batch, in, length), weight (in, out/groups, kernel), bias (out), y (batch, out, (length − 1)·stride −
/// 2·padding + dilation·(kernel − 1) + output padding + 1).
#[derive(Debug, Clone)]
pub struct ConvTranspose1d {
    weight: String,
    bias: Option<String>,
    spec: ConvTranspose2dSpec,
}

impl ConvTranspose1d {
    /// Makes `weight` and, if wanted, `bias`.
    ///
    /// # Errors
    /// As [`ConvTranspose2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: ConvTranspose1dSpec) -> crate::Result<Self> {
        let ConvTranspose1dSpec { inputs, outputs, window, output_padding, .. } = spec;
        let ConvTranspose1dSpec { groups, bias, initialization, .. } = spec;
        let windows = [Window::new(1), window];
        let output_padding = [0, output_padding];
        let spec = ConvTranspose2dSpec {
            inputs,
            outputs,
            windows,
            output_padding,
            groups,
            bias,
            initialization,
        };
        let (weight, bias) = make("ConvTranspose1d", scope, &spec, &[window.kernel])?;
        Ok(Self { weight, bias, spec })
    }
}

impl Layer for ConvTranspose1d {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let x = as_image("conv_transpose1d", x)?;
        let weight = parameters.get(&self.weight)?.unsqueeze(2);
        let options = flat_options(self.spec.windows[1], self.spec.groups);
        let y = transposed(x, weight, &self.spec, options)?.squeeze(2);
        with_bias(parameters, &self.bias, y, 1)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let names: Vec<&str> =
            [&self.weight].into_iter().chain(&self.bias).map(String::as_str).collect();
        let channels = [Some(self.spec.inputs), Some(self.spec.outputs)];
        let window = (self.spec.windows[1], self.spec.output_padding[1]);
        walk.transposed("conv_transpose1d", channels, &[window], &names)
    }
}
