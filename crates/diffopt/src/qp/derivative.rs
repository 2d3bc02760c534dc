//! Which factors a derivative is made of: the solver's own where the solution is regular, others where the policy says so.

use std::sync::Arc;

use pulp::Simd;

use super::data::QpData;
use super::group::{Group, Size};
use super::interior_point::{Progress, State, Target, Work, interior_point};
use super::kkt::{Kkt, Scratch};
use super::local::{Local, Row, side, weakness};
use super::polish::{RHO, Room, STIFF, factor};
use super::sensitivity::{Piece, Point, QpDerivative, REFINE};
use super::solution::QpSolution;
use crate::degenerate::{Certificate, Degenerate, SINGULAR};
use crate::lanes::{Arena, PerLane, Task, WIDEST, cholesky, dispatch, gram, largest};
use crate::{Error, Result};

/// A relative residual below which a linear system is solved whatever stands on the right.
const CONSISTENT: f64 = 1e-9;

impl QpSolution {
    /// What is known about the derivative of an item's solution. Costs some O((n + p + m)³): eigenvalues and singular values.
    ///
    /// # Errors
    /// [`Error::NotSolved`]; [`Error::Invalid`] for an item outside of the batch, or without factors.
    pub fn certificate(&self, item: usize) -> Result<Certificate> {
        if self.batch <= item {
            let what = format!("item {item} of a batch of {}", self.batch);
            return Err(Error::invalid(&self.qp.name, what));
        }
        self.ensure_solved(item)?;
        let (group, lane) = self.place(item)?;
        Ok(Local::of(group, lane).certificate(self.weak(item), self.stats(item).residual))
    }

    /// The derivative of all solutions. Items that have none (not solved, or refused by the policy) do not hinder the others: a direction or a
    /// cotangent that is not 0 there is the error of that item.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a policy outside its domain and without factors, [`Error::Length`] for its direction; for one-sided derivatives those of
    /// [`QpSolution::directional`].
    pub fn derivative(self: &Arc<Self>, policy: &Degenerate) -> Result<QpDerivative> {
        self.ensure_factors()?;
        let why = |item| self.ensure_solved(item).err().map(|error| (item, error));
        let mut out = QpDerivative {
            moved: None,
            refused: (0..self.batch).filter_map(why).collect(),
            pieces: Vec::with_capacity(self.groups.len()),
            solution: self.clone(),
        };
        if let Degenerate::CentralPath(mu) = policy {
            if !(*mu > 0.0 && mu.is_finite()) {
                let what = format!("the central path at μ = {mu:e}, which is not positive");
                return Err(Error::invalid(&self.qp.name, what));
            }
            out.central(*mu);
            return Ok(out);
        }
        let side_of = match policy {
            Degenerate::OneSided(direction) => Some(self.direction(direction)?),
            _ => None,
        };
        for (k, group) in self.groups.iter().enumerate() {
            let first = k * group.width;
            let mut weak = self.with_weak_rows(group, first);
            if matches!(policy, Degenerate::Refuse | Degenerate::OneSided(_)) {
                self.add_nearly_singular(group, first, &mut weak);
            }
            let has = |l: &usize| weak[*l] && !out.refused.contains_key(&(first + l));
            let weak: Vec<usize> = (0..group.count).filter(has).collect();
            if weak.is_empty() {
                out.pieces.push(vec![Piece::whole(group.clone())]);
                continue;
            }
            let sides = self.sides_of(group, first);
            out.pieces.push(match policy {
                Degenerate::Refuse => {
                    for &l in &weak {
                        let (node, item) = (self.qp.name.clone(), first + l);
                        if let Some(why) = self.certificate(item)?.why_not() {
                            out.refused.insert(item, Error::NotDifferentiable { node, item, why });
                        }
                    }
                    vec![Piece::whole(group.clone())]
                }
                Degenerate::OneSided(_) => {
                    let mut modified = (**group).clone();
                    if let Some(direction) = &side_of {
                        for &l in &weak {
                            let side = self.side(first + l, direction)?;
                            modified.activate(l, |i| side.active[i]);
                        }
                    }
                    vec![Piece::whole(modified.refactored(self.size))]
                }
                _ => self.pair(policy, group, &sides, &weak),
            });
        }
        Ok(out)
    }

