//! Convolution arithmetic and the table of a network, against the layers themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/layers/mod.rs"]
mod layers;

use layers::tensor;
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::arithmetic::{Fit, Window, convolution_parameters, convolution_products};
use pullback_nn::layer::*;
use pullback_nn::{Activation, Error, Initialization, Layer, Parameters, summary};

fn parameters() -> Parameters {
    Parameters::new(1, DType::F64, &Device::Cpu)
}

/// Filter, stride, padding on an axis of 7, 32 or 224 pixels: the cases that lectures print.
#[test]
fn windows_fit_as_in_the_textbook() {
    let exact = |output| Fit { output, unused: 0 };
    let w = Window::new;
    for (window, size, fit) in [
        (w(3), 7, exact(5)),
        (w(3).stride(2), 7, exact(3)),
        (w(3).stride(3), 7, Fit { output: 2, unused: 1 }),
        (w(3).padding(1), 7, exact(7)),
        (w(3).stride(2).padding(1), 7, exact(4)),
        (w(5).padding(2), 32, exact(32)),
        (w(5), 32, exact(28)),
        (w(7).stride(2).padding(3), 224, Fit { output: 112, unused: 1 }),
        (w(11).stride(4), 227, exact(55)),
        (w(1), 7, exact(7)),
        (w(3).dilation(2), 7, exact(3)),
        (w(7), 7, exact(1)),
    ] {
        assert_eq!(window.fit(size).unwrap(), fit, "{window:?} on {size}");
    }
    assert_eq!([3, 5, 7].map(|k| w(k).same_padding()), [Some(1), Some(2), Some(3)]);
    assert_eq!(w(4).same_padding(), None);
    let error = w(8).fit(7).unwrap_err();
    assert!(matches!(error, Error::WindowTooLarge { window: 8, size: 7, .. }), "{error}");
    for window in [w(0), w(3).stride(0), w(3).dilation(0)] {
        assert!(matches!(window.fit(7), Err(Error::Argument { .. })), "{window:?}");
    }
    assert!(w(usize::MAX).dilation(usize::MAX).fit(7).is_err());
    assert!(w(usize::MAX).stride(usize::MAX).transposed(usize::MAX, 0).is_ok());
}

#[test]
fn transposed_windows_undo_the_size() {
    for kernel in 1..5 {
        for stride in 1..4 {
            for padding in 0..kernel {
                for size in 5..12 {
                    let window = Window::new(kernel).stride(stride).padding(padding);
                    let fit = window.fit(size).unwrap();
                    assert_eq!(window.transposed(fit.output, fit.unused).unwrap(), size);
                }
            }
        }
    }
}

#[test]
fn parameters_and_products_are_counted() {
    assert_eq!(convolution_parameters(64, 128, [3, 3], 1, true), 9 * 64 * 128 + 128);
    assert_eq!(convolution_parameters(64, 64, [3, 3], 64, false), 9 * 64);
    assert_eq!(convolution_products(4, 64, [3, 3], 1, [180, 140]), 9 * 4 * 64 * 180 * 140);
}

/// TossingBot's perception: C(3,64) MP RB(128) MP RB(256) RB(512) on a height map of 180×140.
fn perception(p: &mut Parameters, channels: usize) -> Sequential {
    let mut root = p.root();
    let block = ResidualOptions::default();
    let stem = Conv2d::new(&mut root.scope("stem"), Conv2dSpec::same(channels, 64, 3)).unwrap();
    let mut residual =
        |name: &str, i, o| ResidualBlock::new(&mut root.scope(name), i, o, block).unwrap();
    Sequential::new()
        .then(stem)
        .then(MaxPool2d::default())
        .then(residual("block1", 64, 128))
        .then(MaxPool2d::default())
        .then(residual("block2", 128, 256))
        .then(residual("block3", 256, 512))
}

#[test]
fn the_table_of_a_network_is_right() {
    let mut p = parameters();
    let network = perception(&mut p, 1);
    let table = summary(&network, &p, &[1, 180, 140]).unwrap();
    assert_eq!(table.rows[0].output, [64, 180, 140]);
    assert_eq!(table.rows[0].formula, "9·64·1 + 64");
    assert_eq!(table.rows.last().unwrap().output, [512, 45, 35]);
    assert_eq!(table.parameters, p.element_count());
    // 3×3, pool 3×3/2, two 3×3 at step 2, pool, four 3×3 at step 4.
    let sees = table.rows.last().unwrap().receptive[0];
    assert_eq!((sees.size, sees.step), (3.0 + 2.0 + 8.0 + 4.0 + 32.0, 4.0));
    let text = table.to_string();
    assert!(text.contains("180×140×64") && text.contains("45×35×512"), "{text}");
    assert!(text.lines().any(|l| l.starts_with("stem") && l.contains("9·64·1")), "{text}");
    let small = summary(&network, &p, &[1, 0, 140]).unwrap_err();
    assert!(matches!(small, Error::WindowTooLarge { .. }), "{small}");
    let other = summary(&network, &p, &[2, 180, 140]).unwrap_err();
    assert!(matches!(other, Error::Argument { argument: "channels", .. }), "{other}");
}

