//! eˣ, eˣ − 1, sinh, cosh, tanh: all from one reduction x = k·ln 2 + r and the two series of sinh r and cosh r.

use super::double::{
    Pair, at_least, at_most, head, nearest, ordered_sum, polynomial, power, quotient, scale,
    signed_like,
};

/// ln 2 in 33 bits, so that a product with an integer below 2²⁰ is exact, and the rest.
pub(super) const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
pub(super) const LN2_LOW: f64 = 1.908_214_929_270_588e-10;

/// x + more = k·ln 2 + r + low with |r| ≤ ½·ln 2, for |more| far below |x|.
#[inline(always)]
fn reduce(x: f64, more: f64) -> (f64, f64, f64) {
    let (k, _) = nearest(x * std::f64::consts::LOG2_E);
    let (high, low) = (x - k * LN2_HIGH, k * LN2_LOW - more);
    let r = high - low;
    (k, r, (high - r) - low)
}

/// (sinh r − r)/r³ and (cosh r − 1)/r² from z = r².
#[inline(always)]
fn series(z: f64) -> (f64, f64) {
    let odd = polynomial!(z; 0.166_666_666_666_666_66, 0.008_333_333_333_333_333, 0.000_198_412_698_412_632_98,
        2.755_731_924_721_873e-6, 2.505_207_109_429_355e-8, 1.608_662_795_678_037e-10);
    let even = polynomial!(z; 0.5, 0.041_666_666_666_666_664, 0.001_388_888_888_888_889_2, 2.480_158_730_157_585_3e-5,
        2.755_731_925_121_229e-7, 2.087_672_375_351_293_7e-9, 1.149_085_914_186_778_3e-11);
    (odd, even)
}

/// e^(x + more), |more| far below |x|, for x clamped to where the scaling overflows or underflows properly.
#[inline(always)]
pub(super) fn exp_of(x: f64, more: f64) -> f64 {
    let (k, r, low) = reduce(x, more);
    let z = r * r;
    let (odd, even) = series(z);
    scale(1.0 + (r + (low + z * (even + r * odd))), k)
}

/// Below and above, eˣ is 0 and ∞.
pub(super) const EXP_RANGE: (f64, f64) = (-760.0, 720.0);

/// eˣ. Overflow gives ∞, underflow 0, as rounding does.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    exp_of(at_most(at_least(x, EXP_RANGE.0), EXP_RANGE.1), 0.0)
}

/// eˣ − 1 = 2ᵏ·((1 − 2⁻ᵏ) + (eʳ − 1)), the large terms added without error.
#[inline(always)]
pub(crate) fn exp_m1(x: f64) -> f64 {
    let (k, r, low) = reduce(at_most(at_least(x, -50.0), EXP_RANGE.1), 0.0);
    let z = r * r;
    let (odd, even) = series(z);
    // From k = 60 on, 2⁻ᵏ is lost beside 1.
    let (high, rest) = ordered_sum(1.0 - power(-at_most(k, 1000.0)), r);
    let y = scale(high + (rest + (low + z * (even + r * odd))), k);
    // Keeps −0.
    if x.abs() < 1e-17 { x } else { y }
}

/// 2¹⁻ᵏ·sinh a and 2¹⁻ᵏ·cosh a for a ≥ 0, and k.
///
/// With a = k·ln 2 + r, A = 1 − 4⁻ᵏ and B = 1 + 4⁻ᵏ, they are A·cosh r + B·sinh r and B·cosh r + A·sinh r: no division, no cancellation.
#[inline(always)]
fn hyperbolic(a: f64) -> (Pair, Pair, f64) {
    let (k, r, low) = reduce(a, 0.0);
    let z = r * r;
    let (odd, even) = series(z);
    let fourth = power(-2.0 * at_most(k, 400.0));
    let ((less, less_low), (more, more_low)) =
        (ordered_sum(1.0, -fourth), ordered_sum(1.0, fourth));
    // A and B are short numbers while 4⁻ᵏ matters, so that their products with the head are exact.
    let r1 = head(r);
    let r2 = (r - r1) + low;
    let (sinh, cosh) = (r2 + r * (z * odd), z * even);
    let (high, rest) = ordered_sum(less, more * r1);
    let sine = (high, rest + (less_low + (more * sinh + less * cosh)));
    let (high, rest) = ordered_sum(more, less * r1);
    let cosine = (high, rest + (more_low + (less * sinh + more * cosh)));
    (sine, cosine, k)
}

/// sinh x
#[inline(always)]
pub(crate) fn sinh(x: f64) -> f64 {
    let ((high, low), _, k) = hyperbolic(at_most(x.abs(), EXP_RANGE.1));
    signed_like(scale(high + low, k - 1.0), x)
}

/// cosh x
#[inline(always)]
pub(crate) fn cosh(x: f64) -> f64 {
    let (_, (high, low), k) = hyperbolic(at_most(x.abs(), EXP_RANGE.1));
    scale(high + low, k - 1.0)
}

/// tanh x
#[inline(always)]
pub(crate) fn tanh(x: f64) -> f64 {
    let (sine, cosine, _) = hyperbolic(at_most(x.abs(), 40.0));
    // Parts that overlap would be more than a quotient's first order corrects.
    let (high, low) = quotient(ordered_sum(sine.0, sine.1), ordered_sum(cosine.0, cosine.1));
    signed_like(high + low, x)
}
