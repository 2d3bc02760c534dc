//! Elementary functions without branches, so that a loop over lanes becomes vector instructions, and the same bits on every processor.
//!
//! | function | method |
//! |---|---|
//! | [`exp`] | x = k·ln 2 + r, a rational function of r², scaled in two steps |
//! | [`ln`] | x = 2ᵏ·(1 + f), a polynomial in s² with s = f/(2 + f) |
//! | [`sin`], [`cos`] | x − k·π/2 in three parts with a remainder, two polynomials, for \|x\| ≤ 2²⁰; beyond, the platform's |
//!
//! The reductions and the coefficients are those of fdlibm (Sun Microsystems, 1993). The tests keep them within 1.5 units in the last
//! place of the platform's functions, which are good to about half a unit.

/// 1.5·2⁵²: adding and subtracting it rounds to the nearest integer, and leaves that integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The nearest integer as a float, and its low bits.
#[inline(always)]
fn nearest(x: f64) -> (f64, u64) {
    let shifted = x + ROUND;
    (shifted - ROUND, shifted.to_bits())
}

/// eˣ. Overflow gives ∞, underflow 0, as rounding does.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_588e-10;
    let inside = x.clamp(-760.0, 720.0);
    let (k, _) = nearest(inside * std::f64::consts::LOG2_E);
    let (high, low) = (inside - k * LN2_HIGH, k * LN2_LOW);
    let r = high - low;
    let t = r * r;
    let p = 4.138_136_797_057_238e-8;
    let p = -1.653_390_220_546_525_2e-6 + t * p;
    let p = 6.613_756_321_437_934e-5 + t * p;
    let p = -2.777_777_777_701_559_3e-3 + t * p;
    let p = 1.666_666_666_666_660_2e-1 + t * p;
    let c = r - t * p;
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    // 2ᵏ in two steps: one alone is outside the normal numbers where the result is subnormal.
    let (half, _) = nearest(0.5 * k);
    let power = |k: f64| f64::from_bits(((k + (ROUND + 1023.0)).to_bits()) << 52);
    let scaled = y * power(half) * power(k - half);
    if x.is_nan() { x } else { scaled }
}

/// ln x. −∞ at 0, NaN below.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_588e-10;
    let subnormal = x < f64::MIN_POSITIVE;
    let scaled = if subnormal { x * 18_014_398_509_481_984.0 } else { x };
    let bits = scaled.to_bits();
    // The exponent k for which 1 + f lies in [√½, √2).
    let shifted = bits.wrapping_add(0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd);
    let biased = f64::from_bits((shifted >> 52) | ROUND.to_bits()) - ROUND;
    let k = biased - 1023.0 - if subnormal { 54.0 } else { 0.0 };
    let mantissa = (shifted & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd);
    let f = f64::from_bits(mantissa) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let t1 = w
        * (3.999_999_999_940_942e-1
            + w * (2.222_219_843_214_978_4e-1 + w * 1.531_383_769_920_937_3e-1));
    let t2 = z
        * (6.666_666_666_666_735e-1
            + w * (2.857_142_874_366_239e-1
                + w * (1.818_357_216_161_805e-1 + w * 1.479_819_860_511_658_6e-1)));
    let half_square = 0.5 * f * f;
    let y = k * LN2_HIGH - ((half_square - (s * (half_square + (t1 + t2)) + k * LN2_LOW)) - f);
    if x > 0.0 && x < f64::INFINITY {
        y
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else if x == f64::INFINITY {
        x
    } else {
        f64::NAN
    }
}

/// Where the reduction by three parts of π/2 is exact enough.
pub(crate) const REDUCIBLE: f64 = 1_048_576.0;

/// x − k·π/2 as a sum of two numbers, and k mod 4 in the low bits.
#[inline(always)]
fn quadrant(x: f64) -> (f64, f64, u64) {
    const FIRST: f64 = 1.570_796_326_734_125_6;
    const SECOND: f64 = 6.077_100_506_303_966e-11;
    const THIRD: f64 = 2.022_266_248_711_166_5e-21;
    const TAIL: f64 = 8.478_427_660_368_9e-32;
    let (k, bits) = nearest(x * std::f64::consts::FRAC_2_PI);
    // Each product is exact: the parts have 33 bits, k at most 20; and so is the first difference.
    let (r, lost) = difference(x - k * FIRST, k * SECOND);
    let (s, lost_again) = difference(r, k * THIRD);
    let tail = (lost + lost_again) - k * TAIL;
    let high = s + tail;
    (high, (s - high) + tail, bits)
}

/// a − b and its rounding error.
#[inline(always)]
fn difference(a: f64, b: f64) -> (f64, f64) {
    let d = a - b;
    let back = d - a;
    (d, (a - (d - back)) - (b + back))
}

#[inline(always)]
fn sine(x: f64, low: f64) -> f64 {
    let z = x * x;
    let p = 1.589_690_995_211_550_1e-10;
    let p = -2.505_076_025_340_686_3e-8 + z * p;
    let p = 2.755_731_370_707_006_8e-6 + z * p;
    let p = -1.984_126_982_985_795e-4 + z * p;
    let p = 8.333_333_333_322_49e-3 + z * p;
    let v = z * x;
    x - ((z * (0.5 * low - v * p) - low) - v * -1.666_666_666_666_663_2e-1)
}

