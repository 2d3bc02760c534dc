//! Scans against the graphs that they stand for, and against the derivative laws, with every way to keep states.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/counted.rs"]
mod counted;
#[path = "common/numbers.rs"]
mod numbers;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use counted::counted;
use numbers::{tensor, wave};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, Graph, Var, Wrt, function};
use pullback_graph::{Checkpoints, Scan, revolve};

const WAYS: [Checkpoints; 6] = [
    Checkpoints::Maps,
    Checkpoints::States,
    Checkpoints::Revolve(1),
    Checkpoints::Revolve(2),
    Checkpoints::Revolve(3),
    Checkpoints::Revolve(100),
];

/// States a (3), b (); inputs u (3), w (2); parameter θ (3). One output of shape (3), one ().
fn step() -> Arc<dyn Function> {
    function("step", |_, v| {
        let (a, b, u, w, theta) = (v[0], v[1], v[2], v[3], v[4]);
        let next = (a * theta + 0.3 * u).tanh() + 0.1 * b;
        let total = 0.8 * b + (a * a).sum(()) * 0.1 + w.sum(()) * 0.2;
        Ok(vec![next, total.sin(), next * u, (w * w).sum(()) * b])
    })
}

fn built(checkpoints: Checkpoints) -> Arc<dyn Function> {
    Scan::new("scan", step(), 2).inputs(2).outputs(2).checkpoints(checkpoints).build().unwrap()
}

fn point(steps: usize) -> Vec<Tensor> {
    vec![
        tensor(&wave(3, 0.1), &[3]),
        tensor(&wave(1, 0.4), &[]),
        tensor(&wave(3 * steps, 0.9), &[steps, 3]),
        tensor(&wave(2 * steps, 1.7), &[steps, 2]),
        tensor(&wave(3, 2.2), &[3]),
    ]
}

/// The same recurrence as a plain graph.
fn unrolled(steps: usize) -> Arc<dyn Function> {
    let step = step();
    function("unrolled", move |g, v| {
        let (mut a, mut b, mut y, mut z) = (v[0], v[1], vec![], vec![]);
        for t in 0..steps {
            let out = g.apply(&step, &[a, b, v[2].get(0, t), v[3].get(0, t), v[4]])?;
            (a, b) = (out[0], out[1]);
            y.push(out[2]);
            z.push(out[3]);
        }
        Ok(vec![a, b, g.stack(&y, 0), g.stack(&z, 0)])
    })
}

fn close(a: &[Option<Tensor>], b: &[Option<Tensor>], bound: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
        assert_eq!(a.dims(), b.dims());
        let (a, b) = (to_f64(a).unwrap(), to_f64(b).unwrap());
        let scale = b.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() <= bound * scale, "{a:e} {b:e}");
        }
    }
}

fn some(x: &[Tensor]) -> Vec<Option<Tensor>> {
    x.iter().cloned().map(Some).collect()
}

#[test]
fn laws_hold_to_third_order() {
    for ways in WAYS {
        let f = built(ways);
        let x = point(5);
        laws(&f, &x, &Tolerances::default()).unwrap();
        second_order(&f, &x, &Tolerances::default()).unwrap();
        // The derivative functions obey the laws of second order themselves: third order.
        let y = f.eval(&x).unwrap();
        let all = [true; 5];
        let adjoint = f.adjoint(Wrt(&all)).unwrap();
        let arguments: Vec<Tensor> = x.iter().chain(&y).chain(&y).cloned().collect();
        second_order(&adjoint, &arguments, &Tolerances::default()).unwrap();
        let tangent = f.tangent(Wrt(&all)).unwrap();
        let arguments: Vec<Tensor> = x.iter().chain(&y).chain(&x).cloned().collect();
        second_order(&tangent, &arguments, &Tolerances::default()).unwrap();
    }
}

#[test]
fn partial_marks_are_honoured_at_second_order() {
    let (f, x) = (built(Checkpoints::Revolve(2)), point(4));
    for which in 0..5 {
        let x = x.clone();
        let part = {
            let (f, x) = (f.clone(), x.clone());
            function("part", move |g, v| {
                let all: Vec<Var<'_>> =
                    (0..5).map(|i| if i == which { v[0] } else { g.constant(&x[i]) }).collect();
                g.apply(&f, &all)
            })
        };
        second_order(&part, &x[which..=which], &Tolerances::default()).unwrap();
    }
}

