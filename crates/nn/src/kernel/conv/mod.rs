//! Two-dimensional convolution and its two gradients: a set of three maps that is closed under differentiation.
//!
//! ```text
//! y  = forward(x, w)           y[n,o,i]  = Σ_{c,k} w[o,c,k] · x[n,c, s·i + d·k − p]
//! dx = input_gradient(dy, w)   ⟨dy, forward(δ, w)⟩ = ⟨input_gradient(dy, w), δ⟩ for all δ
//! dw = weight_gradient(x, dy)  ⟨dy, forward(x, δ)⟩ = ⟨weight_gradient(x, dy), δ⟩ for all δ
//! ```
//! Each is linear in both of its arguments, and the derivative of each with respect to either is another of the three
//! at the same [`Conv2dShape`], so that derivatives of every order need nothing else:
//!
//! | map | pull to its first argument | pull to its second argument |
//! |---|---|---|
//! | forward(x, w), seed dy | input_gradient(dy, w) | weight_gradient(x, dy) |
//! | input_gradient(dy, w), seed x | forward(x, w) | weight_gradient(x, dy) |
//! | weight_gradient(x, dy), seed w | input_gradient(dy, w) | forward(x, w) |
//!
//! # Method
//! No matrix of image patches is built. A task copies its part of the source once into zero-padded planes, one for each
//! residue of the stride (see `plan`), where every tap is a constant shift of one long vector. The inner loop holds a
//! block of outputs in registers over the whole sum and reads each source vector straight from that copy. It runs on
//! the widest vector instructions that the processor has, found at run time.
//!
//! 3×3 convolutions of stride 1 with many channels take Winograd's method instead (see `winograd`), as do their two
//! gradients; with few channels on one side, the product and the input gradient take it along the height alone (`vertical`).
//! 1×1 kernels between many channels are products of matrices by Strassen's method (`strassen`), as are their gradients; others with many
//! outputs are a product with strips of patches (`patches`), other 1×1 kernels' weight gradients dot products of lines
//! (`pointwise_gradient`), and depthwise ones have loops of their own (`depthwise`). `choice` has the rule.
//!
//! # Determinism
//! Tasks depend on the sizes alone, but where an output's sum is the same whatever task it is in (`strassen::gradient`). Each output of
//! `forward` and `input_gradient` is one sum in a fixed order; the partial sums of `weight_gradient` are combined in index order. The bits
//! therefore do not depend on the number of threads. (They may differ between processors with different vector lengths.)

mod choice;
mod correlate;
mod depthwise;
mod microkernel;
mod pack;
mod patches;
mod plan;
mod pointwise_gradient;
mod shape;
mod strassen;
#[cfg(test)]
mod test_support;
mod vertical;
mod weight_gradient;
mod winograd;

use choice::Method;
use correlate::Correlation;
use depthwise::Depthwise;
use patches::Patches;
use plan::Axis;
use strassen::{Strassen, Weights};
use vertical::Vertical;
use winograd::Winograd;

pub use shape::Conv2dShape;
pub(crate) use shape::output_size;

pub use weight_gradient::weight_gradient;
pub(crate) use weight_gradient::weight_gradient_seen;

use pullback_core_graph::{Fresh, refill};

use super::real::Real;
use crate::error::{Error, Result, check_len};

/// What [`forward_fused`] does to the convolution's result before it is written.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// Added to each channel: `out_channels` values.
    pub bias: Option<&'a [T]>,
    /// Take the positive part max(·, 0) after the bias.
    pub relu: bool,
}

impl<T> Default for Epilogue<'_, T> {
    fn default() -> Self {
        Self { bias: None, relu: false }
    }
}

/// y = x ⋆ w. Shapes: see [`Conv2dShape`].
///
/// # Errors
/// As [`Conv2dShape::output`]; [`Error::Length`] if a slice has another length than the shape says.
pub fn forward<T: Real>(shape: &Conv2dShape, x: &[T], w: &[T], y: &mut [T]) -> Result<()> {
    forward_fused(shape, x, w, Epilogue::default(), y)
}

/// y = act(x ⋆ w + bias): [`forward`] with the bias and the activation applied while the result is in cache.
///
/// # Errors
/// As [`forward`], and [`Error::Length`] for a bias of another length than `out_channels`.
pub fn forward_fused<T: Real>(
    shape: &Conv2dShape,
    x: &[T],
    w: &[T],
    epilogue: Epilogue<'_, T>,
    y: &mut [T],
) -> Result<()> {
    overwritten(y, |y| forward_seen(shape, x, w, epilogue, y))
}

