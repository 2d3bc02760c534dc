//! One item of a batch, taken out of its group in scaled units, with its active rows: what certificates and directional derivatives work on.

use pullback_core_graph::linalg::symmetric_eigen;

use super::data::QpData;
use super::group::Group;
use super::solve::{Qp, Settings};
use crate::degenerate::{Certificate, SINGULAR};
use crate::lanes::PerLane;

/// A solved item: Q̂ \[n×n\], Ĉ \[r×n\], and its solution.
pub(crate) struct Local {
    pub(super) n: usize,
    pub(super) p: usize,
    pub(super) r: usize,
    pub(super) q_matrix: Vec<f64>,
    pub(super) c_matrix: Vec<f64>,
    pub(super) d: Vec<f64>,
    pub(super) e: Vec<f64>,
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) s: Vec<f64>,
    pub(super) cost: f64,
}

/// Which side a row is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    Strong,
    Weak,
    Inactive,
}

impl Local {
    pub(super) fn of(group: &Group, lane: usize) -> Self {
        let (size, width) = (group.size, group.width);
        let (n, p, r) = (size.unknowns, size.p, size.r);
        let f = group.view();
        let at = |i: usize| i * width + lane;
        let matrix = |rows: usize, m: &[f64]| {
            let entry = |k: usize| m[at(k / n * size.n + k % n)];
            (0..rows * n).map(entry).collect()
        };
        let vector = |len: usize, v: &[f64]| (0..len).map(|i| v[at(i)]).collect();
        Local {
            n,
            p,
            r,
            q_matrix: matrix(n, f.q_matrix),
            c_matrix: matrix(r, f.c_matrix),
            d: vector(n, f.d),
            e: vector(r, f.e),
            x: vector(n, f.x),
            y: vector(r, f.y),
            s: vector(r, f.s),
            cost: group.cost[lane],
        }
    }

