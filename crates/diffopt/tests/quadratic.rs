//! Quadratic programs: the optimality conditions, the derivative laws, batches, bad input.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::problems::{Problem, apart, dot, values};
use common::random::Random;
use pullback_core_graph::candle::{DType, Device, Tensor, Var};
use pullback_core_graph::check::{Tolerances, laws};
use pullback_core_graph::{Error as NetworkError, attach};
use pullback_diffopt::qp::{Qp, QpData, QpTangent, Settings};
use pullback_diffopt::{Degenerate, Error, Status, Unsolved};

const SIZES: [(usize, usize, usize, usize); 8] = [
    (1, 0, 0, 3),
    (1, 0, 1, 9),
    (5, 2, 0, 4),
    (6, 0, 12, 40),
    (10, 3, 8, 17),
    (30, 10, 40, 9),
    (100, 0, 100, 8),
    (160, 20, 120, 2),
];

#[test]
fn solutions_satisfy_the_optimality_conditions_to_rounding() {
    for (k, sizes) in SIZES.into_iter().enumerate() {
        let problem = Problem::random(k as u64, sizes, 1e-3);
        let solution = problem.qp().solve(sizes.3, &problem.data()).unwrap();
        for i in 0..sizes.3 {
            assert!(solution.is_solved(i), "{sizes:?} item {i}: {}", solution.status(i));
            assert!(solution.stats(i).polished, "{sizes:?} item {i}: {:?}", solution.stats(i));
            let (nu, lambda) =
                (solution.equality_multipliers(i), solution.inequality_multipliers(i));
            let violation = problem.item(i).violation(solution.x(i), nu, lambda);
            assert!(violation < 1e-11, "{sizes:?} item {i}: {violation:e}");
        }
    }
}

#[test]
fn derivatives_are_those_of_the_solution_map_and_its_transpose() {
    let mut random = Random::new(5);
    for (k, sizes) in SIZES.into_iter().enumerate() {
        let problem = Problem::random(10 + k as u64, sizes, 1e-1);
        let (qp, batch) = (problem.qp(), sizes.3);
        let solution = Arc::new(qp.solve(batch, &problem.data()).unwrap());
        let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
        let direction = problem.direction(&mut random);
        let along = Problem { data: direction.clone(), ..problem.clone() };
        let pushed = derivative.push(&along.data()).unwrap();
        let h = 1e-6;
        let [up, down] = [h, -h].map(|h| {
            let moved = problem.moved(&direction, h);
            qp.solve(batch, &moved.data()).unwrap()
        });
        let n = problem.n;
        for i in 0..batch {
            let difference: Vec<f64> =
                up.x(i).iter().zip(down.x(i)).map(|(a, b)| (a - b) / (2.0 * h)).collect();
            let error = apart(&difference, &pushed.x[i * n..(i + 1) * n]);
            assert!(error < 1e-7, "{sizes:?} item {i}: {error:e}");
        }
        let cotangent = QpTangent {
            x: random.normals(batch * n),
            equality: random.normals(batch * problem.p),
            inequality: random.normals(batch * problem.m),
        };
        let pulled = derivative.pull(&cotangent, [true; 6], [false; 6]).unwrap();
        let left = dot(&cotangent.x, &pushed.x)
            + dot(&cotangent.equality, &pushed.equality)
            + dot(&cotangent.inequality, &pushed.inequality);
        let right: f64 = pulled.iter().zip(&direction).map(|(a, b)| dot(a, b)).sum();
        let error = (left - right).abs() / left.abs().max(right.abs());
        assert!(error < 1e-12, "{sizes:?}: ⟨J·u, v⟩ and ⟨u, Jᵀ·v⟩ differ by {error:e}");
    }
}

