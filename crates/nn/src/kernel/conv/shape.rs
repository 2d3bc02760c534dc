//! The sizes of a two-dimensional convolution, and what makes them valid.

use crate::error::{Error, Result, check_positive};

const OPERATION: &str = "conv2d";
/// More elements than any memory holds, and far from where counts of them overflow.
const MOST: usize = 1 << 48;

/// Sizes of a two-dimensional convolution over contiguous NCHW arrays. Pairs are (height, width).
///
/// | array | shape |
/// |---|---|
/// | `x`, input | (batch, in_channels, size₀, size₁) |
/// | `w`, weight | (out_channels, in_channels / groups, kernel₀, kernel₁) |
/// | `y`, output | (batch, out_channels, output₀, output₁) |
///
/// outputᵢ = ⌊(sizeᵢ + 2·paddingᵢ − dilationᵢ·(kernelᵢ − 1) − 1) / strideᵢ⌋ + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// Images in the batch.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the input, in pixels.
    pub size: [usize; 2],
    /// Height and width of the kernel, in taps.
    pub kernel: [usize; 2],
    /// Step between neighbouring outputs, in input pixels.
    pub stride: [usize; 2],
    /// Zeros added on both sides of each axis, in pixels.
    pub padding: [usize; 2],
    /// Distance between neighbouring taps, in input pixels.
    pub dilation: [usize; 2],
    /// Channels are split into this many groups; output channels of a group see only its input channels.
    pub groups: usize,
}

impl Conv2dShape {
    /// A convolution with stride 1, no padding, dilation 1 and one group; change the fields that differ.
    #[must_use]
    pub const fn new(
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        size: [usize; 2],
        kernel: [usize; 2],
    ) -> Self {
        Self {
            batch,
            in_channels,
            out_channels,
            size,
            kernel,
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        }
    }

    /// Checks every condition on the sizes and returns the output's height and width.
    ///
    /// # Errors
    /// [`Error::Argument`] if a size other than `batch` and `padding` is zero or the channels do not divide into the
    /// groups, or an array would have more than 2⁴⁸ elements; [`Error::WindowTooLarge`] if the dilated
    /// kernel is larger than the padded image.
    pub fn output(&self) -> Result<[usize; 2]> {
        check_positive(OPERATION, "groups", self.groups)?;
        for (argument, value) in
            [("in_channels", self.in_channels), ("out_channels", self.out_channels)]
        {
            check_positive(OPERATION, argument, value)?;
            if value % self.groups != 0 {
                return Err(Error::Argument {
                    operation: OPERATION,
                    argument,
                    value,
                    reason: "must be a multiple of groups",
                });
            }
        }
        let mut output = [0; 2];
        for axis in 0..2 {
            check_positive(OPERATION, ["height", "width"][axis], self.size[axis])?;
            check_positive(OPERATION, "dilation", self.dilation[axis])?;
            output[axis] = output_size(
                OPERATION,
                axis,
                self.size[axis],
                self.kernel[axis],
                self.stride[axis],
                self.padding[axis],
                self.dilation[axis],
            )?;
        }
        self.check_counts(output)?;
        Ok(output)
    }

    /// No array has more than [`MOST`] elements, the padded input included, so that no count overflows.
    fn check_counts(&self, output: [usize; 2]) -> Result<()> {
        let one = Self { batch: self.batch.max(1), ..*self };
        let padded = [0, 1].map(|axis| {
            let (size, padding) = (self.size[axis], self.padding[axis]);
            padding.saturating_mul(2).saturating_add(size)
        });
        let counts = [
            ("padded elements of x", Self { size: padded, ..one }.input_len(), MOST),
            ("elements of w", one.weight_len(), MOST),
            ("elements of y", one.count(output), MOST),
            ("height stride", self.stride[0], MOST),
            ("width stride", self.stride[1], MOST),
            ("multiplications and additions", one.work(output), MOST << 10),
        ];
        match counts.into_iter().find(|&(_, value, most)| value > most) {
            None => Ok(()),
            Some((argument, value, _)) => Err(Error::Argument {
                operation: OPERATION,
                argument,
                value,
                reason: "must be at most 2⁴⁸, multiplications and additions 2⁵⁸",
            }),
        }
    }

    const fn count(&self, output: [usize; 2]) -> usize {
        let planes = self.batch.saturating_mul(self.out_channels);
        planes.saturating_mul(output[0]).saturating_mul(output[1])
    }

    const fn work(&self, output: [usize; 2]) -> usize {
        let taps = self.kernel[0].saturating_mul(self.kernel[1]);
        let each = (self.in_channels / self.groups).saturating_mul(taps);
        self.count(output).saturating_mul(each).saturating_mul(2)
    }

    /// Elements of the input; `usize::MAX` if they are more.
    #[must_use]
    pub const fn input_len(&self) -> usize {
        let planes = self.batch.saturating_mul(self.in_channels);
        planes.saturating_mul(self.size[0]).saturating_mul(self.size[1])
    }

    /// Elements of the weight, `usize::MAX` if they are more; `groups` must be positive, as [`output`](Self::output) checks.
    #[must_use]
    pub const fn weight_len(&self) -> usize {
        let planes = self.out_channels.saturating_mul(self.in_channels / self.groups);
        planes.saturating_mul(self.kernel[0]).saturating_mul(self.kernel[1])
    }

    /// Elements of the output.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn output_len(&self) -> Result<usize> {
        Ok(self.count(self.output()?))
    }

    /// Multiplications and additions of one of the three products, not counting those with the padding's zeros
    /// as fewer.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn flops(&self) -> Result<usize> {
        Ok(self.work(self.output()?))
    }
}

/// ⌊(size + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, or why there is no such output.
pub(crate) fn output_size(
    operation: &'static str,
    axis: usize,
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Result<usize> {
    check_positive(operation, "kernel", kernel)?;
    check_positive(operation, "stride", stride)?;
    let window = dilation.saturating_mul(kernel - 1).saturating_add(1);
    let padded = padding.saturating_mul(2).saturating_add(size);
    if window > padded {
        return Err(Error::WindowTooLarge { operation, axis, window, size, padding });
    }
    Ok((padded - window) / stride + 1)
}