    /// Only a Hessian and rows, of another kind of problem.
    pub(crate) fn of_rows(n: usize, q_matrix: Vec<f64>, c_matrix: Vec<f64>) -> Self {
        let r = c_matrix.len() / n.max(1);
        let empty = Vec::new;
        let (d, e, x, y, s) = (empty(), empty(), empty(), empty(), empty());
        Local { n, p: 0, r, q_matrix, c_matrix, d, e, x, y, s, cost: 1.0 }
    }

    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.c_matrix[i * self.n..(i + 1) * self.n]
    }

    /// The sides of all rows; equalities are strong.
    pub(super) fn sides(&self, weak: f64) -> Vec<Row> {
        (0..self.r).map(|i| side(i < self.p, self.s[i], self.y[i], weak)).collect()
    }

    /// An orthonormal basis of the rows' span, by Gram-Schmidt with pivoting, twice for orthogonality; rows that depend on others give none.
    fn basis(&self, rows: &[usize]) -> Vec<Vec<f64>> {
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let unit = |v: &[f64]| {
            let size = norm(v);
            (size > 0.0).then(|| v.iter().map(|x| x / size).collect::<Vec<f64>>())
        };
        let mut left: Vec<Vec<f64>> = rows.iter().filter_map(|&i| unit(self.row(i))).collect();
        let mut out: Vec<Vec<f64>> = Vec::new();
        while let Some(next) =
            (0..left.len()).max_by(|&a, &b| norm(&left[a]).total_cmp(&norm(&left[b])))
        {
            let mut v = left.swap_remove(next);
            if norm(&v) <= SINGULAR {
                break;
            }
            for e in &out {
                remove(&mut v, e);
            }
            let Some(e) = unit(&v) else { break };
            left.iter_mut().for_each(|v| remove(v, &e));
            out.push(e);
        }
        out
    }

    /// The least singular value of the rows, scaled to norm 1; ∞ without rows.
    pub(crate) fn independence(&self, rows: &[usize]) -> f64 {
        let k = rows.len();
        if k == 0 {
            return f64::INFINITY;
        }
        if k > self.n {
            return 0.0;
        }
        let unit: Vec<Vec<f64>> = rows
            .iter()
            .map(|&i| {
                let norm = self.row(i).iter().map(|x| x * x).sum::<f64>().sqrt();
                self.row(i).iter().map(|x| if norm > 0.0 { x / norm } else { 0.0 }).collect()
            })
            .collect();
        let flat: Vec<f64> = unit.concat();
        let (mut u, mut s, mut vt) = (vec![0.0; k * k], vec![0.0; k], vec![0.0; k * self.n]);
        match pullback_core_graph::linalg::svd(1, k, self.n, &flat, &mut u, &mut s, &mut vt) {
            Ok(()) => s[k - 1],
            Err(_) => 0.0,
        }
    }

    /// The least eigenvalue of Q̂ along directions that leave the rows as they are; ∞ where there are none.
    pub(crate) fn curvature(&self, rows: &[usize]) -> f64 {
        let n = self.n;
        let basis = self.basis(rows);
        if basis.len() == n {
            return f64::INFINITY;
        }
        // P·Q̂·P + α(I − P) with the projector P: the directions that are not free get an eigenvalue above all others.
        let mut m = self.q_matrix.clone();
        let alpha = 1.0 + norm_bound(n, &m);
        for _ in 0..2 {
            for row in m.chunks_exact_mut(n) {
                basis.iter().for_each(|e| remove(row, e));
            }
            transpose(n, &mut m);
        }
        for e in &basis {
            for i in 0..n {
                for j in 0..n {
                    m[i * n + j] += alpha * e[i] * e[j];
                }
            }
        }
        eigen(n, &m).map_or(0.0, |(w, _)| w[0])
    }

    /// Everything that is known about the derivative.
    pub(super) fn certificate(&self, weak: f64, residual: f64) -> Certificate {
        let sides = self.sides(weak);
        let of = |side: Row| -> Vec<usize> { (0..self.r).filter(|&i| sides[i] == side).collect() };
        let (strong, weakly) = (of(Row::Strong), of(Row::Weak));
        let active: Vec<usize> = (0..self.r).filter(|&i| sides[i] != Row::Inactive).collect();
        let independence = self.independence(&active);
        let curvature = self.curvature(&strong);
        let unique_multipliers = SINGULAR < independence
            || SINGULAR < self.independence(&strong) && !self.positive_dependence(&strong, &weakly);
        let inequality = |rows: &[usize]| {
            rows.iter().filter(|&&i| self.p <= i).map(|i| i - self.p).collect::<Vec<_>>()
        };
        let margin =
            (self.p..self.r).map(|i| self.s[i].max(self.y[i])).fold(f64::INFINITY, f64::min);
        Certificate {
            margin,
            strongly_active: inequality(&strong),
            weakly_active: inequality(&weakly),
            independence,
            unique_multipliers,
            curvature,
            gradient_error: residual.max(f64::EPSILON) * self.inverse_norm(&active),
        }
    }

    /// ‖K⁻¹‖ of K = [Q̂ Jᵀ; J 0]; ∞ where K is singular.
    fn inverse_norm(&self, active: &[usize]) -> f64 {
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
        let Some((w, _)) = eigen(k, &matrix) else { return f64::INFINITY };
        let least = w.iter().fold(f64::INFINITY, |m, x| m.min(x.abs()));
        if least <= SINGULAR * 1e-3 { f64::INFINITY } else { 1.0 / least }
    }

    /// Is some combination of the rows 0, with weights ≥ 0, not all 0, on the weak ones? Then multipliers can be moved along it.
    pub(crate) fn positive_dependence(&self, strong: &[usize], weak: &[usize]) -> bool {
        if weak.is_empty() {
            return false;
        }
        // The shortest Jᵀ(a, b) with b ≥ 0 and Σb = 1 has length 0 exactly then.
        let (k, n) = (strong.len() + weak.len(), self.n);
        let rows: Vec<&[f64]> = strong.iter().chain(weak).map(|&i| self.row(i)).collect();
        let mut q_matrix = vec![0.0; k * k];
        for a in 0..k {
            for b in 0..k {
                q_matrix[a * k + b] = (0..n).map(|j| rows[a][j] * rows[b][j]).sum();
            }
        }
        let a: Vec<f64> = (0..k).map(|i| f64::from(u8::from(strong.len() <= i))).collect();
        let mut g = vec![0.0; weak.len() * k];
        for i in 0..weak.len() {
            g[i * k + strong.len() + i] = -1.0;
        }
        let h = vec![0.0; weak.len()];
        let qp = Local::inner(k, 1, weak.len());
        let data = QpData::new(&q_matrix, &[], (&a, &[1.0]), (&g, &h));
        match qp.solve(1, &data) {
            Ok(solution) if solution.is_solved(0) => {
                let x = solution.x(0);
                let length: f64 = (0..n)
                    .map(|j| rows.iter().zip(x).map(|(row, x)| row[j] * x).sum::<f64>().powi(2))
                    .sum();
                length.sqrt() < SINGULAR
            }
            _ => true,
        }
    }

    /// A small problem inside this one.
    pub(super) fn inner(n: usize, p: usize, m: usize) -> Qp {
        let settings = Settings { tolerance: 1e-9, diagnose: false, ..Settings::default() };
        Qp::new(n).equalities(p).inequalities(m).settings(settings)
    }

    /// A vertex of the multipliers of this solution on which Σ yᵢgᵢ is largest (Kyparisis, 1990): an LP over the active rows, then steps along
    /// dependences of the rows with positive multipliers until they are independent. `None` where Σ yᵢgᵢ is unbounded: no direction of x
    /// follows (the Mangasarian–Fromovitz condition fails).
    pub(super) fn vertex(&self, sides: &[Row], g: &[f64]) -> Option<Vec<f64>> {
        let active: Vec<usize> = (0..self.r).filter(|&i| sides[i] != Row::Inactive).collect();
        let (k, n) = (active.len(), self.n);
        let signed: Vec<usize> = (0..k).filter(|&a| self.p <= active[a]).collect();
        // max gᵀy s.t. Σ yᵢ·rowᵢ = −(Qx + q), y ≥ 0 in inequalities.
        let (mut a, mut b) = (vec![0.0; n * k], vec![0.0; n]);
        for j in 0..n {
            for (t, &i) in active.iter().enumerate() {
                a[j * k + t] = self.row(i)[j];
                b[j] += self.row(i)[j] * self.y[i];
            }
        }
        // A direction of any size has the same vertex.
        let size = active.iter().fold(0.0f64, |m, &i| m.max(g[i].abs()));
        let size = if size > 0.0 { size } else { 1.0 };
        let q: Vec<f64> = active.iter().map(|&i| -g[i] / size).collect();
        let mut bounds = vec![0.0; signed.len() * k];
        signed.iter().enumerate().for_each(|(row, &t)| bounds[row * k + t] = -1.0);
        let h = vec![0.0; signed.len()];
        let qp = Local::inner(k, n, signed.len());
        let solution = qp.solve(1, &QpData::new(&[], &q, (&a, &b), (&bounds, &h))).ok()?;
        if !solution.is_solved(0) {
            return None;
        }
        let mut y = solution.x(0).to_vec();
        for _ in 0..=k {
            let moving: Vec<usize> =
                (0..k).filter(|&t| active[t] < self.p || SINGULAR < y[t]).collect();
            let count = moving.len();
            if count == 0 {
                break;
            }
            let mut gram = vec![0.0; count * count];
            for (s, &a) in moving.iter().enumerate() {
                for (t, &b) in moving.iter().enumerate() {
                    let (a, b) = (self.row(active[a]), self.row(active[b]));
                    gram[s * count + t] = a.iter().zip(b).map(|(a, b)| a * b).sum();
                }
            }
            let (w, v) = eigen(count, &gram)?;
            // Squares of singular values, known to rounding.
            if 1e-13 < w[0] {
                break;
            }
            let along: Vec<f64> = (0..count).map(|s| v[s * count]).collect();
            // The nearest sign change on either side.
            let mut best: Option<(f64, usize)> = None;
            for (s, &t) in moving.iter().enumerate() {
                if active[t] < self.p || along[s].abs() < 1e-9 {
                    continue;
                }
                let step = -y[t] / along[s];
                if best.is_none_or(|(b, _)| step.abs() < b.abs()) {
                    best = Some((step, t));
                }
            }
            let Some((step, gone)) = best else { break };
            for (s, &t) in moving.iter().enumerate() {
                y[t] += step * along[s];
            }
            y[gone] = 0.0;
        }
        let mut out = vec![0.0; self.r];
        for (t, &i) in active.iter().enumerate() {
            out[i] = if i < self.p { y[t] } else { y[t].max(0.0) };
        }
        Some(out)
    }
}

