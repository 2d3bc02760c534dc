//! Elementary functions in f32.

use super::polynomial;

/// 1.5·2²³: adding it rounds to the nearest integer and leaves that integer in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in 10 bits, so that a product with an integer below 2¹³ is exact, and the rest.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// 2ᵏ for k from −126 to 127.
#[inline(always)]
fn power(k: i32) -> f32 {
    f32::from_bits((k.wrapping_add(127) as u32) << 23)
}

/// x + more = k·ln 2 + r for |more| far below |x|, as (k, k as an integer, r); eʳ − 1 = r + r²·p.
#[inline(always)]
fn reduced(x: f32, more: f32) -> (f32, i32, f32, f32) {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let k = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x)) + more;
    let p = polynomial!(r; 0.5, 1.666_666_5e-1, 4.166_579_6e-2, 8.333_452e-3, 1.398_2e-3, 1.987_569_1e-4);
    (n, k, r, p)
}

/// x limited to [low, high]; NaN stays.
#[inline(always)]
fn within(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// y·2ᵏ in two steps: one alone is outside the normal numbers where the result is subnormal.
#[inline(always)]
fn scaled(y: f32, k: i32) -> f32 {
    let half = k >> 1;
    y * power(half) * power(k.wrapping_sub(half))
}

/// e^(x + more) for |more| far below |x|.
#[inline(always)]
fn exp_of(x: f32, more: f32) -> f32 {
    let (_, k, r, p) = reduced(within(x, -110.0, 100.0), more);
    scaled(p.mul_add(r * r, r) + 1.0, k)
}

/// eˣ. 0 below −104, ∞ above 88.8.
#[inline(always)]
pub(in super::super) fn exp(x: f32) -> f32 {
    exp_of(x, 0.0)
}

/// eˣ − 1.
#[inline(always)]
pub(in super::super) fn exp_m1(x: f32) -> f32 {
    let (_, k, r, p) = reduced(within(x, -20.0, 100.0), 0.0);
    let inverse = power(-(if k > 100 { 100 } else { k }));
    let y = scaled((1.0 - inverse) + p.mul_add(r * r, r), k);
    if x.abs() < 1e-8 { x } else { y }
}

/// ln x for x > 0 and normal, k and f with x = 2ᵏ·(1 + f).
#[inline(always)]
fn ln_normal(x: f32, more: f32) -> f32 {
    const ROOT: i32 = 0x3f35_04f3;
    let shifted = (x.to_bits() as i32).wrapping_sub(ROOT);
    let k = (shifted >> 23) as f32 + more;
    let f = f32::from_bits(((shifted & 0x007f_ffff) + ROOT) as u32) - 1.0;
    let z = f * f;
    let p = polynomial!(f; 3.333_333_1e-1, -2.499_999_4e-1, 2.000_071_5e-1, -1.666_805_8e-1, 1.424_932_3e-1,
        -1.242_014_1e-1, 1.167_699_9e-1, -1.151_461e-1, 7.037_683_6e-2);
    let rest = z.mul_add(-0.5, (f * z).mul_add(p, k * LN2_LOW));
    k.mul_add(LN2_HIGH, f + rest)
}

/// ln x. −∞ at 0, NaN below.
#[inline(always)]
pub(in super::super) fn ln(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let y = ln_normal(if tiny { x * 16_777_216.0 } else { x }, if tiny { -24.0 } else { 0.0 });
    let edge = if x == 0.0 { f32::NEG_INFINITY } else { f32::NAN };
    let edge = if x == f32::INFINITY { x } else { edge };
    if x > 0.0 && x < f32::INFINITY { y } else { edge }
}

/// ln(1 + x). −∞ at −1, NaN below.
#[inline(always)]
pub(in super::super) fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let lost = if x < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let y = ln_normal(u, 0.0) + lost / u;
    let edge = if x == -1.0 { f32::NEG_INFINITY } else { f32::NAN };
    let edge = if x == f32::INFINITY { x } else { edge };
    let y = if x > -1.0 && x < f32::INFINITY { y } else { edge };
    if x.abs() < 1e-8 { x } else { y }
}

