//! Layers as candle modules, candle's layers over our parameters, and candle's and PyTorch's weights in our layers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use std::collections::HashMap;

use candle_nn::rnn::{GRUConfig, LSTMConfig, RNN, gru, lstm};
use candle_nn::{Module, ModuleT, Optimizer, VarBuilder, VarMap};
use common::values;
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{self, DType, Device, Tensor};
use pullback_nn::arithmetic::Window;
use pullback_nn::interop::{CandleLayer, CandleParameters, load_safetensors, load_var_builder};
use pullback_nn::layer::*;
use pullback_nn::{Activation, Error, Initialization, Layer, Parameters};

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(values::<f32>(seed, dims.iter().product()), dims, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn ours(layer: &dyn Layer, p: &Parameters, x: &Tensor) -> Vec<f64> {
    let graph = Graph::new();
    let y = layer.forward(&p.bind_constant(&graph), graph.constant(x)).unwrap();
    flat(&y.value().unwrap())
}

const ZERO: Initialization = Initialization::Constant(0.0);

/// A candle layer and ours, of the same names.
type Pair = (
    &'static str,
    fn(VarBuilder<'_>, &Tensor) -> candle::Result<Tensor>,
    fn(&mut Parameters) -> pullback_nn::Result<Box<dyn Layer>>,
    Tensor,
);

fn pairs() -> Vec<Pair> {
    vec![
        (
            "linear",
            |vb, x| candle_nn::linear(4, 3, vb)?.forward(x),
            |p| Ok(Box::new(Linear::new(&mut p.root(), 4, 3, ZERO)?)),
            tensor(1, &[2, 4]),
        ),
        (
            "conv2d",
            |vb, x| {
                let config =
                    candle_nn::Conv2dConfig { padding: 1, groups: 2, ..Default::default() };
                candle_nn::conv2d(4, 6, 3, config, vb)?.forward(x)
            },
            |p| {
                let mut spec = Conv2dSpec::same(4, 6, 3);
                spec.options.groups = 2;
                Ok(Box::new(Conv2d::new(&mut p.root(), spec)?))
            },
            tensor(2, &[1, 4, 5, 4]),
        ),
        (
            "conv_transpose2d",
            |vb, x| {
                let config = candle_nn::ConvTranspose2dConfig {
                    padding: 1,
                    stride: 2,
                    ..Default::default()
                };
                candle_nn::conv_transpose2d(2, 3, 4, config, vb)?.forward(x)
            },
            |p| {
                let spec = ConvTranspose2dSpec::double(2, 3);
                Ok(Box::new(ConvTranspose2d::new(&mut p.root(), spec)?))
            },
            tensor(3, &[1, 2, 3, 2]),
        ),
        (
            "layer_norm",
            |vb, x| candle_nn::layer_norm(5, 1e-5, vb)?.forward(x),
            |p| Ok(Box::new(LayerNorm::new(&mut p.root(), &[5])?)),
            tensor(4, &[3, 5]),
        ),
        (
            "batch_norm",
            |vb, x| candle_nn::batch_norm(3, 1e-5, vb)?.forward_t(x, false),
            |p| Ok(Box::new(BatchNorm2d::new(&mut p.root(), 3, Default::default())?)),
            tensor(5, &[2, 3, 2, 2]),
        ),
        (
            "group_norm",
            |vb, x| candle_nn::group_norm(2, 4, 1e-5, vb)?.forward(x),
            |p| Ok(Box::new(GroupNorm::new(&mut p.root(), 2, 4)?)),
            tensor(6, &[2, 4, 3, 2]),
        ),
        (
            "gru",
            |vb, x| {
                let gru = gru(3, 4, GRUConfig::default(), vb)?;
                gru.states_to_tensor(&gru.seq(x)?)
            },
            |p| Ok(Box::new(Gru::new(&mut p.root(), 3, 4)?)),
            tensor(7, &[2, 5, 3]),
        ),
        (
            "lstm",
            |vb, x| {
                let lstm = lstm(3, 4, LSTMConfig::default(), vb)?;
                lstm.states_to_tensor(&lstm.seq(x)?)
            },
            |p| Ok(Box::new(Lstm::new(&mut p.root(), 3, 4)?)),
            tensor(8, &[2, 5, 3]),
        ),
        (
            "conv1d",
            |vb, x| {
                let config = candle_nn::Conv1dConfig {
                    padding: 2,
                    dilation: 2,
                    groups: 2,
                    ..Default::default()
                };
                candle_nn::conv1d(4, 6, 3, config, vb)?.forward(x)
            },
            |p| {
                let window = Window::new(3).padding(2).dilation(2);
                let spec = Conv1dSpec { window, groups: 2, ..Conv1dSpec::same(4, 6, 3) };
                Ok(Box::new(Conv1d::new(&mut p.root(), spec)?))
            },
            tensor(9, &[2, 4, 7]),
        ),
        (
            "conv_transpose1d",
            |vb, x| {
                let config = candle_nn::ConvTranspose1dConfig {
                    padding: 1,
                    stride: 2,
                    ..Default::default()
                };
                candle_nn::conv_transpose1d(2, 3, 4, config, vb)?.forward(x)
            },
            |p| {
                let window = Window::new(4).stride(2).padding(1);
                let spec = ConvTranspose1dSpec {
                    inputs: 2,
                    outputs: 3,
                    window,
                    output_padding: 0,
                    groups: 1,
                    bias: true,
                    initialization: ZERO,
                };
                Ok(Box::new(ConvTranspose1d::new(&mut p.root(), spec)?))
            },
            tensor(10, &[2, 2, 5]),
        ),
        (
            "rms_norm",
            |vb, x| candle_nn::rms_norm(5, 1e-5, vb)?.forward(x),
            |p| Ok(Box::new(RmsNorm::with_epsilon(&mut p.root(), &[5], 1e-5)?)),
            tensor(11, &[3, 5]),
        ),
        (
            "prelu",
            |vb, x| candle_nn::prelu(Some(3), vb)?.forward(x),
            |p| Ok(Box::new(Prelu::new(&mut p.root(), 3)?)),
            tensor(12, &[2, 3, 4]),
        ),
        (
            "embedding",
            |vb, x| candle_nn::embedding(5, 3, vb)?.forward(x),
            |p| Ok(Box::new(Embedding::new(&mut p.root(), 5, 3)?)),
            Tensor::new(&[[0u32, 4], [2, 2]], &Device::Cpu).unwrap(),
        ),
    ]
}

#[test]
fn candles_weights_load_from_builders_and_files() {
    for (i, (name, theirs, make, x)) in pairs().into_iter().enumerate() {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        theirs(vb.clone(), &x).unwrap_or_else(|e| panic!("{name}: {e}"));
        // Values that no initialization gives, positive for variances.
        let variables = map.data().lock().unwrap().clone();
        let mut named: Vec<_> = variables.iter().collect();
        named.sort_by_key(|(name, _)| *name);
        for ((_, variable), seed) in named.iter().zip(i as u64 * 10..) {
            let value = tensor(seed + 1, variable.dims()).affine(0.4, 0.7).unwrap();
            variable.set(&value).unwrap();
        }
        let expected = flat(&theirs(vb.clone(), &x).unwrap());

        let mut p = Parameters::new(1, DType::F32, &Device::Cpu);
        let layer = make(&mut p).unwrap();
        load_var_builder(&mut p, &vb).unwrap();
        common::close(name, &"builder", &ours(&*layer, &p, &x), &expected, 2e-6);

        let path =
            std::env::temp_dir().join(format!("pullback_interop_{}_{i}", std::process::id()));
        let mut tensors: HashMap<String, Tensor> =
            named.iter().map(|(name, v)| ((*name).clone(), v.as_tensor().clone())).collect();
        tensors.insert("num_batches_tracked".into(), tensor(1, &[1]));
        candle::safetensors::save(&tensors, &path).unwrap();
        // In f64, too: element types are converted.
        let mut p = Parameters::new(1, DType::F64, &Device::Cpu);
        let layer = make(&mut p).unwrap();
        assert_eq!(load_safetensors(&mut p, &path).unwrap(), ["num_batches_tracked"]);
        std::fs::remove_file(&path).unwrap();
        let x = if x.dtype().is_int() { x } else { x.to_dtype(DType::F64).unwrap() };
        common::close(name, &"file", &ours(&*layer, &p, &x), &expected, 2e-6);
    }
}

#[test]
fn a_missing_or_misshapen_weight_is_an_error_and_changes_nothing() {
    let mut p = Parameters::new(1, DType::F32, &Device::Cpu);
    Linear::new(&mut p.root(), 3, 2, Initialization::Xavier).unwrap();
    let before = flat(p.get("weight").unwrap());
    for tensors in [
        vec![("weight", tensor(1, &[2, 3]))],
        vec![("weight", tensor(1, &[3, 2])), ("bias", tensor(2, &[2]))],
    ] {
        let tensors: HashMap<String, Tensor> =
            tensors.into_iter().map(|(n, t)| (n.to_string(), t)).collect();
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let error = load_var_builder(&mut p, &vb).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{error}");
        assert_eq!(flat(p.get("weight").unwrap()), before);
    }
    let nowhere = std::path::Path::new("no/such/file.safetensors");
    assert!(matches!(load_safetensors(&mut p, nowhere), Err(Error::Checkpoint { .. })));
}

#[test]
fn a_module_gives_candle_our_gradients() {
    let mut p = Parameters::new(3, DType::F64, &Device::Cpu);
    let mut root = p.root();
    let network = std::sync::Arc::new(
        Sequential::new()
            .then(Conv2d::new(&mut root.scope("a"), Conv2dSpec::same(2, 3, 3)).unwrap())
            .then(GroupNorm::new(&mut root.scope("b"), 1, 3).unwrap())
            .then(Activation::Gelu)
            .then(MaxPool2d::default())
            .then(Flatten)
            .then(LayerNorm::new(&mut root.scope("c"), &[12]).unwrap()),
    );
    let x = tensor(1, &[2, 2, 4, 3]).to_dtype(DType::F64).unwrap();
    let module = CandleLayer::new(network.clone(), &p).unwrap();
    let input = candle::Var::from_tensor(&x).unwrap();
    let y = module.forward(input.as_tensor()).unwrap();
    let store = y.sin().unwrap().sum_all().unwrap().backward().unwrap();

    let graph = Graph::new();
    let (bound, x) = (p.bind(&graph), graph.input(&x));
    let y = network.forward(&bound, x).unwrap();
    let wrt: Vec<_> = bound.vars().iter().copied().chain([x]).collect();
    let expected = graph.gradient(y.sin().sum(()), &wrt).unwrap();
    let theirs = module.variables().map(|(_, v)| v).chain([&input]);
    for (v, expected) in theirs.zip(expected) {
        let found = flat(store.get(v.as_tensor()).unwrap());
        common::close("gradient", &"", &found, &flat(&expected), 1e-13);
    }

    let mut sgd = candle_nn::SGD::new(module.variables().map(|(_, v)| v.clone()).collect(), 0.1);
    sgd.as_mut().unwrap().step(&store).unwrap();
    let before = flat(p.get("a.weight").unwrap());
    module.store(&mut p).unwrap();
    assert_ne!(flat(p.get("a.weight").unwrap()), before, "candle's optimizer moved it");
}

#[test]
fn candles_layers_compute_with_our_parameters() {
    for (name, theirs, make, x) in pairs() {
        let mut p = Parameters::new(5, DType::F32, &Device::Cpu);
        let layer = make(&mut p).unwrap();
        // Values that no initialization gives, positive for variances.
        for (name, seed) in p.names().iter().zip(1..) {
            let value = tensor(seed, p.get(name).unwrap().dims()).affine(0.4, 0.7).unwrap();
            p.set(name, &value).unwrap();
        }
        let buffers: Vec<String> = p.buffers().map(|(name, _)| name.to_string()).collect();
        for (name, seed) in buffers.iter().zip(31..) {
            p.set_buffer(name, &tensor(seed, &[3]).affine(0.4, 0.7).unwrap()).unwrap();
        }
        let shared = CandleParameters::new(&p).unwrap();
        let found = flat(&theirs(shared.builder(), &x).unwrap());
        common::close(name, &"over ours", &found, &ours(&*layer, &p, &x), 2e-6);
        let names: Vec<String> = shared.variables().into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().eq(p.names().iter()), "{name} made others: {names:?}");
    }
}

#[test]
fn candles_optimizer_moves_our_parameters_and_shapes_are_checked() {
    let mut p = Parameters::new(5, DType::F64, &Device::Cpu);
    Linear::new(&mut p.root().scope("a"), 4, 3, Initialization::Xavier).unwrap();
    let before = flat(p.get("a.weight").unwrap());
    let shared = CandleParameters::new(&p).unwrap();
    let builder = shared.builder();
    let first = candle_nn::linear(4, 3, builder.pp("a")).unwrap();
    let second = candle_nn::linear(3, 2, builder.pp("b")).unwrap();
    let x = tensor(1, &[5, 4]).to_dtype(DType::F64).unwrap();
    let loss = || second.forward(&first.forward(&x).unwrap()).unwrap().sqr().unwrap().sum_all();
    let variables = shared.variables();
    assert_eq!(variables.len(), 4);
    let mut sgd = candle_nn::SGD::new(variables.into_iter().map(|(_, v)| v).collect(), 1e-3);
    let value = |t: &Tensor| t.to_scalar::<f64>().unwrap();
    let start = loss().unwrap();
    sgd.as_mut().unwrap().backward_step(&start).unwrap();
    assert!(value(&loss().unwrap()) < value(&start));
    // The copy that was given stays; what comes back has moved, and holds what candle made.
    let now = shared.parameters().unwrap();
    assert_eq!(flat(p.get("a.weight").unwrap()), before);
    assert_ne!(flat(now.get("a.weight").unwrap()), before);
    assert_eq!(flat(now.get("b.bias").unwrap()), flat(second.bias().unwrap()));

    let error = candle_nn::linear(5, 3, builder.pp("a")).unwrap_err().to_string();
    assert!(error.contains("a.weight") && error.contains("[3, 5]"), "{error}");
    assert!(builder.pp("a").contains_tensor("bias") && !builder.contains_tensor("bias"));
    assert_eq!(builder.get_unchecked("a.bias").unwrap().dims(), [3]);
    let error = builder.get_unchecked("c.bias").unwrap_err().to_string();
    assert!(error.contains("c.bias"), "{error}");
    assert!(builder.get((2, 0), "c..bias").is_err(), "a name with an empty part");
    // Another element type: derivatives flow back to the variable.
    let single = candle_nn::linear(4, 3, builder.to_dtype(DType::F32).pp("a")).unwrap();
    let y = single.forward(&tensor(1, &[5, 4])).unwrap();
    assert_eq!(y.dtype(), DType::F32);
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert!(shared.variables().iter().any(|(_, v)| gradients.get(v).is_some()));
}

#[test]
fn what_candles_layers_make_is_seeded_and_as_they_want_it() {
    let made = |seed| {
        let shared = CandleParameters::new(&Parameters::new(seed, DType::F64, &Device::Cpu));
        let (shared, config) = (shared.unwrap(), candle_nn::Conv2dConfig::default());
        candle_nn::linear(200, 100, shared.builder().pp("l")).unwrap();
        candle_nn::conv2d(50, 40, 3, config, shared.builder().pp("c")).unwrap();
        candle_nn::layer_norm(6, 1e-5, shared.builder().pp("n")).unwrap();
        candle_nn::embedding(70, 30, shared.builder().pp("e")).unwrap();
        let p = shared.parameters().unwrap();
        p.iter().map(|(name, t)| (name.to_string(), flat(t))).collect::<HashMap<_, _>>()
    };
    let (p, same, other) = (made(3), made(3), made(4));
    assert_eq!(p, same);
    assert_ne!(p["l.weight"], other["l.weight"]);
    let rms = |name: &str| {
        let v = &p[name];
        (v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64).sqrt()
    };
    // Kaiming's normal numbers for linear layers, and uniform biases on ±1/√inputs.
    assert!((rms("l.weight") * 10.0 - 1.0).abs() < 0.03, "{}", rms("l.weight"));
    assert!(p["l.bias"].iter().all(|v| v.abs() < 200f64.sqrt().recip()));
    assert!((rms("l.bias") * 600f64.sqrt() - 1.0).abs() < 0.2, "{}", rms("l.bias"));
    assert!(rms("c.weight") > 0.0 && p["c.weight"].len() == 50 * 40 * 9);
    assert_eq!((&p["n.weight"], &p["n.bias"]), (&vec![1.0; 6], &vec![0.0; 6]));
    assert!((rms("e.weight") - 1.0).abs() < 0.1, "{}", rms("e.weight"));
}
