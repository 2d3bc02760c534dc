//! Which method computes a convolution: a fixed function of the sizes.
//!
//! The first line that fits decides:
//!
//! | pass | convolution | method |
//! |---|---|---|
//! | all | 3×3, stride 1, dilation 1, one group, at least [`CHANNELS`] channels on both sides, sizes between one tile and [`WIDEST`], at least [`LEAST`] multiplications; for the input gradient a padding of at most 2 | Winograd |
//! | all | as many groups as channels on both sides, stride 1, at least [`NARROWEST`] columns; for the weight gradient 9 or 25 taps | depthwise |
//! | forward, input gradient | 3×3, stride 1, dilation 1; the array that it computes has at least [`SHORTEST`] rows of at most [`LONGEST`] columns, and as many channels in each group and columns as [`ROWS`] says; fewer than [`FEW`] channels: one group and at most [`SOURCES`] source channels; from [`OUTPUTS`] on: at least [`TERMS`] source channels × columns | Winograd along the height |
//! | forward, input gradient | 1×1, stride 1, no padding, one group, at least [`MATRIX`] channels on both sides, as many weights as [`WEIGHTS`] says; sources a multiple of 16, targets of 32; at least [`STRIPS`] strips of 192 pixels of an image | Strassen |
//! | weight gradient | 1×1, stride 1, no padding, one group, at least [`WIDE`] channels on both sides; channels in a multiple of 256, out of 32; at least 192 pixels of an image | Strassen |
//! | weight gradient | 1×1, stride 1, no padding, one group, at least 16 channels in and 8 out | product of matrices |
//! | forward, input gradient of stride 1 | 1×1 and one group, or at least [`OUTPUTS`] outputs of a group | strips of patches |
//! | all | everything else | direct |
//!
//! The bounds follow measurements of the robots' and planners' layers on a Zen 4 with AVX-512, in `f32`: `cargo run --release -p
//! pullback-nn --example conv_throughput`.

use super::shape::Conv2dShape;
use super::{depthwise, strassen};

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Sums of shifted planes.
    Direct,
    /// F(4×4, 3×3).
    Winograd,
    /// F(2, 3) along the height.
    Vertical,
    /// Weights times strips of patches.
    Patches,
    /// The product of matrices that a 1×1 kernel is, with fewer multiplications.
    Strassen,
    /// Each channel by a kernel of its own.
    Depthwise,
    /// The dot products of lines that a 1×1 kernel's weight gradient is.
    Pointwise,
}

/// Narrower images have too few whole registers in a row.
const NARROWEST: usize = 24;
/// Fewer outputs of a group do not pay for strips of patches, but for 1×1 kernels.
const OUTPUTS: usize = 48;
/// Outputs of a group from which on the transforms along the height pay, and the columns that it takes: narrower rows leave registers
/// and copies half empty.
const ROWS: [(usize, usize); 3] = [(OUTPUTS, 8), (32, 16), (16, NARROWEST)];
/// Wider rows have lines that leave the caches.
const LONGEST: usize = 512;
/// Fewer rows lose what they save to the half band at the end.
const SHORTEST: usize = 4;
/// With many outputs, fewer source channels × columns are a product with patches that costs as little.
const TERMS: usize = 64;
/// More source channels take more time to transform than fewer than [`FEW`] outputs save.
const SOURCES: usize = 12;
const FEW: usize = 24;
/// Fewer channels do not pay for the transforms.
const CHANNELS: usize = 32;
/// Fewer sources or targets of a 1×1 kernel do not pay for sums of blocks,
const MATRIX: usize = 64;
/// for the weight gradient fewer than these;
const WIDE: usize = 256;
/// nor do fewer weights; and the sums of more take much memory, 13 MB in `f32`.
const WEIGHTS: std::ops::RangeInclusive<usize> = 1 << 13..=1 << 20;
/// Fewer strips of pixels cost less than the sums of the weights' blocks; and each strip is a task.
const STRIPS: usize = 4;
/// Images wider than this keep a row of tiles that leaves the caches.
const WIDEST: usize = 1024;
/// Fewer multiplications than this are over before the transforms are.
const LEAST: usize = 1 << 18;

/// The method of the forward pass.
pub(super) fn forward(shape: &Conv2dShape, output: [usize; 2]) -> Method {
    if suits(shape, output) {
        Method::Winograd
    } else if depthwise(shape, output) {
        Method::Depthwise
    } else if multiplies(shape, shape.in_channels, shape.out_channels) {
        Method::Strassen
    } else if vertical(shape, [shape.in_channels, shape.out_channels], output) {
        Method::Vertical
    } else if many_outputs(shape.out_channels / shape.groups, shape) {
        Method::Patches
    } else {
        Method::Direct
    }
}

