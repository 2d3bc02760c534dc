//! Roots and fixed points: every solver on every problem, laws to second order, adjoints, what is no root.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Direction, Error, Function, Graph, LinearMap, Wrt, function};
use pullback_diffopt::root::{
    Adjoint, Anderson, Broyden, FixedPoint, Gmres, Implicit, MatrixFree, Newton, NewtonKrylov,
    RootProblem, RootSolver,
};

fn tensor(data: &[f64], dims: &[usize]) -> Tensor {
    Tensor::from_slice(data, dims, &Device::Cpu).unwrap()
}

struct Shared(Arc<dyn RootSolver>);

impl RootSolver for Shared {
    fn solve(
        &self,
        problem: &RootProblem<'_>,
        guess: &Tensor,
    ) -> pullback_core_graph::Result<Tensor> {
        self.0.solve(problem, guess)
    }
}

fn solvers() -> Vec<(&'static str, Arc<dyn RootSolver>)> {
    vec![
        ("newton", Arc::new(Newton::default())),
        ("broyden", Arc::new(Broyden::default())),
        ("anderson", Arc::new(Anderson { mixing: -0.2, memory: 4, ..Anderson::default() })),
        ("newton-krylov", Arc::new(NewtonKrylov::default())),
    ]
}

/// Residuals F(y, θ…) with a guess and parameters; each is defined everywhere.
fn problems() -> Vec<(&'static str, Arc<dyn Function>, Vec<Tensor>, usize)> {
    let cubic = function("cubic", |_, v| Ok(vec![v[0] * v[0] * v[0] + v[1] * v[0] - v[2]]));
    let coupled = function("coupled", |_, v| {
        let y = v[0];
        Ok(vec![2.0 * y + 0.3 * (y.flip(-1) * v[1]).sin() - v[2]])
    });
    let kepler = function("kepler", |_, v| Ok(vec![v[0] - v[1] * v[0].sin() - v[2]]));
    vec![
        (
            "cubic",
            cubic,
            vec![
                tensor(&[0.1, -0.9, 0.9], &[3]),
                tensor(&[1.0, 2.0, 1.5], &[3]),
                tensor(&[0.3, -2.0, 1.0], &[3]),
            ],
            1,
        ),
        (
            "coupled",
            coupled,
            vec![
                tensor(&[0.0; 6], &[2, 3]),
                tensor(&[1.0, 0.5, 2.0], &[3]),
                tensor(&[0.3, 1.0, -0.4, 0.8, -1.0, 0.2], &[2, 3]),
            ],
            1,
        ),
        (
            "kepler",
            kepler,
            vec![tensor(&[1.0], &[1]), tensor(&[0.6], &[1]), tensor(&[0.8], &[1])],
            0,
        ),
    ]
}