fn tensors(problem: &Problem, dtype: DType) -> Vec<Tensor> {
    let (n, p, m, b) = (problem.n, problem.p, problem.m, problem.batch);
    let dims: [Vec<usize>; 6] =
        [vec![b, n, n], vec![b, n], vec![b, p, n], vec![b, p], vec![b, m, n], vec![b, m]];
    let one = |(data, dims): (&Vec<f64>, &Vec<usize>)| {
        Tensor::from_slice(data, dims.as_slice(), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    };
    let present = problem.data.iter().zip(&dims).filter(|(data, _)| !data.is_empty());
    present.map(one).collect()
}

#[test]
fn nodes_obey_the_laws() {
    // Steps short enough that no row becomes active or inactive on the way.
    let tolerances = Tolerances { step: 1e-4, ..Tolerances::default() };
    for (n, p, m) in [(3, 0, 0), (5, 2, 0), (4, 0, 3), (6, 2, 8), (12, 3, 10)] {
        let problem = Problem::random(30, (n, p, m, 2), 0.3);
        let node = problem.qp().function().build();
        let found = laws(&node, &tensors(&problem, DType::F64), &tolerances);
        found.unwrap_or_else(|e| panic!("{n}, {p}, {m}: {e}"));
    }
    // Points of the simplex, inside and on its border.
    let twice = |v: &[f64]| [v, v].concat();
    let (eye, minus) = ([1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, -1.0]);
    let q = vec![-0.9, -0.6, -1.8, 0.1];
    let data = [twice(&eye), q, twice(&[1.0, 1.0]), twice(&[1.0]), twice(&minus), vec![0.0; 4]];
    let problem = Problem { n: 2, p: 1, m: 2, batch: 2, data };
    let node = problem.qp().function().build();
    let single = Tolerances { step: 3e-2, ..Tolerances::single() };
    laws(&node, &tensors(&problem, DType::F32), &single).unwrap();
}

#[test]
fn arguments_that_the_batch_shares_get_the_sum() {
    let (shared, n) = (Problem::random(50, (4, 1, 5, 1), 0.5), 4);
    let mut random = Random::new(9);
    let q = random.normals(3 * n);
    let mut x = tensors(&shared, DType::F64);
    x.iter_mut().for_each(|t| *t = t.squeeze(0).unwrap());
    x[1] = Tensor::from_vec(q, (3, n), &Device::Cpu).unwrap();
    let node = shared.qp().function().build();
    laws(&node, &x, &Tolerances { step: 1e-4, ..Tolerances::default() }).unwrap();
    let y = node.eval(&x).unwrap();
    assert_eq!([y[0].dims(), y[1].dims(), y[2].dims()], [&[3, 4][..], &[3, 1], &[3, 5]]);
}

#[test]
fn plain_backward_of_candle_flows_through_a_program() {
    // x = max(0, θ): dL/dθ = 2x.
    let node = Qp::new(1).inequalities(1).function().build();
    let constant = |v: f64, dims: &[usize]| Tensor::from_slice(&[v], dims, &Device::Cpu).unwrap();
    let theta = Var::from_slice(&[3.0f64, -2.0], (2, 1), &Device::Cpu).unwrap();
    let minus = theta.neg().unwrap();
    let x = [&constant(1.0, &[1, 1]), &minus, &constant(-1.0, &[1, 1]), &constant(0.0, &[1])];
    let y = attach(&node, &x).unwrap();
    let gradients = y[0].sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&theta).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert!((gradient[0] - 6.0).abs() < 1e-12 && gradient[1].abs() < 1e-12, "{gradient:?}");
}

#[test]
fn an_item_has_the_same_bits_alone_and_in_any_company() {
    for sizes in [(6, 0, 12, 21), (30, 10, 40, 11)] {
        let problem = Problem::random(60, sizes, 1e-3);
        let all = problem.qp().solve(sizes.3, &problem.data()).unwrap();
        for i in 0..sizes.3 {
            let alone = problem.item(i);
            let alone = problem.qp().solve(1, &alone.data()).unwrap();
            assert_eq!(values(&all, i), values(&alone, 0), "{sizes:?} item {i}");
        }
    }
}

