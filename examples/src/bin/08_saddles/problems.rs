//! Three functions whose difficulty is a saddle: one to look at, one whose best loss is known, one that people train.

use anyhow::Result;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::linalg::symmetric_eigen;
use pullback_core_graph::{Graph, Result as GraphResult, Var};
use pullback_nn::optimizer::Objective;
use pullback_nn::{Bound, Initialization, Parameters};

/// A function, where to start, and the lowest value that it can have, if that is known.
pub(crate) struct Problem {
    pub(crate) name: &'static str,
    pub(crate) objective: Objective,
    pub(crate) start: Parameters,
    pub(crate) saddle: f64,
    pub(crate) best: Option<f64>,
}

/// x³ − 3xy² + ¼(x² + y²)² + 6.75: three ways down from the origin, where slope and curvature vanish; minima of 0 at distance 3.
pub(crate) fn monkey_saddle() -> Result<Problem> {
    let mut start = Parameters::new(0, DType::F64, &Device::Cpu);
    for name in ["x", "y"] {
        start.root().parameter(name, &[1], Initialization::Constant(0.0))?;
    }
    // Almost on a ridge: downhill is first towards the origin.
    for (name, value) in [("x", 0.5), ("y", -0.001)] {
        start.set(name, &Tensor::new(&[value], &Device::Cpu)?)?;
    }
    let objective = Objective::new("monkey saddle", &start, |_: &Graph, p: &Bound<'_>| {
        let (x, y) = (p.get("x")?, p.get("y")?);
        (x.cube() - 3.0 * x * y.sqr() + 0.25 * (x.sqr() + y.sqr()).sqr() + 6.75).ok()
    });
    Ok(Problem { name: "monkey saddle", objective, start, saddle: 6.75, best: Some(0.0) })
}

const SAMPLES: usize = 100;

/// W₄W₃W₂W₁ through 3 of 10 dimensions, mean of ½‖x̂ − x‖². The best is what principal components leave; the origin is a saddle
/// whose first three derivatives vanish, and between it and the best lie more (Baldi and Hornik 1989, Kawaguchi 2016). It starts
/// from weights of deviation 0.03, close to the origin.
pub(crate) fn linear_autoencoder() -> Result<Problem> {
    let sizes = [10, 6, 3, 6, 10];
    // Numbers that look random, from a quadratic phase; each dimension has its own spread.
    let wave = |i: usize, j: usize| (0.7 + 1.3 * i as f64 + 0.37 * (i * i * (j + 2)) as f64).sin();
    let x: Vec<f64> = (0..SAMPLES)
        .flat_map(|i| (0..10).map(move |j| 2.5 * 0.7f64.powi(j as i32) * wave(i, j)))
        .collect();
    let mut covariance = vec![0.0; 100];
    for row in x.chunks(10) {
        for (i, a) in row.iter().enumerate() {
            row.iter()
                .enumerate()
                .for_each(|(j, b)| covariance[10 * i + j] += a * b / SAMPLES as f64);
        }
    }
    let (mut values, mut vectors) = (vec![0.0; 10], vec![0.0; 100]);
    symmetric_eigen(1, 10, &covariance, &mut values, &mut vectors)?;
    let (saddle, best) = (0.5 * values.iter().sum::<f64>(), 0.5 * values[..7].iter().sum::<f64>());
    let mut start = Parameters::new(5, DType::F64, &Device::Cpu);
    let names = layers(&mut start, &sizes, false, 0.03)?;
    let data = Tensor::from_vec(x, (SAMPLES, 10), &Device::Cpu)?;
    let objective =
        Objective::new("linear autoencoder", &start, move |graph: &Graph, p: &Bound<'_>| {
            let x = graph.constant(&data);
            let mut h = x;
            for name in &names {
                h = h.matmul(p.get(&format!("{name}.weight"))?.t());
            }
            (0.5 * (h - x).sqr().sum(1).mean(())).ok()
        });
    let name = "deep linear autoencoder 10-6-3-6-10";
    Ok(Problem { name, objective, start, saddle, best: Some(best) })
}

/// tanh layers 2-8-8-8-8-1 from small weights on two interleaved half circles: cross entropy, and a little weight decay so that the
/// best weights are finite. Near the start all inputs give about the same output: a plateau at ln 2.
pub(crate) fn deep_perceptron() -> Result<Problem> {
    let n = 80;
    let (mut x, mut signs) = (vec![], vec![]);
    for i in 0..n {
        let (side, t) = ((i % 2) as f64, (i / 2) as f64 / (n / 2 - 1) as f64);
        let angle = std::f64::consts::PI * t;
        let jitter = |k: f64| 0.1 * (k * (i as f64 + 1.0).powi(2)).sin();
        x.push(angle.cos() + side - 0.5 + jitter(0.3));
        x.push(angle.sin() * (1.0 - 2.0 * side) + 0.4 * side + jitter(0.7));
        signs.push(1.0 - 2.0 * side);
    }
    let x = Tensor::from_vec(x, (n, 2), &Device::Cpu)?;
    let signs = Tensor::from_vec(signs, (n, 1), &Device::Cpu)?;
    let mut start = Parameters::new(3, DType::F64, &Device::Cpu);
    let names = layers(&mut start, &[2, 8, 8, 8, 8, 1], true, 0.2)?;
    let objective =
        Objective::new("deep perceptron", &start, move |graph: &Graph, p: &Bound<'_>| {
            let mut h = graph.constant(&x);
            for (i, name) in names.iter().enumerate() {
                h = affine(p, name, h)?;
                if i + 1 < names.len() {
                    h = h.tanh();
                }
            }
            let mut loss = (-(graph.constant(&signs) * h)).softplus().mean(());
            for v in p.vars() {
                loss = loss + 5e-5 * v.sqr().sum(());
            }
            loss.ok()
        });
    let (name, saddle) = ("deep perceptron 2-8-8-8-8-1", std::f64::consts::LN_2);
    Ok(Problem { name, objective, start, saddle, best: None })
}

fn affine<'g>(p: &Bound<'g>, name: &str, x: Var<'g>) -> GraphResult<Var<'g>> {
    let (w, b) = (p.get(&format!("{name}.weight"))?, p.get(&format!("{name}.bias"))?);
    (x.matmul(w.t()) + b).ok()
}

/// Normal weights of this deviation.
fn layers(
    parameters: &mut Parameters,
    sizes: &[usize],
    bias: bool,
    deviation: f64,
) -> Result<Vec<String>> {
    let mut names = vec![];
    for (i, pair) in sizes.windows(2).enumerate() {
        let name = format!("layer{i}");
        let normal = Initialization::Normal { mean: 0.0, deviation };
        let mut root = parameters.root();
        let mut scope = root.scope(&name);
        scope.parameter("weight", &[pair[1], pair[0]], normal)?;
        if bias {
            scope.parameter("bias", &[pair[1]], Initialization::Constant(0.0))?;
        }
        names.push(name);
    }
    Ok(names)
}
