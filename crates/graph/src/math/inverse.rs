//! arcsin, arccos, arctan, and the angle of a point.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::double::{
    Pair, at_most, ordered_sum, polynomial, power, product, quotient, signed_like, sum,
};

/// π less its double; halves and quarters follow.
const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;
/// ¾·π and what its double lacks.
const THREE_QUARTERS: Pair = (2.356_194_490_192_345, 9.184_850_993_605_148e-17);

/// For |x| ≤ ½ the pair (t, arcsin t − t) of t = a; beyond, that of t = √((1 − a)/2), for which arcsin a = π/2 − 2·arcsin t.
#[inline(always)]
fn arc(a: f64) -> Pair {
    let beyond = a > 0.5;
    // Exact beyond ½, and so the root with its remainder is all of t.
    let w = 0.5 - 0.5 * a;
    let s = w.sqrt();
    let (p, e) = product(s, s);
    let rest = ((w - p) - e) / if s == 0.0 { 1.0 } else { s + s };
    let (t, low) = if beyond { (s, rest) } else { (a, 0.0) };
    let z = if beyond { w } else { a * a };
    let p = polynomial!(z; 0.166_666_666_666_666_69, 0.074_999_999_999_984_25, 0.044_642_857_146_373_38,
        0.030_381_944_137_085_216, 0.022_372_173_002_005_596, 0.017_352_391_265_909_227, 0.013_971_235_301_124_539,
        0.011_478_952_690_257_387, 0.010_324_318_288_744_113, 0.005_450_878_187_720_55, 0.017_419_357_964_884_856,
        -0.014_881_409_392_818_066, 0.028_778_442_612_593_04);
    (t, t * z * p + low)
}

/// arcsin x. NaN outside [−1, 1].
#[inline(always)]
pub(crate) fn asin(x: f64) -> f64 {
    let a = x.abs();
    let (t, rest) = arc(a);
    let (high, low) = ordered_sum(FRAC_PI_2, -2.0 * t);
    let far = high + (low + (0.5 * PI_LOW - 2.0 * rest));
    signed_like(if a > 0.5 { far } else { t + rest }, x)
}

/// arccos x. NaN outside [−1, 1].
#[inline(always)]
pub(crate) fn acos(x: f64) -> f64 {
    let a = x.abs();
    let (t, rest) = arc(a);
    let outer = if x < 0.0 { (PI, PI_LOW, -2.0) } else { (0.0, 0.0, 2.0) };
    let inner = (FRAC_PI_2, 0.5 * PI_LOW, if x < 0.0 { 1.0 } else { -1.0 });
    let (base, base_low, factor) = if a > 0.5 { outer } else { inner };
    let (high, low) = ordered_sum(base, factor * t);
    high + (low + (base_low + factor * rest))
}

/// The angle in [0, π] of the point (±x, y), x and y not negative nor both 0, the larger of moderate size; `left`: of (−x, y).
///
/// By octants: y/x, (y − x)/(y + x) and −x/y from 0, π/4 and π/2, so that the quotient is at most √2 − 1.
#[inline(always)]
fn angle(y: f64, x: f64, left: bool) -> f64 {
    let steep = y > 2.414_213_562_373_095 * x;
    let middle = y > 0.414_213_562_373_095_03 * x;
    let (less, more) = (sum(y, -x), sum(y, x));
    let (n, d) = if middle { (less, more) } else { ((y, 0.0), (x, 0.0)) };
    let (n, d) = if steep { ((-x, 0.0), (y, 0.0)) } else { (n, d) };
    let (t, low) = quotient(n, d);
    // The remainder of a quotient this small has no digits left.
    let low = if t.abs() < 1e-270 { 0.0 } else { low };
    let z = t * t;
    let p = polynomial!(z; -0.333_333_333_333_333_3, 0.199_999_999_999_998, -0.142_857_142_856_588_24,
        0.111_111_111_050_575_7, -0.090_909_087_486_352_32, 0.076_922_962_344_915_14, -0.066_664_223_640_332_06,
        0.058_789_000_323_429_83, -0.052_302_411_507_894, 0.045_506_220_391_755_364, -0.034_545_610_104_858_494,
        0.016_258_132_064_979_208);
    let rest = t * z * p + low * (1.0 - z);
    let flat = if left { (PI, PI_LOW) } else { (0.0, 0.0) };
    let quarter = if left { THREE_QUARTERS } else { (FRAC_PI_4, 0.25 * PI_LOW) };
    let (base, base_low) = if middle { quarter } else { flat };
    let (base, base_low) = if steep { (FRAC_PI_2, 0.5 * PI_LOW) } else { (base, base_low) };
    let sense = if left { -1.0 } else { 1.0 };
    let (high, lost) = ordered_sum(base, sense * t);
    high + (lost + (base_low + sense * rest))
}

/// arctan x
#[inline(always)]
pub(crate) fn atan(x: f64) -> f64 {
    // Past 2⁶⁴ it is π/2 to the last bit.
    signed_like(angle(at_most(x.abs(), 18_446_744_073_709_551_616.0), 1.0, false), x)
}

/// The angle of the point (x, y), in [−π, π]; signed zeros and infinities as IEEE 754 has them.
#[inline(always)]
pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    let (a, b) = (y.abs(), x.abs());
    // Beside an infinite coordinate a finite one is nothing.
    let infinite = a == f64::INFINITY || b == f64::INFINITY;
    let mark = |v: f64| if v == f64::INFINITY { 1.0 } else { 0.0 };
    let (a, b) = if infinite { (mark(a), mark(b)) } else { (a, b) };
    // The larger to [1, 2), by powers of two: first out of the extremes, then by its own exponent. Never down and up again: the smaller
    // would lose its digits on the way.
    let larger = if a > b { a } else { b };
    let first = if larger < 1e-150 { power(600.0) } else { 1.0 };
    let first = if larger > 1e150 { 0.25 } else { first };
    let second = f64::from_bits(
        0x7fe0_0000_0000_0000u64.wrapping_sub((larger * first).to_bits() & 0x7ff0_0000_0000_0000),
    );
    let (a, b) = (a * first * second, b * first * second);
    // The origin has the angle of its x's sign.
    let b = if larger == 0.0 { 1.0 } else { b };
    let left = x.to_bits() >> 63 != 0;
    let value = signed_like(angle(a, b, left), y);
    if x.is_nan() || y.is_nan() { f64::NAN } else { value }
}
