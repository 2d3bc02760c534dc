//! The solver: groups of problems through interior point and polish, over all threads.

use std::sync::Arc;

use pulp::Simd;
use rayon::prelude::*;

use super::data::QpData;
use super::group::{Group, Size};
use super::infeasible::diagnose;
use super::interior_point::{Progress, State, Target, Work, interior_point};
use super::polish::{Polished, Room, factor, polish};
use super::residual::{row_violation, worst};
use super::solution::{ItemStats, Outputs, QpSolution, Values};
use crate::lanes::{PerLane, Pool, Task, WIDEST, cholesky, dispatch, gram, width};
use crate::{Error, Result, Status};

/// What the solver is told. The defaults suit f64 data of any scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The largest relative residual (primal, dual, gap) of a solution. Default 10⁻⁸. With `polish` most solutions are at rounding,
    /// whatever this is.
    pub tolerance: f64,
    /// The most interior-point iterations. Default 100.
    pub iterations: usize,
    /// Solve the equality-constrained problem of the active rows, starting as soon as the interior point is at 10⁻⁴. Default true.
    pub polish: bool,
    /// The most scaling passes. Default 8; data whose columns and rows are within a factor of 16 of each other are left alone.
    pub scaling: usize,
    /// A row whose slack and multiplier are both below this, in scaled units, counts as weakly active. Default 10⁻⁷.
    pub weak: f64,
    /// Prove infeasibility or unboundedness of items that do not converge. Default true.
    pub diagnose: bool,
    /// Keep the factors, for derivatives, certificates and warm starts. Default true. Without them a solution is its values and statuses, and large
    /// batches of small programs are solved faster, for a program of six unknowns and its factors are 2 kB.
    pub factors: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tolerance: 1e-8,
            iterations: 100,
            polish: true,
            scaling: 8,
            weak: 1e-7,
            diagnose: true,
            factors: true,
        }
    }
}

/// The sizes of a quadratic program, and how to solve it.
///
/// ```
/// use pullback_diffopt::qp::{Qp, QpData};
/// # fn main() -> pullback_diffopt::Result<()> {
/// // min ½‖x − (1, −2)‖² subject to x ≥ 0, twice: the second time around (3, 4).
/// let qp = Qp::new(2).inequalities(2);
/// let data = QpData::inequalities(
///     &[1.0, 0.0, 0.0, 1.0],                   // Q, shared
///     &[-1.0, 2.0, -3.0, -4.0],                // q, one for each item
///     &[-1.0, 0.0, 0.0, -1.0],                 // −x ≤ 0
///     &[0.0, 0.0],
/// );
/// let solution = qp.solve(2, &data)?;
/// assert!(solution.is_solved(0) && solution.is_solved(1));
/// assert!((solution.x(0)[0] - 1.0).abs() < 1e-12 && solution.x(0)[1].abs() < 1e-12);
/// assert!((solution.inequality_multipliers(0)[1] - 2.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Qp {
    pub(super) name: String,
    pub(super) n: usize,
    pub(super) p: usize,
    pub(super) m: usize,
    pub(super) settings: Settings,
    /// Memory of solutions that are gone, for those to come: of groups, and of values.
    pool: Pool,
    outputs: Pool,
}

impl Qp {
    /// A problem of n unknowns without constraints.
    pub fn new(n: usize) -> Self {
        Qp {
            name: "qp".into(),
            n,
            p: 0,
            m: 0,
            settings: Settings::default(),
            pool: Pool::default(),
            outputs: Pool::default(),
        }
    }

    /// The number of rows of Ax = b.
    #[must_use]
    pub fn equalities(mut self, p: usize) -> Self {
        self.p = p;
        self
    }

    /// The number of rows of Gx ≤ h.
    #[must_use]
    pub fn inequalities(mut self, m: usize) -> Self {
        self.m = m;
        self
    }

