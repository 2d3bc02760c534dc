//! The loop of MVProp against its formula, its operations, its transpose and differences.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{Random, apart, dot};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Function, Graph, function};
use pullback_nn::ops::max_pool2d;
use pullback_vin::kernel::{
    PropagationShape, propagation_backward, propagation_forward, propagation_push,
};
use pullback_vin::node::maximum_propagation;

const SHAPE: PropagationShape = PropagationShape { batch: 3, height: 6, width: 7, iterations: 5 };

fn shapes() -> [PropagationShape; 4] {
    [
        SHAPE,
        PropagationShape { width: 33, height: 4, ..SHAPE },
        PropagationShape { height: 1, width: 1, ..SHAPE },
        PropagationShape { height: 16, width: 16, iterations: 40, ..SHAPE },
    ]
}

/// Numbers strictly between 0 and 1, as those of a sigmoid.
fn fractions(seed: u64, n: usize) -> Vec<f64> {
    Random::new(seed).normals(n).iter().map(|x| 1.0 / (1.0 + (-2.0 * x).exp())).collect()
}

fn planes(shape: &PropagationShape, seed: u64) -> [Vec<f64>; 2] {
    let n = shape.batch * shape.height * shape.width;
    [fractions(seed, n), fractions(seed + 100, n)]
}

/// The formula, cell by cell.
fn plain(shape: &PropagationShape, r: &[f64], p: &[f64]) -> Vec<f64> {
    let (h, w) = (shape.height, shape.width);
    let mut v = r.to_vec();
    for _ in 0..shape.iterations {
        let before = v.clone();
        for (i, v) in v.iter_mut().enumerate() {
            let (n, y, x) = (i / (h * w), i / w % h, i % w);
            let rows = y.saturating_sub(1)..(y + 2).min(h);
            let columns = || x.saturating_sub(1)..(x + 2).min(w);
            let around = rows.flat_map(|y| columns().map(move |x| (n * h + y) * w + x));
            let best = around.map(|j| before[j]).fold(f64::NEG_INFINITY, f64::max);
            *v = before[i].max(r[i] + p[i] * (best - r[i]));
        }
    }
    v
}

#[test]
fn the_loop_is_its_formula() {
    for shape in shapes() {
        let [r, p] = planes(&shape, 1);
        let want = plain(&shape, &r, &p);
        let (v, tape) = propagation_forward(shape, &r, &p).unwrap();
        let error = apart(&v, &want);
        assert!(error < 1e-14, "{shape:?}: {error:e}");
        assert_eq!(tape.bytes(), 9 * shape.iterations * v.len());
        let single = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let (v, _) = propagation_forward(shape, &single(&r), &single(&p)).unwrap();
        let v: Vec<f64> = v.iter().map(|x| f64::from(*x)).collect();
        let error = apart(&v, &want);
        assert!(error < 1e-6, "{shape:?}, f32: {error:e}");
        // Something has moved, or the test would say nothing.
        assert!(shape.width == 1 || apart(&want, &r) > 0.1);
    }
}

#[test]
fn the_backward_loop_is_the_transpose_and_the_slope() {
    for shape in shapes() {
        let [r, p] = planes(&shape, 2);
        let n = r.len();
        let (dr, dp) = (Random::new(3).normals(n), Random::new(4).normals(n));
        let c = Random::new(5).normals(n);
        let (_, tape) = propagation_forward(shape, &r, &p).unwrap();
        let [gr, gp] = propagation_backward(shape, (&r, &p), &tape, &c).unwrap();
        let pushed = propagation_push(shape, (&r, &p), &tape, (&dr, &dp)).unwrap();
        let (left, right) = (dot(&pushed, &c), dot(&gr, &dr) + dot(&gp, &dp));
        assert!((left - right).abs() < 1e-12 * left.abs().max(1.0), "{shape:?}: {left} {right}");
        let at = |t: f64| {
            let go = |x: &[f64], d: &[f64]| -> Vec<f64> {
                x.iter().zip(d).map(|(x, d)| x + t * d).collect()
            };
            dot(&propagation_forward(shape, &go(&r, &dr), &go(&p, &dp)).unwrap().0, &c)
        };
        let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!((slope - right).abs() < 1e-6 * right.abs().max(1.0), "{shape:?}: {slope} {right}");
    }
}

#[test]
fn bad_input_is_named() {
    let [r, mut p] = planes(&SHAPE, 1);
    let none = PropagationShape { iterations: 0, ..SHAPE };
    assert!(propagation_forward(none, &r, &p).unwrap_err().to_string().contains("iterations: 0"));
    assert!(propagation_forward(SHAPE, &r, &p[1..]).unwrap_err().to_string().contains('p'));
    let (_, tape) = propagation_forward(SHAPE, &r, &p).unwrap();
    let short = propagation_backward(SHAPE, (&r, &p), &tape, &r[1..]);
    assert!(short.unwrap_err().to_string().contains("dv"));
    let longer = PropagationShape { iterations: 6, ..SHAPE };
    assert!(propagation_push(longer, (&r, &p), &tape, (&r, &p)).is_err());
    p[17] = f64::NAN;
    let error = propagation_forward(SHAPE, &r, &p).unwrap_err().to_string();
    assert!(error.contains("p is NaN at 17"), "{error}");
}

#[test]
fn the_node_is_its_operations_and_obeys_the_laws() {
    let tensor = |x: &[f64], dtype: DType| {
        Tensor::from_slice(x, (3, 6, 7), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    };
    let composed = function("composed", |_, v| {
        let (r, p) = (v[0].unsqueeze(1), v[1].unsqueeze(1));
        let mut value = r;
        for _ in 0..5 {
            let best = max_pool2d(value, [3, 3], [1, 1], [1, 1]);
            value = value.maximum(r + p * (best - r)).ok()?;
        }
        Ok(vec![value.squeeze(1).ok()?])
    });
    let fused = function("fused", |_, v| Ok(vec![maximum_propagation(v[0], v[1], 5)?]));
    let [r, p] = planes(&SHAPE, 6);
    let along = Random::new(7).normals(r.len());
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
        let run = |node: &std::sync::Arc<dyn Function>| -> Vec<f64> {
            let graph = Graph::new();
            let x = [&r, &p].map(|x| graph.input(&tensor(x, dtype)));
            let v = graph.apply(node, &x).unwrap()[0];
            let loss = (v * graph.constant(&tensor(&along, dtype))).sum(());
            let gradient = graph.gradient(loss, &x).unwrap();
            let all = std::iter::once(v.value().unwrap()).chain(gradient);
            all.flat_map(|t| to_f64(&t).unwrap()).collect()
        };
        let (ours, theirs) = (run(&fused), run(&composed));
        let size = theirs.iter().fold(1.0f64, |m, x| m.max(x.abs()));
        let error = apart(&ours, &theirs);
        assert!(error < tolerance * size, "{dtype:?}: {error:e}");
    }
    // Few cells: no two neighbours are so near to each other that a step of the test changes which one is larger.
    let small = PropagationShape { batch: 2, height: 3, width: 4, iterations: 5 };
    let x = planes(&small, 8).map(|x| Tensor::from_vec(x, (2, 3, 4), &Device::Cpu).unwrap());
    laws(&fused, &x, &Tolerances { step: 1e-5, ..Tolerances::default() }).unwrap();
    let flat = x[1].flatten_all().unwrap();
    let error = fused.eval(&[x[0].clone(), flat]).unwrap_err().to_string();
    assert!(error.contains("r and p (batch, height, width)"), "{error}");
}