#[test]
fn equals_the_unrolled_graph() {
    let (steps, all) = (40, [true; 5]);
    let x = point(steps);
    let plain = unrolled(steps);
    let (y, map) = plain.linearize(&x, Wrt(&all)).unwrap();
    let (dx, dy) = (some(&point(steps)), some(&y));
    let (pushed, pulled) = (map.push(&dx).unwrap(), map.pull(&dy).unwrap());
    let arguments: Vec<Tensor> = x.iter().chain(&y).chain(&y).cloned().collect();
    let (_, curvature) =
        plain.adjoint(Wrt(&all)).unwrap().linearize(&arguments, Wrt(&[true; 13])).unwrap();
    let mut direction = dx.clone();
    direction.extend(vec![None; 8]);
    let hvp = curvature.push(&direction).unwrap();
    for ways in WAYS {
        let (z, ours) = built(ways).linearize(&x, Wrt(&all)).unwrap();
        close(&some(&z), &some(&y), 1e-15);
        close(&ours.push(&dx).unwrap(), &pushed, 1e-12);
        close(&ours.pull(&dy).unwrap(), &pulled, 1e-12);
        close(&ours.pull(&dy).unwrap(), &pulled, 1e-12); // the states of linearizing are used up
        let adjoint = built(ways).adjoint(Wrt(&all)).unwrap();
        let (_, ours) = adjoint.linearize(&arguments, Wrt(&[true; 13])).unwrap();
        close(&ours.push(&direction).unwrap(), &hvp, 1e-12);
    }
}

#[test]
fn every_way_gives_the_same_bits() {
    let x = point(23);
    let bits = |ways: Checkpoints| {
        let (y, map) = built(ways).linearize(&x, Wrt(&[true; 5])).unwrap();
        let pulled = map.pull(&some(&y)).unwrap();
        let pushed = map.push(&some(&x)).unwrap();
        let all = pulled.into_iter().chain(pushed).flatten().chain(y);
        all.flat_map(|t| to_f64(&t).unwrap()).map(f64::to_bits).collect::<Vec<u64>>()
    };
    let first = bits(WAYS[0]);
    assert!(WAYS.iter().all(|&ways| bits(ways) == first));
}

#[test]
fn single_precision_and_integer_inputs() {
    let table = function("table", |_, v| {
        let picked = v[2].index_select(&v[1].value()?, 0);
        Ok(vec![v[0] * 0.5 + picked.sum(())])
    });
    let scan = Scan::new("scan", table, 1).inputs(1).build().unwrap();
    let index = Tensor::from_vec(vec![0u32, 2, 2, 1], (4, 1), &Device::Cpu).unwrap();
    let theta = tensor(&wave(3, 0.3), &[3]);
    let x = [tensor(&[0.2], &[]), index.clone(), theta.clone()];
    laws(&scan, &x, &Tolerances::default()).unwrap();
    second_order(&scan, &x, &Tolerances::default()).unwrap();
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    let x = [single(&x[0]), index, single(&theta)];
    laws(&scan, &x, &Tolerances::single()).unwrap();
}

/// x(t+1) = a·x(t) + u(t): x(l) = aˡ x(0) + Σ aˡ⁻¹⁻ᵗ u(t).
#[test]
fn a_linear_recurrence_has_its_closed_form() {
    let steps = 60;
    let step = function("step", |_, v| Ok(vec![v[0] * v[2] + v[1]]));
    let scan = Scan::new("scan", step, 1).inputs(1).checkpoints(Checkpoints::Revolve(4));
    let scan = scan.build().unwrap();
    let (a, u) = (0.93f64, wave(steps, 0.5));
    let graph = Graph::new();
    let x =
        [tensor(&[1.25], &[]), tensor(&u, &[steps]), tensor(&[a], &[])].map(|t| graph.input(&t));
    let end = graph.apply(&scan, &x).unwrap()[0];
    let by_u = graph.gradient(end, &x).unwrap();
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-13 * want.abs().max(1.0));
    let power = |k: usize| a.powi(k as i32);
    let sum: f64 = u.iter().enumerate().map(|(t, u)| power(steps - 1 - t) * u).sum();
    close(end.to_f64().unwrap(), power(steps) * 1.25 + sum);
    close(to_f64(&by_u[0]).unwrap()[0], power(steps));
    for (t, d) in to_f64(&by_u[1]).unwrap().into_iter().enumerate() {
        close(d, power(steps - 1 - t));
    }
    let by_a: f64 =
        (0..steps - 1).map(|t| (steps - 1 - t) as f64 * power(steps - 2 - t) * u[t]).sum::<f64>()
            + steps as f64 * power(steps - 1) * 1.25;
    close(to_f64(&by_u[2]).unwrap()[0], by_a);
}

