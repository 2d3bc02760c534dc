//! Elementary functions without branches, so that a loop over lanes becomes vector instructions, and the same bits on every processor:
//! sums, products, quotients and roots only, no fused multiply-add, no table, nothing of the platform's library.
//!
//! The error is the worst at the points of `tests/data/elementary.json` (1,300 to 2,700 a function, chosen to be hard), in units in the last
//! place against mpmath with 400 bits; the tests hold each below the bound.
//!
//! | function | method | worst | bound |
//! |---|---|---|---|
//! | [`exp`] | x = k·ln 2 + r, the series of sinh r and cosh r, scaled in two steps | 0.80 | 1 |
//! | [`exp_m1`] | the same, 1 − 2⁻ᵏ added without error | 1.04 | 1.25 |
//! | [`sinh`], [`cosh`] | the same series, weighted with 1 ∓ 4⁻ᵏ | 0.68, 0.60 | 1 |
//! | [`tanh`] | their quotient, corrected by its remainder | 1.06 | 1.25 |
//! | [`ln`] | x = 2ᵏ·(1 + f), a polynomial in s² with s = f/(2 + f) | 0.70 | 1 |
//! | [`ln_1p`], [`asinh`], [`acosh`] | ln of a sum of two numbers | 0.74, 0.83, 0.71 | 1 |
//! | [`atanh`] | the series of ½·ln((1 + s)/(1 − s)) after a power of two | 0.51 | 1 |
//! | [`sin`], [`cos`], [`tan`] | x − k·π/2 as a pair, two polynomials; a quotient of pairs | 0.64, 0.76, 0.74 | 1 |
//! | [`asin`], [`acos`] | a polynomial, beyond ½ in √((1 − x)/2) with its remainder | 0.57, 0.53 | 1 |
//! | [`atan`], [`atan2`] | by octants, a polynomial in the quotient with its remainder | 0.58, 0.81 | 1 |
//! | [`hypot`] | √(a² + b²), scaled | 1.05 | 1.25 |
//! | [`pow`] | the logarithm to 65 bits, then eˣ | 0.79 | 1 |
//!
//! Beyond |x| = 2²⁰, sin, cos and tan find k from 192 bits of 2/π, in integers and one lane at a time: `sin_anywhere` and its like.
//! The coefficients and the reductions of ln, sin and cos are those of fdlibm (Sun Microsystems, 1993); the other coefficients come from
//! `tools/reference/fit_graph_elementary.py`.

mod double;
mod exponential;
mod inverse;
mod logarithm;
mod power;
mod reduction;
mod trigonometric;

