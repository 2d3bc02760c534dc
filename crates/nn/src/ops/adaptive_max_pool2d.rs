//! Maximum pooling to a given size.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use pullback_core_graph::primitive::{Slots, Values, slot};
use pullback_core_graph::tensor::{from_vec, with_slice};
use pullback_core_graph::{Error, Primitive, Result, Var, Wrt, with_real};

use super::failed::failed;
use super::max_pool2d::{Chosen, Spread};
use super::slices::{check_room, image_dims};
use crate::kernel::pool;

/// The largest pixels of windows that cover the image evenly: output i of m looks at pixels ⌊i·n/m⌋ up to ⌈(i + 1)·n/m⌉ of n, so that
/// neighbours overlap where m does not divide n. Shape: (batch, channels, h, w) ↦ (batch, channels, height, width).
///
/// **Ties**: the first of the largest in row-major order takes the whole derivative. Errors: another rank, a size of 0.
#[must_use]
pub fn adaptive_max_pool2d(x: Var<'_>, size: [usize; 2]) -> Var<'_> {
    if x.ok().is_err() {
        return x;
    }
    match x.graph().record_all(Arc::new(AdaptiveMaxPool2d { size }), &[x]) {
        Ok(outputs) => outputs[0],
        Err(error) => failed(x.graph(), "adaptive_max_pool2d", error),
    }
}

/// x ↦ (largest pixels, their positions as integers).
#[derive(Clone, Copy)]
struct AdaptiveMaxPool2d {
    size: [usize; 2],
}

impl Primitive for AdaptiveMaxPool2d {
    fn name(&self) -> &str {
        "adaptive_max_pool2d"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (x, to) = (x[0], self.size);
        let [n, c, h, w] = image_dims(self.name(), x)?;
        let dims = [n, c, to[0], to[1]];
        check_room::<f64>(self.name(), &dims)?;
        let count = dims.iter().product();
        let mut index = vec![0u32; count];
        let y = with_real!(self.name(), x.dtype(), T => {
            let mut y = vec![0 as T; count];
            let run = |x: &[T]| pool::adaptive_maximum(n * c, [h, w], to, x, &mut y, &mut index);
            with_slice::<T, _>(x, run)?.map_err(|e| Error::external(self.name(), e))?;
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
