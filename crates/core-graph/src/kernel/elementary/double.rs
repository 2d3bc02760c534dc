//! Elementary functions in f64.

use super::polynomial;

/// 1.5·2⁵²: adding it rounds to the nearest integer and leaves that integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in 33 bits, so that a product with an integer below 2²⁰ is exact, and the rest.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_588e-10;

/// 2ᵏ for an integer k from −1022 to 1023.
#[inline(always)]
fn power(k: f64) -> f64 {
    f64::from_bits((k + (ROUND + 1023.0)).to_bits() << 52)
}

/// y·2ᵏ in two steps: one alone is outside the normal numbers where the result is subnormal.
#[inline(always)]
fn scaled(y: f64, k: f64) -> f64 {
    let half = k.mul_add(0.5, ROUND) - ROUND;
    y * power(half) * power(k - half)
}

/// x limited to [low, high]; NaN stays.
#[inline(always)]
fn within(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// x + more = k·ln 2 + r + low for |more| far below |x|, and e^(r + low) − 1 − r from the series of sinh r and cosh r.
#[inline(always)]
fn reduced(x: f64, more: f64) -> (f64, f64, f64) {
    let k = x.mul_add(std::f64::consts::LOG2_E, ROUND) - ROUND;
    let (high, low) = (k.mul_add(-LN2_HIGH, x), k.mul_add(LN2_LOW, -more));
    let r = high - low;
    let low = (high - r) - low;
    let z = r * r;
    let odd = polynomial!(z; 0.166_666_666_666_666_66, 0.008_333_333_333_333_333, 0.000_198_412_698_412_632_98,
        2.755_731_924_721_873e-6, 2.505_207_109_429_355e-8, 1.608_662_795_678_037e-10);
    let even = polynomial!(z; 0.5, 0.041_666_666_666_666_664, 0.001_388_888_888_888_889_2, 2.480_158_730_157_585_3e-5,
        2.755_731_925_121_229e-7, 2.087_672_375_351_293_7e-9, 1.149_085_914_186_778_3e-11);
    (k, r, z.mul_add(r.mul_add(odd, even), low))
}

/// e^(x + more) for |more| far below |x|.
#[inline(always)]
fn exp_of(x: f64, more: f64) -> f64 {
    let (k, r, rest) = reduced(within(x, -760.0, 720.0), more);
    scaled(1.0 + (r + rest), k)
}

/// eˣ. Overflow gives ∞, underflow 0.
#[inline(always)]
pub(in super::super) fn exp(x: f64) -> f64 {
    exp_of(x, 0.0)
}

/// eˣ − 1.
#[inline(always)]
pub(in super::super) fn exp_m1(x: f64) -> f64 {
    let (k, r, rest) = reduced(within(x, -50.0, 720.0), 0.0);
    let inverse = power(-(if k > 1000.0 { 1000.0 } else { k }));
    // Without rounding for k = 0 and where the sum is small.
    let first = 1.0 - inverse;
    let sum = first + r;
    let lost = if k == 0.0 { 0.0 } else { r - (sum - first) };
    let y = scaled(sum + (lost + rest), k);
    if x.abs() < 1e-17 { x } else { y }
}

/// ln x + more·ln 2 for a normal x > 0, with `rest` = what x lacks, over x.
#[inline(always)]
fn ln_normal(x: f64, more: f64, rest: f64) -> f64 {
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    let shifted = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - ROOT);
    let k = f64::from_bits((shifted >> 52) | ROUND.to_bits()) - ROUND - 1023.0 + more;
    let f = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(ROOT)) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let t1 = w
        * polynomial!(w; 3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1);
    let t2 = z
        * polynomial!(w; 6.666_666_666_666_735e-1, 2.857_142_874_366_239e-1, 1.818_357_216_161_805e-1,
        1.479_819_860_511_658_6e-1);
    let half_square = 0.5 * f * f;
    k.mul_add(
        LN2_HIGH,
        f - (half_square - s.mul_add(half_square + (t1 + t2), k.mul_add(LN2_LOW, rest))),
    )
}

/// ln x. −∞ at 0, NaN below.
#[inline(always)]
pub(in super::super) fn ln(x: f64) -> f64 {
    let tiny = x < f64::MIN_POSITIVE;
    let scaled = if tiny { x * 18_014_398_509_481_984.0 } else { x };
    let y = ln_normal(scaled, if tiny { -54.0 } else { 0.0 }, 0.0);
    let edge = if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    let edge = if x == f64::INFINITY { x } else { edge };
    if x > 0.0 && x < f64::INFINITY { y } else { edge }
}

/// ln(1 + x). −∞ at −1, NaN below.
#[inline(always)]
pub(in super::super) fn ln_1p(x: f64) -> f64 {
    let u = 1.0 + x;
    let lost = if x < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let y = ln_normal(u, 0.0, lost / u);
    let edge = if x == -1.0 { f64::NEG_INFINITY } else { f64::NAN };
    let edge = if x == f64::INFINITY { x } else { edge };
    let y = if x > -1.0 && x < f64::INFINITY { y } else { edge };
    if x.abs() < 1e-17 { x } else { y }
}

