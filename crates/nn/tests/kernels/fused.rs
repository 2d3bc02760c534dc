//! The fused kernels against the operations that they stand for, at sizes where blocks and threads come into play.

use super::common::values;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result, Var};
use pullback_nn::layer::{
    AttentionMask, BatchNorm2d, BatchNormSpec, Dropout, GroupNorm, Gru, GruCell, LayerNorm, Lstm,
    LstmCell, LstmState, MultiHeadAttention, RmsNorm,
};
use pullback_nn::ops::{standardize, unit_rms};
use pullback_nn::parameters::Bound;
use pullback_nn::{Initialization, Layer, Parameters};

type Forward<'a> = &'a (dyn for<'g> Fn(&Bound<'g>, &[Var<'g>]) -> Result<Var<'g>> + Sync);

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(values::<f64>(seed, dims.iter().product()), dims, &Device::Cpu).unwrap()
}

/// Parameters of other values than their initial ones, which may be 0 and 1.
fn filled(mut parameters: Parameters) -> Parameters {
    for (i, name) in parameters.names().iter().enumerate() {
        let dims = parameters.get(name).unwrap().dims().to_vec();
        parameters.set(name, &tensor(100 + i as u64, &dims)).unwrap();
    }
    parameters
}

fn empty() -> Parameters {
    Parameters::new(1, DType::F64, &Device::Cpu)
}

/// y and the gradients of a cotangent that is y's cosine, with respect to inputs and parameters.
fn numbers(
    parameters: &Parameters,
    inputs: &[Tensor],
    forward: Forward<'_>,
    threads: usize,
) -> Vec<Vec<f64>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let graph = Graph::new();
        let bound = parameters.bind(&graph).training(0);
        let x: Vec<Var<'_>> = inputs.iter().map(|t| graph.input(t)).collect();
        let y = forward(&bound, &x).unwrap();
        let cotangent = y.value().unwrap().cos().unwrap();
        let wrt: Vec<Var<'_>> = x.iter().chain(bound.vars()).copied().collect();
        let pulled = graph.pull(&[(y, cotangent)], &wrt).unwrap();
        let all = [Some(y.value().unwrap())].into_iter().chain(pulled);
        all.map(|t| to_f64(&t.expect("y depends on all")).unwrap()).collect()
    })
}

