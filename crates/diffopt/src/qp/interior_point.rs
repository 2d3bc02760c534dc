//! The primal-dual interior-point method of Mehrotra, on all lanes of a group in step.
//!
//! > Qx + q + Cᵀy = 0,  Cx + s = c,  s = 0 in equalities,  s, y ≥ 0 and s∘y = μ1 in inequalities, μ → 0.
//!
//! Each iteration factors H once and solves twice: the affine step predicts, the corrector aims at σμ with σ = (μ_aff/μ)³ and
//! includes the predictor's ds∘dy (Mehrotra, On the implementation of a primal-dual interior point method, 1992; Nocedal and Wright,
//! Numerical Optimization, 2nd edition 2006, algorithm 16.4). ρ and δ make every H positive definite; they act as proximal terms around
//! the current iterate, and so do not move the solution (Schwan, Jiang, Kuhn, Jones, PIQP: a proximal interior-point quadratic programming
//! solver, 2023).

use pulp::Simd;

use super::direction::{aim, slide, weigh};
use super::group::{Fields, Size};
use super::kkt::{Kkt, Refinement, Scratch};
use super::residual::{Relative, Residuals, worst};
use crate::lanes::{
    Arena, PerLane, WIDEST, add_transposed, cholesky, gram, load, magnitude, product, step, store,
    substitute,
};

/// ρ, in scaled units.
const RHO: f64 = 1e-9;
/// How close a step may come to the boundary.
const TO_BOUNDARY: f64 = 0.995;
/// A right-hand side this many times as large as the least one, and 1, is that of a loose row.
const LOOSE: f64 = 1e3;
/// A step shorter than this is followed by one that mostly centres.
const SHORT: f64 = 0.2;

/// Where a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not at its target yet.
    Running,
    /// Residuals and gap are below the target.
    Reached,
    /// Looks infeasible or unbounded, stalls, or has used up its iterations.
    Stuck,
}

/// What is known of each lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) state: PerLane<State>,
    pub(crate) iterations: PerLane<usize>,
    /// The largest of the three relative residuals: primal, dual, gap.
    pub(crate) error: PerLane,
    started: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress {
            state: [State::Running; WIDEST],
            iterations: [0; WIDEST],
            error: [f64::INFINITY; WIDEST],
            started: false,
        }
    }
}

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) tolerance: f64,
    pub(crate) iterations: usize,
    /// The complementarity sᵢ·yᵢ to stay at (in scaled units, per lane): a point of the central path instead of the optimum.
    pub(crate) central: Option<PerLane>,
}

/// Working memory of the iterations, kept from group to group.
#[derive(Debug, Default)]
pub(crate) struct Work {
    arena: Arena,
}

/// The iterate, and everything that an iteration computes.
struct Parts<'a> {
    x: &'a mut [f64],
    y: &'a mut [f64],
    s: &'a mut [f64],
    r_d: &'a mut [f64],
    r_p: &'a mut [f64],
    qx: &'a mut [f64],
    cy: &'a mut [f64],
    dx: &'a mut [f64],
    dy: &'a mut [f64],
    ds: &'a mut [f64],
    sigma: &'a mut [f64],
    over_s: &'a mut [f64],
    over_y: &'a mut [f64],
    b_d: &'a mut [f64],
    b_p: &'a mut [f64],
    scratch: Scratch<'a>,
    panel: &'a mut [f64],
}

