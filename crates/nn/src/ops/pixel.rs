//! One pixel of each image: where a robot acted, and where alone its loss is.

use std::sync::Arc;

use candle_core::Tensor;
use pullback_core_graph::{Error, Linear, Result, Var};

use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;

/// y\[n, c\] = x\[n, c, row, column\] at the n-th of `pixels` (row, column). Shape: (batch, channels, height, width) ↦
/// (batch, channels).
///
/// Errors: another rank, another number of pixels than images, a pixel outside the image.
#[must_use]
pub fn at_pixels<'g>(x: Var<'g>, pixels: &[[usize; 2]]) -> Var<'g> {
    x.linear(AtPixels { pixels: pixels.into() })
}

#[derive(Clone)]
struct AtPixels {
    pixels: Arc<[[usize; 2]]>,
}

/// The transpose: zeros, and dy at the pixels.
#[derive(Clone)]
struct OntoPixels {
    of: AtPixels,
    size: [usize; 2],
}

/// Copies between pixels and vectors; the images are (batch, channels, size).
struct Copy<'a> {
    pixels: &'a [[usize; 2]],
    channels: usize,
    size: [usize; 2],
    onto: bool,
}

impl Kernel for Copy<'_> {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        let [height, width] = self.size;
        for (n, &[row, column]) in self.pixels.iter().enumerate() {
            for c in 0..self.channels {
                let vector = n * self.channels + c;
                let pixel = (vector * height + row) * width + column;
                let (to, from) = if self.onto { (pixel, vector) } else { (vector, pixel) };
                y[to] = x[0][from];
            }
        }
        Ok(())
    }
}

impl AtPixels {
    fn check(&self, batch: usize, [height, width]: [usize; 2]) -> Result<()> {
        let node = self.name();
        if self.pixels.len() != batch {
            let what = format!("{} pixels for {batch} images", self.pixels.len());
            return Err(Error::invalid(node, what));
        }
        match self.pixels.iter().position(|&[row, column]| row >= height || column >= width) {
            Some(n) => {
                let what = format!("pixel {:?} of image {n} is outside {height} × {width}", self.pixels[n]);
                Err(Error::invalid(node, what))
            }
            None => Ok(()),
        }
    }
}

impl Linear for AtPixels {
    fn name(&self) -> &str {
        "at_pixels"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let [n, channels, h, w] = image_dims(self.name(), x)?;
        self.check(n, [h, w])?;
        let copy = Copy { pixels: &self.pixels, channels, size: [h, w], onto: false };
        slices::run(self.name(), &copy, &[x], &[n, channels])
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        match super::conv2d::spatial(x) {
            Ok(size) => dy.linear(OntoPixels { of: self.clone(), size }),
            Err(_) => x,
        }
    }
}

impl Linear for OntoPixels {
    fn name(&self) -> &str {
        "onto_pixels"
    }
    fn apply(&self, dy: &Tensor) -> Result<Tensor> {
        let [n, channels] = *dy.dims() else {
            return Err(Error::shape(self.name(), "(batch, channels)", &[dy.dims()]));
        };
        self.of.check(n, self.size)?;
        let copy = Copy { pixels: &self.of.pixels, channels, size: self.size, onto: true };
        slices::run(self.name(), &copy, &[dy], &[n, channels, self.size[0], self.size[1]])
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(self.of.clone())
    }
}
