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
use crate::lanes::{Arena, Largest, PerLane, WIDEST, cholesky, gram, store};

/// ρ, and what stands for 1/δ of active rows, in scaled units.
pub(crate) const RHO: f64 = 1e-9;
pub(crate) const STIFF: f64 = 1e7;
/// Pivots of H below this are no curvature at all.
pub(crate) const LEAST: f64 = 1e-12;
/// Multipliers and slacks may be this far below 0, relative to 1 and the largest of their kind, before their row changes sides.
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
    let Size { p, r, .. } = size;
    let width = S::F64_LANES;
    let [from_x, from_y, from_s] = work.iterate(size, width);
    take(width, open, f.x, from_x);
    take(width, open, f.y, from_y);
    for i in 0..r {
        for l in 0..width {
            let at = i * width + l;
            if open[l] {
                let active = i < p || from_s[at] < from_y[at];
                f.active[at] = f64::from(u8::from(active));
                f.y[at] = if active { f.y[at] } else { 0.0 };
            }
        }
    }
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
        let relative = room.residuals(size, width).compute(simd, size, f, cost, [f.x, f.y, f.s]);
        let changed = repair(width, size, f, &open, pass + 1 < passes);
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

/// target ← source in the lanes of the mask.
#[inline(always)]
fn take(width: usize, mask: &PerLane<bool>, target: &mut [f64], source: &[f64]) {
    for (t, s) in target.chunks_exact_mut(width).zip(source.chunks_exact(width)) {
        for l in 0..width {
            t[l] = if mask[l] { s[l] } else { t[l] };
        }
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
    f.s.fill(0.0);
    let residuals = Residuals { r_d, r_p, qx: e_d, cy: t_x };
    residuals.compute(simd, size, f, cost, [f.x, f.y, f.s]);
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
    let mut scratch = Scratch { e_d, e_p, t_x, t_y };
    kkt.solve(simd, (r_d, r_p), (dx, dy), &mut scratch, refinement, open);
    for (x, dx) in [(&mut *f.x, &*dx), (&mut *f.y, &*dy)] {
        for (x, dx) in x.chunks_exact_mut(width).zip(dx.chunks_exact(width)) {
            for l in 0..width {
                x[l] = if open[l] { x[l] + dx[l] } else { x[l] };
            }
        }
    }
    crate::lanes::product(simd, (size.r, size.n), f.c_matrix, f.x, f.s);
    for i in 0..r {
        f.s[i] = if f.active[i] != 0.0 { 0.0 } else { f.c[i] - f.s[i] };
    }
    before
}

/// Clips what is negative by rounding; rows of the wrong sign change sides if `change`. Which lanes have such rows?
#[inline(always)]
fn repair(
    width: usize,
    size: Size,
    f: &mut Fields<'_>,
    open: &PerLane<bool>,
    change: bool,
) -> PerLane<bool> {
    let mut changed = [false; WIDEST];
    let (mut y_scale, mut s_scale) = ([1.0f64; WIDEST], [1.0f64; WIDEST]);
    for i in 0..size.r {
        for l in 0..width {
            y_scale[l] = y_scale[l].max(f.y[i * width + l].abs());
            s_scale[l] = s_scale[l].max(f.c[i * width + l].abs());
        }
    }
    for i in size.p..size.r {
        for l in 0..width {
            let at = i * width + l;
            if !open[l] {
                continue;
            }
            if f.active[at] != 0.0 && f.y[at] < 0.0 {
                if f.y[at] < -SIGN * y_scale[l] {
                    changed[l] = true;
                    f.active[at] = if change { 0.0 } else { f.active[at] };
                }
                f.y[at] = 0.0;
            } else if f.active[at] == 0.0 && f.s[at] < 0.0 {
                if f.s[at] < -SIGN * s_scale[l] {
                    changed[l] = true;
                    f.active[at] = if change { 1.0 } else { f.active[at] };
                }
                f.s[at] = 0.0;
            }
        }
    }
    changed
}
