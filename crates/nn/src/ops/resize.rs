//! Bilinear and nearest-neighbour resizing.

use candle_core::Tensor;
use pullback_core_graph::{Linear, Result, Var};

use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::resize::{self, ResizeShape};

/// The image resized to `size` (height, width) by bilinear interpolation; pixel centres at half-integers, as PyTorch's
/// `align_corners=False`. Shape: (batch, channels, h, w) ↦ (batch, channels, height, width).
///
/// Errors: another rank, a size of 0.
#[must_use]
pub fn resize_bilinear(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    x.linear(Resize { bilinear: true, transposed: false, size })
}

/// The image resized to `size` by repeating or dropping pixels: pixel i comes from ⌊i·h/height⌋. Shapes and errors as
/// [`resize_bilinear`].
#[must_use]
pub fn resize_nearest(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    x.linear(Resize { bilinear: false, transposed: false, size })
}

/// A resizing to `size`, or the transpose of a resizing from `size`.
#[derive(Clone, Copy)]
struct Resize {
    bilinear: bool,
    transposed: bool,
    size: [usize; 2],
}

struct Run(Resize, ResizeShape);

impl Kernel for Run {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        let Self(how, shape) = self;
        match (how.bilinear, how.transposed) {
            (true, false) => resize::bilinear(shape, x[0], y),
            (true, true) => resize::bilinear_transpose(shape, x[0], y),
            (false, false) => resize::nearest(shape, x[0], y),
            (false, true) => resize::nearest_transpose(shape, x[0], y),
        }
    }
}

impl Linear for Resize {
    fn name(&self) -> &str {
        if self.bilinear { "resize_bilinear" } else { "resize_nearest" }
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
