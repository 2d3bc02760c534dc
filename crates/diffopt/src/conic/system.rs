//! The linear system of Newton steps and derivatives.
//!
//! With v = z − s the optimality conditions are F(x, v) = (Px + q + AᵀΠ(v), Ax + Π(v) − v − b) = 0, Π being the projection onto K*. Its
//! derivative D = DΠ(v) = U·diag(d)·Uᵀ is symmetric with 0 < d ≤ 1 on the columns of U. With dz = U·w,
//!
//! > [P    AᵀU          ] [dx]   [r₁  ]
//! > [UᵀA  −diag(1/d − 1)] [w ] = [Uᵀr₂]
//!
//! (where many columns of U have one eigenvalue and are all that is at right angles to a vector u, it is rows as they are in the place of these columns, and a
//! multiplier for uᵀdz = 0: U would be as large as the cone's dimension squared, and UᵀA without zeros)
//!
//! is symmetric quasi-definite: one sparse LDLᵀ (Vanderbei, Symmetric quasidefinite matrices, 1995) serves every push and pull. A little is
//! added to the diagonal and corrected by refinement. (The homogeneous embedding that others differentiate is singular at every
//! solution: its residual N is positively homogeneous, so DN(z)·z = N(z) = 0.)

use std::ops::Range;

use clarabel::algebra::CscMatrix;

use super::cone::{Jacobian, NOTHING};
use super::ldl::Ldl;
use super::problem::Conic;
use crate::qp::root_scale;

/// What is added to the diagonal, relative to the entries' size: the least with which a trial system is solved.
const EXTRA: [f64; 4] = [1e-9, 1e-8, 1e-6, 1e-4];
/// The most passes that balance a matrix.
const BALANCE: usize = 8;
/// The residual of that trial.
const TRIAL: f64 = 1e-10;

/// A factored system.
#[derive(Debug, Clone)]
pub(super) struct System {
    n: usize,
    /// n, and one multiplier for each second-order cone that is on its curved side.
    positive: usize,
    size: usize,
    /// K without what was added: columns of the upper triangle.
    matrix: CscMatrix<f64>,
    /// Rows of A with their columns of U: for each block its first row, dimension, columns, and vectors (none: rows themselves).
    blocks: Vec<Block>,
    factor: Balanced,
}

/// The factor of S·M·S for a diagonal S of powers of two that brings the rows of M near 1.
#[derive(Debug, Clone)]
struct Balanced {
    ldl: Ldl,
    scale: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Block {
    first: usize,
    rows: usize,
    /// The first of this block's columns of U, and how many.
    column: usize,
    count: usize,
    /// `rows` numbers for each column; empty: column c is the unit vector of row `picks\[c\]`.
    vectors: Vec<f64>,
    picks: Vec<usize>,
}

impl System {
    /// Builds and factors; `None` if the factorization breaks down.
    pub(super) fn new(
        problem: &Conic,
        p: &[f64],
        a: &[f64],
        jacobians: &[Jacobian],
    ) -> Option<Self> {
        let n = problem.a.columns;
        let caps = jacobians.iter().filter(|j| matches!(j, Jacobian::Cap { .. })).count();
        let positive = n + caps;
        let mut columns = Columns::new(problem, p, a, caps);
        let mut multiplier = n;
        for (jacobian, (_, rows)) in jacobians.iter().zip(problem.blocks()) {
            match jacobian {
                Jacobian::Rows(eigenvalues) => {
                    let kept = |i: &usize| NOTHING < eigenvalues[*i];
                    let picks = (0..eigenvalues.len()).filter(kept).collect();
                    columns.picked(rows, picks, |i| eigenvalues[i], None);
                }
                Jacobian::Block { vectors, values } => columns.mixed(rows, vectors, values),
                Jacobian::Cap { vectors, values, unit, rest } => {
                    columns.mixed(rows.clone(), vectors, values);
                    let picks = (1..rows.len()).collect();
                    columns.picked(rows, picks, |_| *rest, Some((multiplier, unit)));
                    multiplier += 1;
                }
            }
        }
        let Columns { pointers, indices, values, blocks, count, .. } = columns;
        let size = positive + count;
        let matrix = CscMatrix::new(size, size, pointers, indices, values);
        let scale = balance(&matrix);
        let mut balanced = matrix.clone();
        for j in 0..size {
            for k in matrix.colptr[j]..matrix.colptr[j + 1] {
                balanced.nzval[k] *= scale[matrix.rowval[k]] * scale[j];
            }
        }
        let largest = balanced.nzval.iter().fold(1.0f64, |m, x| m.max(x.abs().min(1e3)));
        let trial: Vec<f64> = (0..size).map(|i| (2.399_963 * i as f64 + 1.0).sin()).collect();
        let mut best: Option<(f64, Balanced)> = None;
        for extra in EXTRA {
            let mut shifted = balanced.clone();
            for j in 0..size {
                // The diagonal is the last entry of its column.
                let at = shifted.colptr[j + 1] - 1;
                shifted.nzval[at] += if j < positive { extra * largest } else { -extra * largest };
            }
            let Some(ldl) = Ldl::new(&shifted, positive) else { continue };
            let factor = Balanced { ldl, scale: scale.clone() };
            let (_, error) = refined(&matrix, &factor, &trial, 0.1 * TRIAL);
            if error.is_nan() {
                continue;
            }
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                best = Some((error, factor));
            }
            if error < TRIAL {
                break;
            }
        }
        let (_, factor) = best?;
        Some(System { n, positive, size, matrix, blocks, factor })
    }

