//! aᵇ by a logarithm of twice the digits, and √(a² + b²).

use super::double::{
    Pair, at_least, at_most, ordered_sum, polynomial, power, product, quotient, sum,
};
use super::exponential::{EXP_RANGE, LN2_HIGH, LN2_LOW, exp_of};
use super::logarithm::split_any;

/// ln x for x > 0, finite, to about 2⁻⁶⁵ of itself: 2·artanh s with s = f/(2 + f), the first two terms of the series in pairs.
#[inline(always)]
fn ln_pair(x: f64) -> Pair {
    const TWO_THIRDS: Pair = (0.666_666_666_666_666_6, 3.700_743_415_417_188e-17);
    let (k, f) = split_any(x);
    let s = quotient((f, 0.0), ordered_sum(2.0, f));
    let s = ordered_sum(s.0, s.1);
    let (z, z_low) = product(s.0, s.0);
    let z_low = z_low + 2.0 * (s.0 * s.1);
    // 2/5·z² + 2/7·z³ + …
    let tail = 2.0
        * z
        * z
        * polynomial!(z; 0.2, 0.142_857_142_857_142_82, 0.111_111_111_111_142_57,
        0.090_909_090_898_158_25, 0.076_923_078_824_243_93, 0.066_666_481_228_630_3, 0.058_834_127_988_901_8,
        0.052_280_239_801_127_68, 0.053_824_765_675_905_93);
    let (third, lost) = product(z, TWO_THIRDS.0);
    let lost = lost + (z_low * TWO_THIRDS.0 + z * TWO_THIRDS.1);
    let (u, u_low) = ordered_sum(third, tail);
    let u_low = u_low + lost;
    // 2s + s·u, u at most 0.02
    let (p, p_low) = product(s.0, u);
    let (high, low) = ordered_sum(2.0 * s.0, p);
    let low = low + (2.0 * s.1 + (p_low + (s.0 * u_low + s.1 * u)));
    let (whole, lost) = ordered_sum(k * LN2_HIGH, high);
    let (second, lost_again) = sum(k * LN2_LOW, low);
    let (whole, rest) = sum(whole, second);
    (whole, rest + (lost + lost_again))
}

/// Is |y| an integer?
#[inline(always)]
fn whole(y: f64) -> bool {
    const LARGE: f64 = 4_503_599_627_370_496.0;
    let a = y.abs();
    a >= LARGE || (a + LARGE) - LARGE == a
}

/// xʸ, with the special cases of IEEE 754: x⁰ = 1ʸ = 1 even for NaN; a negative x with an integer y; signed zeros and infinities.
#[inline(always)]
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    let a = x.abs();
    let usual = a > 0.0 && a < f64::INFINITY;
    let (high, low) = ln_pair(if usual { a } else { 1.0 });
    // |ln a| is 0 or at least 2⁻⁵³: past 2⁷⁰ an exponent only overflows more.
    const LIMIT: f64 = 1_180_591_620_717_411_303_424.0;
    let exponent = at_most(at_least(y, -LIMIT), LIMIT);
    let (p, e) = product(exponent, high);
    let inside = p > EXP_RANGE.0 && p < EXP_RANGE.1;
    let rest = if inside { e + exponent * low } else { 0.0 };
    let value = exp_of(at_most(at_least(p, EXP_RANGE.0), EXP_RANGE.1), rest);
    // 0 and ∞: the result is one of them.
    let vanishes = (a == 0.0) == (y > 0.0);
    let value = if usual {
        value
    } else if vanishes {
        0.0
    } else {
        f64::INFINITY
    };
    let odd = whole(y) && !whole(0.5 * y);
    let negative = x.to_bits() >> 63 != 0 && odd;
    let value = if negative { -value } else { value };
    let undefined = x < 0.0 && usual && !whole(y);
    let value = if undefined || x.is_nan() || y.is_nan() { f64::NAN } else { value };
    if y == 0.0 || x == 1.0 { 1.0 } else { value }
}

/// √(a² + b²) without overflow or underflow on the way; ∞ beside an infinity, even for NaN.
#[inline(always)]
pub(crate) fn hypot(a: f64, b: f64) -> f64 {
    let (a, b) = (a.abs(), b.abs());
    let larger = if a > b { a } else { b };
    let (up, down) = (power(600.0), power(-600.0));
    let (scale, back) = if larger < 1e-140 { (up, down) } else { (1.0, 1.0) };
    let (scale, back) = if larger > 1e140 { (down, up) } else { (scale, back) };
    let (x, y) = (a * scale, b * scale);
    let value = (x * x + y * y).sqrt() * back;
    if a == f64::INFINITY || b == f64::INFINITY { f64::INFINITY } else { value }
}
