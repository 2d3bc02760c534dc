//! Loops over plain slices on the CPU: elementwise maps, broadcasting, reductions.
//!
//! Every kernel gives the same bits for any number of threads: work is cut into fixed chunks, partial results meet in index order.

mod broadcast;
mod elementary;
mod fresh;
mod lanes;
mod map;
pub(crate) mod matmul;
mod memory;
mod reduce;
mod softmax;
mod special;
mod written;

use candle_core::Tensor;

pub(crate) use broadcast::{broadcast_dims, zip_broadcast, zip_stretched};
pub use fresh::{Fresh, fresh, refill};
pub use lanes::{sum_of, sums_of};
pub(crate) use map::{map1, map2};
pub use memory::{prefetch, zeroed};
pub(crate) use reduce::{Groups, fold_axes, sum_axes};
pub(crate) use softmax::{Softmax, Strips};
pub use special::Elementary;
pub(crate) use written::zeros;
pub use written::{Seen, Unwritten, Written, blocks_of, in_rows};

use crate::tensor::{from_vec, with_slice};
use crate::{Result, with_real};

/// Runs a loop compiled for the widest instructions that this processor has. Mark the closure `#[inline(always)]`.
///
/// The bits are the same on every processor: nothing is reassociated, nothing fused but where the code says `mul_add`.
#[inline(always)]
pub fn vectorized<R>(body: impl FnMut() -> R) -> R {
    pulp::Arch::new().dispatch(Body(body))
}

/// Calls the closure through `FnMut`: the `FnOnce` shim of a closure is a function of its own, which need not be inlined into the code
/// for wide instructions, and then stays narrow.
struct Body<F>(F);

impl<R, F: FnMut() -> R> pulp::NullaryFnOnce for Body<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}

/// a + b for equal shapes and element types: how contributions meet in a sweep.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !a.device().is_cpu() {
        return Ok(a.add(b)?);
    }
    with_real!("sum of contributions", a.dtype(), T => {
        let sum = with_slice::<T, _>(a, |x| with_slice::<T, _>(b, |y| map2(x, y, |x, y| x + y)))??;
        from_vec(sum.values, a.dims(), a.device())
    })
}
