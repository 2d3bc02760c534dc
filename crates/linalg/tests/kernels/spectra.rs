//! Eigenvalues and singular values: residuals, values, conventions, accuracy.

use nalgebra::{DMatrix, DVector};
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

/// VᵀV = 1 and A·V = V·Λ to rounding of ‖A‖, and the eigenvalues are those that A was made from.
fn eigen_pairs<T: Number>(name: &str, a: &DMatrix<f64>, spectrum: &[f64]) {
    let n = a.nrows();
    let numbers = cast::<T>(&flat(a));
    let a = matrix(n, n, &numbers);
    let (mut w, mut v) = (zeros::<T>(n), zeros::<T>(n * n));
    let result = linalg::symmetric_eigen(1, n, &numbers, &mut w, &mut v);
    assert_eq!(result, Ok(()), "{name} {n}×{n}");
    let (w, v) = (matrix(n, 1, &w), matrix(n, n, &v));
    let tolerance = 4.0 * (n as f64 + 3.0) * T::EPS;
    small(name, "VᵀV − 1", &(v.tr_mul(&v) - DMatrix::identity(n, n)), tolerance);
    let lambda = DMatrix::from_diagonal(&w.column(0).into_owned());
    small(name, "AV − VΛ", &(&a * &v - &v * lambda), tolerance * a.norm());
    let mut expected = spectrum.to_vec();
    expected.sort_by(f64::total_cmp);
    small(name, "eigenvalues", &(&w - DMatrix::from_vec(n, 1, expected)), tolerance * a.norm());
}

/// Spectra of which most is zero but for rounding, equal but for rounding, or spread over thirty decades.
fn trouble<T: Number>() {
    for n in [17, 18, 24, 33, 65, 100, 200] {
        let mut random = Random(n as u64 + 40);
        let mut low = |k: usize| (0..n).map(|i| if i < k { random.next() } else { 0.0 }).collect();
        let decades = |i: usize| 10f64.powf(-30.0 * i as f64 / (n - 1) as f64);
        let mut spectra: Vec<(&str, Vec<f64>)> = vec![
            ("rank 1", low(1)),
            ("rank 2", low(2)),
            ("rank n/4", low(n / 4)),
            ("1 … 1e-30", (0..n).map(decades).collect()),
            ("1e-30 … 1", (0..n).rev().map(decades).collect()),
            ("±1 … 1e-30", (0..n).map(|i| decades(i) * [1.0, -1.0][i % 2]).collect()),
            ("two clusters", (0..n).map(|i| (i % 2) as f64 + 1e-14 * i as f64).collect()),
            (
                "a cluster at 0",
                (0..n).map(|i| if i == 0 { 1.0 } else { 1e-17 * i as f64 }).collect(),
            ),
            ("ones but one", (0..n).map(|i| if i == 5 { -3.0 } else { 1.0 }).collect()),
        ];
        for (name, spectrum) in &mut spectra {
            // The same spectrum under a random basis, in the basis of its own, and in one that mixes the front half only.
            let diagonal = DMatrix::from_diagonal(&DVector::from_column_slice(spectrum));
            let mut half = DMatrix::identity(n, n);
            half.view_mut((0, 0), (n / 2, n / 2)).copy_from(&Random(7).orthogonal(n / 2));
            for q in [Random(n as u64).orthogonal(n), DMatrix::identity(n, n), half] {
                let a = &q * &diagonal * q.transpose();
                eigen_pairs::<T>(name, &((&a + a.transpose()) * 0.5), spectrum);
            }
        }
        // Positive semidefinite of rank k as the products that statistics makes, with rows of zeros between.
        for k in [1, 3, n / 2] {
            let mut b = Random(k as u64).matrix(n, k);
            (0..n).step_by(3).for_each(|i| b.row_mut(i).fill(0.0));
            let expected = b.tr_mul(&b).symmetric_eigenvalues();
            let mut spectrum = vec![0.0; n];
            spectrum[..k].copy_from_slice(expected.as_slice());
            eigen_pairs::<T>("BBᵀ", &(&b * b.transpose()), &spectrum);
        }
    }
}

/// S ⊗ 1 of a graded S of low rank, as Hessians of networks of matrices are: every eigenvalue many times, most of them zero.
fn products<T: Number>() {
    for seed in 0..6 {
        let (k, m, rank) = (11, 10, 3 + seed as usize);
        let mut random = Random(seed);
        let mut u = random.matrix(k, rank);
        (0..rank).for_each(|j| u.column_mut(j).scale_mut(10f64.powf(2.0 - j as f64)));
        let signs = DVector::from_fn(rank, |j, _| [1.0, -1.0][j % 2]);
        let s = &u * DMatrix::from_diagonal(&signs) * u.transpose();
        let s = (&s + s.transpose()) * 0.5;
        let spectrum: Vec<f64> =
            s.clone().symmetric_eigenvalues().iter().flat_map(|&v| vec![v; m]).collect();
        eigen_pairs::<T>("S ⊗ 1", &s.kronecker(&DMatrix::identity(m, m)), &spectrum);
        eigen_pairs::<T>("1 ⊗ S", &DMatrix::identity(m, m).kronecker(&s), &spectrum);
    }
}

#[test]
fn symmetric_eigendecomposition_of_degenerate_spectra() {
    products::<f64>();
    products::<f32>();
    trouble::<f64>();
    trouble::<f32>();
}

/// A diagonal that falls from 1 to 1e-30, slightly coupled: relative deflation keeps each eigenvalue's digits.
#[test]
fn small_eigenvalues_of_a_graded_matrix_keep_their_digits() {
    for n in [20, 40] {
        let scale: Vec<f64> =
            (0..n).map(|i| 10f64.powf(-15.0 * (n - 1 - i) as f64 / (n - 1) as f64)).collect();
        let a = DMatrix::from_fn(n, n, |i, j| match i.abs_diff(j) {
            0 => scale[i] * scale[i],
            1 => 0.1 * scale[i] * scale[j],
            _ => 0.0,
        });
        let (mut w, mut v) = (vec![0.0; n], vec![0.0; n * n]);
        linalg::symmetric_eigen(1, n, &flat(&a), &mut w, &mut v).unwrap();
        // Sylvester: as many eigenvalues are below x as LDLᵀ of A − x·1 has negative pivots.
        let below = |x: f64| {
            let mut pivot = f64::INFINITY;
            let negative = |i: usize| {
                let coupling = if i == 0 { 0.0 } else { a[(i, i - 1)] };
                pivot = a[(i, i)] - x - coupling * coupling / pivot;
                pivot < 0.0
            };
            (0..n).map(negative).filter(|&negative| negative).count()
        };
        for (i, &w) in w.iter().enumerate() {
            let around = [below(w * (1.0 - 1e-10)), below(w * (1.0 + 1e-10))];
            assert_eq!(around, [i, i + 1], "{n}: {w:e}");
        }
    }
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
