//! Bilinear and nearest-neighbour resizing.

use candle_core::Tensor;
use pullback_core_graph::{Linear, Result, Var};

use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::resize::{self, Align, ResizeShape};

/// The image resized to `size` (height, width) by bilinear interpolation; pixel centres at half-integers, as PyTorch's
/// `align_corners=False`. Shape: (batch, channels, h, w) ↦ (batch, channels, height, width).
///
/// Errors: another rank, a size of 0.
#[must_use]
pub fn resize_bilinear(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    x.linear(Resize { how: How::Bilinear(Align::Edges), transposed: false, size })
}

/// [`resize_bilinear`] with the centres of the corner pixels on each other, as PyTorch's `align_corners=True`.
/// Shape and errors the same.
#[must_use]
pub fn resize_bilinear_corners(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    x.linear(Resize { how: How::Bilinear(Align::Corners), transposed: false, size })
}

/// The image resized to `size` by repeating or dropping pixels: pixel i comes from ⌊i·h/height⌋. Shapes and errors as
/// [`resize_bilinear`].
#[must_use]
pub fn resize_nearest(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    x.linear(Resize { how: How::Nearest, transposed: false, size })
}

#[derive(Clone, Copy)]
enum How {
    Nearest,
    Bilinear(Align),
}

/// A resizing to `size`, or the transpose of a resizing from `size`.
#[derive(Clone, Copy)]
struct Resize {
    how: How,
    transposed: bool,
    size: [usize; 2],
}

struct Run(Resize, ResizeShape);

impl Kernel for Run {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        let Self(how, shape) = self;
        match (how.how, how.transposed) {
            (How::Bilinear(align), false) => resize::bilinear_aligned(shape, align, x[0], y),
            (How::Bilinear(align), true) => {
                resize::bilinear_aligned_transpose(shape, align, x[0], y)
            }
            (How::Nearest, false) => resize::nearest(shape, x[0], y),
            (How::Nearest, true) => resize::nearest_transpose(shape, x[0], y),
        }
    }
}

impl Linear for Resize {
    fn name(&self) -> &str {
        match self.how {
            How::Bilinear(Align::Edges) => "resize_bilinear",
            How::Bilinear(Align::Corners) => "resize_bilinear_corners",
            How::Nearest => "resize_nearest",
        }
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let [n, c, h, w] = image_dims(self.name(), x)?;
        let (from, to) = if self.transposed { (self.size, [h, w]) } else { ([h, w], self.size) };
        let shape = ResizeShape { planes: n * c, from, to };
        slices::run(self.name(), &Run(*self, shape), &[x], &[n, c, self.size[0], self.size[1]])
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        match super::conv2d::spatial(x) {
            Ok(size) => dy.linear(Self { transposed: !self.transposed, size, ..*self }),
            Err(_) => x,
        }
    }
    fn keeps_finite(&self) -> bool {
        !self.transposed
    }
}