    /// The factors with the weak rows and without them, with the weights that the policy asks for.
    fn pair(
        &self,
        policy: &Degenerate,
        group: &Arc<Group>,
        sides: &[Vec<Row>],
        weak: &[usize],
    ) -> Vec<Piece> {
        let with = |weakly: bool| {
            let mut modified = (**group).clone();
            for &l in weak {
                modified.activate(l, |i| match sides[l][i] {
                    Row::Strong => true,
                    Row::Weak => weakly,
                    Row::Inactive => false,
                });
            }
            Piece::whole(modified.refactored(self.size))
        };
        let (mut active, mut inactive) = (with(true), with(false));
        for l in 0..group.width {
            let share = match policy {
                Degenerate::Active => 1.0,
                Degenerate::Inactive => 0.0,
                Degenerate::MinimumNorm if weak.contains(&l) => {
                    Local::of(group, l).least_norm_share(&sides[l])
                }
                _ => 0.5,
            };
            (active.weight[l], inactive.weight[l]) = (share, 1.0 - share);
        }
        match policy {
            Degenerate::Active => vec![active],
            Degenerate::Inactive => vec![inactive],
            _ => vec![active, inactive],
        }
    }

    /// A policy's direction as data. Errors: another number of slices than six, or their lengths.
    fn direction<'a>(&self, slices: &'a [Vec<f64>]) -> Result<QpData<'a>> {
        let [q_matrix, q, a, b, g, h] = slices else {
            let what = format!("a direction of {} slices, for six arguments", slices.len());
            return Err(Error::invalid(&self.qp.name, what));
        };
        let data = QpData::new(q_matrix, q, (a, b), (g, h));
        data.as_direction(&self.qp.name, self.batch, self.qp.sizes())
    }

    /// The group and the lane of an item. Errors: factors were not kept.
    pub(super) fn place(&self, item: usize) -> Result<(&Group, usize)> {
        self.ensure_factors()?;
        let width = self.groups[0].width;
        Ok((&self.groups[item / width], item % width))
    }

    fn ensure_factors(&self) -> Result<()> {
        if self.groups.is_empty() && 0 < self.batch {
            let what = "the factors were not kept (the setting `factors` is false): there is no derivative and no certificate";
            return Err(Error::invalid(&self.qp.name, what));
        }
        Ok(())
    }

    /// What counts as weak in an item.
    pub(super) fn weak(&self, item: usize) -> f64 {
        let stats = self.stats(item);
        weakness(self.qp.settings.weak, &[stats.polished; WIDEST], &[stats.residual; WIDEST])[0]
    }

    /// Which of a group's items have a row that is weakly active.
    fn with_weak_rows(&self, group: &Group, first: usize) -> PerLane<bool> {
        let f = group.view();
        let mut found = [false; WIDEST];
        for lane in 0..group.count {
            let weak = self.weak(first + lane);
            found[lane] = (self.size.p..self.size.r).any(|i| {
                let at = i * group.width + lane;
                side(false, f.s[at], f.y[at], weak) == Row::Weak
            });
        }
        found
    }

    /// Adds the items whose derivative's linear system may be singular: active rows that depend on each other, or no curvature. What the factor
    /// answers to a right-hand side without structure tells: a certificate costs far more.
    fn add_nearly_singular(&self, group: &Group, first: usize, found: &mut PerLane<bool>) {
        let near = dispatch(group.width > 1, Probe { group, size: self.size });
        for lane in 0..group.count {
            found[lane] |= self.is_solved(first + lane) && near[lane];
        }
    }

    /// The sides of all rows of a group's items.
    fn sides_of(&self, group: &Group, first: usize) -> Vec<Vec<Row>> {
        let f = group.view();
        let one = |lane: usize| {
            let weak = self.weak(first + lane);
            let row = |i: usize| {
                let at = i * group.width + lane;
                side(i < self.size.p, f.s[at], f.y[at], weak)
            };
            (0..self.size.r).map(row).collect()
        };
        (0..group.count).map(one).collect()
    }

    /// Errors: [`Error::NotSolved`].
    pub(super) fn ensure_solved(&self, item: usize) -> Result<()> {
        let status = self.status(item);
        if status.is_solved() {
            return Ok(());
        }
        Err(Error::NotSolved { node: self.qp.name.clone(), item, status: status.clone() })
    }
}