pub(crate) use exponential::{cosh, exp, exp_m1, sinh, tanh};
pub(crate) use inverse::{acos, asin, atan, atan2};
pub(crate) use logarithm::{acosh, asinh, atanh, ln, ln_1p};
pub(crate) use power::{hypot, pow};
#[cfg_attr(not(test), allow(unused_imports))] // for machines that fuse the two
pub(crate) use trigonometric::sin_cos;
pub(crate) use trigonometric::{
    REDUCIBLE, cos, cos_anywhere, sin, sin_anywhere, tan, tan_anywhere,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of the larger.
    fn ulps(a: f64, b: f64) -> f64 {
        if a == b || (a.is_nan() && b.is_nan()) {
            return 0.0;
        }
        let top = a.abs().max(b.abs()).max(f64::MIN_POSITIVE);
        let spacing = f64::from_bits(top.to_bits() + 1) - top;
        (a - b).abs() / spacing
    }

    /// `n` points of [low, high] by a low-discrepancy sequence, then numbers of every size in it.
    fn points(n: u32, low: f64, high: f64) -> impl Iterator<Item = f64> {
        let even = (0..n)
            .map(move |i| low + (high - low) * (f64::from(i) * 0.618_033_988_749_894_9).fract());
        let sizes = (-320..309).flat_map(|e| [1.0, 1.7, 3.1, 7.3].map(|m| m * 10f64.powi(e)));
        even.chain(sizes.flat_map(|x| [x, -x])).filter(move |x| low <= *x && *x <= high)
    }

    /// A wide net for gross errors between the points of the table: the platform's functions are good to two units or better.
    #[test]
    fn no_point_is_far_from_the_platform() {
        type Unary = fn(f64) -> f64;
        let table: [(&str, Unary, Unary, f64, f64); 19] = [
            ("exp", exp, f64::exp, -750.0, 720.0),
            ("exp", exp, f64::exp, -1.0, 1.0),
            ("exp_m1", exp_m1, f64::exp_m1, -60.0, 720.0),
            ("exp_m1", exp_m1, f64::exp_m1, -1.0, 1.0),
            ("ln", ln, f64::ln, 0.0, 3.0),
            ("ln_1p", ln_1p, f64::ln_1p, -1.0, 3.0),
            ("sin", sin, f64::sin, -REDUCIBLE, REDUCIBLE),
            ("cos", cos, f64::cos, -REDUCIBLE, REDUCIBLE),
            ("tan", tan, f64::tan, -REDUCIBLE, REDUCIBLE),
            ("asin", asin, f64::asin, -1.0, 1.0),
            ("acos", acos, f64::acos, -1.0, 1.0),
            ("atan", atan, f64::atan, -9.0, 9.0),
            ("sinh", sinh, f64::sinh, -712.0, 712.0),
            ("cosh", cosh, f64::cosh, -3.0, 3.0),
            ("tanh", tanh, f64::tanh, -25.0, 25.0),
            ("atan2", |x| atan2(x, -0.7), |x| x.atan2(-0.7), -f64::MAX, f64::MAX),
            ("hypot", |x| hypot(x, 0.7), |x| x.hypot(0.7), -9.0, 9.0),
            ("pow", |x| pow(x, 1.3), |x| x.powf(1.3), 0.0, 1e9),
            ("pow", |x| pow(1.3, x), |x| 1.3f64.powf(x), -3000.0, 3000.0),
        ];
        for (name, ours, theirs, low, high) in table {
            for x in points(100_000, low, high) {
                let error = ulps(ours(x), theirs(x));
                assert!(error <= 3.5, "{name}({x:e}): {error} units");
            }
        }
    }

    /// The inverse hyperbolic functions of the platform are not good enough to compare with; inverted they say as much.
    #[test]
    fn inverse_hyperbolic_functions_invert() {
        for x in points(100_000, -18.0, 18.0) {
            assert!(ulps(asinh(sinh(x)), x) <= 3.0, "arsinh sinh {x:e}");
        }
        for x in points(100_000, 0.5, 300.0) {
            // acosh's condition is cosh x/(x·sinh x) ≤ 4.4 there.
            assert!(ulps(acosh(cosh(x)), x) <= 8.0, "arcosh cosh {x:e}");
        }
        for x in points(100_000, -1.0, 1.0).filter(|x| x.abs() < 1.0) {
            assert!(ulps(tanh(atanh(x)), x) <= 3.0, "tanh artanh {x:e}");
        }
    }

    #[test]
    fn sine_and_cosine_together_are_the_two_apart() {
        for x in points(10_000, -REDUCIBLE, REDUCIBLE).chain([-0.0, 0.0]) {
            let (s, c) = sin_cos(x);
            assert_eq!([s.to_bits(), c.to_bits()], [sin(x).to_bits(), cos(x).to_bits()], "{x:e}");
        }
    }

    /// The reduction by 192 bits of 2/π serves moderate arguments as well: both must agree where they meet.
    #[test]
    fn both_reductions_agree() {
        for x in points(20_000, 2000.0, REDUCIBLE).flat_map(|x| [x, -x]) {
            let (r, rest, k) = reduction::reduce_large(x);
            let (s, c) = trigonometric::turned((r, rest, k));
            assert!(ulps(s, sin(x)) <= 1.0 && ulps(c, cos(x)) <= 1.0, "{x:e}");
        }
        assert!(sin_anywhere(f64::INFINITY).is_nan() && tan_anywhere(f64::NAN).is_nan());
        assert_ne!(cos_anywhere(1e22), cos_anywhere(1.000_000_000_000_000_2e22));
    }
}
