//! From an interior point to the optimum itself: guess which rows are active, solve the equality-constrained problem, repair the guess.
//!
//! With the right set the optimality conditions are linear, and one step from the factor of that set reaches rounding; its factor is the one
//! that derivatives need. A wrong set shows in negative multipliers and violated rows, which leave and enter together (the primal-dual
//! active-set method, a semismooth Newton method: Hintermüller, Ito, Kunisch, SIAM J. Optim. 13, 2002).

use pulp::Simd;

use super::group::{Fields, Size};
use super::interior_point::Work;
use super::kkt::{Kkt, Refinement, Scratch};
use super::residual::{Residuals, worst};
use crate::lanes::{
    Arena, Largest, PerLane, WIDEST, add, cholesky, gram, magnitude, mask, store, take,
};

/// ρ, and what stands for 1/δ of active rows, in scaled units.
pub(crate) const RHO: f64 = 1e-9;
pub(crate) const STIFF: f64 = 1e7;
/// Pivots of H below this are no curvature at all.
pub(crate) const LEAST: f64 = 1e-12;
/// A multiplier may be this far below 0, relative to 1 and the largest of them, and a slack, relative to 1, its own right-hand side and the largest
/// unknown, before their row changes sides.
const SIGN: f64 = 1e-10;

/// The refinement of the first step and of the second, whose right-hand side is small.
const REFINE: Refinement = Refinement { most: 12, tolerance: 1e-13, floor: 1e-15 };
const AGAIN: Refinement = Refinement { most: 1, tolerance: 1e-6, floor: 1e-15 };
/// A first step from a residual below this, relative to 1, leaves nothing for a second.
const SMALL: f64 = 1e-2;

/// What came out of polishing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polished {
    /// Does the lane hold a point that satisfies the optimality conditions to the tolerance?
    pub(crate) good: PerLane<bool>,
    pub(crate) error: PerLane,
}

/// Working memory, kept from group to group.
#[derive(Debug, Default)]
pub(crate) struct Room {
    arena: Arena,
}

/// Polishes the lanes in `open`, from the iterate in `work`; in the other lanes the sets and the solutions stay, and the factor is made again.
#[inline(always)]
pub(crate) fn polish<S: Simd>(
    simd: S,
    size: Size,
    f: &mut Fields<'_>,
    cost: &PerLane,
    work: &mut Work,
    room: &mut Room,
    open: &PerLane<bool>,
    (passes, tolerance): (usize, f64),
) -> Polished {
    let width = S::F64_LANES;
    let [from_x, from_y, from_s] = work.iterate(size, width);
    guess(simd, size.p * width, f, mask(simd, open), [from_x, from_y, from_s]);
    let mut open = *open;
    let mut out = Polished { good: [false; WIDEST], error: [f64::INFINITY; WIDEST] };
    for pass in 0..passes.max(1) {
        factor(simd, size, f, room);
        // The second step removes what the first one's size rounded away.
        let size_of_first = newton(simd, size, f, cost, room, &open, REFINE);
        let mut again = open;
        for l in 0..width {
            again[l] &= size_of_first[l].is_nan() || SMALL < size_of_first[l];
        }
        if again[..width].contains(&true) {
            newton(simd, size, f, cost, room, &again, AGAIN);
        }
        // What is clipped shows in the residual: a slack that is put to 0 in its row, a multiplier in the gradient.
        let changed = repair(simd, size, f, &open, pass + 1 < passes);
        let relative = room.residuals(size, width).compute(simd, size, f, cost, [f.x, f.y, f.s]);
        for l in 0..width {
            if !open[l] {
                continue;
            }
            out.error[l] = worst([relative.primal[l], relative.dual[l], relative.gap[l]]);
            if !changed[l] {
                out.good[l] = out.error[l] <= tolerance;
                open[l] = false;
            }
        }
        if !open[..width].contains(&true) {
            break;
        }
    }
    out
}

/// In the lanes of the mask: the unknowns and multipliers of an interior point, and the rows that look active there, those before `from` always.
#[inline(always)]
fn guess<S: Simd>(simd: S, from: usize, f: &mut Fields<'_>, mask: S::m64s, [x, y, s]: [&[f64]; 3]) {
    take(simd, mask, f.x, x);
    let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
    let multipliers = S::as_mut_simd_f64s(f.y).0.iter_mut();
    let active = S::as_mut_simd_f64s(f.active).0.iter_mut();
    let point = S::as_simd_f64s(y).0.iter().zip(S::as_simd_f64s(s).0);
    for (i, ((out, active), (y, s))) in multipliers.zip(active).zip(point).enumerate() {
        let (y_here, here) = if i * S::F64_LANES < from {
            (*y, one)
        } else {
            let larger = simd.less_than_f64s(*s, *y);
            (simd.select_f64s(larger, *y, zero), simd.select_f64s(larger, one, zero))
        };
        *out = simd.select_f64s(mask, y_here, *out);
        *active = simd.select_f64s(mask, here, *active);
    }
}

/// The numbers that making H needs beside it.
fn panel(size: Size, width: usize) -> usize {
    if width == 1 { (size.r + 96) * size.n } else { 4 * size.r * width }
}

impl Room {
    fn residuals(&mut self, size: Size, width: usize) -> Residuals<'_> {
        let (n, r) = (size.n * width, size.r * width);
        let [r_d, r_p, qx, cy] = self.arena.cut([n, r, n, n]);
        Residuals { r_d, r_p, qx, cy }
    }

    /// Makes room for problems of this size.
    pub(super) fn reserve(&mut self, size: Size, width: usize) {
        let vectors = (5 * size.n + 5 * size.r) * width;
        self.arena.reserve(panel(size, width).max(vectors));
    }

    /// What making H needs.
    pub(super) fn panel(&mut self, size: Size, width: usize) -> &mut [f64] {
        let [panel] = self.arena.cut([panel(size, width)]);
        panel
    }
}

