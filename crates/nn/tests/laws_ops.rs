//! The derivative laws for every image operation: f64 and f32, first and second order.
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
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, Graph, Var, function};
use pullback_nn::kernel::normalization::{Grouping, Normalization};
use pullback_nn::kernel::pool::Divisor;
use pullback_nn::ops::{self, Conv2dOptions};

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(values::<f64>(seed, dims.iter().product()), dims, &Device::Cpu).unwrap()
}

/// Numbers two apart in a scrambled order: no step of a test makes two of them change places.
fn separated(dims: &[usize]) -> Tensor {
    let n: usize = dims.iter().product();
    let stride = (1..).map(|k| 7 * k + 3).find(|s| gcd(*s, n) == 1).unwrap();
    Tensor::from_vec((0..n).map(|i| (2 * (i * stride % n)) as f64).collect(), dims, &Device::Cpu)
        .unwrap()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

struct Row {
    name: &'static str,
    function: Arc<dyn Function>,
    inputs: Vec<Tensor>,
}

fn row<F>(name: &'static str, inputs: Vec<Tensor>, f: F) -> Row
where
    F: for<'g> Fn(&[Var<'g>]) -> Var<'g> + Send + Sync + 'static,
{
    Row { name, function: function(name, move |_, x| Ok(vec![f(x)])), inputs }
}

fn rows() -> Vec<Row> {
    let plain = Conv2dOptions::default();
    let same = Conv2dOptions { padding: [1, 1], ..plain };
    let strided = Conv2dOptions { stride: [2, 2], padding: [1, 1], ..plain };
    let odd = Conv2dOptions { stride: [2, 1], padding: [0, 2], dilation: [1, 2], groups: 2 };
    let depthwise = Conv2dOptions { groups: 4, ..same };
    // Far from the rectifier's corner on either side, whatever the inputs below.
    let bias = Tensor::new(&[20.0, -20.0, 20.0], &Device::Cpu).unwrap();
    vec![
        row("conv2d", vec![tensor(1, &[2, 3, 5, 6]), tensor(2, &[4, 3, 3, 3])], move |x| {
            ops::conv2d(x[0], x[1], same)
        }),
        row("conv2d 1x1", vec![tensor(1, &[2, 3, 4, 3]), tensor(2, &[5, 3, 1, 1])], move |x| {
            ops::conv2d(x[0], x[1], plain)
        }),
        row(
            "conv2d stride 2",
            vec![tensor(3, &[1, 2, 6, 5]), tensor(4, &[3, 2, 3, 3])],
            move |x| ops::conv2d(x[0], x[1], strided),
        ),
        row("conv2d odd", vec![tensor(5, &[2, 4, 7, 6]), tensor(6, &[6, 2, 3, 2])], move |x| {
            ops::conv2d(x[0], x[1], odd)
        }),
        row(
            "conv2d depthwise",
            vec![tensor(7, &[1, 4, 5, 5]), tensor(8, &[4, 1, 3, 3])],
            move |x| ops::conv2d(x[0], x[1], depthwise),
        ),
        row(
            "conv2d with bias",
            vec![tensor(9, &[2, 2, 4, 5]), tensor(10, &[3, 2, 3, 3]), tensor(11, &[3])],
            move |x| ops::conv2d_fused(x[0], x[1], x[2], false, same),
        ),
        row(
            "conv2d rectified",
            vec![tensor(12, &[2, 2, 4, 5]), tensor(13, &[3, 2, 3, 3]), bias],
            move |x| ops::conv2d_fused(x[0], x[1], x[2], true, same),
        ),
        row(
            "conv_transpose2d",
            vec![tensor(14, &[2, 3, 3, 3]), tensor(15, &[3, 2, 3, 3])],
            move |x| ops::conv_transpose2d(x[0], x[1], [6, 5], strided),
        ),
        row("max_pool2d 3x3 stride 2", vec![separated(&[2, 2, 7, 6])], |x| {
            ops::max_pool2d(x[0], [3, 3], [2, 2], [1, 1])
        }),
        row("max_pool2d 2x3 stride 1", vec![separated(&[1, 2, 5, 4])], |x| {
            ops::max_pool2d(x[0], [2, 3], [1, 1], [0, 1])
        }),
        row("average_pool2d", vec![tensor(16, &[2, 2, 5, 6])], |x| {
            ops::average_pool2d(x[0], [3, 2], [2, 2], [1, 0], Divisor::Kernel)
        }),
        row("average_pool2d of pixels", vec![tensor(17, &[1, 2, 5, 6])], |x| {
            ops::average_pool2d(x[0], [3, 3], [2, 1], [1, 1], Divisor::Pixels)
        }),
        row("max_pool2d_ceil", vec![separated(&[1, 2, 6, 5])], |x| {
            ops::max_pool2d_ceil(x[0], [3, 2], [2, 2], [0, 0])
        }),
        row("average_pool2d_ceil", vec![tensor(16, &[1, 2, 5, 6])], |x| {
            ops::average_pool2d_ceil(x[0], [2, 3], [2, 2], [0, 1], Divisor::Kernel)
        }),
        row("average_pool2d_ceil, fixed divisor", vec![tensor(16, &[1, 2, 5, 6])], |x| {
            ops::average_pool2d_ceil(x[0], [2, 3], [2, 2], [0, 1], Divisor::Fixed(4))
        }),
        row("adaptive_max_pool2d", vec![separated(&[2, 2, 5, 4])], |x| {
            ops::adaptive_max_pool2d(x[0], [3, 3])
        }),
        row("resize_bilinear x2", vec![tensor(18, &[2, 2, 3, 4])], |x| {
            ops::resize_bilinear(x[0], [6, 8])
        }),
        row("resize_bilinear", vec![tensor(19, &[1, 2, 5, 4])], |x| {
            ops::resize_bilinear(x[0], [3, 7])
        }),
        row("resize_nearest", vec![tensor(20, &[1, 2, 5, 4])], |x| {
            ops::resize_nearest(x[0], [3, 7])
        }),
        row("at_pixels", vec![tensor(21, &[3, 2, 4, 5])], |x| {
            ops::at_pixels(x[0], &[[0, 0], [3, 4], [1, 2]])
        }),
        // Nonlinear around the linear maps, so that every second derivative is put to use.
        row(
            "a small network",
            vec![tensor(22, &[2, 1, 6, 6]), tensor(23, &[2, 1, 3, 3]), tensor(24, &[2, 2, 3, 3])],
            {
                move |x| {
                    let h = ops::conv2d(x[0], x[1], same).tanh();
                    let h = ops::average_pool2d(h, [2, 2], [2, 2], [0, 0], Divisor::Kernel);
                    let h = ops::conv2d(h, x[2], same).sin();
                    ops::at_pixels(ops::resize_bilinear(h, [6, 6]), &[[2, 3], [5, 0]]).sqr()
                }
            },
        ),
    ]
}

