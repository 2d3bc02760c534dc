//! Convolution, with the bias and the rectifier in the same pass.

use candle_core::Tensor;
use pullback_core_graph::primitive::{Slots, Values, one, slot};
use pullback_core_graph::{Error, Fresh, Primitive, Result, Var, Wrt};

use super::channel::{channel_spread, channel_sum, relu_mask};
use super::conv2d_gradient::{InputGradient, WeightGradient};
use super::slices::{self, Kernel, image_dims};
use crate::arithmetic::Window;
use crate::kernel::Real;
use crate::kernel::conv::{self, Conv2dShape, Epilogue};

/// Stride, padding, dilation and groups of a convolution; pairs are (height, width).
///
/// The default is stride 1, no padding, dilation 1, one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dOptions {
    /// Step between neighbouring outputs, in input pixels.
    pub stride: [usize; 2],
    /// Zeros added on both sides of each axis, in pixels.
    pub padding: [usize; 2],
    /// Distance between neighbouring taps, in input pixels.
    pub dilation: [usize; 2],
    /// Channels are split into this many groups.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl Conv2dOptions {
    /// The windows of a kernel along height and width.
    #[must_use]
    pub fn windows(&self, kernel: [usize; 2]) -> [Window; 2] {
        [0, 1].map(|axis| Window {
            kernel: kernel[axis],
            stride: self.stride[axis],
            padding: self.padding[axis],
            dilation: self.dilation[axis],
        })
    }

    /// Is every pixel of an image x under some window, or with `outputs` every output over some pixel? False also where it is not obvious.
    pub(super) fn covers(&self, x: &[usize], w: &[usize], outputs: bool) -> bool {
        let (&[_, _, height, width], &[out, _, rows, columns]) = (x, w) else { return false };
        let axes = self.windows([rows, columns]).into_iter().zip([height, width]);
        let mut covered = axes.map(|(window, size)| {
            let Window { kernel, stride, padding, dilation } = window;
            let plain = dilation == 1 && padding < kernel;
            let padded = padding.checked_mul(2).and_then(|both| both.checked_add(size));
            let room = padded.and_then(|padded| padded.checked_sub(kernel));
            let rest = room.map(|room| room % stride.max(1));
            plain && (outputs || (stride <= kernel && rest.is_some_and(|rest| rest <= padding)))
        });
        out != 0 && covered.all(|covered| covered)
    }

    /// Is every tap of the kernel over some pixel of an image x in some window? False also where it is not obvious.
    pub(super) fn touches(&self, x: &[usize], w: &[usize]) -> bool {
        let (&[batch, _, height, width], &[_, _, rows, columns]) = (x, w) else { return false };
        let axes = self.windows([rows, columns]).into_iter().zip([height, width]);
        let mut touched = axes.map(|(window, size)| {
            // Without gaps: the first tap is over a pixel in the last window, the last tap in the first one, and those between are no
            // farther out.
            let outputs = window.fit(size).map_or(0, |fit| fit.output);
            window.stride == 1 && window.dilation == 1 && window.padding < outputs
        });
        batch != 0 && touched.all(|touched| touched)
    }

    /// The sizes for an input and a weight of these dimensions.
    pub(super) fn shape(&self, node: &str, x: [usize; 4], w: [usize; 4]) -> Result<Conv2dShape> {
        let Self { stride, padding, dilation, groups } = *self;
        let [batch, in_channels, height, width] = x;
        let base = Conv2dShape::new(batch, in_channels, w[0], [height, width], [w[2], w[3]]);
        let shape = Conv2dShape { stride, padding, dilation, groups, ..base };
        shape.output().map_err(|e| Error::external(node, e))?;
        if w[1] != in_channels / groups {
            let what =
                format!("a weight for {} input channels in {groups} groups (x, w)", in_channels);
            return Err(Error::shape(node, what, &[&x, &w]));
        }
        Ok(shape)
    }
}

/// y = x ⋆ w: y\[n,o,i\] = Σ over c and k of w\[o,c,k\]·x\[n,c, stride·i + dilation·k − padding\].
///
/// Shapes: x (batch, in, height, width), w (out, in / groups, kernel height, kernel width), y (batch, out, ⌊(height +
/// 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, …). Errors: other ranks, channels that do not fit, a window
/// larger than the padded image, a stride, dilation or group count of 0.
#[must_use]
pub fn conv2d<'g>(x: Var<'g>, w: Var<'g>, options: Conv2dOptions) -> Var<'g> {
    x.graph().record(Conv2d { options, relu: false }, &[x, w])
}