/// Runs a kernel for fresh memory on memory that is there.
pub(crate) fn overwritten<T: Real>(
    memory: &mut [T],
    kernel: impl FnOnce(Fresh<'_, T>) -> Result<bool>,
) -> Result<()> {
    let (whole, seen) = refill(memory, kernel);
    seen?;
    if whole { Ok(()) } else { Err(Error::Unwritten) }
}

/// [`forward_fused`], and whether the loops have seen that all of y is finite.
pub(crate) fn forward_seen<T: Real>(
    shape: &Conv2dShape,
    x: &[T],
    w: &[T],
    epilogue: Epilogue<'_, T>,
    y: Fresh<'_, T>,
) -> Result<bool> {
    const OPERATION: &str = "conv2d forward";
    let output = shape.output()?;
    check_len(OPERATION, "x", x.len(), shape.input_len())?;
    check_len(OPERATION, "w", w.len(), shape.weight_len())?;
    check_len(OPERATION, "y", y.len(), shape.output_len()?)?;
    if let Some(bias) = epilogue.bias {
        check_len(OPERATION, "bias", bias.len(), shape.out_channels)?;
    }
    Ok(match choice::forward(shape, output) {
        Method::Depthwise => {
            let Epilogue { bias, relu } = epilogue;
            Depthwise { bias, relu, ..Depthwise::forward(shape, output) }.run(x, w, y)
        }
        Method::Patches => {
            let Epilogue { bias, relu } = epilogue;
            let patches = Patches { bias, relu, ..Patches::forward(shape, output) };
            let (sources, targets) = (patches.source_channels, patches.target_channels);
            let taps = shape.kernel[0] * shape.kernel[1];
            patches.run(x, |g, t, s, tap| w[((g * targets + t) * sources + s) * taps + tap], y)
        }
        Method::Strassen => {
            let Epilogue { bias, relu } = epilogue;
            let (sources, targets) = (shape.in_channels, shape.out_channels);
            let (batch, pixels) = (shape.batch, output[0] * output[1]);
            let strassen = Strassen { batch, sources, targets, pixels, bias, relu };
            strassen.run(x, Weights::ByTarget(w), y)
        }
        Method::Vertical => {
            let Epilogue { bias, relu } = epilogue;
            let vertical = Vertical { bias, relu, ..Vertical::forward(shape, output) };
            let (sources, targets) = (vertical.source_channels, vertical.target_channels);
            let taps = shape.kernel[0] * shape.kernel[1];
            vertical.run(x, |g, t, s, tap| w[((g * targets + t) * sources + s) * taps + tap], y)
        }
        Method::Winograd => forward_winograd(shape, output, x, w, epilogue, y),
        Method::Direct | Method::Pointwise => {
            forward_direct(shape, output, x, w, epilogue, y.zeroed());
            false
        }
    })
}

/// dx = the transpose of x ↦ x ⋆ w applied to dy (also called transposed convolution). Shapes: see [`Conv2dShape`];
/// `dy` like y, `dx` like x.
///
/// Input pixels that no window reaches get 0.
///
/// # Errors
/// As [`forward`].
pub fn input_gradient<T: Real>(shape: &Conv2dShape, dy: &[T], w: &[T], dx: &mut [T]) -> Result<()> {
    overwritten(dx, |dx| input_gradient_seen(shape, dy, w, dx))
}

/// [`input_gradient`], and whether the loops have seen that all of dx is finite.
pub(crate) fn input_gradient_seen<T: Real>(
    shape: &Conv2dShape,
    dy: &[T],
    w: &[T],
    dx: Fresh<'_, T>,
) -> Result<bool> {
    const OPERATION: &str = "conv2d input_gradient";
    let output = shape.output()?;
    check_len(OPERATION, "dy", dy.len(), shape.output_len()?)?;
    check_len(OPERATION, "w", w.len(), shape.weight_len())?;
    check_len(OPERATION, "dx", dx.len(), shape.input_len())?;
    Ok(match choice::input_gradient(shape, output) {
        Method::Depthwise => Depthwise::backward(shape, output).run(dy, w, dx),
        Method::Patches => {
            let patches = Patches::backward(shape, output);
            let (sources, targets) = (patches.source_channels, patches.target_channels);
            let taps = shape.kernel[0] * shape.kernel[1];
            patches.run(dy, |g, t, s, tap| w[((g * sources + s) * targets + t) * taps + tap], dx)
        }
        Method::Strassen => {
            let (sources, targets) = (shape.out_channels, shape.in_channels);
            let (batch, pixels) = (shape.batch, output[0] * output[1]);
            let strassen = Strassen { batch, sources, targets, pixels, bias: None, relu: false };
            strassen.run(dy, Weights::BySource(w), dx)
        }
        Method::Vertical => {
            let vertical = Vertical::backward(shape, output);
            let (sources, targets) = (vertical.source_channels, vertical.target_channels);
            let taps = shape.kernel[0] * shape.kernel[1];
            // The kernel turned by 180°.
            let weight = |g, t, s, tap| w[((g * sources + s) * targets + t + 1) * taps - 1 - tap];
            vertical.run(dy, weight, dx)
        }
        Method::Winograd => input_gradient_winograd(shape, output, dy, w, dx),
        Method::Direct | Method::Pointwise => {
            input_gradient_direct(shape, output, dy, w, dx.zeroed());
            false
        }
    })
}

fn forward_direct<T: Real>(
    shape: &Conv2dShape,
    output: [usize; 2],
    x: &[T],
    w: &[T],
    epilogue: Epilogue<'_, T>,
    y: &mut [T],
) {
    let (sources, targets) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let taps = shape.kernel[0] * shape.kernel[1];
    let correlation = Correlation {
        rows: Axis::forward(shape, 0, output[0]),
        columns: Axis::forward(shape, 1, output[1]),
        batch: shape.batch,
        groups: shape.groups,
        source_channels: sources,
        target_channels: targets,
        flops: choice::flops(shape, output),
        bias: epilogue.bias,
        relu: epilogue.relu,
    };
    correlation.run(
        x,
        |g, target, source, tap| w[((g * targets + target) * sources + source) * taps + tap],
        y,
    );
}

fn forward_winograd<T: Real>(
    shape: &Conv2dShape,
    output: [usize; 2],
    x: &[T],
    w: &[T],
    epilogue: Epilogue<'_, T>,
    y: Fresh<'_, T>,
) -> bool {
    let sources = shape.in_channels;
    let winograd = Winograd {
        batch: shape.batch,
        source_channels: sources,
        target_channels: shape.out_channels,
        source: shape.size,
        target: output,
        padding: shape.padding,
        bias: epilogue.bias,
        relu: epilogue.relu,
    };
    winograd.run(x, |target, source, tap| w[(target * sources + source) * 9 + tap], y)
}

fn input_gradient_direct<T: Real>(
    shape: &Conv2dShape,
    output: [usize; 2],
    dy: &[T],
    w: &[T],
    dx: &mut [T],
) {
    let (sources, targets) = (shape.out_channels / shape.groups, shape.in_channels / shape.groups);
    let taps = shape.kernel[0] * shape.kernel[1];
    let correlation = Correlation {
        rows: Axis::backward(shape, 0, output[0]),
        columns: Axis::backward(shape, 1, output[1]),
        batch: shape.batch,
        groups: shape.groups,
        source_channels: sources,
        target_channels: targets,
        flops: choice::flops(shape, output),
        bias: None,
        relu: false,
    };
    correlation.run(
        dy,
        |g, target, source, tap| w[((g * sources + source) * targets + target) * taps + tap],
        dx,
    );
}

/// The input gradient is the convolution with the weight turned by 180° and its channels exchanged.
fn input_gradient_winograd<T: Real>(
    shape: &Conv2dShape,
    output: [usize; 2],
    dy: &[T],
    w: &[T],
    dx: Fresh<'_, T>,
) -> bool {
    let targets = shape.in_channels;
    let winograd = Winograd {
        batch: shape.batch,
        source_channels: shape.out_channels,
        target_channels: targets,
        source: output,
        target: shape.size,
        padding: shape.padding.map(|padding| 2 - padding),
        bias: None,
        relu: false,
    };
    winograd.run(dy, |target, source, tap| w[(source * targets + target) * 9 + 8 - tap], dx)
}