    /// (dx, U·w) of the system with (r₁, Uᵀr₂) on the right, and its relative residual.
    pub(super) fn solve(&self, r1: &[f64], r2: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let mut b = r1.to_vec();
        b.resize(self.size, 0.0);
        for block in &self.blocks {
            let out = &mut b[self.positive + block.column..][..block.count];
            let rows = &r2[block.first..block.first + block.rows];
            for (c, out) in out.iter_mut().enumerate() {
                *out = match block.picks.get(c) {
                    Some(&i) => rows[i],
                    None => {
                        let u = &block.vectors[c * block.rows..(c + 1) * block.rows];
                        u.iter().zip(rows).map(|(u, r)| u * r).sum()
                    }
                };
            }
        }
        let (mut x, error) = refined(&self.matrix, &self.factor, &b, 1e-15);
        let mut up = vec![0.0; r2.len()];
        for block in &self.blocks {
            let w = &x[self.positive + block.column..][..block.count];
            let rows = &mut up[block.first..block.first + block.rows];
            for (c, w) in w.iter().enumerate() {
                match block.picks.get(c) {
                    Some(&i) => rows[i] += w,
                    None => {
                        let u = &block.vectors[c * block.rows..(c + 1) * block.rows];
                        rows.iter_mut().zip(u).for_each(|(r, u)| *r += w * u);
                    }
                }
            }
        }
        x.truncate(self.n);
        (x, up, error)
    }
}

/// The matrix K in the making, column by column of its upper triangle.
struct Columns<'a> {
    positive: usize,
    a: &'a [f64],
    /// A by rows: starts, and (column, place of the value).
    rows: (Vec<usize>, Vec<(usize, usize)>),
    pointers: Vec<usize>,
    indices: Vec<usize>,
    values: Vec<f64>,
    blocks: Vec<Block>,
    /// Columns of U so far.
    count: usize,
    /// A row of UᵀA in the making, and which column of U last touched its entries.
    dense: Vec<f64>,
    used: Vec<usize>,
}