    /// The name that errors and drawings show. Default: `qp`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Unknowns, equalities and inequalities.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.n, self.p, self.m)
    }

    /// Solves a batch.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Invalid`] for settings outside their domain. What is wrong with one item's numbers is its [`Status`].
    pub fn solve(&self, batch: usize, data: &QpData<'_>) -> Result<QpSolution> {
        self.run(batch, data, None)
    }

    /// Solves a batch, starting from the active rows of another solution of the same sizes. Where they are the right ones, or nearly so,
    /// no interior-point iteration is made; else the item starts cold.
    ///
    /// # Errors
    /// As of [`Qp::solve`]; [`Error::Invalid`] if the solution is of other sizes.
    pub fn solve_from(
        &self,
        start: &QpSolution,
        batch: usize,
        data: &QpData<'_>,
    ) -> Result<QpSolution> {
        if start.qp.sizes() != self.sizes() || start.batch != batch {
            let what = format!(
                "a start of sizes {:?} and batch {}, for sizes {:?} and batch {batch}",
                start.qp.sizes(),
                start.batch,
                self.sizes()
            );
            return Err(Error::invalid(&self.name, what));
        }
        self.run(batch, data, Some(start))
    }

    fn check(&self) -> Result<()> {
        let Settings { tolerance, weak, iterations, .. } = self.settings;
        for (name, x) in [("tolerance", tolerance), ("weak", weak)] {
            if !(x > 0.0 && x < 1.0) {
                let what = format!("the setting {name} is {x:e}, outside (0, 1)");
                return Err(Error::invalid(&self.name, what));
            }
        }
        if iterations == 0 {
            return Err(Error::invalid(&self.name, "no iterations are allowed"));
        }
        if self.n == 0 {
            return Err(Error::invalid(&self.name, "a problem without unknowns"));
        }
        // A group of eight keeps some 8·(2n + r + 8)·(n + r + 1) numbers.
        let rows = self.p.checked_add(self.m).and_then(|r| r.checked_add(self.n + 8));
        if rows.and_then(|k| k.checked_mul(k)).is_none_or(|k| 1 << 40 < k) {
            let (n, p, m) = self.sizes();
            let what = format!(
                "{n} unknowns, {p} equalities and {m} inequalities are too many for dense matrices"
            );
            return Err(Error::invalid(&self.name, what));
        }
        Ok(())
    }

    /// What stands for a Q or a q that is not given. Errors: it does not fit into memory.
    fn zeros(&self, data: &QpData<'_>) -> Result<Vec<f64>> {
        let length = match (data.q_matrix.is_empty(), data.q.is_empty()) {
            (true, _) => self.n * self.n,
            (false, true) => self.n,
            (false, false) => 0,
        };
        let mut zeros = Vec::new();
        if zeros.try_reserve_exact(length).is_err() {
            let what = format!("{0}×{0} numbers of Q do not fit into memory", self.n);
            return Err(Error::invalid(&self.name, what));
        }
        zeros.resize(length, 0.0);
        Ok(zeros)
    }

    fn run(
        &self,
        batch: usize,
        data: &QpData<'_>,
        start: Option<&QpSolution>,
    ) -> Result<QpSolution> {
        self.check()?;
        let zeros = self.zeros(data)?;
        let data = data.laid_out(&self.name, batch, self.sizes(), &zeros)?;
        let size = Size::new(self.n, self.p, self.m);
        let wide = size.wide();
        let w = if wide { width() } else { 1 };
        let mut values = Values::new(batch, self.sizes(), &self.outputs);
        let (mut status, mut stats) =
            (vec![Status::Solved; batch], vec![ItemStats::default(); batch]);
        let solve = |work: &mut (Work, Room), (k, (out, (status, stats))): (usize, Place<'_>)| {
            let first = k * w;
            let count = w.min(batch - first);
            let warm = start.and_then(|s| s.groups.get(k)).map(|g| &**g).filter(|g| g.width == w);
            let (settings, pool) = (self.settings, &self.pool);
            let one = One { settings, size, data: &data, first, count, warm, pool, out, work };
            let (group, ends) = dispatch(wide, one);
            let mut proofs = Vec::new();
            for lane in 0..count {
                stats[lane] = ItemStats {
                    iterations: ends.iterations[lane],
                    residual: ends.error[lane],
                    polished: ends.polished[lane],
                };
                let ended = self.status(&data, first + lane, lane, &group, &ends);
                status[lane] = ended.status;
                if !ended.proof.is_empty() {
                    proofs.push((first + lane, ended.proof));
                }
            }
            (settings.factors.then(|| Arc::new(group)), proofs)
        };
        let ends = status.chunks_mut(w).zip(stats.chunks_mut(w));
        let places: Vec<(usize, Place<'_>)> =
            values.outputs(batch, w).into_iter().zip(ends).enumerate().collect();
        let solved: Vec<_> = if places.len() < 2 || rayon::current_num_threads() == 1 {
            let mut work = Default::default();
            places.into_iter().map(|place| solve(&mut work, place)).collect()
        } else {
            places.into_par_iter().map_init(Default::default, solve).collect()
        };
        let (groups, proofs): (Vec<_>, Vec<_>) = solved.into_iter().unzip();
        let groups = groups.into_iter().flatten().collect();
        let proofs = proofs.into_iter().flatten().collect();
        let qp = self.clone();
        Ok(QpSolution { qp, batch, size, values, status, stats, proofs, groups })
    }

    fn status(
        &self,
        data: &QpData<'_>,
        item: usize,
        lane: usize,
        group: &Group,
        ends: &Ends,
    ) -> Ended {
        if !ends.finite[lane]
            && let Some((argument, index, value)) = data.first_not_finite(item)
        {
            return Ended::plain(Status::NotFinite { argument, index, value });
        }
        if ends.solved[lane] && !ends.curved[lane] {
            return Ended::plain(Status::Solved);
        }
        diagnose(self, group, lane, (ends.iterations[lane], ends.error[lane]), !ends.curved[lane])
            .unwrap_or_else(|| {
                Ended::plain(if ends.solved[lane] {
                    Status::Solved
                } else {
                    Status::NotConverged {
                        iterations: ends.iterations[lane],
                        residual: ends.error[lane],
                    }
                })
            })
    }
}

