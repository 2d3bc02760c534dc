//! candle's wrong, missing and refused derivatives in what a network is made of, with ours beside them.
//!
//! Each row computes the gradient of Σ yᵢ·wᵢ three times: by candle 0.11's backward pass, by ours, and by central differences of our
//! values (or by the stated convention, where there is a corner).

use candle_nn::{Module, VarBuilder, VarMap};
use pullback_core_graph::candle::{self, D, DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result, Var};
use pullback_nn::layer::*;
use pullback_nn::{Activation, Bound, Layer, Mode, Parameters, loss};

use super::tensor;

/// What candle does.
#[derive(Debug)]
pub(crate) enum Candle {
    /// Numbers that are wrong by this much, relative to max(1, |right|); infinite where they are NaN or infinite.
    Wrong(f64),
    /// No gradient at all for a variable that the function depends on, and no error.
    Missing,
    /// An error.
    Refused(String),
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

type Theirs = fn(&Tensor) -> candle::Result<Tensor>;
type Ours = for<'g> fn(&Bound<'g>, Var<'g>) -> Result<Var<'g>>;

struct Defect {
    name: &'static str,
    x: Tensor,
    /// The element type candle computes in; ours is always f64.
    dtype: DType,
    theirs: Theirs,
    ours: Ours,
    /// The slope by convention, for a function of each element; `None` asks for differences.
    right: Option<Vec<f64>>,
}

fn builder() -> VarBuilder<'static> {
    VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu)
}

fn apply<'g>(layer: &impl Layer, p: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
    layer.forward(p, x)
}

/// A layer with its first values: ones and zeros.
fn fresh<'g, L: Layer>(
    x: Var<'g>,
    make: impl FnOnce(&mut Parameters) -> pullback_nn::Result<L>,
) -> Result<Var<'g>> {
    let mut parameters = Parameters::new(1, x.dtype()?, &Device::Cpu);
    let layer = make(&mut parameters)?;
    layer.forward(&parameters.bind_constant(x.graph()), x)
}

