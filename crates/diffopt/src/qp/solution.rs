//! Solutions of a batch: values, multipliers, statuses, and what they say about derivatives.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::{Fields, Group, Size};
use super::solve::Qp;
use crate::Status;
use crate::lanes::{Arena, PerLane, Pool};

/// How the solve of one item went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
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
    pub(super) values: Values,
    pub(super) status: Vec<Status>,
    pub(super) stats: Vec<ItemStats>,
    /// Of the items that have one.
    pub(super) proofs: BTreeMap<usize, Vec<f64>>,
    pub(super) groups: Vec<Arc<Group>>,
}

/// x, ν, λ and slacks of all items, one after the other.
#[derive(Debug)]
pub(super) struct Values {
    arena: Arena,
    /// Where the memory goes afterwards.
    pool: Pool,
    lengths: [usize; 4],
}

/// The same of the items of one group, to write.
pub(super) struct Outputs<'a> {
    parts: [&'a mut [f64]; 4],
}

impl Clone for Values {
    /// Into memory of the pool, to which it will go back.
    fn clone(&self) -> Self {
        let arena = self.pool.copy(&self.arena, self.lengths.iter().sum());
        Values { arena, pool: self.pool.clone(), lengths: self.lengths }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.arena));
    }
}

impl Values {
    pub(super) fn new(batch: usize, (n, p, m): (usize, usize, usize), pool: &Pool) -> Self {
        let lengths = [n, p, m, m].map(|k| k * batch);
        Values { arena: pool.take(lengths.iter().sum()), pool: pool.clone(), lengths }
    }

    /// The places of groups of `width` items.
    pub(super) fn outputs(&mut self, batch: usize, width: usize) -> Vec<Outputs<'_>> {
        let mut rest = self.arena.cut(self.lengths);
        let each = self.lengths.map(|all| all / batch.max(1));
        let mut out = Vec::with_capacity(batch.div_ceil(width));
        for first in (0..batch).step_by(width) {
            let count = width.min(batch - first);
            let mut parts: [&mut [f64]; 4] = Default::default();
            for k in 0..4 {
                let all = std::mem::take(&mut rest[k]);
                (parts[k], rest[k]) = all.split_at_mut(count * each[k]);
            }
            out.push(Outputs { parts });
        }
        out
    }

    fn part(&self, k: usize) -> &[f64] {
        self.arena.view(self.lengths)[k]
    }
}

impl Outputs<'_> {
    /// A group's solution, in the user's units.
    #[inline(always)]
    pub(super) fn write(self, f: &Fields<'_>, cost: &PerLane, width: usize, size: Size) {
        let Size { unknowns, p, r, .. } = size;
        let [x, equality, inequality, slack] = self.parts;
        for lane in 0..x.len() / unknowns {
            let over_k = 1.0 / cost[lane];
            for i in 0..unknowns {
                let at = i * width + lane;
                x[lane * unknowns + i] = f.x[at] * f.d[at];
            }
            for i in 0..p {
                let at = i * width + lane;
                equality[lane * p + i] = f.y[at] * f.e[at] * over_k;
            }
            let m = r - p;
            for i in 0..m {
                let at = (p + i) * width + lane;
                inequality[lane * m + i] = f.y[at] * f.e[at] * over_k;
                slack[lane * m + i] = f.s[at] * f.e_inverse[at];
            }
        }
    }
}

impl QpSolution {
    /// The number of items.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// x* of an item; without meaning unless it is solved. Panics for an item outside of the batch, as do all that take one and give no
    /// `Result`.
    pub fn x(&self, item: usize) -> &[f64] {
        &self.all_x()[item * self.qp.n..(item + 1) * self.qp.n]
    }

    /// ν of an item's equalities.
    pub fn equality_multipliers(&self, item: usize) -> &[f64] {
        &self.values.part(1)[item * self.qp.p..(item + 1) * self.qp.p]
    }

    /// λ of an item's inequalities.
    pub fn inequality_multipliers(&self, item: usize) -> &[f64] {
        &self.values.part(2)[item * self.qp.m..(item + 1) * self.qp.m]
    }

    /// h − Gx of an item.
    pub fn slacks(&self, item: usize) -> &[f64] {
        &self.values.part(3)[item * self.qp.m..(item + 1) * self.qp.m]
    }

    /// All x, batch × n.
    pub fn all_x(&self) -> &[f64] {
        self.values.part(0)
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
        self.proofs.get(&item).map(Vec::as_slice)
    }

    /// Multipliers of all items: equalities, inequalities.
    pub fn all_multipliers(&self) -> (&[f64], &[f64]) {
        (self.values.part(1), self.values.part(2))
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