#[inline(always)]
fn cosine(x: f64, low: f64) -> f64 {
    let z = x * x;
    let p = -1.135_964_755_778_819_5e-11;
    let p = 2.087_572_321_298_175e-9 + z * p;
    let p = -2.755_731_435_139_066_3e-7 + z * p;
    let p = 2.480_158_728_947_673e-5 + z * p;
    let p = -1.388_888_888_887_411e-3 + z * p;
    let p = 4.166_666_666_666_66e-2 + z * p;
    let half = 0.5 * z;
    let w = 1.0 - half;
    w + (((1.0 - w) - half) + (z * (z * p) - x * low))
}

/// sin x for |x| ≤ [`REDUCIBLE`].
#[inline(always)]
pub(crate) fn sin(x: f64) -> f64 {
    let (r, low, k) = quadrant(x);
    let value = if k & 1 == 0 { sine(r, low) } else { cosine(r, low) };
    f64::from_bits(value.to_bits() ^ ((k & 2) << 62))
}

/// cos x for |x| ≤ [`REDUCIBLE`].
#[inline(always)]
pub(crate) fn cos(x: f64) -> f64 {
    let (r, low, k) = quadrant(x);
    let value = if k & 1 == 0 { cosine(r, low) } else { sine(r, low) };
    f64::from_bits(value.to_bits() ^ ((k.wrapping_add(1) & 2) << 62))
}

/// sin x for any x.
#[inline(always)]
pub(crate) fn sin_anywhere(x: f64) -> f64 {
    if x.abs() <= REDUCIBLE { sin(x) } else { x.sin() }
}

/// cos x for any x.
#[inline(always)]
pub(crate) fn cos_anywhere(x: f64) -> f64 {
    if x.abs() <= REDUCIBLE { cos(x) } else { x.cos() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units of the last place of the larger.
    fn ulps(a: f64, b: f64) -> f64 {
        if a == b || (a.is_nan() && b.is_nan()) {
            return 0.0;
        }
        let top = a.abs().max(b.abs()).max(f64::MIN_POSITIVE);
        let spacing = f64::from_bits(top.to_bits() + 1) - top;
        (a - b).abs() / spacing
    }

    /// The platform's functions are good to about half a unit, so a distance of 1.5 leaves ours below 2.
    fn compare(
        name: &str,
        ours: fn(f64) -> f64,
        theirs: fn(f64) -> f64,
        points: impl Iterator<Item = f64>,
    ) {
        let mut worst = (0.0, 0.0);
        for x in points {
            let error = ulps(ours(x), theirs(x));
            if worst.0 < error {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= 1.5, "{name}({:e}): {} ulp", worst.1, worst.0);
    }

    fn points(low: f64, high: f64) -> impl Iterator<Item = f64> {
        let n = 300_000;
        // A low-discrepancy sequence, then numbers of every size.
        let even = (0..n)
            .map(move |i| low + (high - low) * (f64::from(i) * 0.618_033_988_749_894_9).fract());
        let sizes = (-320..20).flat_map(|e| [1.0, 1.7, 3.1, 7.3].map(|m| m * 10f64.powi(e)));
        let signed = sizes.flat_map(|x| [x, -x]).filter(move |x| low <= *x && *x <= high);
        even.chain(signed)
    }

    #[test]
    fn errors_stay_within_two_units_of_the_last_place() {
        compare("exp", exp, f64::exp, points(-750.0, 720.0));
        compare("exp", exp, f64::exp, points(-1.0, 1.0));
        compare("ln", ln, f64::ln, points(0.0, 3.0).filter(|x| *x > 0.0));
        compare("ln", ln, f64::ln, points(0.0, 1e19).filter(|x| *x > 0.0));
        for range in [4.0, 1e3, REDUCIBLE] {
            compare("sin", sin, f64::sin, points(-range, range));
            compare("cos", cos, f64::cos, points(-range, range));
        }
        // Where the reduction loses most: next to multiples of π/2.
        let multiples = || {
            (1..600_000).step_by(7).flat_map(|k| {
                let x = f64::from(k) * std::f64::consts::FRAC_PI_2;
                [x, f64::from_bits(x.to_bits() + 1), f64::from_bits(x.to_bits() - 1)]
            })
        };
        compare("sin", sin, f64::sin, multiples());
        compare("cos", cos, f64::cos, multiples());
    }

    #[test]
    fn special_values() {
        assert_eq!(
            [exp(0.0), exp(f64::NEG_INFINITY), exp(f64::INFINITY)],
            [1.0, 0.0, f64::INFINITY]
        );
        assert_eq!([exp(-800.0), exp(800.0)], [0.0, f64::INFINITY]);
        assert_eq!([ln(1.0), ln(0.0), ln(f64::INFINITY)], [0.0, f64::NEG_INFINITY, f64::INFINITY]);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan() && exp(f64::NAN).is_nan());
        assert_eq!([sin(0.0), cos(0.0)], [0.0, 1.0]);
        assert!(sin_anywhere(f64::INFINITY).is_nan() && cos_anywhere(f64::NAN).is_nan());
        assert_eq!(sin_anywhere(1e22), 1e22f64.sin());
    }
}