#[test]
fn laws_hold_in_f64() {
    for Row { name, function, inputs } in rows() {
        let tolerances = Tolerances::default();
        laws(&function, &inputs, &tolerances).unwrap_or_else(|e| panic!("{name}: {e}"));
        second_order(&function, &inputs, &tolerances)
            .unwrap_or_else(|e| panic!("{name}, second order: {e}"));
    }
}

#[test]
fn laws_hold_in_f32() {
    for Row { name, function, inputs } in rows() {
        let tolerances = Tolerances::single();
        let inputs: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
        laws(&function, &inputs, &tolerances).unwrap_or_else(|e| panic!("{name}: {e}"));
        second_order(&function, &inputs, &tolerances)
            .unwrap_or_else(|e| panic!("{name}, second order: {e}"));
    }
}

#[test]
fn strided_inputs_are_read_right() {
    let (x, w) = (tensor(1, &[2, 3, 6, 5]), tensor(2, &[4, 3, 3, 3]));
    let graph = Graph::new();
    let w = graph.constant(&w);
    let straight = ops::conv2d(graph.constant(&x), w, Conv2dOptions::default()).value().unwrap();
    let copy = x.transpose(2, 3).unwrap().contiguous().unwrap();
    let view = graph.constant(&copy.transpose(2, 3).unwrap());
    let viewed = ops::conv2d(view, w, Conv2dOptions::default()).value().unwrap();
    let difference = (straight - viewed).unwrap().abs().unwrap().max_all().unwrap();
    assert_eq!(difference.to_scalar::<f64>().unwrap(), 0.0);
}

/// Weight and bias need as many numbers, not the same shape: each gradient is shaped as what it is of.
#[test]
fn a_norms_gradients_have_the_shapes_of_weight_and_bias() {
    let grouping = Grouping::Channels(6);
    let sizes = Normalization { planes: 12, pixels: 8, grouping, centred: true, epsilon: 1e-5 };
    let graph = Graph::new();
    let x = graph.input(&tensor(1, &[2, 6, 8]));
    for (first, second) in [(&[6][..], &[6, 1, 1][..]), (&[2, 3], &[6])] {
        let (weight, bias) = (graph.input(&tensor(2, first)), graph.input(&tensor(3, second)));
        let y = ops::normalized("norm", x, Some(weight), Some(bias), sizes).unwrap().value;
        let loss = (graph.constant(&tensor(4, &[2, 6, 8])) * y).sum(());
        let found = graph.gradient(loss, &[weight, bias]).unwrap();
        assert_eq!([found[0].dims(), found[1].dims()], [first, second]);
        let cotangent = tensor(4, &[2, 6, 8]).sum((0, 2)).unwrap();
        let [found, expected] = [&found[1], &cotangent].map(|t| to_f64(t).unwrap());
        common::close("bias", &second, &found, &expected, 1e-14);
    }
}

