//! Cholesky, LU, triangular systems and QR: residuals, values, conventions.

use nalgebra::DMatrix;
use pullback_linalg::{self as linalg, LinalgError, Triangle, View};

use crate::tables::{
    Number, Random, SHAPES, SIZES, cast, definite, flat, matrix, rectangular, small, zeros,
};

fn cholesky_laws<T: Number>() {
    for n in SIZES {
        for (name, a) in definite(n) {
            let a = matrix(n, n, &cast::<T>(&flat(&a)));
            let mut l = zeros::<T>(n * n);
            linalg::cholesky(1, n, &cast::<T>(&flat(&a)), &mut l).unwrap();
            let lower = matrix(n, n, &l);
            assert_eq!(
                lower.upper_triangle().lower_triangle(),
                lower.upper_triangle(),
                "{name}: the upper part is 0"
            );
            small(
                name,
                "A − LLᵀ",
                &(&lower * lower.transpose() - &a),
                4.0 * n as f64 * T::EPS * a.norm(),
            );
            for k in [1, 3, 8] {
                let b = Random(5).matrix(n, k);
                let mut x = zeros::<T>(n * k);
                linalg::cholesky_solve(1, n, k, &l, &cast::<T>(&flat(&b)), &mut x).unwrap();
                let x = matrix(n, k, &x);
                let scale = lower.norm().powi(2) * x.norm();
                small(
                    name,
                    "Ax − b",
                    &(&a * &x - &b),
                    8.0 * n as f64 * T::EPS * (scale + b.norm()),
                );
            }
        }
    }
}

#[test]
fn cholesky_factors_and_solves() {
    cholesky_laws::<f64>();
    cholesky_laws::<f32>();
}

#[test]
fn the_two_triangles_carry_one_symmetric_matrix_together() {
    for n in SIZES {
        for batch in [1, 3, 20] {
            // 20 matrices fill SIMD registers, the last of them not wholly.
            let (mut a, mut symmetric) = (Vec::new(), Vec::new());
            for seed in 0..batch {
                let m = Random(seed).matrix(n, n);
                let definite = &m * m.transpose() + DMatrix::identity(n, n) * n as f64;
                let skew = DMatrix::from_fn(n, n, |i, j| i as f64 - j as f64);
                a.extend(flat(&(&definite + &skew)));
                symmetric.extend(flat(&definite));
            }
            let batch = batch as usize;
            let (mut l, mut expected) = (zeros::<f64>(a.len()), zeros::<f64>(a.len()));
            linalg::cholesky_of_symmetric_part(batch, n, &a, &mut l).unwrap();
            linalg::cholesky(batch, n, &symmetric, &mut expected).unwrap();
            for (l, e) in l.iter().zip(&expected) {
                assert!((l - e).abs() <= 1e-13 * n as f64 * n as f64, "{n}: {l} {e}");
            }
        }
    }
}

#[test]
fn products_of_any_layout() {
    let small = [(1, 1, 1), (2, 3, 4), (7, 1, 5), (40, 33, 20), (1, 300, 1), (130, 70, 90)];
    // In panels: of columns, of rows and columns, more than there are threads, of one column only.
    let long = [(150, 130, 333), (1550, 300, 140), (2, 4099, 1300), (1300, 1700, 1)];
    for (m, k, n) in small.into_iter().chain(long) {
        let (a, b) = (Random(1).matrix(m, k), Random(2).matrix(k, n));
        let expected = &a * &b;
        let (rows, columns) = (flat(&a), flat(&a.transpose()));
        let (right, turned) = (flat(&b), flat(&b.transpose()));
        for (data, row, column) in [(&rows, k, 1), (&columns, 1, m)] {
            for (other, r, c) in [(&right, n, 1), (&turned, 1, k)] {
                let views = (View { data, row, column }, View { data: other, row: r, column: c });
                let (mut one, mut many) = (vec![f64::NAN; m * n], vec![f64::NAN; m * n]);
                linalg::matmul((m, n, k), views.0, views.1, &mut one, false).unwrap();
                linalg::matmul((m, n, k), views.0, views.1, &mut many, true).unwrap();
                assert_eq!(one, many, "threads change nothing");
                let error = (matrix(m, n, &one) - &expected).amax();
                assert!(error <= 1e-14 * k as f64, "{m}×{k}×{n}: {error}");
            }
        }
    }
    let empty = View { data: &[][..], row: 1, column: 1 };
    let mut c = [f64::NAN; 6];
    linalg::matmul((2, 3, 0), empty, empty, &mut c, true).unwrap();
    assert_eq!(c, [0.0; 6], "a sum of nothing");
    linalg::matmul((0, 3, 5), empty, empty, &mut [], true).unwrap();
}

