//! Conic programs: every cone against differences and the transpose law, claims verified, bad input.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::conic_problems::{ConicProblem, forty};
use common::problems::{apart, dot};
use common::random::Random;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws};
use pullback_diffopt::conic::{Cone, Conic, ConicData, ConicSettings, ConicTangent, Pattern};
use pullback_diffopt::{Degenerate, Error, Status};

#[test]
fn every_cone_is_solved_and_differentiated() {
    let mut random = Random::new(1);
    let programs = forty();
    assert_eq!(programs.len(), 40);
    for program in &programs {
        let name = &program.name;
        let solution = Arc::new(program.conic.solve(1, &program.data()).unwrap());
        assert!(solution.is_solved(0), "{name}: {}", solution.status(0));
        assert!(solution.residual(0) < 1e-12, "{name}: {:e}", solution.residual(0));
        let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
        let direction = program.direction(&mut random);
        let along =
            ConicData { p: &direction[0], q: &direction[1], a: &direction[2], b: &direction[3] };
        let pushed = derivative.push(&along).unwrap_or_else(|e| panic!("{name}: {e}"));
        // Step by step shorter, until no kink lies between.
        let error = |h: f64| {
            let [up, down] = [h, -h].map(|h| {
                let [p, q, a, b] = program.moved(&direction, h);
                program.conic.solve(1, &ConicData { p: &p, q: &q, a: &a, b: &b }).unwrap()
            });
            let difference = |a: &[f64], b: &[f64]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| (a - b) / (2.0 * h)).collect()
            };
            let x = apart(&difference(up.x(0), down.x(0)), &pushed.x);
            x.max(apart(&difference(up.multipliers(0), down.multipliers(0)), &pushed.z))
        };
        let error = [1e-5, 1e-6, 1e-7].map(error).into_iter().fold(f64::INFINITY, f64::min);
        assert!(error < 1e-6, "{name}: {error:e}");
        let (n, m) = program.conic.sizes();
        let cotangent = ConicTangent { x: random.normals(n), z: random.normals(m) };
        let pulled = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
        let left = dot(&cotangent.x, &pushed.x) + dot(&cotangent.z, &pushed.z);
        let right: f64 = pulled.iter().zip(&direction).map(|(a, b)| dot(a, b)).sum();
        let error = (left - right).abs() / left.abs().max(right.abs());
        assert!(error < 1e-12, "{name}: ⟨J·u, v⟩ and ⟨u, Jᵀ·v⟩ differ by {error:e}");
        let certificate = solution.certificate(0).unwrap();
        assert!(certificate.is_differentiable(), "{name}: {certificate:?}");
    }
}

fn dense(rows: usize, n: usize, a: &[f64]) -> (Pattern, Vec<f64>) {
    Pattern::of_dense(rows, n, a).unwrap()
}

#[test]
fn claims_are_verified() {
    let one = dense(1, 1, &[1.0]);
    let conic = |p: Pattern, a: Pattern, cones: Vec<Cone>| Conic::new(p, a, cones).unwrap();
    let solve = |c: &Conic, d: ConicData<'_>| c.solve(1, &d).unwrap();
    // clarabel solves this "to optimality".
    let c = conic(one.0.clone(), one.0.clone(), vec![Cone::NonNegative(1)]);
    match solve(&c, ConicData { p: &[-1.0], q: &[0.0], a: &[1.0], b: &[1.0] }).status(0) {
        Status::NonConvex { eigenvalue } => assert!((eigenvalue + 1.0).abs() < 1e-6),
        other => panic!("{other:?}"),
    }
    // and calls this one dual infeasible.
    let bad = ConicData { p: &[1.0], q: &[0.0], a: &[1.0], b: &[f64::NAN] };
    match solve(&c, bad).status(0) {
        Status::NotFinite { argument: "b", index: 0, .. } => {}
        other => panic!("{other:?}"),
    }
    let none = Pattern::empty(1, 1);
    let c = conic(none.clone(), one.0, vec![Cone::NonNegative(1)]);
    let s = solve(&c, ConicData { p: &[], q: &[1.0], a: &[1.0], b: &[1.0] });
    assert_eq!(s.status(0), &Status::DualInfeasible);
    assert_eq!(s.proof(0).unwrap(), [-1.0]);
    let (a, values) = dense(2, 1, &[1.0, -1.0]);
    let c = conic(none.clone(), a, vec![Cone::NonNegative(2)]);
    let s = solve(&c, ConicData { p: &[], q: &[1.0], a: &values, b: &[-1.0, -1.0] });
    assert_eq!(s.status(0), &Status::PrimalInfeasible);
    // ‖(x, 2)‖ ≤ 1, and a matrix with 1s on its diagonal and 2s beside it.
    let (a, values) = dense(3, 1, &[0.0, -1.0, 0.0]);
    let c = conic(none.clone(), a, vec![Cone::SecondOrder(3)]);
    let s = solve(&c, ConicData { p: &[], q: &[1.0], a: &values, b: &[1.0, 0.0, 2.0] });
    assert_eq!(s.status(0), &Status::PrimalInfeasible);
    let (a, values) = dense(4, 1, &[0.0, 0.0, 0.0, 1.0]);
    let c = conic(none, a, vec![Cone::Semidefinite(2), Cone::NonNegative(1)]);
    let s = solve(&c, ConicData { p: &[], q: &[1.0], a: &values, b: &[1.0, 2.0, 1.0, 1.0] });
    assert_eq!(s.status(0), &Status::PrimalInfeasible);
}

