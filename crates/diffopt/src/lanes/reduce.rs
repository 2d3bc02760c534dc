//! Reductions of interleaved vectors to one number for each lane.

use pulp::Simd;

use super::{PerLane, WIDEST};

/// max |vᵢ|; NaN where one is NaN.
#[inline(always)]
pub(crate) fn largest<S: Simd>(_: S, v: &[f64]) -> PerLane {
    let mut out = [0.0; WIDEST];
    for chunk in v.chunks_exact(S::F64_LANES) {
        for l in 0..S::F64_LANES {
            let x = chunk[l].abs();
            out[l] = if x > out[l] || x.is_nan() { x } else { out[l] };
        }
    }
    out
}

/// max |vᵢ/dᵢ|; NaN where one is NaN.
#[inline(always)]
pub(crate) fn largest_over<S: Simd>(_: S, v: &[f64], d: &[f64]) -> PerLane {
    let mut out = [0.0; WIDEST];
    for (v, d) in v.chunks_exact(S::F64_LANES).zip(d.chunks_exact(S::F64_LANES)) {
        for l in 0..S::F64_LANES {
            let x = (v[l] / d[l]).abs();
            out[l] = if x > out[l] || x.is_nan() { x } else { out[l] };
        }
    }
    out
}

/// Σ aᵢ·bᵢ
#[inline(always)]
pub(crate) fn dot<S: Simd>(_: S, a: &[f64], b: &[f64]) -> PerLane {
    let mut out = [0.0; WIDEST];
    for (a, b) in a.chunks_exact(S::F64_LANES).zip(b.chunks_exact(S::F64_LANES)) {
        for l in 0..S::F64_LANES {
            out[l] += a[l] * b[l];
        }
    }
    out
}
