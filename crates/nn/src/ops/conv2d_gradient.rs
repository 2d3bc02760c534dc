//! The two gradients of a convolution as operations of their own: with the convolution they are closed under
//! differentiation, see [`crate::kernel::conv`].

use candle_core::Tensor;
use pullback_core_graph::primitive::{Slots, Values, one, slot};
use pullback_core_graph::{Error, Fresh, Primitive, Result, Var, Wrt};

use super::conv2d::{Conv2dOptions, conv2d, output_dims, spatial};
use super::slices::{self, Kernel, image_dims};
use crate::kernel::Real;
use crate::kernel::conv::{self, Conv2dShape};

/// (dy, w) ↦ dx for an input of `size`.
#[derive(Clone, Copy)]
pub(super) struct InputGradient {
    pub(super) options: Conv2dOptions,
    pub(super) size: [usize; 2],
}

/// (x, dy) ↦ dw for a weight with a kernel of this size.
#[derive(Clone, Copy)]
pub(super) struct WeightGradient {
    pub(super) options: Conv2dOptions,
    pub(super) kernel: [usize; 2],
}

struct InputKernel(Conv2dShape);

impl Kernel for InputKernel {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        conv::overwritten(y, |y| self.run_seen(x, y))
    }

    fn run_seen<T: Real>(&self, x: &[&[T]], y: Fresh<'_, T>) -> crate::Result<bool> {
        conv::input_gradient_seen(&self.0, x[0], x[1], y)
    }
}

struct WeightKernel(Conv2dShape);

impl Kernel for WeightKernel {
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()> {
        conv::weight_gradient(&self.0, x[0], x[1], y)
    }

    fn run_seen<T: Real>(&self, x: &[&[T]], y: Fresh<'_, T>) -> crate::Result<bool> {
        conv::weight_gradient_seen(&self.0, x[0], x[1], y)
    }
}

/// dy must be what the convolution of these sizes gives.
fn check_output(node: &str, shape: &Conv2dShape, dy: [usize; 4]) -> Result<()> {
    let expected = output_dims(node, shape)?;
    if dy == expected {
        return Ok(());
    }
    Err(Error::shape(node, format!("an output of shape {expected:?}"), &[&dy]))
}

impl Primitive for InputGradient {
    fn name(&self) -> &str {
        "conv2d_input_gradient"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        let node = self.name();
        let (dy, w) = (image_dims(node, x[0])?, image_dims(node, x[1])?);
        let dims = [dy[0], w[1].saturating_mul(self.options.groups), self.size[0], self.size[1]];
        let shape = self.options.shape(node, dims, w)?;
        check_output(node, &shape, dy)?;
        let (dx, finite) = slices::run_seen(node, &InputKernel(shape), x, &dims)?;
        Ok((one(dx)?, finite))
    }

    fn sees(&self, i: usize, x: &[&Tensor]) -> bool {
        let ([height, width], weight) = (self.size, x[1].dims());
        let batch = x[0].dims().first().copied().unwrap_or(0);
        let image = [batch, 1, height, width];
        match i {
            0 => self.options.covers(&image, weight, true),
            _ => self.options.touches(&image, weight),
        }
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let graph = x[0].graph();
        let along_dy = dx[0].map(|d| graph.record(*self, &[d, x[1]]));
        let along_w = dx[1].map(|d| graph.record(*self, &[x[0], d]));
        sum(along_dy, along_w)
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        seed: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 2);
        let Some(seed) = seed[0] else { return Ok(out) };
        if wrt.needs(0) {
            out[0] = Some(conv2d(seed, x[1], self.options).ok()?);
        }
        if wrt.needs(1) {
            let op = WeightGradient { options: self.options, kernel: spatial(x[1])? };
            out[1] = Some(seed.graph().record(op, &[seed, x[0]]).ok()?);
        }
        Ok(out)
    }
}

impl Primitive for WeightGradient {
    fn name(&self) -> &str {
        "conv2d_weight_gradient"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        let node = self.name();
        let (image, dy) = (image_dims(node, x[0])?, image_dims(node, x[1])?);
        let groups = self.options.groups.max(1);
        let dims = [dy[1], image[1] / groups, self.kernel[0], self.kernel[1]];
        let shape = self.options.shape(node, image, dims)?;
        check_output(node, &shape, dy)?;
        let (dw, finite) = slices::run_seen(node, &WeightKernel(shape), x, &dims)?;
        Ok((one(dw)?, finite))
    }

    /// A loop that sees has multiplied every pixel of both images.
    fn sees(&self, i: usize, x: &[&Tensor]) -> bool {
        let (image, &[_, out, _, _]) = (x[0].dims(), x[1].dims()) else { return false };
        let weight = [out, 1, self.kernel[0], self.kernel[1]];
        !image.contains(&0) && self.options.covers(image, &weight, i == 1)
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let graph = x[0].graph();
        let along_x = dx[0].map(|d| graph.record(*self, &[d, x[1]]));
        let along_dy = dx[1].map(|d| graph.record(*self, &[x[0], d]));
        sum(along_x, along_dy)
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        seed: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 2);
        let Some(seed) = seed[0] else { return Ok(out) };
        if wrt.needs(0) {
            let op = InputGradient { options: self.options, size: spatial(x[0])? };
            out[0] = Some(seed.graph().record(op, &[x[1], seed]).ok()?);
        }
        if wrt.needs(1) {
            out[1] = Some(conv2d(x[0], seed, self.options).ok()?);
        }
        Ok(out)
    }
}

fn sum<'g>(a: Option<Var<'g>>, b: Option<Var<'g>>) -> Result<Slots<'g>> {
    match [a, b].into_iter().flatten().reduce(|a, b| a + b) {
        Some(d) => slot(d),
        None => Ok(Slots::from_elem(None, 1)),
    }
}
