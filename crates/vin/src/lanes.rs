//! Loops compiled for the widest instructions that the processor has.

/// Runs a closure, marked `#[inline(always)]`, as code for the processor at hand. Nothing is reassociated or fused, so the bits are
/// the same on every processor.
#[inline(always)]
pub(crate) fn vectorized<R>(body: impl FnMut() -> R) -> R {
    pulp::Arch::new().dispatch(Body(body))
}

/// Calls the closure through `FnMut`: the shim of an `FnOnce` need not be inlined, and then stays narrow.
struct Body<F>(F);

impl<R, F: FnMut() -> R> pulp::NullaryFnOnce for Body<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}
