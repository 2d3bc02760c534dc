//! The derivative of the solution: (dQ, dq, dA, db, dG, dh) ↦ (dx, dν, dλ), and its transpose.
//!
//! With C = [A; G], c = [b; h], y = [ν; λ] and J the rows of C that hold with equality, differentiating Qx + q + Cᵀy = 0 and
//! Jx = c_J gives
//!
//! > [Q  Jᵀ] [dx  ]   [−(dQ·x + dq + dCᵀy)]
//! > [J  0 ] [dy_J] = [dc_J − dJ·x        ],   dy = 0 elsewhere.
//!
//! The matrix is symmetric, so one solve (u, v) of it with (x̄, ȳ_J) on the right is the transpose: q̄ = −u, Q̄ = −½(uxᵀ + xuᵀ), c̄ = v,
//! C̄ = −(yuᵀ + vxᵀ). At a point of the central path the zero block is −diag(s/y) instead, and everything else the same.
//!
//! Source: the implicit function theorem on the KKT conditions (Fiacco, Introduction to Sensitivity and Stability Analysis in Nonlinear
//! Programming, 1983, theorem 3.2.2); Amos and Kolter, OptNet, 2017, equations 6 to 8.

use std::collections::BTreeMap;
use std::sync::Arc;

use pullback_core_graph::zeroed;
use pulp::Simd;
use rayon::prelude::*;

use super::data::QpData;
use super::gradient::{Gradients, Solved};
use super::group::{Group, Size};
use super::kkt::{Kkt, Refinement, Scratch};
use super::solution::QpSolution;
use crate::lanes::{Arena, PerLane, Task, WIDEST, dispatch};
use crate::{Error, Result};

/// How exactly the linear systems of derivatives are solved, and from which relative residual on they count as unsolvable.
pub(super) const REFINE: Refinement = Refinement { most: 10, tolerance: 1e-14, floor: 0.0 };
const UNSOLVABLE: f64 = 1e-6;

/// Directions or cotangents of the solution: x \[batch×n\], ν \[batch×p\], λ \[batch×m\].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QpTangent {
    /// Of x.
    pub x: Vec<f64>,
    /// Of ν.
    pub equality: Vec<f64>,
    /// Of λ.
    pub inequality: Vec<f64>,
}

/// One factor with a weight for each lane; the derivative of a group is the weighted sum over its pieces.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) weight: PerLane,
    pub(super) group: Arc<Group>,
    /// diag(s/y) at a point of the central path.
    pub(super) sigma: Option<Vec<f64>>,
}

/// The derivative of a batch of solutions, made by [`QpSolution::derivative`].
#[derive(Debug, Clone)]
pub struct QpDerivative {
    pub(super) solution: Arc<QpSolution>,
    /// The point, where it is not the solution.
    pub(super) moved: Option<Point>,
    pub(super) pieces: Vec<Vec<Piece>>,
    /// Why items have no derivative.
    pub(super) refused: BTreeMap<usize, Error>,
}

/// Where a derivative is taken: x, and ν and λ.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) x: Vec<f64>,
    pub(super) y: [Vec<f64>; 2],
}

impl QpDerivative {
    /// The solutions that this is the derivative at.
    pub fn solution(&self) -> &QpSolution {
        &self.solution
    }

    /// Why an item has no derivative; `None` if it has one.
    pub fn refusal(&self, item: usize) -> Option<&Error> {
        self.refused.get(&item)
    }

    /// x, and ν and λ, where the derivative is taken.
    fn point(&self) -> (&[f64], [&[f64]; 2]) {
        match &self.moved {
            Some(Point { x, y: [nu, lambda] }) => (x, [nu, lambda]),
            None => {
                let (nu, lambda) = self.solution.all_multipliers();
                (self.solution.all_x(), [nu, lambda])
            }
        }
    }