/// Whether so many outputs of each group pay for building strips of patches.
fn many_outputs(outputs: usize, shape: &Conv2dShape) -> bool {
    outputs >= OUTPUTS || (shape.kernel == [1, 1] && shape.groups == 1)
}

/// The method of the input gradient, which reads dy with padding 2 − p.
pub(super) fn input_gradient(shape: &Conv2dShape, output: [usize; 2]) -> Method {
    if suits(shape, output) && shape.padding.iter().all(|&p| p <= 2) {
        Method::Winograd
    } else if depthwise(shape, output) {
        Method::Depthwise
    } else if multiplies(shape, shape.out_channels, shape.in_channels) {
        Method::Strassen
    } else if vertical(shape, [shape.out_channels, shape.in_channels], shape.size) {
        Method::Vertical
    } else if shape.stride == [1, 1] && many_outputs(shape.in_channels / shape.groups, shape) {
        Method::Patches
    } else {
        Method::Direct
    }
}

/// The method of the weight gradient.
pub(super) fn weight_gradient(shape: &Conv2dShape, output: [usize; 2]) -> Method {
    if suits(shape, output) && shape.batch > 0 {
        Method::Winograd
    } else if turns(shape) {
        Method::Strassen
    } else if pointwise(shape) && shape.in_channels >= 16 && shape.out_channels >= 8 {
        Method::Pointwise
    } else if depthwise(shape, output)
        && depthwise::TAPS.contains(&(shape.kernel[0] * shape.kernel[1]))
    {
        Method::Depthwise
    } else {
        Method::Direct
    }
}

/// One output channel for each input channel, stride 1, rows of at least a few registers.
fn depthwise(shape: &Conv2dShape, output: [usize; 2]) -> bool {
    shape.groups == shape.in_channels
        && shape.groups == shape.out_channels
        && shape.stride == [1, 1]
        && shape.size[1] >= NARROWEST
        && output[1] >= NARROWEST
}

/// Whether each output pixel sees the input pixel of its place alone.
fn pointwise(shape: &Conv2dShape) -> bool {
    shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.padding == [0, 0] && shape.groups == 1
}

/// Whether a product of matrices is large enough for Strassen's sums of blocks, and can be cut into sixteenths.
fn multiplies(shape: &Conv2dShape, sources: usize, targets: usize) -> bool {
    let strips = shape.batch * (shape.size[0] * shape.size[1] / strassen::strip::<f32>());
    pointwise(shape)
        && sources.is_multiple_of(strassen::SOURCES)
        && targets.is_multiple_of(strassen::TARGETS)
        && sources.min(targets) >= MATRIX
        && WEIGHTS.contains(&(sources * targets))
        && strips >= STRIPS
}

/// The same for the weight gradient, whose sum is over the pixels. An odd number of strips is not shared well.
fn turns(shape: &Conv2dShape) -> bool {
    let (sources, targets) = (shape.in_channels, shape.out_channels);
    pointwise(shape)
        && sources.is_multiple_of(2 * strassen::gradient::strip::<f32>())
        && targets.is_multiple_of(strassen::TARGETS)
        && sources.min(targets) >= WIDE
        && shape.size[0] * shape.size[1] >= strassen::gradient::CHUNK
}

fn suits(shape: &Conv2dShape, output: [usize; 2]) -> bool {
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.dilation == [1, 1]
        && shape.groups == 1
        && shape.in_channels.min(shape.out_channels) >= CHANNELS
        && output.iter().chain(&shape.size).all(|&size| (4..=WIDEST).contains(&size))
        && flops(shape, output) >= 2 * LEAST
}

/// Whether the rows, of which there are `target`, and outputs pay for the transforms along the height. `channels`: those of the source
/// and of the target.
fn vertical(shape: &Conv2dShape, channels: [usize; 2], target: [usize; 2]) -> bool {
    let [sources, targets] = channels.map(|channels| channels / shape.groups);
    let [height, width] = target;
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.dilation == [1, 1]
        && height >= SHORTEST
        && width.max(shape.size[1]) <= LONGEST
        && ROWS.iter().any(|&(outputs, columns)| targets >= outputs && width >= columns)
        && (targets < OUTPUTS || sources * width >= TERMS)
        && (targets >= FEW || (sources <= SOURCES && shape.groups == 1))
}

/// Multiplications and additions of the direct method.
pub(super) fn flops(shape: &Conv2dShape, output: [usize; 2]) -> usize {
    2 * shape.batch
        * shape.out_channels
        * output[0]
        * output[1]
        * (shape.in_channels / shape.groups)
        * shape.kernel[0]
        * shape.kernel[1]
}
