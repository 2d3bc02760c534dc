//! Roots against closed forms and the derivative laws to third order; what is no root is refused.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/numbers.rs"]
mod numbers;

use std::sync::Arc;

use numbers::tensor;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, Graph, Wrt, function};
use pullback_graph::{Implicit, Newton, RootProblem};

/// x³ + p·x − q, each number by itself.
fn cubic() -> Arc<dyn Function> {
    function("cubic", |_, v| Ok(vec![v[0] * v[0] * v[0] + v[1] * v[0] - v[2]]))
}

/// Y·Y − A.
fn square_root() -> Arc<dyn Function> {
    function("square", |_, v| Ok(vec![v[0].matmul(v[0]) - v[1]]))
}

fn third_order(f: &Arc<dyn Function>, x: &[Tensor]) {
    laws(f, x, &Tolerances::default()).unwrap();
    second_order(f, x, &Tolerances::default()).unwrap();
    let (y, all) = (f.eval(x).unwrap(), vec![true; x.len()]);
    let arguments: Vec<Tensor> = x.iter().chain(&y).chain(&y).cloned().collect();
    second_order(&f.adjoint(Wrt(&all)).unwrap(), &arguments, &Tolerances::default()).unwrap();
    let arguments: Vec<Tensor> = x.iter().chain(&y).chain(x).cloned().collect();
    second_order(&f.tangent(Wrt(&all)).unwrap(), &arguments, &Tolerances::default()).unwrap();
}

#[test]
fn laws_hold_to_third_order() {
    let node = Implicit::new("root", cubic(), Newton::default()).build().unwrap();
    let (p, q) = (tensor(&[1.0, 2.0, 0.5], &[3]), tensor(&[0.3, -4.0, 2.0], &[3]));
    third_order(&node, &[tensor(&[0.1, -1.0, 1.0], &[3]), p.clone(), q.clone()]);
    let node = Implicit::new("root", cubic(), Newton::default()).batch(1).build().unwrap();
    third_order(&node, &[tensor(&[0.1, -1.0, 1.0], &[3]), p, q]);
    let node = Implicit::new("root", square_root(), Newton::default()).batch(1).build().unwrap();
    let a = [4.0, 1.0, 0.5, 3.0, 2.0, -0.3, 0.4, 5.0];
    let guess = [2.0, 0.0, 0.0, 2.0, 1.5, 0.0, 0.0, 2.0];
    third_order(&node, &[tensor(&guess, &[2, 2, 2]), tensor(&a, &[2, 2, 2])]);
}

/// dx/dq = 1/(3x² + p), dx/dp = −x·dx/dq, d²x/dq² = −6x/(3x² + p)³, d²x/dp dq = (6x² − (3x² + p))/(3x² + p)³.
#[test]
fn the_cubic_has_its_closed_derivatives() {
    let node = Implicit::new("root", cubic(), Newton::default()).batch(1).build().unwrap();
    let graph = Graph::new();
    let guess = graph.constant(&tensor(&[0.5; 4], &[4]));
    let p = graph.input(&tensor(&[1.0, 3.0, 0.7, 10.0], &[4]));
    let q = graph.input(&tensor(&[2.0, -1.0, 5.0, 0.3], &[4]));
    let x = graph.apply(&node, &[guess, p, q]).unwrap()[0];
    let first = graph.record_gradient(x.sum(()), &[p, q]).unwrap();
    let second = graph.gradient(first[1].sum(()), &[p, q]).unwrap();
    let read = |t: Tensor| to_f64(&t).unwrap();
    let (xs, ps) = (read(x.value().unwrap()), read(p.value().unwrap()));
    let by = [read(first[0].value().unwrap()), read(first[1].value().unwrap())];
    let by_q = [read(second[0].clone()), read(second[1].clone())];
    for i in 0..4 {
        let (x, s) = (xs[i], 3.0 * xs[i] * xs[i] + ps[i]);
        let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-12 * want.abs(), "{i}");
        close(by[1][i], 1.0 / s);
        close(by[0][i], -x / s);
        close(by_q[1][i], -6.0 * x / s.powi(3));
        close(by_q[0][i], (6.0 * x * x - s) / s.powi(3));
    }
}