#[test]
fn one_infeasible_item_leaves_the_other_127_as_they_were() {
    let sizes = (10, 2, 12, 128);
    let problem = Problem::random(70, sizes, 1e-2);
    let before = Arc::new(problem.qp().solve(128, &problem.data()).unwrap());
    let mut broken = problem.clone();
    // Row 1 of item 37 says the opposite of row 0, and more.
    for j in 0..10 {
        broken.data[4][(37 * 12 + 1) * 10 + j] = -broken.data[4][37 * 12 * 10 + j];
    }
    broken.data[5][37 * 12 + 1] = -broken.data[5][37 * 12] - 1.0;
    let after = Arc::new(problem.qp().solve(128, &broken.data()).unwrap());
    assert_eq!(after.status(37), &Status::PrimalInfeasible);
    let [d_before, d_after] =
        [&before, &after].map(|s| s.derivative(&Degenerate::Average).unwrap());
    let mut cotangent = QpTangent { x: Random::new(3).normals(1280), ..QpTangent::default() };
    match d_after.pull(&cotangent, [true; 6], [false; 6]) {
        Err(Error::NotSolved { item: 37, status: Status::PrimalInfeasible, .. }) => {}
        other => panic!("{other:?}"),
    }
    cotangent.x[370..380].fill(0.0);
    let [g_before, g_after] =
        [d_before, d_after].map(|d| d.pull(&cotangent, [true; 6], [false; 6]).unwrap());
    for i in (0..128).filter(|i| *i != 37) {
        assert_eq!(values(&before, i), values(&after, i), "item {i}");
        for (a, b) in g_before.iter().zip(&g_after) {
            let one = a.len() / 128;
            assert_eq!(a[i * one..(i + 1) * one], b[i * one..(i + 1) * one], "item {i}");
        }
    }
}

#[test]
fn a_start_that_is_right_needs_no_iterations() {
    let problem = Problem::random(80, (20, 3, 30, 16), 1e-2);
    let qp = problem.qp();
    let cold = qp.solve(16, &problem.data()).unwrap();
    let direction = problem.direction(&mut Random::new(1));
    let near = problem.moved(&direction, 1e-5);
    let (warm, again) =
        (qp.solve_from(&cold, 16, &near.data()).unwrap(), qp.solve(16, &near.data()).unwrap());
    for i in 0..16 {
        assert_eq!(warm.stats(i).iterations, 0, "item {i}");
        assert!(apart(warm.x(i), again.x(i)) < 1e-11, "item {i}");
    }
    // From far away it starts anew.
    let far = Problem::random(81, (20, 3, 30, 16), 1e-2);
    let warm = qp.solve_from(&cold, 16, &far.data()).unwrap();
    assert!((0..16).all(|i| warm.is_solved(i)));
    assert!(Qp::new(3).solve_from(&cold, 16, &far.data()).is_err());
}

#[test]
fn a_coarse_solve_and_the_polish_give_gradients_as_good_as_a_fine_one() {
    let problem = Problem::random(90, (12, 3, 15, 32), 1e-1);
    let cotangent = QpTangent { x: Random::new(2).normals(12 * 32), ..QpTangent::default() };
    let gradients = |tolerance: f64| {
        let settings = Settings { tolerance, ..Settings::default() };
        let qp = problem.qp().settings(settings);
        let solution = Arc::new(qp.solve(32, &problem.data()).unwrap());
        assert!((0..32).all(|i| solution.is_solved(i)));
        let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
        derivative.pull(&cotangent, [true; 6], [false; 6]).unwrap()
    };
    let (coarse, fine) = (gradients(1e-4), gradients(1e-12));
    for (a, b) in coarse.iter().zip(&fine) {
        assert!(apart(a, b) < 1e-10, "{:e}", apart(a, b));
    }
}

fn status(data: &QpData<'_>, sizes: (usize, usize, usize)) -> Status {
    let qp = Qp::new(sizes.0).equalities(sizes.1).inequalities(sizes.2);
    qp.solve(1, data).unwrap().status(0).clone()
}

