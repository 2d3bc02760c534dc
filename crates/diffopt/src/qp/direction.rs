//! The passes of an interior-point iteration over the inequalities: one loop each, and a reciprocal instead of several divisions.

use pulp::Simd;

use crate::lanes::{PerLane, load};

/// δ, in scaled units.
pub(super) const DELTA: f64 = 1e-8;

/// σ = s/y + δ in inequalities, δ in equalities, which are the numbers before `from`; w = 1/σ; 1/s and 1/y. Gives Σ sᵢyᵢ.
#[inline(always)]
pub(super) fn weigh<S: Simd>(
    simd: S,
    from: usize,
    [s, y]: [&[f64]; 2],
    [sigma, w, over_s, over_y]: [&mut [f64]; 4],
) -> S::f64s {
    sigma[..from].fill(DELTA);
    w[..from].fill(1.0 / DELTA);
    let (s, y) = (S::as_simd_f64s(&s[from..]).0, S::as_simd_f64s(&y[from..]).0);
    let rows = s.len();
    let (s, y) = (&s[..rows], &y[..rows]);
    let sigma = &mut S::as_mut_simd_f64s(&mut sigma[from..]).0[..rows];
    let w = &mut S::as_mut_simd_f64s(&mut w[from..]).0[..rows];
    let over_s = &mut S::as_mut_simd_f64s(&mut over_s[from..]).0[..rows];
    let over_y = &mut S::as_mut_simd_f64s(&mut over_y[from..]).0[..rows];
    let (delta, one) = (simd.splat_f64s(DELTA), simd.splat_f64s(1.0));
    let mut sum = simd.splat_f64s(0.0);
    for i in 0..rows {
        // Divisions are what this loop waits for: one gives both reciprocals.
        let product = simd.mul_f64s(s[i], y[i]);
        let inverse = simd.div_f64s(one, product);
        over_y[i] = simd.mul_f64s(inverse, s[i]);
        over_s[i] = simd.mul_f64s(inverse, y[i]);
        sigma[i] = simd.mul_add_e_f64s(s[i], over_y[i], delta);
        w[i] = simd.div_f64s(one, sigma[i]);
        sum = simd.add_f64s(sum, product);
    }
    sum
}

/// The right-hand side −r_p + r_c/y of the inequalities, and r_c/y into ds: r_c = s∘y for the predictor, s∘y + c·ds∘dy − σμ for the corrector with
/// (c, σμ).
#[inline(always)]
pub(super) fn aim<S: Simd>(
    simd: S,
    from: usize,
    [s, over_y, r_p, dy]: [&[f64]; 4],
    [b_p, ds]: [&mut [f64]; 2],
    corrector: Option<(&PerLane, &PerLane)>,
) {
    let s = S::as_simd_f64s(&s[from..]).0;
    let rows = s.len();
    let over_y = &S::as_simd_f64s(&over_y[from..]).0[..rows];
    let r_p = &S::as_simd_f64s(&r_p[from..]).0[..rows];
    let dy = &S::as_simd_f64s(&dy[from..]).0[..rows];
    let b_p = &mut S::as_mut_simd_f64s(&mut b_p[from..]).0[..rows];
    let ds = &mut S::as_mut_simd_f64s(&mut ds[from..]).0[..rows];
    match corrector {
        None => {
            for i in 0..rows {
                ds[i] = s[i];
                b_p[i] = simd.sub_f64s(s[i], r_p[i]);
            }
        }
        Some((second, center)) => {
            let (second, center) = (load(simd, second), load(simd, center));
            for i in 0..rows {
                let product = simd.mul_f64s(second, simd.mul_f64s(ds[i], dy[i]));
                let more = simd.sub_f64s(product, center);
                ds[i] = simd.mul_add_e_f64s(more, over_y[i], s[i]);
                b_p[i] = simd.sub_f64s(ds[i], r_p[i]);
            }
        }
    }
}

/// What a direction does to the inequalities.
#[derive(Clone, Copy)]
pub(super) struct Slope<V> {
    /// max(−dsᵢ/sᵢ, −dyᵢ/yᵢ, the number given): one over the longest step.
    pub(super) shortest: V,
    /// Σ (s + ds)∘dy + y∘ds and Σ ds∘dy: how s·y changes with the step, and its square.
    pub(super) first: V,
    pub(super) second: V,
}

/// ds ← −r_c/y − (s/y)∘dy, where ds holds r_c/y.
#[inline(always)]
pub(super) fn slide<S: Simd>(
    simd: S,
    from: usize,
    [s, y, over_s, over_y, dy]: [&[f64]; 5],
    ds: &mut [f64],
    least: f64,
) -> Slope<S::f64s> {
    let s = S::as_simd_f64s(&s[from..]).0;
    let rows = s.len();
    let y = &S::as_simd_f64s(&y[from..]).0[..rows];
    let over_s = &S::as_simd_f64s(&over_s[from..]).0[..rows];
    let over_y = &S::as_simd_f64s(&over_y[from..]).0[..rows];
    let dy = &S::as_simd_f64s(&dy[from..]).0[..rows];
    let ds = &mut S::as_mut_simd_f64s(&mut ds[from..]).0[..rows];
    let zero = simd.splat_f64s(0.0);
    let mut out = Slope { shortest: simd.splat_f64s(least), first: zero, second: zero };
    for i in 0..rows {
        let ratio = simd.mul_f64s(s[i], over_y[i]);
        let along = simd.sub_f64s(zero, simd.mul_add_e_f64s(ratio, dy[i], ds[i]));
        ds[i] = along;
        // NaN does not count: it shows in the residual.
        let of_s = simd.mul_f64s(simd.sub_f64s(zero, along), over_s[i]);
        let of_y = simd.mul_f64s(simd.sub_f64s(zero, dy[i]), over_y[i]);
        let larger = simd.less_than_f64s(out.shortest, of_s);
        out.shortest = simd.select_f64s(larger, of_s, out.shortest);
        let larger = simd.less_than_f64s(out.shortest, of_y);
        out.shortest = simd.select_f64s(larger, of_y, out.shortest);
        out.first = simd.mul_add_e_f64s(s[i], dy[i], out.first);
        out.first = simd.mul_add_e_f64s(along, y[i], out.first);
        out.second = simd.mul_add_e_f64s(along, dy[i], out.second);
    }
    out
}