#[test]
fn all_solvers_find_the_same_roots_and_obey_the_laws() {
    for (name, residual, x, batch) in problems() {
        let mut roots: Vec<Vec<f64>> = vec![];
        for (solver, found) in solvers() {
            let node = Implicit::new("root", residual.clone(), Shared(found)).batch(batch);
            let node = node.build().unwrap();
            let y = node.eval(&x).unwrap_or_else(|e| panic!("{name} by {solver}: {e}"));
            roots.push(to_f64(&y[0]).unwrap());
            laws(&node, &x, &Tolerances::default())
                .unwrap_or_else(|e| panic!("{name} by {solver}: {e}"));
            second_order(&node, &x, &Tolerances::default()).unwrap();
        }
        for root in &roots {
            let far = root.iter().zip(&roots[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 1e-9, "{name}: {roots:?}");
        }
    }
}

#[test]
fn roots_without_a_matrix_obey_the_laws_to_second_order() {
    for (name, residual, x, batch) in problems() {
        let free = MatrixFree::new("root", residual.clone(), NewtonKrylov::default()).build();
        let dense =
            Implicit::new("root", residual, Newton::default()).batch(batch).build().unwrap();
        laws(&free, &x, &Tolerances::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        second_order(&free, &x, &Tolerances::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let wrt = vec![true; x.len()];
        let (y, a) = free.linearize(&x, Wrt(&wrt)).unwrap();
        let (_, b) = dense.linearize(&x, Wrt(&wrt)).unwrap();
        let dy = [Some(y[0].ones_like().unwrap())];
        let (a, b) = (a.pull(&dy).unwrap(), b.pull(&dy).unwrap());
        for (a, b) in a.iter().zip(&b).skip(1) {
            let (a, b) =
                (to_f64(a.as_ref().unwrap()).unwrap(), to_f64(b.as_ref().unwrap()).unwrap());
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9), "{name}: {a:?} {b:?}");
        }
    }
}

/// −y″ + y³ = f on 2000 points: a Jacobian of 4·10⁶ numbers that is never made.
#[test]
fn a_large_root_is_found_and_differentiated_without_its_matrix() {
    const N: usize = 2000;
    let residual = function("heat", |_, v| {
        let y = v[0];
        let n = N;
        let inner = 2.0 * y;
        let left = y.narrow(0, 0, n - 1).pad(0, 1, 0);
        let right = y.narrow(0, 1, n - 1).pad(0, 0, 1);
        Ok(vec![10.0 * (inner - left - right) + y + y * y * y - v[1]])
    });
    let f: Vec<f64> = (0..N).map(|i| (0.01 * i as f64).sin()).collect();
    let x = [tensor(&vec![0.0; N], &[N]), tensor(&f, &[N])];
    let node = MatrixFree::new("heat", residual.clone(), NewtonKrylov::default()).build();
    let (y, map) = node.linearize(&x, Wrt(&[false, true])).unwrap();
    let r = residual.eval(&[y[0].clone(), x[1].clone()]).unwrap();
    assert!(to_f64(&r[0]).unwrap().iter().all(|r| r.abs() < 1e-9));
    let du = tensor(&(0..N).map(|i| (0.3 * i as f64).cos()).collect::<Vec<_>>(), &[N]);
    let dv = tensor(&(0..N).map(|i| (0.7 * i as f64).sin()).collect::<Vec<_>>(), &[N]);
    let pushed = map.push(&[None, Some(du.clone())]).unwrap().remove(0).unwrap();
    let pulled = map.pull(&[Some(dv.clone())]).unwrap().remove(1).unwrap();
    let dot = |a: &Tensor, b: &Tensor| {
        to_f64(a).unwrap().iter().zip(to_f64(b).unwrap()).map(|(a, b)| a * b).sum::<f64>()
    };
    let (a, b) = (dot(&pushed, &dv), dot(&du, &pulled));
    assert!((a - b).abs() < 1e-9 * a.abs(), "{a} {b}");
}

/// y = ½·tanh(W·y + θ)
fn network() -> (Arc<dyn Function>, Vec<Tensor>) {
    let map = function("cell", |_, v| Ok(vec![0.5 * (v[1].matmul(v[0]) + v[2]).tanh()]));
    let w = [0.3, -0.2, 0.5, 0.1, 0.4, -0.3, -0.6, 0.2, 0.1];
    (map, vec![tensor(&[0.0; 3], &[3, 1]), tensor(&w, &[3, 3]), tensor(&[0.5, -0.2, 0.8], &[3, 1])])
}

#[test]
fn the_adjoint_is_an_argument() {
    let (map, x) = network();
    let gradient = |adjoint: Adjoint| {
        let node = FixedPoint::new("cell", map.clone(), Anderson::default()).adjoint(adjoint);
        let node = node.build().unwrap();
        let graph = Graph::new();
        let v: Vec<_> = x.iter().map(|x| graph.input(x)).collect();
        let y = graph.apply(&node, &v).unwrap()[0];
        let value = to_f64(&y.value().unwrap()).unwrap();
        (value, to_f64(&graph.gradient(y.sqr().sum(()), &[v[1]]).unwrap()[0]).unwrap())
    };
    let far =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let (value, exact) = gradient(Adjoint::Implicit);
    for (adjoint, limit) in [
        (Adjoint::MatrixFree, 1e-10),
        (Adjoint::Unrolled(60), 1e-12),
        (Adjoint::Truncated(60), 1e-12),
        (Adjoint::Truncated(6), 1e-3),
    ] {
        let (other, gradient) = gradient(adjoint);
        assert!(far(&value, &other) < 1e-9, "{adjoint:?}");
        assert!(far(&exact, &gradient) < limit, "{adjoint:?}: {:e}", far(&exact, &gradient));
    }
    // One term of the series is off by about ‖T_y‖, six by its sixth power.
    let off = [1, 3, 6].map(|k| far(&exact, &gradient(Adjoint::Truncated(k)).1));
    assert!(1e-3 < off[0] && off[1] < 0.5 * off[0] && off[2] < 0.5 * off[1], "{off:?}");
    for adjoint in [Adjoint::Implicit, Adjoint::MatrixFree, Adjoint::Unrolled(5)] {
        let node = FixedPoint::new("cell", map.clone(), Anderson::default()).adjoint(adjoint);
        let node = node.build().unwrap();
        laws(&node, &x, &Tolerances::default()).unwrap();
        second_order(&node, &x, &Tolerances::default()).unwrap();
    }
}

#[test]
fn what_does_not_converge_is_an_error_with_the_numbers() {
    let none = function("none", |_, v| Ok(vec![v[0] * v[0] + v[1]]));
    let x = [tensor(&[0.7, 0.4], &[2]), tensor(&[1.0, 1.0], &[2])];
    for (name, solver) in solvers() {
        let node = Implicit::new("root", none.clone(), Shared(solver)).batch(1).build().unwrap();
        match node.eval(&x).err() {
            Some(Error::NoConvergence { node, residual, .. }) => {
                assert!(node == "root" && 0.5 < residual, "{name}: {residual}");
            }
            Some(Error::Matrix { .. } | Error::NotFinite { .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    let flat = function("flat", |_, v| Ok(vec![v[0] * v[1] - v[1]]));
    let x = [tensor(&[1.0, 1.0], &[2]), tensor(&[1.0, 0.0], &[2])];
    let node = MatrixFree::new("root", flat, NewtonKrylov::default()).build();
    let (_, map) = node.linearize(&x, Wrt(&[false, true])).unwrap();
    let pulled = map.pull(&[Some(tensor(&[0.0, 1.0], &[2]))]);
    assert!(matches!(pulled, Err(Error::Matrix { .. })), "{pulled:?}");
}

#[test]
fn bad_arguments_are_errors() {
    let (map, x) = network();
    let node = |adjoint| FixedPoint::new("cell", map.clone(), Anderson::default()).adjoint(adjoint);
    assert!(node(Adjoint::Unrolled(0)).build().is_err());
    assert!(node(Adjoint::Truncated(0)).build().is_err());
    assert!(node(Adjoint::Implicit).tolerance(-1.0).build().is_err());
    for (setting, solver) in [
        ("tolerance", Anderson { tolerance: Some(f64::NAN), ..Anderson::default() }),
        ("tolerance", Anderson { tolerance: Some(-1.0), ..Anderson::default() }),
        ("mixing", Anderson { mixing: f64::NAN, ..Anderson::default() }),
        ("iterations", Anderson { iterations: 0, ..Anderson::default() }),
    ] {
        let node = FixedPoint::new("cell", map.clone(), solver).build().unwrap();
        let e = node.eval(&x).unwrap_err();
        assert!(matches!(e, Error::Invalid { .. }) && e.to_string().contains(setting), "{e}");
    }
    let built = node(Adjoint::MatrixFree).build().unwrap();
    assert!(matches!(built.eval(&[]), Err(Error::Arity { .. })));
    let nan = tensor(&[f64::NAN, 0.0, 0.0], &[3, 1]);
    assert!(matches!(built.eval(&[nan, x[1].clone(), x[2].clone()]), Err(Error::NotFinite { .. })));
    // Gmres that may do nothing finds nothing.
    let residual = function("line", |_, v| Ok(vec![3.0 * v[0] + v[0].flip(0) - v[1]]));
    let lazy = Gmres { products: 0, ..Gmres::default() };
    let node = MatrixFree::new("line", residual, Newton::default()).gmres(lazy).build();
    let x = [tensor(&[0.0, 0.0], &[2]), tensor(&[1.0, 2.0], &[2])];
    let (_, map) = node.linearize(&x, Wrt(&[false, true])).unwrap();
    assert!(map.push(&[None, Some(x[1].clone())]).is_err());
}

#[test]
fn single_precision() {
    let cubic = function("cubic", |_, v| Ok(vec![v[0] * v[0] * v[0] + v[1] * v[0] - v[2]]));
    let x = [[0.5, 0.5], [1.0, 3.0], [2.0, -1.0]];
    let x = x.map(|x| tensor(&x, &[2]).to_dtype(DType::F32).unwrap());
    let single = Tolerances::single();
    laws(&MatrixFree::new("root", cubic.clone(), NewtonKrylov::default()).build(), &x, &single)
        .unwrap();
    let node = Implicit::new("root", cubic, Broyden::default()).batch(1).build().unwrap();
    laws(&node, &x, &single).unwrap();
}

/// A function that counts the pushes through it.
struct Counted(Arc<dyn Function>, Arc<AtomicUsize>);

struct CountedMap(Box<dyn LinearMap>, Arc<AtomicUsize>);

impl Function for Counted {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn eval(&self, x: &[Tensor]) -> pullback_core_graph::Result<Vec<Tensor>> {
        self.0.eval(x)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> pullback_core_graph::Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let (y, map) = self.0.linearize(x, wrt)?;
        Ok((y, Box::new(CountedMap(map, self.1.clone()))))
    }
}

impl LinearMap for CountedMap {
    fn push(&self, dx: &[Option<Tensor>]) -> pullback_core_graph::Result<Direction> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.push(dx)
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> pullback_core_graph::Result<Direction> {
        self.0.pull(dy)
    }
}

#[test]
fn steps_far_from_the_root_are_not_exact() {
    // 4y − y₋ − y₊ + y³ = θ on a ring.
    let residual = function("ring", |_, v| {
        let y = v[0];
        Ok(vec![4.0 * y - y.roll(0, 1) - y.roll(0, -1) + y * y * y - v[1]])
    });
    let theta: Vec<f64> = (0..200).map(|i| 20.0 * (1.0 + 0.7 * f64::from(i)).sin()).collect();
    let x = [tensor(&[0.0; 200], &[200]), tensor(&theta, &[200])];
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::new(Counted(residual.clone(), count.clone()));
    let node = Implicit::new("root", counted, NewtonKrylov::default()).build().unwrap();
    let y = to_f64(&node.eval(&x).unwrap()[0]).unwrap();
    let dense = Implicit::new("root", residual, Newton::default()).build().unwrap();
    let want = to_f64(&dense.eval(&x).unwrap()[0]).unwrap();
    assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-9));
    let pushes = count.load(Ordering::Relaxed);
    assert!(pushes <= 50, "{pushes} pushes");
}

#[test]
fn a_batch_is_a_batch_to_the_solver_of_every_adjoint() {
    let map = function("cell", |_, v| Ok(vec![0.5 * (v[0] + v[1]).tanh()]));
    let x = [tensor(&[0.0; 6], &[3, 2]), tensor(&[0.3, -0.2, 9.0, 0.1, -5.0, 0.7], &[3, 2])];
    for adjoint in [Adjoint::Implicit, Adjoint::MatrixFree, Adjoint::Truncated(2)] {
        let seen = Arc::new(Mutex::new(vec![]));
        let sizes = seen.clone();
        let solver = move |problem: &RootProblem<'_>, guess: &Tensor| {
            sizes.lock().unwrap().push(problem.sizes());
            Anderson::default().solve(problem, guess)
        };
        let node = FixedPoint::new("cell", map.clone(), solver).adjoint(adjoint).batch(1);
        let all = to_f64(&node.build().unwrap().eval(&x).unwrap()[0]).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(3, 2)], "{adjoint:?}");
        // Each element as if it were alone.
        let node = FixedPoint::new("cell", map.clone(), Anderson::default()).adjoint(adjoint);
        let node = node.batch(1).build().unwrap();
        for i in 0..3 {
            let one = x.clone().map(|t| t.narrow(0, i, 1).unwrap());
            let alone = to_f64(&node.eval(&one).unwrap()[0]).unwrap();
            assert_eq!(all[2 * i..2 * i + 2], alone, "{adjoint:?}, element {i}");
        }
    }
}