/// The factor for the sets in `f.active`.
#[inline(always)]
pub(crate) fn factor<S: Simd>(simd: S, size: Size, f: &mut Fields<'_>, room: &mut Room) {
    room.reserve(size, S::F64_LANES);
    for (w, active) in f.w.iter_mut().zip(&*f.active) {
        *w = STIFF * active;
    }
    let panel = room.panel(size, S::F64_LANES);
    gram(simd, (size.n, size.r), f.q_matrix, RHO, f.c_matrix, f.w, f.l, panel);
    cholesky(simd, size.n, LEAST, f.l, f.inverse, &mut [0; WIDEST]);
}

/// (x, y) ← the solution of the equality-constrained problem, in open lanes; s ← c − Cx where inactive. Gives the largest residual before.
#[inline(always)]
fn newton<S: Simd>(
    simd: S,
    size: Size,
    f: &mut Fields<'_>,
    cost: &PerLane,
    room: &mut Room,
    open: &PerLane<bool>,
    refinement: Refinement,
) -> PerLane {
    let width = S::F64_LANES;
    let (n, r) = (size.n * width, size.r * width);
    let [r_d, r_p, dx, dy, e_d, e_p, t_x, t_y] = room.arena.cut([n, r, n, r, n, r, n, r]);
    // Cx − c: without slacks.
    t_y.fill(0.0);
    let residuals = Residuals { r_d, r_p, qx: e_d, cy: t_x };
    residuals.compute(simd, size, f, cost, [f.x, f.y, t_y]);
    let mut before = Largest::new(simd);
    let zero = simd.splat_f64s(0.0);
    for x in &mut *S::as_mut_simd_f64s(r_d).0 {
        *x = simd.sub_f64s(zero, *x);
        before = before.with(simd, *x);
    }
    let active = S::as_simd_f64s(f.active).0;
    for (x, active) in S::as_mut_simd_f64s(r_p).0.iter_mut().zip(active) {
        *x = simd.sub_f64s(zero, *x);
        before = before.with(simd, simd.mul_f64s(*x, *active));
    }
    let before = store(simd, before.found(simd));
    let kkt = Kkt {
        size,
        q_matrix: f.q_matrix,
        c_matrix: f.c_matrix,
        l: f.l,
        inverse: f.inverse,
        w: f.w,
        sigma: None,
        rho: 0.0,
    };
    let mut scratch = Scratch { e_d, e_p, t_x, t_y: &mut *t_y };
    kkt.solve(simd, (r_d, r_p), (dx, dy), &mut scratch, refinement, open);
    let open = mask(simd, open);
    add(simd, open, f.x, dx, 1.0);
    add(simd, open, f.y, dy, 1.0);
    crate::lanes::product(simd, (size.r, size.n), f.c_matrix, f.x, t_y);
    let [c, active, cx] = [&*f.c, &*f.active, &*t_y].map(|v| &S::as_simd_f64s(v).0[..size.r]);
    let s = &mut S::as_mut_simd_f64s(f.s).0[..size.r];
    for i in 0..size.r {
        let inside = simd.sub_f64s(c[i], cx[i]);
        let slack = simd.select_f64s(simd.less_than_f64s(zero, active[i]), zero, inside);
        s[i] = simd.select_f64s(open, slack, s[i]);
    }
    before
}

/// Clips what is negative by rounding; rows of the wrong sign change sides if `change`. Which lanes have such rows?
#[inline(always)]
fn repair<S: Simd>(
    simd: S,
    size: Size,
    f: &mut Fields<'_>,
    open: &PerLane<bool>,
    change: bool,
) -> PerLane<bool> {
    let Size { n, p, r, .. } = size;
    let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
    let x = &S::as_simd_f64s(f.x).0[..n];
    let c = &S::as_simd_f64s(f.c).0[..r];
    let y = &mut S::as_mut_simd_f64s(f.y).0[..r];
    let s = &mut S::as_mut_simd_f64s(f.s).0[..r];
    let active = &mut S::as_mut_simd_f64s(f.active).0[..r];
    let (mut y_scale, mut x_scale) = (one, one);
    for y in &*y {
        y_scale = simd.max_f64s(magnitude(simd, *y), y_scale);
    }
    for x in x {
        x_scale = simd.max_f64s(magnitude(simd, *x), x_scale);
    }
    let sign = simd.splat_f64s(-SIGN);
    let y_least = simd.mul_f64s(sign, y_scale);
    let open = mask(simd, open);
    let mut changed = zero;
    for i in p..r {
        let on = simd.less_than_f64s(zero, active[i]);
        let value = simd.select_f64s(on, y[i], s[i]);
        let negative = simd.and_m64s(open, simd.less_than_f64s(value, zero));
        let s_least = simd.mul_f64s(sign, simd.max_f64s(magnitude(simd, c[i]), x_scale));
        let least = simd.select_f64s(on, y_least, s_least);
        let wrong = simd.and_m64s(negative, simd.less_than_f64s(value, least));
        changed = simd.select_f64s(wrong, one, changed);
        let clipped = simd.select_f64s(negative, zero, value);
        y[i] = simd.select_f64s(on, clipped, y[i]);
        s[i] = simd.select_f64s(on, s[i], clipped);
        if change {
            let other = simd.sub_f64s(one, active[i]);
            active[i] = simd.select_f64s(wrong, other, active[i]);
        }
    }
    store(simd, changed).map(|changed| changed > 0.0)
}
