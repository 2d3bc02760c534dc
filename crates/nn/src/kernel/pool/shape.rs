//! The sizes of a two-dimensional pooling.

use crate::error::{Error, Result, check_positive};
use crate::kernel::conv::output_size;

/// Sizes of a pooling over `planes` images (batch × channels), each with its own window sweep. Pairs are
/// (height, width).
///
/// outputᵢ = ⌊(sizeᵢ + 2·paddingᵢ − kernelᵢ) / strideᵢ⌋ + 1, as for a convolution; with `ceil`, ⌈…⌉ + 1, but no window that
/// begins behind the last pixel (PyTorch's `ceil_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pool2dShape {
    /// Batch × channels.
    pub planes: usize,
    /// Height and width of the input, in pixels.
    pub size: [usize; 2],
    /// Height and width of the window, in pixels.
    pub kernel: [usize; 2],
    /// Step between neighbouring windows, in pixels.
    pub stride: [usize; 2],
    /// Pixels added on both sides of each axis; less than the kernel, so that every window holds a real pixel.
    pub padding: [usize; 2],
    /// Whether a last window counts that reaches beyond the padded image.
    pub ceil: bool,
}

impl Pool2dShape {
    /// Checks the sizes and returns the output's height and width.
    ///
    /// # Errors
    /// [`Error::Argument`] if a size, kernel or stride is zero, if the padding is not less than the kernel, if a plane has
    /// 2³¹ pixels or more, or as many rows as a window 2²⁴; [`Error::WindowTooLarge`] if the kernel is larger than the padded image.
    pub fn output(&self) -> Result<[usize; 2]> {
        const OPERATION: &str = "pool2d";
        let mut output = [0; 2];
        for axis in 0..2 {
            let (size, padding) = (self.size[axis], self.padding[axis]);
            check_positive(OPERATION, ["height", "width"][axis], size)?;
            output[axis] = output_size(
                OPERATION,
                axis,
                size,
                self.kernel[axis],
                self.stride[axis],
                padding,
                1,
            )?;
            if padding >= self.kernel[axis] {
                let reason = "must be less than the kernel";
                return Err(Error::Argument {
                    operation: OPERATION,
                    argument: "padding",
                    value: padding,
                    reason,
                });
            }
        }
        if self.ceil {
            output = [0, 1].map(|axis| output[axis] + usize::from(self.reaches_beyond(axis)));
        }
        let window = self.kernel[0].saturating_mul(self.size[1]).saturating_add(self.kernel[1]);
        if window >= 1 << 24 {
            let reason = "kernel height × width must stay below 2²⁴, where floats count exactly";
            return Err(Error::Argument {
                operation: OPERATION,
                argument: "kernel",
                value: window,
                reason,
            });
        }
        let pixels = self.size[0].saturating_mul(self.size[1]);
        if i32::try_from(pixels).is_err() {
            let reason = "a plane's pixels are counted in 31 bits";
            return Err(Error::Argument {
                operation: OPERATION,
                argument: "size",
                value: pixels,
                reason,
            });
        }
        Ok(output)
    }

    /// Whether one more window than fits begins on the axis or in the padding before it.
    fn reaches_beyond(&self, axis: usize) -> bool {
        let (size, padding) = (self.size[axis], self.padding[axis]);
        let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
        let free = size.saturating_add(padding.saturating_mul(2)) - kernel;
        let start = (free / stride).saturating_add(1).saturating_mul(stride);
        !free.is_multiple_of(stride) && start < size.saturating_add(padding)
    }

    /// How many pixels of the padded axis window `index` covers: all of the kernel, unless it reaches beyond.
    pub(super) fn padded(&self, axis: usize, index: usize) -> usize {
        let start = index * self.stride[axis];
        self.kernel[axis].min(self.size[axis] + 2 * self.padding[axis] - start)
    }

    /// Elements of the input; `usize::MAX` if they are more.
    #[must_use]
    pub const fn input_len(&self) -> usize {
        self.planes.saturating_mul(self.size[0]).saturating_mul(self.size[1])
    }

    /// Elements of the output; `usize::MAX` if they are more.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn output_len(&self) -> Result<usize> {
        let [height, width] = self.output()?;
        Ok(self.planes.saturating_mul(height).saturating_mul(width))
    }

    /// The pixels `start..end` of an axis that window `index` covers.
    pub(super) fn window(&self, axis: usize, index: usize) -> (usize, usize) {
        let start = index * self.stride[axis];
        let end = (start + self.kernel[axis]).saturating_sub(self.padding[axis]);
        (start.saturating_sub(self.padding[axis]), end.min(self.size[axis]))
    }

    /// The windows `from..to` of an axis, of `count`, in which kernel index `tap` falls on a pixel.
    pub(super) fn windows_with(&self, axis: usize, tap: usize, count: usize) -> (usize, usize) {
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let from = padding.saturating_sub(tap).div_ceil(stride);
        // index·stride + tap − padding ≤ size − 1
        let to = (self.size[axis] + padding).saturating_sub(tap).div_ceil(stride).min(count);
        (from.min(to), to)
    }
}