#[test]
fn what_has_no_solution_says_why() {
    let eye = [1.0, 0.0, 0.0, 1.0];
    let zero = [0.0; 4];
    let opposite = [1.0, 0.0, -1.0, 0.0];
    let table: Vec<(QpData<'_>, (usize, usize, usize), Status)> = vec![
        (
            QpData::inequalities(&eye, &[0.0; 2], &opposite, &[-1.0, -1.0]),
            (2, 0, 2),
            Status::PrimalInfeasible,
        ),
        (
            QpData::inequalities(&eye, &[0.0; 2], &opposite, &[1e-3, -1.1e-3]),
            (2, 0, 2),
            Status::PrimalInfeasible,
        ),
        (
            QpData::new(&eye, &[], (&[1.0, 1.0, 1.0, 1.0], &[1.0, 2.0]), (&[], &[])),
            (2, 2, 0),
            Status::PrimalInfeasible,
        ),
        (
            QpData::new(&eye, &[], (&[0.0, 0.0], &[1.0]), (&[], &[])),
            (2, 1, 0),
            Status::PrimalInfeasible,
        ),
        (
            QpData::inequalities(&eye, &[], &[0.0, 0.0], &[-1.0]),
            (2, 0, 1),
            Status::PrimalInfeasible,
        ),
        (
            QpData::inequalities(&eye, &[], &[1e12, 0.0, -1e-12, 0.0], &[-1e12, -1e-12]),
            (2, 0, 2),
            Status::PrimalInfeasible,
        ),
        (
            QpData::inequalities(&zero, &[-1.0, 0.0], &[0.0, 1.0], &[1.0]),
            (2, 0, 1),
            Status::DualInfeasible,
        ),
        (
            QpData::inequalities(&[1.0, 0.0, 0.0, 0.0], &[0.0, 1.0], &[1.0, 0.0], &[1.0]),
            (2, 0, 1),
            Status::DualInfeasible,
        ),
        (
            QpData::new(&zero, &[1.0, -1.0], (&[1.0, 1.0], &[0.0]), (&[], &[])),
            (2, 1, 0),
            Status::DualInfeasible,
        ),
        (QpData::inequalities(&[], &[1.0], &[], &[]), (1, 0, 0), Status::DualInfeasible),
        // Feasible, though barely or redundantly.
        (QpData::inequalities(&eye, &[], &opposite, &[1.0, -1.0]), (2, 0, 2), Status::Solved),
        (QpData::inequalities(&eye, &[], &[0.0, 0.0], &[0.0]), (2, 0, 1), Status::Solved),
        (
            QpData::new(&eye, &[], (&[1.0, 1.0, 2.0, 2.0], &[1.0, 2.0]), (&[], &[])),
            (2, 2, 0),
            Status::Solved,
        ),
        (
            QpData::inequalities(&[1e12, 0.0, 0.0, 1e-12], &[1e12, 1e-12], &[1e-12, 1e12], &[1e12]),
            (2, 0, 1),
            Status::Solved,
        ),
        (
            QpData::inequalities(&zero, &[1.0, 1.0], &[-1.0, 0.0, 0.0, -1.0], &[0.0, 0.0]),
            (2, 0, 2),
            Status::Solved,
        ),
        (
            QpData::inequalities(&zero, &[], &[-1.0, 0.0, 0.0, -1.0], &[0.0, 0.0]),
            (2, 0, 2),
            Status::Solved,
        ),
    ];
    for (k, (data, sizes, want)) in table.iter().enumerate() {
        assert_eq!(&status(data, *sizes), want, "row {k}");
    }
    match status(&QpData::inequalities(&[1.0, 0.0, 0.0, -1e-3], &[], &[], &[]), (2, 0, 0)) {
        Status::NonConvex { eigenvalue } => {
            assert!((eigenvalue + 1e-3).abs() < 1e-9, "{eigenvalue}")
        }
        other => panic!("{other:?}"),
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        match status(&QpData::inequalities(&eye, &[0.0, bad], &[1.0, 0.0], &[1.0]), (2, 0, 1)) {
            Status::NotFinite { argument: "q", index: 1, .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn proofs_prove() {
    let mut proved = 0;
    for seed in 0..400 {
        let problem = Problem::degenerate(seed);
        let solution = problem.qp().solve(1, &problem.data()).unwrap();
        let Some(proof) = solution.proof(0) else { continue };
        proved += 1;
        let [q_matrix, q, a, b, g, h] = &problem.data;
        let n = problem.n;
        let size = proof.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let mut defect = 0.0f64;
        match solution.status(0) {
            Status::PrimalInfeasible => {
                let (nu, lambda) = proof.split_at(problem.p);
                assert!(lambda.iter().all(|l| *l >= 0.0));
                for j in 0..n {
                    let mut sum = 0.0;
                    nu.iter().enumerate().for_each(|(k, nu)| sum += nu * a[k * n + j]);
                    lambda.iter().enumerate().for_each(|(k, l)| sum += l * g[k * n + j]);
                    defect = defect.max(sum.abs());
                }
                let value = dot(nu, b) + dot(lambda, h);
                assert!(value < -1e3 * defect, "seed {seed}: {value:e}, defect {defect:e}");
            }
            Status::DualInfeasible => {
                for row in q_matrix.chunks(n).chain(a.chunks(n)) {
                    defect = defect.max(dot(row, proof).abs());
                }
                for row in g.chunks(n) {
                    defect = defect.max(dot(row, proof));
                }
                let value = dot(q, proof);
                assert!(value < -1e3 * defect && 0.0 < size, "seed {seed}: {value:e}, {defect:e}");
            }
            other => panic!("a proof of {other:?}"),
        }
    }
    assert!(proved > 30, "{proved}");
}

#[test]
fn misuse_is_an_error_with_the_argument_and_the_numbers() {
    let text = |e: Error| e.to_string();
    let qp = Qp::new(2).inequalities(1).name("layer");
    let short = QpData::inequalities(&[1.0, 0.0, 0.0], &[0.0, 0.0], &[1.0, 0.0], &[1.0]);
    let error = text(qp.solve(1, &short).err().unwrap());
    assert_eq!(error, "layer: Q holds 3 numbers; 4 are one item's, and the batch is 1");
    assert!(
        text(Qp::new(0).solve(1, &QpData::default()).err().unwrap()).contains("without unknowns")
    );
    for settings in [
        Settings { tolerance: 0.0, ..Settings::default() },
        Settings { tolerance: f64::NAN, ..Settings::default() },
        Settings { weak: 2.0, ..Settings::default() },
        Settings { iterations: 0, ..Settings::default() },
    ] {
        assert!(matches!(
            Qp::new(1).settings(settings).solve(1, &QpData::default()),
            Err(Error::Invalid { .. })
        ));
    }
    let node = Qp::new(2).inequalities(1).function().build();
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    let good = |k: usize| zeros([&[2, 2][..], &[2], &[1, 2], &[1]][k], DType::F64);
    let with = |k: usize, t: Tensor| -> Vec<Tensor> {
        (0..4).map(|i| if i == k { t.clone() } else { good(i) }).collect()
    };
    assert!(matches!(node.eval(&[good(0)]), Err(NetworkError::Arity { expected: 4, got: 1, .. })));
    assert!(matches!(
        node.eval(&with(1, zeros(&[3], DType::F64))),
        Err(NetworkError::Shape { .. })
    ));
    assert!(matches!(
        node.eval(&with(1, zeros(&[2], DType::F32))),
        Err(NetworkError::DType { .. })
    ));
    let two = |k: usize| zeros(&[5 - k, 2], DType::F64);
    let mut x = with(1, two(1));
    x[3] = zeros(&[3, 1], DType::F64);
    assert!(matches!(node.eval(&x), Err(NetworkError::Shape { .. })));
}

#[test]
fn an_unsolved_item_in_a_network_is_an_error_or_a_mask() {
    let (qp, device) = (Qp::new(1).inequalities(2), Device::Cpu);
    let x = [
        Tensor::new(&[[1.0f64]], &device).unwrap(),
        Tensor::new(&[0.0f64], &device).unwrap(),
        Tensor::new(&[[1.0f64], [-1.0]], &device).unwrap(),
        Tensor::new(&[[1.0f64, 1.0], [-1.0, -1.0]], &device).unwrap(),
    ];
    let error = qp.clone().function().build().eval(&x).err().unwrap();
    let NetworkError::External { source, .. } = error else { panic!("{error}") };
    match source.downcast_ref::<Error>() {
        Some(Error::NotSolved { item: 1, status: Status::PrimalInfeasible, .. }) => {}
        other => panic!("{other:?}"),
    }
    let y = qp.function().unsolved(Unsolved::Mask).build().eval(&x).unwrap();
    assert_eq!(y[2].to_vec1::<u32>().unwrap(), [1, 0]);
    assert_eq!(y[0].to_vec2::<f64>().unwrap()[1], [0.0]);
}

#[test]
fn empty_batches_and_batches_of_batches() {
    let node = Qp::new(1).inequalities(1).function().build();
    let x = |lead: &[usize]| -> Vec<Tensor> {
        let dims = [&[1, 1][..], &[1], &[1, 1], &[1]];
        let one = |(k, d): (usize, &[usize])| {
            let dims = [lead, d].concat();
            let value = if k == 2 { -1.0 } else { 1.0 };
            (Tensor::ones(dims, DType::F64, &Device::Cpu).unwrap() * value).unwrap()
        };
        dims.into_iter().enumerate().map(one).collect()
    };
    assert_eq!(node.eval(&x(&[0])).unwrap()[0].dims(), [0, 1]);
    let y = node.eval(&x(&[2, 3])).unwrap();
    assert_eq!(y[0].dims(), [2, 3, 1]);
    assert!(
        y[0].flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
            .iter()
            .all(|x| (x + 1.0).abs() < 1e-12)
    );
}
