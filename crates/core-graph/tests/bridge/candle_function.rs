//! candle's closures and modules as our functions.

use std::sync::Arc;

use candle_nn::{Linear, Module};
use pullback_core_graph::candle::{
    CpuStorage, CustomOp1, DType, Device, Layout, Result as CandleResult, Shape, Tensor, Var,
};
use pullback_core_graph::{
    CandleFunction, Direction, Error, Function, Graph, Wrt, attach, function,
};

use crate::{A, B, CubicRoot, close, three_outputs, variable, vector};

fn candle_three() -> CandleFunction {
    CandleFunction::new("three", |x| {
        Ok(vec![(x[0].sin()? * &x[1])?, x[0].sqr()?.sum_all()?, (&x[0] + &x[1])?])
    })
}

#[test]
fn candle_code_has_the_derivatives_of_the_graph() {
    let (a, b) = (vector(&A).reshape((2, 3)).unwrap(), vector(&B).reshape((2, 3)).unwrap());
    let x = [a.clone(), b.clone()];
    for wrt in [[true, true], [true, false], [false, true], [false, false]] {
        let (y, map) = candle_three().linearize(&x, Wrt(&wrt)).unwrap();
        let (want_y, want) = three_outputs().linearize(&x, Wrt(&wrt)).unwrap();
        y.iter().zip(&want_y).for_each(|(y, w)| close(y, w, 1e-15));
        assert!(y.iter().all(|t| !t.track_op()));
        let cotangents =
            [Some(b.clone()), Some(Tensor::new(0.7, &Device::Cpu).unwrap()), Some(a.clone())];
        for mask in 0..8 {
            let dy: Direction =
                (0..3).map(|i| cotangents[i].clone().filter(|_| mask >> i & 1 == 1)).collect();
            let (got, want) = (map.pull(&dy).unwrap(), want.pull(&dy).unwrap());
            for ((g, w), needed) in got.iter().zip(&want).zip(wrt) {
                assert!(needed || g.is_none());
                assert_eq!(g.is_some(), w.is_some());
                g.iter().zip(w).for_each(|(g, w)| close(g, w, 1e-14));
            }
        }
        let dx = [Some(b.clone()), Some(a.clone())];
        let (got, want) = (map.push(&dx).unwrap(), want.push(&dx).unwrap());
        for (g, w) in got.iter().zip(&want) {
            assert_eq!(g.is_some(), w.is_some());
            g.iter().zip(w).for_each(|(g, w)| close(g, w, 1e-14));
        }
    }
}