/// The fused layer equals its parts, and itself on any number of threads to the bit.
fn same(
    name: &str,
    parameters: &Parameters,
    inputs: &[Tensor],
    fused: Forward<'_>,
    parts: Forward<'_>,
) {
    let ours = numbers(parameters, inputs, fused, 2);
    assert_eq!(ours, numbers(parameters, inputs, fused, 1), "{name}: threads");
    assert_eq!(ours, numbers(parameters, inputs, fused, 3), "{name}: threads");
    let expected = numbers(parameters, inputs, parts, 2);
    assert_eq!(ours.len(), expected.len(), "{name}");
    for (which, (a, b)) in ours.iter().zip(&expected).enumerate() {
        let size = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let worst = a.iter().zip(b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
        assert!(size > 1e-6, "{name}: number {which} says nothing");
        assert!(worst < 1e-10 * size.max(1.0), "{name}: number {which} is off by {worst:e}");
    }
}

fn affine<'g>(p: &Bound<'g>, y: Var<'g>, dims: &[usize]) -> Result<Var<'g>> {
    let of = |name| -> Result<Var<'g>> { Ok(p.get(name)?.reshape(dims)) };
    (y * of("weight")? + of("bias")?).ok()
}

#[test]
fn normalizations() {
    let mut p = empty();
    let layer = LayerNorm::new(&mut p.root(), &[3, 150]).unwrap();
    same(
        "layer norm",
        &filled(p),
        &[tensor(1, &[190, 3, 150])],
        &|p, x| layer.forward(p, x[0]),
        &|p, x| affine(p, standardize(x[0], &[-1, -2], 1e-5)?.value, &[3, 150]),
    );
    let mut p = empty();
    let layer = RmsNorm::new(&mut p.root(), &[400]).unwrap();
    same(
        "RMS norm",
        &filled(p),
        &[tensor(2, &[200, 400])],
        &|p, x| layer.forward(p, x[0]),
        &|p, x| (unit_rms(x[0], &[-1], 1e-6)? * p.get("weight")?).ok(),
    );
    // Rows that are so long that sums over them are made by columns.
    let mut p = empty();
    let layer = LayerNorm::new(&mut p.root(), &[5, 1001]).unwrap();
    same(
        "layer norm of long rows",
        &filled(p),
        &[tensor(5, &[150, 5, 1001])],
        &|p, x| layer.forward(p, x[0]),
        &|p, x| affine(p, standardize(x[0], &[-1, -2], 1e-5)?.value, &[5, 1001]),
    );
    let mut p = empty();
    let layer = RmsNorm::new(&mut p.root(), &[4099]).unwrap();
    same(
        "RMS norm of long rows",
        &filled(p),
        &[tensor(6, &[67, 4099])],
        &|p, x| layer.forward(p, x[0]),
        &|p, x| (unit_rms(x[0], &[-1], 1e-6)? * p.get("weight")?).ok(),
    );
    let mut p = empty();
    let layer = BatchNorm2d::new(&mut p.root(), 6, BatchNormSpec::default()).unwrap();
    same(
        "batch norm",
        &filled(p),
        &[tensor(3, &[5, 6, 43, 61])],
        &|p, x| layer.forward(p, x[0]),
        &|p, x| affine(p, standardize(x[0], &[0, 2, 3], 1e-5)?.value, &[6, 1, 1]),
    );
    let mut p = empty();
    let layer = GroupNorm::new(&mut p.root(), 2, 6).unwrap();
    same(
        "group norm",
        &filled(p),
        &[tensor(4, &[5, 6, 43, 61])],
        &|p, x| layer.forward(p, x[0]),
        &|p, x| {
            let grouped = x[0].reshape(&[5, 2, 3 * 43 * 61]);
            let y = standardize(grouped, &[-1], 1e-5)?.value.reshape(&[5, 6, 43, 61]);
            affine(p, y, &[6, 1, 1])
        },
    );
}

#[test]
fn attention_over_several_blocks() {
    let mut p = empty();
    let fused = MultiHeadAttention::new(&mut p.root(), 6, 2).unwrap();
    let parts = fused.clone().with_dropout(Dropout::new(&p.root(), 0.0).unwrap());
    let (p, seen) = (filled(p), |step: u32, dims: &[usize]| {
        let n = dims.iter().product::<usize>() as u32;
        let marks: Vec<u32> = (0..n).map(|i| u32::from(i * 7919 % 11 > step)).collect();
        Tensor::from_vec(marks, dims, &Device::Cpu).unwrap()
    });
    let inputs = [tensor(1, &[2, 300, 6]), tensor(2, &[2, 270, 6]), tensor(3, &[2, 270, 6])];
    let masks = [None, Some(seen(2, &[300, 270])), Some(seen(5, &[2, 1, 1, 270]))];
    for (causal, seen) in [false, true].into_iter().flat_map(|c| masks.iter().map(move |m| (c, m)))
    {
        let mask = AttentionMask { causal, seen: seen.as_ref() };
        same(
            &format!("attention, causal {causal}, mask {}", seen.is_some()),
            &p,
            &inputs,
            &|p, x| fused.attend(p, [x[0], x[1], x[2]], mask),
            &|p, x| parts.attend(p, [x[0], x[1], x[2]], mask),
        );
    }
    same("self-attention", &p, &inputs[..1], &|p, x| fused.forward(p, x[0]), &|p, x| {
        parts.forward(p, x[0])
    });
}

/// One head whose maps are the identity: softmax(q·kᵀ/√n)·v.
fn plain_attention<'g>(x: [Var<'g>; 3]) -> Result<Var<'g>> {
    let (dims, dtype) = (x[0].dims()?, x[0].dtype()?);
    let n = dims[2];
    let mut p = Parameters::new(1, dtype, &Device::Cpu);
    let identity = Initialization::Identity { gain: 1.0 };
    let attention = MultiHeadAttention::initialized(&mut p.root(), n, 1, identity).unwrap();
    let eye = Tensor::eye(n, dtype, &Device::Cpu)?;
    p.set("in_proj_weight", &Tensor::cat(&[&eye; 3], 0)?).unwrap();
    let mask = AttentionMask { causal: false, seen: None };
    attention.attend(&p.bind_constant(x[0].graph()), x, mask)
}

