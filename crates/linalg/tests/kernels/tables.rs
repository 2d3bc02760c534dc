//! Number types, random numbers and matrices of all kinds.

use nalgebra::DMatrix;
use pullback_linalg::Real;

pub(crate) trait Number: Real + std::fmt::Debug {
    const EPS: f64;
    fn of(x: f64) -> Self;
    fn get(self) -> f64;
}
impl Number for f64 {
    const EPS: f64 = f64::EPSILON;
    fn of(x: f64) -> Self {
        x
    }
    fn get(self) -> f64 {
        self
    }
}
impl Number for f32 {
    const EPS: f64 = f32::EPSILON as f64;
    fn of(x: f64) -> Self {
        x as f32
    }
    fn get(self) -> f64 {
        f64::from(self)
    }
}

pub(crate) fn cast<T: Number>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::of(x)).collect()
}
pub(crate) fn matrix<T: Number>(rows: usize, columns: usize, x: &[T]) -> DMatrix<f64> {
    DMatrix::from_row_iterator(rows, columns, x.iter().map(|x| x.get()))
}
pub(crate) fn flat(a: &DMatrix<f64>) -> Vec<f64> {
    a.transpose().as_slice().to_vec()
}
pub(crate) fn zeros<T: Number>(n: usize) -> Vec<T> {
    vec![T::of(0.0); n]
}

/// Numbers in −1 … 1 from a linear congruential generator.
pub(crate) struct Random(pub(crate) u64);
impl Random {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    pub(crate) fn matrix(&mut self, m: usize, n: usize) -> DMatrix<f64> {
        DMatrix::from_fn(m, n, |_, _| self.next())
    }
    pub(crate) fn orthogonal(&mut self, n: usize) -> DMatrix<f64> {
        self.matrix(n, n).qr().q()
    }
}

/// Matrices of all kinds of trouble, m×n.
pub(crate) fn rectangular(m: usize, n: usize) -> Vec<(&'static str, DMatrix<f64>)> {
    let mut random = Random(m as u64 * 1000 + n as u64);
    let p = m.min(n);
    let grade = |i: usize, n: usize| 10f64.powf(8.0 - 16.0 * i as f64 / (n.max(2) - 1) as f64);
    let full = random.matrix(m, n);
    let mut zero_column = full.clone();
    zero_column.column_mut(n / 2).fill(0.0);
    let mut columns = full.clone();
    let mut rows = full.clone();
    for j in 0..n {
        columns.column_mut(j).scale_mut(grade(j, n));
    }
    for i in 0..m {
        rows.row_mut(i).scale_mut(grade(i, m));
    }
    let low = random.matrix(m, p.div_ceil(3)) * random.matrix(p.div_ceil(3), n);
    vec![
        ("random", full.clone()),
        ("zero", DMatrix::zeros(m, n)),
        ("identity", DMatrix::identity(m, n)),
        ("ones", DMatrix::from_element(m, n, 1.0)),
        ("Hilbert", DMatrix::from_fn(m, n, |i, j| 1.0 / (i + j + 1) as f64)),
        ("graded columns", columns),
        ("graded rows", rows),
        ("rank p/3", low),
        ("zero column", zero_column),
        ("large", &full * 1e18),
        ("small", &full * 1e-18),
        ("negative", -DMatrix::from_fn(m, n, |i, j| (1 + i * n + j) as f64)),
    ]
}

pub(crate) fn symmetric(n: usize) -> Vec<(&'static str, DMatrix<f64>)> {
    let mut random = Random(n as u64);
    let mut table: Vec<_> =
        rectangular(n, n).into_iter().map(|(name, a)| (name, &a + a.transpose())).collect();
    let q = random.orthogonal(n);
    let repeated = &q
        * DMatrix::from_fn(n, n, |i, j| if i == j { (i / 3) as f64 } else { 0.0 })
        * q.transpose();
    table.push(("repeated eigenvalues", (&repeated + repeated.transpose()) * 0.5));
    table.push((
        "second difference",
        DMatrix::from_fn(n, n, |i, j| [2.0, -1.0, 0.0][i.abs_diff(j).min(2)]),
    ));
    table
}

pub(crate) fn definite(n: usize) -> Vec<(&'static str, DMatrix<f64>)> {
    let mut random = Random(77 + n as u64);
    let b = random.matrix(n, n);
    let a = &b * b.transpose() + DMatrix::identity(n, n);
    let scale =
        DMatrix::from_fn(
            n,
            n,
            |i, j| if i == j { 10f64.powi(8 * (i as i32 % 3 - 1)) } else { 0.0 },
        );
    vec![
        ("Wishart", a.clone()),
        ("graded", &scale * &a * &scale),
        ("identity", DMatrix::identity(n, n)),
        (
            "second difference",
            DMatrix::from_fn(n, n, |i, j| [2.0, -1.0, 0.0][i.abs_diff(j).min(2)]),
        ),
        ("large", &a * 1e18),
        ("small", &a * 1e-18),
    ]
}

pub(crate) const SIZES: [usize; 11] = [1, 2, 3, 4, 5, 6, 9, 13, 33, 64, 100];
pub(crate) const SHAPES: [(usize, usize); 12] = [
    (1, 1),
    (1, 4),
    (4, 1),
    (2, 3),
    (6, 6),
    (7, 3),
    (3, 7),
    (20, 13),
    (13, 20),
    (33, 33),
    (70, 40),
    (40, 70),
];

/// Checks ‖error‖ ≤ tolerance, both as Frobenius norms, and says which matrix failed.
pub(crate) fn small(name: &str, law: &str, error: &DMatrix<f64>, tolerance: f64) {
    let norm = error.norm();
    assert!(
        norm <= tolerance,
        "{name} {}×{}: {law} {norm:e} > {tolerance:e}",
        error.nrows(),
        error.ncols()
    );
}
