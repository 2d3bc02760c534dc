//! x − k·π/2 for large x, by the bits of 2/π that matter (Payne and Hanek, 1983), in integers.

use std::f64::consts::FRAC_PI_2;

use super::double::{ordered_sum, product};

/// 64 zeros, then the first 1280 bits of 2/π.
const TWO_OVER_PI: [u64; 21] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
];

/// x − k·π/2 as a pair, and k mod 4 in the low bits, for |x| ≥ 2¹⁰; NaN for ±∞ and NaN.
///
/// With |x| = m·2ᵉ, bits of 2/π that stand for multiples of 4 in m·2ᵉ·2/π are left out, and 192 bits are used from there: the fraction
/// has 137 good ones, of which no double cancels more than 62 (Muller et al., Handbook of Floating-Point Arithmetic, section 11.3).
pub(super) fn reduce_large(x: f64) -> (f64, f64, u64) {
    if !x.is_finite() {
        return (f64::NAN, f64::NAN, 0);
    }
    let bits = x.abs().to_bits();
    let m = u128::from((bits & 0x000f_ffff_ffff_ffff) | (1 << 52));
    // The bit of weight 2⁻ⁱ stands at place 63 + i of the table; the first that matters has i = e − 1, e = exponent − 1075.
    let first = (bits >> 52) as usize + 62 - 1075;
    let (word, shift) = (first / 64, first % 64);
    let at = |i: usize| {
        let pair =
            (u128::from(TWO_OVER_PI[word + i]) << 64) | u128::from(TWO_OVER_PI[word + i + 1]);
        (pair << shift >> 64) & u128::from(u64::MAX)
    };
    // m·2ᵉ·2/π mod 4, in units of 2⁻¹⁹⁰: high, middle, low word.
    let low = m * at(2);
    let middle = m * at(1) + (low >> 64);
    let high = (m * at(0) + (middle >> 64)) as u64;
    let (middle, low) = (middle as u64, low as u64);
    // The fraction as 192 bits, rounded to the nearest integer: from −½ to ½.
    let fraction = [(high << 2) | (middle >> 62), (middle << 2) | (low >> 62), low << 2];
    let negative = fraction[0] >> 63 != 0;
    let k = (high >> 62).wrapping_add(u64::from(negative));
    let magnitude = if negative { fraction.map(|w| !w) } else { fraction };
    let top = (u128::from(magnitude[0]) << 64) | u128::from(magnitude[1]);
    let zeros = top.leading_zeros().min(64);
    let top = (top << zeros) | (u128::from(magnitude[2]) << zeros >> 64);
    // 53 bits, and the 75 that follow.
    let unit = f64::from_bits(u64::from(1023 - zeros) << 52);
    let leading = (top >> 75) as f64 * (unit / 9_007_199_254_740_992.0);
    let trailing = (top & ((1 << 75) - 1)) as f64
        * (unit / 340_282_366_920_938_463_463_374_607_431_768_211_456.0);
    const FRAC_PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
    let (p, e) = product(leading, FRAC_PI_2);
    let (r, rest) = ordered_sum(p, e + (leading * FRAC_PI_2_LOW + trailing * FRAC_PI_2));
    let sense = if negative == x.is_sign_negative() { 1.0 } else { -1.0 };
    (sense * r, sense * rest, if x < 0.0 { k.wrapping_neg() } else { k })
}
