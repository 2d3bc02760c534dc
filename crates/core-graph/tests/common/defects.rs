//! candle's wrong, missing and refused derivatives, with ours beside them.
//!
//! Each row computes the gradient of one scalar function three times: by candle 0.11's backward pass, by ours, and by central
//! differences of the function's values (or by the stated convention, where it has a kink).

use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_nn::Module;
use pullback_core_graph::candle::{self, D, DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result, Var};

use super::operations::{indices, spread};

/// What candle does.
#[derive(Debug)]
pub(crate) enum Candle {
    /// Numbers that are wrong by this much, relative to max(1, |right|); infinite where they are NaN or infinite.
    Wrong(f64),
    /// No gradient at all for a variable that the function depends on, and no error.
    Missing,
    /// An error.
    Refused(String),
    /// Input that means nothing is taken.
    Accepted,
    /// A panic, or the end of the process by a signal.
    Crashed,
    /// Right after all: the row is out of date.
    Right,
}

impl std::fmt::Display for Candle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Candle::Wrong(error) if error.is_finite() => write!(f, "wrong by {error:.1e}"),
            Candle::Wrong(_) => f.write_str("not a number"),
            Candle::Missing => f.write_str("no gradient, no error"),
            Candle::Refused(_) => f.write_str("an error"),
            Candle::Accepted => f.write_str("accepts it"),
            Candle::Crashed => f.write_str("a crash"),
            Candle::Right => f.write_str("right"),
        }
    }
}

/// One row.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) name: &'static str,
    pub(crate) candle: Candle,
    /// Our error, relative to max(1, |right|).
    pub(crate) ours: f64,
}

