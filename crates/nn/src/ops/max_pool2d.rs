//! Maximum pooling.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use pullback_core_graph::primitive::{Slots, Values, slot};
use pullback_core_graph::tensor::{from_vec, with_slice};
use pullback_core_graph::{Error, Linear, Primitive, Result, Var, Wrt, with_real};

use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::pool::{self, Pool2dShape};

/// The largest pixel of each window. Shape: (batch, channels, height, width) ↦ (batch, channels, ⌊(height + 2·padding −
/// kernel) / stride⌋ + 1, …).
///
/// Padding never wins. **Ties**: the first of the largest in row-major order takes the whole derivative. Errors: another
/// rank, a size or stride of 0, padding not less than the kernel, a kernel larger than the padded image.
#[must_use]
pub fn max_pool2d(x: Var<'_>, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Var<'_> {
    if x.ok().is_err() {
        return x;
    }
    let op = MaxPool2d { kernel, stride, padding };
    match x.graph().record_all(Arc::new(op), &[x]) {
        Ok(outputs) => outputs[0],
        // Recording again as a single-output operation turns the error into a variable that stands for it.
        Err(error) => x.graph().record(Failed(error), &[]),
    }
}

/// x ↦ (largest pixels, their positions as integers).
#[derive(Clone, Copy)]
struct MaxPool2d {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl MaxPool2d {
    fn shape(&self, dims: [usize; 4]) -> Result<(Pool2dShape, [usize; 4])> {
        let Self { kernel, stride, padding } = *self;
        let [n, c, h, w] = dims;
        let shape = Pool2dShape { planes: n * c, size: [h, w], kernel, stride, padding };
        let [oh, ow] = shape.output().map_err(|e| Error::external("max_pool2d", e))?;
        Ok((shape, [n, c, oh, ow]))
    }

    /// The linear map that the positions define.
    fn chosen(&self, x: Var<'_>, y: &[Var<'_>]) -> Result<Chosen> {
        let from = image_dims(self.name(), &x.value()?)?;
        let (shape, to) = self.shape(from)?;
        let index = with_slice::<u32, _>(&y[1].value()?, <[u32]>::to_vec)?;
        Ok(Chosen { shape, index: index.into(), from, to })
    }
}

impl Primitive for MaxPool2d {
    fn name(&self) -> &str {
        "max_pool2d"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let x = x[0];
        let (shape, dims) = self.shape(image_dims(self.name(), x)?)?;
        let n = dims.iter().product();
        let mut index = vec![0u32; n];
        let y = with_real!(self.name(), x.dtype(), T => {
            let mut y = vec![0 as T; n];
            with_slice::<T, _>(x, |x| pool::maximum(&shape, x, &mut y, &mut index))?
                .map_err(|e| Error::external(self.name(), e))?;
            from_vec(y, &dims, x.device())
        })?;
        // The positions stay on the CPU, where the derivative is computed.
        Ok(Values::from_vec(vec![y, from_vec(index, &dims, &Device::Cpu)?]))
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let mut dy = Slots::from_elem(None, 2);
        if let Some(dx) = dx[0] {
            dy[0] = Some(dx.linear(self.chosen(x[0], y)?).ok()?);
        }
        Ok(dy)
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        match dy[0] {
            Some(dy) => slot(dy.linear(Spread(self.chosen(x[0], y)?))),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn keeps_finite(&self) -> bool {
        true
    }
}

/// y\[i\] = x\[index\[i\]\].
#[derive(Clone)]
struct Chosen {
    shape: Pool2dShape,
    index: Arc<[u32]>,
    from: [usize; 4],
    to: [usize; 4],
}

/// The transpose of [`Chosen`].
#[derive(Clone)]
struct Spread(Chosen);

impl Kernel for Chosen {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        pool::gather(&self.shape, &self.index, x[0], y)
    }
}

impl Kernel for Spread {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        pool::scatter_add(&self.0.shape, &self.0.index, x[0], y)
    }
}

impl Linear for Chosen {
    fn name(&self) -> &str {
        "max_pool2d_chosen"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        slices::run(self.name(), self, &[x], &self.to)
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(Spread(self.clone()))
    }
}

impl Linear for Spread {
    fn name(&self) -> &str {
        "max_pool2d_spread"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        slices::run(self.name(), self, &[x], &self.0.from)
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(self.0.clone())
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}

/// An operation that failed before.
struct Failed(Error);

impl Primitive for Failed {
    fn name(&self) -> &str {
        "max_pool2d"
    }
    fn eval(&self, _: &[&Tensor]) -> Result<Values> {
        Err(self.0.clone())
    }
    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], _: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Err(self.0.clone())
    }
    fn pull<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], _: &[Option<Var<'g>>], _: Wrt<'_>) -> Result<Slots<'g>> {
        Err(self.0.clone())
    }
}
