//! Sums and products with their rounding errors, in plain arithmetic: a fused multiply-add is slow where the processor has none.

/// 1.5·2⁵²: adding and subtracting it rounds to the nearest integer, and leaves that integer in the low bits.
pub(super) const ROUND: f64 = 6_755_399_441_055_744.0;

/// A number as a sum of two, the second much the smaller.
pub(super) type Pair = (f64, f64);

/// The nearest integer as a float, and its low bits; for |x| < 2⁵¹.
#[inline(always)]
pub(super) fn nearest(x: f64) -> (f64, u64) {
    let shifted = x + ROUND;
    (shifted - ROUND, shifted.to_bits())
}

/// 2ᵏ for an integer k from −1022 to 1023.
#[inline(always)]
pub(super) fn power(k: f64) -> f64 {
    f64::from_bits(((k + (ROUND + 1023.0)).to_bits()) << 52)
}

/// y·2ᵏ in two steps: one alone is outside the normal numbers where the result is subnormal.
#[inline(always)]
pub(super) fn scale(y: f64, k: f64) -> f64 {
    let (half, _) = nearest(0.5 * k);
    y * power(half) * power(k - half)
}

/// The smaller; where one is NaN, `a`.
#[inline(always)]
pub(super) fn at_most(a: f64, limit: f64) -> f64 {
    if a > limit { limit } else { a }
}

/// The larger; where one is NaN, `a`.
#[inline(always)]
pub(super) fn at_least(a: f64, limit: f64) -> f64 {
    if a < limit { limit } else { a }
}

/// `x` with its sign turned where `like` has one.
#[inline(always)]
pub(super) fn signed_like(x: f64, like: f64) -> f64 {
    f64::from_bits(x.to_bits() ^ (like.to_bits() & (1 << 63)))
}

/// a + b and its rounding error (Knuth).
#[inline(always)]
pub(super) fn sum(a: f64, b: f64) -> Pair {
    let s = a + b;
    let back = s - a;
    (s, (a - (s - back)) + (b - back))
}

/// a − b and its rounding error.
#[inline(always)]
pub(super) fn difference(a: f64, b: f64) -> Pair {
    let d = a - b;
    let back = d - a;
    (d, (a - (d - back)) - (b + back))
}

/// a + b and its rounding error, for a = 0 or |a| ≥ |b| (Dekker).
#[inline(always)]
pub(super) fn ordered_sum(a: f64, b: f64) -> Pair {
    let s = a + b;
    (s, b - (s - a))
}

/// The leading 26 bits.
#[inline(always)]
pub(super) fn head(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0xffff_ffff_f800_0000)
}

/// a·b and its rounding error, good to 2⁻¹⁰⁵ of the product, by halves of the factors (Dekker, with bits cut instead of rounded).
#[inline(always)]
pub(super) fn product(a: f64, b: f64) -> Pair {
    let p = a * b;
    let (a1, b1) = (head(a), head(b));
    let (a2, b2) = (a - a1, b - b1);
    (p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2)
}

/// n/d and what is missing, by one division.
#[inline(always)]
pub(super) fn quotient(n: Pair, d: Pair) -> Pair {
    let inverse = 1.0 / d.0;
    let q = n.0 * inverse;
    let (p, e) = product(q, d.0);
    (q, (((n.0 - p) - e) + (n.1 - q * d.1)) * inverse)
}

/// c₀ + x·(c₁ + x·(…))
macro_rules! polynomial {
    ($x:expr; $last:expr) => { $last };
    ($x:expr; $first:expr, $($rest:expr),+) => { $first + $x * polynomial!($x; $($rest),+) };
}
pub(super) use polynomial;
