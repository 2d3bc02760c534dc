//! Tapes as functions of tensors: the laws to second order, shapes, shared inputs, errors, networks, candle's tape.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/arm.rs"]
mod arm;
#[path = "common/networks.rs"]
mod networks;

use std::sync::Arc;

use networks::{Random, network};
use pullback_core_graph::candle::{DType, Device, Tensor, Var};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, Graph, Phase, Wrt, attach};
use pullback_graph::{Real, Tape, TapeFunction};

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    let mut random = Random(seed);
    let data: Vec<f64> = (0..dims.iter().product()).map(|_| random.uniform(-1.2, 1.2)).collect();
    Tensor::from_vec(data, dims, &Device::Cpu).unwrap()
}

fn shared(f: TapeFunction) -> Arc<dyn Function> {
    Arc::new(f)
}

/// A smooth function of three ports (2, 1, 3) with two (2, 1).
fn three_ports() -> TapeFunction {
    let tape = Tape::record(6, |x| {
        let (u, v, w) = (&x[..2], x[2], &x[3..]);
        vec![
            (u[0] * w[1]).sin() + v * u[1],
            (v * w[2]).exp() * 0.3 + u[0] * u[0],
            (w[0] * v).tanh() * u[1] + w[2],
        ]
    });
    tape.unwrap().function("three").with_ports(&[2, 1, 3], &[2, 1]).unwrap()
}

fn all_laws(f: &Arc<dyn Function>, x: &[Tensor]) {
    let tolerances = Tolerances::default();
    laws(f, x, &tolerances).unwrap();
    second_order(f, x, &tolerances).unwrap();
}

#[test]
fn random_networks_obey_the_laws() {
    let mut stepped = 0;
    for seed in 0..40 {
        let tape = Tape::record(4, |x| {
            let y = network(seed, 4 + seed as usize, x);
            vec![y[0].sin(), (y[1] * 0.3).tanh()]
        });
        let f = shared(tape.unwrap().function("network"));
        let x = [tensor(100 + seed, &[3, 4])];
        let loose = Tolerances { difference: 1e-4, slope: 0.0, ..Tolerances::default() };
        match laws(&f, &x, &loose).and_then(|_| second_order(&f, &x, &loose)) {
            // A step of a floor or a comparison lies between the points of a difference.
            Err(Error::Law { law: "finite differences", .. }) => stepped += 1,
            found => found.unwrap_or_else(|e| panic!("seed {seed}: {e}")),
        }
    }
    assert!(stepped <= 8, "{stepped} of 40 met a step");
}

#[test]
fn arms_obey_the_laws_to_third_order() {
    let tape = Tape::record(7, |q| arm::hand(q).to_vec()).unwrap();
    let f = shared(tape.function("hand"));
    for dims in [&[7][..], &[1, 7], &[5, 7], &[2, 3, 7], &[300, 7]] {
        all_laws(&f, &[tensor(1, dims)]);
    }
    // The adjoint as a function, and what it is again: third order.
    let adjoint = f.adjoint(Wrt(&[true])).unwrap();
    let x = [tensor(2, &[4, 7]), tensor(3, &[4, 3]), tensor(4, &[4, 3])];
    all_laws(&adjoint, &x);
    let (y, _) = f.linearize(&x[..1], Wrt(&[true])).unwrap();
    let direct = tape.eval(&to_f64(&x[0]).unwrap()[7..14]).unwrap();
    assert_eq!(&to_f64(&y[0]).unwrap()[3..6], &direct[..]);
}