#[test]
fn a_view_beyond_its_slice_is_refused() {
    let data = [1.0; 6];
    let good = View { data: &data[..], row: 3, column: 1 };
    for (row, column) in
        [(5, 1), (3, 3), (usize::MAX, 1), (3, usize::MAX), (usize::MAX, usize::MAX)]
    {
        let bad = View { data: &data[..], row, column };
        for (a, b, name) in [(bad, good, "a"), (good, bad, "b")] {
            let refused = linalg::matmul((2, 2, 2), a, b, &mut [0.0; 4], false);
            assert!(
                matches!(refused, Err(LinalgError::Length { argument, .. }) if argument == name),
                "{row} {column}: {refused:?}"
            );
        }
    }
    let short = linalg::matmul((2, 2, 2), good, good, &mut [0.0; 3], false);
    assert!(matches!(short, Err(LinalgError::Length { argument: "c", .. })), "{short:?}");
}

fn permuted(n: usize, permutation: &[usize], a: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(n, a.ncols(), |i, j| a[(permutation[i], j)])
}

fn lu_laws<T: Number>() {
    for n in SIZES {
        for name in ["random", "large", "small", "negative", "identity"] {
            let (_, mut a) =
                rectangular(n, n).into_iter().find(|(other, _)| *other == name).unwrap();
            if name == "negative" {
                a += DMatrix::identity(n, n) * (2 * n * n) as f64;
            }
            let numbers = cast::<T>(&flat(&a));
            let a = matrix(n, n, &numbers);
            let (mut lu, mut permutation) = (zeros::<T>(n * n), vec![0; n]);
            linalg::lu(1, n, &numbers, &mut lu, &mut permutation).unwrap();
            let packed = matrix(n, n, &lu);
            let lower = DMatrix::from_fn(n, n, |i, j| {
                if i == j { 1.0 } else { f64::from(i > j) * packed[(i, j)] }
            });
            let upper = packed.upper_triangle();
            assert!(lower.amax() <= 1.0, "{name}: partial pivoting bounds L");
            let scale = lower.norm() * upper.norm();
            small(
                name,
                "PA − LU",
                &(permuted(n, &permutation, &a) - &lower * &upper),
                n as f64 * T::EPS * scale,
            );
            for k in [1, 5] {
                let b = Random(6).matrix(n, k);
                let right = cast::<T>(&flat(&b));
                for transposed in [false, true] {
                    let mut x = zeros::<T>(n * k);
                    linalg::lu_solve(1, n, k, &lu, &permutation, transposed, &right, &mut x)
                        .unwrap();
                    let x = matrix(n, k, &x);
                    let product = if transposed { a.tr_mul(&x) } else { &a * &x };
                    small(
                        name,
                        "Ax − b",
                        &(product - &b),
                        8.0 * n as f64 * T::EPS * (scale * x.norm() + b.norm()),
                    );
                }
                let (mut again, mut rows, mut x) =
                    (zeros::<T>(n * n), vec![0; n], zeros::<T>(n * k));
                linalg::solve(1, n, k, &numbers, &right, &mut again, &mut rows, &mut x).unwrap();
                let mut two_steps = zeros::<T>(n * k);
                linalg::lu_solve(1, n, k, &lu, &permutation, false, &right, &mut two_steps)
                    .unwrap();
                assert_eq!(
                    (again, rows, x),
                    (lu.clone(), permutation.clone(), two_steps),
                    "{name}: one pass or two"
                );
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
            assert!(
                (logabs[0].get() - expected).abs()
                    <= 4.0 * n as f64 * T::EPS * (expected.abs() + condition),
                "{name}"
            );
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
                let triangle = Triangle {
                    upper: flags & 1 > 0,
                    transposed: flags & 2 > 0,
                    unit_diagonal: flags & 4 > 0,
                };
                let mut t = if triangle.upper { a.upper_triangle() } else { a.lower_triangle() };
                if triangle.unit_diagonal {
                    t.fill_diagonal(1.0);
                }
                let t = if triangle.transposed { t.transpose() } else { t };
                let mut x = zeros::<T>(n * k);
                linalg::solve_triangular(
                    1,
                    n,
                    k,
                    triangle,
                    &numbers,
                    &cast::<T>(&flat(&b)),
                    &mut x,
                )
                .unwrap();
                let x = matrix(n, k, &x);
                let name = format!("{triangle:?}");
                small(
                    &name,
                    "Tx − b",
                    &(&t * &x - &b),
                    8.0 * n as f64 * T::EPS * (t.norm() * x.norm() + b.norm()),
                );
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

#[test]
fn condition_estimates_are_close_to_the_truth() {
    for n in [1, 2, 5, 12, 40] {
        for (name, a) in definite(n).into_iter().filter(|(name, _)| *name != "graded") {
            let (mut lu, mut permutation) = (vec![0.0; n * n], vec![0; n]);
            linalg::lu(1, n, &flat(&a), &mut lu, &mut permutation).unwrap();
            let norm = |a: &DMatrix<f64>| a.column_iter().map(|c| c.lp_norm(1)).fold(0.0, f64::max);
            let truth = 1.0 / (norm(&a) * norm(&a.clone().try_inverse().unwrap()));
            let mut estimate = [0.0];
            linalg::reciprocal_condition(1, n, &lu, &permutation, &[norm(&a)], &mut estimate)
                .unwrap();
            assert!(
                (0.99 * truth..=3.0 * truth).contains(&estimate[0]),
                "{name} {n}: {:e} for {truth:e}",
                estimate[0]
            );
        }
    }
}
