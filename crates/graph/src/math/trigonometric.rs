//! sin, cos, tan: branch-free up to 2²⁰, by the bits of 2/π that matter beyond.

use super::double::{Pair, difference, nearest, ordered_sum, polynomial, quotient};
use super::reduction::reduce_large;

/// Where the reduction by three parts of π/2 is exact enough.
pub(crate) const REDUCIBLE: f64 = 1_048_576.0;

/// x − k·π/2 as a pair, and k mod 4 in the low bits.
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

/// sin(x + low) − x for |x| ≤ π/4.
#[inline(always)]
fn sine_rest(x: f64, low: f64) -> f64 {
    let z = x * x;
    let p = polynomial!(z; 8.333_333_333_322_49e-3, -1.984_126_982_985_795e-4, 2.755_731_370_707_006_8e-6,
        -2.505_076_025_340_686_3e-8, 1.589_690_995_211_550_1e-10);
    let v = z * x;
    v * -1.666_666_666_666_663_2e-1 - (z * (0.5 * low - v * p) - low)
}

/// cos(x + low) as a pair for |x| ≤ π/4.
#[inline(always)]
fn cosine(x: f64, low: f64) -> Pair {
    let z = x * x;
    let p = polynomial!(z; 4.166_666_666_666_66e-2, -1.388_888_888_887_411e-3, 2.480_158_728_947_673e-5,
        -2.755_731_435_139_066_3e-7, 2.087_572_321_298_175e-9, -1.135_964_755_778_819_5e-11);
    let half = 0.5 * z;
    let w = 1.0 - half;
    (w, ((1.0 - w) - half) + (z * (z * p) - x * low))
}

/// sin and cos of r + low + k·π/2.
#[inline(always)]
pub(super) fn turned((r, low, k): (f64, f64, u64)) -> (f64, f64) {
    let s = r + sine_rest(r, low);
    let (w, rest) = cosine(r, low);
    let c = w + rest;
    let (s, c) = if k & 1 == 0 { (s, c) } else { (c, s) };
    (
        f64::from_bits(s.to_bits() ^ ((k & 2) << 62)),
        f64::from_bits(c.to_bits() ^ ((k.wrapping_add(1) & 2) << 62)),
    )
}

/// tan(r + low + k·π/2): a quotient of pairs, so that neither sine nor cosine is rounded first.
#[inline(always)]
fn tangent((r, low, k): (f64, f64, u64)) -> f64 {
    let (s, c) = ((r, sine_rest(r, low)), cosine(r, low));
    // Parts that overlap would be more than a quotient's first order corrects.
    let (s, c) = (ordered_sum(s.0, s.1), ordered_sum(c.0, c.1));
    let (n, d) = if k & 1 == 0 { (s, c) } else { (c, s) };
    let (high, rest) = quotient(n, d);
    let value = high + rest;
    f64::from_bits(value.to_bits() ^ (k << 63))
}

/// sin x for |x| ≤ [`REDUCIBLE`].
#[inline(always)]
pub(crate) fn sin(x: f64) -> f64 {
    let (s, _) = turned(quadrant(x));
    // Keeps −0.
    if x == 0.0 { x } else { s }
}

/// cos x for |x| ≤ [`REDUCIBLE`].
#[inline(always)]
pub(crate) fn cos(x: f64) -> f64 {
    turned(quadrant(x)).1
}

/// (sin x, cos x) for |x| ≤ [`REDUCIBLE`], the bits those of [`sin`] and [`cos`] for little more than one of them.
#[inline(always)]
#[cfg_attr(not(test), allow(dead_code))] // for machines that fuse the two
pub(crate) fn sin_cos(x: f64) -> (f64, f64) {
    let (s, c) = turned(quadrant(x));
    (if x == 0.0 { x } else { s }, c)
}

/// tan x for |x| ≤ [`REDUCIBLE`].
#[inline(always)]
pub(crate) fn tan(x: f64) -> f64 {
    let value = tangent(quadrant(x));
    if x.abs() < 1e-17 { x } else { value }
}

/// sin x for any x; NaN for ±∞.
#[inline(always)]
pub(crate) fn sin_anywhere(x: f64) -> f64 {
    if x.abs() <= REDUCIBLE { sin(x) } else { sin_large(x) }
}

/// cos x for any x; NaN for ±∞.
#[inline(always)]
pub(crate) fn cos_anywhere(x: f64) -> f64 {
    if x.abs() <= REDUCIBLE { cos(x) } else { cos_large(x) }
}

/// tan x for any x; NaN for ±∞.
#[inline(always)]
pub(crate) fn tan_anywhere(x: f64) -> f64 {
    if x.abs() <= REDUCIBLE { tan(x) } else { tan_large(x) }
}

#[cold]
#[inline(never)]
fn sin_large(x: f64) -> f64 {
    turned(reduce_large(x)).0
}

#[cold]
#[inline(never)]
fn cos_large(x: f64) -> f64 {
    turned(reduce_large(x)).1
}

#[cold]
#[inline(never)]
fn tan_large(x: f64) -> f64 {
    tangent(reduce_large(x))
}
