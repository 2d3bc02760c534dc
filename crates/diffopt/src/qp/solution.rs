//! Solutions of a batch: values, multipliers, statuses, and what they say about derivatives.

use std::sync::Arc;

use super::group::{Fields, Group, Size};
use super::solve::{Ended, Qp};
use crate::Status;
use crate::lanes::PerLane;

/// How the solve of one item went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemStats {
    /// Interior-point iterations.
    pub iterations: usize,
    /// The largest of the relative residuals: primal, dual, gap.
    pub residual: f64,
    /// Is the solution that of the equality-constrained problem of its active rows, to rounding?
    pub polished: bool,
}

/// The solutions of a batch.
#[derive(Debug, Clone)]
pub struct QpSolution {
    pub(super) qp: Qp,
    pub(super) batch: usize,
    pub(super) size: Size,
    x: Vec<f64>,
    equality: Vec<f64>,
    inequality: Vec<f64>,
    slack: Vec<f64>,
    status: Vec<Status>,
    stats: Vec<ItemStats>,
    proofs: Vec<Vec<f64>>,
    pub(super) groups: Vec<Arc<Group>>,
}

impl QpSolution {
    pub(super) fn empty(qp: Qp, batch: usize, size: Size) -> Self {
        let (n, p, m) = qp.sizes();
        QpSolution {
            x: Vec::with_capacity(batch * n),
            equality: Vec::with_capacity(batch * p),
            inequality: Vec::with_capacity(batch * m),
            slack: Vec::with_capacity(batch * m),
            status: Vec::with_capacity(batch),
            stats: Vec::with_capacity(batch),
            proofs: Vec::with_capacity(batch),
            groups: Vec::new(),
            qp,
            batch,
            size,
        }
    }

    /// Appends the item of a lane, in the user's units.
    pub(super) fn push(&mut self, group: &Group, lane: usize, ended: Ended, stats: ItemStats) {
        let (width, k) = (group.width, group.cost[lane]);
        let (n, p, m) = self.qp.sizes();
        let f = group.view();
        let at = |i: usize| i * width + lane;
        self.x.extend((0..n).map(|i| f.x[at(i)] * f.d[at(i)]));
        self.equality.extend((0..p).map(|i| f.y[at(i)] * f.e[at(i)] / k));
        self.inequality.extend((p..p + m).map(|i| f.y[at(i)] * f.e[at(i)] / k));
        self.slack.extend((p..p + m).map(|i| f.s[at(i)] / f.e[at(i)]));
        self.status.push(ended.status);
        self.proofs.push(ended.proof);
        self.stats.push(stats);
    }

    /// The number of items.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// x* of an item; without meaning unless it is solved.
    pub fn x(&self, item: usize) -> &[f64] {
        &self.x[item * self.qp.n..(item + 1) * self.qp.n]
    }

    /// ν of an item's equalities.
    pub fn equality_multipliers(&self, item: usize) -> &[f64] {
        &self.equality[item * self.qp.p..(item + 1) * self.qp.p]
    }

    /// λ of an item's inequalities.
    pub fn inequality_multipliers(&self, item: usize) -> &[f64] {
        &self.inequality[item * self.qp.m..(item + 1) * self.qp.m]
    }

    /// h − Gx of an item.
    pub fn slacks(&self, item: usize) -> &[f64] {
        &self.slack[item * self.qp.m..(item + 1) * self.qp.m]
    }

    /// All x, batch × n.
    pub fn all_x(&self) -> &[f64] {
        &self.x
    }

    /// How an item ended.
    pub fn status(&self, item: usize) -> &Status {
        &self.status[item]
    }

    /// Does an item have a solution?
    pub fn is_solved(&self, item: usize) -> bool {
        self.status[item].is_solved()
    }

    /// How the solve of an item went.
    pub fn stats(&self, item: usize) -> ItemStats {
        self.stats[item]
    }

    /// The verified proof that an item has no solution; `None` where there is a solution or no proof.
    ///
    /// For [`Status::PrimalInfeasible`] multipliers (ν, λ ≥ 0) with Aᵀν + Gᵀλ = 0 and bᵀν + hᵀλ < 0; for
    /// [`Status::DualInfeasible`] a direction d with Qd = 0, Ad = 0, Gd ≤ 0 and qᵀd < 0.
    pub fn proof(&self, item: usize) -> Option<&[f64]> {
        Some(self.proofs[item].as_slice()).filter(|p| !p.is_empty())
    }

    /// Multipliers of all items: equalities, inequalities.
    pub fn all_multipliers(&self) -> (&[f64], &[f64]) {
        (&self.equality, &self.inequality)
    }
}

impl Group {
    /// This solution in the scaling of another group: x, y, s.
    pub(super) fn copy_scaled(&self, [x, y, s]: [&mut [f64]; 3], to: &Fields<'_>, cost: &PerLane) {
        let (width, mine) = (self.width, self.cost);
        let f = self.view();
        for i in 0..x.len() {
            x[i] = f.x[i] * f.d[i] / to.d[i];
        }
        for i in 0..y.len() {
            let lane = i % width;
            y[i] = f.y[i] * f.e[i] / mine[lane] * cost[lane] / to.e[i];
            s[i] = f.s[i] / f.e[i] * to.e[i];
        }
    }
}
