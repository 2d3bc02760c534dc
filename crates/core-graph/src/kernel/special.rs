//! Functions that the standard library lacks, without cancellation at either end, and the hot ones, for f32 and f64.

use super::elementary::{double, single};

/// Elementary functions of one element type, without branches, so that loops over them vectorize; within a few units in the last place,
/// with the same bits on every processor.
pub trait Elementary: Copy {
    /// sech² x.
    fn sech2(self) -> Self;
    /// tanh x.
    fn tanh(self) -> Self;
    /// tanh'(x) from x and y = tanh x.
    fn tanh_slope(self, y: Self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ − 1.
    fn exp_m1(self) -> Self;
    /// ln x.
    fn ln(self) -> Self;
    /// ln(1 + x).
    fn ln_1p(self) -> Self;
    /// 1/(1 + e⁻ˣ).
    fn sigmoid(self) -> Self;
    /// ln(1 + eˣ).
    fn softplus(self) -> Self;
    /// ln cosh x.
    fn log_cosh(self) -> Self;
    /// erf x.
    fn erf(self) -> Self;
    /// 1 − erf x.
    fn erfc(self) -> Self;
    /// Φ(x), the standard normal distribution function.
    fn normal_cdf(self) -> Self;
    /// Φ(x) + x·φ(x), the slope of y = x·Φ(x), where φ is the normal density.
    fn gelu_slope(self, y: Self) -> Self;
}

macro_rules! special {
    ($T:ident, $elementary:ident) => {
        impl Elementary for $T {
            #[inline(always)]
            fn sech2(self) -> Self {
                let e = Elementary::exp(-2.0 * self.abs());
                4.0 * e / ((1.0 + e) * (1.0 + e))
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                let e = Elementary::exp(-self.abs());
                (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                let y = Elementary::ln_1p(Elementary::exp(-self.abs()));
                if self > 0.0 { self + y } else { y }
            }
            #[inline(always)]
            fn log_cosh(self) -> Self {
                let a = self.abs();
                // Near 0, ln(1 + 2 sinh²(a/2)) with 2 sinh(a/2) = t/√(1 + t), t = eᵃ − 1.
                let t = Elementary::exp_m1(if a < 1.0 { a } else { 1.0 });
                let near = Elementary::ln_1p(0.5 * t * t / (1.0 + t));
                let far = a + Elementary::ln_1p(Elementary::exp(-2.0 * a)) - std::$T::consts::LN_2;
                if a < 1.0 { near } else { far }
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $elementary::exp(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                $elementary::exp_m1(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $elementary::ln(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $elementary::ln_1p(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $elementary::tanh(self)
            }
            #[inline(always)]
            fn tanh_slope(self, y: Self) -> Self {
                $elementary::tanh_slope(self, y)
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $elementary::erf(self)
            }
            #[inline(always)]
            fn erfc(self) -> Self {
                $elementary::erfc(self)
            }
            #[inline(always)]
            fn normal_cdf(self) -> Self {
                $elementary::normal_cdf(self)
            }
            #[inline(always)]
            fn gelu_slope(self, y: Self) -> Self {
                $elementary::gelu_slope(self, y)
            }
        }
    };
}
special!(f32, single);
special!(f64, double);
