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
pub(crate) fn store<S: Simd>(_: S, v: S::f64s) -> PerLane {
    let mut out = [0.0; WIDEST];
    S::as_mut_simd_f64s(&mut out[..S::F64_LANES]).0[0] = v;
    out
}

/// The lanes of a set, as a mask.
#[inline(always)]
pub(crate) fn mask<S: Simd>(simd: S, set: &PerLane<bool>) -> S::m64s {
    let ones = set.map(|inside| f64::from(u8::from(inside)));
    simd.less_than_f64s(simd.splat_f64s(0.0), load(simd, &ones))
}

/// target ← source in the lanes of the mask.
#[inline(always)]
pub(crate) fn take<S: Simd>(simd: S, mask: S::m64s, target: &mut [f64], source: &[f64]) {
    for (t, s) in S::as_mut_simd_f64s(target).0.iter_mut().zip(S::as_simd_f64s(source).0) {
        *t = simd.select_f64s(mask, *s, *t);
    }
}

/// v ← v + scale·dv in the lanes of the mask.
#[inline(always)]
pub(crate) fn add<S: Simd>(simd: S, mask: S::m64s, v: &mut [f64], dv: &[f64], scale: f64) {
    let scale = simd.splat_f64s(scale);
    for (v, dv) in S::as_mut_simd_f64s(v).0.iter_mut().zip(S::as_simd_f64s(dv).0) {
        *v = simd.select_f64s(mask, simd.mul_add_e_f64s(scale, *dv, *v), *v);
    }
}

/// |v|. (`abs_f64s` and `neg_f64s` of AVX-512 are calls: they ask for instructions that `pulp` does not switch on.)
#[inline(always)]
pub(crate) fn magnitude<S: Simd>(simd: S, v: S::f64s) -> S::f64s {
    simd.max_f64s(v, simd.sub_f64s(simd.splat_f64s(0.0), v))
}

/// max |vᵢ|; NaN where one is NaN.
#[inline(always)]
pub(crate) fn largest<S: Simd>(simd: S, v: &[f64]) -> PerLane {
    let mut most = Largest::new(simd);
    for v in S::as_simd_f64s(v).0 {
        most = most.with(simd, *v);
    }
    store(simd, most.found(simd))
}

/// A maximum of magnitudes in the making; NaN where one is NaN.
#[derive(Clone, Copy)]
pub(crate) struct Largest<V> {
    most: V,
    odd: V,
}

impl<V: Copy> Largest<V> {
    #[inline(always)]
    pub(crate) fn new<S: Simd<f64s = V>>(simd: S) -> Self {
        Largest { most: simd.splat_f64s(0.0), odd: simd.splat_f64s(0.0) }
    }

    /// With one more.
    #[inline(always)]
    pub(crate) fn with<S: Simd<f64s = V>>(self, simd: S, x: V) -> Self {
        let zero = simd.splat_f64s(0.0);
        Largest {
            most: simd.max_f64s(self.most, magnitude(simd, x)),
            // x·0 sums to 0, or to NaN where a number is NaN or infinite.
            odd: simd.mul_add_e_f64s(x, zero, self.odd),
        }
    }

    #[inline(always)]
    pub(crate) fn found<S: Simd<f64s = V>>(self, simd: S) -> V {
        simd.add_f64s(self.most, self.odd)
    }
}

/// In which lanes are all numbers finite?
#[inline(always)]
pub(crate) fn all_finite<S: Simd>(simd: S, parts: [&[f64]; 4]) -> PerLane<bool> {
    let zero = simd.splat_f64s(0.0);
    let mut odd = zero;
    for part in parts {
        for v in S::as_simd_f64s(part).0 {
            odd = simd.mul_add_e_f64s(*v, zero, odd);
        }
    }
    let odd = store(simd, odd);
    let mut out = [true; WIDEST];
    for l in 0..WIDEST {
        out[l] = odd[l] == 0.0;
    }
    out
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
