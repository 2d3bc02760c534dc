//! Quadratic programs with rows that are nearly active, far away or of another size, and items without numbers.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::problems::{Problem, apart};
use common::random::Random;
use pullback_diffopt::qp::{Qp, QpData, QpTangent, Settings};
use pullback_diffopt::{Degenerate, Error, Status};

#[test]
fn a_row_of_small_coefficients_does_not_hide_that_another_one_is_violated() {
    // min ½x² + qx s.t. 3x ≤ 3 and εx ≤ 1, q a little below −1: x = 1 with λ₀ = −(1 + q)/3.
    for (excess, small) in [(1e-3, 1e-10), (1e-5, 1e-8), (1e-7, 1e-10), (1e-6, 1e-12)] {
        let (q, g) = ([-1.0 - excess], [3.0, small]);
        let data = QpData::inequalities(&[1.0], &q, &g, &[3.0, 1.0]);
        let solution = Qp::new(1).inequalities(2).solve(1, &data).unwrap();
        let at = format!("q = −1 − {excess:e}, ε = {small:e}");
        assert!(solution.is_solved(0), "{at}: {}", solution.status(0));
        assert!((solution.x(0)[0] - 1.0).abs() < 1e-12, "{at}: x = {:?}", solution.x(0));
        let lambda = solution.inequality_multipliers(0);
        assert!((lambda[0] - excess / 3.0).abs() < 1e-12 && lambda[1] == 0.0, "{at}: {lambda:?}");
        assert!(solution.slacks(0)[0].abs() < 1e-12, "{at}: {:?}", solution.slacks(0));
    }
}

#[test]
fn bounds_that_are_far_away_change_nothing() {
    // A loose row of any size, beside a box: the solution without it.
    let (q_matrix, q) = ([1.0, 0.0, 0.0, 1.0], [-2.0, -0.5]);
    let g = [1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0, 1.0, 1.0];
    for far in [1e4, 1e6, 1e8, 1e10, 1e12, 1e15, 1e17, 1e20, 1e30] {
        for (h, x) in [
            ([1.0, 1.0, 0.0, 0.0, far], [1.0, 0.5]),
            ([1.0, far, 0.0, far, far], [1.0, 0.5]),
            ([1.0, far, far, far, far], [1.0, 0.5]),
            ([-1.0, 0.25, far, far, far], [-1.0, 0.25]),
        ] {
            let data = QpData::inequalities(&q_matrix, &q, &g, &h);
            let solution = Qp::new(2).inequalities(5).solve(1, &data).unwrap();
            assert!(solution.is_solved(0), "h = {h:?}: {}", solution.status(0));
            assert!(apart(solution.x(0), &x) < 1e-12, "h = {h:?}: {:?}", solution.x(0));
            let stats = solution.stats(0);
            assert!(stats.polished && stats.iterations <= 20, "h = {h:?}: {stats:?}");
            let lambda = solution.inequality_multipliers(0);
            assert!((lambda[0] - (2.0 - x[0])).abs() < 1e-12, "h = {h:?}: {lambda:?}");
            // ∂x₀/∂h₀ = 1.
            let solution = Arc::new(solution);
            let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
            let cotangent = QpTangent { x: vec![1.0, 0.0], ..QpTangent::default() };
            let [.., dh] = derivative.pull(&cotangent, [true; 6], [false; 6]).unwrap();
            assert!(apart(&dh, &[1.0, 0.0, 0.0, 0.0, 0.0]) < 1e-12, "h = {h:?}: {dh:?}");
        }
    }
    let nothing = QpData::inequalities(&[1.0], &[0.0], &[1.0, -1.0, 1.0], &[0.0, -1.0, 1e8]);
    let solution = Qp::new(1).inequalities(3).solve(1, &nothing).unwrap();
    assert_eq!(solution.status(0), &Status::PrimalInfeasible);
}

#[test]
fn random_programs_with_loose_rows_have_the_solution_without_them() {
    for (k, sizes) in [(3, 0, 5, 40), (6, 2, 8, 40), (20, 3, 25, 16)].into_iter().enumerate() {
        let plain = Problem::random(100 + k as u64, sizes, 1e-1);
        let (n, p, m, batch) = sizes;
        let want = plain.qp().solve(batch, &plain.data()).unwrap();
        let mut random = Random::new(k as u64);
        let more = 1 + k;
        let mut loose = Problem { m: m + more, ..plain.clone() };
        loose.data[4].clear();
        loose.data[5].clear();
        for i in 0..batch {
            loose.data[4].extend_from_slice(&plain.data[4][i * m * n..(i + 1) * m * n]);
            loose.data[4].extend(random.normals(more * n));
            loose.data[5].extend_from_slice(&plain.data[5][i * m..(i + 1) * m]);
            loose.data[5].extend((0..more).map(|_| 10f64.powf(4.0 + 16.0 * random.uniform())));
        }
        let got = loose.qp().solve(batch, &loose.data()).unwrap();
        for i in 0..batch {
            assert!(want.is_solved(i) && got.is_solved(i), "{sizes:?} {i}: {}", got.status(i));
            let error = apart(got.x(i), want.x(i));
            assert!(error < 1e-9, "{sizes:?} item {i}: {error:e}, p = {p}");
        }
    }
}

