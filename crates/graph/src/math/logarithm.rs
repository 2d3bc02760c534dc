//! ln, ln(1 + x), and the functions that are logarithms of sums: arsinh, arcosh, artanh.

use super::double::{
    Pair, ROUND, at_most, difference, polynomial, power, product, quotient, signed_like, sum,
};
use super::exponential::{LN2_HIGH, LN2_LOW};

/// x = 2ᵏ·(1 + f) with 1 + f in [√½, √2), for a normal x > 0.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    let shifted = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd);
    let biased = f64::from_bits((shifted >> 52) | ROUND.to_bits()) - ROUND;
    let mantissa = (shifted & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd);
    (biased - 1023.0, f64::from_bits(mantissa) - 1.0)
}

/// The same for any x > 0, subnormal ones too.
#[inline(always)]
pub(super) fn split_any(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    let (k, f) = split(if subnormal { x * 18_014_398_509_481_984.0 } else { x });
    (k - if subnormal { 54.0 } else { 0.0 }, f)
}

/// k·ln 2 + ln(1 + f) + rest, by s = f/(2 + f): ln(1 + f) = f − (f²/2 − s·(f²/2 + R(s²))).
#[inline(always)]
fn assemble(k: f64, f: f64, s: f64, rest: f64) -> f64 {
    let z = s * s;
    let w = z * z;
    let t1 = w
        * polynomial!(w; 3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1);
    let t2 = z
        * polynomial!(w; 6.666_666_666_666_735e-1, 2.857_142_874_366_239e-1, 1.818_357_216_161_805e-1,
        1.479_819_860_511_658_6e-1);
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + (t1 + t2)) + (k * LN2_LOW + rest))) - f)
}

/// ln x. −∞ at 0, NaN below.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let (k, f) = split_any(x);
    let y = assemble(k, f, f / (2.0 + f), 0.0);
    let edge = if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    let edge = if x == f64::INFINITY { x } else { edge };
    if x > 0.0 && x < f64::INFINITY { y } else { edge }
}

/// ln(high + low) + more·ln 2 for a normal high > 0 and a much smaller low, with all digits also where the sum is next to 1.
#[inline(always)]
fn ln_of((high, low): Pair, more: f64) -> f64 {
    let (k, f) = split(high);
    // Past k = 1000 the low part is of no weight, and 2⁻ᵏ not a normal number.
    let (f, rest) = sum(f, low * power(-at_most(k, 1000.0)));
    let s = f / (2.0 + f);
    // rest/(1 + f), where 1/(1 + f) = (1 − s)/(1 + s)
    let rest = rest * (1.0 - 2.0 * (s - s * s));
    assemble(k + more, f, s, rest)
}

/// ln(1 + x). −∞ at −1, NaN below.
#[inline(always)]
pub(crate) fn ln_1p(x: f64) -> f64 {
    let y = ln_of(sum(1.0, x), 0.0);
    let edge = if x == -1.0 { f64::NEG_INFINITY } else { f64::NAN };
    let edge = if x == f64::INFINITY { x } else { edge };
    let y = if x > -1.0 && x < f64::INFINITY { y } else { edge };
    // Keeps −0.
    if x.abs() < 1e-17 { x } else { y }
}

/// From here on, arsinh x and arcosh x are ln(2x).
const LARGE: f64 = 268_435_456.0;

/// √(high + low) as a pair, for a positive sum.
#[inline(always)]
fn root((high, low): Pair) -> Pair {
    let q = high.sqrt();
    let (p, e) = product(q, q);
    (q, (((high - p) - e) + low) / (q + q))
}

/// arsinh x = ln(1 + a + a²/(1 + √(1 + a²))) with a = |x|.
#[inline(always)]
pub(crate) fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let large = a > LARGE;
    let inner = at_most(a, LARGE);
    let square = inner * inner;
    let rest = square / (1.0 + (1.0 + square).sqrt());
    let (first, lost) = sum(1.0, inner);
    let (high, lost_again) = sum(first, rest);
    let argument = if large { (at_most(a, f64::MAX), 0.0) } else { (high, lost + lost_again) };
    let y = ln_of(argument, if large { 1.0 } else { 0.0 });
    let y = if a == f64::INFINITY || x.is_nan() { a } else { y };
    signed_like(y, x)
}

/// arcosh x = ln(x + √(x² − 1)). NaN below 1.
#[inline(always)]
pub(crate) fn acosh(x: f64) -> f64 {
    let large = x > LARGE;
    let inner = at_most(x, LARGE);
    // x² − 1 = (x − 1)·(x + 1), the first factor exact.
    let (less, more) = (inner - 1.0, sum(inner, 1.0));
    let (p, e) = product(less, more.0);
    let (q, rest) = root((if p > 0.0 { p } else { 1.0 }, e + less * more.1));
    let (q, rest) = if p > 0.0 { (q, rest) } else { (0.0, 0.0) };
    let (high, lost) = sum(inner, q);
    let argument = if large { (at_most(x, f64::MAX), 0.0) } else { (high, lost + rest) };
    let y = ln_of(argument, if large { 1.0 } else { 0.0 });
    let y = if x == f64::INFINITY { x } else { y };
    if x >= 1.0 { y } else { f64::NAN }
}

/// artanh x = ½·ln((1 + x)/(1 − x)). ±∞ at ±1, NaN beyond.
///
/// With the power 2ᵏ next to (1 + a)/(1 − a), a = |x|, it is ½·k·ln 2 + artanh s, s = ((1 + a) − 2ᵏ(1 − a))/((1 + a) + 2ᵏ(1 − a)).
#[inline(always)]
pub(crate) fn atanh(x: f64) -> f64 {
    let a = x.abs();
    let inside = a < 1.0;
    let (n, d) = (sum(1.0, a), difference(1.0, if inside { a } else { 0.5 }));
    // The logarithm that is linear between powers of two is good to 0.09, and k needs no more.
    let ratio = n.0.to_bits().wrapping_sub(d.0.to_bits()).wrapping_add(1 << 51) >> 52;
    let k = f64::from_bits(ratio | ROUND.to_bits()) - ROUND;
    let two = power(k);
    let d = (two * d.0, two * d.1);
    // Within a factor of two of each other: the first difference is exact.
    let (s, rest) = quotient(sum(n.0 - d.0, n.1 - d.1), {
        let (high, low) = sum(n.0, d.0);
        (high, low + (n.1 + d.1))
    });
    let z = s * s;
    let tail = s
        * z
        * polynomial!(z; 0.333_333_333_333_333_3, 0.199_999_999_999_999_4, 0.142_857_142_857_531_95,
        0.111_111_111_014_865_91, 0.090_909_102_817_667_01, 0.076_922_250_938_033_9, 0.066_700_204_485_905_72,
        0.058_035_200_121_135_29, 0.062_458_480_257_479_51);
    let half = 0.5 * k;
    let (high, lost) = sum(half * LN2_HIGH, s);
    let y = high + (lost + (tail + (rest + half * LN2_LOW)));
    let edge = if a == 1.0 { f64::INFINITY } else { f64::NAN };
    let y = if inside { y } else { edge };
    // Below, the division's remainder has no digits left.
    signed_like(if a < 1e-17 { a } else { y }, x)
}
