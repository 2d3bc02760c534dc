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

use super::group::{Fields, Size};
use super::kkt::{Kkt, Refinement, Scratch};
use super::residual::{Relative, Residuals, worst};
use crate::lanes::{
    Arena, PerLane, WIDEST, add_transposed, cholesky, dot, gram, product, substitute,
};

/// ρ and δ, in scaled units.
const RHO: f64 = 1e-9;
const DELTA: f64 = 1e-8;
/// How close a step may come to the boundary.
const TO_BOUNDARY: f64 = 0.995;
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
    b_d: &'a mut [f64],
    b_p: &'a mut [f64],
    scratch: Scratch<'a>,
    panel: &'a mut [f64],
}

impl Work {
    fn parts(&mut self, size: Size, width: usize) -> Parts<'_> {
        let (n, r) = (size.n * width, size.r * width);
        let panel = if width == 1 { (size.r + 96) * size.n } else { 4 * r };
        let lengths = [n, r, r, n, r, n, n, n, r, r, r, n, r, n, r, n, r, panel];
        self.arena.reserve(lengths.iter().sum());
        let [x, y, s, r_d, r_p, qx, cy, dx, dy, ds, sigma, b_d, b_p, e_d, e_p, t_x, t_y, panel] =
            self.arena.cut(lengths);
        let scratch = Scratch { e_d, e_p, t_x, t_y };
        Parts { x, y, s, r_d, r_p, qx, cy, dx, dy, ds, sigma, b_d, b_p, scratch, panel }
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
    let m = (r - p) as f64;
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
        let mu = dot(simd, &v.s[p * width..], &v.y[p * width..]);
        let off = match target.central {
            None => relative.gap,
            Some(mu) => off_center(simd, &v.s[p * width..], &v.y[p * width..], &mu),
        };
        judge(width, &relative, &off, target, progress, &mut stalls, &mut best);
        if !progress.state[..width].contains(&State::Running) {
            return;
        }
        // The factor of this iteration.
        for i in 0..r {
            for l in 0..width {
                let at = i * width + l;
                let ratio = if i < p { 0.0 } else { v.s[at] / v.y[at] };
                let sigma = ratio + DELTA;
                v.sigma[at] = sigma;
                f.w[at] = 1.0 / sigma;
            }
        }
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
        let refine = Refinement { most: 3, tolerance: 1e-10 };
        let central = target.central;
        // Predictor: towards μ = 0. Right-hand side −r_p + r_c/y with r_c = s∘y.
        let mut center = [0.0; WIDEST];
        if central.is_none() && r > p {
            for i in 0..v.b_d.len() {
                v.b_d[i] = -v.r_d[i];
            }
            for i in 0..v.b_p.len() {
                v.b_p[i] = -v.r_p[i] + v.s[i];
            }
            kkt.solve(simd, (v.b_d, v.b_p), (v.dx, v.dy), &mut v.scratch, refine);
            let mut alpha = [1.0; WIDEST];
            for i in p * width..r * width {
                v.ds[i] = -v.s[i] - v.s[i] / v.y[i] * v.dy[i];
            }
            lengths(width, &v.s[p * width..], &v.ds[p * width..], &mut alpha);
            lengths(width, &v.y[p * width..], &v.dy[p * width..], &mut alpha);
            let mut ahead = [0.0; WIDEST];
            for i in p..r {
                for l in 0..width {
                    let at = i * width + l;
                    ahead[l] += (v.s[at] + alpha[l] * v.ds[at]) * (v.y[at] + alpha[l] * v.dy[at]);
                }
            }
            for l in 0..width {
                let ratio = ahead[l] / mu[l];
                let sigma = if blocked[l] { 0.5 } else { ratio * ratio * ratio };
                center[l] = sigma * mu[l] / m;
            }
        }
        if let Some(mu) = central {
            center = mu;
        }
        // Corrector: r_c = s∘y + ds∘dy − σμ.
        for i in 0..v.b_d.len() {
            v.b_d[i] = -v.r_d[i];
        }
        for i in 0..p * width {
            v.b_p[i] = -v.r_p[i];
        }
        for i in p..r {
            for l in 0..width {
                let at = i * width + l;
                let plain = central.is_some() || blocked[l];
                let second = if plain { 0.0 } else { v.ds[at] * v.dy[at] };
                // ds keeps r_c/y until the step of s is known.
                v.ds[at] = v.s[at] + (second - center[l]) / v.y[at];
                v.b_p[at] = v.ds[at] - v.r_p[at];
            }
        }
        kkt.solve(simd, (v.b_d, v.b_p), (v.dx, v.dy), &mut v.scratch, refine);
        let mut alpha = [1.0 / TO_BOUNDARY; WIDEST];
        for i in p * width..r * width {
            v.ds[i] = -v.ds[i] - v.s[i] / v.y[i] * v.dy[i];
        }
        lengths(width, &v.s[p * width..], &v.ds[p * width..], &mut alpha);
        lengths(width, &v.y[p * width..], &v.dy[p * width..], &mut alpha);
        let mut moving = [false; WIDEST];
        for l in 0..width {
            moving[l] = progress.state[l] == State::Running;
            alpha[l] *= TO_BOUNDARY;
            blocked[l] = alpha[l] < SHORT || 3 <= stalls[l];
            progress.iterations[l] += usize::from(moving[l]);
        }
        step(width, v.x, v.dx, &alpha, &moving);
        step(width, v.y, v.dy, &alpha, &moving);
        step(width, &mut v.s[p * width..], &v.ds[p * width..], &alpha, &moving);
    }
}

