//! Convolution arithmetic: what comes out of a window of some size, stride, padding and dilation, what does not fit, how many
//! numbers are learned and multiplied, and how much of the image an output sees.
//!
//! ```
//! use pullback_nn::arithmetic::Window;
//!
//! let window = Window::new(3).stride(2);
//! assert_eq!(window.fit(7)?.output, 3);
//! // A stride of 3 leaves one pixel over: this window does not fit.
//! let fit = window.stride(3).fit(7)?;
//! assert_eq!((fit.output, fit.unused, fit.is_exact()), (2, 1, false));
//! # Ok::<(), pullback_nn::Error>(())
//! ```

use crate::error::{Error, Result, check_positive};

const OPERATION: &str = "window";

/// A window along one axis of an image: lengths in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Taps.
    pub kernel: usize,
    /// Step between neighbouring windows.
    pub stride: usize,
    /// Pixels added on both sides.
    pub padding: usize,
    /// Distance between neighbouring taps.
    pub dilation: usize,
}

/// How a window fits along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fit {
    /// How many windows there are.
    pub output: usize,
    /// Pixels of the padded axis after the last window, which no window of this stride reaches.
    pub unused: usize,
}

impl Fit {
    /// Whether (size + 2·padding − reach)/stride is whole, so that nothing is left over.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.unused == 0
    }
}

impl Window {
    /// `kernel` neighbouring taps, stride 1, no padding.
    #[must_use]
    pub fn new(kernel: usize) -> Self {
        Self { kernel, stride: 1, padding: 0, dilation: 1 }
    }

    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with another padding.
    #[must_use]
    pub fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The same with another dilation.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// The pixels from its first tap to its last: dilation·(kernel − 1) + 1.
    #[must_use]
    pub fn reach(self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// output = ⌊(size + 2·padding − reach)/stride⌋ + 1, and what is left over.
    ///
    /// # Errors
    /// [`Error::Argument`] if a kernel, stride or dilation is 0; [`Error::WindowTooLarge`] if not even one window fits.
    pub fn fit(self, size: usize) -> Result<Fit> {
        self.check()?;
        let padded = size.saturating_add(self.padding.saturating_mul(2));
        match padded.checked_sub(self.reach()) {
            Some(free) => Ok(Fit { output: free / self.stride + 1, unused: free % self.stride }),
            None => Err(Error::WindowTooLarge {
                operation: OPERATION,
                axis: 0,
                window: self.reach(),
                size,
                padding: self.padding,
            }),
        }
    }

    /// output = ⌈(size + 2·padding − reach)/stride⌉ + 1, where a last window may reach beyond the padded axis but begins before the
    /// last pixel's end: pooling's `ceil` mode. Nothing is left over, but for the padding behind the last pixel.
    ///
    /// # Errors
    /// As [`Window::fit`].
    pub fn fit_ceil(self, size: usize) -> Result<Fit> {
        let fit = self.fit(size)?;
        let start = fit.output.saturating_mul(self.stride);
        if fit.is_exact() || start >= size.saturating_add(self.padding) {
            return Ok(fit);
        }
        Ok(Fit { output: fit.output + 1, unused: 0 })
    }

    /// The output of the transposed convolution: (size − 1)·stride − 2·padding + reach + `output_padding`, the size of an input
    /// that [`Window::fit`] makes `size` of.
    ///
    /// # Errors
    /// [`Error::Argument`] if a size, kernel, stride or dilation is 0, if the output padding is not less than the stride or the
    /// dilation, or if nothing is left.
    pub fn transposed(self, size: usize, output_padding: usize) -> Result<usize> {
        self.check()?;
        check_positive(OPERATION, "size", size)?;
        let refuse = |argument, value, reason| {
            Err(Error::Argument { operation: OPERATION, argument, value, reason })
        };
        if output_padding >= self.stride.max(self.dilation) {
            let reason = "must be less than the stride or the dilation";
            return refuse("output_padding", output_padding, reason);
        }
        let whole = (size - 1).saturating_mul(self.stride).saturating_add(self.reach());
        let whole = whole.saturating_add(output_padding);
        match whole.checked_sub(self.padding.saturating_mul(2)) {
            Some(output) if output > 0 => Ok(output),
            _ => refuse("padding", self.padding, "cuts away the whole output"),
        }
    }

    /// The padding on both sides with which an axis keeps its length at stride 1: (reach − 1)/2, where the reach is odd.
    #[must_use]
    pub fn same_padding(self) -> Option<usize> {
        (self.reach() % 2 == 1).then_some(self.reach() / 2)
    }

    fn check(self) -> Result<()> {
        check_positive(OPERATION, "kernel", self.kernel)?;
        check_positive(OPERATION, "stride", self.stride)?;
        check_positive(OPERATION, "dilation", self.dilation)
    }
}

/// What one output sees of the input along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReceptiveField {
    /// Input pixels from the first that it depends on to the last; padding counts.
    pub size: f64,
    /// Input pixels between neighbouring outputs.
    pub step: f64,
}

impl ReceptiveField {
    /// A pixel sees itself.
    pub const PIXEL: Self = Self { size: 1.0, step: 1.0 };

    /// Through a window: size + (reach − 1)·step, and step·stride.
    #[must_use]
    pub fn through(self, window: Window) -> Self {
        let reach = window.reach() as f64;
        Self { size: self.size + (reach - 1.0) * self.step, step: self.step * window.stride as f64 }
    }

    /// Through a transposed window: each output meets at most ⌈reach/stride⌉ inputs, which stand stride times as dense.
    #[must_use]
    pub fn through_transposed(self, window: Window) -> Self {
        let stride = window.stride.max(1);
        self.enlarged(window.reach().div_ceil(stride), stride as f64)
    }

    /// Through a resizing by a factor, in which each output blends `taps` neighbours.
    #[must_use]
    pub fn enlarged(self, taps: usize, factor: f64) -> Self {
        let more = taps.saturating_sub(1) as f64 * self.step;
        Self { size: self.size + more, step: self.step / factor }
    }

    /// What a sum of both sees.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        Self { size: self.size.max(other.size), step: self.step.min(other.step) }
    }
}

/// How many numbers a convolution learns: taps·(inputs/groups)·outputs, plus a bias for each output.
#[must_use]
pub fn convolution_parameters(
    inputs: usize,
    outputs: usize,
    kernel: [usize; 2],
    groups: usize,
    bias: bool,
) -> usize {
    kernel[0] * kernel[1] * (inputs / groups.max(1)) * outputs + usize::from(bias) * outputs
}

/// How many products one image costs: one for each weight at each of the output's pixels.
#[must_use]
pub fn convolution_products(
    inputs: usize,
    outputs: usize,
    kernel: [usize; 2],
    groups: usize,
    output: [usize; 2],
) -> usize {
    convolution_parameters(inputs, outputs, kernel, groups, false) * output[0] * output[1]
}