#[test]
fn parameters_that_layers_share_are_counted_once() {
    let mut p = parameters();
    let mut root = p.root();
    let shared = Conv2d::new(&mut root.scope("shared"), Conv2dSpec::same(2, 2, 3)).unwrap();
    let shared = std::sync::Arc::new(shared);
    let last = Conv2d::new(&mut root.scope("last"), Conv2dSpec::same(2, 1, 1)).unwrap();
    let network = Sequential::new().then(shared.clone()).then(shared).then(last);
    let table = summary(&network, &p, &[2, 5, 5]).unwrap();
    let rows: Vec<usize> = table.rows.iter().map(|row| row.parameters).collect();
    assert_eq!(rows, [38, 38, 3], "each row has its own");
    assert_eq!((table.parameters, p.element_count()), (41, 41));
    assert!(table.to_string().lines().last().unwrap().ends_with(" 41"), "{table}");
}

/// The shape that the table says is the shape that comes out, for every layer of the reference tables that keeps one input.
#[test]
fn every_layer_describes_itself() {
    let check = |name: &str, layer: &dyn Layer, p: &Parameters, dims: &[usize]| {
        let graph = Graph::new();
        let x = graph.constant(&tensor(1, dims));
        let y = layer.forward(&p.bind(&graph), x).unwrap().dims().unwrap();
        let table = summary(layer, p, &dims[1..]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let last = table.rows.last().map_or(&table.input, |row| &row.output);
        assert_eq!(last[..], y[1..], "{name}");
        assert_eq!(table.parameters, p.element_count(), "{name}");
    };
    let mut p = parameters();
    let mut root = p.root();
    let s = &mut root;
    let he = Initialization::He;
    let windows = [Window::new(3).stride(2).padding(1), Window::new(3).stride(3)];
    let up = ConvTranspose2dSpec {
        windows,
        output_padding: [1, 2],
        ..ConvTranspose2dSpec::double(4, 2)
    };
    let network = Sequential::new()
        .then(SeparableConv2d::new(&mut s.scope("a"), 2, 4, 3).unwrap())
        .then(BatchNorm2d::new(&mut s.scope("b"), 4, Default::default()).unwrap())
        .then(Prelu::new(&mut s.scope("c"), 4).unwrap())
        .then(ConvTranspose2d::new(&mut s.scope("d"), up).unwrap())
        .then(GroupNorm::new(&mut s.scope("e"), 1, 2).unwrap())
        .then(InstanceNorm2d::new(&mut s.scope("f"), 2, true).unwrap())
        .then(MaxPool2d::new([2, 3]))
        .then(Activation::Gelu)
        .then(Activation::Glu { axis: 1 })
        .then(Upsample::default())
        .then(Resize { size: [5, 9], interpolation: Interpolation::Nearest })
        .then(AveragePool2d::new([2, 2]))
        .then(MaxPool2d { ceil: true, ..MaxPool2d::new([1, 3]) })
        .then(AdaptiveMaxPool2d { size: [2, 5] })
        .then(AdaptiveAveragePool2d { size: [3, 2] })
        .then(Dropout::new(&s.scope("g"), 0.5).unwrap())
        .then(Flatten)
        .then(Linear::new(&mut s.scope("h"), 6, 3, he).unwrap());
    check("images", &network, &p, &[2, 2, 7, 6]);

    let mut p = parameters();
    let mut root = p.root();
    let s = &mut root;
    let up = ConvTranspose1dSpec {
        inputs: 4,
        outputs: 2,
        window: Window::new(2).stride(2),
        output_padding: 0,
        groups: 1,
        bias: true,
        initialization: he,
    };
    let both = RecurrentSpec { layers: 2, bidirectional: true, ..RecurrentSpec::new(4, 3) };
    let network = Sequential::new()
        .then(Conv1d::new(&mut s.scope("a"), Conv1dSpec::same(3, 4, 3)).unwrap())
        .then(BatchNorm1d::new(&mut s.scope("b"), 4, Default::default()).unwrap())
        .then(MaxPool1d::new(2))
        .then(ConvTranspose1d::new(&mut s.scope("c"), up).unwrap())
        .then(MaxPool1d { ceil: true, ..MaxPool1d::new(3) })
        .then(AdaptiveMaxPool1d { size: 5 })
        .then(AdaptiveAveragePool1d { size: 8 })
        .then(AveragePool1d {
            stride: 1,
            padding: 1,
            divisor: pullback_nn::kernel::pool::Divisor::Pixels,
            ..AveragePool1d::new(3)
        })
        .then(Gru::new(&mut s.scope("d"), 8, 4).unwrap())
        .then(Lstm::with_spec(&mut s.scope("e"), both).unwrap())
        .then(MultiHeadAttention::new(&mut s.scope("f"), 6, 2).unwrap())
        .then(LayerNorm::new(&mut s.scope("g"), &[6]).unwrap())
        .then(RmsNorm::new(&mut s.scope("h"), &[6]).unwrap());
    check("sequences", &network, &p, &[2, 3, 8]);

    struct Silent;
    impl Layer for Silent {
        fn forward<'g>(
            &self,
            _: &pullback_nn::Bound<'g>,
            x: pullback_core_graph::Var<'g>,
        ) -> pullback_core_graph::Result<pullback_core_graph::Var<'g>> {
            Ok(x)
        }
    }
    let error = summary(&Silent, &p, &[1]).unwrap_err();
    assert!(matches!(error, Error::Undescribed { layer } if layer.contains("Silent")), "{error}");
}