#[test]
fn misuse_is_a_typed_error() {
    let graph = Graph::new();
    let x = graph.input(&tensor(1, &[1, 2, 4, 4]));
    let w = graph.input(&tensor(2, &[3, 2, 3, 3]));
    let single = graph.input(&tensor(2, &[3, 2, 3, 3]).to_dtype(DType::F32).unwrap());
    let options = Conv2dOptions::default();
    let flat = x.reshape(&[2, 4, 4]);
    let wide = Conv2dOptions { dilation: [3, 1], ..options };
    let inner = |v: Var<'_>| match v.ok() {
        Err(Error::External { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(ops::conv2d(flat, w, options).ok(), Err(Error::Shape { .. })));
    assert!(matches!(
        ops::conv2d(w, w.reshape(&[2, 3, 3, 3]), options).ok(),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(ops::conv2d(x, single, options).ok(), Err(Error::DType { .. })));
    assert!(inner(ops::conv2d(x, w, wide)).contains("window of 7 does not fit"));
    assert!(inner(ops::max_pool2d(x, [2, 2], [2, 2], [2, 0])).contains("padding = 2"));
    let nothing = Divisor::Fixed(0);
    let average = ops::average_pool2d(x, [2, 2], [2, 2], [0, 0], nothing);
    assert!(inner(average).contains("divisor = 0"));
    assert!(inner(ops::adaptive_max_pool2d(x, [2, 0])).contains("output width = 0"));
    assert!(inner(ops::resize_bilinear(x, [0, 3])).contains("output height = 0"));
    assert!(matches!(ops::conv2d_fused(x, w, w, false, options).ok(), Err(Error::Shape { .. })));
    assert!(matches!(
        ops::conv_transpose2d(x, w, [9, 9], options).ok(),
        Err(Error::Shape { .. } | Error::External { .. })
    ));
    let many = Conv2dOptions { groups: usize::MAX, ..options };
    let error = ops::conv_transpose2d(x, w, [6, 6], many).ok().unwrap_err();
    assert!(matches!(error, Error::Shape { .. } | Error::External { .. }), "{error}");
    assert!(matches!(ops::at_pixels(x, &[[4, 0]]).ok(), Err(Error::Invalid { .. })));
    assert!(matches!(ops::at_pixels(x, &[]).ok(), Err(Error::Invalid { .. })));
    // A failed variable fails what is computed from it, under the first failure's name.
    let failed = ops::max_pool2d(ops::resize_bilinear(x, [0, 3]), [2, 2], [2, 2], [0, 0]);
    assert_eq!(failed.ok().unwrap_err().node(), "resize_bilinear#5");
    // Sizes that no memory holds.
    let padded = Conv2dOptions { padding: [usize::MAX; 2], ..options };
    assert!(inner(ops::conv2d(x, w, padded)).contains("padded elements of x"));
    for size in [[usize::MAX; 2], [1 << 50, 1 << 15]] {
        let results = [
            ops::resize_nearest(x, size),
            ops::adaptive_max_pool2d(x, size),
            ops::adaptive_average_pool2d(x, size),
        ];
        for result in results {
            let error = result.ok().unwrap_err().to_string();
            assert!(error.contains("no memory for a result ["), "{error}");
        }
    }
    // One window, however far the next would be.
    let far = ops::max_pool2d(x, [3, 3], [usize::MAX; 2], [1, 1]);
    let near = ops::max_pool2d(x, [3, 3], [9, 9], [1, 1]);
    assert_eq!(to_f64(&far.value().unwrap()).unwrap(), to_f64(&near.value().unwrap()).unwrap());
    let groups = [
        Grouping::Channels(0),
        Grouping::Channels(3),
        Grouping::Successive { channels: 2, size: 0 },
        Grouping::Successive { channels: 3, size: 3 },
    ];
    for grouping in groups {
        let sizes = Normalization { planes: 2, pixels: 16, grouping, centred: true, epsilon: 1e-5 };
        let error = ops::normalized("norm", x, None, None, sizes).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}