/// Numbers 0.3 apart: no ties.
fn separated(dims: &[usize]) -> Tensor {
    let n: usize = dims.iter().product();
    let values: Vec<f64> = (0..n).map(|i| (i * 29 % n) as f64 * 0.3).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

fn kernel() -> Tensor {
    tensor(3, &[1, 2, 3, 3])
}

fn answers() -> Tensor {
    Tensor::new(&[1.0, 0.0, 1.0], &Device::Cpu).unwrap()
}

fn table() -> Vec<Defect> {
    let row = |name, x, theirs: Theirs, ours: Ours| Defect {
        name,
        x,
        dtype: DType::F64,
        theirs,
        ours,
        right: None,
    };
    let single = |d: Defect| Defect { dtype: DType::F32, ..d };
    let pool: Ours = |p, x| apply(&MaxPool2d::new([2, 2]), p, x);
    let mean: Ours = |p, x| apply(&AveragePool2d::new([2, 2]), p, x);
    let layer_norm: Ours = |_, x| fresh(x, |p| LayerNorm::new(&mut p.root(), &[5]));
    let rms_norm: Ours = |_, x| fresh(x, |p| RmsNorm::with_epsilon(&mut p.root(), &[5], 1e-5));
    vec![
        row("max_pool2d", separated(&[1, 1, 4, 4]), |x| x.max_pool2d(2), pool),
        row(
            "max_pool2d, size not divisible by the window",
            separated(&[1, 1, 5, 7]),
            |x| x.max_pool2d(2),
            pool,
        ),
        row(
            "max_pool2d, overlapping windows",
            separated(&[1, 1, 5, 5]),
            |x| x.max_pool2d_with_stride(3, 2),
            |p, x| apply(&MaxPool2d { stride: [2; 2], ..MaxPool2d::new([3; 2]) }, p, x),
        ),
        row(
            "avg_pool2d, size not divisible by the window",
            tensor(1, &[1, 1, 5, 7]),
            |x| x.avg_pool2d(2),
            mean,
        ),
        row(
            "avg_pool2d, overlapping windows",
            tensor(1, &[1, 1, 5, 5]),
            |x| x.avg_pool2d_with_stride(3, 2),
            |p, x| {
                let stride = [2; 2];
                apply(&AveragePool2d { stride, ..AveragePool2d::new([3, 3]) }, p, x)
            },
        ),
        row(
            "conv2d, stride 2 on 6×5",
            tensor(2, &[1, 2, 6, 5]),
            |x| x.conv2d(&kernel(), 1, 2, 1, 1),
            |_, x| {
                let options = pullback_nn::ops::Conv2dOptions {
                    stride: [2; 2],
                    padding: [1; 2],
                    ..Default::default()
                };
                pullback_nn::ops::conv2d(x, x.graph().constant(&kernel()), options).ok()
            },
        ),
        row(
            "conv_transpose1d",
            tensor(2, &[1, 2, 4]),
            |x| x.conv_transpose1d(&tensor(4, &[2, 3, 3]), 1, 0, 2, 1, 1),
            |_, x| {
                fresh(x, |p| {
                    let window = pullback_nn::arithmetic::Window::new(3).stride(2).padding(1);
                    let spec = ConvTranspose1dSpec {
                        inputs: 2,
                        outputs: 3,
                        window,
                        output_padding: 0,
                        groups: 1,
                        bias: false,
                        initialization: pullback_nn::Initialization::Xavier,
                    };
                    let layer = ConvTranspose1d::new(&mut p.root(), spec)?;
                    p.set("weight", &tensor(4, &[2, 3, 3]))?;
                    Ok(layer)
                })
            },
        ),
        row(
            "upsample_bilinear2d",
            tensor(5, &[1, 1, 3, 4]),
            |x| x.upsample_bilinear2d(6, 8, false),
            |p, x| apply(&Upsample::default(), p, x),
        ),
        row(
            "upsample_nearest2d of what is used elsewhere too",
            tensor(6, &[1, 1, 2, 2]),
            |x| {
                let y = (x * 1.0)?;
                y.upsample_nearest2d(4, 4)? + y.repeat((1, 1, 2, 2))?
            },
            |p, x| {
                let resize = Resize { size: [4, 4], interpolation: Interpolation::Nearest };
                let rows = x.graph().cat(&[x, x], 2);
                (apply(&resize, p, x)? + x.graph().cat(&[rows, rows], 3)).ok()
            },
        ),
        row(
            "ops::softmax_last_dim",
            tensor(7, &[2, 5]),
            candle_nn::ops::softmax_last_dim,
            |p, x| apply(&Activation::Softmax { axis: -1 }, p, x),
        ),
        single(row(
            "ops::layer_norm",
            tensor(8, &[2, 5]),
            |x| {
                let (ones, zeros) = (x.ones_like()?.get(0)?, x.zeros_like()?.get(0)?);
                candle_nn::ops::layer_norm(x, &ones, &zeros, 1e-5)
            },
            layer_norm,
        )),
        single(row(
            "ops::rms_norm",
            tensor(9, &[2, 5]),
            |x| candle_nn::ops::rms_norm(x, &x.ones_like()?.get(0)?, 1e-5),
            rms_norm,
        )),
        single(row(
            "LayerNorm",
            tensor(8, &[2, 5]),
            |x| candle_nn::layer_norm(5, 1e-5, builder())?.forward(&(x * 1.0)?.contiguous()?),
            layer_norm,
        )),
        row(
            "LayerNorm in f64",
            tensor(8, &[2, 5]),
            |x| {
                let parameters = VarBuilder::from_varmap(&VarMap::new(), DType::F64, &Device::Cpu);
                candle_nn::layer_norm(5, 1e-5, parameters)?.forward(x)
            },
            layer_norm,
        ),
        single(row(
            "RmsNorm",
            tensor(9, &[2, 5]),
            |x| candle_nn::rms_norm(5, 1e-5, builder())?.forward(&(x * 1.0)?.contiguous()?),
            rms_norm,
        )),
        row(
            "binary_cross_entropy_with_logit, logits of ±800 that are wrong",
            Tensor::new(&[-800.0, 800.0, 0.3], &Device::Cpu).unwrap(),
            |x| candle_nn::loss::binary_cross_entropy_with_logit(x, &answers()),
            |_, x| loss::bce_with_logits(x, x.graph().constant(&answers())).mean(()).ok(),
        ),
        row(
            "gelu_erf",
            tensor(10, &[1, 6]),
            |x| x.gelu_erf(),
            |p, x| apply(&Activation::Gelu, p, x),
        ),
        Defect {
            right: Some(vec![0.0, 0.0, 1.0]),
            ..row(
                "relu at 0",
                Tensor::new(&[-1.0, 0.0, 2.0], &Device::Cpu).unwrap(),
                |x| x.relu(),
                |p, x| apply(&Activation::Relu, p, x),
            )
        },
    ]
}

/// Uneven weights, which show every element.
fn weights(dims: &[usize]) -> Tensor {
    (tensor(77, dims) + 1.5).unwrap()
}

fn ours(d: &Defect) -> Result<(f64, Vec<f64>)> {
    let graph = Graph::new();
    let x = graph.input(&d.x);
    let bound = Parameters::new(1, DType::F64, &Device::Cpu).bind(&graph).in_mode(Mode::Evaluation);
    let y = (d.ours)(&bound, x)?;
    let total = (y * graph.constant(&weights(&y.dims()?))).sum(());
    Ok((total.to_f64()?, to_f64(&graph.gradient(total, &[x])?[0])?))
}

fn theirs(d: &Defect) -> candle::Result<Option<Vec<f64>>> {
    let x = candle::Var::from_tensor(&d.x.to_dtype(d.dtype)?)?;
    let y = (d.theirs)(x.as_tensor())?;
    let total = (&y * weights(y.dims()).to_dtype(d.dtype)?)?.sum_all()?;
    let store = total.backward()?;
    match store.get(&x) {
        None => Ok(None),
        Some(g) => g.to_dtype(DType::F64)?.flatten_all()?.to_vec1().map(Some),
    }
}

/// Central differences of our values, extrapolated.
fn differences(d: &Defect) -> Result<Vec<f64>> {
    let n = d.x.elem_count();
    let flat: Vec<f64> = to_f64(&d.x)?;
    let at = |i: usize, h: f64| -> Result<f64> {
        let mut moved = flat.clone();
        moved[i] += h;
        let x = Tensor::from_vec(moved, d.x.dims(), &Device::Cpu)?;
        Ok(ours(&Defect { x, right: None, ..*d })?.0)
    };
    let slope = |i, h: f64| -> Result<f64> { Ok((at(i, h)? - at(i, -h)?) / (2.0 * h)) };
    (0..n).map(|i| Ok((4.0 * slope(i, 5e-4)? - slope(i, 1e-3)?) / 3.0)).collect()
}

fn error(a: &[f64], right: &[f64]) -> f64 {
    assert_eq!(a.len(), right.len());
    let worst = a.iter().zip(right).map(|(a, r)| {
        let e = (a - r).abs() / r.abs().max(1.0);
        if e.is_nan() { f64::INFINITY } else { e }
    });
    worst.fold(0.0, f64::max)
}

/// What candle makes of each row, and how right ours is.
pub(crate) fn verdicts() -> Vec<Verdict> {
    let judge = |d: Defect| {
        let (_, gradient) = ours(&d).unwrap_or_else(|e| panic!("{}: {e}", d.name));
        let right = match &d.right {
            None => differences(&d).unwrap(),
            Some(slope) => {
                let weights = to_f64(&weights(d.x.dims())).unwrap();
                slope.iter().zip(weights).map(|(s, w)| s * w).collect()
            }
        };
        // f32 rounds; differences have an error of about 1e-9.
        let limit = if d.dtype == DType::F32 { 1e-4 } else { 1e-8 };
        let candle = match theirs(&d) {
            Err(e) => Candle::Refused(e.to_string()),
            Ok(None) => Candle::Missing,
            Ok(Some(g)) => match error(&g, &right) {
                e if e <= limit => Candle::Right,
                e => Candle::Wrong(e),
            },
        };
        Verdict { name: d.name, candle, ours: error(&gradient, &right) }
    };
    table().into_iter().map(judge).collect()
}

/// candle's softmax over a named axis is right: the table would be worthless if it called everything wrong.
pub(crate) fn control() -> f64 {
    let d = Defect {
        name: "softmax",
        x: tensor(7, &[2, 5]),
        dtype: DType::F64,
        theirs: |x| candle_nn::ops::softmax(x, D::Minus1),
        ours: |p, x| apply(&Activation::Softmax { axis: -1 }, p, x),
        right: None,
    };
    error(&theirs(&d).unwrap().unwrap(), &differences(&d).unwrap())
}
