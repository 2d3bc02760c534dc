//! The table of operations: one row each, with points away from kinks.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::linalg::Triangle;
use pullback_core_graph::{Function, Graph, Result, Var, function};

/// One operation at one point.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) function: Arc<dyn Function>,
    /// The closure that the function was made of, for variables of the caller's choice.
    pub(crate) body: Arc<Body>,
    inputs: Vec<Tensor>,
}

/// What a [`Case`] records.
pub(crate) type Body =
    dyn for<'g> Fn(&'g Graph, &[Var<'g>]) -> Result<Vec<Var<'g>>> + Send + Sync + 'static;

impl Case {
    /// The point in an element type.
    pub(crate) fn inputs(&self, dtype: DType) -> Vec<Tensor> {
        self.inputs.iter().map(|t| t.to_dtype(dtype).unwrap()).collect()
    }

    /// The same operation on inputs that are repeated along their first axis until they are long, if it takes such and makes no more of them.
    pub(crate) fn long(&self) -> Option<Case> {
        const LONG: usize = 5000;
        let tiled = |t: &Tensor| {
            let times = LONG.div_ceil(t.elem_count().max(1));
            Tensor::cat(&vec![t; times], 0).ok()
        };
        let inputs: Vec<Tensor> = self.inputs.iter().map(tiled).collect::<Option<_>>()?;
        let (name, function, body) = (self.name, self.function.clone(), self.body.clone());
        let case = Case { name, function, body, inputs };
        let y = case.function.eval(&case.inputs).ok()?;
        y.iter().all(|y| y.elem_count() <= 2 * LONG).then_some(case)
    }
}

fn case<F>(name: &'static str, inputs: Vec<Tensor>, f: F) -> Case
where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Result<Vec<Var<'g>>> + Send + Sync + 'static,
{
    let body: Arc<Body> = Arc::new(f);
    let shared = body.clone();
    Case { name, function: function(name, move |g, x| shared(g, x)), body, inputs }
}

/// A tensor of well-spread numbers in [low, high], different for each `seed`.
pub(crate) fn spread(dims: &[usize], low: f64, high: f64, seed: u64) -> Tensor {
    let n: usize = dims.iter().product();
    let golden = 0.618_033_988_749_894_9;
    let at =
        |i: usize| low + (high - low) * ((i as f64 + 1.0 + seed as f64 * 7.31) * golden).fract();
    Tensor::from_vec((0..n).map(at).collect::<Vec<f64>>(), dims, &Device::Cpu).unwrap()
}

pub(crate) fn indices(list: &[u32], dims: &[usize]) -> Tensor {
    Tensor::from_slice(list, dims, &Device::Cpu).unwrap()
}

macro_rules! unary_cases {
    ($cases:ident: $($name:ident($($arg:expr),*) in $low:expr, $high:expr;)+) => {
        $($cases.push(case(stringify!($name), vec![spread(&[2, 5], $low, $high, 1)], |_, x| Ok(vec![x[0].$name($($arg),*)])));)+
    };
}

macro_rules! binary_cases {
    ($cases:ident: $($name:ident in $low:expr, $high:expr;)+) => {
        $(
            let same = vec![spread(&[3, 2], $low, $high, 1), spread(&[3, 2], $low, $high, 5)];
            $cases.push(case(stringify!($name), same, |_, x| Ok(vec![x[0].$name(x[1])])));
            let stretched = vec![spread(&[3, 1, 2], $low, $high, 2), spread(&[4, 1], $low, $high, 3)];
            $cases.push(case(concat!(stringify!($name), " broadcast"), stretched, |_, x| Ok(vec![x[0].$name(x[1])])));
        )+
    };
}

/// Every operation.
#[allow(clippy::vec_init_then_push)] // the rows are generated
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    unary_cases! { cases:
        affine(1.5, -0.25) in -2.0, 2.0; sqr() in -2.0, 2.0; cube() in -2.0, 2.0; sqrt() in 0.2, 4.0; rsqrt() in 0.3, 4.0;
        cbrt() in 0.3, 4.0; reciprocal() in 0.4, 3.0; powf(2.5) in 0.3, 3.0; powi(3) in -2.0, 2.0; powi(-2) in 0.5, 2.0;
        exp() in -2.0, 2.0; exp2() in -2.0, 2.0; expm1() in -2.0, 2.0; log() in 0.3, 4.0; log2() in 0.3, 4.0;
        log10() in 0.3, 4.0; log1p() in -0.6, 3.0; safe_log() in 0.3, 4.0; safe_reciprocal() in 0.4, 3.0; safe_sqrt() in 0.3, 4.0;
        sin() in -3.0, 3.0; cos() in -3.0, 3.0; tan() in -1.2, 1.2; asin() in -0.8, 0.8; acos() in -0.8, 0.8; atan() in -3.0, 3.0;
        safe_asin() in -0.8, 0.8; safe_acos() in -0.8, 0.8; sinc() in -4.0, 4.0; sinh() in -2.0, 2.0; cosh() in -2.0, 2.0;
        tanh() in -2.0, 2.0; sech2() in -2.0, 2.0; asinh() in -3.0, 3.0; acosh() in 1.3, 4.0; atanh() in -0.8, 0.8;
        log_cosh() in -3.0, 3.0; sigmoid() in -4.0, 4.0; softplus() in -4.0, 4.0; log_sigmoid() in -4.0, 4.0; silu() in -3.0, 3.0;
        mish() in -3.0, 3.0; erf() in -2.0, 2.0; erfc() in -2.0, 2.0; gelu() in -3.0, 3.0; gelu_tanh() in -3.0, 3.0;
        abs() in 0.2, 3.0; relu() in 0.2, 3.0; leaky_relu(0.1) in -3.0, -0.2; elu(1.5) in -3.0, -0.2; clamp(-9.0, 9.0) in -2.0, 2.0;
        sign() in 0.3, 2.0; step() in 0.3, 2.0; half_step() in 0.3, 2.0; floor() in 0.2, 0.8; ceil() in 0.2, 0.8; round() in 0.6, 1.4;
    }
    binary_cases! { cases:
        add in -2.0, 2.0; sub in -2.0, 2.0; mul in -2.0, 2.0; div in 0.5, 2.0; pow in 0.5, 2.0; atan2 in 0.4, 2.0; hypot in 0.4, 2.0;
        maximum in -2.0, 2.0; minimum in -2.0, 2.0; logaddexp in -2.0, 2.0; safe_div in 0.5, 2.0; pow_slope in 0.5, 2.0;
        log_times in 0.5, 2.0; cosine in 0.4, 2.0; equal in -2.0, 2.0; less in -2.0, 2.0; less_equal in -2.0, 2.0;
    }
    cases.extend(reductions());
    cases.extend(shapes());
    cases.extend(products());
    cases.extend(linear_algebra());
    cases
}

fn x234() -> Vec<Tensor> {
    vec![spread(&[2, 3, 4], -2.0, 2.0, 4)]
}

fn reductions() -> Vec<Case> {
    vec![
        case("sum", x234(), |_, x| {
            Ok(vec![x[0].sum(()), x[0].sum(1), x[0].sum([0, -1]), x[0].sum_keepdim(0)])
        }),
        case("mean", x234(), |_, x| {
            Ok(vec![x[0].mean(()), x[0].mean([0, 2]), x[0].mean_keepdim(1)])
        }),
        case("variance", x234(), |_, x| Ok(vec![x[0].variance((), 0), x[0].variance(-1, 1)])),
        case("max", x234(), |_, x| Ok(vec![x[0].max(()), x[0].max([0, 2])])),
        case("min", x234(), |_, x| Ok(vec![x[0].min(1)])),
        case("logsumexp", x234(), |_, x| Ok(vec![x[0].logsumexp(()), x[0].logsumexp(-1)])),
        case("softmax", x234(), |_, x| Ok(vec![x[0].softmax(-1), x[0].softmax(0)])),
        case("log_softmax", x234(), |_, x| Ok(vec![x[0].log_softmax(1)])),
        case("cumsum", x234(), |_, x| Ok(vec![x[0].cumsum(1), x[0].cumsum(-1)])),
        case("norm", x234(), |_, x| Ok(vec![x[0].norm(()), x[0].norm([0, 1])])),
        case("normalize", x234(), |_, x| Ok(vec![x[0].normalize(-1)])),
    ]
}

fn shapes() -> Vec<Case> {
    let two = || vec![spread(&[2, 3], -2.0, 2.0, 6), spread(&[2, 3], -2.0, 2.0, 9)];
    vec![
        case("reshape", x234(), |_, x| Ok(vec![x[0].reshape(&[6, 4]), x[0].flatten()])),
        case("permute", x234(), |_, x| {
            Ok(vec![x[0].permute(&[2, 0, 1]), x[0].transpose(0, 2), x[0].t()])
        }),
        case("squeeze", x234(), |_, x| Ok(vec![x[0].unsqueeze(1), x[0].unsqueeze(-1).squeeze(-1)])),
        case("broadcast_to", vec![spread(&[3, 1], -1.0, 1.0, 2)], |_, x| {
            Ok(vec![x[0].broadcast_to(&[2, 3, 4])])
        }),
        case("slice", x234(), |_, x| {
            Ok(vec![x[0].slice(2, 1, 4, 2), x[0].narrow(1, 1, 2), x[0].get(0, 1)])
        }),
        case("flip", x234(), |_, x| Ok(vec![x[0].flip(2), x[0].flip(0)])),
        case("roll", x234(), |_, x| Ok(vec![x[0].roll(2, 1), x[0].roll(1, -5)])),
        case("pad", x234(), |_, x| Ok(vec![x[0].pad(1, 2, 1)])),
        case("cat", two(), |g, x| Ok(vec![g.cat(&[x[0], x[1], x[0]], 1), g.cat(&[x[1], x[0]], 0)])),
        case("stack", two(), |g, x| {
            Ok(vec![g.stack(&[x[0], x[1]], 1), g.stack(&[x[0], x[1]], -1)])
        }),
        case("select", two(), |_, x| Ok(vec![x[0].less(x[1]).select(x[0].sin(), x[1].sqr())])),
        case("cast", two(), |_, x| {
            Ok(vec![(x[0].cast(DType::F64) * x[1].cast(DType::F64)).cast(x[0].dtype()?)])
        }),
        case("gather", x234(), |_, x| {
            Ok(vec![x[0].gather(&indices(&[0, 2, 1, 1, 0, 2, 2, 0], &[2, 2, 2]), 1)])
        }),
        case("index_select", x234(), |_, x| {
            Ok(vec![x[0].index_select(&indices(&[3, 0, 3], &[3]), -1)])
        }),
        case("scatter_add", two(), |_, x| {
            Ok(vec![x[0].scatter_add(&indices(&[0, 0, 2, 1, 2, 2], &[2, 3]), x[1], 1)])
        }),
        case("index_add", two(), |_, x| Ok(vec![x[0].index_add(&indices(&[1, 1], &[2]), x[1], 0)])),
        case("scatter", two(), |_, x| {
            Ok(vec![x[0].scatter(&indices(&[0, 0, 2, 1, 2, 2], &[2, 3]), x[1], 1)])
        }),
        case("unfold", x234(), |_, x| Ok(vec![x[0].unfold(2, 3, 1), x[0].unfold(0, 1, 1)])),
        case("diagonal", vec![spread(&[2, 3, 4], -2.0, 2.0, 4)], |_, x| {
            Ok(vec![x[0].diagonal(), x[0].trace()])
        }),
        case("diag", vec![spread(&[2, 3], -2.0, 2.0, 6)], |_, x| Ok(vec![x[0].diag() * 2.0])),
        case("constants", two(), |g, x| {
            let ones = g.constant(&x[0].value()?.ones_like()?);
            Ok(vec![
                x[0] * ones + x[0].zeros_like() - 3.0 * x[0] / 7.0 + 1.0 / (x[0] + 5.0),
                -x[1] + x[1].ones_like(),
            ])
        }),
    ]
}

fn products() -> Vec<Case> {
    let m = |dims: &[usize], seed| spread(dims, -1.5, 1.5, seed);
    vec![
        case("matmul", vec![m(&[3, 4], 1), m(&[4, 2], 2)], |_, x| Ok(vec![x[0].matmul(x[1])])),
        case("matmul batch", vec![m(&[2, 3, 4], 1), m(&[2, 4, 2], 2)], |_, x| {
            Ok(vec![x[0].matmul(x[1])])
        }),
        case("matmul one right", vec![m(&[2, 2, 3, 4], 1), m(&[4, 2], 2)], |_, x| {
            Ok(vec![x[0].matmul(x[1])])
        }),
        case("matmul one left", vec![m(&[3, 4], 1), m(&[2, 4, 2], 2)], |_, x| {
            Ok(vec![x[0].matmul(x[1])])
        }),
        case("matmul broadcast", vec![m(&[2, 1, 3, 4], 1), m(&[5, 4, 2], 2)], |_, x| {
            Ok(vec![x[0].matmul(x[1])])
        }),
        case("matmul transposed", vec![m(&[3, 4], 1), m(&[3, 2], 2)], |_, x| {
            Ok(vec![x[0].t().matmul(x[1])])
        }),
        case("dot", vec![m(&[2, 4], 1), m(&[4], 2)], |_, x| Ok(vec![x[0].dot(x[1])])),
        case("outer", vec![m(&[2, 3], 1), m(&[4], 2)], |_, x| Ok(vec![x[0].outer(x[1])])),
        case("einsum", vec![m(&[2, 3, 4], 1), m(&[2, 4, 5], 2)], |g, x| {
            Ok(vec![g.einsum("bij,bjk->bki", x)])
        }),
        case("einsum three", vec![m(&[2, 3], 1), m(&[3, 4], 2), m(&[4, 2], 3)], |g, x| {
            Ok(vec![g.einsum("ij,jk,ki->", x)])
        }),
        case("einsum diagonal", vec![m(&[3, 3, 2], 1)], |g, x| {
            Ok(vec![g.einsum("iij->ji", x), g.einsum("iij", x)])
        }),
        case("einsum dots", vec![m(&[2, 3, 4], 1), m(&[4, 2], 2)], |g, x| {
            Ok(vec![g.einsum("...j,jk->...k", x)])
        }),
    ]
}

/// Well-conditioned square matrices.
fn well(dims: &[usize], seed: u64) -> Tensor {
    let n = dims[dims.len() - 1];
    let eye = Tensor::eye(n, DType::F64, &Device::Cpu).unwrap().affine(2.5, 0.0).unwrap();
    spread(dims, -1.0, 1.0, seed).broadcast_add(&eye).unwrap()
}

/// Tall or wide matrices with well-separated singular values.
fn tilted(dims: &[usize], seed: u64) -> Tensor {
    let [.., m, n] = dims else { panic!("matrices") };
    let diagonal = |k: usize| if k / n % m == k % n { 2.0 + 1.5 * (k % n) as f64 } else { 0.0 };
    let total: usize = dims.iter().product();
    let d = Tensor::from_vec((0..total).map(diagonal).collect::<Vec<f64>>(), dims, &Device::Cpu)
        .unwrap();
    (spread(dims, -0.6, 0.6, seed) + d).unwrap()
}

fn linear_algebra() -> Vec<Case> {
    let rhs = || spread(&[3, 2], -1.0, 1.0, 8);
    let m = |dims: &[usize], seed| spread(dims, -1.5, 1.5, seed);
    vec![
        case("cholesky", vec![well(&[2, 3, 3], 1)], move |_, x| {
            Ok(vec![x[0].matmul(x[0].t()).cholesky()])
        }),
        case("cholesky_solve", vec![well(&[2, 3, 3], 1), rhs()], move |_, x| {
            Ok(vec![x[0].matmul(x[0].t()).cholesky_solve(x[1])])
        }),
        case("symmetric_product", vec![m(&[2, 3, 2], 1), m(&[2, 3, 2], 2)], |_, x| {
            Ok(vec![x[0].symmetric_product(x[1])])
        }),
        case("logdet", vec![well(&[2, 3, 3], 1)], |_, x| Ok(vec![x[0].matmul(x[0].t()).logdet()])),
        case("triangular_solve", vec![well(&[2, 3, 3], 2), rhs()], |_, x| {
            Ok(vec![
                x[0].triangular_solve(x[1], Triangle::LOWER),
                x[0].triangular_solve(x[1], Triangle::UPPER.transpose()),
                x[0].triangular_solve(x[1], Triangle::UPPER.unit()),
            ])
        }),
        case("solve", vec![well(&[2, 3, 3], 3), rhs()], |_, x| Ok(vec![x[0].solve(x[1])])),
        case("inverse", vec![well(&[2, 3, 3], 4)], |_, x| Ok(vec![x[0].inverse()])),
        case("slogdet", vec![well(&[2, 3, 3], 5)], |_, x| Ok(vec![x[0].slogdet()?.1, x[0].det()])),
        case("lu", vec![well(&[2, 3, 3], 6)], |_, x| x[0].lu().map(|(l, u, _)| vec![l, u])),
        case("qr", vec![tilted(&[2, 4, 3], 7)], |_, x| x[0].qr().map(|(q, r)| vec![q, r])),
        case("qr wide", vec![tilted(&[3, 4], 8)], |_, x| x[0].qr().map(|(q, r)| vec![q, r])),
        case("eigh", vec![tilted(&[2, 3, 3], 9)], |_, x| x[0].eigh().map(|(w, v)| vec![w, v])),
        case("svd", vec![tilted(&[2, 4, 3], 10)], |_, x| {
            x[0].svd().map(|(u, s, vt)| vec![u, s, vt])
        }),
        case("svd wide", vec![tilted(&[2, 4], 11)], |_, x| {
            x[0].svd().map(|(u, s, vt)| vec![u, s, vt])
        }),
        case("pinv", vec![tilted(&[2, 4, 3], 12)], |_, x| Ok(vec![x[0].pinv()])),
    ]
}
