//! Resizing of images to any size, and the exact transposes.
//!
//! Pixels are squares with their value at the centre: output pixel i of n lies at (i + ½)·m/n − ½ of an input of m
//! pixels (PyTorch: `align_corners=False`), unless [`Align::Corners`] says otherwise.

mod bilinear;
mod nearest;

pub use bilinear::{
    Align, bilinear, bilinear_aligned, bilinear_aligned_transpose, bilinear_transpose,
};
pub use nearest::{nearest, nearest_transpose};

use crate::error::{Result, check_len, check_positive};

/// Sizes of a resizing of `planes` images (batch × channels). Pairs are (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResizeShape {
    /// Batch × channels.
    pub planes: usize,
    /// Height and width of the input, in pixels.
    pub from: [usize; 2],
    /// Height and width of the output, in pixels.
    pub to: [usize; 2],
}

impl ResizeShape {
    /// Elements of the input; `usize::MAX` if they are more.
    #[must_use]
    pub const fn input_len(&self) -> usize {
        self.planes.saturating_mul(self.from[0]).saturating_mul(self.from[1])
    }

    /// Elements of the output; `usize::MAX` if they are more.
    #[must_use]
    pub const fn output_len(&self) -> usize {
        self.planes.saturating_mul(self.to[0]).saturating_mul(self.to[1])
    }

    /// Checks that no size is zero and that the slices have the lengths that the shape says.
    fn check(
        &self,
        operation: &'static str,
        (input, input_len): (&'static str, usize),
        (output, output_len): (&'static str, usize),
    ) -> Result<()> {
        for axis in 0..2 {
            check_positive(operation, ["input height", "input width"][axis], self.from[axis])?;
            check_positive(operation, ["output height", "output width"][axis], self.to[axis])?;
        }
        check_len(operation, input, input_len, self.input_len())?;
        check_len(operation, output, output_len, self.output_len())
    }
}
