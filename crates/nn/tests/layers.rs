//! What the tables do not say about layers: corners, randomness, running statistics, misuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use common::values;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Error, Graph};
use pullback_nn::activation::{Activation, KINKS};
use pullback_nn::arithmetic::Window;
use pullback_nn::layer::*;
use pullback_nn::{Initialization, Layer, Parameters};

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(values::<f64>(seed, dims.iter().product()), dims, &Device::Cpu).unwrap()
}

fn empty() -> Parameters {
    Parameters::new(5, DType::F64, &Device::Cpu)
}

/// The layer's value at x.
fn value(layer: &impl Layer, p: &Parameters, training: Option<u64>, x: &Tensor) -> Tensor {
    let graph = Graph::new();
    let bound = p.bind(&graph);
    let bound = if let Some(seed) = training { bound.training(seed) } else { bound };
    layer.forward(&bound, graph.constant(x)).unwrap().value().unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn corners_are_as_published() {
    for kink in KINKS {
        let activation = match kink.operation {
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            "leaky_relu" => Activation::LeakyRelu { slope: 0.1 },
            "elu" => Activation::Elu { alpha: 1.5 },
            "selu" => Activation::Selu,
            "celu" => Activation::Celu { alpha: 1.5 },
            "softsign" => Activation::Softsign,
            "hardshrink" => Activation::Hardshrink { lambda: 0.5 },
            "softshrink" => Activation::Softshrink { lambda: 0.5 },
            "threshold" => Activation::Threshold { threshold: 0.5, value: 0.25 },
            "hardtanh" => Activation::Hardtanh { low: -1.0, high: 1.0 },
            "hardsigmoid" => Activation::Hardsigmoid,
            "hardswish" => Activation::Hardswish,
            other => panic!("no activation {other}"),
        };
        let at = Tensor::new(kink.at, &Device::Cpu).unwrap();
        for (found, expected) in flat(&activation.slope(&at).unwrap()).iter().zip(kink.derivative) {
            assert!((found - expected).abs() < 1e-14, "{kink:?}: {found}");
        }
    }
}

#[test]
fn activations_stay_finite_far_out() {
    let far = Tensor::new(&[-1e4, -800.0, 800.0, 1e4], &Device::Cpu).unwrap();
    for activation in [
        Activation::Elu { alpha: 1.0 },
        Activation::Selu,
        Activation::Celu { alpha: 0.5 },
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Mish,
        Activation::Softplus,
        Activation::LogSigmoid,
        Activation::Softsign,
        Activation::Hardswish,
        Activation::Sigmoid,
    ] {
        let graph = Graph::new();
        let x = graph.input(&far);
        let y = activation.apply(x).unwrap();
        graph.gradient(y.sum(()), &[x]).unwrap_or_else(|e| panic!("{activation:?}: {e}"));
        assert!(flat(&activation.slope(&far).unwrap()).iter().all(|s| s.is_finite()));
    }
}

#[test]
fn activations_refuse_settings_that_make_no_sense() {
    for (activation, what) in [
        (Activation::Celu { alpha: 0.0 }, "celu"),
        (Activation::Hardshrink { lambda: -0.5 }, "hardshrink"),
        (Activation::Softshrink { lambda: f64::NAN }, "softshrink"),
        (Activation::Hardtanh { low: 1.0, high: -1.0 }, "clamp"),
        (
            Activation::Threshold { threshold: 0.0, value: f64::INFINITY },
            "value inf must be finite",
        ),
    ] {
        let graph = Graph::new();
        let x = graph.input(&tensor(1, &[2, 3]));
        let error = activation.apply(x).unwrap_err().to_string();
        assert!(error.contains(what), "{activation:?}: {error}");
    }
}

#[test]
fn dropout_keeps_the_mean_and_repeats_by_seed_and_name() {
    let mut parameters = empty();
    let mut root = parameters.root();
    let [a, b] = ["a", "b"].map(|name| Dropout::new(&root.scope(name), 0.3).unwrap());
    let ones = Tensor::ones((100, 200), DType::F64, &Device::Cpu).unwrap();
    let y = value(&a, &parameters, Some(1), &ones);
    let (dropped, n) = (flat(&y).iter().filter(|v| **v == 0.0).count() as f64, 20_000.0);
    // Five standard deviations of a binomial.
    assert!((dropped / n - 0.3).abs() < 5.0 * (0.3f64 * 0.7 / n).sqrt(), "{dropped}");
    assert!(flat(&y).iter().all(|v| *v == 0.0 || (v - 1.0 / 0.7).abs() < 1e-15));
    assert_eq!(flat(&y), flat(&value(&a, &parameters, Some(1), &ones)));
    assert_ne!(flat(&y), flat(&value(&a, &parameters, Some(2), &ones)), "another step");
    assert_ne!(flat(&y), flat(&value(&b, &parameters, Some(1), &ones)), "another layer");
    assert_eq!(flat(&value(&a, &parameters, None, &ones)), flat(&ones));

    let channels = a.of_channels();
    let image = Tensor::ones((8, 8, 3, 3), DType::F64, &Device::Cpu).unwrap();
    let y = value(&channels, &parameters, Some(1), &image);
    let planes = flat(&y);
    assert!(planes.chunks(9).all(|plane| plane.iter().all(|v| v == &plane[0])));
    assert!(planes.contains(&0.0) && planes.iter().any(|v| *v > 1.0));
    for probability in [-0.1, 1.0, f64::NAN] {
        let error = Dropout::new(&empty().root(), probability).unwrap_err();
        assert!(matches!(error, pullback_nn::Error::Setting { .. }), "{error}");
    }
}

#[test]
fn running_statistics_approach_those_of_the_data() {
    let mut parameters = empty();
    let norm = BatchNorm2d::new(&mut parameters.root(), 2, BatchNormSpec::default()).unwrap();
    let x = tensor(1, &[4, 2, 5, 5]).affine(3.0, 2.0).unwrap();
    for step in 0..200 {
        let graph = Graph::new();
        let bound = parameters.bind(&graph).training(step);
        norm.forward(&bound, graph.constant(&x)).unwrap();
        parameters.apply(&bound).unwrap();
    }
    let trained = value(&norm, &parameters, Some(0), &x);
    let used = value(&norm, &parameters, None, &x);
    // The running variance is the unbiased one, larger by 100/99.
    let factor = (100.0f64 / 99.0).sqrt();
    for (a, b) in flat(&trained).iter().zip(flat(&used)) {
        assert!((a - b * factor).abs() < 1e-5, "{a} {b}");
    }
}

/// Both uses of a layer in one pass move its statistics, one after the other, as PyTorch's do.
#[test]
fn a_norm_that_is_used_twice_in_a_pass_moves_twice() {
    let mut parameters = empty();
    let norm = BatchNorm2d::new(&mut parameters.root(), 1, BatchNormSpec::default()).unwrap();
    // Means 2 and −5, unbiased variances 4·16/15 and 9·16/15.
    let signs = |mean: f64, scale: f64| {
        let data: Vec<f64> =
            (0..16).map(|i| mean + if i % 2 == 0 { scale } else { -scale }).collect();
        Tensor::from_vec(data, (1, 1, 4, 4), &Device::Cpu).unwrap()
    };
    let graph = Graph::new();
    let bound = parameters.bind(&graph).training(0);
    for (mean, scale) in [(2.0, 2.0), (-5.0, 3.0)] {
        norm.forward(&bound, graph.constant(&signs(mean, scale))).unwrap();
    }
    parameters.apply(&bound).unwrap();
    let mean = 0.9 * (0.1 * 2.0) + 0.1 * -5.0;
    let variance = 0.9 * (0.9 + 0.1 * 4.0 * 16.0 / 15.0) + 0.1 * 9.0 * 16.0 / 15.0;
    let buffers: Vec<f64> = parameters.buffers().flat_map(|(_, t)| flat(t)).collect();
    common::close("running statistics", &"", &buffers, &[mean, variance], 1e-14);
}

#[test]
fn without_running_statistics_evaluation_takes_the_batch() {
    let mut parameters = empty();
    let spec = BatchNormSpec { running: false, ..BatchNormSpec::default() };
    let norm = BatchNorm2d::new(&mut parameters.root(), 2, spec).unwrap();
    assert_eq!(parameters.buffers().count(), 0);
    let x = tensor(1, &[4, 2, 5, 5]).affine(3.0, 2.0).unwrap();
    let (trained, used) =
        (value(&norm, &parameters, Some(0), &x), value(&norm, &parameters, None, &x));
    assert_eq!(flat(&trained), flat(&used));
    let mean = flat(&used).iter().sum::<f64>() / 200.0;
    assert!(mean.abs() < 1e-12, "{mean}");
}

#[test]
fn no_channels_are_an_error() {
    let (mut a, mut b) = (empty(), empty());
    for error in [
        BatchNorm2d::new(&mut a.root(), 0, BatchNormSpec::default()).unwrap_err(),
        GroupNorm::new(&mut b.root(), 1, 0).unwrap_err(),
    ] {
        assert!(error.to_string().contains("channels = 0"), "{error}");
    }
}

#[test]
fn one_sample_has_no_variance() {
    let mut parameters = empty();
    let norm = BatchNorm1d::new(&mut parameters.root(), 3, BatchNormSpec::default()).unwrap();
    let graph = Graph::new();
    let bound = parameters.bind(&graph);
    let x = graph.constant(&tensor(1, &[1, 3]));
    assert!(norm.forward(&bound, x).is_ok(), "in use, one sample is fine");
    let error = norm.forward(&bound.training(1), x).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("1 number"));
}

