//! Layers without parameters that change an image's size or a tensor's shape.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::ops;
use crate::parameters::Bound;
use crate::summary::Walk;

/// Bilinear enlargement by a whole factor, see [`ops::resize_bilinear`]. The default doubles both sides.
///
/// Shape: (batch, channels, height, width) ↦ (batch, channels, factor·height, factor·width). Errors of [`Layer::forward`]: another rank, a
/// factor of 0. [`Resize`] takes any size, and the nearest pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upsample {
    /// The factor of height and width.
    pub factor: usize,
}

impl Default for Upsample {
    fn default() -> Self {
        Self { factor: 2 }
    }
}

impl Layer for Upsample {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        match *x.dims()? {
            [_, _, height, width] => ops::resize_bilinear(
                x,
                [height, width].map(|size| size.saturating_mul(self.factor)),
            )
            .ok(),
            ref other => {
                Err(Error::shape("upsample", "(batch, channels, height, width)", &[other]))
            }
        }
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let axes: Vec<(usize, usize)> =
            walk.dims().iter().skip(1).map(|d| (d.saturating_mul(self.factor), 2)).collect();
        walk.resize("upsample", &axes)
    }
}

/// How pixels between pixels get their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel at ⌊i·from/to⌋.
    Nearest,
    /// Bilinear, with pixel centres at half-integers (PyTorch: `align_corners=False`).
    Bilinear,
    /// Bilinear, with the corner pixels' centres on each other (PyTorch: `align_corners=True`).
    BilinearCorners,
}

/// An image resized to a given height and width: (batch, channels, h, w) ↦ (batch, channels, height, width). Errors of
/// [`Layer::forward`]: another rank, a size of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// Height and width of the output.
    pub size: [usize; 2],
    /// How pixels between pixels get their values.
    pub interpolation: Interpolation,
}

impl Layer for Resize {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        match self.interpolation {
            Interpolation::Nearest => ops::resize_nearest(x, self.size),
            Interpolation::Bilinear => ops::resize_bilinear(x, self.size),
            Interpolation::BilinearCorners => ops::resize_bilinear_corners(x, self.size),
        }
        .ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let taps = if self.interpolation == Interpolation::Nearest { 1 } else { 2 };
        walk.resize("resize", &self.size.map(|to| (to, taps)))
    }
}

/// (batch, …) ↦ (batch, the product of the rest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flatten;

impl Layer for Flatten {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        match x.dims()?.split_first() {
            Some((&batch, rest)) => x.reshape(&[batch, rest.iter().product()]).ok(),
            None => Err(Error::shape("flatten", "a batch axis", &[&[]])),
        }
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let n = walk.dims().iter().product();
        walk.reshape("flatten", &[n], &[])
    }
}