/// tanh x.
#[inline(always)]
pub(in super::super) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    let p = polynomial!(z; -3.333_328_2e-1, 1.333_144_2e-1, -5.373_971_5e-2, 2.063_908_8e-2, -5.704_988_6e-3);
    let small = (p * z).mul_add(x, x);
    let large = 1.0 - 2.0 / (exp(2.0 * within(a, 0.0, 20.0)) + 1.0);
    if a < 0.625 { small } else { large }.copysign(x)
}

/// erf x for |x| ≤ 1.
#[inline(always)]
fn near(x: f32) -> f32 {
    let z = x * x;
    let p = polynomial!(z; 0.128_379_166, -0.376_126_26, 0.112_835_75, -0.026_853_317, 0.005_187_196, -0.000_799_860_86,
        7.810_312e-5);
    x.mul_add(p, x)
}

/// erfc a for a ≥ 0, where a² = square + more.
#[inline(always)]
fn tail(a: f32, square: f32, more: f32) -> f32 {
    let a = within(a, 0.0, 10.4);
    let t = (a - 3.0) / (a + 3.0);
    let p = polynomial!(t; 1.253_008_1, -0.135_621_15, -0.047_562_32, 0.129_646_71, -0.119_271_92, 0.068_293_03, -0.023_794_664,
        0.002_576_856_5, 0.002_001_771_2, -0.000_788_120_75, -0.000_273_596);
    exp_of(-square, -more) * (p / 2.0f32.mul_add(a, 1.0))
}

/// x without its last 12 bits, whose square is exact.
#[inline(always)]
fn head(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0xffff_f000)
}

/// erfc x = 1 − erf x.
#[inline(always)]
pub(in super::super) fn erfc(x: f32) -> f32 {
    let a = within(x.abs(), 0.0, 30.0);
    let h = head(a);
    let y = tail(a, h * h, (a - h) * (a + h));
    let y = if x.is_nan() { x } else { y };
    let y = if x < 0.0 { 2.0 - y } else { y };
    if a < 0.5 { 1.0 - near(x) } else { y }
}

/// erf x.
#[inline(always)]
pub(in super::super) fn erf(x: f32) -> f32 {
    let a = within(x.abs(), 0.0, 30.0);
    let y = if a < 1.0 { near(a) } else { 1.0 - tail(a, a * a, 0.0) };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// Φ(x) = ½·erfc(−x/√2).
#[inline(always)]
pub(in super::super) fn normal_cdf(x: f32) -> f32 {
    let a = within(x.abs(), 0.0, 40.0);
    let h = head(a);
    let u = a * std::f32::consts::FRAC_1_SQRT_2;
    let y = 0.5 * tail(u, 0.5 * h * h, 0.5 * (a - h) * (a + h));
    let y = if u < 0.5 { near(u).mul_add(-0.5, 0.5) } else { y };
    let y = if x.is_nan() { x } else { y };
    if x > 0.0 { 1.0 - y } else { y }
}

/// φ(x) = e^(−x²/2)/√(2π).
#[inline(always)]
pub(in super::super) fn normal_pdf(x: f32) -> f32 {
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_28;
    let a = within(x.abs(), 0.0, 40.0);
    let h = head(a);
    let y = FRAC_1_SQRT_2PI * exp_of(-0.5 * h * h, -0.5 * (a - h) * (a + h));
    if x.is_nan() { x } else { y }
}

/// tanh'(x) from y = tanh x.
#[inline(always)]
pub(in super::super) fn tanh_slope(_: f32, y: f32) -> f32 {
    (1.0 - y) * (1.0 + y)
}

/// Φ(x) + x·φ(x), the slope of y = x·Φ(x).
#[inline(always)]
pub(in super::super) fn gelu_slope(x: f32, y: f32) -> f32 {
    let near = x.abs() < 1e-6;
    let cdf = if near { 0.5 } else { y / if near { 1.0 } else { x } };
    x.mul_add(normal_pdf(x), cdf)
}