type Theirs = fn(&[Tensor]) -> candle::Result<Tensor>;
type Ours = for<'g> fn(&'g Graph, &[Var<'g>]) -> Result<Var<'g>>;

struct Defect {
    name: &'static str,
    inputs: Vec<Tensor>,
    theirs: Theirs,
    ours: Ours,
    /// The right gradient; `None` asks for differences.
    right: Option<Vec<f64>>,
}

/// Σ yᵢ·wᵢ with uneven weights: a scalar whose gradient shows every element.
pub(crate) fn weighed(y: &Tensor) -> candle::Result<Tensor> {
    (y * weights(y)?)?.sum_all()
}

fn weights(y: &Tensor) -> candle::Result<Tensor> {
    spread(y.dims(), 0.5, 1.5, 3).to_dtype(y.dtype())
}

/// The same of ours.
pub(crate) fn weigh(y: Var<'_>) -> Result<Var<'_>> {
    Ok((y * y.graph().constant(&weights(&y.value()?)?)).sum(()))
}

fn vector(x: &[f64]) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn table() -> Vec<Defect> {
    let row = |name, inputs, theirs: Theirs, ours: Ours| Defect {
        name,
        inputs,
        theirs,
        ours,
        right: None,
    };
    let kink = |name, at: &[f64], right: &[f64], theirs: Theirs, ours: Ours| Defect {
        name,
        inputs: vec![vector(at)],
        theirs,
        ours,
        right: Some(right.to_vec()),
    };
    let m = |dims: &[usize], seed| spread(dims, -1.5, 1.5, seed);
    vec![
        row(
            "scatter",
            vec![m(&[2, 3], 1), m(&[2, 2], 2)],
            |x| weighed(&x[0].scatter(&indices(&[2, 0, 1, 2], &[2, 2]), &x[1], 1)?),
            |_, x| weigh(x[0].scatter(&indices(&[2, 0, 1, 2], &[2, 2]), x[1], 1)),
        ),
        row(
            "scatter_add",
            vec![m(&[2, 3], 1), m(&[2, 3], 2)],
            |x| weighed(&x[0].scatter_add(&indices(&[2, 0, 2, 1, 2, 1], &[2, 3]), &x[1], 1)?),
            |_, x| weigh(x[0].scatter_add(&indices(&[2, 0, 2, 1, 2, 1], &[2, 3]), x[1], 1)),
        ),
        row(
            "gather with a smaller index",
            vec![m(&[3, 4], 1)],
            |x| weighed(&x[0].gather(&indices(&[2, 0, 1, 2], &[2, 2]), 1)?),
            |_, x| weigh(x[0].gather(&indices(&[2, 0, 1, 2], &[2, 2]), 1)),
        ),
        row(
            "unfold off the last axis",
            vec![m(&[4, 3], 1)],
            |x| weighed(&x[0].unfold(0, 2, 2)?),
            |_, x| weigh(x[0].unfold(0, 2, 2)),
        ),
        row(
            "unfold, overlapping",
            vec![m(&[2, 5], 1)],
            |x| weighed(&x[0].unfold(1, 3, 1)?),
            |_, x| weigh(x[0].unfold(1, 3, 1)),
        ),
        row(
            "pow of a negative base",
            vec![vector(&[-1.5, 2.0, -0.5])],
            |x| weighed(&x[0].pow(&vector(&[3.0, 2.5, 2.0]))?),
            |g, x| weigh(x[0].pow(g.constant(&vector(&[3.0, 2.5, 2.0])))),
        ),
        row(
            "matmul of rank 5",
            vec![m(&[2, 1, 2, 3, 4], 1), m(&[2, 2, 1, 4, 2], 2)],
            |x| weighed(&x[0].broadcast_matmul(&x[1])?),
            |_, x| weigh(x[0].matmul(x[1])),
        ),
        row(
            "candle_nn softmax_last_dim",
            vec![m(&[2, 4], 1)],
            |x| weighed(&candle_nn::ops::softmax_last_dim(&x[0])?),
            |_, x| weigh(x[0].softmax(-1)),
        ),
        row(
            "candle_nn LayerNorm",
            vec![m(&[2, 4], 1).to_dtype(DType::F32).unwrap()],
            |x| {
                let one = x[0].narrow(0, 0, 1)?.flatten_all()?.ones_like()?.detach();
                weighed(
                    &candle_nn::LayerNorm::new(one.clone(), one.zeros_like()?, 1e-5)
                        .forward(&x[0])?,
                )
            },
            |_, x| {
                let centred = x[0] - x[0].mean_keepdim(-1);
                weigh(centred * (x[0].variance(-1, 0) + 1e-5).rsqrt().unsqueeze(-1))
            },
        ),
        row(
            "candle_nn rms_norm",
            vec![m(&[2, 4], 1).to_dtype(DType::F32).unwrap()],
            |x| {
                let one = x[0].narrow(0, 0, 1)?.flatten_all()?.ones_like()?.detach();
                weighed(&candle_nn::ops::rms_norm(&x[0].contiguous()?, &one, 1e-5)?)
            },
            |_, x| weigh(x[0] * (x[0].sqr().mean(-1) + 1e-5).rsqrt().unsqueeze(-1)),
        ),
        row(
            "binary cross entropy of a logit of −800",
            vec![vector(&[-800.0, 1.5])],
            |x| candle_nn::loss::binary_cross_entropy_with_logit(&x[0], &vector(&[1.0, 0.0])),
            |g, x| Ok((x[0].softplus() - x[0] * g.constant(&vector(&[1.0, 0.0]))).mean(())),
        ),
        row(
            "gelu_erf",
            vec![m(&[7], 1)],
            |x| weighed(&x[0].gelu_erf()?),
            |_, x| weigh(x[0].gelu()),
        ),
        kink(
            "max of a tie",
            &[2.0, 2.0, 1.0],
            &[0.5, 0.5, 0.0],
            |x| x[0].max(D::Minus1),
            |_, x| Ok(x[0].max(())),
        ),
        kink(
            "min of a tie",
            &[1.0, 2.0, 1.0],
            &[0.5, 0.0, 0.5],
            |x| x[0].min(D::Minus1),
            |_, x| Ok(x[0].min(())),
        ),
        kink("abs at 0", &[0.0], &[0.0], |x| x[0].abs()?.sum_all(), |_, x| Ok(x[0].abs().sum(()))),
        kink(
            "relu at 0",
            &[0.0],
            &[0.0],
            |x| x[0].relu()?.sum_all(),
            |_, x| Ok(x[0].relu().sum(())),
        ),
        kink(
            "square root at 0 behind a mask",
            &[0.0, 4.0],
            &[0.0, 0.25],
            |x| x[0].gt(0.0)?.where_cond(&x[0].sqrt()?, &x[0].zeros_like()?)?.sum_all(),
            |g, x| Ok(g.scalar(0.0).less(x[0]).select(x[0].sqrt(), x[0].zeros_like()).sum(())),
        ),
        kink(
            "norm at 0",
            &[0.0, 0.0],
            &[0.0, 0.0],
            |x| x[0].sqr()?.sum_all()?.sqrt(),
            |_, x| Ok(x[0].norm(())),
        ),
        kink(
            "power 0 at 0",
            &[0.0],
            &[0.0],
            |x| x[0].powf(0.0)?.sum_all(),
            |_, x| Ok(x[0].powf(0.0).sum(())),
        ),
    ]
}

/// Every row.
pub(crate) fn verdicts() -> Vec<Verdict> {
    table()
        .into_iter()
        .map(verdict)
        .chain([second_order(), deep_chain(), mismatched_batches()])
        .collect()
}

fn verdict(d: Defect) -> Verdict {
    let right = d.right.clone().unwrap_or_else(|| differences(&d));
    let ours = gradient(&d).map_or(f64::INFINITY, |g| error(&g, &right));
    Verdict { name: d.name, candle: judge(d.theirs, &d.inputs, &right), ours }
}

/// The worst difference, relative to max(1, |right|); infinite where something is not finite.
pub(crate) fn error(ours: &[f64], right: &[f64]) -> f64 {
    if ours.len() != right.len() {
        return f64::INFINITY;
    }
    let each = ours.iter().zip(right).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    each.fold(0.0, |w: f64, e| if e.is_nan() { f64::INFINITY } else { w.max(e) })
}

fn gradient(d: &Defect) -> Result<Vec<f64>> {
    let graph = Graph::new();
    let x: Vec<Var<'_>> =
        d.inputs.iter().map(|t| graph.input(&t.to_dtype(DType::F64).unwrap())).collect();
    let y = (d.ours)(&graph, &x)?;
    Ok(graph.gradient(y, &x)?.iter().map(to_f64).collect::<Result<Vec<_>>>()?.concat())
}

fn at(d: &Defect, x: &[Tensor]) -> f64 {
    let graph = Graph::new();
    let x: Vec<Var<'_>> = x.iter().map(|t| graph.input(t)).collect();
    (d.ours)(&graph, &x).and_then(|y| y.to_f64()).unwrap_or(f64::NAN)
}

/// Central differences of our values, extrapolated: (4·D(h/2) − D(h))/3.
fn differences(d: &Defect) -> Vec<f64> {
    let x: Vec<Tensor> = d.inputs.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let mut out = Vec::new();
    for (k, t) in x.iter().enumerate() {
        let data = to_f64(t).unwrap();
        for i in 0..data.len() {
            let moved = |h: f64| {
                let mut data = data.clone();
                data[i] += h;
                let mut x = x.clone();
                x[k] = Tensor::from_vec(data, t.dims(), &Device::Cpu).unwrap();
                at(d, &x)
            };
            let central = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
            out.push((4.0 * central(5e-4) - central(1e-3)) / 3.0);
        }
    }
    out
}

/// candle's backward pass against the right gradient.
pub(crate) fn judge(
    theirs: impl Fn(&[Tensor]) -> candle::Result<Tensor>,
    inputs: &[Tensor],
    right: &[f64],
) -> Candle {
    let run = || -> candle::Result<Option<Vec<f64>>> {
        let vars: Vec<candle::Var> =
            inputs.iter().map(candle::Var::from_tensor).collect::<candle::Result<_>>()?;
        let x: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let gradients = theirs(&x)?.backward()?;
        let mut all = Vec::new();
        for v in &vars {
            let Some(g) = gradients.get(v) else { return Ok(None) };
            all.extend(to_f64(g).map_err(candle::Error::wrap)?);
        }
        Ok(Some(all))
    };
    // Single precision is not a defect: what rounding explains is right.
    let tolerance = if inputs.iter().any(|t| t.dtype() == DType::F32) { 1e-4 } else { 1e-9 };
    match catch_unwind(AssertUnwindSafe(run)) {
        Err(_) => Candle::Crashed,
        Ok(Err(e)) => Candle::Refused(e.to_string()),
        Ok(Ok(None)) => Candle::Missing,
        Ok(Ok(Some(g))) => match error(&g, right) {
            e if e <= tolerance => Candle::Right,
            e => Candle::Wrong(e),
        },
    }
}

/// d²/dx² sin(x²) = 2·cos(x²) − 4x²·sin(x²) at 0.7: candle's gradient can be differentiated, and the answer is wrong.
fn second_order() -> Verdict {
    let x = 0.7f64;
    let right = 2.0 * (x * x).cos() - 4.0 * x * x * (x * x).sin();
    let theirs = |v: &[Tensor]| {
        let y = v[0].sqr()?.sin()?;
        let first = y.backward()?.get(&v[0]).cloned();
        first.ok_or_else(|| candle::Error::Msg("no gradient".into()))
    };
    let graph = Graph::new();
    let v = graph.input(&Tensor::new(x, &Device::Cpu).unwrap());
    let first = graph.record_gradient(v.sqr().sin(), &[v]).unwrap()[0];
    let ours = to_f64(&graph.gradient(first, &[v]).unwrap()[0]).unwrap();
    let inputs = [Tensor::new(x, &Device::Cpu).unwrap()];
    Verdict {
        name: "second derivative",
        candle: judge(theirs, &inputs, &[right]),
        ours: error(&ours, &[right]),
    }
}

/// Operations of the chain that ends candle's process.
const DEEP: usize = 100_000;

/// candle's backward pass over a deep chain, on the stack that Rust gives a thread: run in a process of its own.
pub(crate) fn candle_chain() {
    super::chain::on_a_small_stack(|| {
        let x = candle::Var::new(1.0f64, &Device::Cpu).unwrap();
        let c = 1.0 + 1.0 / DEEP as f64;
        let y = (0..DEEP).fold(x.as_tensor().clone(), |y, _| y.affine(c, 0.0).unwrap());
        assert!(y.backward().unwrap().get(&x).is_some());
        std::mem::forget(y);
    });
}

fn deep_chain() -> Verdict {
    let candle = match super::child::run("candle chain", 1) {
        Ok(output) if output.status.success() => Candle::Right,
        Ok(output) if output.status.code().is_none() => Candle::Crashed,
        Ok(output) => Candle::Refused(output.status.to_string()),
        Err(e) => Candle::Refused(e.to_string()),
    };
    let ours = super::chain::on_a_small_stack(|| super::chain::chain(DEEP));
    let ours = ours.map_or(f64::INFINITY, |o| o.worst_relative_error);
    Verdict { name: "chain of 100,000 operations", candle, ours }
}

/// Batches of 2×3 and of 3×2 matrices have no product; candle compares the number of matrices only.
fn mismatched_batches() -> Verdict {
    let x = [spread(&[2, 3, 2, 2], -1.0, 1.0, 1), spread(&[3, 2, 2, 2], -1.0, 1.0, 2)];
    let candle = match x[0].matmul(&x[1]) {
        Ok(_) => Candle::Accepted,
        Err(_) => Candle::Right,
    };
    let graph = Graph::new();
    let product = graph.input(&x[0]).matmul(graph.input(&x[1]));
    let refused = matches!(product.value(), Err(pullback_core_graph::Error::Shape { .. }));
    Verdict {
        name: "matmul of batches 2×3 and 3×2, which is none",
        candle,
        ours: if refused { 0.0 } else { f64::INFINITY },
    }
}