impl Piece {
    /// All of the derivative.
    fn whole(group: Arc<Group>) -> Self {
        Piece { weight: [1.0; WIDEST], group, sigma: None }
    }
}

impl Group {
    /// Sets which rows of a lane hold with equality.
    fn activate(&mut self, lane: usize, active: impl Fn(usize) -> bool) {
        let (width, r) = (self.width, self.size.r);
        let f = self.fields();
        for i in 0..r {
            f.active[i * width + lane] = f64::from(u8::from(active(i)));
        }
    }

    /// With the factor that belongs to its active rows.
    fn refactored(mut self, size: Size) -> Arc<Self> {
        dispatch(self.width > 1, Refactor { group: &mut self, size });
        Arc::new(self)
    }
}

struct Refactor<'a> {
    group: &'a mut Group,
    size: Size,
}

impl Task for Refactor<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        factor(simd, self.size, &mut self.group.fields(), &mut Room::default());
    }
}

struct Probe<'a> {
    group: &'a Group,
    size: Size,
}

impl Task for Probe<'_> {
    type Output = PerLane<bool>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Probe { group, size } = self;
        let (f, width) = (group.view(), S::F64_LANES);
        let mut arena = Arena::default();
        let lengths = [size.n, size.r].repeat(4);
        arena.reserve(lengths.iter().sum::<usize>() * width);
        let (n, r) = (size.n * width, size.r * width);
        let [r_d, r_p, u, v, e_d, e_p, t_x, t_y] = arena.cut([n, r, n, r, n, r, n, r]);
        for (i, b) in r_d.iter_mut().chain(&mut *r_p).enumerate() {
            *b = (2.399_963 * (i / width) as f64 + 1.0).sin();
        }
        let (q_matrix, c_matrix, w) = (f.q_matrix, f.c_matrix, f.w);
        let (l, inverse, sigma, rho) = (f.l, f.inverse, None, 0.0);
        let kkt = Kkt { size, q_matrix, c_matrix, l, inverse, w, sigma, rho };
        let mut scratch = Scratch { e_d, e_p, t_x, t_y };
        let all = [true; WIDEST];
        let residual = kkt.solve(simd, (r_d, r_p), (u, v), &mut scratch, REFINE, &all);
        let (u, v) = (largest(simd, u), largest(simd, v));
        let mut out = [false; WIDEST];
        for l in 0..width {
            let clear = residual[l] < CONSISTENT && u[l].max(v[l]) < 1e-2 / SINGULAR;
            out[l] = !clear;
        }
        out
    }
}

impl QpDerivative {
    /// All pieces at points of the central path; items that do not reach it keep their own.
    fn central(&mut self, mu: f64) {
        let s = self.solution.clone();
        let (n, p, m) = s.qp.sizes();
        let (nu, lambda) = s.all_multipliers();
        let mut point = Point { x: s.all_x().to_vec(), y: [nu.to_vec(), lambda.to_vec()] };
        for (k, group) in s.groups.iter().enumerate() {
            let mut moved = (**group).clone();
            let iterations = s.qp.settings.iterations;
            let task = Central { group: &mut moved, size: s.size, mu, iterations };
            let (sigma, reached) = dispatch(group.width > 1, task);
            for lane in 0..group.count {
                let item = k * group.width + lane;
                if self.refused.contains_key(&item) {
                    continue;
                }
                if !reached[lane] {
                    let why = format!("its central path was not reached at μ = {mu:e}");
                    let node = s.qp.name.clone();
                    self.refused.insert(item, Error::NotDifferentiable { node, item, why });
                    continue;
                }
                let local = Local::of(&moved, lane);
                for j in 0..n {
                    point.x[item * n + j] = local.x[j] * local.d[j];
                }
                let y = |i: usize| local.y[i] * local.e[i] / local.cost;
                (0..p).for_each(|i| point.y[0][item * p + i] = y(i));
                (0..m).for_each(|i| point.y[1][item * m + i] = y(p + i));
            }
            let piece = Piece { weight: [1.0; WIDEST], group: Arc::new(moved), sigma: Some(sigma) };
            self.pieces.push(vec![piece]);
        }
        self.moved = Some(point);
    }
}