#[test]
fn what_candle_cannot_do_is_said() {
    let x = [vector(&A), vector(&B)];
    let (_, map) = candle_three().push_limit(12).linearize(&x, Wrt(&[true, true])).unwrap();
    match map.push(&[Some(x[0].clone()), None]) {
        Err(Error::NotDifferentiable { why, .. }) => {
            assert!(why.contains("13") && why.contains("12"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    let f: Arc<dyn Function> = Arc::new(CandleFunction::new("sin", |x| Ok(vec![x[0].sin()?])));
    let graph = Graph::new();
    let v = graph.input(&Tensor::new(0.5f64, &Device::Cpu).unwrap());
    let y = graph.apply(&f, &[v]).unwrap()[0];
    let e = graph.record_gradient(y, &[v]).unwrap_err();
    assert!(matches!(e, Error::NoHigherOrder { node } if node == "sin#1"));
    let integers = Tensor::new(&[1i64], &Device::Cpu).unwrap();
    let e = f.linearize(&[integers], Wrt(&[true])).err().unwrap();
    assert!(matches!(e, Error::DType { .. }));
    let e = f.eval(&[vector(&[f64::NAN])]).unwrap_err();
    assert!(matches!(e, Error::NotFinite { .. }));
}

/// The identity, with a custom operation that forgets its gradient.
struct Forgetful;

impl CustomOp1 for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        Ok((s.clone(), l.shape().clone()))
    }
    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> CandleResult<Option<Tensor>> {
        Ok(None)
    }
}

#[test]
fn a_panic_of_candle_is_an_error() {
    let f = CandleFunction::new("custom", |x| Ok(vec![x[0].sqr()?.apply_op1(Forgetful)?]));
    for f in [f.clone(), f.stack_size(1 << 20)] {
        let (_, map) = f.linearize(&[vector(&A)], Wrt(&[true])).unwrap();
        match map.pull(&[Some(vector(&B))]) {
            Err(Error::NotDifferentiable { node, why }) => {
                assert_eq!(node, "custom");
                assert!(why.contains("grad not populated"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn our_errors_pass_through_candle_code() {
    let solver: Arc<dyn Function> = Arc::new(CubicRoot { iterations: 60 });
    let log = function("log", |_, x| Ok(vec![x[0].sqrt()]));
    let f = CandleFunction::new("outer", move |x| {
        let y = attach(&solver, &[&x[0]])?.swap_remove(0);
        Ok(attach(&log, &[&y])?)
    });
    let (y, map) = f.linearize(&[vector(&[2.0, 0.0])], Wrt(&[true])).unwrap();
    assert_eq!(y[0].to_vec1::<f64>().unwrap(), [1.0, 0.0]);
    let e = map.pull(&[Some(vector(&[1.0, 1.0]))]).unwrap_err();
    assert!(matches!(&e, Error::NotFinite { .. }), "{e}");
    assert!(e.node().starts_with("outer/log"), "{e}");
    let (_, map) = f.linearize(&[vector(&[2.0, 10.0])], Wrt(&[true])).unwrap();
    let dx = map.pull(&[Some(vector(&[1.0, 1.0]))]).unwrap().swap_remove(0).unwrap();
    close(&dx, &vector(&[0.5 / 4.0, 0.5 / (2f64.sqrt() * 13.0)]), 1e-15);
}

#[test]
fn a_deep_tape_has_the_stack_it_is_given() {
    // Aborts on the 2 MiB of this thread.
    let f = CandleFunction::new("deep", |x| {
        let mut y = x[0].clone();
        for _ in 0..30_000 {
            y = y.affine(1.0, 1e-6)?;
        }
        Ok(vec![y])
    });
    let f = f.stack_size(64 << 20);
    let (_, map) = f.linearize(&[vector(&[1.0])], Wrt(&[true])).unwrap();
    let dx = map.pull(&[Some(vector(&[2.0]))]).unwrap().swap_remove(0).unwrap();
    assert_eq!(dx.to_vec1::<f64>().unwrap(), [2.0]);
    drop(map);
    assert_eq!(f.eval(&[vector(&[1.0])]).unwrap()[0].dims(), [1]);
}

fn layer() -> (Linear, [Var; 2]) {
    let vars = [variable(&A, &[2, 3]), variable(&[0.5, -0.25], &[2])];
    (Linear::new(vars[0].as_tensor().clone(), Some(vars[1].as_tensor().clone())), vars)
}

#[test]
fn a_module_with_variables_has_their_gradients() {
    let (module, [w, b]) = layer();
    let f = CandleFunction::module_with_vars("layer", module.clone(), vec![w.clone(), b.clone()]);
    let f: Arc<dyn Function> = Arc::new(f);
    let x = Var::from_tensor(&vector(&[A, B].concat()).reshape((4, 3)).unwrap()).unwrap();
    let graph = Graph::new();
    let (gx, gw, gb) = (graph.input(&x), graph.input(&w), graph.input(&b));
    let y = graph.apply(&f, &[gx, gw, gb]).unwrap()[0];
    let got = graph.gradient(y.tanh().sum(()), &[gx, gw, gb]).unwrap();
    let want = module.forward(&x).unwrap().tanh().unwrap().sum_all().unwrap().backward().unwrap();
    for (g, v) in got.iter().zip([&x, &w, &b]) {
        close(&g.contiguous().unwrap(), &want.get(v).unwrap().contiguous().unwrap(), 1e-14);
    }
    // As constants: the same values, one input.
    let plain = CandleFunction::module("layer", module);
    close(&plain.eval(&[x.as_detached_tensor()]).unwrap()[0], &y.value().unwrap(), 0.0);
    let e = plain.eval(&[]).unwrap_err();
    assert!(matches!(e, Error::Arity { expected: 1, got: 0, .. }), "{e}");
}

#[test]
fn parameters_must_be_what_their_variables_hold() {
    let (module, [w, b]) = layer();
    let f = CandleFunction::module_with_vars("layer", module.clone(), vec![w.clone(), b.clone()]);
    let x = vector(&B).reshape((2, 3)).unwrap();
    let (pw, pb) = (w.as_detached_tensor().copy().unwrap(), b.as_detached_tensor().copy().unwrap());
    let args = [x.clone(), pw.clone(), pb.clone()];
    let dy = [Some(Tensor::ones((2, 2), DType::F64, &Device::Cpu).unwrap())];
    let (_, map) = f.linearize(&args, Wrt(&[false, true, true])).unwrap();
    assert!(map.pull(&dy).is_ok());
    b.set(&vector(&[0.5, 0.75])).unwrap();
    for e in [map.pull(&dy).unwrap_err(), f.eval(&args).unwrap_err()] {
        match &e {
            Error::Invalid { node, what } => {
                assert_eq!(node, "layer");
                assert!(what.contains("parameter 1") && what.contains("0.75"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
    b.set(&pb).unwrap();
    let (w0, x0) = (pw.clone(), x.clone());
    let bad = |args: &[Tensor]| f.eval(args).unwrap_err();
    assert!(matches!(bad(std::slice::from_ref(&w0)), Error::Arity { .. }));
    assert!(matches!(bad(&[x0.clone(), w0.t().unwrap(), pb.clone()]), Error::Shape { .. }));
    let narrow = pb.to_dtype(DType::F32).unwrap();
    assert!(matches!(bad(&[x0.clone(), w0.clone(), narrow]), Error::DType { .. }));
    let twice = CandleFunction::module_with_vars("layer", module, vec![w.clone(), w.clone()]);
    let e = twice.eval(&[x, pw.clone(), pw]).unwrap_err();
    assert!(matches!(e, Error::Invalid { .. }), "{e}");
}