#[test]
fn ports_are_batched_or_shared_to_third_order() {
    let f = shared(three_ports());
    let cases: [[&[usize]; 3]; 7] = [
        [&[2], &[1], &[3]],
        [&[4, 2], &[4, 1], &[4, 3]],
        [&[2], &[4, 1], &[4, 3]],
        [&[4, 2], &[1], &[3]],
        [&[2, 2, 2], &[1], &[2, 2, 3]],
        [&[2], &[1], &[1, 3]],
        [&[270, 2], &[270, 1], &[3]],
    ];
    for dims in cases {
        let x: Vec<Tensor> = (0..3).map(|i| tensor(7 + i as u64, dims[i])).collect();
        all_laws(&f, &x);
        let y = f.eval(&x).unwrap();
        let adjoint = f.adjoint(Wrt(&[true, false, true])).unwrap();
        let arguments: Vec<Tensor> = [&x[..], &y, &y].concat();
        let dx = adjoint.eval(&arguments).unwrap();
        assert_eq!((dx[0].dims(), dx[1].dims()), (dims[0], dims[2]));
        all_laws(&adjoint, &arguments);
        let tangent = f.tangent(Wrt(&[false, true, true])).unwrap();
        all_laws(&tangent, &[&x[..], &y, &x[1..]].concat());
    }
    // A shared input is the same as its copies, and its derivative the sum of theirs.
    let (one, all) = (tensor(1, &[2]), [tensor(2, &[5, 1]), tensor(3, &[5, 3])]);
    let copies = one.broadcast_as((5, 2)).unwrap();
    let (y, map) = f.linearize(&[one, all[0].clone(), all[1].clone()], Wrt(&[true; 3])).unwrap();
    let (z, same) =
        f.linearize(&[copies, all[0].clone(), all[1].clone()], Wrt(&[true; 3])).unwrap();
    let dy = [Some(tensor(4, &[5, 2])), None];
    let (sum, parts) = (map.pull(&dy).unwrap(), same.pull(&dy).unwrap());
    assert_eq!(to_f64(&y[0]).unwrap(), to_f64(&z[0]).unwrap());
    let parts = to_f64(parts[0].as_ref().unwrap()).unwrap();
    let expected: Vec<f64> =
        (0..2).map(|j| (0..5).fold(0.0, |s, i| s + parts[2 * i + j])).collect();
    assert_eq!(to_f64(sum[0].as_ref().unwrap()).unwrap(), expected);
}

#[test]
fn an_empty_batch_gives_empty_results_and_zero_sums() {
    let f = shared(three_ports());
    let x = [tensor(1, &[2]), tensor(1, &[0, 1]), tensor(1, &[0, 3])];
    let (y, map) = f.linearize(&x, Wrt(&[true; 3])).unwrap();
    assert_eq!((y[0].dims(), y[1].dims()), (&[0, 2][..], &[0, 1][..]));
    let dx = map.pull(&[Some(y[0].clone()), None]).unwrap();
    assert_eq!(to_f64(dx[0].as_ref().unwrap()).unwrap(), [0.0, 0.0]);
    assert_eq!(dx[2].as_ref().unwrap().dims(), [0, 3]);
    let dy = map.push(&[None, Some(x[1].clone()), None]).unwrap();
    assert_eq!(dy[1].as_ref().unwrap().dims(), [0, 1]);
}

#[test]
fn single_precision_is_the_double_result_rounded() {
    let f = three_ports();
    let x: Vec<Tensor> = [tensor(1, &[6, 2]), tensor(2, &[1]), tensor(3, &[6, 3])]
        .iter()
        .map(|t| t.to_dtype(DType::F32).unwrap())
        .collect();
    let wide: Vec<Tensor> = x.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    for (y, z) in f.eval(&x).unwrap().iter().zip(f.eval(&wide).unwrap()) {
        assert_eq!(y.dtype(), DType::F32);
        assert_eq!(to_f64(y).unwrap(), to_f64(&z.to_dtype(DType::F32).unwrap()).unwrap());
    }
    let f = shared(f);
    laws(&f, &x, &Tolerances::single()).unwrap();
    second_order(&f, &x, &Tolerances::single()).unwrap();
    // Finite in f64, not in f32.
    let large = Tape::record(1, |x| vec![x[0].exp()]).unwrap().function("large");
    let x = Tensor::new(&[[1f32], [100.0]], &Device::Cpu).unwrap();
    let found = large.eval(&[x]);
    assert!(
        matches!(&found, Err(Error::NotFinite { node, port: 0, index: 1, .. }) if node == "large"),
        "{found:?}"
    );
}

