//! Elementary functions without branches, so that a loop over them becomes vector instructions: sums, products, quotients, products with a
//! sum rounded once (`mul_add`) and bit patterns only; so the bits are the same on every processor. One that lacks the fused instruction gets
//! it from the platform's library, slowly.
//!
//! Errors in units in the last place, the worst that the tests meet (some 10⁵ points a function, subnormal results left out):
//!
//! | function | method | f32 | f64 |
//! |---|---|---|---|
//! | `exp` | x = k·ln 2 + r by Cody and Waite, a polynomial in r, 2ᵏ in two factors | 1.5 | 1.5 |
//! | `exp_m1` | the same, 1 − 2⁻ᵏ added before the scaling | 2 | 2 |
//! | `ln` | x = 2ᵏ·(1 + f) with 1 + f in [√½, √2), a polynomial in f | 1.5 | 1.5 |
//! | `ln_1p` | ln u + c/u for u = 1 + x rounded and c what that loses | 2 | 2 |
//! | `tanh` | a polynomial near 0, else by e²ˣ (f32); (e²ᵃ − 1)/(e²ᵃ + 1) by `exp_m1` (f64) | 2.5 | 2.5 |
//! | `erf` | x·P(x²) up to 1, 1 − erfc beyond | 2 | 2 |
//! | `erfc` | e^(−x²)·P(t)/(1 + 2x), t = (x − 3)/(x + 3) (Shepherd and Laframboise 1981) | 4 | 4 |
//!
//! erfc's exponent is rounded to twice the digits, so that the bound holds to the end of the range. Coefficients: `exp`, `ln`, `tanh` in f32 are Moshier's
//! (Cephes), those of `ln` in f64 fdlibm's (Sun Microsystems, 1993); the others are interpolants at Chebyshev points, from
//! `tools/reference/fit_core_graph_elementary.py`.

pub(super) mod double;
pub(super) mod single;

/// c₀ + x·(c₁ + x·(…)), each step rounded once.
macro_rules! polynomial {
    ($x:expr; $last:expr) => { $last };
    ($x:expr; $first:expr, $($rest:expr),+) => { $x.mul_add(polynomial!($x; $($rest),+), $first) };
}
use polynomial;

#[cfg(test)]
mod tests {
    use super::{double, single};

    /// The distance in units in the last place of f32; 0 for two NaN or two infinities of one sign.
    fn ulp32(ours: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        if ours.is_nan() || rounded.is_nan() {
            return if ours.is_nan() == rounded.is_nan() { 0.0 } else { f64::INFINITY };
        }
        if ours == rounded && (ours.is_infinite() || ours == 0.0) {
            return 0.0;
        }
        let unit = f64::from(rounded.abs().max(f32::MIN_POSITIVE).next_up())
            - f64::from(rounded.abs().max(f32::MIN_POSITIVE));
        (f64::from(ours) - exact).abs() / unit
    }

    fn ulp64(ours: f64, exact: f64) -> f64 {
        if ours.is_nan() || exact.is_nan() {
            return if ours.is_nan() == exact.is_nan() { 0.0 } else { f64::INFINITY };
        }
        if ours == exact {
            return 0.0;
        }
        let size = exact.abs().max(f64::MIN_POSITIVE);
        (ours - exact).abs() / (size.next_up() - size)
    }

    /// Points all over the line: even ones, and by bit patterns.
    fn points() -> Vec<f64> {
        let mut all = vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0, -1.0];
        all.extend((0..60_000).map(|i| (f64::from(i) - 30_000.0) * 3.713e-3 + 1.3e-4));
        all.extend((0..60_000).map(|i| (f64::from(i) - 30_000.0) * 5.1e-5 + 1.7e-8));
        for exponent in -1074..1024 {
            for mantissa in [1.0, 1.318_7, 1.713_3, 1.999_1] {
                let x = mantissa * 2f64.powi(exponent);
                all.extend([x, -x]);
            }
        }
        all
    }

    fn check32(name: &str, f: fn(f32) -> f32, exact: fn(f64) -> f64, bound: f64) {
        let mut worst = (0.0, 0.0f32);
        for x in points().iter().map(|&x| x as f32) {
            let error = ulp32(f(x), exact(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= bound, "{name} f32: {} ulp at {:e}", worst.0, worst.1);
    }

    fn check64(name: &str, f: fn(f64) -> f64, exact: fn(f64) -> f64, bound: f64) {
        let mut worst = (0.0, 0.0f64);
        for x in points() {
            let error = ulp64(f(x), exact(x));
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= bound, "{name} f64: {} ulp at {:e}", worst.0, worst.1);
    }

    /// f32 against the library in f64, which is exact beside it; f64 against the library, whose own error of up to 1 ulp is added.
    #[test]
    fn errors_are_within_the_table() {
        check32("exp", single::exp, f64::exp, 1.5);
        check32("exp_m1", single::exp_m1, f64::exp_m1, 2.0);
        check32("ln", single::ln, f64::ln, 1.5);
        check32("ln_1p", single::ln_1p, f64::ln_1p, 2.0);
        check32("tanh", single::tanh, f64::tanh, 2.5);
        check32("erf", single::erf, libm::erf, 2.0);
        check32("erfc", single::erfc, libm::erfc, 4.0);
        check64("exp", double::exp, f64::exp, 2.5);
        check64("exp_m1", double::exp_m1, f64::exp_m1, 3.0);
        check64("ln", double::ln, f64::ln, 2.5);
        check64("ln_1p", double::ln_1p, f64::ln_1p, 3.0);
        check64("tanh", double::tanh, f64::tanh, 3.5);
        check64("erf", double::erf, libm::erf, 3.0);
        check64("erfc", double::erfc, libm::erfc, 5.0);
    }

    #[test]
    fn zeros_keep_their_sign() {
        for f in [single::exp_m1, single::ln_1p, single::tanh, single::erf] {
            assert_eq!(f(-0.0).to_bits(), (-0f32).to_bits());
        }
        for f in [double::exp_m1, double::ln_1p, double::tanh, double::erf] {
            assert_eq!(f(-0.0).to_bits(), (-0f64).to_bits());
        }
    }
}
