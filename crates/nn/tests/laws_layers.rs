//! The derivative laws for every layer and loss, with respect to parameters and inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;

use common::values;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::{Error, Function, Graph, function};
use pullback_nn::layer::{
    Conv2d, Conv2dSpec, Linear, MaxPool2d, ResidualBlock, ResidualOptions, Sequential, Upsample,
    layer_function,
};
use pullback_nn::{Initialization, Layer, Parameters, loss};

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(values::<f64>(seed, dims.iter().product()), dims, &Device::Cpu).unwrap()
}

type Case = (&'static str, Arc<dyn Function>, Vec<Tensor>);

fn layer<L: Layer + 'static>(
    name: &'static str,
    x: Tensor,
    make: impl FnOnce(&mut Parameters) -> pullback_nn::Result<L>,
) -> Case {
    let mut parameters = Parameters::new(3, DType::F64, &Device::Cpu);
    let layer = make(&mut parameters).unwrap();
    // Biases away from zero: rectifiers then stay on one side of their corner for the steps of the test.
    for name in parameters.names().iter().filter(|n| n.ends_with("bias")) {
        let n = parameters.get(name).unwrap().elem_count();
        let values: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 30.0 } else { -30.0 }).collect();
        parameters.set(name, &Tensor::new(values, &Device::Cpu).unwrap()).unwrap();
    }
    let function = layer_function(name, layer, &parameters);
    let inputs = parameters.values().into_iter().chain([x]).collect();
    (name, function, inputs)
}

fn cases() -> Vec<Case> {
    let he = Initialization::He;
    let block = ResidualOptions { zero_second: false, ..ResidualOptions::default() };
    let linear_block = ResidualOptions { relu: false, ..block };
    let labels = Tensor::new(&[2u32, 0, 1, 1], &Device::Cpu).unwrap();
    let dense = Tensor::new(&[[[2u32, 0, 1], [0, 0, 2]]], &Device::Cpu).unwrap();
    let one = Tensor::new(&[1u32, 0], &Device::Cpu).unwrap();
    let spread = Tensor::new(&[-3.0, -1.1, -0.2, 0.0, 0.4, 0.9, 1.3, 50.0], &Device::Cpu).unwrap();
    vec![
        layer("linear", tensor(1, &[3, 4]), |p| Linear::new(&mut p.root().scope("l"), 4, 5, he)),
        layer("linear on a batch", tensor(2, &[2, 3, 4]), |p| {
            Linear::new(&mut p.root().scope("l"), 4, 2, he)
        }),
        layer("linear without bias", tensor(1, &[3, 4]), |p| {
            Linear::without_bias(&mut p.root().scope("l"), 4, 5, he)
        }),
        layer("conv2d", tensor(3, &[2, 2, 5, 4]), |p| {
            Conv2d::new(&mut p.root().scope("c"), Conv2dSpec::same(2, 3, 3))
        }),
        layer("conv2d rectified", tensor(3, &[2, 2, 5, 4]), |p| {
            Conv2d::new(&mut p.root().scope("c"), Conv2dSpec::same(2, 3, 3).rectified())
        }),
        layer("conv2d without bias", tensor(3, &[2, 2, 5, 4]), |p| {
            Conv2d::new(
                &mut p.root().scope("c"),
                Conv2dSpec { bias: false, ..Conv2dSpec::same(2, 3, 1) },
            )
        }),
        layer("residual, same channels", tensor(4, &[1, 2, 4, 4]), move |p| {
            ResidualBlock::new(&mut p.root().scope("r"), 2, 2, block)
        }),
        layer("residual, more channels", tensor(5, &[1, 2, 4, 5]), move |p| {
            ResidualBlock::new(&mut p.root().scope("r"), 2, 4, linear_block)
        }),
        layer("upsample", tensor(6, &[1, 2, 3, 4]), |_| Ok(Upsample::default())),
        layer("sequential", tensor(7, &[2, 1, 8, 8]), |p| {
            let mut root = p.root();
            let first = Conv2d::new(&mut root.scope("a"), Conv2dSpec::same(1, 2, 3).rectified())?;
            let last = Conv2d::new(&mut root.scope("b"), Conv2dSpec::same(2, 2, 1))?;
            Ok(Sequential::new().then(first).then(Upsample { factor: 3 }).then(last))
        }),
        (
            "cross entropy",
            function("ce", move |_, x| Ok(vec![loss::cross_entropy(x[0], &labels)])),
            vec![tensor(8, &[4, 3])],
        ),
        (
            "dense cross entropy",
            function("dense", move |_, x| Ok(vec![loss::cross_entropy(x[0], &dense)])),
            vec![tensor(9, &[1, 3, 2, 3])],
        ),
        (
            "cross entropy at one pixel",
            function("at", move |_, x| {
                Ok(vec![loss::cross_entropy_at(x[0], &[[0, 1], [2, 0]], &one)])
            }),
            vec![tensor(10, &[2, 2, 3, 2])],
        ),
        ("huber", function("huber", |_, x| Ok(vec![loss::huber(x[0], 1.0)])), vec![spread]),
    ]
}