/// Where a group's values, statuses and figures go.
type Place<'a> = (Outputs<'a>, (&'a mut [Status], &'a mut [ItemStats]));

/// A status, and the proof that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) status: Status,
    pub(super) proof: Vec<f64>,
}

impl Ended {
    pub(super) fn plain(status: Status) -> Self {
        Ended { status, proof: Vec::new() }
    }
}

/// How the lanes of a group ended.
pub(super) struct Ends {
    /// All numbers of the data are.
    finite: PerLane<bool>,
    solved: PerLane<bool>,
    polished: PerLane<bool>,
    /// Q + a little has a pivot that is not positive: it may not be convex.
    curved: PerLane<bool>,
    iterations: PerLane<usize>,
    error: PerLane,
}

/// One group, from its data to its solution.
struct One<'a> {
    settings: Settings,
    size: Size,
    data: &'a QpData<'a>,
    first: usize,
    count: usize,
    warm: Option<&'a Group>,
    pool: &'a Pool,
    out: Outputs<'a>,
    work: &'a mut (Work, Room),
}

impl Task for One<'_> {
    type Output = (Group, Ends);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let One { settings, size, data, first, count, warm, pool, out, work: (work, room) } = self;
        let width = S::F64_LANES;
        let mut group = Group::new(size, width, pool);
        let finite = group.load(simd, data, first, count, settings.scaling);
        room.reserve(size, width);
        let curved = curved(simd, size, &mut group, room);
        let cost = group.cost;
        let mut f = group.fields();
        let mut progress = Progress::new();
        let mut open = [false; WIDEST];
        open[..width].fill(true);
        let mut ends = Ends {
            finite,
            solved: [false; WIDEST],
            polished: [false; WIDEST],
            curved,
            iterations: [0; WIDEST],
            error: [f64::INFINITY; WIDEST],
        };
        let settle = |ends: &mut Ends, open: &mut PerLane<bool>, p: &Polished| {
            for l in 0..width {
                if open[l] && p.good[l] {
                    (ends.solved[l], ends.polished[l], ends.error[l]) = (true, true, p.error[l]);
                    open[l] = false;
                }
            }
        };
        let sharp = settings.tolerance.min(1e-9);
        if size.r == size.p || warm.is_some() {
            // Without inequalities there is nothing to guess; with a solution nearby the guess is its set.
            let [x, y, s] = work.iterate(size, width);
            match warm {
                Some(warm) => warm.copy_scaled([&mut *x, &mut *y, &mut *s], &f, &cost),
                None => [x, y, s].into_iter().for_each(|v| v.fill(0.0)),
            }
            let passes = if warm.is_some() { 4 } else { 1 };
            let tolerance = if warm.is_some() { sharp } else { settings.tolerance };
            let done = polish(simd, size, &mut f, &cost, work, room, &open, (passes, tolerance));
            settle(&mut ends, &mut open, &done);
        }
        let mut dirty = false;
        if size.p < size.r && open[..width].contains(&true) {
            // Coarse and hopeful; to the tolerance; and as far as it goes, for rows that are weakly active or nearly so.
            let tolerance = settings.tolerance;
            let stages = [(tolerance.max(1e-4), 3), (tolerance, 10), (tolerance.min(1e-13), 10)];
            for (stage, (accuracy, passes)) in stages.into_iter().enumerate() {
                if stage != 1 && !settings.polish {
                    continue;
                }
                for l in 0..width {
                    // The last stage is for what has a solution already.
                    let run = open[l] && (stage < 2 || progress.error[l] <= tolerance);
                    progress.state[l] = if run { State::Running } else { State::Reached };
                }
                let target =
                    Target { tolerance: accuracy, iterations: settings.iterations, central: None };
                interior_point(simd, size, &mut f, &cost, work, &mut progress, target);
                dirty = true;
                for l in 0..width {
                    if open[l] {
                        ends.iterations[l] = progress.iterations[l];
                        ends.error[l] = progress.error[l];
                    }
                }
                if settings.polish {
                    let mut near = open;
                    for l in 0..width {
                        near[l] &= progress.error[l] < 1e-2;
                    }
                    let tolerance = if stage == 0 { sharp } else { settings.tolerance };
                    let done =
                        polish(simd, size, &mut f, &cost, work, room, &near, (passes, tolerance));
                    settle(&mut ends, &mut open, &done);
                    dirty = false;
                }
                if !open[..width].contains(&true) {
                    break;
                }
            }
        }
        // What could not be polished keeps the interior point, and the guess of its active rows.
        for l in 0..width {
            if open[l] && size.p < size.r {
                let [x, y, s] = work.iterate(size, width);
                for i in 0..size.n {
                    f.x[i * width + l] = x[i * width + l];
                }
                for i in 0..size.r {
                    let at = i * width + l;
                    let active = i < size.p || s[at] < y[at];
                    (f.y[at], f.s[at]) = (y[at], s[at]);
                    f.active[at] = f64::from(u8::from(active));
                }
                ends.error[l] = worst([progress.error[l], row_violation(size, width, l, &f), 0.0]);
                ends.solved[l] = ends.error[l] <= settings.tolerance;
                dirty = true;
            }
        }
        if dirty {
            factor(simd, size, &mut f, room);
        }
        out.write(&f, &cost, width, size);
        (group, ends)
    }
}

/// Which lanes have a Q that may not be positive semidefinite?
#[inline(always)]
fn curved<S: Simd>(simd: S, size: Size, group: &mut Group, room: &mut Room) -> PerLane<bool> {
    let mut replaced = [0; WIDEST];
    let f = group.fields();
    let panel = room.panel(size, S::F64_LANES);
    gram(simd, (size.n, 0), f.q_matrix, 1e-9, &[], &[], f.l, panel);
    cholesky(simd, size.n, 0.0, f.l, f.inverse, &mut replaced);
    replaced.map(|k| k > 0)
}
