//! Products of a network's matrices against dense ones, and against formulas.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Function, Graph, Var, function};
use pullback_graph::landscape::{Curvature, GaussNewton, Operator, Principal, Random, spectrum};

use super::{Row, row, tensor, worst};

/// A tanh network 3 → 5 → 4 → 2 on 7 fixed points: its parameters and outputs.
pub(crate) fn network() -> (Arc<dyn Function>, Vec<Tensor>) {
    let mut random = Random::new(11);
    let x: Vec<f64> = random.normals(21);
    let f = function("network", move |g, p| {
        let mut h = g.constant(&tensor(&x, &[7, 3], DType::F64)).cast(p[0].dtype()?);
        for layer in p.chunks(2) {
            h = (h.matmul(layer[0].t()) + layer[1]).tanh();
        }
        Ok(vec![h])
    });
    let sizes = [3, 5, 4, 2];
    let parameters = sizes.windows(2).flat_map(|s| {
        let w: Vec<f64> = random.normals(s[0] * s[1]).iter().map(|x| 0.6 * x).collect();
        [tensor(&w, &[s[1], s[0]], DType::F64), tensor(&random.normals(s[1]), &[s[1]], DType::F64)]
    });
    let parameters = parameters.collect();
    (f, parameters)
}

/// Softmax cross-entropy of 7 × 2 outputs.
pub(crate) fn cross_entropy() -> Arc<dyn Function> {
    function("cross-entropy", |g, z| {
        let labels: Vec<f64> =
            (0..14).map(|i| if (i / 2) % 2 == i % 2 { 1.0 } else { 0.0 }).collect();
        let labels = g.constant(&tensor(&labels, &[7, 2], DType::F64)).cast(z[0].dtype()?);
        Ok(vec![-(labels * (4.0 * z[0]).log_softmax(1)).sum(()) / 7.0])
    })
}

/// The loss of the network in one function.
pub(crate) fn network_loss() -> (Arc<dyn Function>, Vec<Tensor>) {
    let (network, parameters) = network();
    let loss = cross_entropy();
    let both = function("loss", move |g, p| g.apply(&loss, &g.apply(&network, p)?));
    (both, parameters)
}

/// The Hessian row by row: the recorded gradient, pulled back from each of its components.
pub(crate) fn by_double_pull(loss: &Arc<dyn Function>, parameters: &[Tensor]) -> Vec<Vec<f64>> {
    let graph = Graph::new();
    let x: Vec<Var<'_>> = parameters.iter().map(|t| graph.input(t)).collect();
    let y = graph.apply(loss, &x).unwrap()[0];
    let gradient = graph.record_gradient(y, &x).unwrap();
    let mut rows = vec![];
    for (g, t) in gradient.iter().zip(parameters) {
        for i in 0..t.elem_count() {
            let unit: Vec<f64> =
                (0..t.elem_count()).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
            let seed = tensor(&unit, t.dims(), t.dtype());
            let pulled = graph.pull(&[(*g, seed)], &x).unwrap();
            let flat = pulled.iter().zip(parameters).flat_map(|(d, t)| match d {
                Some(d) => to_f64(d).unwrap(),
                None => vec![0.0; t.elem_count()],
            });
            rows.push(flat.collect());
        }
    }
    rows
}

