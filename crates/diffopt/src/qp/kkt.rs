//! One linear system for the solver's steps, the polish, and the derivatives.
//!
//! > [ Q + ρ′I   Cᵀ ] [dx]   [r_d]
//! > [ C        −Σ  ] [dy] = [r_p]
//!
//! is solved from the Cholesky factor of H = Q + ρI + Cᵀ·diag(w)·C, with wᵢ about 1/σᵢ (0: row i is absent and dyᵢ = 0): eliminating
//! dy = w∘(C·dx − r_p) leaves H·dx = r_d + Cᵀ(w∘r_p). What ρ, and w in place of 1/Σ, change is corrected by refinement against the true
//! system, which is the proximal method of multipliers (Rockafellar 1976): each round takes the error times δ/(δ + σ²), where σ is
//! the least singular value of C's present rows in the metric of Q. Rows that depend on each other, and directions without curvature, are
//! harmless as long as the right-hand side is consistent.

use pulp::Simd;

use super::group::Size;
use crate::lanes::{
    Largest, PerLane, WIDEST, add, add_transposed, largest, mask, product, store, substitute,
};

/// The factored system.
pub(crate) struct Kkt<'a> {
    pub(crate) size: Size,
    pub(crate) q_matrix: &'a [f64],
    pub(crate) c_matrix: &'a [f64],
    pub(crate) l: &'a [f64],
    pub(crate) inverse: &'a [f64],
    pub(crate) w: &'a [f64],
    /// Σ's diagonal; `None` for 0.
    pub(crate) sigma: Option<&'a [f64]>,
    /// ρ′
    pub(crate) rho: f64,
}

/// Working memory of a solve: n, r, n and r vectors.
pub(crate) struct Scratch<'a> {
    pub(crate) e_d: &'a mut [f64],
    pub(crate) e_p: &'a mut [f64],
    pub(crate) t_x: &'a mut [f64],
    pub(crate) t_y: &'a mut [f64],
}

/// When refinement ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refinement {
    pub(crate) most: usize,
    /// Residual relative to the right-hand side.
    pub(crate) tolerance: f64,
    /// Residual in scaled units that is as good as none.
    pub(crate) floor: f64,
}

