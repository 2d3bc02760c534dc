//! The number types of the kernels: f32 and f64.

use std::ops::{Add, Div, Mul, Neg, Sub};

use pulp::{Simd, bytemuck::Pod};

use super::lanes::{Lanes, Wide32, Wide64};

/// What the kernels need of a number, apart from their entry points.
pub trait Field:
    Copy
    + Pod
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + std::fmt::Debug
    + 'static
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// The smallest normal number.
    const TINY: Self;

    /// The SIMD context on a given instruction set.
    type Wide<S: Simd>: Lanes<Scalar = Self>;

    /// The SIMD context on a given instruction set.
    fn wide<S: Simd>(simd: S) -> Self::Wide<S>;
    /// The nearest number.
    fn from_f64(x: f64) -> Self;
    /// The same number, for messages.
    fn to_f64(self) -> f64;
    /// self·b + c, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;
    /// √self
    fn root(self) -> Self;
    /// |self|
    fn magnitude(self) -> Self;
    /// Natural logarithm.
    fn logarithm(self) -> Self;
    /// Neither NaN nor infinite.
    fn finite(self) -> bool;
    /// For self > 0: 2⁻ᵉ with self·2⁻ᵉ about 1, and such that neither 2⁻ᵉ nor 2ᵉ overflows. Multiplying by it is exact but for
    /// underflow. 1 for self = 0.
    fn power_of_two_scale(self) -> Self;
}

macro_rules! field {
    ($t:ident, $wide:ident, $bits:ty, $mantissa:expr, $bias:expr) => {
        impl Field for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = $t::EPSILON;
            const TINY: Self = $t::MIN_POSITIVE;

            type Wide<S: Simd> = $wide<S>;

            #[inline(always)]
            fn wide<S: Simd>(simd: S) -> Self::Wide<S> {
                $wide(simd)
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn fused(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn logarithm(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.abs() <= $t::MAX
            }
            #[inline(always)]
            fn power_of_two_scale(self) -> Self {
                if self == 0.0 {
                    return 1.0;
                }
                // The biased exponent of the reciprocal power, kept within the normal numbers on both sides.
                let exponent = self.to_bits() >> $mantissa;
                $t::from_bits((2 * $bias - exponent).clamp(2, 2 * $bias - 2) << $mantissa)
            }
        }
    };
}

field!(f32, Wide32, u32, 23, 127);
field!(f64, Wide64, u64, 52, 1023);

/// f32 or f64. Sealed: the kernels are compiled in this crate, for these two.
pub trait Real: super::entry::Entry {}

impl Real for f32 {}
impl Real for f64 {}
