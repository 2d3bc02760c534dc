//! Every operation of the table × every port: variables of another graph, failed variables, wrong element types.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Error, Graph, Result, Var, function};

use super::super::operations::{Case, cases};
use super::{Tally, first_error, kind, names, var, vector};

/// Operations that move elements and do not calculate: they take integers too.
const MOVES: &[&str] = &[
    "reshape",
    "permute",
    "squeeze",
    "broadcast_to",
    "slice",
    "flip",
    "roll",
    "pad",
    "cat",
    "stack",
    "cast",
];

pub(super) fn all(t: &mut Tally) {
    let cases = cases();
    foreign(t, &cases);
    failed(t, &cases);
    element_types(t, &cases);
    foreign_to_methods(t);
}

/// One variable of another graph among several.
fn foreign(t: &mut Tally, cases: &[Case]) {
    // "constants" does not bring its inputs together.
    for case in cases.iter().filter(|c| c.name != "constants") {
        let x = case.inputs(DType::F64);
        for port in (0..x.len()).filter(|_| 1 < x.len()) {
            let run = || {
                let (here, there) = (Graph::new(), Graph::new());
                let leaf = |(i, t)| if i == port { there.input(t) } else { here.input(t) };
                let vars: Vec<Var<'_>> = x.iter().enumerate().map(leaf).collect();
                first_error((case.body)(&here, &vars))
            };
            t.expect(
                || format!("{}: input {port} of another graph", case.name),
                run,
                |e| kind(e) == "ForeignVar",
            );
        }
        let run = || {
            let (here, there) = (Graph::new(), Graph::new());
            let vars: Vec<Var<'_>> = x.iter().map(|t| there.input(t)).collect();
            first_error(here.apply(&case.function, &vars))
        };
        t.expect(
            || format!("{}: applied in another graph", case.name),
            run,
            |e| matches!(e, Error::ForeignVar { input: 0, .. }),
        );
    }
}

/// A failed variable used further: the first error comes out, unchanged.
fn failed(t: &mut Tally, cases: &[Case]) {
    for case in cases {
        for dtype in [DType::F64, DType::F32] {
            let x = case.inputs(dtype);
            for port in 0..x.len() {
                for applied in [false, true] {
                    let run = || {
                        let graph = Graph::new();
                        let bad = graph.input(&vector(&[-1.0])).log();
                        let leaf = |(i, t)| if i == port { bad } else { graph.input(t) };
                        let vars: Vec<Var<'_>> = x.iter().enumerate().map(leaf).collect();
                        first_error(if applied {
                            graph.apply(&case.function, &vars)
                        } else {
                            (case.body)(&graph, &vars)
                        })
                    };
                    let right = |e: &Error| kind(e) == "NotFinite" && e.node() == "log#1";
                    t.expect(|| format!("{}: input {port} failed before", case.name), run, right);
                }
            }
        }
    }
}

/// Integers and half precision where f32 or f64 is needed; f32 beside f64.
fn element_types(t: &mut Tally, cases: &[Case]) {
    for case in cases {
        let x = case.inputs(DType::F64);
        let strict = !MOVES.contains(&case.name);
        // Whatever number the condition of a `select` is made of, the branches must be alike.
        for port in 0..x.len() {
            for wrong in [DType::U8, DType::U32, DType::I64, DType::F16, DType::BF16] {
                if !strict && (x.len() == 1 || case.name == "cast") {
                    continue;
                }
                let run = || {
                    let graph = Graph::new();
                    let leaf = |(i, t): (usize, &Tensor)| match i == port {
                        true => graph.constant(&t.to_dtype(wrong).unwrap()),
                        false => graph.input(t),
                    };
                    let vars: Vec<Var<'_>> = x.iter().enumerate().map(leaf).collect();
                    first_error((case.body)(&graph, &vars))
                };
                t.expect(
                    || format!("{}: input {port} of {wrong:?}", case.name),
                    run,
                    |e| kind(e) == "DType",
                );
            }
            if 1 < x.len() && !matches!(case.name, "cast" | "constants") {
                let run = || {
                    let graph = Graph::new();
                    let leaf = |(i, t): (usize, &Tensor)| match i == port {
                        true => graph.input(&t.to_dtype(DType::F32).unwrap()),
                        false => graph.input(t),
                    };
                    let vars: Vec<Var<'_>> = x.iter().enumerate().map(leaf).collect();
                    first_error((case.body)(&graph, &vars))
                };
                t.expect(
                    || format!("{}: input {port} of f32 beside f64", case.name),
                    run,
                    |e| kind(e) == "DType",
                );
            }
        }
    }
}

type Method = for<'g> fn(&'g Graph, Var<'g>, Var<'g>) -> Result<()>;

