//! Laws of the batched linear algebra kernels over a table of matrices, values against nalgebra, errors, and bit equality.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nalgebra::DMatrix;
use pullback_core_graph::kernel::linalg::{self, LinalgError, Real, Triangle};

trait Number: Real + std::fmt::Debug {
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

fn cast<T: Number>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::of(x)).collect()
}
fn matrix<T: Number>(rows: usize, columns: usize, x: &[T]) -> DMatrix<f64> {
    DMatrix::from_row_iterator(rows, columns, x.iter().map(|x| x.get()))
}
fn flat(a: &DMatrix<f64>) -> Vec<f64> {
    a.transpose().as_slice().to_vec()
}
fn zeros<T: Number>(n: usize) -> Vec<T> {
    vec![T::of(0.0); n]
}

/// Numbers in −1 … 1 from a linear congruential generator.
struct Random(u64);
impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    fn matrix(&mut self, m: usize, n: usize) -> DMatrix<f64> {
        DMatrix::from_fn(m, n, |_, _| self.next())
    }
    fn orthogonal(&mut self, n: usize) -> DMatrix<f64> {
        self.matrix(n, n).qr().q()
    }
}

/// Matrices of all kinds of trouble, m×n.
fn rectangular(m: usize, n: usize) -> Vec<(&'static str, DMatrix<f64>)> {
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

fn symmetric(n: usize) -> Vec<(&'static str, DMatrix<f64>)> {
    let mut random = Random(n as u64);
    let mut table: Vec<_> = rectangular(n, n).into_iter().map(|(name, a)| (name, &a + a.transpose())).collect();
    let q = random.orthogonal(n);
    let repeated = &q * DMatrix::from_fn(n, n, |i, j| if i == j { (i / 3) as f64 } else { 0.0 }) * q.transpose();
    table.push(("repeated eigenvalues", (&repeated + repeated.transpose()) * 0.5));
    table.push(("second difference", DMatrix::from_fn(n, n, |i, j| [2.0, -1.0, 0.0][i.abs_diff(j).min(2)])));
    table
}

fn definite(n: usize) -> Vec<(&'static str, DMatrix<f64>)> {
    let mut random = Random(77 + n as u64);
    let b = random.matrix(n, n);
    let a = &b * b.transpose() + DMatrix::identity(n, n);
    let scale = DMatrix::from_fn(n, n, |i, j| if i == j { 10f64.powi(8 * (i as i32 % 3 - 1)) } else { 0.0 });
    vec![
        ("Wishart", a.clone()),
        ("graded", &scale * &a * &scale),
        ("identity", DMatrix::identity(n, n)),
        ("second difference", DMatrix::from_fn(n, n, |i, j| [2.0, -1.0, 0.0][i.abs_diff(j).min(2)])),
        ("large", &a * 1e18),
        ("small", &a * 1e-18),
    ]
}

const SIZES: [usize; 11] = [1, 2, 3, 4, 5, 6, 9, 13, 33, 64, 100];
const SHAPES: [(usize, usize); 12] =
    [(1, 1), (1, 4), (4, 1), (2, 3), (6, 6), (7, 3), (3, 7), (20, 13), (13, 20), (33, 33), (70, 40), (40, 70)];

/// Checks ‖error‖ ≤ tolerance, both as Frobenius norms, and says which matrix failed.
fn small(name: &str, law: &str, error: &DMatrix<f64>, tolerance: f64) {
    let norm = error.norm();
    assert!(norm <= tolerance, "{name} {}×{}: {law} {norm:e} > {tolerance:e}", error.nrows(), error.ncols());
}

fn cholesky_laws<T: Number>() {
    for n in SIZES {
        for (name, a) in definite(n) {
            let a = matrix(n, n, &cast::<T>(&flat(&a)));
            let mut l = zeros::<T>(n * n);
            linalg::cholesky(1, n, &cast::<T>(&flat(&a)), &mut l).unwrap();
            let lower = matrix(n, n, &l);
            assert_eq!(lower.upper_triangle().lower_triangle(), lower.upper_triangle(), "{name}: the upper part is 0");
            small(name, "A − LLᵀ", &(&lower * lower.transpose() - &a), 4.0 * n as f64 * T::EPS * a.norm());
            for k in [1, 3, 8] {
                let b = Random(5).matrix(n, k);
                let mut x = zeros::<T>(n * k);
                linalg::cholesky_solve(1, n, k, &l, &cast::<T>(&flat(&b)), &mut x).unwrap();
                let x = matrix(n, k, &x);
                let scale = lower.norm().powi(2) * x.norm();
                small(name, "Ax − b", &(&a * &x - &b), 8.0 * n as f64 * T::EPS * (scale + b.norm()));
            }
        }
    }
}

#[test]
fn cholesky_factors_and_solves() {
    cholesky_laws::<f64>();
    cholesky_laws::<f32>();
}

fn permuted(n: usize, permutation: &[usize], a: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(n, a.ncols(), |i, j| a[(permutation[i], j)])
}

fn lu_laws<T: Number>() {
    for n in SIZES {
        for name in ["random", "large", "small", "negative", "identity"] {
            let (_, mut a) = rectangular(n, n).into_iter().find(|(other, _)| *other == name).unwrap();
            if name == "negative" {
                a += DMatrix::identity(n, n) * (2 * n * n) as f64;
            }
            let numbers = cast::<T>(&flat(&a));
            let a = matrix(n, n, &numbers);
            let (mut lu, mut permutation) = (zeros::<T>(n * n), vec![0; n]);
            linalg::lu(1, n, &numbers, &mut lu, &mut permutation).unwrap();
            let packed = matrix(n, n, &lu);
            let lower = DMatrix::from_fn(n, n, |i, j| if i == j { 1.0 } else { f64::from(i > j) * packed[(i, j)] });
            let upper = packed.upper_triangle();
            assert!(lower.amax() <= 1.0, "{name}: partial pivoting bounds L");
            let scale = lower.norm() * upper.norm();
            small(name, "PA − LU", &(permuted(n, &permutation, &a) - &lower * &upper), n as f64 * T::EPS * scale);
            for k in [1, 5] {
                let b = Random(6).matrix(n, k);
                let right = cast::<T>(&flat(&b));
                for transposed in [false, true] {
                    let mut x = zeros::<T>(n * k);
                    linalg::lu_solve(1, n, k, &lu, &permutation, transposed, &right, &mut x).unwrap();
                    let x = matrix(n, k, &x);
                    let product = if transposed { a.tr_mul(&x) } else { &a * &x };
                    small(name, "Ax − b", &(product - &b), 8.0 * n as f64 * T::EPS * (scale * x.norm() + b.norm()));
                }
                let (mut again, mut rows, mut x) = (zeros::<T>(n * n), vec![0; n], zeros::<T>(n * k));
                linalg::solve(1, n, k, &numbers, &right, &mut again, &mut rows, &mut x).unwrap();
                let mut two_steps = zeros::<T>(n * k);
                linalg::lu_solve(1, n, k, &lu, &permutation, false, &right, &mut two_steps).unwrap();
                assert_eq!((again, rows, x), (lu.clone(), permutation.clone(), two_steps), "{name}: one pass or two");
            }
            let mut x = zeros::<T>(n * n);
            linalg::inverse(1, n, &numbers, &mut x).unwrap();
            let x = matrix(n, n, &x);
            let error = &a * &x - DMatrix::identity(n, n);
            small(name, "A·A⁻¹ − 1", &error, 8.0 * n as f64 * T::EPS * scale * x.norm());
            let (mut sign, mut logabs) = (zeros::<T>(1), zeros::<T>(1));
            linalg::slogdet(1, n, &numbers, &mut sign, &mut logabs).unwrap();
            let oracle = a.clone().lu();
            let expected: f64 = oracle.u().diagonal().iter().map(|d| d.abs().ln()).sum();
            let negative = oracle.u().diagonal().iter().filter(|d| **d < 0.0).count() % 2 == 1;
            let determinant = oracle.p().determinant::<f64>() * if negative { -1.0 } else { 1.0 };
            assert_eq!(sign[0].get(), determinant, "{name} {n}: sign");
            let condition = a.norm() * x.norm();
            assert!((logabs[0].get() - expected).abs() <= 4.0 * n as f64 * T::EPS * (expected.abs() + condition), "{name}");
        }
    }
}

#[test]
fn lu_factors_solves_inverts_and_takes_determinants() {
    lu_laws::<f64>();
    lu_laws::<f32>();
}

fn triangular_laws<T: Number>() {
    for n in [1, 2, 3, 4, 5, 8, 11, 64, 65, 150] {
        let mut random = Random(n as u64);
        let a = random.matrix(n, n) * 0.5 / n as f64 + DMatrix::identity(n, n);
        let numbers = cast::<T>(&flat(&a));
        let a = matrix(n, n, &numbers);
        for k in [1, 4, 6] {
            let b = random.matrix(n, k);
            for flags in 0..8 {
                let triangle =
                    Triangle { upper: flags & 1 > 0, transposed: flags & 2 > 0, unit_diagonal: flags & 4 > 0 };
                let mut t = if triangle.upper { a.upper_triangle() } else { a.lower_triangle() };
                if triangle.unit_diagonal {
                    t.fill_diagonal(1.0);
                }
                let t = if triangle.transposed { t.transpose() } else { t };
                let mut x = zeros::<T>(n * k);
                linalg::solve_triangular(1, n, k, triangle, &numbers, &cast::<T>(&flat(&b)), &mut x).unwrap();
                let x = matrix(n, k, &x);
                let name = format!("{triangle:?}");
                small(&name, "Tx − b", &(&t * &x - &b), 8.0 * n as f64 * T::EPS * (t.norm() * x.norm() + b.norm()));
            }
        }
    }
}

#[test]
fn triangular_systems_of_all_kinds() {
    triangular_laws::<f64>();
    triangular_laws::<f32>();
}

fn qr_laws<T: Number>() {
    for (m, n) in SHAPES {
        let p = m.min(n);
        for (name, a) in rectangular(m, n) {
            let numbers = cast::<T>(&flat(&a));
            let a = matrix(m, n, &numbers);
            let (mut q, mut r) = (zeros::<T>(m * p), zeros::<T>(p * n));
            linalg::qr(1, m, n, &numbers, &mut q, &mut r).unwrap();
            let (q, r) = (matrix(m, p, &q), matrix(p, n, &r));
            let size = (m + n) as f64;
            small(name, "QᵀQ − 1", &(q.tr_mul(&q) - DMatrix::identity(p, p)), 4.0 * size * T::EPS);
            let error = &a - &q * &r;
            small(name, "A − QR", &error, 2.0 * size * T::EPS * a.norm());
            for j in 0..n {
                // Column by column, so that small columns of a graded matrix count as much as large ones.
                let bound = 4.0 * size * T::EPS * a.column(j).norm();
                assert!(error.column(j).norm() <= bound, "{name} {m}×{n}: column {j}");
            }
            for i in 0..p {
                assert!(r[(i, i)] >= 0.0, "{name}: the diagonal of R is not negative");
                assert!((0..i).all(|j| r[(i, j)] == 0.0), "{name}: R is triangular");
            }
        }
    }
}

#[test]
fn qr_of_all_shapes() {
    qr_laws::<f64>();
    qr_laws::<f32>();
}

fn eigen_laws<T: Number>() {
    for n in SIZES {
        for (name, a) in symmetric(n) {
            let numbers = cast::<T>(&flat(&a));
            let a = matrix(n, n, &numbers);
            let (mut w, mut v) = (zeros::<T>(n), zeros::<T>(n * n));
            linalg::symmetric_eigen(1, n, &numbers, &mut w, &mut v).unwrap();
            let (w, v) = (matrix(n, 1, &w), matrix(n, n, &v));
            let tolerance = 4.0 * (n as f64 + 3.0) * T::EPS;
            small(name, "VᵀV − 1", &(v.tr_mul(&v) - DMatrix::identity(n, n)), tolerance);
            let lambda = DMatrix::from_diagonal(&w.column(0).into_owned());
            small(name, "AV − VΛ", &(&a * &v - &v * lambda), tolerance * a.norm());
            assert!(w.as_slice().is_sorted(), "{name}: eigenvalues ascend");
            let mut expected: Vec<f64> = a.clone().symmetric_eigenvalues().iter().copied().collect();
            expected.sort_by(f64::total_cmp);
            small(name, "eigenvalues", &(&w - DMatrix::from_vec(n, 1, expected)), tolerance * a.norm());
            for j in 0..n {
                let column = v.column(j);
                assert!(column.max() >= column.amax() * (1.0 - 4.0 * T::EPS), "{name}: the largest component is positive");
            }
        }
    }
}

#[test]
fn symmetric_eigendecomposition() {
    eigen_laws::<f64>();
    eigen_laws::<f32>();
}

fn svd_laws<T: Number>() {
    for (m, n) in SHAPES {
        let p = m.min(n);
        for (name, a) in rectangular(m, n) {
            let numbers = cast::<T>(&flat(&a));
            let a = matrix(m, n, &numbers);
            let (mut u, mut s, mut vt) = (zeros::<T>(m * p), zeros::<T>(p), zeros::<T>(p * n));
            let result = linalg::svd(1, m, n, &numbers, &mut u, &mut s, &mut vt);
            assert_eq!(result, Ok(()), "{name} {m}×{n}");
            let (u, s, vt) = (matrix(m, p, &u), matrix(p, 1, &s), matrix(p, n, &vt));
            let tolerance = 4.0 * (m + n) as f64 * T::EPS;
            small(name, "UᵀU − 1", &(u.tr_mul(&u) - DMatrix::identity(p, p)), tolerance);
            small(name, "VᵀV − 1", &(&vt * vt.transpose() - DMatrix::identity(p, p)), tolerance);
            let sigma = DMatrix::from_diagonal(&s.column(0).into_owned());
            small(name, "A − USVᵀ", &(&a - &u * sigma * &vt), tolerance * a.norm());
            assert!(s.as_slice().iter().rev().is_sorted() && s.min() >= 0.0, "{name}: singular values descend");
            let expected = a.clone().singular_values();
            small(name, "singular values", &(&s - DMatrix::from_column_slice(p, 1, expected.as_slice())), tolerance * a.norm());
            for j in 0..p {
                let column = u.column(j);
                assert!(column.max() >= column.amax() * (1.0 - 4.0 * T::EPS), "{name}: the largest component is positive");
            }
        }
    }
}

#[test]
fn singular_value_decomposition() {
    svd_laws::<f64>();
    svd_laws::<f32>();
}

/// Orthonormal columns times powers of ten: the singular values are these powers, and all keep their digits.
#[test]
fn small_singular_values_of_graded_matrices_keep_their_digits() {
    for (m, n) in [(6, 6), (9, 5), (5, 9), (33, 33), (80, 17)] {
        let (rows, columns) = (m.max(n), m.min(n));
        let expected: Vec<f64> = (0..columns).map(|j| 10f64.powf(8.0 - 16.0 * j as f64 / (columns - 1) as f64)).collect();
        let mut graded = Random(3).orthogonal(rows).columns(0, columns).into_owned();
        for j in 0..columns {
            graded.column_mut(j).scale_mut(expected[(j * 2 + 1) % columns.max(1)]);
        }
        let expected = {
            let mut used: Vec<f64> = (0..columns).map(|j| expected[(j * 2 + 1) % columns]).collect();
            used.sort_by(|a, b| b.total_cmp(a));
            used
        };
        let a = if m >= n { graded } else { graded.transpose() };
        let (mut u, mut s, mut vt) = (vec![0.0; m * columns], vec![0.0; columns], vec![0.0; columns * n]);
        linalg::svd(1, m, n, &flat(&a), &mut u, &mut s, &mut vt).unwrap();
        for (found, expected) in s.iter().zip(&expected) {
            assert!((found / expected - 1.0).abs() < 1e-13, "{m}×{n}: {found:e} for {expected:e}");
        }
    }
}

/// Far ends of the number range: the scaled result is the result of the scaled matrix.
#[test]
fn huge_and_tiny_matrices() {
    for n in [3, 6, 20] {
        let a = Random(8).matrix(n, n);
        let a = &a + a.transpose();
        for exponent in [-900, 900] {
            let scale = 2f64.powi(exponent);
            let (plain, scaled) = (flat(&a), flat(&(&a * scale)));
            let run = |a: &[f64]| {
                let (mut w, mut v) = (vec![0.0; n], vec![0.0; n * n]);
                linalg::symmetric_eigen(1, n, a, &mut w, &mut v).unwrap();
                let (mut u, mut s, mut vt) = (vec![0.0; n * n], vec![0.0; n], vec![0.0; n * n]);
                linalg::svd(1, n, n, a, &mut u, &mut s, &mut vt).unwrap();
                let (mut q, mut r) = (vec![0.0; n * n], vec![0.0; n * n]);
                linalg::qr(1, n, n, a, &mut q, &mut r).unwrap();
                ([v, u, vt, q].concat(), [w, s, r].concat())
            };
            let ((vectors, values), (scaled_vectors, scaled_values)) = (run(&plain), run(&scaled));
            assert_eq!(vectors, scaled_vectors, "{n}, 2^{exponent}");
            let values: Vec<f64> = values.iter().map(|x| x * scale).collect();
            assert_eq!(values, scaled_values, "{n}, 2^{exponent}");
        }
    }
}

#[test]
fn condition_estimates_are_close_to_the_truth() {
    for n in [1, 2, 5, 12, 40] {
        for (name, a) in definite(n).into_iter().filter(|(name, _)| *name != "graded") {
            let (mut lu, mut permutation) = (vec![0.0; n * n], vec![0; n]);
            linalg::lu(1, n, &flat(&a), &mut lu, &mut permutation).unwrap();
            let norm = |a: &DMatrix<f64>| a.column_iter().map(|c| c.lp_norm(1)).fold(0.0, f64::max);
            let truth = 1.0 / (norm(&a) * norm(&a.clone().try_inverse().unwrap()));
            let mut estimate = [0.0];
            linalg::reciprocal_condition(1, n, &lu, &permutation, &[norm(&a)], &mut estimate).unwrap();
            assert!(
                (0.99 * truth..=3.0 * truth).contains(&estimate[0]),
                "{name} {n}: {:e} for {truth:e}",
                estimate[0]
            );
        }
    }
}

/// A batch of well-conditioned matrices of which some have been spoiled; the lowest spoiled one is reported.
fn spoiled(batch: usize, n: usize, bad: &[usize], spoil: impl Fn(&mut [f64])) -> Vec<f64> {
    let mut random = Random(9);
    let mut a = Vec::new();
    for m in 0..batch {
        let b = random.matrix(n, n);
        let mut one = flat(&(&b * b.transpose() + DMatrix::identity(n, n) * n as f64));
        if bad.contains(&m) {
            spoil(&mut one);
        }
        a.extend(one);
    }
    a
}

#[test]
fn the_lowest_failing_matrix_is_reported_with_its_numbers() {
    for n in [3, 6, 20, 80] {
        let batch = if n > 64 { 5 } else { 100 };
        for bad in [vec![batch - 1], vec![3, 4], vec![0, batch - 2], vec![2, 1]] {
            let lowest = *bad.iter().min().unwrap();
            let a = spoiled(batch, n, &bad, |a| a[(n + 1) * (n / 2)] = -1.0);
            let mut out = vec![0.0; a.len()];
            match linalg::cholesky(batch, n, &a, &mut out).unwrap_err() {
                LinalgError::NotPositiveDefinite { batch, pivot, value } => {
                    assert_eq!((batch, pivot), (lowest, n / 2));
                    assert!(value < 0.0 && value.is_finite());
                }
                other => panic!("{other}"),
            }
            let mut permutation = vec![0; batch * n];
            let zero_row = spoiled(batch, n, &bad, |a| a[n..2 * n].fill(0.0));
            match linalg::lu(batch, n, &zero_row, &mut out, &mut permutation).unwrap_err() {
                LinalgError::Singular { batch, pivot, value, reciprocal_condition } => {
                    assert_eq!((batch, pivot, value, reciprocal_condition), (lowest, n - 1, 0.0, 0.0));
                }
                other => panic!("{other}"),
            }
            let equal_rows = spoiled(batch, n, &bad, |a| {
                let first: Vec<f64> = a[..n].iter().map(|x| x * (1.0 / 3.0)).collect();
                a[n..2 * n].copy_from_slice(&first);
            });
            match linalg::inverse(batch, n, &equal_rows, &mut out).unwrap_err() {
                LinalgError::Singular { batch, value, reciprocal_condition, .. } => {
                    assert_eq!(batch, lowest);
                    assert!(value.abs() < 1e-12 && reciprocal_condition < 1e-14, "{value:e} {reciprocal_condition:e}");
                }
                other => panic!("{other}"),
            }
            let zero_diagonal = spoiled(batch, n, &bad, |a| a[(n + 1) * (n - 1)] = 0.0);
            let (b, mut x) = (vec![1.0; batch * n], vec![0.0; batch * n]);
            for error in [
                linalg::solve_triangular(batch, n, 1, Triangle::UPPER, &zero_diagonal, &b, &mut x),
                linalg::cholesky_solve(batch, n, 1, &zero_diagonal, &b, &mut x),
            ] {
                let expected = LinalgError::Singular { batch: lowest, pivot: n - 1, value: 0.0, reciprocal_condition: 0.0 };
                assert_eq!(error, Err(expected));
            }
        }
    }
}

#[test]
fn pivots_beside_nothing_are_singular_for_solves_but_have_a_determinant() {
    let a = [1e8, 0.0, 0.0, 1e-10];
    let (mut lu, mut permutation) = ([0.0; 4], [0; 2]);
    let error = linalg::lu(1, 2, &a, &mut lu, &mut permutation).unwrap_err();
    let LinalgError::Singular { pivot: 1, value, reciprocal_condition, .. } = error else { panic!("{error}") };
    assert_eq!(value, 1e-10);
    assert!((reciprocal_condition / 1e-18 - 1.0).abs() < 1e-12);
    let (mut sign, mut logabs) = ([0.0], [0.0]);
    linalg::slogdet(1, 2, &a, &mut sign, &mut logabs).unwrap();
    assert!(sign[0] == 1.0 && (logabs[0] - 1e-2f64.ln()).abs() < 1e-14);
    let singular = linalg::slogdet(1, 2, &[1.0, 2.0, 2.0, 4.0], &mut sign, &mut logabs);
    assert!(matches!(singular, Err(LinalgError::Singular { pivot: 1, .. })), "{singular:?}");
}

type Call = Box<dyn Fn(usize, usize, &[f64]) -> Result<(), LinalgError>>;

/// Every kernel as a function of one batch of n×n matrices.
fn kernels() -> Vec<(&'static str, Call)> {
    vec![
        ("cholesky", Box::new(|b, n, a| linalg::cholesky(b, n, a, &mut vec![0.0; a.len()]))),
        (
            "cholesky_solve",
            Box::new(|b, n, a| linalg::cholesky_solve(b, n, 1, a, &vec![1.0; b * n], &mut vec![0.0; b * n])),
        ),
        (
            "solve_positive_definite",
            Box::new(|b, n, a| {
                let (right, mut l, mut x) = (vec![1.0; b * n], vec![0.0; a.len()], vec![0.0; b * n]);
                linalg::solve_positive_definite(b, n, 1, a, &right, &mut l, &mut x)
            }),
        ),
        (
            "solve_triangular",
            Box::new(|b, n, a| {
                linalg::solve_triangular(b, n, 1, Triangle::LOWER, a, &vec![1.0; b * n], &mut vec![0.0; b * n])
            }),
        ),
        ("right-hand side", Box::new(|b, n, a| {
            let identity: Vec<f64> = (0..b * n * n).map(|e| f64::from(e % (n * n) % (n + 1) == 0)).collect();
            linalg::solve_triangular(b, n, n, Triangle::LOWER, &identity, a, &mut vec![0.0; a.len()])
        })),
        ("lu", Box::new(|b, n, a| linalg::lu(b, n, a, &mut vec![0.0; a.len()], &mut vec![0; b * n]))),
        (
            "lu_solve",
            Box::new(|b, n, a| {
                let rows: Vec<usize> = (0..b * n).map(|i| i % n).collect();
                linalg::lu_solve(b, n, 1, a, &rows, true, &vec![1.0; b * n], &mut vec![0.0; b * n])
            }),
        ),
        ("inverse", Box::new(|b, n, a| linalg::inverse(b, n, a, &mut vec![0.0; a.len()]))),
        ("slogdet", Box::new(|b, n, a| linalg::slogdet(b, n, a, &mut vec![0.0; b], &mut vec![0.0; b]))),
        ("qr", Box::new(|b, n, a| linalg::qr(b, n, n, a, &mut vec![0.0; a.len()], &mut vec![0.0; a.len()]))),
        (
            "symmetric_eigen",
            Box::new(|b, n, a| linalg::symmetric_eigen(b, n, a, &mut vec![0.0; b * n], &mut vec![0.0; a.len()])),
        ),
        (
            "svd",
            Box::new(|b, n, a| {
                let (mut u, mut s, mut vt) = (vec![0.0; a.len()], vec![0.0; b * n], vec![0.0; a.len()]);
                linalg::svd(b, n, n, a, &mut u, &mut s, &mut vt)
            }),
        ),
    ]
}

#[test]
fn nan_and_infinity_are_found_at_every_entry() {
    for (name, call) in kernels() {
        for n in [1, 3, 6] {
            let good = spoiled(11, n, &[], |_| ());
            call(11, n, &good).unwrap_or_else(|error| panic!("{name}: {error}"));
            for at in 0..good.len() {
                for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    let mut a = good.clone();
                    a[at] = bad;
                    match call(11, n, &a) {
                        Err(LinalgError::NotFinite { batch, index, .. }) => {
                            assert_eq!((batch, index), (at / (n * n), at % (n * n)), "{name}");
                        }
                        other => panic!("{name}: {other:?} for {bad} at {at}"),
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_to_do_is_no_error_and_wrong_lengths_are() {
    for (name, call) in kernels() {
        assert_eq!(call(0, 5, &[]), Ok(()), "{name}: batch 0");
        assert_eq!(call(3, 0, &[]), Ok(()), "{name}: n = 0");
        if name != "right-hand side" {
            assert!(matches!(call(2, 3, &[1.0; 17]), Err(LinalgError::Length { expected: 18, found: 17, .. })), "{name}");
        }
    }
    let error = linalg::cholesky::<f64>(usize::MAX, 2, &[], &mut []);
    assert!(matches!(error, Err(LinalgError::Length { expected: usize::MAX, found: 0, .. })), "{error:?}");
    for (m, n) in [(0, 4), (4, 0)] {
        assert_eq!(linalg::qr::<f64>(2, m, n, &[], &mut [], &mut []), Ok(()));
        assert_eq!(linalg::svd::<f64>(2, m, n, &[], &mut [], &mut [], &mut []), Ok(()));
    }
    let rows = linalg::lu_solve(1, 1, 1, &[1.0], &[1], false, &[1.0], &mut [0.0]);
    assert!(matches!(rows, Err(LinalgError::Argument { .. })), "{rows:?}");
}

#[test]
fn results_that_do_not_fit_are_refused() {
    let mut x = [0.0];
    let error = linalg::solve_triangular(1, 1, 1, Triangle::LOWER, &[1e-200], &[1e200], &mut x);
    assert!(matches!(error, Err(LinalgError::Overflow { batch: 0, index: 0, .. })), "{error:?}");
    let error = linalg::inverse(1, 1, &[1e-310], &mut x);
    assert!(matches!(error, Err(LinalgError::Overflow { .. })), "{error:?}");
}

/// All results of all kernels for one batch, as one list per matrix.
fn everything<T: Number>(batch: usize, m: usize, n: usize, tall: &[T], square: &[T], right: &[T]) -> Vec<Vec<T>> {
    let p = m.min(n);
    let k = 3;
    let z = |size: usize| zeros::<T>(batch * size);
    let (mut l, mut x, mut c) = (z(n * n), z(n * k), z(n * n));
    linalg::solve_positive_definite(batch, n, k, square, right, &mut l, &mut x).unwrap();
    linalg::cholesky(batch, n, square, &mut c).unwrap();
    assert_eq!(l, c, "one pass or two");
    let mut cx = z(n * k);
    linalg::cholesky_solve(batch, n, k, &l, right, &mut cx).unwrap();
    assert_eq!(x, cx, "one pass or two");
    let (mut lu, mut rows, mut y, mut inverse) = (z(n * n), vec![0; batch * n], z(n * k), z(n * n));
    linalg::solve(batch, n, k, square, right, &mut lu, &mut rows, &mut y).unwrap();
    linalg::inverse(batch, n, square, &mut inverse).unwrap();
    let mut yt = z(n * k);
    linalg::lu_solve(batch, n, k, &lu, &rows, true, right, &mut yt).unwrap();
    let (mut sign, mut logabs) = (z(1), z(1));
    linalg::slogdet(batch, n, square, &mut sign, &mut logabs).unwrap();
    let (mut q, mut r) = (z(m * p), z(p * n));
    linalg::qr(batch, m, n, tall, &mut q, &mut r).unwrap();
    let (mut w, mut v) = (z(n), z(n * n));
    linalg::symmetric_eigen(batch, n, square, &mut w, &mut v).unwrap();
    let (mut u, mut s, mut vt) = (z(m * p), z(p), z(p * n));
    linalg::svd(batch, m, n, tall, &mut u, &mut s, &mut vt).unwrap();
    let rows: Vec<T> = rows.iter().map(|&row| T::of(row as f64)).collect();
    let all = [l, x, lu, rows, y, yt, inverse, sign, logabs, q, r, w, v, u, s, vt];
    (0..batch)
        .map(|b| {
            let part = |x: &Vec<T>| x[b * x.len() / batch..(b + 1) * x.len() / batch].to_vec();
            all.iter().flat_map(part).collect()
        })
        .collect()
}

fn bits_are_independent<T: Number>() {
    for (batch, m, n) in [(67, 3, 2), (131, 6, 6), (41, 5, 9), (37, 20, 13), (19, 12, 33), (9, 64, 64), (3, 90, 70)] {
        let mut random = Random(batch as u64);
        let tall: Vec<T> = (0..batch * m * n).map(|_| T::of(random.next())).collect();
        let right: Vec<T> = (0..batch * n * 3).map(|_| T::of(random.next())).collect();
        let square: Vec<T> = (0..batch)
            .flat_map(|_| {
                let b = random.matrix(n, n);
                cast::<T>(&flat(&(&b * b.transpose() + DMatrix::identity(n, n))))
            })
            .collect();
        let whole = everything(batch, m, n, &tall, &square, &right);
        // Each matrix alone, and in batches that begin elsewhere and end elsewhere.
        for (first, count) in (0..batch).map(|b| (b, 1)).chain([(1, batch - 1), (0, batch - 1), (batch / 2, 2)]) {
            let cut = |x: &[T], stride: usize| x[first * stride..(first + count) * stride].to_vec();
            let part = everything(count, m, n, &cut(&tall, m * n), &cut(&square, n * n), &cut(&right, 3 * n));
            assert_eq!(part, whole[first..first + count], "{count} of {batch} matrices {m}×{n} from {first}");
        }
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let same = pool.install(|| everything(batch, m, n, &tall, &square, &right)) == whole;
            assert!(same, "{threads} threads, {batch} matrices {m}×{n}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_batch_position_batch_size_or_threads() {
    bits_are_independent::<f64>();
    bits_are_independent::<f32>();
}