    /// The forward chain rule. An empty slice is a zero direction; a slice of one item's length is a direction that all items share.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::NotDifferentiable`] where no direction of the solution belongs to this one of the data.
    pub fn push(&self, direction: &QpData<'_>) -> Result<QpTangent> {
        let s = &*self.solution;
        let (n, p, m) = s.qp.sizes();
        let (batch, r) = (s.batch, p + m);
        let direction = direction.as_direction(&s.qp.name, batch, (n, p, m))?;
        let (all_x, [nu, lambda]) = self.point();
        let (mut right_d, mut right_p) = (vec![0.0; batch * n], vec![0.0; batch * r]);
        for item in 0..batch {
            let parts = direction.item(item);
            // An item without a solution may have no numbers either; a zero direction of it is one of nothing.
            if self.refused.contains_key(&item) && parts.iter().all(|d| zero(d)) {
                continue;
            }
            let [dq_matrix, dq, da, db, dg, dh] = parts;
            let x = &all_x[item * n..(item + 1) * n];
            let out = &mut right_d[item * n..(item + 1) * n];
            for (out, dq) in out.iter_mut().zip(dq) {
                *out -= dq;
            }
            if !dq_matrix.is_empty() {
                for i in 0..n {
                    for j in 0..n {
                        out[i] -= 0.5 * (dq_matrix[i * n + j] + dq_matrix[j * n + i]) * x[j];
                    }
                }
            }
            let y = [&nu[item * p..(item + 1) * p], &lambda[item * m..(item + 1) * m]];
            let parts = [(da, db, y[0], 0..p), (dg, dh, y[1], p..r)];
            for (dc_matrix, dc, y, rows) in parts {
                let down = &mut right_p[item * r + rows.start..item * r + rows.end];
                for (down, dc) in down.iter_mut().zip(dc) {
                    *down += dc;
                }
                for (i, row) in dc_matrix.chunks_exact(n).enumerate() {
                    for j in 0..n {
                        out[j] -= row[j] * y[i];
                        down[i] -= row[j] * x[j];
                    }
                }
            }
        }
        let (dx, dy) = self.solve(&right_d, &right_p, Vec::new(), true)?;
        Ok(self.split(dx, &dy))
    }

    /// (dx, dy) with y = (ν, λ) taken apart.
    fn split(&self, x: Vec<f64>, y: &[f64]) -> QpTangent {
        let (_, p, m) = self.solution.qp.sizes();
        let mut out = QpTangent { x, ..QpTangent::default() };
        if p + m > 0 {
            for y in y.chunks_exact(p + m) {
                out.equality.extend_from_slice(&y[..p]);
                out.inequality.extend_from_slice(&y[p..]);
            }
        }
        out
    }

    /// The backward chain rule: cotangents of the six arguments Q, q, A, b, G, h that are marked in `wrt`, empty for the others. Those that
    /// are marked in `shared` are summed over the batch.
    ///
    /// # Errors
    /// As of [`QpDerivative::push`]. Empty slices of `cotangent` are zero.
    pub fn pull(
        &self,
        cotangent: &QpTangent,
        wrt: [bool; 6],
        shared: [bool; 6],
    ) -> Result<[Vec<f64>; 6]> {
        let mut out = Default::default();
        self.pull_into(cotangent, wrt, shared, &mut out)?;
        Ok(out)
    }

