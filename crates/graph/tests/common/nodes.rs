//! Implicit nodes, maps, scans and totals against the same thing written out: value, gradient, and Hessian-vector products.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::{Function, Graph, Var, function};
use pullback_graph::landscape::Curvature;
use pullback_graph::totals::explain;
use pullback_graph::{Checkpoints, Implicit, Map, Newton, Scan};

use super::landscapes::networks::by_double_pull;
use super::landscapes::{Row, row, tensor, worst};
use super::networks::Random;

fn wave(dims: &[usize], phase: f64) -> Tensor {
    let n: usize = dims.iter().product();
    let x: Vec<f64> = (0..n).map(|i| 0.7 * (1.3 * i as f64 + phase).sin()).collect();
    tensor(&x, dims, DType::F64)
}

/// The loss ½Σ(y + ¼)² over all outputs, so that second derivatives of the function and of the loss both count.
fn loss(f: &Arc<dyn Function>) -> Arc<dyn Function> {
    let f = f.clone();
    function("loss", move |g, x| {
        let each = g.apply(&f, x)?.into_iter().map(|y| 0.5 * (y + 0.25).sqr().sum(()));
        Ok(vec![each.reduce(|a, b| a + b).unwrap_or(g.scalar(0.0))])
    })
}

/// `node` against `written`, a function that computes the same without it: the Hessian of the latter by pulling its recorded
/// gradient back, row by row; that of the former by products with all unit vectors.
fn compare(
    what: &str,
    node: &Arc<dyn Function>,
    written: &Arc<dyn Function>,
    x: &[Tensor],
) -> Vec<Row> {
    let (a, b) =
        (Curvature::at(&loss(node), x).unwrap(), Curvature::at(&loss(written), x).unwrap());
    let largest = |x: &[f64]| x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let gradient = worst(a.gradient().iter().copied().zip(b.gradient().iter().copied()));
    let dense = by_double_pull(&loss(written), x);
    let scale = dense.iter().map(|row| largest(row)).fold(0.0, f64::max);
    let n = dense.len();
    let column = |j: usize| {
        let unit: Vec<f64> = (0..n).map(|i| f64::from(i == j)).collect();
        let exact = dense.iter().map(|row| row[j]);
        worst(a.hvp(&unit).unwrap().into_iter().zip(exact))
    };
    let second = (0..n).map(column).fold(0.0, f64::max);
    let each = [
        ("value", (a.loss() / b.loss() - 1.0).abs()),
        ("gradient", gradient / largest(b.gradient())),
        ("Hessian-vector products", second / scale),
    ];
    each.map(|(part, error)| row(format!("{what}: {part}"), error, 1e-12)).into()
}

/// y³ + p·y = q by Newton's method against Cardano's formula, y = 2·√(p/3)·sinh(⅓·asinh(3q/(2p)·√(3/p))).
fn roots() -> Vec<Row> {
    let residual = function("cubic", |_, v| Ok(vec![v[0] * v[0] * v[0] + v[1] * v[0] - v[2]]));
    let root = Implicit::new("root", residual, Newton::default()).batch(1).build().unwrap();
    let node = function("node", move |g, x| {
        let p = x[0].sqr() + 0.5;
        g.apply(&root, &[x[1].zeros_like(), p, x[1]])
    });
    let written = function("cardano", |_, x| {
        let (p, q) = (x[0].sqr() + 0.5, x[1]);
        let z = 1.5 * q / p * (3.0 / p).sqrt();
        let third = (z + (z.sqr() + 1.0).sqrt()).log() / 3.0;
        Ok(vec![(p / 3.0).sqrt() * (third.exp() - (-third).exp())])
    });
    let x = [wave(&[6], 0.3), wave(&[6], 1.9)];
    compare("implicit roots of 6 cubics against Cardano's formula", &node, &written, &x)
}

/// A map against one application for each element, stacked; and with its outputs summed.
fn maps() -> Vec<Row> {
    let f = function("f", |_, v| {
        Ok(vec![(v[0] * v[1]).sin() * v[0], (v[0] * v[0] * v[1]).sum(()).tanh()])
    });
    let each = Map::new("each", f.clone()).shared(&[1]).summed(&[1]).build().unwrap();
    let written = function("written", move |g, x| {
        let (mut first, mut second) = (vec![], g.scalar(0.0));
        for i in 0..5 {
            let y = g.apply(&f, &[x[0].get(0, i), x[1]])?;
            first.push(y[0]);
            second = second + y[1];
        }
        Ok(vec![g.stack(&first, 0), second])
    });
    let x = [wave(&[5, 3], 0.3), wave(&[3], 1.9)];
    compare("map over 5 elements against one application each", &each, &written, &x)
}

