//! Functions that the standard library lacks, without cancellation at either end, for f32 and f64.

/// Special functions of one element type.
pub(crate) trait Special: Copy {
    fn sech2(self) -> Self;
    fn tanh(self) -> Self;
    /// tanh'(x) from x and y = tanh x.
    fn tanh_slope(self, y: Self) -> Self;
    fn exp(self) -> Self;
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
                let e = Special::exp(-2.0 * self.abs());
                4.0 * e / ((1.0 + e) * (1.0 + e))
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                let e = Special::exp(-self.abs());
                (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                self.max(0.0) + Special::exp(-self.abs()).ln_1p()
            }
            #[inline(always)]
            fn log_cosh(self) -> Self {
                let a = self.abs();
                if a < 1.0 {
                    let s = (0.5 * a).sinh();
                    (2.0 * s * s).ln_1p()
                } else {
                    a + Special::exp(-2.0 * a).ln_1p() - std::$T::consts::LN_2
                }
            }
            #[inline(always)]
            fn exp(self) -> Self {
                fast::$T::exp(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                fast::$T::tanh(self)
            }
            #[inline(always)]
            fn tanh_slope(self, y: Self) -> Self {
                fast::$T::tanh_slope(self, y)
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
                FRAC_1_SQRT_2PI * Special::exp(-0.5 * self * self)
            }
        }
    };
}
special!(f32, libm::erff, libm::erfcf);
special!(f64, libm::erf, libm::erfc);

/// The hot functions: branch-free in f32, so that loops vectorize; the standard library's in f64.
mod fast {
    pub(super) mod f32 {
        /// eˣ within 2 ulp for |x| ≤ 87, 0 below −104, ∞ above 88.8: x = n·ln 2 + r by Cody and Waite, a polynomial of degree 7
        /// in r, and 2ⁿ in two factors through the exponent bits (coefficients: Moshier, Cephes, expf).
        #[inline(always)]
        pub(in super::super) fn exp(x: f32) -> f32 {
            let x = x.clamp(-110.0, 100.0);
            let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
            let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
            let p = 1.987_569_1e-4;
            let p = p * r + 1.398_2e-3;
            let p = p * r + 8.333_452e-3;
            let p = p * r + 4.166_579_6e-2;
            let p = p * r + 1.666_666_5e-1;
            let p = p * r + 0.5;
            let y = p * (r * r) + r + 1.0;
            let half = n as i32 / 2;
            let rest = n as i32 - half;
            let power = |k: i32| f32::from_bits(((k + 127) as u32) << 23);
            y * power(half) * power(rest)
        }

        /// tanh x within 3 ulp: an odd polynomial below 0.625 (coefficients: Moshier, Cephes, tanhf), else by eˣ.
        #[inline(always)]
        pub(in super::super) fn tanh(x: f32) -> f32 {
            let a = x.abs();
            let z = x * x;
            let p = -5.704_988_6e-3;
            let p = p * z + 2.063_908_8e-2;
            let p = p * z - 5.373_971_5e-2;
            let p = p * z + 1.333_144_2e-1;
            let p = p * z - 3.333_328_2e-1;
            let small = p * z * x + x;
            let large = (1.0 - 2.0 / (exp(2.0 * a.min(20.0)) + 1.0)).copysign(x);
            if a < 0.625 { small } else { large }
        }

        #[inline(always)]
        pub(in super::super) fn tanh_slope(_: f32, y: f32) -> f32 {
            (1.0 - y) * (1.0 + y)
        }
    }

    pub(super) mod f64 {
        #[inline(always)]
        pub(in super::super) fn exp(x: f64) -> f64 {
            x.exp()
        }

        #[inline(always)]
        pub(in super::super) fn tanh(x: f64) -> f64 {
            x.tanh()
        }

        #[inline(always)]
        pub(in super::super) fn tanh_slope(x: f64, _: f64) -> f64 {
            super::super::Special::sech2(x)
        }
    }
}