#[test]
fn without_polish_a_loose_row_does_not_make_others_exact() {
    // A primal residual relative to 10¹² says nothing about x ≤ 1.
    let settings = Settings { polish: false, ..Settings::default() };
    for far in [1e6, 1e12, 1e20] {
        let h = [1.0, 0.0, far];
        let data = QpData::inequalities(&[1.0], &[-2.0], &[1.0, -1.0, 1.0], &h);
        let solution = Qp::new(1).inequalities(3).settings(settings).solve(1, &data).unwrap();
        assert!(solution.is_solved(0), "{far:e}: {}", solution.status(0));
        assert!((solution.x(0)[0] - 1.0).abs() < 1e-6, "{far:e}: {:?}", solution.x(0));
    }
}

#[test]
fn slacks_of_an_item_do_not_depend_on_its_neighbours() {
    // The first has a slack that is negative by rounding; the second, infeasible, is worked on for longer.
    let (q, g) = ([-(1.0 + 1e-11), 0.0], [3.0, 0.0]);
    let h = [3.0, -1.0];
    let qp = Qp::new(1).inequalities(1);
    let both = qp.solve(2, &QpData::inequalities(&[1.0], &q, &g, &h)).unwrap();
    let alone = qp.solve(1, &QpData::inequalities(&[1.0], &q[..1], &g[..1], &h[..1])).unwrap();
    assert_eq!(both.status(1), &Status::PrimalInfeasible);
    assert_eq!(both.x(0), alone.x(0));
    assert_eq!(both.slacks(0), alone.slacks(0));
    assert!(0.0 <= alone.slacks(0)[0]);
}

#[test]
fn an_item_without_numbers_spoils_no_gradient() {
    let qp = Qp::new(1).inequalities(1);
    let q = [-1.0, f64::NAN];
    let data = QpData::inequalities(&[1.0], &q, &[1.0], &[2.0]);
    let solution = Arc::new(qp.solve(2, &data).unwrap());
    assert!(matches!(solution.status(1), Status::NotFinite { .. }));
    let derivative = solution.derivative(&Degenerate::Average).unwrap();
    // x = −q/Q: x̄ = 1 gives Q̄ = q/Q² = −1 and q̄ = −1.
    let cotangent = QpTangent { x: vec![1.0, 0.0], ..QpTangent::default() };
    for shared in [[true, false, true, true, true, true], [false; 6]] {
        let pulled = derivative.pull(&cotangent, [true; 6], shared).unwrap();
        assert!(pulled.iter().flatten().all(|x| x.is_finite()), "{pulled:?}");
        assert!((pulled[0][0] + 1.0).abs() < 1e-12 && (pulled[1][0] + 1.0).abs() < 1e-12);
        assert!(pulled.iter().all(|g| g.get(1).is_none_or(|x| *x == 0.0)), "{pulled:?}");
    }
    let pushed = derivative.push(&QpData::new(&[1.0, 0.0], &[], (&[], &[]), (&[], &[]))).unwrap();
    assert!((pushed.x[0] + 1.0).abs() < 1e-12 && pushed.x[1] == 0.0, "{pushed:?}");
    let moved = derivative.push(&QpData::new(&[], &[0.0, 1.0], (&[], &[]), (&[], &[])));
    assert!(matches!(moved, Err(Error::NotSolved { item: 1, .. })), "{moved:?}");
}

#[test]
fn slices_of_wrong_lengths_are_errors_before_anything_is_made_for_them() {
    let large = Qp::new(1_000_000);
    let wrong = QpData::new(&[1.0], &[1.0], (&[], &[]), (&[], &[]));
    assert!(matches!(large.solve(1, &wrong), Err(Error::Length { argument: "Q", got: 1, .. })));
    let without = QpData::new(&[], &[1.0], (&[], &[]), (&[], &[]));
    assert!(large.solve(1, &without).is_err());
}
