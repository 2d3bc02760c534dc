//! Layers without parameters that change an image's size.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::ops;
use crate::parameters::Bound;

/// Maximum pooling, see [`ops::max_pool2d`]. The default is 3×3 with stride 2 and padding 1, which halves an even size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Height and width of the window, in pixels.
    pub kernel: [usize; 2],
    /// Step between neighbouring windows, in pixels.
    pub stride: [usize; 2],
    /// Padding on both sides of each axis, in pixels.
    pub padding: [usize; 2],
}

impl Default for MaxPool2d {
    fn default() -> Self {
        Self { kernel: [3, 3], stride: [2, 2], padding: [1, 1] }
    }
}

impl Layer for MaxPool2d {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        ops::max_pool2d(x, self.kernel, self.stride, self.padding).ok()
    }
}

/// Bilinear enlargement by a whole factor, see [`ops::resize_bilinear`]. The default doubles both sides.
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
            [_, _, height, width] => {
                ops::resize_bilinear(x, [height * self.factor, width * self.factor]).ok()
            }
            ref other => {
                Err(Error::shape("upsample", "(batch, channels, height, width)", &[other]))
            }
        }
    }
}
