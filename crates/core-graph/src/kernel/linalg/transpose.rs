//! Square blocks of numbers transposed in registers: how matrices are interleaved and taken apart again.

use pulp::Simd;

/// Transposes 8 registers of 8 numbers, if this machine has such registers and the vectors are them; else returns false.
#[inline(always)]
#[allow(unused_variables, reason = "only x86-64 has a special form")]
pub(super) fn eight_by_eight<S: Simd>(simd: S, rows: &mut [S::f64s; 8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::any::Any;
        use std::arch::x86_64::__m512d;

        use pulp::{cast, f64x8, x86::V4};

        // Type tests that are decided when S is known, at compile time.
        let Some(v4) = (&simd as &dyn Any).downcast_ref::<V4>() else { return false };
        let Some(rows) = (rows as &mut dyn Any).downcast_mut::<[f64x8; 8]>() else { return false };
        let avx = v4.avx512f;
        // The 128-bit quarters 0 and 2, or 1 and 3, of a, then of b.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let mut low = [cast::<f64x8, __m512d>(rows[0]); 4];
        let mut high = low;
        for pair in 0..4 {
            let (a, b): (__m512d, __m512d) = (cast(rows[2 * pair]), cast(rows[2 * pair + 1]));
            low[pair] = avx._mm512_unpacklo_pd(a, b);
            high[pair] = avx._mm512_unpackhi_pd(a, b);
        }
        for parity in 0..2 {
            let t = if parity == 0 { low } else { high };
            let (a, b) = (
                avx._mm512_shuffle_f64x2::<EVEN>(t[0], t[1]),
                avx._mm512_shuffle_f64x2::<EVEN>(t[2], t[3]),
            );
            let (c, d) = (
                avx._mm512_shuffle_f64x2::<ODD>(t[0], t[1]),
                avx._mm512_shuffle_f64x2::<ODD>(t[2], t[3]),
            );
            rows[parity] = cast(avx._mm512_shuffle_f64x2::<EVEN>(a, b));
            rows[parity + 2] = cast(avx._mm512_shuffle_f64x2::<EVEN>(c, d));
            rows[parity + 4] = cast(avx._mm512_shuffle_f64x2::<ODD>(a, b));
            rows[parity + 6] = cast(avx._mm512_shuffle_f64x2::<ODD>(c, d));
        }
        true
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