impl Work {
    fn parts(&mut self, size: Size, width: usize) -> Parts<'_> {
        let (n, r) = (size.n * width, size.r * width);
        let panel = if width == 1 { (size.r + 96) * size.n } else { 4 * r };
        let lengths = [n, r, r, n, r, n, n, n, r, r, r, r, r, n, r, n, r, n, r, panel];
        self.arena.reserve(lengths.iter().sum());
        let [x, y, s, r_d, r_p, qx, cy, dx, dy, ds, sigma, over_s, over_y, rest @ ..] =
            self.arena.cut(lengths);
        let [b_d, b_p, e_d, e_p, t_x, t_y, panel] = rest;
        let scratch = Scratch { e_d, e_p, t_x, t_y };
        Parts {
            x,
            y,
            s,
            r_d,
            r_p,
            qx,
            cy,
            dx,
            dy,
            ds,
            sigma,
            over_s,
            over_y,
            b_d,
            b_p,
            scratch,
            panel,
        }
    }

    /// The iterate of the last run: x, y, s.
    pub(crate) fn iterate(&mut self, size: Size, width: usize) -> [&mut [f64]; 3] {
        let p = self.parts(size, width);
        [p.x, p.y, p.s]
    }
}

/// Iterates until every lane that is running has reached the target or is stuck. Goes on from where the last call with this `progress` ended.
#[inline(always)]
pub(crate) fn interior_point<S: Simd>(
    simd: S,
    size: Size,
    f: &mut Fields<'_>,
    cost: &PerLane,
    work: &mut Work,
    progress: &mut Progress,
    target: Target,
) {
    let Size { n, p, r, .. } = size;
    let width = S::F64_LANES;
    let (m, from) = ((r - p) as f64, p * width);
    let mut v = work.parts(size, width);
    if !progress.started {
        start(simd, size, f, &mut v);
        progress.started = true;
    }
    let mut stalls = [0usize; WIDEST];
    let mut best = [f64::INFINITY; WIDEST];
    // After a short step, or without progress, the next one mostly centres, without the second-order term that assumes a long
    // step. (Mehrotra's corrector alone can cycle: Cartis, Some disadvantages of a Mehrotra-type primal-dual corrector interior point
    // algorithm for linear programming, 2009.)
    let mut blocked = [false; WIDEST];
    loop {
        let residuals = Residuals { r_d: v.r_d, r_p: v.r_p, qx: v.qx, cy: v.cy };
        let relative = residuals.compute(simd, size, f, cost, [v.x, v.y, v.s]);
        let off = match target.central {
            None => relative.gap,
            Some(mu) => off_center(simd, &v.s[from..], &v.y[from..], &mu),
        };
        judge(width, &relative, &off, target, progress, &mut stalls, &mut best);
        if !progress.state[..width].contains(&State::Running) {
            return;
        }
        let central = target.central;
        // Far from the solution a direction need not be exact; where it does not help, it is refined.
        let mut exact = [false; WIDEST];
        for l in 0..width {
            let near = p > 0 || central.is_some() || progress.error[l] < 1e-5 || stalls[l] > 0;
            exact[l] = near && progress.state[l] == State::Running;
        }
        // The factor of this iteration: σ = s/y + δ, and w = 1/σ.
        let weights = [&mut *v.sigma, &mut *f.w, &mut *v.over_s, &mut *v.over_y];
        let mu = store(simd, weigh(simd, from, [v.s, v.y], weights));
        gram(simd, (n, r), f.q_matrix, RHO, f.c_matrix, f.w, f.l, v.panel);
        cholesky(simd, n, 1e-300, f.l, f.inverse, &mut [0; WIDEST]);
        let kkt = Kkt {
            size,
            q_matrix: f.q_matrix,
            c_matrix: f.c_matrix,
            l: f.l,
            inverse: f.inverse,
            w: f.w,
            sigma: Some(v.sigma),
            rho: RHO,
        };
        let refine = Refinement { most: 3, tolerance: 1e-10, floor: 0.0 };
        // The predictor only says where to aim.
        let rough = Refinement { most: 0, tolerance: 1.0, floor: 0.0 };
        for (b, r) in v.b_d.iter_mut().zip(&*v.r_d) {
            *b = -r;
        }
        for (b, r) in v.b_p[..from].iter_mut().zip(&v.r_p[..from]) {
            *b = -r;
        }
        // Predictor: towards μ = 0. Right-hand side −r_p + r_c/y with r_c = s∘y.
        let mut center = [0.0; WIDEST];
        if central.is_none() && r > p {
            let given = [&*v.s, &*v.over_y, &*v.r_p, &*v.dy];
            aim(simd, from, given, [&mut *v.b_p, &mut *v.ds], None);
            kkt.solve(simd, (v.b_d, v.b_p), (v.dx, v.dy), &mut v.scratch, rough, &exact);
            let given = [&*v.s, &*v.y, &*v.over_s, &*v.over_y, &*v.dy];
            let slope = slide(simd, from, given, v.ds, 1.0);
            let (first, second) = (store(simd, slope.first), store(simd, slope.second));
            let shortest = store(simd, slope.shortest);
            for l in 0..width {
                let alpha = 1.0 / shortest[l];
                let ratio = (mu[l] + alpha * (first[l] + alpha * second[l])) / mu[l];
                let sigma = if blocked[l] { 0.5 } else { ratio * ratio * ratio };
                center[l] = sigma * mu[l] / m;
            }
        }
        if let Some(mu) = central {
            center = mu;
        }
        // Corrector: r_c = s∘y + ds∘dy − σμ.
        let mut second = [0.0; WIDEST];
        for l in 0..width {
            second[l] = if central.is_some() || blocked[l] { 0.0 } else { 1.0 };
        }
        let given = [&*v.s, &*v.over_y, &*v.r_p, &*v.dy];
        aim(simd, from, given, [&mut *v.b_p, &mut *v.ds], Some((&second, &center)));
        kkt.solve(simd, (v.b_d, v.b_p), (v.dx, v.dy), &mut v.scratch, refine, &exact);
        let given = [&*v.s, &*v.y, &*v.over_s, &*v.over_y, &*v.dy];
        let shortest = store(simd, slide(simd, from, given, v.ds, TO_BOUNDARY).shortest);
        let mut alpha = [0.0; WIDEST];
        for l in 0..width {
            let moving = progress.state[l] == State::Running;
            alpha[l] = if moving { TO_BOUNDARY / shortest[l] } else { 0.0 };
            blocked[l] = alpha[l] < SHORT || 3 <= stalls[l];
            progress.iterations[l] += usize::from(moving);
        }
        step(simd, v.x, v.dx, &alpha);
        step(simd, v.y, v.dy, &alpha);
        step(simd, &mut v.s[from..], &v.ds[from..], &alpha);
    }
}

