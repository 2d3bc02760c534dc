//! Which method computes a convolution: a fixed function of the sizes.
//!
//! | convolution | method |
//! |---|---|
//! | 3×3, stride 1, dilation 1, one group, at least [`CHANNELS`] channels on both sides, sizes between one tile and [`WIDEST`], at least [`LEAST`] multiplications | Winograd |
//! | the input gradient of such a one with padding over 2 | direct |
//! | everything else | direct |

use super::shape::Conv2dShape;

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Sums of shifted planes.
    Direct,
    /// F(4×4, 3×3).
    Winograd,
}

/// Fewer channels do not pay for the transforms.
const CHANNELS: usize = 32;
/// Images wider than this keep a row of tiles that leaves the caches.
const WIDEST: usize = 1024;
/// Fewer multiplications than this are over before the transforms are.
const LEAST: usize = 1 << 18;

/// The method of the forward pass.
pub(super) fn forward(shape: &Conv2dShape, output: [usize; 2]) -> Method {
    if suits(shape, output) { Method::Winograd } else { Method::Direct }
}

/// The method of the input gradient, which reads dy with padding 2 − p.
pub(super) fn input_gradient(shape: &Conv2dShape, output: [usize; 2]) -> Method {
    if suits(shape, output) && shape.padding.iter().all(|&p| p <= 2) {
        Method::Winograd
    } else {
        Method::Direct
    }
}

/// The method of the weight gradient.
pub(super) fn weight_gradient(shape: &Conv2dShape, output: [usize; 2]) -> Method {
    if suits(shape, output) && shape.batch > 0 { Method::Winograd } else { Method::Direct }
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