/// Hessian and Gauss-Newton products against dense matrices from other sweeps and from formulas.
pub(crate) fn products() -> Vec<Row> {
    let (loss, parameters) = network_loss();
    let mut rows = vec![];
    let dense = by_double_pull(&loss, &parameters);
    let scale = dense.iter().flatten().fold(0.0, |m: f64, x| m.max(x.abs()));
    let relative = |at: &Curvature, seed: u64| {
        let v = Random::new(seed).normals(at.dim());
        let hv = at.hvp(&v).unwrap();
        let exact = dense.iter().map(|r| r.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>());
        worst(hv.into_iter().zip(exact)) / scale
    };
    let at = Curvature::at(&loss, &parameters).unwrap();
    let off = (0..5).map(|seed| relative(&at, seed)).fold(0.0, f64::max);
    rows.push(row("H·v of a tanh network against the twice pulled Hessian", off, 1e-12));
    let single: Vec<Tensor> = parameters.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
    let single = Curvature::at(&loss, &single).unwrap();
    rows.push(row("the same in f32", relative(&single, 1), 1e-5));
    rows.push(row("asymmetry of the products", spectrum(&at).unwrap().asymmetry(), 1e-13));

    // A block of the matrix, by structural zeros and by a mask.
    let layout = at.parameters();
    let kept: Vec<usize> = layout.range(3).chain(layout.range(0)).collect();
    let group = at.group(&[3, 0]).unwrap();
    let mask = Principal::new(&at, kept.clone()).unwrap();
    let v = Random::new(2).normals(kept.len());
    let exact: Vec<f64> =
        kept.iter().map(|&i| kept.iter().zip(&v).map(|(&j, v)| dense[i][j] * v).sum()).collect();
    let off = worst(group.apply(&v).unwrap().into_iter().zip(exact.iter().copied()));
    rows.push(row("block of two parameter tensors", off / scale, 1e-12));
    let off = worst(mask.apply(&v).unwrap().into_iter().zip(exact));
    rows.push(row("the same as a mask", off / scale, 1e-12));

    // Jᵀ·H·J from the dense factors.
    let (network, parameters) = network();
    let entropy = cross_entropy();
    let gauss = GaussNewton::at(&network, &entropy, &parameters).unwrap();
    let graph = Graph::new();
    let x: Vec<Var<'_>> = parameters.iter().map(|t| graph.input(t)).collect();
    let z = graph.apply(&network, &x).unwrap()[0];
    let inner = by_double_pull(&entropy, &[z.value().unwrap()]);
    let jacobian: Vec<Vec<f64>> = (0..14)
        .map(|i| {
            let unit: Vec<f64> = (0..14).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
            let pulled = graph.pull(&[(z, tensor(&unit, &[7, 2], DType::F64))], &x).unwrap();
            pulled.iter().flat_map(|d| to_f64(d.as_ref().unwrap()).unwrap()).collect()
        })
        .collect();
    let n = gauss.dim();
    let v = Random::new(3).normals(n);
    let jv: Vec<f64> =
        jacobian.iter().map(|r| r.iter().zip(&v).map(|(a, b)| a * b).sum()).collect();
    let hjv: Vec<f64> = inner.iter().map(|r| r.iter().zip(&jv).map(|(a, b)| a * b).sum()).collect();
    let exact = (0..n).map(|j| (0..14).map(|i| jacobian[i][j] * hjv[i]).sum::<f64>());
    let off = worst(gauss.apply(&v).unwrap().into_iter().zip(exact)) / scale;
    rows.push(row("Gauss-Newton product against its dense factors", off, 1e-12));
    let least = spectrum(&gauss).unwrap().values()[0];
    rows.push(row(
        "most negative Gauss-Newton eigenvalue, of a convex loss",
        (-least).max(0.0),
        1e-13,
    ));

    // Logistic regression: H = Xᵀ·diag(p(1 − p))·X/m.
    let data = Random::new(6).normals(60);
    let inside = data.clone();
    let logistic = function("logistic", move |g, w| {
        let x = g.constant(&tensor(&inside, &[20, 3], DType::F64));
        let z = x.matmul(w[0].reshape(&[3, 1]));
        Ok(vec![(1.0 + (-z).exp()).log().sum(()) / 20.0])
    });
    let w = [0.3, -0.8, 0.5];
    let at = Curvature::at(&logistic, &[tensor(&w, &[3], DType::F64)]).unwrap();
    let v = [1.0, -2.0, 0.7];
    let hv = at.hvp(&v).unwrap();
    let mut exact = [0.0; 3];
    for x in data.chunks(3) {
        let dot = |u: &[f64]| u.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        let p = 1.0 / (1.0 + (-dot(&w)).exp());
        (0..3).for_each(|i| exact[i] += p * (1.0 - p) * dot(&v) * x[i] / 20.0);
    }
    rows.push(row(
        "H·v of logistic regression against its formula",
        worst(hv.into_iter().zip(exact)),
        1e-14,
    ));
    rows
}
