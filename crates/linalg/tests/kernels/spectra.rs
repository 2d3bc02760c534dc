//! Eigenvalues and singular values: residuals, values, conventions, accuracy.

use nalgebra::DMatrix;
use pullback_linalg as linalg;

use crate::tables::{
    Number, Random, SHAPES, SIZES, cast, flat, matrix, rectangular, small, symmetric, zeros,
};

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
            let mut expected: Vec<f64> =
                a.clone().symmetric_eigenvalues().iter().copied().collect();
            expected.sort_by(f64::total_cmp);
            small(
                name,
                "eigenvalues",
                &(&w - DMatrix::from_vec(n, 1, expected)),
                tolerance * a.norm(),
            );
            for j in 0..n {
                let column = v.column(j);
                assert!(
                    column.max() >= column.amax() * (1.0 - 4.0 * T::EPS),
                    "{name}: the largest component is positive"
                );
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
            assert!(
                s.as_slice().iter().rev().is_sorted() && s.min() >= 0.0,
                "{name}: singular values descend"
            );
            let expected = a.clone().singular_values();
            small(
                name,
                "singular values",
                &(&s - DMatrix::from_column_slice(p, 1, expected.as_slice())),
                tolerance * a.norm(),
            );
            for j in 0..p {
                let column = u.column(j);
                assert!(
                    column.max() >= column.amax() * (1.0 - 4.0 * T::EPS),
                    "{name}: the largest component is positive"
                );
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
        let expected: Vec<f64> = (0..columns)
            .map(|j| 10f64.powf(8.0 - 16.0 * j as f64 / (columns - 1) as f64))
            .collect();
        let mut graded = Random(3).orthogonal(rows).columns(0, columns).into_owned();
        for j in 0..columns {
            graded.column_mut(j).scale_mut(expected[(j * 2 + 1) % columns.max(1)]);
        }
        let expected = {
            let mut used: Vec<f64> =
                (0..columns).map(|j| expected[(j * 2 + 1) % columns]).collect();
            used.sort_by(|a, b| b.total_cmp(a));
            used
        };
        let a = if m >= n { graded } else { graded.transpose() };
        let (mut u, mut s, mut vt) =
            (vec![0.0; m * columns], vec![0.0; columns], vec![0.0; columns * n]);
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