/// x, y and s from one linear system, s and y shifted into the inside (Andersen, Dahl, Vandenberghe, CVXOPT 2013, section 7). The system is one
/// of least squares in which all rows count alike: loose ones, which would draw x towards their bounds, count as nearer than they are.
#[inline(always)]
fn start<S: Simd>(simd: S, size: Size, f: &mut Fields<'_>, v: &mut Parts<'_>) {
    let Size { n, p, r, .. } = size;
    let width = S::F64_LANES;
    f.w[..p * width].fill(1e4);
    f.w[p * width..].fill(1.0);
    gram(simd, (n, r), f.q_matrix, 1e-6, f.c_matrix, f.w, f.l, v.panel);
    cholesky(simd, n, 1e-300, f.l, f.inverse, &mut [0; WIDEST]);
    let limit = limits(simd, &f.c[p * width..]);
    if let Some(limit) = &limit {
        limited(simd, p * width, limit, f.c, v.b_p);
    }
    let c = if limit.is_some() { &*v.b_p } else { &*f.c };
    for i in 0..v.x.len() {
        v.x[i] = -f.q[i];
    }
    for i in 0..v.y.len() {
        v.y[i] = f.w[i] * c[i];
    }
    add_transposed(simd, (r, n), f.c_matrix, v.y, v.x);
    substitute(simd, n, f.l, f.inverse, v.x);
    product(simd, (r, n), f.c_matrix, v.x, v.y);
    for i in 0..v.y.len() {
        v.y[i] = f.w[i] * (v.y[i] - c[i]);
        v.s[i] = if i < p * width { 0.0 } else { -v.y[i] };
    }
    for part in [&mut v.y[p * width..], &mut v.s[p * width..]] {
        let mut least = [f64::INFINITY; WIDEST];
        for part in part.chunks_exact(width) {
            for l in 0..width {
                least[l] = if part[l] < least[l] { part[l] } else { least[l] };
            }
        }
        for part in part.chunks_exact_mut(width) {
            for l in 0..width {
                part[l] = if least[l] < 1e-2 { (part[l] - least[l]) + 1.0 } else { part[l] };
            }
        }
    }
    if let Some(limit) = &limit {
        // A loose row has all of its slack, and takes no part in μ beyond that of the others.
        for i in p * width..v.s.len() {
            let more = f.c[i] - c[i];
            if limit[i % width] < f.c[i] {
                v.s[i] += more;
                v.y[i] = v.y[i].min(1.0 / v.s[i]);
            }
        }
    }
}