    /// [`QpDerivative::pull`] into vectors that may come from an earlier call: their memory is used again, which spares large batches a page
    /// fault for every 4 KiB. After an error their contents have no meaning.
    ///
    /// # Errors
    /// As of [`QpDerivative::pull`].
    pub fn pull_into(
        &self,
        cotangent: &QpTangent,
        wrt: [bool; 6],
        shared: [bool; 6],
        out: &mut [Vec<f64>; 6],
    ) -> Result<()> {
        let s = &*self.solution;
        let (n, p, m) = s.qp.sizes();
        let (batch, r) = (s.batch, p + m);
        let mut right_p = vec![0.0; batch * r];
        for (argument, slice, width, at) in [
            ("the cotangent of ν", &cotangent.equality, p, 0),
            ("the cotangent of λ", &cotangent.inequality, m, p),
        ] {
            if slice.is_empty() {
                continue;
            }
            s.expect(argument, width, slice.len())?;
            for (row, part) in right_p.chunks_exact_mut(r).zip(slice.chunks_exact(width)) {
                row[at..at + width].copy_from_slice(part);
            }
        }
        let zeros;
        let right_d = if cotangent.x.is_empty() {
            zeros = vec![0.0; batch * n];
            &zeros
        } else {
            s.expect("the cotangent of x", n, cotangent.x.len())?;
            &cotangent.x
        };
        // What belongs to one item is written where that item is solved.
        let each = [n * n, n, p * n, p, m * n, m];
        for (k, out) in out.iter_mut().enumerate() {
            let length = if wrt[k] && !shared[k] { batch * each[k] } else { 0 };
            // What is there is written over.
            if out.capacity() < length {
                *out = zeroed(length);
            } else {
                out.resize(length, 0.0);
            }
        }
        let mut rest = out.each_mut().map(|all| &mut all[..]);
        let take = |group: &Arc<Group>| {
            let mut parts: Gradients<'_> = Default::default();
            for k in 0..6 {
                let size = if rest[k].is_empty() { 0 } else { group.count * each[k] };
                (parts[k], rest[k]) = std::mem::take(&mut rest[k]).split_at_mut(size);
            }
            parts
        };
        let places = s.groups.iter().map(take).collect();
        let sums = (0..6).any(|k| wrt[k] && shared[k]);
        let (u, v) = self.solve(right_d, &right_p, places, sums)?;
        let (x, [nu, lambda]) = self.point();
        for k in (0..6).filter(|&k| wrt[k] && shared[k]) {
            out[k] = vec![0.0; each[k]];
            for item in (0..batch).filter(|item| !self.refused.contains_key(item)) {
                let solved = Solved {
                    x: &x[item * n..(item + 1) * n],
                    y: [&nu[item * p..(item + 1) * p], &lambda[item * m..(item + 1) * m]],
                    u: &u[item * n..(item + 1) * n],
                    v: &v[item * r..(item + 1) * r],
                };
                solved.gradient(k, &mut out[k], |sum, term| *sum += term);
            }
        }
        Ok(())
    }

    /// (u, v) of K·(u, v) = right-hand sides, item by item, in the user's units; empty if nobody wants to `keep` them.
    /// Each group's gradients are written to its place in `gradients`, if there are places.
    fn solve(
        &self,
        right_d: &[f64],
        right_p: &[f64],
        gradients: Vec<Gradients<'_>>,
        keep: bool,
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let s = &*self.solution;
        let (n, p, m) = s.qp.sizes();
        let r = p + m;
        for (&item, error) in &self.refused {
            if !zero(&right_d[item * n..(item + 1) * n])
                || !zero(&right_p[item * r..(item + 1) * r])
            {
                return Err(error.clone());
            }
        }
        let wide = s.size.wide();
        let point = self.point();
        let one =
            |arena: &mut Arena,
             (k, (pieces, gradients)): (usize, (&Vec<Piece>, Option<Gradients<'_>>))| {
                let first = k * pieces.first().map_or(1, |p| p.group.width);
                let (refused, size) = (&self.refused, s.size);
                let right = (right_d, right_p);
                dispatch(
                    wide,
                    Solve { first, pieces, size, right, refused, point, gradients, arena },
                )
            };
        let mut places = gradients.into_iter().map(Some);
        let tasks: Vec<_> =
            self.pieces.iter().map(|pieces| (pieces, places.next().flatten())).collect();
        let parts: Vec<_> = if tasks.len() < 2 || rayon::current_num_threads() == 1 {
            let mut arena = Arena::default();
            tasks.into_iter().enumerate().map(|task| one(&mut arena, task)).collect()
        } else {
            tasks.into_par_iter().enumerate().map_init(Arena::default, one).collect()
        };
        let kept = if keep { s.batch } else { 0 };
        let (mut u, mut v) = (Vec::with_capacity(kept * n), Vec::with_capacity(kept * r));
        let mut item = 0;
        for (part_u, part_v, residual, count) in parts {
            for lane in 0..count {
                let bad = residual[lane].is_nan() || UNSOLVABLE < residual[lane];
                if bad && !self.refused.contains_key(&(item + lane)) {
                    return Err(s.unsolvable(item + lane, residual[lane]));
                }
            }
            if keep {
                u.extend(part_u);
                v.extend(part_v);
            }
            item += count;
        }
        Ok((u, v))
    }
}

fn zero(v: &[f64]) -> bool {
    v.iter().all(|v| *v == 0.0)
}

impl QpSolution {
    /// Checks the length of a cotangent.
    fn expect(&self, argument: &'static str, one: usize, got: usize) -> Result<()> {
        if got == one * self.batch {
            return Ok(());
        }
        Err(Error::Length { node: self.qp.name.clone(), argument, one, batch: self.batch, got })
    }