#[test]
fn laws_hold_in_f64() {
    for (name, function, inputs) in cases() {
        let tolerances = Tolerances::default();
        laws(&function, &inputs, &tolerances).unwrap_or_else(|e| panic!("{name}: {e}"));
        second_order(&function, &inputs, &tolerances)
            .unwrap_or_else(|e| panic!("{name}, second order: {e}"));
    }
}

#[test]
fn laws_hold_in_f32() {
    for (name, function, inputs) in cases() {
        let tolerances = Tolerances { step: 3e-2, slope: 1.5, ..Tolerances::single() };
        let inputs: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
        laws(&function, &inputs, &tolerances).unwrap_or_else(|e| panic!("{name}: {e}"));
        second_order(&function, &inputs, &tolerances)
            .unwrap_or_else(|e| panic!("{name}, second order: {e}"));
    }
}

/// Pooling chooses among neighbours: its layer is tested where no step changes the choice.
#[test]
fn max_pooling_halves_and_obeys_the_laws() {
    let x = Tensor::arange(0f64, 128.0, &Device::Cpu).unwrap().reshape((1, 2, 8, 8)).unwrap();
    let (name, function, inputs) = layer("max pool", x, |_| Ok(MaxPool2d::default()));
    assert_eq!(function.eval(&inputs).unwrap()[0].dims(), [1, 2, 4, 4]);
    laws(&function, &inputs, &Tolerances::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    second_order(&function, &inputs, &Tolerances::default())
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

#[test]
fn a_zero_initialized_block_starts_as_its_skip_connection() {
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let block =
        ResidualBlock::new(&mut parameters.root().scope("r"), 3, 3, ResidualOptions::default())
            .unwrap();
    let x = tensor(1, &[2, 3, 5, 5]);
    let graph = Graph::new();
    let y = block.forward(&parameters.bind(&graph), graph.constant(&x)).unwrap().value().unwrap();
    let expected = x.relu().unwrap();
    assert_eq!(
        (y - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap(),
        0.0
    );
}

#[test]
fn cross_entropy_stays_finite_and_matches_by_hand() {
    let graph = Graph::new();
    let logits =
        Tensor::new(&[[1000.0, 0.0], [-1000.0, 1000.0], [0.0, 0.0]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0u32, 0, 1], &Device::Cpu).unwrap();
    let x = graph.input(&logits);
    let y = loss::cross_entropy(x, &labels);
    assert_eq!(y.value().unwrap().to_vec1::<f64>().unwrap(), [0.0, 2000.0, 2f64.ln()]);
    let gradient = graph.gradient(y.sum(()), &[x]).unwrap()[0].to_vec2::<f64>().unwrap();
    assert_eq!(gradient, [[0.0, 0.0], [-1.0, 1.0], [0.5, -0.5]]);
}

#[test]
fn huber_matches_by_hand() {
    let graph = Graph::new();
    let x =
        graph.input(&Tensor::new(&[-3.0, -2.0, -0.5, 0.0, 1.0, 2.0, 7.0], &Device::Cpu).unwrap());
    let y = loss::huber(x, 2.0);
    assert_eq!(
        y.value().unwrap().to_vec1::<f64>().unwrap(),
        [4.0, 2.0, 0.125, 0.0, 0.5, 2.0, 12.0]
    );
    let slope = graph.gradient(y.sum(()), &[x]).unwrap()[0].to_vec1::<f64>().unwrap();
    assert_eq!(slope, [-2.0, -2.0, -0.5, 0.0, 1.0, 2.0, 2.0]);
}

#[test]
fn misuse_is_a_typed_error() {
    let graph = Graph::new();
    let x = graph.input(&tensor(1, &[2, 3]));
    let labels = |v: &[u32]| Tensor::new(v, &Device::Cpu).unwrap();
    for threshold in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            matches!(loss::huber(x, threshold).ok(), Err(Error::Invalid { .. })),
            "{threshold}"
        );
    }
    assert!(loss::cross_entropy(x, &labels(&[0, 3])).ok().is_err(), "a label beyond the classes");
    assert!(matches!(loss::cross_entropy(x, &labels(&[0])).ok(), Err(Error::Shape { .. })));
    assert!(loss::cross_entropy(x, &labels(&[0, 1, 2])).ok().is_err(), "more labels than examples");

    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let linear = Linear::new(&mut parameters.root().scope("l"), 4, 5, Initialization::He).unwrap();
    assert!(matches!(linear.forward(&parameters.bind(&graph), x), Err(Error::Shape { .. })));
    let others = Parameters::new(1, DType::F64, &Device::Cpu);
    assert!(matches!(
        linear.forward(&others.bind(&graph), x),
        Err(Error::Invalid { node, .. }) if node == "l.weight"
    ));
}