#[test]
fn as_many_steps_as_revolve_says_and_one_map_at_a_time() {
    for (steps, snapshots) in [(1, 1), (7, 1), (30, 3), (100, 5), (1000, 10), (64, 64)] {
        let (step, counts) = counted(function("step", |_, v| Ok(vec![(v[0] * 1.01).sin()])));
        let ways = Checkpoints::Revolve(snapshots);
        let scan = Scan::new("scan", step, 1).steps(steps).checkpoints(ways).build().unwrap();
        let (y, map) = scan.linearize(&[tensor(&[0.3], &[])], Wrt(&[true])).unwrap();
        assert_eq!(counts.evaluations.load(SeqCst), steps);
        map.pull(&some(&y)).unwrap();
        // Linearizing made the first way forward, and the last step beside: its value was wanted.
        let optimum = revolve::advances(steps, snapshots).unwrap() as usize;
        assert_eq!(counts.evaluations.load(SeqCst), optimum + 1);
        assert_eq!(counts.linearizations.load(SeqCst), steps);
        map.pull(&some(&y)).unwrap();
        assert_eq!(counts.evaluations.load(SeqCst), 2 * optimum + 1);
        assert_eq!(counts.peak.load(SeqCst), 1);
    }
}

#[test]
fn a_hundred_thousand_steps_on_a_small_stack() {
    let run = || {
        let step = function("step", |_, v| Ok(vec![v[0] - 1e-4 * v[0] * v[0]]));
        let ways = Checkpoints::Revolve(50);
        let scan = Scan::new("scan", step, 1).steps(100_000).checkpoints(ways).build().unwrap();
        let (y, map) = scan.linearize(&[tensor(&[0.5], &[])], Wrt(&[true])).unwrap();
        let (pushed, pulled) = (map.push(&some(&y)).unwrap(), map.pull(&some(&y)).unwrap());
        let number = |d: &[Option<Tensor>]| to_f64(d[0].as_ref().unwrap()).unwrap()[0];
        (number(&pushed), number(&pulled))
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap();
    let (pushed, pulled) = thread.join().unwrap();
    assert!((pushed / pulled - 1.0).abs() < 1e-10, "{pushed:e} {pulled:e}");
    // x' = −x² over a time of 10: x = 1/(2 + 10), dx/dx₀ = (1/6)², up to the order of the step.
    assert!((pulled * 12.0 * 36.0 - 1.0).abs() < 1e-2, "{pulled:e}");
}

fn refused(scan: Scan, x: &[Tensor]) -> String {
    scan.build().unwrap().eval(x).unwrap_err().to_string()
}

#[test]
fn errors_name_the_step() {
    let fails = function("step", |_, v| {
        let y = (3.5 - v[0]).sqrt() * 0.0 + v[0] + 0.2;
        Ok(vec![y])
    });
    let scan = Scan::new("rollout", fails, 1).steps(40).build().unwrap();
    let start = tensor(&[0.0], &[]);
    let error = scan.eval(std::slice::from_ref(&start)).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. } | Error::NotFinite { .. }), "{error}");
    assert!(error.node().starts_with("rollout/step[18]/sqrt#"), "{error}");
    let error = scan.linearize(std::slice::from_ref(&start), Wrt(&[true])).err().unwrap();
    assert!(error.node().starts_with("rollout/step[18]/sqrt#"), "{error}");

    let grows = function("step", |g, v| Ok(vec![g.cat(&[v[0], v[0]], 0)]));
    let text = refused(Scan::new("s", grows, 1).steps(3), &[tensor(&[1.0], &[1])]);
    assert!(text.starts_with("s/step[0]: state 0") && text.contains("[[2], [1]]"), "{text}");
    let casts = function("step", |_, v| Ok(vec![v[0].cast(DType::F32)]));
    let text = refused(Scan::new("s", casts, 1).steps(3), &[tensor(&[1.0], &[1])]);
    assert!(text.starts_with("s/step[0]:") && text.contains("F32"), "{text}");
    let many = function("step", |_, v| Ok(vec![v[0], v[0]]));
    let text = refused(Scan::new("s", many, 1).steps(3), &[tensor(&[1.0], &[1])]);
    assert!(text.starts_with("s/step[0]: expected 1 outputs"), "{text}");
    // The output of step t has t elements more than that of step 0.
    let output = function("step", |g, v| {
        let n = v[0].to_f64()? as usize;
        Ok(vec![v[0] + 1.0, g.constant(&Tensor::ones(n, DType::F64, &Device::Cpu)?)])
    });
    let text = refused(Scan::new("s", output, 1).outputs(1).steps(3), &[tensor(&[1.0], &[])]);
    assert!(text.starts_with("s/step[1]:") && text.contains("[[2], [1]]"), "{text}");
}