/// E − e·sin E = M: dE/dM = 1/(1 − e·cos E), dE/de = sin E/(1 − e·cos E).
#[test]
fn keplers_equation() {
    let kepler = function("kepler", |_, v| Ok(vec![v[0] - v[1] * v[0].sin() - v[2]]));
    let node = Implicit::new("anomaly", kepler, Newton::default()).batch(1).build().unwrap();
    let mean: Vec<f64> = (0..60).map(|i| 0.05 + 0.103 * f64::from(i)).collect();
    for e in [0.0, 0.3, 0.9, 0.99] {
        let graph = Graph::new();
        let m = graph.input(&tensor(&mean, &[60]));
        let eccentricity = graph.input(&tensor(&[e], &[]));
        // π is a guess from which Newton's method converges for every e < 1.
        let guess = graph.constant(&tensor(&[std::f64::consts::PI; 60], &[60]));
        let anomaly = graph.apply(&node, &[guess, eccentricity, m]).unwrap()[0];
        let gradient = graph.gradient(anomaly.sum(()), &[eccentricity, m]).unwrap();
        let (root, by_m) =
            (to_f64(&anomaly.value().unwrap()).unwrap(), to_f64(&gradient[1]).unwrap());
        let mut by_e = 0.0;
        for i in 0..60 {
            assert!((root[i] - e * root[i].sin() - mean[i]).abs() < 1e-14);
            let slope = 1.0 / (1.0 - e * root[i].cos());
            assert!((by_m[i] - slope).abs() < 1e-12 * slope);
            by_e += root[i].sin() * slope;
        }
        assert!((to_f64(&gradient[0]).unwrap()[0] - by_e).abs() < 1e-11 * by_e.abs().max(1.0));
    }
}

/// dY of √A solves Y·dY + dY·Y = dA: with Y = V·diag(√λ)·Vᵀ, (Vᵀ·dY·V)_ij = (Vᵀ·dA·V)_ij/(√λ_i + √λ_j).
#[test]
fn the_matrix_square_root_solves_its_sylvester_equation() {
    let node = Implicit::new("sqrt", square_root(), Newton::default()).build().unwrap();
    let (c, s) = (0.6, 0.8);
    let (l1, l2) = (9.0, 4.0);
    let a =
        [c * c * l1 + s * s * l2, c * s * (l1 - l2), c * s * (l1 - l2), s * s * l1 + c * c * l2];
    let x = [tensor(&[3.0, 0.0, 0.0, 3.0], &[2, 2]), tensor(&a, &[2, 2])];
    let (y, map) = node.linearize(&x, Wrt(&[false, true])).unwrap();
    let y = to_f64(&y[0]).unwrap();
    let want = [c * c * 3.0 + s * s * 2.0, c * s, c * s, s * s * 3.0 + c * c * 2.0];
    let d = [0.3, -0.2, -0.2, 0.9];
    let dy = map.push(&[None, Some(tensor(&d, &[2, 2]))]).unwrap()[0].clone().unwrap();
    let dy = to_f64(&dy).unwrap();
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert!((y[2 * i + j] - want[2 * i + j]).abs() < 1e-13);
        let product: f64 =
            (0..2).map(|k| y[2 * i + k] * dy[2 * k + j] + dy[2 * i + k] * y[2 * k + j]).sum();
        assert!((product - d[2 * i + j]).abs() < 1e-13);
    }
}

#[test]
fn a_solver_of_ones_own() {
    let bisection = |problem: &RootProblem<'_>, guess: &Tensor| {
        let (mut low, mut high) = (-10.0, 10.0);
        for _ in 0..200 {
            let middle: f64 = 0.5 * (low + high);
            let at = Tensor::new(middle, guess.device())?;
            if to_f64(&problem.residual(&at)?)?[0] < 0.0 { low = middle } else { high = middle }
        }
        Ok(Tensor::new(0.5 * (low + high), guess.device())?)
    };
    let node = Implicit::new("root", cubic(), bisection).build().unwrap();
    let x = [tensor(&[0.0], &[]), tensor(&[1.0], &[]), tensor(&[2.0], &[])];
    laws(&node, &x, &Tolerances::default()).unwrap();
    second_order(&node, &x, &Tolerances::default()).unwrap();
    assert!((to_f64(&node.eval(&x).unwrap()[0]).unwrap()[0] - 1.0).abs() < 1e-15);
}

#[test]
fn single_precision() {
    let node = Implicit::new("root", cubic(), Newton::default()).batch(1).build().unwrap();
    let x = [[0.5, 0.5], [1.0, 3.0], [2.0, -1.0]];
    let x = x.map(|x| tensor(&x, &[2]).to_dtype(DType::F32).unwrap());
    laws(&node, &x, &Tolerances::single()).unwrap();
}

/// atan x, from a guess where plain Newton diverges; and ln x, whose full step leaves the domain.
#[test]
fn the_line_search_keeps_newton_in_the_domain() {
    let arc = function("arc", |_, v| Ok(vec![v[0].atan() - v[1]]));
    let node = Implicit::new("root", arc, Newton::default()).batch(1).build().unwrap();
    let y = node.eval(&[tensor(&[8.0, 0.1], &[2]), tensor(&[0.2, -0.3], &[2])]).unwrap();
    let y = to_f64(&y[0]).unwrap();
    assert!((y[0] - 0.2f64.tan()).abs() < 1e-14 && (y[1] + 0.3f64.tan()).abs() < 1e-14);
    let log = function("log", |_, v| Ok(vec![v[0].log() - v[1]]));
    let node = Implicit::new("root", log, Newton::default()).batch(1).build().unwrap();
    let y = node.eval(&[tensor(&[20.0, 1.0], &[2]), tensor(&[0.0, 1.0], &[2])]).unwrap();
    let y = to_f64(&y[0]).unwrap();
    assert!((y[0] - 1.0).abs() < 1e-14 && (y[1] - 1f64.exp()).abs() < 1e-14);
}

