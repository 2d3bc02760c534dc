//! Reductions of interleaved vectors to one number for each lane, and the way between such numbers and a vector.

use pulp::Simd;

use super::{PerLane, WIDEST};

/// One number for each lane, as a vector.
#[inline(always)]
pub(crate) fn load<S: Simd>(_: S, v: &PerLane) -> S::f64s {
    S::as_simd_f64s(&v[..S::F64_LANES]).0[0]
}

/// The numbers of a vector.
#[inline(always)]
fn store<S: Simd>(_: S, v: S::f64s) -> PerLane {
    let mut out = [0.0; WIDEST];
    S::as_mut_simd_f64s(&mut out[..S::F64_LANES]).0[0] = v;
    out
}

/// max |vᵢ|; NaN where one is NaN.
#[inline(always)]
pub(crate) fn largest<S: Simd>(simd: S, v: &[f64]) -> PerLane {
    let zero = simd.splat_f64s(0.0);
    // v·0 sums to 0, or to NaN where a number is NaN or infinite.
    let (mut most, mut odd) = (zero, zero);
    for v in S::as_simd_f64s(v).0 {
        most = simd.max_f64s(most, simd.abs_f64s(*v));
        odd = simd.mul_add_e_f64s(*v, zero, odd);
    }
    store(simd, simd.add_f64s(most, odd))
}

/// max |vᵢ·dᵢ|; NaN where one is NaN.
#[inline(always)]
pub(crate) fn largest_times<S: Simd>(simd: S, v: &[f64], d: &[f64]) -> PerLane {
    let zero = simd.splat_f64s(0.0);
    let (mut most, mut odd) = (zero, zero);
    for (v, d) in S::as_simd_f64s(v).0.iter().zip(S::as_simd_f64s(d).0) {
        let x = simd.mul_f64s(*v, *d);
        most = simd.max_f64s(most, simd.abs_f64s(x));
        odd = simd.mul_add_e_f64s(x, zero, odd);
    }
    store(simd, simd.add_f64s(most, odd))
}

/// Σ aᵢ·bᵢ
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f64], b: &[f64]) -> PerLane {
    let mut sum = simd.splat_f64s(0.0);
    for (a, b) in S::as_simd_f64s(a).0.iter().zip(S::as_simd_f64s(b).0) {
        sum = simd.mul_add_e_f64s(*a, *b, sum);
    }
    store(simd, sum)
}

/// v ← v + α·dv, with an α for each lane; where α is 0, v stays whatever dv is.
#[inline(always)]
pub(crate) fn step<S: Simd>(simd: S, v: &mut [f64], dv: &[f64], alpha: &PerLane) {
    let (alpha, zero) = (load(simd, alpha), simd.splat_f64s(0.0));
    let moving = simd.less_than_f64s(zero, alpha);
    for (v, dv) in S::as_mut_simd_f64s(v).0.iter_mut().zip(S::as_simd_f64s(dv).0) {
        *v = simd.select_f64s(moving, simd.mul_add_e_f64s(alpha, *dv, *v), *v);
    }
}

/// The longest α, at most the one given, with v + α·dv ≥ 0 for v > 0.
#[inline(always)]
pub(crate) fn longest<S: Simd>(simd: S, v: &[f64], dv: &[f64], alpha: &mut PerLane) {
    let zero = simd.splat_f64s(0.0);
    let mut most = load(simd, alpha);
    for (v, dv) in S::as_simd_f64s(v).0.iter().zip(S::as_simd_f64s(dv).0) {
        // Where dv ≥ 0 nothing limits the step.
        let ratio = simd.div_f64s(simd.neg_f64s(*v), *dv);
        let shorter = simd.select_f64s(simd.less_than_f64s(ratio, most), ratio, most);
        most = simd.select_f64s(simd.less_than_f64s(*dv, zero), shorter, most);
    }
    *alpha = store(simd, most);
}