/// The receptive field of the table bounds the nonzero derivatives of the middle output, and is reached along both axes.
fn check_receptive_field(network: &Sequential, p: &Parameters, [height, width]: [usize; 2]) {
    let table = summary(network, p, &[1, height, width]).unwrap();
    let graph = Graph::new();
    let x = graph.input(&tensor(3, &[1, 1, height, width]));
    let y = network.forward(&p.bind(&graph), x).unwrap();
    let [_, _, h, w] = y.dims().unwrap()[..] else { panic!() };
    let one = y.get(3, w / 2).get(2, h / 2).sum(());
    let gradient = graph.gradient(one, &[x]).unwrap()[0].reshape((height, width)).unwrap();
    let gradient: Tensor = gradient.abs().unwrap();
    let fields = &table.rows.last().unwrap().receptive;
    assert_eq!(fields.len(), 2);
    for (axis, field) in fields.iter().enumerate() {
        let along: Vec<f64> = gradient.sum(1 - axis).unwrap().to_vec1().unwrap();
        let first = along.iter().position(|v| *v != 0.0).unwrap();
        let last = along.iter().rposition(|v| *v != 0.0).unwrap();
        assert_eq!((last - first + 1) as f64, field.size, "axis {axis} of {height}×{width}");
    }
}

/// What one output sees, by pulling back from it.
#[test]
fn receptive_fields_are_those_of_the_derivative() {
    let mut p = parameters();
    let mut root = p.root();
    let s = &mut root;
    let strided = Conv2dSpec {
        options: pullback_nn::ops::Conv2dOptions {
            stride: [2, 1],
            padding: [1, 1],
            dilation: [1, 2],
            groups: 1,
        },
        ..Conv2dSpec::same(1, 2, 3)
    };
    let network = Sequential::new()
        .then(Conv2d::new(&mut s.scope("a"), strided).unwrap())
        .then(AveragePool2d::new([2, 2]))
        .then(Conv2d::new(&mut s.scope("b"), Conv2dSpec::same(2, 1, 3)).unwrap());
    check_receptive_field(&network, &p, [40, 40]);
    // The middle one of three windows over five pixels is three long, as are those over nine.
    let adaptive = |size| Sequential::new().then(AdaptiveAveragePool2d { size });
    check_receptive_field(&adaptive([3, 3]), &p, [5, 9]);
    check_receptive_field(&adaptive([3, 1]), &p, [5, 7]);
    check_receptive_field(&adaptive([4, 4]), &p, [3, 4]);
    let network = Sequential::new()
        .then(Conv2d::new(&mut p.root().scope("c"), strided).unwrap())
        .then(AdaptiveAveragePool2d { size: [3, 4] });
    // The convolution leaves 5×18 pixels: windows of three and five.
    check_receptive_field(&network, &p, [10, 20]);
}
