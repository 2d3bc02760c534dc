//! Layers for which no other system has the same numbers: what is random, and what is ours alone.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::layer::*;
use pullback_nn::parameters::Scope;
use pullback_nn::{Activation, Initialization, Mode, Parameters, Result};

use super::build::one;
use super::{Case, Forward, cast, tensor};

fn case(
    name: &str,
    dtype: DType,
    mode: Mode,
    x: Tensor,
    build: impl FnOnce(&mut Scope<'_>) -> Result<Forward>,
) -> Case {
    let mut parameters = Parameters::new(3, dtype, &Device::Cpu);
    let forward = build(&mut parameters.root().scope("layer")).unwrap();
    // Biases far from zero keep the block's rectifier on one side of its corner.
    for name in parameters.names().iter().filter(|n| n.ends_with("first.bias")) {
        let n = parameters.get(name).unwrap().elem_count();
        let values: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 30.0 } else { -30.0 }).collect();
        let bias = Tensor::new(values, &Device::Cpu).unwrap();
        parameters.set(name, &cast(&bias, dtype)).unwrap();
    }
    Case { name: name.into(), mode, parameters, forward, inputs: vec![cast(&x, dtype)] }
}

pub(crate) fn cases(dtype: DType) -> Vec<Case> {
    let (training, evaluation) = (Mode::Training { seed: 7 }, Mode::Evaluation);
    let block = ResidualOptions { zero_second: false, relu: false, ..Default::default() };
    vec![
        case("dropout, training", dtype, training, tensor(1, &[4, 6]), |s| {
            Ok(one(Dropout::new(s, 0.4)?))
        }),
        case("dropout of channels, training", dtype, training, tensor(2, &[3, 4, 2, 2]), |s| {
            Ok(one(Dropout::new(s, 0.4)?.of_channels()))
        }),
        case("dropout, evaluation", dtype, evaluation, tensor(3, &[4, 6]), |s| {
            Ok(one(Dropout::new(s, 0.4)?))
        }),
        case("attention with dropout, training", dtype, training, tensor(4, &[2, 3, 4]), |s| {
            let dropout = Dropout::new(&s.scope("dropout"), 0.3)?;
            let attention = MultiHeadAttention::new(s, 4, 2)?.causal().with_dropout(dropout);
            Ok(one(attention))
        }),
        case("identity", dtype, evaluation, tensor(5, &[2, 3]), |_| Ok(one(Activation::Identity))),
        case("upsample", dtype, evaluation, tensor(6, &[1, 2, 3, 4]), |_| {
            Ok(one(Upsample { factor: 3 }))
        }),
        case("flatten", dtype, evaluation, tensor(7, &[2, 3, 2]), |_| Ok(one(Flatten))),
        case("residual block", dtype, evaluation, tensor(8, &[1, 2, 4, 4]), |s| {
            Ok(one(ResidualBlock::new(s, 2, 3, block)?))
        }),
        case("a network of all kinds", dtype, training, tensor(9, &[3, 2, 6]), |s| {
            let body = Linear::new(&mut s.scope("b"), 4, 4, Initialization::Xavier)?;
            Ok(one(Sequential::new()
                .then(Conv1d::new(&mut s.scope("a"), Conv1dSpec::same(2, 3, 3))?)
                .then(BatchNorm1d::new(&mut s.scope("n"), 3, Default::default())?)
                .then(Activation::Silu)
                .then(Gru::new(&mut s.scope("g"), 6, 4)?)
                .then(Residual::new(body).then(Activation::Tanh))
                .then(LayerNorm::new(&mut s.scope("l"), &[4])?)
                .then(Dropout::new(&s.scope("d"), 0.2)?)
                .then(Flatten)
                .then(Activation::LogSoftmax { axis: 1 })))
        }),
    ]
}