#[test]
fn what_is_no_root_is_refused() {
    let positive = function("positive", |_, v| Ok(vec![v[0] * v[0] + v[1]]));
    let node = Implicit::new("root", positive, Newton::default()).build().unwrap();
    let x = [tensor(&[0.7], &[]), tensor(&[1.0], &[])];
    match node.eval(&x).unwrap_err() {
        Error::NoConvergence { node, residual, .. } => assert!(node == "root" && 0.99 < residual),
        // Newton's method wanders until it meets the minimum, where the slope is 0.
        e => assert!(matches!(e, Error::Matrix { .. }), "{e}"),
    }
    let liar = |_: &RootProblem<'_>, guess: &Tensor| Ok(guess.clone());
    let node = Implicit::new("root", cubic(), liar).build().unwrap();
    let x = [tensor(&[1.0], &[]), tensor(&[1.0], &[]), tensor(&[5.0], &[])];
    let text = node.eval(&x).unwrap_err().to_string();
    assert!(text.starts_with("root: ") && text.contains("no root: |F| is 3e0"), "{text}");
}

#[test]
fn a_singular_jacobian_is_an_error_of_linearizing() {
    let double = function("double", |_, v| Ok(vec![v[0] * v[1] - v[1]]));
    let stay = |_: &RootProblem<'_>, guess: &Tensor| Ok(guess.clone());
    let node = Implicit::new("root", double, stay).batch(1).build().unwrap();
    let x = [tensor(&[1.0, 1.0], &[2]), tensor(&[1.0, 0.0], &[2])];
    assert!(node.eval(&x).is_ok());
    let error = node.linearize(&x, Wrt(&[false, true])).err().unwrap();
    assert!(
        matches!(&error, Error::Matrix { node, batch: 1, rcond, .. } if node == "root" && *rcond < 1e-15),
        "{error}"
    );
}

#[test]
fn bad_problems_are_errors() {
    let text = |node: Arc<dyn Function>, x: &[Tensor]| {
        node.linearize(x, Wrt(&vec![true; x.len()])).err().unwrap().to_string()
    };
    let newton = |f| Implicit::new("root", f, Newton::default());
    let two = tensor(&[1.0, 2.0], &[2]);
    assert!(text(newton(cubic()).build().unwrap(), &[]).contains("expected 1 inputs"));
    assert!(
        text(newton(cubic()).batch(2).build().unwrap(), std::slice::from_ref(&two))
            .contains("2 batch")
    );
    let integer = Tensor::new(&[1u32], &Device::Cpu).unwrap();
    assert!(text(newton(cubic()).build().unwrap(), &[integer]).contains("U32"));
    let short = function("short", |_, v| Ok(vec![v[0].sum(())]));
    assert!(
        text(newton(short).build().unwrap(), std::slice::from_ref(&two)).contains("residual, y")
    );
    let coupled = function("coupled", |_, v| Ok(vec![v[0] + 0.1 * v[0].flip(0) - v[1]]));
    let text = text(newton(coupled).batch(1).build().unwrap(), &[two.clone(), two.clone()]);
    assert!(text.contains("couples"), "{text}");
    assert!(newton(cubic()).tolerance(-1.0).build().is_err());
    let nan = tensor(&[f64::NAN, 0.0], &[2]);
    let node = newton(cubic()).build().unwrap();
    assert!(matches!(node.eval(&[nan, two.clone(), two]), Err(Error::NotFinite { .. })));
}

#[test]
fn an_empty_batch_of_many_unknowns_is_its_own_root() {
    let minus = function("minus", |_, v| Ok(vec![v[0] - v[1]]));
    let node = Implicit::new("root", minus, Newton::default()).batch(1).build().unwrap();
    let none = Tensor::zeros((0, 4_000_000), DType::F64, &Device::Cpu).unwrap();
    let x = [none.clone(), none.clone()];
    let (y, map) = node.linearize(&x, Wrt(&[false, true])).unwrap();
    assert_eq!(y[0].dims(), none.dims());
    let pushed = map.push(&[None, Some(none.clone())]).unwrap();
    let pulled = map.pull(&[Some(none.clone())]).unwrap();
    for d in [&pushed[0], &pulled[1]] {
        assert_eq!(d.as_ref().unwrap().dims(), none.dims());
    }
}
