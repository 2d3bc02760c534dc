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

use std::sync::Arc;

use pulp::Simd;
use rayon::prelude::*;

use super::data::QpData;
use super::group::{Group, Size};
use super::kkt::{Kkt, Refinement, Scratch};
use super::solution::QpSolution;
use crate::lanes::{Arena, PerLane, Task, WIDEST, dispatch};
use crate::{Error, Result};

/// How exactly the linear systems of derivatives are solved, and from which relative residual on they count as unsolvable.
const REFINE: Refinement = Refinement { most: 10, tolerance: 1e-14, floor: 0.0 };
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
    /// The point: x, and ν and λ.
    pub(super) x: Vec<f64>,
    pub(super) y: [Vec<f64>; 2],
    pub(super) pieces: Vec<Vec<Piece>>,
    /// Why an item has no derivative.
    pub(super) refused: Vec<Option<Error>>,
}

impl QpDerivative {
    /// The solutions that this is the derivative at.
    pub fn solution(&self) -> &QpSolution {
        &self.solution
    }

    /// Why an item has no derivative; `None` if it has one.
    pub fn refusal(&self, item: usize) -> Option<&Error> {
        self.refused.get(item).and_then(Option::as_ref)
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
        let (mut right_d, mut right_p) = (vec![0.0; batch * n], vec![0.0; batch * r]);
        for item in 0..batch {
            let [dq_matrix, dq, da, db, dg, dh] = direction.item(item);
            let x = &self.x[item * n..(item + 1) * n];
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
            let y = [&self.y[0][item * p..(item + 1) * p], &self.y[1][item * m..(item + 1) * m]];
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
        let (dx, dy) = self.solve(&right_d, &right_p)?;
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
        let (u, v) = self.solve(right_d, &right_p)?;
        let [y_a, y_g] = &self.y;
        let (v_a, v_g): (Vec<f64>, Vec<f64>) = match r {
            0 => Default::default(),
            _ => (
                v.chunks_exact(r).flat_map(|v| &v[..p]).copied().collect(),
                v.chunks_exact(r).flat_map(|v| &v[p..]).copied().collect(),
            ),
        };
        let x = &self.x[..];
        let mut out: [Vec<f64>; 6] = Default::default();
        if wrt[0] {
            out[0] = outer(shared[0], batch, (n, n), -0.5, [(&u, x), (x, &u)]);
        }
        if wrt[1] {
            out[1] = u.iter().map(|u| -u).collect();
        }
        if wrt[2] {
            out[2] = outer(shared[2], batch, (p, n), -1.0, [(y_a, &u), (&v_a, x)]);
        }
        if wrt[4] {
            out[4] = outer(shared[4], batch, (m, n), -1.0, [(y_g, &u), (&v_g, x)]);
        }
        for (k, v) in [(3, v_a), (5, v_g)] {
            if wrt[k] {
                out[k] = v;
            }
        }
        for (k, width) in [(1, n), (3, p), (5, m)] {
            if wrt[k] && shared[k] {
                out[k] = summed(&out[k], width);
            }
        }
        Ok(out)
    }

    /// (u, v) of K·(u, v) = right-hand sides, item by item, in the user's units.
    fn solve(&self, right_d: &[f64], right_p: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
        let s = &*self.solution;
        let (n, p, m) = s.qp.sizes();
        let r = p + m;
        for (item, refused) in self.refused.iter().enumerate() {
            if let Some(error) = refused {
                let zero = |v: &[f64]| v.iter().all(|v| *v == 0.0);
                if !zero(&right_d[item * n..(item + 1) * n])
                    || !zero(&right_p[item * r..(item + 1) * r])
                {
                    return Err(error.clone());
                }
            }
        }
        let wide = s.size.wide();
        let one = |(k, pieces): (usize, &Vec<Piece>)| {
            let first = k * pieces.first().map_or(1, |p| p.group.width);
            dispatch(wide, Solve { first, pieces, size: s.size, right_d, right_p })
        };
        let parts: Vec<_> = if self.pieces.len() < 2 || rayon::current_num_threads() == 1 {
            self.pieces.iter().enumerate().map(one).collect()
        } else {
            self.pieces.par_iter().enumerate().map(one).collect()
        };
        let (mut u, mut v) = (Vec::with_capacity(s.batch * n), Vec::with_capacity(s.batch * r));
        let mut item = 0;
        for (part_u, part_v, residual, count) in parts {
            for lane in 0..count {
                let bad = residual[lane].is_nan() || UNSOLVABLE < residual[lane];
                if bad && self.refused[item + lane].is_none() {
                    return Err(s.unsolvable(item + lane, residual[lane]));
                }
            }
            let zero = |out: &mut Vec<f64>, part: Vec<f64>, one: usize| {
                out.extend(part);
                for lane in (0..count).filter(|lane| self.refused[item + lane].is_some()) {
                    out[(item + lane) * one..(item + lane + 1) * one].fill(0.0);
                }
            };
            zero(&mut u, part_u, n);
            zero(&mut v, part_v, r);
            item += count;
        }
        Ok((u, v))
    }
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

/// scale·Σ aᵢbᵢᵀ for each item, or summed over the items.
fn outer(
    shared: bool,
    batch: usize,
    (rows, columns): (usize, usize),
    scale: f64,
    pairs: [(&[f64], &[f64]); 2],
) -> Vec<f64> {
    let size = rows * columns;
    if size == 0 || batch == 0 {
        return Vec::new();
    }
    let write = |item: usize, out: &mut [f64], add: bool| {
        let [(a, b), (c, d)] = pairs.map(|(a, b)| {
            (&a[item * rows..(item + 1) * rows], &b[item * columns..(item + 1) * columns])
        });
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let (a, c) = (scale * a[i], scale * c[i]);
            if add {
                for j in 0..columns {
                    out[j] += a * b[j] + c * d[j];
                }
            } else {
                for j in 0..columns {
                    out[j] = a * b[j] + c * d[j];
                }
            }
        }
    };
    if shared {
        let mut out = vec![0.0; size];
        (0..batch).for_each(|item| write(item, &mut out, true));
        return out;
    }
    let mut out = vec![0.0; batch * size];
    // Rows of a gradient are a cache line or more each; threads only help where there are many.
    let chunk = (1 << 16) / size + 1;
    out.par_chunks_mut(chunk * size).enumerate().for_each(|(k, out)| {
        for (i, out) in out.chunks_exact_mut(size).enumerate() {
            write(k * chunk + i, out, false);
        }
    });
    out
}

/// Σ over the items.
fn summed(v: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![0.0; width];
    for v in v.chunks_exact(width.max(1)) {
        out.iter_mut().zip(v).for_each(|(out, v)| *out += v);
    }
    out
}

/// The solve of one group.
struct Solve<'a> {
    first: usize,
    pieces: &'a [Piece],
    size: Size,
    right_d: &'a [f64],
    right_p: &'a [f64],
}

impl Task for Solve<'_> {
    /// u and v of the group's items, the residual of each lane, and how many items there are.
    type Output = (Vec<f64>, Vec<f64>, PerLane, usize);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let width = S::F64_LANES;
        let Size { n, unknowns, r, .. } = self.size;
        let count = self.pieces.first().map_or(0, |p| p.group.count);
        let mut arena = Arena::default();
        let lengths = [n, r, n, r, n, r, n, r].map(|k| k * width);
        arena.reserve(lengths.iter().sum());
        let [r_d, r_p, u, v, e_d, e_p, t_x, t_y] = arena.cut(lengths);
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
                    r_d[at] = cost[lane] * f.d[at] * self.right_d[item * unknowns + j];
                }
                for i in 0..r {
                    let at = i * width + lane;
                    r_p[at] = f.e[at] * self.right_p[item * r + i];
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
        out
    }
}