impl Kkt<'_> {
    /// (t_x, t_y) ← the factor's answer to (r_d, r_p).
    #[inline(always)]
    fn once<S: Simd>(&self, simd: S, r_d: &[f64], r_p: &[f64], t_x: &mut [f64], t_y: &mut [f64]) {
        let Size { n, r, .. } = self.size;
        t_x.copy_from_slice(r_d);
        {
            let [w, r_p] = [self.w, r_p].map(|v| &S::as_simd_f64s(v).0[..r]);
            let t = &mut S::as_mut_simd_f64s(t_y).0[..r];
            for i in 0..r {
                t[i] = simd.mul_f64s(w[i], r_p[i]);
            }
        }
        add_transposed(simd, (r, n), self.c_matrix, t_y, t_x);
        substitute(simd, n, self.l, self.inverse, t_x);
        product(simd, (r, n), self.c_matrix, t_x, t_y);
        let [w, r_p] = [self.w, r_p].map(|v| &S::as_simd_f64s(v).0[..r]);
        let t = &mut S::as_mut_simd_f64s(t_y).0[..r];
        for i in 0..r {
            t[i] = simd.mul_f64s(w[i], simd.sub_f64s(t[i], r_p[i]));
        }
    }

    /// (e_d, e_p) ← the residual of (dx, dy).
    #[inline(always)]
    fn residual<S: Simd>(
        &self,
        simd: S,
        (r_d, r_p): (&[f64], &[f64]),
        (dx, dy): (&[f64], &[f64]),
        (e_d, e_p): (&mut [f64], &mut [f64]),
    ) {
        let Size { n, r, .. } = self.size;
        product(simd, (n, n), self.q_matrix, dx, e_d);
        add_transposed(simd, (r, n), self.c_matrix, dy, e_d);
        for (e, (r, dx)) in e_d.iter_mut().zip(r_d.iter().zip(dx)) {
            *e = r - (*e + self.rho * dx);
        }
        product(simd, (r, n), self.c_matrix, dx, e_p);
        let [w, r_p, dy] = [self.w, r_p, dy].map(|v| &S::as_simd_f64s(v).0[..r]);
        let e_p = &mut S::as_mut_simd_f64s(e_p).0[..r];
        let zero = simd.splat_f64s(0.0);
        let present =
            |w: S::f64s, e: S::f64s| simd.select_f64s(simd.less_than_f64s(zero, w), e, zero);
        match self.sigma.map(|v| &S::as_simd_f64s(v).0[..r]) {
            Some(sigma) => {
                for i in 0..r {
                    let here = simd.negate_mul_add_e_f64s(sigma[i], dy[i], e_p[i]);
                    e_p[i] = present(w[i], simd.sub_f64s(r_p[i], here));
                }
            }
            None => {
                for i in 0..r {
                    e_p[i] = present(w[i], simd.sub_f64s(r_p[i], e_p[i]));
                }
            }
        }
    }

    /// Solves into (dx, dy), and refines the wanted lanes; gives their residuals, relative to the right-hand side. Without refinement they are
    /// not looked at.
    #[inline(always)]
    pub(crate) fn solve<S: Simd>(
        &self,
        simd: S,
        (r_d, r_p): (&[f64], &[f64]),
        (dx, dy): (&mut [f64], &mut [f64]),
        scratch: &mut Scratch<'_>,
        refinement: Refinement,
        wanted: &PerLane<bool>,
    ) -> PerLane {
        let width = S::F64_LANES;
        self.once(simd, r_d, r_p, dx, dy);
        if refinement.most == 0 || !wanted[..width].contains(&true) {
            return [0.0; WIDEST];
        }
        let mut size = Largest::new(simd);
        for r in S::as_simd_f64s(r_d).0 {
            size = size.with(simd, *r);
        }
        let zero = simd.splat_f64s(0.0);
        for (w, r) in S::as_simd_f64s(self.w).0.iter().zip(S::as_simd_f64s(r_p).0) {
            let present = simd.less_than_f64s(zero, *w);
            size = size.with(simd, simd.select_f64s(present, *r, zero));
        }
        let size = store(simd, size.found(simd));
        let mut best = [f64::INFINITY; WIDEST];
        let mut open = *wanted;
        for round in 0..=refinement.most {
            let (e_d, e_p) = (&mut *scratch.e_d, &mut *scratch.e_p);
            self.residual(simd, (r_d, r_p), (dx, dy), (e_d, e_p));
            let (a, b) = (largest(simd, e_d), largest(simd, e_p));
            let mut undo = [false; WIDEST];
            for l in 0..width {
                if !open[l] {
                    continue;
                }
                let e = if a[l] > b[l] || a[l].is_nan() { a[l] } else { b[l] };
                let done = e <= refinement.floor;
                let e = if size[l] > 0.0 { e / size[l] } else { e };
                if e < best[l] {
                    // A round that gains little is the last one.
                    open[l] = !done && refinement.tolerance < e && e < 0.25 * best[l];
                    best[l] = e;
                } else {
                    // The round made it worse (or not a number): without it.
                    undo[l] = round > 0;
                    open[l] = false;
                }
            }
            if undo[..width].contains(&true) {
                // t_x and t_y still hold the last correction.
                let undo = mask(simd, &undo);
                add(simd, undo, dx, scratch.t_x, -1.0);
                add(simd, undo, dy, scratch.t_y, -1.0);
            }
            if round == refinement.most || !open[..width].contains(&true) {
                break;
            }
            self.once(simd, scratch.e_d, scratch.e_p, scratch.t_x, scratch.t_y);
            let open = mask(simd, &open);
            add(simd, open, dx, scratch.t_x, 1.0);
            add(simd, open, dy, scratch.t_y, 1.0);
        }
        best
    }
}