impl<'a> Columns<'a> {
    /// The columns of P, and those of `caps` multipliers.
    fn new(problem: &Conic, p: &[f64], a: &'a [f64], caps: usize) -> Self {
        let n = problem.a.columns;
        let (mut pointers, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for j in 0..n {
            let mut diagonal = 0.0;
            for k in problem.p.starts[j]..problem.p.starts[j + 1] {
                if problem.p.indices[k] == j {
                    diagonal = p[k];
                } else {
                    indices.push(problem.p.indices[k]);
                    values.push(p[k]);
                }
            }
            indices.push(j);
            values.push(diagonal);
            pointers.push(indices.len());
        }
        for j in n..n + caps {
            indices.push(j);
            values.push(0.0);
            pointers.push(indices.len());
        }
        Columns {
            positive: n + caps,
            a,
            rows: problem.a.by_rows(),
            pointers,
            indices,
            values,
            blocks: Vec::new(),
            count: 0,
            dense: vec![0.0; n],
            used: vec![usize::MAX; n],
        }
    }

    /// Columns of U that are unit vectors: of the rows `picks`, with their eigenvalues. With a multiplier, whose place is given, only what is at right
    /// angles to its vector (of the rows after the first) counts.
    fn picked(
        &mut self,
        rows: Range<usize>,
        picks: Vec<usize>,
        eigenvalue: impl Fn(usize) -> f64,
        multiplier: Option<(usize, &[f64])>,
    ) {
        for (c, &i) in picks.iter().enumerate() {
            let row = rows.start + i;
            for &(j, k) in &self.rows.1[self.rows.0[row]..self.rows.0[row + 1]] {
                self.indices.push(j);
                self.values.push(self.a[k]);
            }
            if let Some((place, vector)) = multiplier {
                self.indices.push(place);
                self.values.push(vector[i - 1]);
            }
            self.close(c, eigenvalue(i));
        }
        let count = picks.len();
        self.block(Block {
            first: rows.start,
            rows: rows.len(),
            column: self.count,
            count,
            vectors: Vec::new(),
            picks,
        });
    }

    /// Columns of U that mix rows.
    fn mixed(&mut self, rows: Range<usize>, vectors: &[f64], eigenvalues: &[f64]) {
        for (c, (vector, d)) in vectors.chunks_exact(rows.len()).zip(eigenvalues).enumerate() {
            let mut touched = Vec::new();
            for (row, u) in rows.clone().zip(vector) {
                for &(j, k) in &self.rows.1[self.rows.0[row]..self.rows.0[row + 1]] {
                    if self.used[j] != self.count + c {
                        self.used[j] = self.count + c;
                        self.dense[j] = 0.0;
                        touched.push(j);
                    }
                    self.dense[j] += u * self.a[k];
                }
            }
            touched.sort_unstable();
            for j in touched {
                self.indices.push(j);
                self.values.push(self.dense[j]);
            }
            self.close(c, *d);
        }
        let (count, vectors) = (eigenvalues.len(), vectors.to_vec());
        self.block(Block {
            first: rows.start,
            rows: rows.len(),
            column: self.count,
            count,
            vectors,
            picks: Vec::new(),
        });
    }

    /// Ends column c of a block with its diagonal 1 − 1/d.
    fn close(&mut self, c: usize, d: f64) {
        self.indices.push(self.positive + self.count + c);
        self.values.push(-(1.0 - d) / d);
        self.pointers.push(self.indices.len());
    }

    fn block(&mut self, block: Block) {
        self.count += block.count;
        self.blocks.push(block);
    }
}

impl Balanced {
    /// M⁻¹·b
    fn solve(&self, b: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = b.iter().zip(&self.scale).map(|(b, s)| b * s).collect();
        let mut x = self.ldl.solve(&scaled);
        x.iter_mut().zip(&self.scale).for_each(|(x, s)| *x *= s);
        x
    }
}

/// The S that brings the largest entries of the rows of S·K·S near 1 (Ruiz 2001).
fn balance(matrix: &CscMatrix<f64>) -> Vec<f64> {
    let mut scale = vec![1.0; matrix.n];
    for _ in 0..BALANCE {
        let mut largest = vec![0.0f64; matrix.n];
        for j in 0..matrix.n {
            for k in matrix.colptr[j]..matrix.colptr[j + 1] {
                let i = matrix.rowval[k];
                let size = (scale[i] * matrix.nzval[k] * scale[j]).abs();
                (largest[i], largest[j]) = (largest[i].max(size), largest[j].max(size));
            }
        }
        let factors = largest.into_iter().map(root_scale);
        let mut changed = false;
        for (scale, factor) in scale.iter_mut().zip(factors) {
            changed |= factor != 1.0;
            *scale *= factor;
        }
        if !changed {
            break;
        }
    }
    scale
}

/// b − K·x
fn residual(matrix: &CscMatrix<f64>, b: &[f64], x: &[f64]) -> Vec<f64> {
    let mut out = b.to_vec();
    for j in 0..x.len() {
        for k in matrix.colptr[j]..matrix.colptr[j + 1] {
            let (i, a) = (matrix.rowval[k], matrix.nzval[k]);
            out[i] -= a * x[j];
            if i != j {
                out[j] -= a * x[i];
            }
        }
    }
    out
}

/// K⁻¹·b by refinement until the relative residual is small enough, and that residual.
fn refined(matrix: &CscMatrix<f64>, factor: &Balanced, b: &[f64], enough: f64) -> (Vec<f64>, f64) {
    let largest =
        |v: &[f64]| v.iter().fold(0.0f64, |m, x| if x.is_nan() { *x } else { m.max(x.abs()) });
    let size = largest(b).max(f64::MIN_POSITIVE);
    let mut x = factor.solve(b);
    let mut rest = residual(matrix, b, &x);
    let mut error = largest(&rest) / size;
    for _ in 0..30 {
        if error <= enough {
            break;
        }
        let correction = factor.solve(&rest);
        let next: Vec<f64> = x.iter().zip(&correction).map(|(x, c)| x + c).collect();
        let next_rest = residual(matrix, b, &next);
        let next_error = largest(&next_rest) / size;
        if next_error.is_nan() || error <= next_error {
            break;
        }
        let slow = 0.5 * error < next_error;
        (x, rest, error) = (next, next_rest, next_error);
        if slow && error < 1e-11 {
            break;
        }
    }
    (x, error)
}
