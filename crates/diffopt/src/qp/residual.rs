//! How far a point is from the optimality conditions, in the user's units.

use pulp::Simd;

use super::group::{Fields, Size};
use crate::lanes::{Largest, PerLane, WIDEST, add_transposed, product, store};

/// Room for the residuals of a group, in scaled units: n, r, n, n vectors.
pub(crate) struct Residuals<'a> {
    /// Qx + q + Cᵀy
    pub(crate) r_d: &'a mut [f64],
    /// Cx + s − c
    pub(crate) r_p: &'a mut [f64],
    pub(crate) qx: &'a mut [f64],
    pub(crate) cy: &'a mut [f64],
}

/// Residuals relative to the largest terms that they are differences of, and to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relative {
    pub(crate) primal: PerLane,
    pub(crate) dual: PerLane,
    /// |xᵀQx + qᵀx + cᵀy|, the difference of the primal and the dual objective.
    pub(crate) gap: PerLane,
    /// The multipliers look like a proof that there is no feasible point; that is checked exactly afterwards.
    pub(crate) farkas: PerLane<bool>,
}

/// The largest; NaN if one is.
#[inline(always)]
pub(crate) fn worst(of: [f64; 3]) -> f64 {
    let sum = of[0] + of[1] + of[2];
    if sum.is_nan() { sum } else { of[0].max(of[1]).max(of[2]) }
}

impl Residuals<'_> {
    /// The residuals at (x, y, s).
    #[inline(always)]
    pub(crate) fn compute<S: Simd>(
        self,
        simd: S,
        size: Size,
        f: &Fields<'_>,
        cost: &PerLane,
        [x, y, s]: [&[f64]; 3],
    ) -> Relative {
        let Size { n, r, .. } = size;
        product(simd, (n, n), f.q_matrix, x, self.qx);
        self.cy.fill(0.0);
        add_transposed(simd, (r, n), f.c_matrix, y, self.cy);
        product(simd, (r, n), f.c_matrix, x, self.r_p);
        let none = Largest::new(simd);
        let [mut dual, mut q, mut qx, mut cy] = [none; 4];
        let zero = simd.splat_f64s(0.0);
        let [mut xqx, mut qtx, mut cty] = [zero; 3];
        {
            let vectors = [&*self.qx, &*self.cy, &*f.q, &*f.d_inverse, x];
            let [of_qx, of_cy, of_q, scale, x] = vectors.map(|v| &S::as_simd_f64s(v).0[..n]);
            let r_d = &mut S::as_mut_simd_f64s(self.r_d).0[..n];
            for i in 0..n {
                let e = simd.add_f64s(simd.add_f64s(of_qx[i], of_q[i]), of_cy[i]);
                r_d[i] = e;
                dual = dual.with(simd, simd.mul_f64s(e, scale[i]));
                q = q.with(simd, simd.mul_f64s(of_q[i], scale[i]));
                qx = qx.with(simd, simd.mul_f64s(of_qx[i], scale[i]));
                cy = cy.with(simd, simd.mul_f64s(of_cy[i], scale[i]));
                xqx = simd.mul_add_e_f64s(of_qx[i], x[i], xqx);
                qtx = simd.mul_add_e_f64s(of_q[i], x[i], qtx);
            }
        }
        let [mut primal, mut cx, mut slack, mut c, mut multiplier] = [none; 5];
        {
            let vectors = [s, &*f.c, y, &*f.e_inverse];
            let [s, of_c, y, scale] = vectors.map(|v| &S::as_simd_f64s(v).0[..r]);
            let r_p = &mut S::as_mut_simd_f64s(self.r_p).0[..r];
            for i in 0..r {
                cx = cx.with(simd, simd.mul_f64s(r_p[i], scale[i]));
                let e = simd.add_f64s(r_p[i], simd.sub_f64s(s[i], of_c[i]));
                r_p[i] = e;
                primal = primal.with(simd, simd.mul_f64s(e, scale[i]));
                c = c.with(simd, simd.mul_f64s(of_c[i], scale[i]));
                // 0 in equalities.
                slack = slack.with(simd, simd.mul_f64s(s[i], scale[i]));
                multiplier = multiplier.with(simd, y[i]);
                cty = simd.mul_add_e_f64s(of_c[i], y[i], cty);
            }
        }
        let (dual, q) = (store(simd, dual.found(simd)), store(simd, q.found(simd)));
        let (qx, cy) = (store(simd, qx.found(simd)), store(simd, cy.found(simd)));
        let (primal, cx) = (store(simd, primal.found(simd)), store(simd, cx.found(simd)));
        let (slack, c) = (store(simd, slack.found(simd)), store(simd, c.found(simd)));
        let multiplier = store(simd, multiplier.found(simd));
        let (xqx, qtx, cty) = (store(simd, xqx), store(simd, qtx), store(simd, cty));
        let mut out = Relative {
            primal: [0.0; WIDEST],
            dual: [0.0; WIDEST],
            gap: [0.0; WIDEST],
            farkas: [false; WIDEST],
        };
        for l in 0..S::F64_LANES {
            let k = cost[l];
            out.primal[l] = primal[l] / (1.0 + cx[l].max(slack[l]).max(c[l]));
            out.dual[l] = dual[l] / k / (1.0 + qx[l].max(cy[l]).max(q[l]) / k);
            let objectives = (0.5 * xqx[l] + qtx[l]).abs().min((0.5 * xqx[l] + cty[l]).abs());
            out.gap[l] = (xqx[l] + qtx[l] + cty[l]).abs() / k / (1.0 + objectives / k);
            out.farkas[l] = cty[l] < 0.0 && cy[l] <= 1e-9 * -cty[l] && 1e3 < multiplier[l];
        }
        out
    }
}

/// The largest violation of a row Cx + s = c in one lane, relative to the row's own terms and 1, in the user's units. (The primal residual above is relative
/// to the largest terms of all rows, next to which a row may be lost.)
pub(crate) fn row_violation(size: Size, width: usize, lane: usize, f: &Fields<'_>) -> f64 {
    let Size { n, r, .. } = size;
    let at = |i: usize| i * width + lane;
    let one = |i: usize| {
        let (s, c, unit) = (f.s[at(i)], f.c[at(i)], f.e_inverse[at(i)]);
        let (mut sum, mut largest) = (s - c, s.abs().max(c.abs()));
        for j in 0..n {
            let term = f.c_matrix[at(i * n + j)] * f.x[at(j)];
            sum += term;
            largest = largest.max(term.abs());
        }
        sum.abs() * unit / (1.0 + largest * unit)
    };
    (0..r).map(one).fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most })
}
