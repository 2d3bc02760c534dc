//! Fused loops of planning networks on plain slices, forward and backward, `f32` and `f64`.
//!
//! A sample's planes stay in a core's caches over all iterations. Samples go to threads; what they share (gradients of weights) is added in the
//! order of the samples, so the bits do not depend on the threads.

mod backward;
mod dynamic;
mod iteration;
mod plane;
mod propagation;
mod sets;

pub use dynamic::{DynamicShape, dynamic_backward, dynamic_forward, dynamic_push};
pub use iteration::{LoopShape, LoopTape, loop_backward, loop_forward, loop_push};
pub use propagation::{
    PropagationShape, propagation_backward, propagation_forward, propagation_push,
};
pub use sets::{set_cross_entropy, set_cross_entropy_gradient};

use pulp::Simd;

/// `f32` or `f64`.
///
/// The vector methods are thin names for the processor's instructions, so that a loop is written once for both types and all instruction
/// sets. Each lane has the bits that the scalar would have.
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
    /// One vector register.
    #[doc(hidden)]
    type Vector<S: Simd>: Copy;
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
    /// A number of a channel.
    #[doc(hidden)]
    fn of_byte(x: u8) -> Self;
    /// The number of a channel back.
    #[doc(hidden)]
    fn byte(self) -> u8;

    /// Elements of a register.
    #[doc(hidden)]
    fn lanes<S: Simd>() -> usize;
    /// One number in every lane.
    #[doc(hidden)]
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// The first lanes of a slice.
    #[doc(hidden)]
    fn load<S: Simd>(x: &[Self]) -> Self::Vector<S>;
    /// Into the first lanes of a slice.
    #[doc(hidden)]
    fn store<S: Simd>(x: Self::Vector<S>, to: &mut [Self]);
    /// a·b + c, rounded once.
    #[doc(hidden)]
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// a + b.
    #[doc(hidden)]
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// In each lane the new pair (value, mark) if its value is greater, else the old one.
    #[doc(hidden)]
    fn greater<S: Simd>(
        simd: S,
        new: (Self::Vector<S>, Self::Vector<S>),
        old: (Self::Vector<S>, Self::Vector<S>),
    ) -> (Self::Vector<S>, Self::Vector<S>);
    /// In each lane x where the marks are equal, else 0.
    #[doc(hidden)]
    fn where_equal<S: Simd>(
        simd: S,
        marks: [Self::Vector<S>; 2],
        x: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

macro_rules! real {
    ($t:ident: $vector:ident, $lanes:ident, $splat:ident, $split:ident, $split_mut:ident, $fused:ident, $add:ident, $less:ident,
        $equal:ident, $select:ident) => {
        impl Real for $t {
            type Vector<S: Simd> = S::$vector;
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
            #[inline(always)]
            fn of_byte(x: u8) -> Self {
                Self::from(x)
            }
            #[inline(always)]
            fn byte(self) -> u8 {
                self as u8
            }
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S> {
                simd.$splat(x)
            }
            #[inline(always)]
            fn load<S: Simd>(x: &[Self]) -> Self::Vector<S> {
                S::$split(&x[..S::$lanes]).0[0]
            }
            #[inline(always)]
            fn store<S: Simd>(x: Self::Vector<S>, to: &mut [Self]) {
                S::$split_mut(&mut to[..S::$lanes]).0[0] = x;
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: Self::Vector<S>,
                b: Self::Vector<S>,
                c: Self::Vector<S>,
            ) -> Self::Vector<S> {
                simd.$fused(a, b, c)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn greater<S: Simd>(
                simd: S,
                new: (Self::Vector<S>, Self::Vector<S>),
                old: (Self::Vector<S>, Self::Vector<S>),
            ) -> (Self::Vector<S>, Self::Vector<S>) {
                let better = simd.$less(old.0, new.0);
                (simd.$select(better, new.0, old.0), simd.$select(better, new.1, old.1))
            }
            #[inline(always)]
            fn where_equal<S: Simd>(
                simd: S,
                [a, b]: [Self::Vector<S>; 2],
                x: Self::Vector<S>,
            ) -> Self::Vector<S> {
                simd.$select(simd.$equal(a, b), x, simd.$splat(0.0))
            }
        }
    };
}
real!(f32: f32s, F32_LANES, splat_f32s, as_simd_f32s, as_mut_simd_f32s, mul_add_f32s, add_f32s, less_than_f32s, equal_f32s, select_f32s);
real!(f64: f64s, F64_LANES, splat_f64s, as_simd_f64s, as_mut_simd_f64s, mul_add_f64s, add_f64s, less_than_f64s, equal_f64s, select_f64s);