    fn unsolvable(&self, item: usize, residual: f64) -> Error {
        let why = format!(
            "the optimality conditions' linear system leaves a relative residual of {residual:e}: the solution or its multipliers \
             are not unique"
        );
        Error::NotDifferentiable { node: self.qp.name.clone(), item, why }
    }
}

/// The solve of one group.
struct Solve<'a> {
    first: usize,
    pieces: &'a [Piece],
    size: Size,
    right: (&'a [f64], &'a [f64]),
    refused: &'a BTreeMap<usize, Error>,
    point: (&'a [f64], [&'a [f64]; 2]),
    gradients: Option<Gradients<'a>>,
    /// Working memory, kept from group to group.
    arena: &'a mut Arena,
}

impl Task for Solve<'_> {
    /// u and v of the group's items, the residual of each lane, and how many items there are.
    type Output = (Vec<f64>, Vec<f64>, PerLane, usize);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let width = S::F64_LANES;
        let Size { n, unknowns, p, r } = self.size;
        let count = self.pieces.first().map_or(0, |p| p.group.count);
        let lengths = [n, r, n, r, n, r, n, r].map(|k| k * width);
        self.arena.reserve(lengths.iter().sum());
        let [r_d, r_p, u, v, e_d, e_p, t_x, t_y] = self.arena.cut(lengths);
        let mut out = (vec![0.0; count * unknowns], vec![0.0; count * r], [0.0; WIDEST], count);
        for piece in self.pieces {
            let f = piece.group.view();
            let cost = piece.group.cost;
            r_d.fill(0.0);
            for lane in 0..width {
                // Lanes without an item of their own repeat the last one.
                let item = self.first + lane.min(count - 1);
                for j in 0..unknowns {
                    let at = j * width + lane;
                    r_d[at] = cost[lane] * f.d[at] * self.right.0[item * unknowns + j];
                }
                for i in 0..r {
                    let at = i * width + lane;
                    r_p[at] = f.e[at] * self.right.1[item * r + i];
                }
            }
            let kkt = Kkt {
                size: self.size,
                q_matrix: f.q_matrix,
                c_matrix: f.c_matrix,
                l: f.l,
                inverse: f.inverse,
                w: f.w,
                sigma: piece.sigma.as_deref(),
                rho: 0.0,
            };
            let mut scratch =
                Scratch { e_d: &mut *e_d, e_p: &mut *e_p, t_x: &mut *t_x, t_y: &mut *t_y };
            let residual =
                kkt.solve(simd, (r_d, r_p), (u, v), &mut scratch, REFINE, &[true; WIDEST]);
            for lane in 0..count {
                let weight = piece.weight[lane];
                if weight == 0.0 {
                    continue;
                }
                out.2[lane] = if residual[lane] > out.2[lane] || residual[lane].is_nan() {
                    residual[lane]
                } else {
                    out.2[lane]
                };
                for j in 0..unknowns {
                    let at = j * width + lane;
                    out.0[lane * unknowns + j] += weight * f.d[at] * u[at];
                }
                for i in 0..r {
                    let at = i * width + lane;
                    out.1[lane * r + i] += weight * f.e[at] * v[at] / cost[lane];
                }
            }
        }
        for lane in 0..count {
            if self.refused.contains_key(&(self.first + lane)) {
                out.0[lane * unknowns..(lane + 1) * unknowns].fill(0.0);
                out.1[lane * r..(lane + 1) * r].fill(0.0);
            }
        }
        if let Some(gradients) = self.gradients {
            let (x, [nu, lambda]) = self.point;
            let m = r - p;
            for (k, all) in gradients.into_iter().enumerate().filter(|(_, all)| !all.is_empty()) {
                for (lane, part) in all.chunks_exact_mut(all.len() / count).enumerate() {
                    let item = self.first + lane;
                    if self.refused.contains_key(&item) {
                        part.fill(0.0);
                        continue;
                    }
                    let solved = Solved {
                        x: &x[item * unknowns..(item + 1) * unknowns],
                        y: [&nu[item * p..(item + 1) * p], &lambda[item * m..(item + 1) * m]],
                        u: &out.0[lane * unknowns..(lane + 1) * unknowns],
                        v: &out.1[lane * r..(lane + 1) * r],
                    };
                    solved.gradient(
                        k,
                        part,
                        #[inline(always)]
                        |out, value| *out = value,
                    );
                }
            }
        }
        out
    }
}