/// v ← v + α·dv in the lanes that move.
#[inline(always)]
fn step(width: usize, v: &mut [f64], dv: &[f64], alpha: &PerLane, moving: &PerLane<bool>) {
    for (v, dv) in v.chunks_exact_mut(width).zip(dv.chunks_exact(width)) {
        for l in 0..width {
            v[l] = if moving[l] { v[l] + alpha[l] * dv[l] } else { v[l] };
        }
    }
}

/// The longest α, at most the one given, with v + α·dv ≥ 0.
#[inline(always)]
fn lengths(width: usize, v: &[f64], dv: &[f64], alpha: &mut PerLane) {
    for (v, dv) in v.chunks_exact(width).zip(dv.chunks_exact(width)) {
        for l in 0..width {
            // Where dv ≥ 0 the ratio is not positive and counts as none.
            let most = -v[l] / dv[l];
            alpha[l] = if dv[l] < 0.0 && most < alpha[l] { most } else { alpha[l] };
        }
    }
}

/// x, y and s from one linear system, s and y shifted into the inside (Andersen, Dahl, Vandenberghe, CVXOPT 2013, section 7).
#[inline(always)]
fn start<S: Simd>(simd: S, size: Size, f: &mut Fields<'_>, v: &mut Parts<'_>) {
    let Size { n, p, r, .. } = size;
    let width = S::F64_LANES;
    f.w[..p * width].fill(1e4);
    f.w[p * width..].fill(1.0);
    gram(simd, (n, r), f.q_matrix, 1e-6, f.c_matrix, f.w, f.l, v.panel);
    cholesky(simd, n, 1e-300, f.l, f.inverse, &mut [0; WIDEST]);
    for i in 0..v.x.len() {
        v.x[i] = -f.q[i];
    }
    for i in 0..v.y.len() {
        v.y[i] = f.w[i] * f.c[i];
    }
    add_transposed(simd, (r, n), f.c_matrix, v.y, v.x);
    substitute(simd, n, f.l, f.inverse, v.x);
    product(simd, (r, n), f.c_matrix, v.x, v.y);
    for i in 0..v.y.len() {
        v.y[i] = f.w[i] * (v.y[i] - f.c[i]);
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
                part[l] = if least[l] < 1e-2 { part[l] + (1.0 - least[l]) } else { part[l] };
            }
        }
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