/// tanh x = −t/(t + 2) with t = e^(−2|x|) − 1.
#[inline(always)]
pub(in super::super) fn tanh(x: f64) -> f64 {
    let t = exp_m1(-2.0 * within(x.abs(), 0.0, 20.0));
    let y = if x.is_nan() { x } else { -t / (t + 2.0) };
    if x.abs() < 1e-17 { x } else { y.copysign(x) }
}

/// erf x for |x| ≤ 1.
#[inline(always)]
fn near(x: f64) -> f64 {
    let z = x * x;
    let p = polynomial!(z; 0.128_379_167_095_512_6, -0.376_126_389_031_837_54, 0.112_837_916_709_551_19,
        -0.026_866_170_645_129_514, 0.005_223_977_625_419_355_6, -0.000_854_832_702_165_422_8, 0.000_120_553_328_901_101_61,
        -1.492_564_717_871_606_6e-5, 1.646_203_736_652_728_3e-6, -1.636_452_731_269_045_9e-7, 1.479_130_101_509_648e-8,
        -1.215_777_497_817_912_9e-9, 8.684_721_912_649_673e-11, -4.192_437_617_116_376e-12);
    x.mul_add(p, x)
}

/// erfc a for a ≥ 0, where a² = square + more.
#[inline(always)]
fn tail(a: f64, square: f64, more: f64) -> f64 {
    let a = within(a, 0.0, 28.0);
    let t = (a - 3.0) / (a + 3.0);
    let p = polynomial!(t; 1.253_008_058_269_729_6, -0.135_621_106_124_580_7, -0.047_562_294_353_446_374,
        0.129_645_158_702_705_52, -0.119_273_663_415_528_53, 0.068_308_027_345_804_59, -0.023_770_514_914_233_67,
        0.002_529_391_788_270_445, 0.001_888_690_312_003_782, -0.000_779_832_037_961_111_1, -0.000_105_159_490_337_759_75,
        0.000_125_098_151_748_643_22, 4.948_147_875_576_539e-6, -2.009_663_087_595_395e-5, -7.275_875_746_667_183e-7,
        3.463_997_532_352_904e-6, 3.489_919_788_974_429_3e-7, -6.050_048_623_933_503e-7, -1.311_166_137_536_459e-7,
        9.186_243_026_143_847e-8, 3.291_634_396_766_32e-8, -8.500_119_502_115_306e-9, -4.210_104_975_119_195e-9);
    exp_of(-square, -more) * (p / 2.0f64.mul_add(a, 1.0))
}

/// x without its last 27 bits, whose square is exact.
#[inline(always)]
fn head(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0xffff_ffff_f800_0000)
}

/// erfc x = 1 − erf x.
#[inline(always)]
pub(in super::super) fn erfc(x: f64) -> f64 {
    let a = within(x.abs(), 0.0, 30.0);
    let h = head(a);
    let y = tail(a, h * h, (a - h) * (a + h));
    let y = if x.is_nan() { x } else { y };
    let y = if x < 0.0 { 2.0 - y } else { y };
    if a < 0.5 { 1.0 - near(x) } else { y }
}

/// erf x.
#[inline(always)]
pub(in super::super) fn erf(x: f64) -> f64 {
    let a = within(x.abs(), 0.0, 30.0);
    let y = if a < 1.0 { near(a) } else { 1.0 - tail(a, a * a, 0.0) };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// Φ(x) = ½·erfc(−x/√2).
#[inline(always)]
pub(in super::super) fn normal_cdf(x: f64) -> f64 {
    let a = within(x.abs(), 0.0, 40.0);
    let h = head(a);
    let u = a * std::f64::consts::FRAC_1_SQRT_2;
    let y = 0.5 * tail(u, 0.5 * h * h, 0.5 * (a - h) * (a + h));
    let y = if u < 0.5 { near(u).mul_add(-0.5, 0.5) } else { y };
    let y = if x.is_nan() { x } else { y };
    if x > 0.0 { 1.0 - y } else { y }
}

/// φ(x) = e^(−x²/2)/√(2π).
#[inline(always)]
pub(in super::super) fn normal_pdf(x: f64) -> f64 {
    const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
    let a = within(x.abs(), 0.0, 40.0);
    let h = head(a);
    let y = FRAC_1_SQRT_2PI * exp_of(-0.5 * h * h, -0.5 * (a - h) * (a + h));
    if x.is_nan() { x } else { y }
}

/// tanh'(x) = sech² x.
#[inline(always)]
pub(in super::super) fn tanh_slope(x: f64, _: f64) -> f64 {
    let e = exp(-2.0 * x.abs());
    4.0 * e / ((1.0 + e) * (1.0 + e))
}

/// Φ(x) + x·φ(x), the slope of y = x·Φ(x).
#[inline(always)]
pub(in super::super) fn gelu_slope(x: f64, _: f64) -> f64 {
    x.mul_add(normal_pdf(x), normal_cdf(x))
}