#[test]
fn bad_scans_and_arguments_are_errors() {
    let step = || function("step", |_, v| Ok(vec![v[0] * 2.0]));
    let build = |scan: Scan| scan.build().err().unwrap().to_string();
    assert!(build(Scan::new("s", step(), 0).steps(1)).contains("needs a state"));
    assert!(build(Scan::new("s", step(), 1)).contains("number of steps"));
    let none = Checkpoints::Revolve(0);
    assert!(build(Scan::new("s", step(), 1).steps(1).checkpoints(none)).contains("0 snapshots"));
    for many in [1 << 17, 1 << 40, usize::MAX] {
        let scan = || Scan::new("s", step(), 1).steps(1);
        let x = [tensor(&[1.0], &[])];
        let most = [Scan::new("s", step(), many).inputs(many).steps(1), scan().inputs(many)];
        for scan in most {
            let node = scan.build().unwrap();
            assert!(matches!(node.eval(&x), Err(Error::Arity { got: 1, .. })));
            assert!(matches!(node.linearize(&x, Wrt(&[true])), Err(Error::Arity { got: 1, .. })));
            assert!(node.tangent(Wrt(&[true])).is_err() && node.adjoint(Wrt(&[true])).is_err());
        }
        // The outputs are not known before a step was made.
        let node = scan().outputs(many).build().unwrap();
        let of = |e: Option<Error>| e.unwrap().to_string();
        assert!(of(node.eval(&x).err()).starts_with("s/step[0]: expected "));
        assert!(of(node.linearize(&x, Wrt(&[true])).err()).starts_with("s/step[0]: expected "));
        let four = [&x[..], &x, &x, &x].concat();
        for f in [node.tangent(Wrt(&[true])).unwrap(), node.adjoint(Wrt(&[true])).unwrap()] {
            assert!(matches!(f.eval(&four), Err(Error::Arity { got: 4, .. })));
            let again = f.adjoint(Wrt(&[true; 4])).unwrap();
            assert!(again.eval(&[&four[..], &four].concat()).is_err());
        }
    }
    let one = tensor(&[1.0], &[]);
    assert!(refused(Scan::new("s", step(), 1).steps(1), &[]).contains("expected 1 inputs"));
    let scan = || Scan::new("s", step(), 1).inputs(1);
    assert!(refused(scan(), &[one.clone(), one.clone()]).contains("first axis"));
    let four = tensor(&wave(4, 0.0), &[4]);
    let text = refused(scan().steps(3), &[one.clone(), four.clone()]);
    assert!(text.contains("4 slices for 3 steps"), "{text}");
    let text = refused(scan(), &[Tensor::new(1u32, &Device::Cpu).unwrap(), four.clone()]);
    assert!(text.contains("U32"), "{text}");
    let text = refused(Scan::new("s", step(), 1).outputs(1).steps(0), std::slice::from_ref(&one));
    assert!(text.contains("0 steps"), "{text}");
    // No step at all is the identity.
    let scan = Scan::new("s", step(), 1).steps(0).build().unwrap();
    let x = [tensor(&[1.0, -2.0], &[2])];
    laws(&scan, &x, &Tolerances::default()).unwrap();
    second_order(&scan, &x, &Tolerances::default()).unwrap();
    // Directions that do not fit.
    let scan = Scan::new("s", step(), 1).steps(2).build().unwrap();
    let (_, map) = scan.linearize(&x, Wrt(&[true])).unwrap();
    assert!(matches!(map.push(&[Some(four.clone())]), Err(Error::Shape { .. })));
    assert!(matches!(map.pull(&[Some(four)]), Err(Error::Shape { .. })));
    assert!(matches!(map.pull(&[]), Err(Error::Arity { .. })));
    let nan = tensor(&[f64::NAN, 0.0], &[2]);
    assert!(matches!(map.push(&[Some(nan)]), Err(Error::NotFinite { .. })));
    // A step without higher order says so.
    let (step, _) = counted(function("step", |_, v| Ok(vec![v[0] * 2.0])));
    let scan = Scan::new("s", step, 1).steps(2).build().unwrap();
    assert!(matches!(scan.tangent(Wrt(&[true])), Err(Error::NoHigherOrder { .. })));
}