#[test]
fn an_item_that_fails_does_not_hinder_the_others() {
    let (a, values) = dense(2, 1, &[1.0, -1.0]);
    let c = Conic::new(Pattern::full(1, 1), a, vec![Cone::NonNegative(2)]).unwrap();
    let b = [1.0, 1.0, -1.0, -1.0, 3.0, 2.0];
    let data = ConicData { p: &[1.0], q: &[-5.0], a: &values, b: &b };
    let solution = Arc::new(c.solve(3, &data).unwrap());
    let solved: Vec<bool> = (0..3).map(|i| solution.is_solved(i)).collect();
    assert_eq!(solved, [true, false, true]);
    let derivative = solution.derivative(&Degenerate::Average).unwrap();
    let mut cotangent = ConicTangent { x: vec![1.0, 0.0, 1.0], z: vec![] };
    let [.., b] = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
    assert!(
        b.iter().zip([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-10),
        "{b:?}"
    );
    cotangent.x[1] = 1.0;
    let refused = derivative.pull(&cotangent, [true; 4], [false; 4]);
    assert!(matches!(refused, Err(Error::NotSolved { item: 1, .. })));
    let alone = c.solve(1, &ConicData { b: &[3.0, 2.0], ..data }).unwrap();
    assert_eq!(alone.x(0), solution.x(2));
}

#[test]
fn a_start_that_is_near_needs_no_iterations() {
    let mut random = Random::new(9);
    for program in &forty() {
        let name = &program.name;
        let start = program.conic.solve(1, &program.data()).unwrap();
        let [p, q, a, b] = program.moved(&program.direction(&mut random), 1e-6);
        let data = ConicData { p: &p, q: &q, a: &a, b: &b };
        let (warm, cold) = (
            program.conic.solve_from(&start, 1, &data).unwrap(),
            program.conic.solve(1, &data).unwrap(),
        );
        assert!(warm.is_solved(0) && warm.iterations(0) == 0, "{name}: {}", warm.iterations(0));
        assert!(apart(warm.x(0), cold.x(0)) < 1e-8, "{name}");
        assert!(program.conic.solve_from(&start, 2, &data).is_err());
    }
}

#[test]
fn a_quadratic_form_with_a_negative_eigenvalue_is_told_and_a_flat_one_is_not() {
    let status = |n: usize, p: &[f64]| {
        let box_rows: Vec<f64> = (0..2 * n * n)
            .map(|k| match (k / n, k % n) {
                (i, j) if i == j => 1.0,
                (i, j) if i == n + j => -1.0,
                _ => 0.0,
            })
            .collect();
        let (a, values) = dense(2 * n, n, &box_rows);
        let upper: Vec<f64> = (0..n * n).map(|k| if k / n <= k % n { p[k] } else { 0.0 }).collect();
        let (pattern, p) = dense(n, n, &upper);
        let conic = Conic::new(pattern, a, vec![Cone::NonNegative(2 * n)]).unwrap();
        let (q, b) = (vec![0.1; n], vec![1.0; 2 * n]);
        let data = ConicData { p: &p, q: &q, a: &values, b: &b };
        conic.solve(1, &data).unwrap().status(0).clone()
    };
    // Rank one with a part taken off; Q·diag·Qᵀ of a rotation that mixes all.
    let mixed = |least: f64| -> Vec<f64> {
        let reflect = |i: usize, j: usize| {
            let w = |i: usize| (1.0 + i as f64).sin();
            let square: f64 = (0..8).map(|i| w(i) * w(i)).sum();
            f64::from(u8::from(i == j)) - 2.0 * w(i) * w(j) / square
        };
        let value = |k: usize| if k == 0 { least } else { k as f64 - 1.0 };
        (0..64)
            .map(|e| (0..8).map(|k| reflect(e / 8, k) * value(k) * reflect(e % 8, k)).sum())
            .collect()
    };
    let negative: Vec<(usize, Vec<f64>, f64)> = vec![
        (1, vec![-1.0], -1.0),
        (2, vec![0.0, 1.0, 1.0, 0.0], -1.0),
        (2, vec![0.0, 1e-6, 1e-6, 0.0], -1e-6),
        (2, vec![1.0, 1.0, 1.0, 0.0], 0.5 * (1.0 - 5f64.sqrt())),
        (3, vec![0.0, 0.0, 1.0, 0.0, 5.0, 0.0, 1.0, 0.0, 0.0], -1.0),
        (2, vec![-1e-9, 1.0, 1.0, 0.0], -1.0),
        (8, mixed(-1.0), -1.0),
        (8, mixed(-1e-3), -1e-3),
    ];
    for (n, p, want) in negative {
        match status(n, &p) {
            Status::NonConvex { eigenvalue } => {
                assert!((eigenvalue - want).abs() < 1e-6 * want.abs(), "{p:?}: {eigenvalue:e}");
            }
            other => panic!("{p:?}: {other:?}"),
        }
    }
    let flat: Vec<(usize, Vec<f64>)> = vec![
        (2, vec![1.0, 1.0, 1.0, 1.0]),
        (2, vec![0.0, 0.0, 0.0, 1.0]),
        (3, vec![1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 3.0, 6.0, 9.0]),
        (8, mixed(0.0)),
        (8, mixed(1e-12)),
    ];
    for (n, p) in flat {
        assert_eq!(status(n, &p), Status::Solved, "{p:?}");
    }
}

/// The point of the cone ‖x̄‖ ≤ x₀ next to c, in as many dimensions as there are numbers.
#[test]
fn a_large_second_order_cone_takes_memory_in_proportion() {
    let k = 20_000;
    let starts = (0..=k).collect();
    let diagonal = Pattern::new(k, k, starts, (0..k).collect()).unwrap();
    let conic = Conic::new(diagonal.clone(), diagonal, vec![Cone::SecondOrder(k)]).unwrap();
    let mut random = Random::new(3);
    let mut c = random.normals(k);
    let size = c[1..].iter().map(|x| x * x).sum::<f64>().sqrt();
    c[0] = 0.3 * size;
    let (ones, minus, b) = (vec![1.0; k], vec![-1.0; k], vec![0.0; k]);
    let q: Vec<f64> = c.iter().map(|c| -c).collect();
    let data = ConicData { p: &ones, q: &q, a: &minus, b: &b };
    let solution = Arc::new(conic.solve(1, &data).unwrap());
    assert!(solution.is_solved(0), "{}", solution.status(0));
    // x = ½(1 + c₀/‖c̄‖)·(‖c̄‖, c̄).
    let scale = 0.5 * (1.0 + c[0] / size);
    let mut want: Vec<f64> = c.iter().map(|c| scale * c).collect();
    want[0] = scale * size;
    assert!(apart(solution.x(0), &want) < 1e-10, "{:e}", apart(solution.x(0), &want));
    assert!(solution.estimate(0).unwrap().is_differentiable());
    // Along d: Π'd = ½(d₀ + ⟨ū, d̄⟩, (1 + c₀/‖c̄‖)d̄ + (d₀ − c₀/‖c̄‖·⟨ū, d̄⟩)ū).
    let d = random.normals(k);
    let unit: Vec<f64> = c[1..].iter().map(|x| x / size).collect();
    let (along, ratio) = (dot(&unit, &d[1..]), c[0] / size);
    let mut want = vec![0.5 * (d[0] + along)];
    want.extend(
        (1..k).map(|i| 0.5 * ((1.0 + ratio) * d[i] + (d[0] - ratio * along) * unit[i - 1])),
    );
    let minus_d: Vec<f64> = d.iter().map(|d| -d).collect();
    for policy in [Degenerate::Refuse, Degenerate::CentralPath(1e-9 * size)] {
        let derivative = solution.derivative(&policy).unwrap();
        let along = ConicData { q: &minus_d, ..ConicData::default() };
        let pushed = derivative.push(&along).unwrap().x;
        assert!(apart(&pushed, &want) < 1e-6, "{policy:?}: {:e}", apart(&pushed, &want));
        // The derivative of a projection is symmetric.
        let cotangent = ConicTangent { x: d.clone(), z: vec![] };
        let [_, gradient, ..] = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
        let gradient: Vec<f64> = gradient.iter().map(|g| -g).collect();
        assert!(apart(&gradient, &pushed) < 1e-9, "{policy:?}");
    }
}

#[test]
fn nodes_obey_the_laws() {
    let tensor = |v: &[f64], dims: &[usize]| Tensor::from_slice(v, dims, &Device::Cpu).unwrap();
    let cones = vec![Cone::Zero(1), Cone::NonNegative(3), Cone::SecondOrder(3), Cone::Exponential];
    let program = ConicProblem::random("mixed", 5, 5, cones, true).unwrap();
    let node = program.conic.clone().function().build();
    let x = [&program.p, &program.q, &program.a, &program.b].map(|v| tensor(v, &[v.len()]));
    laws(&node, &x, &Tolerances { step: 1e-4, ..Tolerances::default() }).unwrap();
    // Two items that share P and A.
    let mut other = program.q.clone();
    other.iter_mut().for_each(|q| *q += 0.1);
    let q = tensor(&[&program.q[..], &other].concat(), &[2, other.len()]);
    let x = [x[0].clone(), q, x[2].clone(), x[3].clone()];
    laws(&node, &x, &Tolerances { step: 1e-4, ..Tolerances::default() }).unwrap();
    assert_eq!(node.eval(&x).unwrap()[0].dims(), [2, 5]);
    let single = x.map(|t| t.to_dtype(DType::F32).unwrap());
    assert_eq!(node.eval(&single).unwrap()[1].dtype(), DType::F32);
}

/// min −3x₀ − 4x₁, ‖x‖ ≤ r: x = r·(0.6, 0.8) in any unit of length.
#[test]
fn a_change_of_units_makes_no_kink() {
    let (a, values) = dense(3, 2, &[0.0, 0.0, -1.0, 0.0, 0.0, -1.0]);
    let conic = Conic::new(Pattern::empty(2, 2), a, vec![Cone::SecondOrder(3)]).unwrap();
    for r in [1.0, 1e2, 1e4, 1e6] {
        let data = ConicData { p: &[], q: &[-3.0, -4.0], a: &values, b: &[r, 0.0, 0.0] };
        let solution = Arc::new(conic.solve(1, &data).unwrap());
        assert!(apart(solution.x(0), &[0.6 * r, 0.8 * r]) < 1e-9, "{r:e}");
        let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
        let along = ConicData { p: &[], q: &[], a: &[], b: &[1.0, 0.0, 0.0] };
        let pushed = derivative.push(&along).unwrap_or_else(|e| panic!("{r:e}: {e}"));
        assert!(apart(&pushed.x, &[0.6, 0.8]) < 1e-6, "{r:e}: {:?}", pushed.x);
    }
}

#[test]
fn misuse_is_an_error() {
    let invalid = |p: Pattern, a: Pattern, cones: Vec<Cone>| {
        matches!(Conic::new(p, a, cones), Err(Error::Invalid { .. }))
    };
    let (p, a) = (Pattern::empty(2, 2), Pattern::full(3, 2));
    assert!(invalid(p.clone(), a.clone(), vec![Cone::NonNegative(2)]));
    assert!(invalid(p.clone(), a.clone(), vec![Cone::NonNegative(2), Cone::SecondOrder(1)]));
    assert!(invalid(p.clone(), a.clone(), vec![Cone::Power(1.0)]));
    assert!(invalid(p.clone(), a.clone(), vec![Cone::Power(f64::NAN)]));
    assert!(invalid(p.clone(), a.clone(), vec![Cone::NonNegative(3), Cone::Semidefinite(0)]));
    assert!(invalid(Pattern::full(2, 2), a.clone(), vec![Cone::NonNegative(3)]));
    assert!(invalid(p.clone(), a.clone(), vec![Cone::Semidefinite(usize::MAX)]));
    let many = vec![Cone::NonNegative(usize::MAX), Cone::NonNegative(1)];
    assert!(invalid(p.clone(), a.clone(), many));
    assert!(invalid(Pattern::empty(0, 0), Pattern::empty(3, 0), vec![Cone::NonNegative(3)]));
    assert!(Pattern::new(2, 1, vec![0, 2], vec![1, 0]).is_err());
    assert!(Pattern::new(2, 1, vec![0, 1], vec![2]).is_err());
    assert!(Pattern::new(2, 1, vec![1, 1], vec![]).is_err());
    let conic = Conic::new(p, a, vec![Cone::NonNegative(3)]).unwrap();
    let data = ConicData { p: &[], q: &[0.0; 2], a: &[1.0; 6], b: &[0.0; 2] };
    assert!(matches!(conic.solve(1, &data), Err(Error::Length { argument: "b", got: 2, .. })));
    let one = Arc::new(conic.solve(1, &ConicData { b: &[1.0; 3], ..data }).unwrap());
    assert!(matches!(one.certificate(1), Err(Error::Invalid { .. })));
    assert!(matches!(one.estimate(usize::MAX), Err(Error::Invalid { .. })));
    let conic = conic.settings(ConicSettings { tolerance: f64::NAN, ..ConicSettings::default() });
    assert!(matches!(
        conic.solve(1, &ConicData { b: &[0.0; 3], ..data }),
        Err(Error::Invalid { .. })
    ));
}