#[test]
fn strided_inputs_and_any_number_of_threads_give_the_same_bits() {
    let f = shared(three_ports());
    let flat = tensor(5, &[3, 1000]);
    let x = [tensor(1, &[2]), tensor(2, &[1000, 1]), flat.t().unwrap()];
    let packed = [x[0].clone(), x[1].clone(), x[2].contiguous().unwrap()];
    let dy = [Some(tensor(3, &[1000, 2])), Some(tensor(4, &[1000, 1]))];
    let run = |x: &[Tensor], threads: usize| -> Vec<Vec<f64>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (y, map) = f.linearize(x, Wrt(&[true; 3])).unwrap();
            let dx = map.pull(&dy).unwrap();
            y.iter().chain(dx.iter().flatten()).map(|t| to_f64(t).unwrap()).collect()
        })
    };
    let one = run(&x, 1);
    assert_eq!(one, run(&packed, 1));
    assert_eq!(one, run(&x, 3));
    assert_eq!(one.len(), 5);
}

#[test]
fn a_tape_between_tensor_operations_is_one_network() {
    let tape = Tape::record(3, |x| vec![x[0] * x[1].sin(), (x[2] * x[0]).exp()]).unwrap();
    let f = shared(tape.function("tape"));
    let network = pullback_core_graph::function("network", move |g, x| {
        let inside = g.apply(&f, &[(x[0] * x[1]).tanh()])?;
        Ok(vec![(inside[0] * inside[0]).sum(()), inside[0]])
    });
    all_laws(&network, &[tensor(1, &[4, 3]), tensor(2, &[3])]);
}

#[test]
fn candles_tape_flows_through() {
    let f = shared(three_ports());
    let x: Vec<Var> = [&[4, 2][..], &[1], &[4, 3]]
        .iter()
        .enumerate()
        .map(|(i, dims)| Var::from_tensor(&tensor(i as u64, dims)).unwrap())
        .collect();
    let inputs: Vec<&Tensor> = x.iter().map(Var::as_tensor).collect();
    let y = attach(&f, &inputs).unwrap();
    let loss = (y[0].sqr().unwrap().sum_all().unwrap() + y[1].sum_all().unwrap()).unwrap();
    let grads = loss.backward().unwrap();
    let graph = Graph::new();
    let v: Vec<_> = inputs.iter().map(|t| graph.input(t)).collect();
    let y = graph.apply(&f, &v).unwrap();
    let loss = (y[0] * y[0]).sum(()) + y[1].sum(());
    for (slope, x) in graph.gradient(loss, &v).unwrap().iter().zip(&x) {
        let candle = to_f64(grads.get(x).unwrap()).unwrap();
        let ours = to_f64(slope).unwrap();
        assert!(ours.iter().zip(&candle).all(|(a, b)| (a - b).abs() <= 1e-14 * (1.0 + a.abs())));
    }
}

#[test]
fn nothing_is_computed_for_inputs_outside_wrt() {
    // The slope of the root at 0 is infinite; nobody asks for it.
    let tape = Tape::record(2, |x| vec![x[0].sqrt() + x[1] * 3.0]).unwrap();
    let f = tape.function("root").with_ports(&[1, 1], &[1]).unwrap();
    let x = [tensor(0, &[2, 1]).zeros_like().unwrap(), tensor(1, &[2, 1])];
    let (y, map) = f.linearize(&x, Wrt(&[false, true])).unwrap();
    let dx = map.pull(&[Some(y[0].ones_like().unwrap())]).unwrap();
    assert!(dx[0].is_none());
    assert_eq!(to_f64(dx[1].as_ref().unwrap()).unwrap(), [3.0, 3.0]);
    let (_, map) = f.linearize(&x, Wrt(&[true, true])).unwrap();
    let found = map.pull(&[Some(y[0].ones_like().unwrap())]);
    assert!(
        matches!(&found, Err(Error::NotFinite { node, phase: Phase::Pull, port: 0, index: 0, .. })
            if node == "root"),
        "{found:?}"
    );
    let dy = map.push(&[None, Some(x[1].clone())]).unwrap();
    assert!(dy[0].is_some());
    assert!(map.push(&[None, None]).unwrap()[0].is_none());
    assert!(map.pull(&[None]).unwrap().iter().all(Option::is_none));
}