/// A scan with 3 snapshots against the unrolled graph.
fn scans() -> Vec<Row> {
    const STEPS: usize = 30;
    let step = function("step", |_, v| {
        let next = (v[2] * v[0] + v[1]).tanh();
        Ok(vec![next, next * next])
    });
    let ways = Checkpoints::Revolve(3);
    let scan = Scan::new("scan", step.clone(), 1).inputs(1).outputs(1).checkpoints(ways).build();
    let unrolled = function("unrolled", move |g, v| {
        let (mut state, mut outputs) = (v[0], vec![]);
        for t in 0..STEPS {
            let out = g.apply(&step, &[state, v[1].get(0, t), v[2]])?;
            state = out[0];
            outputs.push(out[1]);
        }
        Ok(vec![state, g.stack(&outputs, 0)])
    });
    let theta = (wave(&[2], 2.2) + 0.6).unwrap();
    let x = [wave(&[2], 0.3), wave(&[STEPS, 2], 1.9), theta];
    let what = "scan of 30 steps with 3 states kept against the unrolled graph";
    compare(what, &scan.unwrap(), &unrolled, &x)
}

/// Random networks of named variables, v_k = Σ w·sin v_u: total and partial derivatives by both sweeps and by the explanation, against
/// the chain rule over the edges' weights.
fn totals() -> Vec<Row> {
    const NETWORKS: usize = 40;
    let mut random = Random(7);
    let (mut total, mut partial, mut disagreement): (f64, f64, f64) = (0.0, 0.0, 0.0);
    for _ in 0..NETWORKS {
        let n = 3 + random.below(8);
        let graph = Graph::new();
        let mut vars: Vec<Var<'_>> =
            vec![graph.input(&tensor(&[0.5], &[], DType::F64)).named("v0")];
        let (mut values, mut slopes): (Vec<f64>, Vec<f64>) = (vec![0.5], vec![1.0]);
        for k in 1..n {
            let (mut sum, mut value, mut slope) = (graph.scalar(0.1), 0.1, 0.0);
            for u in 0..k {
                if u + 1 < k && random.below(3) == 0 {
                    continue;
                }
                let w = random.uniform(-1.0, 1.0);
                sum = sum + w * vars[u].sin();
                value += w * values[u].sin();
                slope += w * values[u].cos() * slopes[u];
                let v = vars[u];
                // Recorded beside the network, to be differentiated alone: the edge's own derivative.
                let edge = (w * v.sin()).named("edge");
                for d in [graph.partial_forward(edge, v), graph.partial_backward(edge, v)] {
                    let d = d.unwrap().to_scalar::<f64>().unwrap();
                    partial = partial.max((d - w * values[u].cos()).abs());
                }
            }
            vars.push(sum.named(format!("v{k}")));
            values.push(value);
            slopes.push(slope);
        }
        let (f, x) = (vars[n - 1], vars[0]);
        let why = explain(&graph, f, x).unwrap();
        let number =
            |t: pullback_core_graph::Result<Tensor>| t.unwrap().to_scalar::<f64>().unwrap();
        let all = [
            number(graph.total(f, x)),
            number(graph.total_forward(f, x)),
            number(graph.total_backward(f, x)),
            why.total.scalar().unwrap(),
        ];
        total = total.max(worst(all.into_iter().map(|d| (d, slopes[n - 1]))));
        disagreement = disagreement.max(why.disagreement());
    }
    let name = |what: &str| format!("totals of {NETWORKS} random networks: {what}");
    vec![
        row(name("by both sweeps and by paths against the chain rule"), total, 1e-13),
        row(name("sweeps of the explanation against each other"), disagreement, 1e-13),
        row(name("partial derivatives of edges by both sweeps"), partial, 1e-15),
    ]
}

/// All checks.
pub(crate) fn all() -> Vec<Row> {
    [roots(), maps(), scans(), totals()].into_iter().flatten().collect()
}