#[test]
fn a_query_that_sees_nothing_finds_zeros() {
    let mut parameters = empty();
    let attention = MultiHeadAttention::new(&mut parameters.root(), 4, 2).unwrap();
    let graph = Graph::new();
    let bound = parameters.bind(&graph);
    let x = graph.input(&tensor(1, &[1, 2, 4]));
    let seen = Tensor::new(&[[1u32, 1], [0, 0]], &Device::Cpu).unwrap();
    let mask = AttentionMask { causal: false, seen: Some(&seen) };
    let y = attention.attend(&bound, [x; 3], mask).unwrap();
    assert_eq!(flat(&y.value().unwrap())[4..], [0.0; 4], "the output's bias starts at zero");
    graph.gradient(y.sum(()), &[x]).unwrap();

    let x = tensor(2, &[1, 4, 4]);
    let causal = MultiHeadAttention::new(&mut empty().root(), 4, 2).unwrap().causal();
    let mut moved = flat(&x);
    moved[12..].iter_mut().for_each(|v| *v += 1.0);
    let moved = Tensor::from_vec(moved, (1, 4, 4), &Device::Cpu).unwrap();
    let [a, b] = [&x, &moved].map(|x| flat(&value(&causal, &parameters, None, x)));
    assert_eq!(a[..12], b[..12], "the past does not see the future");
    assert_ne!(a[12..], b[12..]);
}