#[test]
fn mistakes_name_the_node_and_the_numbers() {
    let tape = Tape::record(6, |x| vec![x[0].ln(), x[1], x[2] + x[3] * x[4], x[5]]).unwrap();
    let wrong = tape.function("f").with_ports(&[2, 2], &[4]).err().unwrap().to_string();
    assert!(wrong.contains("[2, 2]") && wrong.contains('6'), "{wrong}");
    assert!(tape.function("f").with_ports(&[usize::MAX, 7], &[4]).is_err());
    let f = tape.function("f").with_ports(&[2, 4], &[1, 3]).unwrap();
    let good = || [tensor(1, &[3, 2]).abs().unwrap(), tensor(2, &[3, 4])];
    let fails = |x: &[Tensor]| {
        let error = f.eval(x).unwrap_err();
        assert_eq!(error.node(), "f");
        error
    };
    assert!(matches!(fails(&good()[..1]), Error::Arity { expected: 2, got: 1, .. }));
    assert!(matches!(fails(&[tensor(1, &[3, 3]), tensor(2, &[3, 4])]),
        Error::Shape { what, got, .. } if what.contains("input 0") && got[0] == [3, 3]));
    assert!(matches!(fails(&[tensor(1, &[2, 2]), tensor(2, &[3, 4])]), Error::Shape { .. }));
    assert!(matches!(fails(&[tensor(1, &[]), tensor(2, &[3, 4])]), Error::Shape { .. }));
    let mut mixed = good();
    mixed[1] = mixed[1].to_dtype(DType::F32).unwrap();
    assert!(matches!(fails(&mixed), Error::DType { got, .. } if got == [DType::F64, DType::F32]));
    let whole = good().map(|t| t.to_dtype(DType::U32).unwrap());
    assert!(matches!(fails(&whole), Error::DType { .. }));
    // ln of a negative number in sample 2 of input 0.
    let mut bad = good();
    bad[0] = Tensor::new(&[[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], &Device::Cpu).unwrap();
    assert!(matches!(fails(&bad),
        Error::NotFinite { phase: Phase::Eval, port: 0, index: 2, value, .. } if value.is_nan()));
    // In the second port: element 1·3 + 2.
    bad = good();
    let mut numbers = vec![1.0; 12];
    numbers[7] = f64::INFINITY;
    bad[1] = Tensor::from_vec(numbers, (3, 4), &Device::Cpu).unwrap();
    assert!(matches!(fails(&bad), Error::NotFinite { port: 1, index: 5, .. }));
    let (y, map) = f.linearize(&good(), Wrt(&[true, true])).unwrap();
    assert!(matches!(
        map.pull(&[Some(y[0].clone())]),
        Err(Error::Arity { expected: 2, got: 1, .. })
    ));
    assert!(matches!(map.push(&[Some(y[1].clone()), None]), Err(Error::Shape { .. })));
    let single = y[0].to_dtype(DType::F32).unwrap();
    assert!(matches!(map.pull(&[Some(single), None]), Err(Error::DType { .. })));
    let endless = y[0].affine(0.0, f64::INFINITY).unwrap();
    assert!(matches!(
        map.pull(&[Some(endless), None]),
        Err(Error::NotFinite { phase: Phase::Pull, .. })
    ));
}
