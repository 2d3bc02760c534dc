//! What the derivatives of bias and rectifier are made of: the sum over everything but the channels, its transpose, and
//! the mask of a rectified output.

use candle_core::Tensor;
use pullback_core_graph::primitive::{Slots, Values, one, slot};
use pullback_core_graph::{Error, Linear, Primitive, Result, Var, Wrt};

use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::bias::{self, ChannelShape};

/// (batch, channels, height, width) ↦ (channels): the sum over the rest.
pub(super) fn channel_sum(x: Var<'_>) -> Var<'_> {
    x.linear(ChannelSum)
}

/// (channels) ↦ the shape of `like`: each channel filled with its value.
pub(super) fn channel_spread<'g>(x: Var<'g>, like: Var<'g>) -> Var<'g> {
    match like.dims() {
        Ok(dims) => x.linear(ChannelSpread { dims }),
        Err(_) => like,
    }
}

/// v where y > 0, else 0.
pub(super) fn relu_mask<'g>(y: Var<'g>, v: Var<'g>) -> Var<'g> {
    y.graph().record(ReluMask, &[y, v])
}

fn channel_shape(dims: [usize; 4]) -> ChannelShape {
    ChannelShape { batch: dims[0], channels: dims[1], pixels: dims[2] * dims[3] }
}

#[derive(Clone)]
struct ChannelSum;

struct SumKernel(ChannelShape);

impl Kernel for SumKernel {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        bias::bias_gradient(&self.0, x[0], y)
    }
}

impl Linear for ChannelSum {
    fn name(&self) -> &str {
        "channel_sum"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let dims = image_dims(self.name(), x)?;
        slices::run(self.name(), &SumKernel(channel_shape(dims)), &[x], &[dims[1]])
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        channel_spread(dy, x)
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}

#[derive(Clone)]
struct ChannelSpread {
    dims: Vec<usize>,
}

struct SpreadKernel(ChannelShape);

impl Kernel for SpreadKernel {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        bias::add_bias(&self.0, x[0], false, y)
    }
}

impl Linear for ChannelSpread {
    fn name(&self) -> &str {
        "channel_spread"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        match *self.dims {
            [n, c, h, w] if x.dims() == [c] => {
                slices::run(self.name(), &SpreadKernel(channel_shape([n, c, h, w])), &[x], &self.dims)
            }
            _ => Err(Error::shape(self.name(), "one value for each channel (values, image)", &[x.dims(), &self.dims])),
        }
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        channel_sum(dy)
    }
}

/// (y, v) ↦ v where y > 0, else 0. It is constant in y almost everywhere, and its derivative in y is taken to be 0.
#[derive(Clone, Copy)]
struct ReluMask;

struct MaskKernel;

impl Kernel for MaskKernel {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        bias::relu_gradient(x[0], x[1], y)
    }
}

impl Primitive for ReluMask {
    fn name(&self) -> &str {
        "relu_mask"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        one(slices::run(self.name(), &MaskKernel, x, x[0].dims())?)
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        dx[1].map_or_else(|| Ok(Slots::from_elem(None, 1)), |d| slot(relu_mask(x[0], d)))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 2);
        if let (Some(dy), true) = (dy[0], wrt.needs(1)) {
            out[1] = Some(relu_mask(x[0], dy).ok()?);
        }
        Ok(out)
    }

    fn keeps_finite(&self) -> bool {
        true
    }
}