/// max(x ⋆ w + bias, 0), the maximum only if `relu`: [`conv2d`] with the rest done while the result is in cache.
///
/// Shape of the bias: (out). The derivative of the rectifier at 0 is 0. Errors: as [`conv2d`], a bias of another shape.
#[must_use]
pub fn conv2d_fused<'g>(
    x: Var<'g>,
    w: Var<'g>,
    bias: Var<'g>,
    relu: bool,
    options: Conv2dOptions,
) -> Var<'g> {
    x.graph().record(Conv2d { options, relu }, &[x, w, bias])
}

/// The transposed convolution: the x-shaped image `dx` of `size` (height, width) with ⟨dx, x⟩ = ⟨dy, x ⋆ w⟩ for all x.
///
/// Shapes: dy (batch, out, …) as [`conv2d`] would give it for an input of `size`, w (out, in / groups, …), result
/// (batch, in, height, width). Errors: as [`conv2d`]; a dy that no input of `size` gives.
#[must_use]
pub fn conv_transpose2d<'g>(
    dy: Var<'g>,
    w: Var<'g>,
    size: [usize; 2],
    options: Conv2dOptions,
) -> Var<'g> {
    dy.graph().record(InputGradient { options, size }, &[dy, w])
}

/// (x, w) or (x, w, bias) ↦ x ⋆ w, plus bias, rectified.
#[derive(Clone, Copy)]
struct Conv2d {
    options: Conv2dOptions,
    relu: bool,
}

struct Forward {
    shape: Conv2dShape,
    relu: bool,
}

impl Kernel for Forward {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        conv::overwritten(y, |y| self.run_seen(x, y))
    }

    fn run_seen<T: Real>(&self, x: &[&[T]], y: Fresh<'_, T>) -> crate::Result<bool> {
        let epilogue = Epilogue { bias: x.get(2).copied(), relu: self.relu };
        conv::forward_seen(&self.shape, x[0], x[1], epilogue, y)
    }
}

/// The dimensions of y.
pub(super) fn output_dims(node: &str, shape: &Conv2dShape) -> Result<[usize; 4]> {
    let [height, width] = shape.output().map_err(|e| Error::external(node, e))?;
    Ok([shape.batch, shape.out_channels, height, width])
}

impl Primitive for Conv2d {
    fn name(&self) -> &str {
        "conv2d"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        let node = self.name();
        let shape = self.options.shape(node, image_dims(node, x[0])?, image_dims(node, x[1])?)?;
        if let Some(bias) = x.get(2)
            && bias.dims() != [shape.out_channels]
        {
            let what = "a bias with one value for each output channel (w, bias)";
            return Err(Error::shape(node, what, &[x[1].dims(), bias.dims()]));
        }
        let dims = output_dims(node, &shape)?;
        let (y, finite) = slices::run_seen(node, &Forward { shape, relu: self.relu }, x, &dims)?;
        Ok((one(y)?, finite))
    }

    /// Every pixel and weight is in some sum. Loops look at it before a rectifier lets −∞ disappear, but for depthwise ones.
    fn sees(&self, i: usize, x: &[&Tensor]) -> bool {
        let (image, weight) = (x[0].dims(), x[1].dims());
        let early = self.options.groups == 1 && image.get(1).is_some_and(|&channels| channels > 1);
        (early || !self.relu)
            && match i {
                0 => self.options.covers(image, weight, false),
                1 => self.options.touches(image, weight),
                _ => false,
            }
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let along_x = dx[0].map(|d| conv2d(d, x[1], self.options));
        let along_w = dx[1].map(|d| conv2d(x[0], d, self.options));
        let along_bias = dx.get(2).copied().flatten().map(|d| channel_spread(d, y[0]));
        let sum = [along_x, along_w, along_bias].into_iter().flatten().reduce(|a, b| a + b);
        match sum {
            Some(d) => slot(if self.relu { relu_mask(y[0], d) } else { d }),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut dx = Slots::from_elem(None, x.len());
        let Some(dy) = dy[0] else { return Ok(dx) };
        let dy = if self.relu { relu_mask(y[0], dy) } else { dy };
        let (graph, options) = (dy.graph(), self.options);
        if wrt.needs(0) {
            let size = spatial(x[0])?;
            dx[0] = Some(graph.record(InputGradient { options, size }, &[dy, x[1]]).ok()?);
        }
        if wrt.needs(1) {
            let kernel = spatial(x[1])?;
            dx[1] = Some(graph.record(WeightGradient { options, kernel }, &[x[0], dy]).ok()?);
        }
        if wrt.needs(2) && x.len() > 2 {
            dx[2] = Some(channel_sum(dy).ok()?);
        }
        Ok(dx)
    }
}

/// Height and width.
pub(super) fn spatial(x: Var<'_>) -> Result<[usize; 2]> {
    match *x.dims()? {
        [_, _, height, width] => Ok([height, width]),
        ref other => Err(Error::shape("conv2d", "four dimensions", &[other])),
    }
}