/// The methods of a graph, given a variable of another one, and a failed one.
fn foreign_to_methods(t: &mut Tally) {
    let methods: &[(&str, Method)] = &[
        ("einsum", |g, x, _| first_error(Ok(vec![g.einsum("i->i", &[x])]))),
        ("einsum of two", |g, x, y| first_error(Ok(vec![g.einsum("i,i->", &[y, x])]))),
        ("cat", |g, x, _| first_error(Ok(vec![g.cat(&[x], 0)]))),
        ("cat of two", |g, x, y| first_error(Ok(vec![g.cat(&[y, x], 0)]))),
        ("stack", |g, x, _| first_error(Ok(vec![g.stack(&[x], 0)]))),
        ("stack of two", |g, x, y| first_error(Ok(vec![g.stack(&[y, x], 0)]))),
        ("stack, bad first", |g, x, y| first_error(Ok(vec![g.stack(&[x, y], 0)]))),
        ("dot", |_, x, y| first_error(Ok(vec![y.dot(x)]))),
        ("outer", |_, x, y| first_error(Ok(vec![y.outer(x)]))),
        ("solve", |_, x, y| first_error(Ok(vec![y.diag().solve(x.unsqueeze(-1))]))),
        ("broadcast_like", |_, x, y| first_error(Ok(vec![y.broadcast_like(x)]))),
        ("broadcast_like of a scalar", |_, x, y| {
            first_error(Ok(vec![y.sum(()).broadcast_like(x)]))
        }),
        ("apply", |g, x, y| g.apply(&function("f", |_, v| Ok(vec![v[0]])), &[y, x]).map(|_| ())),
        ("gradient of", |g, x, y| g.gradient(x.sum(()), &[y]).map(|_| ())),
        ("gradient with respect to", |g, x, y| g.gradient(y.sum(()), &[x]).map(|_| ())),
        ("record_gradient of", |g, x, y| g.record_gradient(x.sum(()), &[y]).map(|_| ())),
        ("record_gradient with respect to", |g, x, y| {
            g.record_gradient(y.sum(()), &[x]).map(|_| ())
        }),
        ("pull from", |g, x, y| g.pull(&[(x, y.value()?)], &[y]).map(|_| ())),
        ("pull to", |g, x, y| g.pull(&[(y, y.value()?)], &[x]).map(|_| ())),
        ("push from", |g, x, y| g.push(&[(x, y.value()?)], &[y]).map(|_| ())),
        ("push to", |g, x, y| g.push(&[(y, y.value()?)], &[x]).map(|_| ())),
        ("pull_many", |g, x, y| g.pull_many(&[vec![(x, y.value()?)]], &[y]).map(|_| ())),
        ("push_many", |g, x, y| g.push_many(&[vec![(y, y.value()?)]], &[x]).map(|_| ())),
        ("record_pull", |g, x, y| g.record_pull(&[(y, x)], &[y]).map(|_| ())),
        ("record_push", |g, x, y| g.record_push(&[(x, y)], &[y]).map(|_| ())),
        ("total", |g, x, y| g.total(y, x).map(|_| ())),
        ("total_forward", |g, x, y| g.total_forward(x, y).map(|_| ())),
        ("partial", |g, x, y| g.partial(y, x).map(|_| ())),
        ("partial_forward", |g, x, y| g.partial_forward(y, x).map(|_| ())),
        ("partial_backward", |g, x, y| g.partial_backward(x, y).map(|_| ())),
        ("partial_holding_forward", |g, x, y| g.partial_holding_forward(y, y, &[x]).map(|_| ())),
        ("partial_holding_backward", |g, x, y| g.partial_holding_backward(y, y, &[x]).map(|_| ())),
        ("partial_holding", |g, x, y| g.partial_holding(y, y, &[x]).map(|_| ())),
        ("inputs_of", |g, x, _| g.inputs_of(x).map(|_| ())),
        ("closure that returns it", |g, x, _| {
            // A closure can only get at variables of other graphs that it made itself.
            let _ = (g, x);
            let f = function("f", |_, _| Ok(vec![Box::leak(Box::new(Graph::new())).scalar(1.0)]));
            f.eval(&[Tensor::new(1.0, &Device::Cpu)?]).map(|_| ())
        }),
    ];
    for (name, method) in methods {
        let run = || {
            let (here, there) = (Graph::new(), Graph::new());
            method(&here, var(&there, &[3]), var(&here, &[3]))
        };
        t.expect(
            || format!("{name}: a variable of another graph"),
            run,
            |e| kind(e) == "ForeignVar",
        );
        if *name == "closure that returns it" {
            continue;
        }
        let run = || {
            let graph = Graph::new();
            let bad = graph.input(&vector(&[-1.0])).log();
            method(&graph, bad, var(&graph, &[3]))
        };
        let right = |e: &Error| kind(e) == "NotFinite" && names(e, "log");
        t.expect(|| format!("{name}: a failed variable"), run, right);
    }
}
