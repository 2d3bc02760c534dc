//! Average pooling.

use candle_core::Tensor;
use pullback_core_graph::{Error, Linear, Result, Var};

use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::pool::{self, Divisor, Pool2dShape};

/// The mean of each window. Shapes and errors as [`max_pool2d`](super::max_pool2d); a fixed divisor of 0 is an error, too.
#[must_use]
pub fn average_pool2d(
    x: Var<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    divisor: Divisor,
) -> Var<'_> {
    x.linear(AveragePool2d { kernel, stride, padding, divisor, ceil: false })
}

/// The same where a last window counts that reaches beyond the padded image, see [`max_pool2d_ceil`](super::max_pool2d_ceil).
/// Errors as [`average_pool2d`].
#[must_use]
pub fn average_pool2d_ceil(
    x: Var<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    divisor: Divisor,
) -> Var<'_> {
    x.linear(AveragePool2d { kernel, stride, padding, divisor, ceil: true })
}

#[derive(Clone, Copy)]
struct AveragePool2d {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    divisor: Divisor,
    ceil: bool,
}

/// The transpose of [`AveragePool2d`] for images of this size.
#[derive(Clone, Copy)]
struct Spread {
    pool: AveragePool2d,
    size: [usize; 2],
}

struct Forward(Pool2dShape, Divisor);
struct Backward(Pool2dShape, Divisor);

impl Kernel for Forward {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        pool::average(&self.0, self.1, x[0], y)
    }
}

impl Kernel for Backward {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        pool::average_transpose(&self.0, self.1, x[0], y)
    }
}

impl AveragePool2d {
    fn shape(&self, planes: usize, size: [usize; 2]) -> Result<(Pool2dShape, [usize; 2])> {
        let Self { kernel, stride, padding, ceil, .. } = *self;
        let shape = Pool2dShape { planes, size, kernel, stride, padding, ceil };
        let output = shape.output().map_err(|e| Error::external(self.name(), e))?;
        Ok((shape, output))
    }
}

impl Linear for AveragePool2d {
    fn name(&self) -> &str {
        "average_pool2d"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let [n, c, h, w] = image_dims(self.name(), x)?;
        let (shape, [oh, ow]) = self.shape(n * c, [h, w])?;
        slices::run(self.name(), &Forward(shape, self.divisor), &[x], &[n, c, oh, ow])
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        match super::conv2d::spatial(x) {
            Ok(size) => dy.linear(Spread { pool: *self, size }),
            Err(_) => x,
        }
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}

impl Linear for Spread {
    fn name(&self) -> &str {
        "average_pool2d_spread"
    }
    fn apply(&self, dy: &Tensor) -> Result<Tensor> {
        let [n, c, _, _] = image_dims(self.name(), dy)?;
        let (shape, _) = self.pool.shape(n * c, self.size)?;
        let dims = [n, c, self.size[0], self.size[1]];
        slices::run(self.name(), &Backward(shape, self.pool.divisor), &[dy], &dims)
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(self.pool)
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}