#[test]
fn what_was_computed_in_one_go_equals_the_steps() {
    let (mut whole, mut parts) = (empty(), empty());
    let gru = Gru::new(&mut whole.root(), 3, 4).unwrap();
    let cell = GruCell::new(&mut parts.root(), 3, 4).unwrap();
    for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
        let value = whole.get(&format!("{name}_l0")).unwrap().clone();
        parts.set(name, &value).unwrap();
    }
    let x = tensor(3, &[2, 5, 3]);
    let all = value(&gru, &whole, None, &x);
    let graph = Graph::new();
    let (bound, x) = (parts.bind(&graph), graph.constant(&x));
    let mut state = graph.constant(&Tensor::zeros((2, 4), DType::F64, &Device::Cpu).unwrap());
    for t in 0..5 {
        state = cell.step(&bound, x.get(1, t), state).unwrap();
        let expected = flat(&all.narrow(1, t, 1).unwrap());
        for (a, b) in flat(&state.value().unwrap()).iter().zip(expected) {
            assert!((a - b).abs() < 1e-14);
        }
    }
}

#[test]
fn recurrent_layers_drop_between_layers_in_training_alone_and_go_on_from_their_ends() {
    let spec = RecurrentSpec { layers: 2, bidirectional: true, ..RecurrentSpec::new(3, 4) };
    let made = |spec| {
        let mut p = empty();
        let gru = Gru::with_spec(&mut p.root().scope("g"), spec).unwrap();
        (gru, p)
    };
    let x = tensor(3, &[2, 5, 3]);
    let (plain, p) = made(spec);
    let (dropping, _) = made(RecurrentSpec { dropout: 0.5, ..spec });
    let all = flat(&value(&plain, &p, None, &x));
    assert_eq!(flat(&value(&dropping, &p, None, &x)), all, "nothing is dropped in use");
    assert_eq!(flat(&value(&plain, &p, Some(1), &x)), all);
    let dropped = |seed| flat(&value(&dropping, &p, Some(seed), &x));
    assert_ne!(dropped(1), all);
    assert_ne!(dropped(1), dropped(2));
    assert_eq!(dropped(1), dropped(1));
    // One layer drops nothing: there is nothing between.
    let (single, p) = made(RecurrentSpec { layers: 1, dropout: 0.5, ..spec });
    let of = |mode| flat(&value(&single, &p, mode, &x));
    assert_eq!(of(Some(1)), of(None));

    // The first half, then the second from where it ended, forwards in time.
    let (gru, p) = made(RecurrentSpec { bidirectional: false, ..spec });
    let graph = Graph::new();
    let (bound, v) = (p.bind(&graph), graph.constant(&x));
    let (whole, end) = gru.run(&bound, v, None).unwrap();
    let (_, middle) = gru.run(&bound, v.narrow(1, 0, 2), None).unwrap();
    let (rest, last) = gru.run(&bound, v.narrow(1, 2, 3), Some(middle)).unwrap();
    for (a, b) in [(rest, whole.narrow(1, 2, 3)), (last, end)] {
        let [a, b] = [a, b].map(|v| flat(&v.value().unwrap()));
        common::close("halves", &"", &a, &b, 1e-14);
    }
}

