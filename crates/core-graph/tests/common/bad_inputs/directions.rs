//! Directions and cotangents that do not belong to the point: every operation × every port × every way to hand one in.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::is_real;
use pullback_core_graph::{
    Direction, Error, Function, Graph, Op, Primitive, Result, Var, Wrt, checkpoint,
};

use pullback_core_graph::primitive::{Slots, Values};

use super::super::operations::{cases, spread};
use super::{Tally, kind, names};

pub(super) fn all(t: &mut Tally) {
    for case in cases() {
        let x = case.inputs(DType::F64);
        of_a_map(t, case.name, &case.function, &x);
        of_a_map(t, case.name, &checkpoint(case.function.clone()), &x);
        of_a_graph(t, case.name, &case.function, &x);
        of_derivative_functions(t, case.name, &case.function, &x);
    }
    let op: Arc<dyn Function> = Arc::new(Op::new(Twice));
    of_a_map(t, "twice", &op, &[spread(&[2, 3], 0.0, 1.0, 1)]);
    of_derivative_functions(t, "twice", &op, &[spread(&[2, 3], 0.0, 1.0, 1)]);
}

/// Ways to be wrong beside a tensor: shape, element type.
fn spoiled(at: &Tensor) -> Vec<(&'static str, Tensor)> {
    let like = |dims: &[usize]| Tensor::ones(dims, at.dtype(), &Device::Cpu).unwrap();
    let longer: Vec<usize> = at.dims().iter().copied().chain([2]).collect();
    let leading: Vec<usize> = [1].iter().chain(at.dims()).copied().collect();
    vec![
        ("Shape", like(&longer)),
        ("Shape", like(&leading)),
        ("Shape", like(&[0])),
        ("Shape", like(&[at.elem_count() + 1])),
        ("DType", at.to_dtype(DType::F32).unwrap()),
        ("DType", at.ones_like().unwrap().to_dtype(DType::U32).unwrap()),
    ]
}

fn of_a_map(t: &mut Tally, name: &str, f: &Arc<dyn Function>, x: &[Tensor]) {
    let (y, map) = f.linearize(x, Wrt(&vec![true; x.len()])).unwrap();
    for (side, at) in [("push", x), ("pull", y.as_slice())] {
        let apply = |d: &[Option<Tensor>]| match side {
            "push" => map.push(d).map(|_| ()),
            _ => map.pull(d).map(|_| ()),
        };
        let ones: Direction = at.iter().map(|t| Some(t.ones_like().unwrap())).collect();
        for count in [at.len() - 1, at.len() + 1, at.len() + 7] {
            let d: Direction = (0..count).map(|i| ones[i % ones.len()].clone()).collect();
            t.expect(
                || format!("{name}: {side} of {count} slots"),
                || apply(&d),
                |e| kind(e) == "Arity",
            );
        }
        for port in (0..at.len()).filter(|&i| is_real(&at[i])) {
            for (variant, wrong) in spoiled(&at[port]) {
                let mut d = ones.clone();
                d[port] = Some(wrong);
                t.expect(
                    || format!("{name}: {side} with a wrong {variant} in slot {port}"),
                    || apply(&d),
                    |e| kind(e) == variant,
                );
            }
        }
    }
}

fn of_a_graph(t: &mut Tally, name: &str, f: &Arc<dyn Function>, x: &[Tensor]) {
    let graph = Graph::new();
    let vars: Vec<Var<'_>> = x.iter().map(|t| graph.input(t)).collect();
    let outputs = graph.apply(f, &vars).unwrap();
    for (port, (&v, at)) in vars.iter().zip(x).enumerate() {
        for (variant, wrong) in spoiled(at) {
            let run = || graph.push(&[(v, wrong.clone())], &outputs).map(|_| ());
            let right = |e: &Error| kind(e) == variant && names(e, "input");
            t.expect(
                || format!("{name}: graph push with a wrong {variant} at input {port}"),
                run,
                right,
            );
            let run = || graph.record_push(&[(v, graph.constant(&wrong))], &outputs).map(|_| ());
            t.expect(
                || format!("{name}: recorded push with a wrong {variant} at input {port}"),
                run,
                right,
            );
        }
    }
    for (port, &v) in outputs.iter().enumerate().filter(|(_, v)| is_real(&v.value().unwrap())) {
        for (variant, wrong) in spoiled(&v.value().unwrap()) {
            let run = || graph.pull(&[(v, wrong.clone())], &vars).map(|_| ());
            let right = |e: &Error| kind(e) == variant && names(e, name);
            t.expect(
                || format!("{name}: graph pull with a wrong {variant} at output {port}"),
                run,
                right,
            );
        }
    }
}

/// `tangent()` and `adjoint()` called with a wrong number of tensors.
fn of_derivative_functions(t: &mut Tally, name: &str, f: &Arc<dyn Function>, x: &[Tensor]) {
    let wrt = vec![true; x.len()];
    let y = f.eval(x).unwrap();
    for (side, g, directions) in [
        ("tangent", f.tangent(Wrt(&wrt)).unwrap(), x.to_vec()),
        ("adjoint", f.adjoint(Wrt(&wrt)).unwrap(), y.clone()),
    ] {
        let all: Vec<Tensor> = x.iter().chain(&y).cloned().chain(directions).collect();
        for count in [0, 1, x.len(), all.len() - 1, all.len() + 1] {
            let given: Vec<Tensor> =
                (0..count).map(|i| all[i.min(all.len() - 1)].clone()).collect();
            let right = |e: &Error| matches!(kind(e), "Arity");
            t.expect(
                || format!("{name}: {side} of {count} instead of {}", all.len()),
                || g.eval(&given).map(|_| ()),
                right,
            );
        }
    }
}

/// x ↦ 2x as a primitive of a user.
struct Twice;

impl Primitive for Twice {
    fn name(&self) -> &str {
        "twice"
    }
    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        pullback_core_graph::primitive::one(x[0].affine(2.0, 0.0)?)
    }
    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Ok([dx[0].map(|d| d * 2.0)].into_iter().collect())
    }
    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        Ok([dy[0].map(|d| d * 2.0)].into_iter().collect())
    }
}
