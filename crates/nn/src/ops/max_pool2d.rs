//! Maximum pooling.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use pullback_core_graph::primitive::{Slots, Values, slot};
use pullback_core_graph::tensor::{from_vec, with_slice};
use pullback_core_graph::{Error, Linear, Primitive, Result, Var, Wrt, with_real};

use super::failed::failed;
use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::pool::{self, Planes, Pool2dShape};

/// The largest pixel of each window. Shape: (batch, channels, height, width) ↦ (batch, channels, ⌊(height + 2·padding −
/// kernel) / stride⌋ + 1, …).
///
/// Padding never wins. **Ties**: the first of the largest in row-major order takes the whole derivative. Errors: another
/// rank, a size or stride of 0, padding not less than the kernel, a kernel larger than the padded image.
#[must_use]
pub fn max_pool2d(
    x: Var<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Var<'_> {
    MaxPool2d { kernel, stride, padding, ceil: false }.of(x)
}

/// The same where a last window counts that reaches beyond the padded image: ⌈(height + 2·padding − kernel) / stride⌉ + 1 rows, but
/// none whose window would begin behind the last pixel (PyTorch's `ceil_mode`). Errors as [`max_pool2d`].
#[must_use]
pub fn max_pool2d_ceil(
    x: Var<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Var<'_> {
    MaxPool2d { kernel, stride, padding, ceil: true }.of(x)
}

/// x ↦ (largest pixels, their positions as integers).
#[derive(Clone, Copy)]
struct MaxPool2d {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    ceil: bool,
}

impl MaxPool2d {
    fn of(self, x: Var<'_>) -> Var<'_> {
        if x.ok().is_err() {
            return x;
        }
        match x.graph().record_all(Arc::new(self), &[x]) {
            Ok(outputs) => outputs[0],
            Err(error) => failed(x.graph(), "max_pool2d", error),
        }
    }

    fn shape(&self, dims: [usize; 4]) -> Result<(Pool2dShape, [usize; 4])> {
        let Self { kernel, stride, padding, ceil } = *self;
        let [n, c, h, w] = dims;
        let shape = Pool2dShape { planes: n * c, size: [h, w], kernel, stride, padding, ceil };
        let [oh, ow] = shape.output().map_err(|e| Error::external("max_pool2d", e))?;
        Ok((shape, [n, c, oh, ow]))
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
            dy[0] = Some(dx.linear(Chosen::of(x[0], y)?).ok()?);
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
            Some(dy) => slot(dy.linear(Spread(Chosen::of(x[0], y)?))),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn keeps_finite(&self) -> bool {
        true
    }
}

/// y\[i\] = x\[index\[i\]\] in each plane: the linear map that the positions of the largest pixels define.
#[derive(Clone)]
pub(super) struct Chosen {
    index: Arc<[u32]>,
    from: [usize; 4],
    to: [usize; 4],
}

/// The transpose of [`Chosen`].
#[derive(Clone)]
pub(super) struct Spread(pub(super) Chosen);

impl Chosen {
    /// The derivative of a pooling x ↦ (largest pixels, their positions).
    pub(super) fn of(x: Var<'_>, y: &[Var<'_>]) -> Result<Self> {
        let positions = y[1].value()?;
        let index = with_slice::<u32, _>(&positions, <[u32]>::to_vec)?.into();
        let [from, to] = [&x.value()?, &positions].map(|t| image_dims("max_pool2d", t));
        Ok(Self { index, from: from?, to: to? })
    }

    fn planes(&self) -> Planes {
        let area = |dims: [usize; 4]| dims[2] * dims[3];
        let planes = self.from[0] * self.from[1];
        Planes { planes, pixels: area(self.from), windows: area(self.to) }
    }
}

impl Kernel for Chosen {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        pool::gather_planes(&self.planes(), &self.index, x[0], y)
    }
}

impl Kernel for Spread {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        pool::scatter_add_planes(&self.0.planes(), &self.0.index, x[0], y)
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