struct Central<'a> {
    group: &'a mut Group,
    size: Size,
    mu: f64,
    iterations: usize,
}

impl Task for Central<'_> {
    /// diag(s/y), and which lanes arrived.
    type Output = (Vec<f64>, PerLane<bool>);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Central { group, size, mu, iterations } = self;
        let (cost, width) = (group.cost, S::F64_LANES);
        let mut f = group.fields();
        let (mut work, mut room, mut progress) =
            (Work::default(), Room::default(), Progress::new());
        // Slack times multiplier is k times as much in scaled units.
        let central = Some(cost.map(|k| k * mu));
        let target = Target { tolerance: 1e-9, iterations, central };
        if size.p < size.r {
            interior_point(simd, size, &mut f, &cost, &mut work, &mut progress, target);
            let [x, y, s] = work.iterate(size, width);
            f.x.copy_from_slice(x);
            f.y.copy_from_slice(y);
            f.s.copy_from_slice(s);
        } else {
            progress.state = [State::Reached; WIDEST];
        }
        let mut sigma = vec![0.0; f.w.len()];
        for i in 0..f.w.len() {
            sigma[i] = if i < size.p * width { 0.0 } else { f.s[i] / f.y[i] };
            f.w[i] = 1.0 / (sigma[i] + 1.0 / STIFF);
        }
        room.reserve(size, width);
        let panel = room.panel(size, width);
        gram(simd, (size.n, size.r), f.q_matrix, RHO, f.c_matrix, f.w, f.l, panel);
        cholesky(simd, size.n, 0.0, f.l, f.inverse, &mut [0; WIDEST]);
        (sigma, progress.state.map(|s| s == State::Reached))
    }
}

impl Local {
    /// The share t of the piece with all weak rows at which t·J₁ + (1 − t)·J₀ has the least norm, J being ∂x/∂(q, c) in scaled units.
    fn least_norm_share(&self, sides: &[Row]) -> f64 {
        let with = |weakly: bool| {
            let chosen = |i: &usize| match sides[*i] {
                Row::Strong => true,
                Row::Weak => weakly,
                Row::Inactive => false,
            };
            self.jacobian(&(0..self.r).filter(chosen).collect::<Vec<_>>())
        };
        let (Some(active), Some(inactive)) = (with(true), with(false)) else { return 0.5 };
        let (mut along, mut square) = (0.0, 0.0);
        for (a, b) in active.iter().zip(&inactive) {
            along += b * (a - b);
            square += (a - b) * (a - b);
        }
        if square > 0.0 { (-along / square).clamp(0.0, 1.0) } else { 0.5 }
    }

    /// ∂x/∂(−q, c): n × (n + r); `None` where the matrix is singular.
    fn jacobian(&self, active: &[usize]) -> Option<Vec<f64>> {
        let (n, k) = (self.n, self.n + active.len());
        let mut matrix = vec![0.0; k * k];
        for i in 0..n {
            matrix[i * k..i * k + n].copy_from_slice(&self.q_matrix[i * n..(i + 1) * n]);
        }
        for (a, &i) in active.iter().enumerate() {
            for (j, x) in self.row(i).iter().enumerate() {
                matrix[(n + a) * k + j] = *x;
                matrix[j * k + n + a] = *x;
            }
        }
        let mut inverse = vec![0.0; k * k];
        pullback_core_graph::linalg::inverse(1, k, &matrix, &mut inverse).ok()?;
        let mut out = vec![0.0; n * (n + self.r)];
        for i in 0..n {
            out[i * (n + self.r)..][..n].copy_from_slice(&inverse[i * k..i * k + n]);
            for (a, &row) in active.iter().enumerate() {
                out[i * (n + self.r) + n + row] = inverse[i * k + n + a];
            }
        }
        Some(out)
    }
}
