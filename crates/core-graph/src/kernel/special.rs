//! Functions that the standard library lacks, without cancellation at either end, for f32 and f64.

/// Special functions of one element type.
pub(crate) trait Special: Copy {
    fn sech2(self) -> Self;
    fn sigmoid(self) -> Self;
    fn softplus(self) -> Self;
    fn log_cosh(self) -> Self;
    fn erf(self) -> Self;
    fn erfc(self) -> Self;
    /// Φ(x), the standard normal distribution function.
    fn normal_cdf(self) -> Self;
    /// φ(x), its density.
    fn normal_pdf(self) -> Self;
}

macro_rules! special {
    ($T:ident, $erf:path, $erfc:path) => {
        impl Special for $T {
            #[inline(always)]
            fn sech2(self) -> Self {
                let e = (-2.0 * self.abs()).exp();
                4.0 * e / ((1.0 + e) * (1.0 + e))
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                let e = (-self.abs()).exp();
                (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                self.max(0.0) + (-self.abs()).exp().ln_1p()
            }
            #[inline(always)]
            fn log_cosh(self) -> Self {
                let a = self.abs();
                if a < 1.0 {
                    let s = (0.5 * a).sinh();
                    (2.0 * s * s).ln_1p()
                } else {
                    a + (-2.0 * a).exp().ln_1p() - std::$T::consts::LN_2
                }
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn erfc(self) -> Self {
                $erfc(self)
            }
            fn normal_cdf(self) -> Self {
                0.5 * $erfc(-self * std::$T::consts::FRAC_1_SQRT_2)
            }
            fn normal_pdf(self) -> Self {
                const FRAC_1_SQRT_2PI: $T = 0.398_942_280_401_432_7;
                FRAC_1_SQRT_2PI * (-0.5 * self * self).exp()
            }
        }
    };
}
special!(f32, libm::erff, libm::erfcf);
special!(f64, libm::erf, libm::erfc);