#[test]
fn misuse_of_layers_is_a_typed_error() {
    let mut parameters = empty();
    let mut root = parameters.root();
    let graph = Graph::new();
    let argument = |e: pullback_nn::Error| matches!(e, pullback_nn::Error::Argument { .. });
    assert!(argument(GroupNorm::new(&mut root.scope("g"), 3, 4).unwrap_err()));
    assert!(argument(MultiHeadAttention::new(&mut root.scope("m"), 4, 3).unwrap_err()));
    let spec = Conv1dSpec { groups: 2, ..Conv1dSpec::same(3, 4, 3) };
    assert!(argument(Conv1d::new(&mut root.scope("c"), spec).unwrap_err()));
    let mut spec = Conv2dSpec::same(4, 6, 3);
    spec.options.groups = 4;
    assert!(argument(Conv2d::new(&mut root.scope("o"), spec).unwrap_err()), "of outputs");
    let spec = ConvTranspose2dSpec { output_padding: [2, 0], ..ConvTranspose2dSpec::double(1, 1) };
    assert!(argument(ConvTranspose2d::new(&mut root.scope("t"), spec).unwrap_err()));
    assert!(argument(Gru::new(&mut root.scope("z"), 3, 0).unwrap_err()));
    let spec = RecurrentSpec::new(3, 4);
    let none = RecurrentSpec { layers: 0, ..spec };
    assert!(argument(Lstm::with_spec(&mut root.scope("y"), none).unwrap_err()));
    let all = Lstm::with_spec(&mut root.scope("x"), RecurrentSpec { dropout: 1.0, ..spec });
    assert!(matches!(all, Err(pullback_nn::Error::Setting { name: "probability", .. })));
    let stack = RecurrentSpec { layers: 2, batch_first: false, ..spec };
    let stack = Lstm::with_spec(&mut root.scope("s"), stack).unwrap();

    let narrow = Conv2d::new(&mut root.scope("n"), Conv2dSpec::same(1, 3, 3)).unwrap();
    let cell = GruCell::new(&mut root.scope("r"), 3, 4).unwrap();
    let norm = LayerNorm::new(&mut root.scope("l"), &[5]).unwrap();
    let embedding = Embedding::new(&mut root.scope("e"), 5, 2).unwrap();
    let tall = ConvTranspose2dSpec {
        windows: [Window::new(1).padding(1); 2],
        ..ConvTranspose2dSpec::double(1, 1)
    };
    let tall = ConvTranspose2d::new(&mut root.scope("w"), tall).unwrap();
    let bound = parameters.bind(&graph);
    let image = graph.input(&tensor(1, &[1, 1, 4, 4]));
    let shape = |e: Error| matches!(e, Error::Shape { .. });
    // A sum of one and three channels would broadcast.
    assert!(shape(Residual::new(narrow).forward(&bound, image).unwrap_err()));
    let (x, one) = (graph.input(&tensor(2, &[2, 3])), graph.input(&tensor(3, &[1, 4])));
    assert!(shape(cell.step(&bound, x, one).unwrap_err()), "a state of one sample");
    let (sequence, start) = (tensor(4, &[5, 2, 3]), tensor(5, &[2, 2, 4]));
    let (sequence, start) = (graph.input(&sequence), graph.input(&start));
    let state = |hidden, cell| Some(LstmState { hidden, cell });
    assert!(stack.run(&bound, sequence, state(start, start)).is_ok());
    assert!(shape(stack.run(&bound, sequence, state(start, one)).err().unwrap()), "c of one layer");
    assert!(shape(stack.run(&bound, x, None).err().unwrap()), "no time");
    let empty_time = sequence.narrow(0, 0, 0);
    assert!(stack.run(&bound, empty_time, None).is_err(), "no steps");
    assert!(shape(norm.forward(&bound, x).unwrap_err()));
    assert!(matches!(embedding.forward(&bound, x), Err(Error::DType { .. })));
    let beyond = graph.constant(&Tensor::new(&[5u32], &Device::Cpu).unwrap());
    assert!(embedding.forward(&bound, beyond).is_err());
    assert!(shape(Activation::Glu { axis: 1 }.apply(x).unwrap_err()), "three cannot be halved");
    assert!(shape(Activation::Glu { axis: -5 }.apply(x).unwrap_err()));
    assert!(matches!(Activation::Celu { alpha: 0.0 }.apply(x), Err(Error::Invalid { .. })));
    assert!(Activation::Softmax { axis: 1 }.slope(&tensor(1, &[2, 2])).is_err());
    assert!(tall.forward(&bound, graph.input(&tensor(1, &[1, 1, 2, 2]))).is_err(), "nothing left");
    assert!(AdaptiveAveragePool2d { size: [0, 1] }.forward(&bound, image).is_err());
    assert!(AdaptiveMaxPool2d { size: [0, 1] }.forward(&bound, image).is_err());
    assert!(shape(AdaptiveMaxPool1d { size: 2 }.forward(&bound, image).unwrap_err()));
    assert!(AveragePool2d::new([5, 1]).forward(&bound, image).is_err());
    assert!(Linear::new(&mut empty().root(), 2, 2, Initialization::He).is_ok());
}
