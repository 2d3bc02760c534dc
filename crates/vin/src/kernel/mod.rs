//! Fused loops of planning networks on plain slices, forward and backward, `f32` and `f64`.
//!
//! A sample's planes stay in a core's caches over all iterations. Samples go to threads; what they share (gradients of weights) is added in the
//! order of the samples, so the bits do not depend on the threads.

mod iteration;
mod plane;
mod sets;

pub use iteration::{LoopShape, LoopTape, loop_backward, loop_forward, loop_push};
pub use sets::{set_cross_entropy, set_cross_entropy_gradient};

/// `f32` or `f64`.
pub trait Real:
    Copy
    + Default
    + Send
    + Sync
    + PartialOrd
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + 'static
{
    /// −∞.
    const LOWEST: Self;
    /// 1.
    const ONE: Self;
    /// a·b + c, rounded once.
    #[must_use]
    fn fused(self, b: Self, c: Self) -> Self;
    /// eˣ.
    #[must_use]
    fn exponential(self) -> Self;
    /// ln x.
    #[must_use]
    fn logarithm(self) -> Self;
    /// The nearest number.
    fn of(x: f64) -> Self;
    /// As f64.
    fn wide(self) -> f64;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            const LOWEST: Self = <$t>::NEG_INFINITY;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn fused(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
            #[inline(always)]
            fn exponential(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn logarithm(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }
        }
    };
}
real!(f32);
real!(f64);