#[test]
fn a_far_score_is_a_score_and_an_overflow_an_error() {
    let attend = |dtype: DType, q: &[f64], k: &[f64], v: &[f64]| {
        let graph = Graph::new();
        let n = q.len();
        let of = |x: &[f64]| {
            let t = Tensor::from_slice(x, (1, x.len() / n, n), &Device::Cpu).unwrap();
            graph.constant(&t.to_dtype(dtype).unwrap())
        };
        plain_attention([of(q), of(k), of(v)]).and_then(|y| to_f64(&y.value()?))
    };
    for dtype in [DType::F32, DType::F64] {
        assert_eq!(attend(dtype, &[1e15], &[-1.5e15, -1e15], &[3.0, 4.0]).unwrap(), [4.0]);
        assert_eq!(attend(dtype, &[1e15], &[-1.5e15], &[3.0]).unwrap(), [3.0]);
    }
    // −∞, and ∞ − ∞.
    for k in [[-1e20, -1e20], [1e20, -1e20]] {
        assert!(attend(DType::F32, &[1e20, 1e20], &k, &[1.0, 1.0]).is_err(), "{k:?}");
    }
}

#[test]
fn recurrent_cells_over_a_sequence() {
    let (mut p, mut same_names) = (empty(), empty());
    let gru = Gru::new(&mut p.root(), 3, 20).unwrap();
    let cell = GruCell::new(&mut same_names.root(), 3, 20).unwrap();
    let inputs = [tensor(1, &[37, 6, 3]), tensor(2, &[37, 20])];
    same(
        "gru",
        &filled(p),
        &inputs,
        &|p, x| Ok(gru.run(p, x[0], Some(x[1].unsqueeze(0)))?.0),
        &|p, x| {
            let p = renamed(p)?;
            let mut h = x[1];
            let mut all = vec![];
            for t in 0..6 {
                h = cell.step(&p, x[0].get(1, t), h)?;
                all.push(h);
            }
            x[0].graph().stack(&all, 1).ok()
        },
    );
    let (mut p, mut same_names) = (empty(), empty());
    let lstm = Lstm::new(&mut p.root(), 3, 20).unwrap();
    let cell = LstmCell::new(&mut same_names.root(), 3, 20).unwrap();
    let inputs = [tensor(1, &[37, 6, 3]), tensor(2, &[37, 20]), tensor(3, &[37, 20])];
    same(
        "lstm",
        &filled(p.clone()),
        &inputs,
        &|p, x| {
            let start = LstmState { hidden: x[1].unsqueeze(0), cell: x[2].unsqueeze(0) };
            Ok(lstm.run(p, x[0], Some(start))?.0)
        },
        &|p, x| Ok(steps(&cell, &renamed(p)?, x)?.0),
    );
    // The last cell has a cotangent too.
    same(
        "lstm with its last state",
        &filled(p),
        &inputs,
        &|p, x| {
            let start = LstmState { hidden: x[1].unsqueeze(0), cell: x[2].unsqueeze(0) };
            let (all, last) = lstm.run(p, x[0], Some(start))?;
            (all.sum(1) + (last.cell * last.hidden).squeeze(0)).ok()
        },
        &|p, x| {
            let (all, last) = steps(&cell, &renamed(p)?, x)?;
            (all.sum(1) + last.cell * last.hidden).ok()
        },
    );
}

/// The parameters of a sequence under the names of a cell.
fn renamed<'g>(p: &Bound<'g>) -> Result<Bound<'g>> {
    let names = ["bias_hh", "bias_ih", "weight_hh", "weight_ih"].map(String::from);
    Bound::new(names.to_vec().into(), p.vars())
}

fn steps<'g>(cell: &LstmCell, p: &Bound<'g>, x: &[Var<'g>]) -> Result<(Var<'g>, LstmState<'g>)> {
    let mut state = LstmState { hidden: x[1], cell: x[2] };
    let mut all = vec![];
    for t in 0..6 {
        state = cell.step(p, x[0].get(1, t), state)?;
        all.push(state.hidden);
    }
    Ok((x[0].graph().stack(&all, 1).ok()?, state))
}
