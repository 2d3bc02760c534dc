//! What is refused, and what the error says.

use nalgebra::DMatrix;
use pullback_linalg::{self as linalg, LinalgError, Triangle};

use crate::tables::{Random, flat};

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
                    assert_eq!(
                        (batch, pivot, value, reciprocal_condition),
                        (lowest, n - 1, 0.0, 0.0)
                    );
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
                    assert!(
                        value.abs() < 1e-12 && reciprocal_condition < 1e-14,
                        "{value:e} {reciprocal_condition:e}"
                    );
                }
                other => panic!("{other}"),
            }
            let zero_diagonal = spoiled(batch, n, &bad, |a| a[(n + 1) * (n - 1)] = 0.0);
            let (b, mut x) = (vec![1.0; batch * n], vec![0.0; batch * n]);
            for error in [
                linalg::solve_triangular(batch, n, 1, Triangle::UPPER, &zero_diagonal, &b, &mut x),
                linalg::cholesky_solve(batch, n, 1, &zero_diagonal, &b, &mut x),
            ] {
                let expected = LinalgError::Singular {
                    batch: lowest,
                    pivot: n - 1,
                    value: 0.0,
                    reciprocal_condition: 0.0,
                };
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
    let LinalgError::Singular { pivot: 1, value, reciprocal_condition, .. } = error else {
        panic!("{error}")
    };
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
            "cholesky_of_symmetric_part",
            Box::new(|b, n, a| {
                linalg::cholesky_of_symmetric_part(b, n, a, &mut vec![0.0; a.len()])
            }),
        ),
        (
            "cholesky_solve",
            Box::new(|b, n, a| {
                linalg::cholesky_solve(b, n, 1, a, &vec![1.0; b * n], &mut vec![0.0; b * n])
            }),
        ),
        (
            "solve_positive_definite",
            Box::new(|b, n, a| {
                let (right, mut l, mut x) =
                    (vec![1.0; b * n], vec![0.0; a.len()], vec![0.0; b * n]);
                linalg::solve_positive_definite(b, n, 1, a, &right, &mut l, &mut x)
            }),
        ),
        (
            "solve_triangular",
            Box::new(|b, n, a| {
                linalg::solve_triangular(
                    b,
                    n,
                    1,
                    Triangle::LOWER,
                    a,
                    &vec![1.0; b * n],
                    &mut vec![0.0; b * n],
                )
            }),
        ),
        (
            "right-hand side",
            Box::new(|b, n, a| {
                let identity: Vec<f64> =
                    (0..b * n * n).map(|e| f64::from(e % (n * n) % (n + 1) == 0)).collect();
                linalg::solve_triangular(
                    b,
                    n,
                    n,
                    Triangle::LOWER,
                    &identity,
                    a,
                    &mut vec![0.0; a.len()],
                )
            }),
        ),
        (
            "lu",
            Box::new(|b, n, a| linalg::lu(b, n, a, &mut vec![0.0; a.len()], &mut vec![0; b * n])),
        ),
        (
            "lu_solve",
            Box::new(|b, n, a| {
                let rows: Vec<usize> = (0..b * n).map(|i| i % n).collect();
                linalg::lu_solve(b, n, 1, a, &rows, true, &vec![1.0; b * n], &mut vec![0.0; b * n])
            }),
        ),
        ("inverse", Box::new(|b, n, a| linalg::inverse(b, n, a, &mut vec![0.0; a.len()]))),
        (
            "slogdet",
            Box::new(|b, n, a| linalg::slogdet(b, n, a, &mut vec![0.0; b], &mut vec![0.0; b])),
        ),
        (
            "qr",
            Box::new(|b, n, a| {
                linalg::qr(b, n, n, a, &mut vec![0.0; a.len()], &mut vec![0.0; a.len()])
            }),
        ),
        (
            "symmetric_eigen",
            Box::new(|b, n, a| {
                linalg::symmetric_eigen(b, n, a, &mut vec![0.0; b * n], &mut vec![0.0; a.len()])
            }),
        ),
        (
            "svd",
            Box::new(|b, n, a| {
                let (mut u, mut s, mut vt) =
                    (vec![0.0; a.len()], vec![0.0; b * n], vec![0.0; a.len()]);
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
            assert!(
                matches!(
                    call(2, 3, &[1.0; 17]),
                    Err(LinalgError::Length { expected: 18, found: 17, .. })
                ),
                "{name}"
            );
        }
    }
    let error = linalg::cholesky::<f64>(usize::MAX, 2, &[], &mut []);
    assert!(
        matches!(error, Err(LinalgError::Length { expected: usize::MAX, found: 0, .. })),
        "{error:?}"
    );
    for (m, n) in [(0, 4), (4, 0), (0, 0)] {
        assert_eq!(linalg::qr::<f64>(2, m, n, &[], &mut [], &mut []), Ok(()));
        assert_eq!(linalg::svd::<f64>(2, m, n, &[], &mut [], &mut [], &mut []), Ok(()));
    }
    for rows in [[0, 2], [1, 1]] {
        let error =
            linalg::lu_solve(1, 2, 1, &[1.0, 0.0, 0.0, 1.0], &rows, true, &[1.0; 2], &mut [0.0; 2]);
        assert!(matches!(error, Err(LinalgError::Argument { .. })), "{rows:?}: {error:?}");
    }
}

#[test]
fn results_that_do_not_fit_are_refused() {
    let mut x = [0.0];
    let error = linalg::solve_triangular(1, 1, 1, Triangle::LOWER, &[1e-200], &[1e200], &mut x);
    assert!(matches!(error, Err(LinalgError::Overflow { batch: 0, index: 0, .. })), "{error:?}");
    let error = linalg::inverse(1, 1, &[1e-310], &mut x);
    assert!(matches!(error, Err(LinalgError::Overflow { .. })), "{error:?}");
}

#[test]
fn no_matrix_of_many_rows_is_no_work() {
    let none: &mut [f64] = &mut [];
    for n in [4_000_000, 1 << 40, usize::MAX] {
        linalg::lu(0, n, &[], none, &mut []).unwrap();
        linalg::lu_solve(0, n, n, &[], &[], true, &[], none).unwrap();
        linalg::solve(0, n, n, &[], &[], none, &mut [], &mut [0.0; 0]).unwrap();
        linalg::inverse(0, n, &[], none).unwrap();
        linalg::cholesky(0, n, &[], none).unwrap();
        linalg::symmetric_eigen(0, n, &[], none, &mut [0.0; 0]).unwrap();
        for (m, n) in [(n, n), (n, 3), (3, n)] {
            linalg::qr(0, m, n, &[], none, &mut [0.0; 0]).unwrap();
            linalg::svd(0, m, n, &[], none, &mut [0.0; 0], &mut [0.0; 0]).unwrap();
        }
        // One matrix is not there: an error, with the number that fits.
        let error = linalg::lu(1, n, &[], none, &mut []).unwrap_err();
        assert!(matches!(error, LinalgError::Length { found: 0, .. }), "{error}");
    }
}
