//! How far a point is from the optimality conditions, in the user's units.

use pulp::Simd;

use super::group::{Fields, Size};
use crate::lanes::{PerLane, WIDEST, add_transposed, dot, largest, largest_times, product};

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
        let Size { n, p, r, .. } = size;
        let width = S::F64_LANES;
        let from = p * width;
        product(simd, (n, n), f.q_matrix, x, self.qx);
        self.cy.fill(0.0);
        add_transposed(simd, (r, n), f.c_matrix, y, self.cy);
        for i in 0..self.r_d.len() {
            self.r_d[i] = self.qx[i] + f.q[i] + self.cy[i];
        }
        product(simd, (r, n), f.c_matrix, x, self.r_p);
        let cx = largest_times(simd, self.r_p, f.e_inverse);
        for i in 0..self.r_p.len() {
            self.r_p[i] += s[i] - f.c[i];
        }
        let primal = largest_times(simd, self.r_p, f.e_inverse);
        let dual = largest_times(simd, self.r_d, f.d_inverse);
        let c = largest_times(simd, f.c, f.e_inverse);
        let slack = largest_times(simd, &s[from..], &f.e_inverse[from..]);
        let (q, qx) =
            (largest_times(simd, f.q, f.d_inverse), largest_times(simd, self.qx, f.d_inverse));
        let cy = largest_times(simd, self.cy, f.d_inverse);
        let (xqx, qtx) = (dot(simd, self.qx, x), dot(simd, f.q, x));
        let cty = dot(simd, f.c, y);
        let multiplier = largest(simd, y);
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