/// In each lane the size from which on a right-hand side is far above the least one that is not 0: of a loose row, a bound that is there for form's
/// sake, say. `None` if no lane has such rows.
#[inline(always)]
fn limits<S: Simd>(simd: S, c: &[f64]) -> Option<PerLane> {
    let c = S::as_simd_f64s(c).0;
    let zero = simd.splat_f64s(0.0);
    let mut most = zero;
    for c in c {
        most = simd.max_f64s(magnitude(simd, *c), most);
    }
    let width = S::F64_LANES;
    if !store(simd, most)[..width].iter().any(|most| LOOSE < *most) {
        return None;
    }
    let mut least = simd.splat_f64s(f64::INFINITY);
    for c in c {
        let size = magnitude(simd, *c);
        let less = simd.and_m64s(simd.less_than_f64s(zero, size), simd.less_than_f64s(size, least));
        least = simd.select_f64s(less, size, least);
    }
    Some(store(simd, least).map(|least| LOOSE * (1.0 + least)))
}

/// `to` ← the right-hand sides with those of inequalities not beyond ±limit.
#[inline(always)]
fn limited<S: Simd>(simd: S, from: usize, limit: &PerLane, c: &[f64], to: &mut [f64]) {
    to[..from].copy_from_slice(&c[..from]);
    let limit = load(simd, limit);
    let low = simd.sub_f64s(simd.splat_f64s(0.0), limit);
    let to = S::as_mut_simd_f64s(&mut to[from..]).0;
    for (to, c) in to.iter_mut().zip(S::as_simd_f64s(&c[from..]).0) {
        *to = simd.max_f64s(simd.min_f64s(*c, limit), low);
    }
}

/// What follows from the residuals for each lane; `gap` is the gap, or the distance from the central path.
#[inline(always)]
fn judge(
    width: usize,
    relative: &Relative,
    gap: &PerLane,
    target: Target,
    progress: &mut Progress,
    stalls: &mut PerLane<usize>,
    best: &mut PerLane,
) {
    for l in 0..width {
        if progress.state[l] != State::Running {
            continue;
        }
        let error = worst([relative.primal[l], relative.dual[l], gap[l]]);
        progress.error[l] = error;
        let improved = error < 0.9 * best[l];
        best[l] = if improved { error } else { best[l] };
        stalls[l] = if improved { 0 } else { stalls[l] + 1 };
        if error <= target.tolerance {
            progress.state[l] = State::Reached;
        } else if error.is_nan()
            || relative.farkas[l]
            || 15 <= stalls[l]
            || target.iterations <= progress.iterations[l]
        {
            progress.state[l] = State::Stuck;
        }
    }
}

/// max |sᵢyᵢ/μ − 1|
#[inline(always)]
fn off_center<S: Simd>(_: S, s: &[f64], y: &[f64], mu: &PerLane) -> PerLane {
    let width = S::F64_LANES;
    let mut out = [0.0; WIDEST];
    for (s, y) in s.chunks_exact(width).zip(y.chunks_exact(width)) {
        for l in 0..width {
            let x = (s[l] * y[l] / mu[l] - 1.0).abs();
            out[l] = if x > out[l] || x.is_nan() { x } else { out[l] };
        }
    }
    out
}
