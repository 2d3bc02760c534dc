//! Where quadratic programs are not differentiable: flags, both one-sided derivatives, policies.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::degenerate::{all, dependent, weak};
use common::problems::Problem;
use pullback_diffopt::qp::{Qp, QpData, QpSolution, QpTangent, Settings};
use pullback_diffopt::{Degenerate, Error, Status};

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

#[test]
fn cases_solved_by_hand_have_their_solutions_and_both_derivatives() {
    assert!(all().len() >= 30);
    for case in all() {
        let name = case.name;
        let solution = case.problem.qp().solve(1, &case.problem.data()).unwrap();
        assert!(solution.is_solved(0), "{name}: {}", solution.status(0));
        assert!(close(solution.x(0), &case.x, 1e-9), "{name}: x = {:?}", solution.x(0));
        let certificate = solution.certificate(0).unwrap();
        assert!(!certificate.is_differentiable(), "{name}: {certificate:?}");
        for (sign, want) in [(1.0, &case.plus), (-1.0, &case.minus)] {
            let mut along = case.problem.clone();
            along.data = case.direction.clone().map(|d| d.iter().map(|d| sign * d).collect());
            let got = solution.directional(&along.data()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(close(&got.x, want, 1e-8), "{name}, side {sign}: {:?}, not {want:?}", got.x);
        }
    }
}

#[test]
fn flags_do_not_depend_on_the_tolerance() {
    for case in weak() {
        let flags = [1e-6, 1e-8, 1e-10, 1e-12].map(|tolerance| {
            let settings = Settings { tolerance, ..Settings::default() };
            let qp = case.problem.qp().settings(settings);
            let solution = qp.solve(1, &case.problem.data()).unwrap();
            let c = solution.certificate(0).unwrap();
            (c.strongly_active, c.weakly_active, c.unique_multipliers)
        });
        assert!(!flags[0].1.is_empty(), "{}", case.name);
        assert!(flags.iter().all(|f| *f == flags[0]), "{}: {flags:?}", case.name);
    }
    for case in dependent() {
        let solution = case.problem.qp().solve(1, &case.problem.data()).unwrap();
        let c = solution.certificate(0).unwrap();
        assert!(c.independence < 1e-7, "{}: {c:?}", case.name);
        // Multipliers of rows that are only weakly active are 0, however often the rows come.
        assert_eq!(c.unique_multipliers, case.name.starts_with("a weakly"), "{}: {c:?}", case.name);
    }
}

/// min ½(x − θ)² s.t. x ≥ 0 at θ = 1, −1, 0.
fn clipped() -> Arc<QpSolution> {
    let data = QpData::inequalities(&[1.0], &[-1.0, 1.0, 0.0], &[-1.0], &[0.0]);
    Arc::new(Qp::new(1).inequalities(1).solve(3, &data).unwrap())
}

/// dx/dθ of each item.
fn slopes(policy: &Degenerate) -> Result<Vec<f64>, Error> {
    let cotangent = QpTangent { x: vec![1.0; 3], ..QpTangent::default() };
    let wrt = [false, true, false, false, false, false];
    let [_, q, ..] = clipped().derivative(policy)?.pull(&cotangent, wrt, [false; 6])?;
    Ok(q.iter().map(|q| -q).collect())
}

#[test]
fn policies_say_what_a_gradient_means_at_a_kink() {
    let towards = |d: f64| {
        let none = Vec::new;
        Degenerate::OneSided(vec![none(), vec![-d], none(), none(), none(), none()])
    };
    for (policy, at_zero) in [
        (Degenerate::Active, 0.0),
        (Degenerate::Inactive, 1.0),
        (Degenerate::Average, 0.5),
        (Degenerate::MinimumNorm, 0.5),
        (towards(1.0), 1.0),
        (towards(-1.0), 0.0),
    ] {
        let got = slopes(&policy).unwrap();
        assert!(close(&got, &[1.0, 0.0, at_zero], 1e-12), "{policy:?}: {got:?}");
    }
    match slopes(&Degenerate::Refuse) {
        Err(Error::NotDifferentiable { item: 2, why, .. }) => assert!(why.contains("[0]"), "{why}"),
        other => panic!("{other:?}"),
    }
    // On the central path x(x − θ) = μ: x' = x/(2x − θ).
    let mu = 1e-3f64;
    let want = [1.0f64, -1.0, 0.0].map(|t| {
        let x = 0.5 * (t + (t * t + 4.0 * mu).sqrt());
        x / (2.0 * x - t)
    });
    let got = slopes(&Degenerate::CentralPath(mu)).unwrap();
    assert!(close(&got, &want, 1e-9), "{got:?}, not {want:?}");
    assert!(matches!(slopes(&Degenerate::CentralPath(0.0)), Err(Error::Invalid { .. })));
    assert!(matches!(slopes(&Degenerate::OneSided(vec![])), Err(Error::Invalid { .. })));
}

#[test]
fn pushes_of_the_chosen_side_are_the_directional_derivative() {
    for case in weak() {
        let solution = Arc::new(case.problem.qp().solve(1, &case.problem.data()).unwrap());
        let policy = Degenerate::OneSided(case.direction.to_vec());
        let derivative = solution.derivative(&policy).unwrap();
        let along = Problem { data: case.direction.clone(), ..case.problem.clone() };
        let pushed = derivative.push(&along.data()).unwrap();
        assert!(close(&pushed.x, &case.plus, 1e-8), "{}: {:?}", case.name, pushed.x);
    }
}

#[test]
fn solutions_that_are_not_unique_are_refused_by_derivatives() {
    // A face of the square: x₀ = 0, x₁ anywhere in [0, 1].
    let g = [-1.0, 0.0, 0.0, -1.0, 0.0, 1.0];
    let data = QpData::inequalities(&[0.0; 4], &[1.0, 0.0], &g, &[0.0, 0.0, 1.0]);
    let solution = Arc::new(Qp::new(2).inequalities(3).solve(1, &data).unwrap());
    assert!(solution.is_solved(0));
    let certificate = solution.certificate(0).unwrap();
    assert!(certificate.curvature < 1e-9, "{certificate:?}");
    let along = QpData::new(&[], &[0.0, 1.0], (&[], &[]), (&[], &[]));
    assert!(matches!(solution.directional(&along), Err(Error::NotDifferentiable { .. })));
    let derivative = solution.derivative(&Degenerate::Average).unwrap();
    let cotangent = QpTangent { x: vec![0.0, 1.0], ..QpTangent::default() };
    let pulled = derivative.pull(&cotangent, [true; 6], [false; 6]);
    assert!(matches!(pulled, Err(Error::NotDifferentiable { .. })), "{pulled:?}");
    // What is unique about it can still be differentiated.
    let cotangent = QpTangent { x: vec![1.0, 0.0], ..QpTangent::default() };
    let [.., h] = derivative.pull(&cotangent, [true; 6], [false; 6]).unwrap();
    assert!(close(&h, &[-1.0, 0.0, 0.0], 1e-9), "{h:?}");
}

#[test]
fn random_degenerate_programs_are_never_solved_wrongly() {
    let (mut solved, mut other) = (0, 0);
    for seed in 0..1500 {
        let problem = Problem::degenerate(seed);
        let solution = problem.qp().solve(1, &problem.data()).unwrap();
        match solution.status(0) {
            Status::Solved => {
                solved += 1;
                let (nu, lambda) =
                    (solution.equality_multipliers(0), solution.inequality_multipliers(0));
                let violation = problem.violation(solution.x(0), nu, lambda);
                assert!(violation < 1e-6, "seed {seed}: {violation:e}, {problem:?}");
                solution.certificate(0).unwrap();
            }
            _ => other += 1,
        }
    }
    assert!(solved > 700 && other > 200, "{solved} solved, {other} others");
}

#[test]
fn items_sizes_and_directions_out_of_bounds_are_errors() {
    let huge = Qp::new(usize::MAX / 2).solve(1, &QpData::new(&[], &[], (&[], &[]), (&[], &[])));
    assert!(matches!(huge, Err(Error::Invalid { .. })));
    let line = QpData::new(&[1.0], &[1.0], (&[], &[]), (&[], &[]));
    let one = Arc::new(Qp::new(1).solve(1, &line).unwrap());
    assert!(matches!(one.certificate(1), Err(Error::Invalid { .. })));
    let nan = QpData::new(&[], &[f64::NAN], (&[], &[]), (&[], &[]));
    assert!(matches!(one.directional(&nan), Err(Error::Invalid { .. })));
}

#[test]
fn a_small_direction_has_the_side_of_a_large_one() {
    // S(θ) = max(0, θ) at θ = 0, where θ = −q.
    let data = QpData::inequalities(&[1.0], &[0.0], &[-1.0], &[0.0]);
    let solution = Arc::new(Qp::new(1).inequalities(1).solve(1, &data).unwrap());
    for size in [1e-300, 1e-30, 1e-12, 1e-10, 1e-8, 1e-7, 1e-3, 1.0, 1e6, 1e12, 1e100] {
        for sign in [1.0, -1.0] {
            let q = vec![-sign * size];
            let want = if sign > 0.0 { size } else { 0.0 };
            let along = QpData::new(&[], &q, (&[], &[]), (&[], &[]));
            let side = solution.directional(&along).unwrap();
            assert!((side.x[0] - want).abs() <= 1e-12 * size, "{sign}·{size:e}: {:?}", side.x);
            let none = Vec::new;
            let policy =
                Degenerate::OneSided(vec![none(), q.clone(), none(), none(), none(), none()]);
            let pushed = solution.derivative(&policy).unwrap().push(&along).unwrap();
            assert!((pushed.x[0] - want).abs() <= 1e-12 * size, "{sign}·{size:e}: {pushed:?}");
        }
    }
    // All cases, from tiny to huge.
    for case in all() {
        let solution = case.problem.qp().solve(1, &case.problem.data()).unwrap();
        for size in [1e-9, 1e9] {
            let mut along = case.problem.clone();
            along.data = case.direction.clone().map(|d| d.iter().map(|d| size * d).collect());
            let got = solution.directional(&along.data()).unwrap();
            let x: Vec<f64> = got.x.iter().map(|x| x / size).collect();
            assert!(close(&x, &case.plus, 1e-8), "{} times {size:e}: {x:?}", case.name);
        }
    }
}

#[test]
fn what_is_not_differentiable_is_refused_and_has_its_sides() {
    for case in all() {
        let (name, mut along) = (case.name, case.problem.clone());
        let solution = Arc::new(case.problem.qp().solve(1, &case.problem.data()).unwrap());
        let refusing = solution.derivative(&Degenerate::Refuse).unwrap();
        let why = solution.certificate(0).unwrap().why_not().unwrap();
        match refusing.refusal(0) {
            Some(Error::NotDifferentiable { item: 0, why: got, .. }) => assert_eq!(*got, why),
            other => panic!("{name}: {other:?}"),
        }
        // Also where no row is weakly active, but multipliers are not unique.
        for (sign, want) in [(1.0, &case.plus), (-1.0, &case.minus)] {
            along.data = case.direction.clone().map(|d| d.iter().map(|d| sign * d).collect());
            let policy = Degenerate::OneSided(along.data.to_vec());
            let pushed = solution.derivative(&policy).unwrap().push(&along.data()).unwrap();
            assert!(close(&pushed.x, want, 1e-8), "{name}, side {sign}: {:?}", pushed.x);
        }
    }
    // min ½x² − 2x s.t. x ≤ h₀ and x ≤ h₁ at h = (1, 1): λ = (½, ½), no row is weakly active.
    let data = QpData::inequalities(&[1.0], &[-2.0], &[1.0, 1.0], &[1.0, 1.0]);
    let twice = Arc::new(Qp::new(1).inequalities(2).solve(1, &data).unwrap());
    assert!(twice.certificate(0).unwrap().weakly_active.is_empty());
    let cotangent = QpTangent { x: vec![1.0], ..QpTangent::default() };
    let pull = |policy: &Degenerate| {
        twice.derivative(policy).unwrap().pull(&cotangent, [true; 6], [false; 6])
    };
    match pull(&Degenerate::Refuse) {
        Err(Error::NotDifferentiable { why, .. }) => assert!(why.contains("depend"), "{why}"),
        other => panic!("{other:?}"),
    }
    let [.., h] = pull(&Degenerate::Average).unwrap();
    assert!(close(&h, &[0.5, 0.5], 1e-9), "{h:?}");
    // Regular ones, large, small and ill-conditioned, are not refused.
    for (k, ridge) in [(0, 1e-1), (1, 1e-3), (2, 1e-6)] {
        let regular = Problem::random(k, (8, 2, 9, 20), ridge);
        let solution = Arc::new(regular.qp().solve(20, &regular.data()).unwrap());
        let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
        for i in 0..20 {
            let differentiable = solution.certificate(i).unwrap().is_differentiable();
            assert_eq!(derivative.refusal(i).is_none(), differentiable, "{ridge:e}, item {i}");
        }
    }
}