/// v ← v − ⟨v, e⟩·e
fn remove(v: &mut [f64], e: &[f64]) {
    let along: f64 = v.iter().zip(e).map(|(v, e)| v * e).sum();
    v.iter_mut().zip(e).for_each(|(v, e)| *v -= along * e);
}

fn transpose(n: usize, m: &mut [f64]) {
    for i in 0..n {
        for j in 0..i {
            m.swap(i * n + j, j * n + i);
        }
    }
}

/// A bound of the magnitudes of a matrix's eigenvalues: its largest row sum.
fn norm_bound(n: usize, a: &[f64]) -> f64 {
    a.chunks_exact(n).map(|r| r.iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max)
}

/// The eigenvalues, ascending, and eigenvectors (columns) of a symmetric matrix; none where they cannot be found.
///
/// The matrix is shifted to be positive definite: many zero eigenvalues keep the kernel from converging.
pub(crate) fn eigen(k: usize, a: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let shift = 1.5 * norm_bound(k, a);
    let mut shifted = a.to_vec();
    shifted.iter_mut().step_by(k + 1).for_each(|x| *x += shift);
    let (mut w, mut v) = (vec![0.0; k], vec![0.0; k * k]);
    symmetric_eigen(1, k, &shifted, &mut w, &mut v).ok()?;
    w.iter_mut().for_each(|w| *w -= shift);
    Some((w, v))
}

/// The side of one row.
pub(super) fn side(equality: bool, s: f64, y: f64, weak: f64) -> Row {
    if equality || weak < y {
        Row::Strong
    } else if s <= weak {
        Row::Weak
    } else {
        Row::Inactive
    }
}

/// What counts as weak for each lane: the setting, or more where the solution is known less exactly.
pub(super) fn weakness(weak: f64, polished: &PerLane<bool>, residual: &PerLane) -> PerLane {
    let mut out = [weak; crate::lanes::WIDEST];
    for l in 0..out.len() {
        if !polished[l] {
            out[l] = weak.max(10.0 * residual[l].max(0.0).sqrt());
        }
    }
    out
}
