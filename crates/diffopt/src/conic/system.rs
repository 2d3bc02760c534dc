//! The linear system of Newton steps and derivatives.
//!
//! With v = z − s the optimality conditions are F(x, v) = (Px + q + AᵀΠ(v), Ax + Π(v) − v − b) = 0, Π being the projection onto K*. Its
//! derivative D = DΠ(v) = U·diag(d)·Uᵀ is symmetric with 0 < d ≤ 1 on the columns of U. With dz = U·w,
//!
//! > [P    AᵀU          ] [dx]   [r₁  ]
//! > [UᵀA  −diag(1/d − 1)] [w ] = [Uᵀr₂]
//!
//! is symmetric quasi-definite: one sparse LDLᵀ (Vanderbei, Symmetric quasidefinite matrices, 1995) serves every push and pull. A little is
//! added to the diagonal and corrected by refinement. (The homogeneous embedding that others differentiate is singular at every
//! solution: its residual N is positively homogeneous, so DN(z)·z = N(z) = 0.)

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
        let (starts, by_rows) = problem.a.by_rows();
        let mut blocks = Vec::with_capacity(jacobians.len());
        // Columns n.. of the upper triangle: UᵀA's rows, and the diagonal.
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
        let mut dense = vec![0.0; n];
        let mut used = vec![usize::MAX; n];
        let mut column = 0;
        for (jacobian, (_, rows)) in jacobians.iter().zip(problem.blocks()) {
            let block = match jacobian {
                Jacobian::Rows(eigenvalues) => {
                    let kept = |i: &usize| NOTHING < eigenvalues[*i];
                    let picks: Vec<usize> = (0..eigenvalues.len()).filter(kept).collect();
                    for (c, &i) in picks.iter().enumerate() {
                        let row = rows.start + i;
                        for &(j, k) in &by_rows[starts[row]..starts[row + 1]] {
                            indices.push(j);
                            values.push(a[k]);
                        }
                        indices.push(n + column + c);
                        values.push(-(1.0 - eigenvalues[i]) / eigenvalues[i]);
                        pointers.push(indices.len());
                    }
                    let count = picks.len();
                    let (first, rows) = (rows.start, rows.len());
                    Block { first, rows, column, count, vectors: Vec::new(), picks }
                }
                Jacobian::Block { vectors, values: eigenvalues } => {
                    let dimension = rows.len();
                    for (c, d) in eigenvalues.iter().enumerate() {
                        let mut touched = Vec::new();
                        for (i, u) in vectors[c * dimension..(c + 1) * dimension].iter().enumerate()
                        {
                            let row = rows.start + i;
                            for &(j, k) in &by_rows[starts[row]..starts[row + 1]] {
                                if used[j] != column + c {
                                    used[j] = column + c;
                                    dense[j] = 0.0;
                                    touched.push(j);
                                }
                                dense[j] += u * a[k];
                            }
                        }
                        touched.sort_unstable();
                        for j in touched {
                            indices.push(j);
                            values.push(dense[j]);
                        }
                        indices.push(n + column + c);
                        values.push(-(1.0 - d) / d);
                        pointers.push(indices.len());
                    }
                    let (first, count) = (rows.start, eigenvalues.len());
                    let (rows, vectors) = (dimension, vectors.clone());
                    Block { first, rows, column, count, vectors, picks: Vec::new() }
                }
            };
            column += block.count;
            blocks.push(block);
        }
        let size = n + column;
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
                shifted.nzval[at] += if j < n { extra * largest } else { -extra * largest };
            }
            let Some(ldl) = Ldl::new(&shifted, n) else { continue };
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
        Some(System { n, size, matrix, blocks, factor })
    }

    /// (dx, U·w) of the system with (r₁, Uᵀr₂) on the right, and its relative residual.
    pub(super) fn solve(&self, r1: &[f64], r2: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let mut b = r1.to_vec();
        b.resize(self.size, 0.0);
        for block in &self.blocks {
            let out = &mut b[self.n + block.column..self.n + block.column + block.count];
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
            let w = &x[self.n + block.column..self.n + block.column + block.count];
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
