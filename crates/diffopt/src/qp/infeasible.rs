//! Why an item has no solution: a proof, found by another quadratic program and then checked by hand.
//!
//! - *Infeasible*: the least violation min ½‖u‖² + ½‖v‖² s.t. Ax − u = b, Gx − v ≤ h has a solution always, and its residuals are
//!   themselves Farkas multipliers: Aᵀu + Gᵀv = 0, v ≥ 0 and bᵀu + hᵀv = −‖u‖² − ‖v‖² (Farkas 1902, by least squares).
//! - *Unbounded*: the shortest d with Qd = 0, Ad = 0, Gd ≤ 0, qᵀd = −1.
//! - *Not convex*: the least eigenvalue of Q.

use super::data::QpData;
use super::group::Group;
use super::local::eigen;
use super::solve::{Ended, Qp, Settings};
use crate::Status;

/// A proof's defect times this must stay below what it proves: there is no solution within this many scaled units.
const SURE: f64 = 1e8;

/// One problem in scaled units.
struct Item {
    n: usize,
    p: usize,
    r: usize,
    q_matrix: Vec<f64>,
    q: Vec<f64>,
    c_matrix: Vec<f64>,
    c: Vec<f64>,
    d: Vec<f64>,
    e: Vec<f64>,
}

/// The status of an item that did not converge, or whose Q may not be convex; `None` where nothing can be proved.
pub(super) fn diagnose(
    qp: &Qp,
    group: &Group,
    lane: usize,
    (iterations, residual): (usize, f64),
    convex: bool,
) -> Option<Ended> {
    let item = Item::of(group, lane);
    if !convex && let Some(status) = item.not_convex() {
        return Some(Ended::plain(status));
    }
    if convex && !qp.settings.diagnose {
        return Some(Ended::plain(Status::NotConverged { iterations, residual }));
    }
    if !convex {
        return None;
    }
    item.infeasible().or_else(|| item.unbounded())
}

impl Item {
    fn of(group: &Group, lane: usize) -> Self {
        let (size, width) = (group.size, group.width);
        let (n, p, r) = (size.unknowns, size.p, size.r);
        let f = group.view();
        let at = |i: usize| i * width + lane;
        let matrix = |rows: usize, m: &[f64]| {
            (0..rows)
                .flat_map(|i| (0..n).map(move |j| (i, j)))
                .map(|(i, j)| m[at(i * size.n + j)])
                .collect()
        };
        let vector = |len: usize, v: &[f64]| (0..len).map(|i| v[at(i)]).collect();
        Item {
            n,
            p,
            r,
            q_matrix: matrix(n, f.q_matrix),
            q: vector(n, f.q),
            c_matrix: matrix(r, f.c_matrix),
            c: vector(r, f.c),
            d: vector(n, f.d),
            e: vector(r, f.e),
        }
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.c_matrix[i * self.n..(i + 1) * self.n]
    }

    fn not_convex(&self) -> Option<Status> {
        let n = self.n;
        let (w, v) = eigen(n, &self.q_matrix)?;
        let largest = w.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let (least, at) = (w[0], 0);
        if -1e-9 * largest <= least {
            return None;
        }
        // The same curvature in the user's units, along the same direction: (vᵀQ̂v)/‖Dv‖², a bound of the least eigenvalue.
        let norm: f64 = (0..n).map(|i| (v[i * n + at] * self.d[i]).powi(2)).sum();
        Some(Status::NonConvex { eigenvalue: least / norm })
    }

    fn auxiliary(n: usize, p: usize, m: usize) -> Qp {
        let settings =
            Settings { diagnose: false, tolerance: 1e-9, iterations: 60, ..Settings::default() };
        Qp::new(n).equalities(p).inequalities(m).settings(settings)
    }

    fn infeasible(&self) -> Option<Ended> {
        let (n, r, p) = (self.n, self.r, self.p);
        if r == 0 {
            return None;
        }
        let all = n + r;
        let mut q_matrix = vec![0.0; all * all];
        (n..all).for_each(|i| q_matrix[i * all + i] = 1.0);
        let mut rows = vec![0.0; r * all];
        for i in 0..r {
            rows[i * all..i * all + n].copy_from_slice(self.row(i));
            rows[i * all + n + i] = -1.0;
        }
        let (a, g) = rows.split_at(p * all);
        let (b, h) = self.c.split_at(p);
        let q = vec![0.0; all];
        let qp = Item::auxiliary(all, p, r - p);
        let solution = qp.solve(1, &QpData::new(&q_matrix, &q, (a, b), (g, h))).ok()?;
        if !solution.is_solved(0) {
            return None;
        }
        let mut y: Vec<f64> = solution.x(0)[n..].to_vec();
        y.iter_mut().skip(p).for_each(|y| *y = y.max(0.0));
        // Exact multiples of y prove the same; 1 as the largest entry shows what is rounding.
        let size = y.iter().fold(0.0f64, |m, y| m.max(y.abs()));
        if size.is_nan() || size == 0.0 {
            return None;
        }
        y.iter_mut().for_each(|y| *y /= size);
        let value: f64 = y.iter().zip(&self.c).map(|(y, c)| y * c).sum();
        let defect = (0..n)
            .map(|j| (0..r).map(|i| y[i] * self.row(i)[j]).sum::<f64>().abs())
            .fold(0.0f64, f64::max);
        if SURE * defect <= -value && 1e-9 < -value {
            let proof = y.iter().zip(&self.e).map(|(y, e)| y * e).collect();
            return Some(Ended { status: Status::PrimalInfeasible, proof });
        }
        None
    }

    fn unbounded(&self) -> Option<Ended> {
        let (n, r, p) = (self.n, self.r, self.p);
        let slope = self.q.iter().fold(0.0f64, |m, q| m.max(q.abs()));
        if slope == 0.0 {
            return None;
        }
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|i| identity[i * n + i] = 1.0);
        let mut a = self.q_matrix.clone();
        a.extend_from_slice(&self.c_matrix[..p * n]);
        a.extend(self.q.iter().map(|q| q / slope));
        let mut b = vec![0.0; n + p];
        b.push(-1.0);
        let (q, h) = (vec![0.0; n], vec![0.0; r - p]);
        let qp = Item::auxiliary(n, n + p + 1, r - p);
        let g = &self.c_matrix[p * n..];
        let solution = qp.solve(1, &QpData::new(&identity, &q, (&a, &b), (g, &h))).ok()?;
        if !solution.is_solved(0) {
            return None;
        }
        let d = solution.x(0);
        let product = |row: &[f64]| row.iter().zip(d).map(|(a, d)| a * d).sum::<f64>();
        let value = product(&self.q) / slope;
        let mut defect = self.q_matrix.chunks(n).map(|r| product(r).abs()).fold(0.0f64, f64::max);
        for i in 0..r {
            let x = product(self.row(i));
            defect = defect.max(if i < p { x.abs() } else { x });
        }
        if SURE * defect <= -value && value < -0.5 {
            let proof = d.iter().zip(&self.d).map(|(x, d)| x * d).collect();
            return Some(Ended { status: Status::DualInfeasible, proof });
        }
        None
    }
}
