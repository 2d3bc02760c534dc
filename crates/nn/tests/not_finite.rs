//! NaN and infinity in long inputs and cotangents are named where they enter, also where a kernel is left to see them in passing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::ops::ControlFlow;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Error, Graph, Phase, Result, Var};
use pullback_nn::data::{Batch, Labelled, Loader, LoaderOptions};
use pullback_nn::layer::{BatchNorm2d, BatchNormSpec, GroupNorm, Layer, LayerNorm, RmsNorm};
use pullback_nn::ops::{Conv2dOptions, conv_transpose2d, conv2d, conv2d_fused};
use pullback_nn::optimizer::Sgd;
use pullback_nn::train::{Task, Trainer, TrainerOptions};
use pullback_nn::{Bound, Initialization, Parameters};

const POISONS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

fn wave(dims: &[usize], dtype: DType) -> Tensor {
    let n: usize = dims.iter().product();
    let data: Vec<f64> = (0..n).map(|i| (1.3 * i as f64).sin()).collect();
    Tensor::from_vec(data, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// The tensor with a poison in one place: the corners, the borders' middles, and inside.
fn poisoned(t: &Tensor, poison: f64) -> Vec<(usize, Tensor)> {
    let dims = t.dims();
    let (h, w) = (dims[dims.len() - 2], dims[dims.len() - 1]);
    let places = [(0, 0), (0, w - 1), (h - 1, 0), (h - 1, w - 1), (h / 2, w - 1), (h / 2, w / 2)];
    let all = t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    places
        .map(|(i, j)| {
            let at = all.len() - h * w + i * w + j;
            let mut data = all.clone();
            data[at] = poison;
            let bad = Tensor::from_vec(data, dims, &Device::Cpu).unwrap();
            (at, bad.to_dtype(t.dtype()).unwrap())
        })
        .to_vec()
}

fn named(e: &Error, node: &str, phase: Phase, at: usize) -> bool {
    matches!(e, Error::NotFinite { phase: p, index, .. } if *p == phase && *index == at)
        && e.node() == node
}

/// Every poison in x and in dy; how many there were.
fn hold(
    what: &str,
    x: &Tensor,
    run: impl for<'g> Fn(&'g Graph, Var<'g>) -> Result<Var<'g>>,
) -> usize {
    let mut tried = 0;
    for poison in POISONS {
        for (at, bad) in poisoned(x, poison) {
            let graph = Graph::new();
            let e = run(&graph, graph.input(&bad)).and_then(|y| y.value()).expect_err(what);
            assert!(named(&e, "input#0", Phase::Eval, at), "{what}: {poison} at {at} of x: {e:?}");
            tried += 1;
        }
        let graph = Graph::new();
        let x = graph.input(x);
        let y = run(&graph, x).unwrap();
        for (at, bad) in poisoned(&y.value().unwrap(), poison) {
            let e = graph.pull(&[(y, bad)], &[x]).expect_err(what);
            let node = format!("direction at {}", graph.node_name(y));
            assert!(named(&e, &node, Phase::Pull, at), "{what}: {poison} at {at} of dy: {e:?}");
            tried += 1;
        }
    }
    tried
}

#[test]
fn a_convolution_hides_nothing() {
    let mut tried = 0;
    for (dtype, size) in [(DType::F32, [33, 34]), (DType::F64, [35, 36])] {
        let x = wave(&[1, 4, size[0], size[1]], dtype);
        for kernel in [1, 2, 3] {
            for (stride, padding, dilation) in [
                (1, 0, 1),
                (1, 1, 1),
                (2, 0, 1),
                (2, 1, 1),
                (3, 0, 1),
                (3, 1, 1),
                (1, 2, 2),
                (2, 2, 2),
            ] {
                for groups in [1, 4] {
                    let w = wave(&[8, 4 / groups, kernel, kernel], dtype);
                    let bias = wave(&[8], dtype);
                    let options = Conv2dOptions {
                        stride: [stride; 2],
                        padding: [padding; 2],
                        dilation: [dilation; 2],
                        groups,
                    };
                    let what = format!("{dtype:?}, {kernel}×{kernel}, {options:?}");
                    tried += hold(&what, &x, |g, x| conv2d(x, g.constant(&w), options).ok());
                    for relu in [false, true] {
                        tried += hold(&what, &x, |g, x| {
                            let (w, bias) = (g.constant(&w), g.constant(&bias));
                            conv2d_fused(x, w, bias, relu, options).ok()
                        });
                    }
                }
            }
        }
    }
    assert_eq!(tried, 2 * 3 * 8 * 2 * 3 * 36);
}

#[test]
fn a_padding_beyond_all_numbers_is_an_error() {
    for padding in [usize::MAX, usize::MAX / 2, usize::MAX / 2 + 1] {
        let graph = Graph::new();
        let x = graph.input(&wave(&[1, 1, 70, 70], DType::F32));
        let w = graph.constant(&wave(&[1, 1, 1, 1], DType::F32));
        let options = Conv2dOptions { padding: [padding; 2], ..Conv2dOptions::default() };
        assert!(conv2d(x, w, options).value().is_err(), "{padding}");
    }
}

/// By every method that has many channels, weights that are long enough to be seen in passing, too: also where a rectifier follows, and where
/// some taps are over no pixel.
#[test]
fn a_wide_convolution_hides_nothing() {
    let dense = Conv2dOptions::default();
    let padded = |padding| Conv2dOptions { padding: [padding; 2], ..dense };
    let (strided, grouped) =
        (Conv2dOptions { stride: [2; 2], ..padded(1) }, Conv2dOptions { groups: 2, ..padded(1) });
    let depthwise = Conv2dOptions { groups: 464, ..padded(1) };
    let mut tried = 0;
    for (channels, kernel, size, options) in [
        ([464, 464], 3, [8, 26], depthwise),
        ([464, 464], 3, [1, 26], depthwise), // six taps over no pixel
        ([128, 64], 1, [30, 30], dense),     // Strassen
        ([72, 60], 1, [9, 9], dense),        // strips of patches
        ([72, 60], 1, [9, 9], padded(1)),    // the same, with zeros around
        ([32, 40], 3, [12, 12], padded(1)),  // Winograd
        ([32, 40], 3, [3, 3], padded(4)),    // mostly zeros
        ([8, 64], 3, [8, 80], padded(1)),    // Winograd along the height
        ([64, 64], 3, [9, 9], strided),
        ([96, 64], 3, [9, 9], grouped),
        ([24, 20], 3, [1, 1], padded(1)), // eight taps over no pixel
        ([16, 20], 5, [7, 7], padded(2)),
    ] {
        for dtype in [DType::F32, DType::F64] {
            let x = wave(&[1, channels[0], size[0], size[1]], dtype);
            let w = wave(&[channels[1], channels[0] / options.groups, kernel, kernel], dtype);
            let bias = wave(&[channels[1]], dtype);
            let what = format!("{dtype:?}, {channels:?}, {kernel}×{kernel} at {size:?}");
            tried += hold(&what, &w, |g, w| conv2d(g.constant(&x), w, options).ok());
            tried += hold(&what, &x, |g, x| conv2d(x, g.constant(&w), options).ok());
            for relu in [false, true] {
                tried += hold(&what, &w, |g, w| {
                    conv2d_fused(g.constant(&x), w, g.constant(&bias), relu, options).ok()
                });
                tried += hold(&what, &x, |g, x| {
                    conv2d_fused(x, g.constant(&w), g.constant(&bias), relu, options).ok()
                });
            }
            let graph = Graph::new();
            let dy = conv2d(graph.constant(&x), graph.constant(&w), options).value().unwrap();
            tried +=
                hold(&what, &w, |g, w| conv_transpose2d(g.constant(&dy), w, size, options).ok());
            tried +=
                hold(&what, &dy, |g, dy| conv_transpose2d(dy, g.constant(&w), size, options).ok());
        }
    }
    assert_eq!(tried, 12 * 2 * 8 * 36);
}

/// The gradient of the weights alone, by the loops that see it: products of lines, and Strassen's method.
#[test]
fn a_weight_gradient_hides_nothing() {
    let options = Conv2dOptions::default();
    let mut tried = 0;
    for dtype in [DType::F32, DType::F64] {
        for (channels, size) in [([16, 8], [33, 34]), ([256, 256], [14, 15])] {
            let x = wave(&[1, channels[0], size[0], size[1]], dtype);
            let w = wave(&[channels[1], channels[0], 1, 1], dtype);
            let what = format!("{dtype:?}, {channels:?}");
            for poison in POISONS {
                let graph = Graph::new();
                let w = graph.input(&w);
                let y = conv2d(graph.constant(&x), w, options);
                for (at, bad) in poisoned(&y.value().unwrap(), poison) {
                    let e = graph.pull(&[(y, bad)], &[w]).expect_err(&what);
                    let node = format!("direction at {}", graph.node_name(y));
                    assert!(named(&e, &node, Phase::Pull, at), "{what}: {poison} at {at}: {e:?}");
                    tried += 1;
                }
            }
            tried += hold(&what, &x, |g, x| conv2d(x, g.constant(&w), options).ok());
        }
    }
    assert_eq!(tried, 2 * 2 * (18 + 36));
}

#[test]
fn a_normalization_hides_nothing() {
    let mut tried = 0;
    for dtype in [DType::F32, DType::F64] {
        let mut parameters = Parameters::new(0, dtype, &Device::Cpu);
        let layers: Vec<Box<dyn Layer>> = vec![
            Box::new(LayerNorm::new(&mut parameters.root().scope("a"), &[40]).unwrap()),
            Box::new(
                RmsNorm::with_epsilon(&mut parameters.root().scope("b"), &[40], 1e-5).unwrap(),
            ),
            Box::new(GroupNorm::new(&mut parameters.root().scope("c"), 2, 4).unwrap()),
            Box::new(
                BatchNorm2d::new(&mut parameters.root().scope("d"), 4, BatchNormSpec::default())
                    .unwrap(),
            ),
        ];
        let x = wave(&[2, 4, 24, 40], dtype);
        for (i, layer) in layers.iter().enumerate() {
            // x is the first node of the graph, so that the test knows its name.
            tried += hold(&format!("layer {i}"), &x, |g, x| {
                let bound = parameters.bind(g).training(0);
                layer.forward(&bound, x)
            });
        }
    }
    assert_eq!(tried, 2 * 4 * 36);
}

/// The mean of √(x·input): without a value below 0, without a slope at 0.
struct Roots;

impl Task for Roots {
    fn loss<'g>(
        &self,
        graph: &'g Graph,
        parameters: &Bound<'g>,
        batch: &Batch,
    ) -> pullback_core_graph::Result<Var<'g>> {
        (parameters.get("x")? * graph.constant(&batch.tensors[0])).sqrt().mean(()).ok()
    }
}

#[test]
fn a_loss_that_is_not_finite_is_named_with_its_step() {
    for (third, told) in [(-1.0, "the value at sqrt#"), (0.0, "a derivative at sqrt#")] {
        let inputs = Tensor::new(&[1.0, 2.0, third, 1.0], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[0u32; 4], &Device::Cpu).unwrap();
        let data = Labelled::new(&inputs, &labels, vec!["one".into()]).unwrap();
        let loader = LoaderOptions { batch: 1, shuffle: false, ..Default::default() };
        let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
        parameters.root().parameter("x", &[1], Initialization::Constant(9.0)).unwrap();
        let sgd = Sgd::new(Default::default()).unwrap();
        let options = TrainerOptions { epochs: 1, ..Default::default() };
        let loader = Loader::new(data, loader).unwrap();
        let mut trainer = Trainer::new(Roots, parameters, sgd, loader, options).unwrap();
        let error = trainer.run(|_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(&error, pullback_nn::Error::NotFinite { index: 0, .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("Trainer, step 3: {told}")), "{text}");
        assert_eq!(trainer.steps(), 2);
    }
}
