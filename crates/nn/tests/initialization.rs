//! Initial values: moments, bounds, orthogonality, names, PyTorch's defaults of every layer, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;

use pullback_core_graph::candle::{DType, Device};
use pullback_core_graph::tensor::to_f64;
use pullback_nn::arithmetic::Window;
use pullback_nn::layer::*;
use pullback_nn::parameters::initialization::gain;
use pullback_nn::parameters::{Fan, Initialization, Scope};
use pullback_nn::{Activation, Error, FeedForward, Parameters};
use serde::Deserialize;

fn made(dims: &[usize], seed: u64, dtype: DType, by: Initialization) -> Result<Vec<f64>, Error> {
    let mut p = Parameters::new(seed, dtype, &Device::Cpu);
    p.root().parameter("w", dims, by)?;
    let values = p.get("w")?.flatten_all()?.to_dtype(DType::F64)?;
    Ok(values.to_vec1()?)
}

fn wide(dims: &[usize], by: Initialization) -> Vec<f64> {
    made(dims, 7, DType::F64, by).unwrap()
}

const DIMS: [usize; 4] = [80, 120, 3, 3];
const FAN_IN: f64 = 120.0 * 9.0;
const FAN_OUT: f64 = 80.0 * 9.0;

/// The mean and variance of a normal number on [a, b], by Simpson's rule.
fn truncated(a: f64, b: f64) -> (f64, f64) {
    let n = 20_000;
    let mut moments = [0.0; 3];
    for i in 0..=n {
        let z = a + (b - a) * f64::from(i) / f64::from(n);
        let weight = if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
        // Relative to the density at a, so that tails do not underflow.
        let density = weight * (0.5 * (a * a - z * z)).exp();
        for (k, m) in moments.iter_mut().enumerate() {
            *m += density * z.powi(k as i32);
        }
    }
    let mean = moments[1] / moments[0];
    (mean, moments[2] / moments[0] - mean * mean)
}

#[test]
fn moments_are_as_stated() {
    use Initialization as I;
    let uniform = |fan: f64, gain: f64| gain * gain / fan;
    let cut = |a: f64, b: f64| {
        let (mean, variance) = truncated(a, b);
        (I::TruncatedNormal { mean: 0.0, deviation: 1.0, low: a, high: b }, mean, variance)
    };
    let table = [
        (I::XavierUniform { gain: 2.0 }, 0.0, 4.0 * 2.0 / (FAN_IN + FAN_OUT)),
        (I::XavierNormal { gain: gain::TANH }, 0.0, 25.0 / 9.0 * 2.0 / (FAN_IN + FAN_OUT)),
        (I::HeUniform { gain: gain::RELU, fan: Fan::In }, 0.0, uniform(FAN_IN, gain::RELU)),
        (I::HeUniform { gain: 1.0, fan: Fan::Out }, 0.0, uniform(FAN_OUT, 1.0)),
        (
            I::HeNormal { gain: gain::leaky_relu(0.5), fan: Fan::Average },
            0.0,
            2.0 / 1.25 / (0.5 * (FAN_IN + FAN_OUT)),
        ),
        (I::HeNormal { gain: 1.0, fan: Fan::Out }, 0.0, 1.0 / FAN_OUT),
        (I::LecunUniform, 0.0, 1.0 / FAN_IN),
        (I::LecunNormal, 0.0, 1.0 / FAN_IN),
        (I::Pytorch, 0.0, 1.0 / (3.0 * FAN_IN)),
        cut(-2.0, 2.0),
        cut(-0.5, 1.0),
        cut(0.1, 0.4),
        cut(1.0, 9.0),
        cut(6.0, 9.0),
        cut(-9.0, -6.0),
        cut(-7.0, -6.9),
        (I::TruncatedNormal { mean: 1.0, deviation: 0.5, low: -100.0, high: 100.0 }, 1.0, 0.25),
    ];
    for (by, mean, variance) in table {
        let v = wide(&DIMS, by);
        let n = v.len() as f64;
        let m = v.iter().sum::<f64>() / n;
        let s = v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / n;
        assert!((m - mean).abs() <= 5.0 * (variance / n).sqrt(), "{by:?}: mean {m}, not {mean}");
        assert!((s - variance).abs() <= 0.04 * variance, "{by:?}: variance {s}, not {variance}");
        if let I::TruncatedNormal { low, high, .. } = by {
            assert!(v.iter().all(|x| (low..=high).contains(x)), "{by:?}");
        }
    }
}

#[test]
fn uniform_ones_fill_their_bounds_and_keep_them() {
    for (by, bound) in [
        (Initialization::XavierUniform { gain: 1.0 }, (6.0 / (FAN_IN + FAN_OUT)).sqrt()),
        (Initialization::HeUniform { gain: 1.0, fan: Fan::In }, (3.0 / FAN_IN).sqrt()),
        (Initialization::LecunUniform, (3.0 / FAN_IN).sqrt()),
        (Initialization::Pytorch, FAN_IN.sqrt().recip()),
        (Initialization::pytorch_bias(&DIMS).unwrap(), FAN_IN.sqrt().recip()),
        (Initialization::pytorch_recurrent(64).unwrap(), 0.125),
    ] {
        let largest = wide(&DIMS, by).iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(largest <= bound && largest > 0.999 * bound, "{by:?}: {largest} of {bound}");
    }
    // Kaiming's bound of slope √5 is PyTorch's own way to write 1/√fan_in.
    let kaiming = gain::leaky_relu(5f64.sqrt()) * (3.0 / FAN_IN).sqrt();
    assert!((kaiming * FAN_IN.sqrt() - 1.0).abs() < 1e-15);
}

#[test]
fn orthogonal_ones_are_orthogonal_and_follow_no_preferred_direction() {
    for dims in [&[40, 30][..], &[30, 40], &[16, 4, 3, 3], &[1, 5], &[5, 1], &[64, 64]] {
        let (rows, columns) = (dims[0], dims[1..].iter().product::<usize>());
        let w = wide(dims, Initialization::Orthogonal { gain: 1.5 });
        let at = |i: usize, k: usize| {
            if rows <= columns { w[i * columns + k] } else { w[k * columns + i] }
        };
        let (count, length) = (rows.min(columns), rows.max(columns));
        for i in 0..count {
            for j in 0..count {
                let dot: f64 = (0..length).map(|k| at(i, k) * at(j, k)).sum();
                let want = if i == j { 2.25 } else { 0.0 };
                assert!((dot - want).abs() < 1e-14, "{dims:?}: ⟨q{i}, q{j}⟩ = {dot}");
            }
        }
    }
    // Of a uniformly distributed 3×3 matrix, every entry has the mean 0 and the variance 1/3.
    let n = 4000;
    let mut moments = [[0.0; 2]; 9];
    for seed in 0..n {
        let q = made(&[3, 3], seed, DType::F64, Initialization::Orthogonal { gain: 1.0 }).unwrap();
        for (m, q) in moments.iter_mut().zip(q) {
            *m = [m[0] + q / n as f64, m[1] + q * q / n as f64];
        }
    }
    for (i, [mean, square]) in moments.into_iter().enumerate() {
        assert!(mean.abs() < 0.04 && (square - 1.0 / 3.0).abs() < 0.025, "{i}: {mean}, {square}");
    }
}

#[test]
fn identities_and_dirac_kernels_copy() {
    assert_eq!(wide(&[2, 3], Initialization::Identity { gain: 2.0 }), [2., 0., 0., 0., 2., 0.]);
    let centre = |dims: &[usize], groups| {
        let taps: usize = dims[2..].iter().product();
        let v = wide(dims, Initialization::Dirac { groups });
        let ones = v.iter().enumerate().filter(|(_, v)| **v != 0.0);
        ones.map(|(i, v)| (i / taps / dims[1], i / taps % dims[1], i % taps, *v))
            .collect::<Vec<_>>()
    };
    assert_eq!(centre(&[3, 2, 3], 1), [(0, 0, 1, 1.0), (1, 1, 1, 1.0)]);
    assert_eq!(centre(&[2, 3, 3, 5], 1), [(0, 0, 7, 1.0), (1, 1, 7, 1.0)]);
    assert_eq!(centre(&[4, 1, 3, 3], 2), [(0, 0, 4, 1.0), (2, 0, 4, 1.0)]);
}

#[test]
fn names_choose_and_unknown_ones_are_refused_with_the_list() {
    let named = |name| Initialization::named(name).unwrap();
    assert_eq!(named("he_normal"), Initialization::HeNormal { gain: gain::RELU, fan: Fan::In });
    assert_eq!(named("kaiming_normal"), named("he_normal"));
    assert_eq!(named("pytorch_linear"), Initialization::Pytorch);
    assert_eq!(wide(&DIMS, Initialization::He), wide(&DIMS, named("he_normal")));
    assert_eq!(wide(&DIMS, Initialization::Xavier), wide(&DIMS, named("xavier_uniform")));
    for name in ["zeros", "truncated_normal", "orthogonal", "lecun_uniform", "pytorch_conv"] {
        assert!(wide(&[4, 3, 2], named(name)).iter().all(|v| v.is_finite()), "{name}");
    }
    let error = Initialization::named("he").unwrap_err();
    let Error::Name { known, .. } = &error else { panic!("{error}") };
    assert!(known.contains("he_normal (kaiming_normal), ") && known.contains("orthogonal, "));
    let listed: Vec<&str> = known.split([',', ' ', '(', ')']).filter(|s| !s.is_empty()).collect();
    assert_eq!(listed.len(), 16 + 7, "{known}");
    for name in listed {
        named(name);
    }
}

#[test]
fn single_precision_is_the_double_precision_rounded_and_seeds_decide() {
    for name in ["he_uniform", "truncated_normal", "orthogonal", "dirac", "pytorch_conv"] {
        let by = Initialization::named(name).unwrap();
        let dims = [6, 5, 3];
        let double = made(&dims, 3, DType::F64, by).unwrap();
        assert_eq!(double, made(&dims, 3, DType::F64, by).unwrap());
        let rounded: Vec<f64> = double.iter().map(|&v| f64::from(v as f32)).collect();
        assert_eq!(made(&dims, 3, DType::F32, by).unwrap(), rounded, "{name}");
        let other = made(&dims, 4, DType::F64, by).unwrap();
        assert_eq!(other == double, name == "dirac", "{name}");
    }
}

/// PyTorch's first values of a parameter over `seeds` seeds.
#[derive(Deserialize)]
struct Statistics {
    shape: Vec<usize>,
    count: usize,
    mean: f64,
    rms: f64,
    largest: f64,
}

#[derive(Deserialize)]
struct Defaults {
    seeds: u64,
    layers: BTreeMap<String, BTreeMap<String, Statistics>>,
}

/// The layer of this name, as `Initialization::named("pytorch")` starts it.
fn start(name: &str, s: &mut Scope<'_>) -> Result<(), Error> {
    let by = Initialization::named("pytorch")?;
    let window = Window::new;
    match name {
        "linear" => Linear::new(s, 30, 50, by).map(drop),
        "conv1d" => {
            let spec = Conv1dSpec { window: window(5), groups: 3, ..Conv1dSpec::same(12, 30, 5) };
            Conv1d::new(s, Conv1dSpec { initialization: by, ..spec }).map(drop)
        }
        "conv2d" => {
            let mut spec = Conv2dSpec { kernel: [3, 5], ..Conv2dSpec::same(8, 24, 3) };
            spec.options.groups = 2;
            Conv2d::new(s, spec.initialized(by)).map(drop)
        }
        "conv_transpose1d" => {
            let (window, output_padding) = (window(4).stride(2), 0);
            let (groups, bias, initialization) = (2, true, by);
            let (inputs, outputs) = (30, 18);
            let spec = ConvTranspose1dSpec {
                inputs,
                outputs,
                window,
                output_padding,
                groups,
                bias,
                initialization,
            };
            ConvTranspose1d::new(s, spec).map(drop)
        }
        "conv_transpose2d" => {
            let spec = ConvTranspose2dSpec::double(10, 24);
            let windows = [window(4), window(3)];
            let spec = ConvTranspose2dSpec { windows, initialization: by, ..spec };
            ConvTranspose2d::new(s, spec).map(drop)
        }
        "embedding" => Embedding::new(s, 40, 25).map(drop),
        "gru" => {
            let spec =
                RecurrentSpec { layers: 2, bidirectional: true, ..RecurrentSpec::new(9, 20) };
            Gru::with_spec(s, spec).map(drop)
        }
        "lstm" => {
            Lstm::with_spec(s, RecurrentSpec { layers: 2, ..RecurrentSpec::new(9, 20) }).map(drop)
        }
        "gru cell" => GruCell::new(s, 9, 20).map(drop),
        "lstm cell" => LstmCell::new(s, 9, 20).map(drop),
        "attention" => MultiHeadAttention::initialized(s, 24, 3, by).map(drop),
        "batch_norm" => BatchNorm2d::new(s, 6, Default::default()).map(drop),
        "layer_norm" => LayerNorm::new(s, &[6]).map(drop),
        "group_norm" => GroupNorm::new(s, 2, 6).map(drop),
        "rms_norm" => RmsNorm::new(s, &[6]).map(drop),
        "instance_norm" => InstanceNorm2d::new(s, 6, true).map(drop),
        "prelu" => Prelu::new(s, 6).map(drop),
        other => panic!("no layer {other:?}"),
    }
}

#[test]
fn layers_start_as_pytorchs_by_name() {
    let table: Defaults = serde_json::from_str(include_str!("data/defaults.json")).unwrap();
    let mut compared = 0;
    for (layer, theirs) in &table.layers {
        let mut ours: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for seed in 0..table.seeds {
            let mut p = Parameters::new(seed, DType::F64, &Device::Cpu);
            start(layer, &mut p.root()).unwrap();
            for (name, tensor) in p.iter().chain(p.buffers()) {
                assert_eq!(tensor.dims(), theirs[name].shape, "{layer}, {name}");
                ours.entry(name.into()).or_default().extend(to_f64(tensor).unwrap());
            }
        }
        assert!(ours.keys().eq(theirs.keys()), "{layer}: {:?}", ours.keys());
        for (name, t) in theirs {
            let (v, n) = (&ours[name], t.count as f64);
            assert_eq!(v.len(), t.count);
            let mean = v.iter().sum::<f64>() / n;
            let rms = (v.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
            let largest = v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let case = format!("{layer}, {name}: mean {mean}, rms {rms}, largest {largest}");
            compared += 1;
            if t.rms == t.mean.abs() {
                // One value for all.
                assert!(v.iter().all(|v| *v == t.mean), "{case}");
                continue;
            }
            assert!((mean - t.mean).abs() <= 7.0 * t.rms / n.sqrt(), "{case}, not {}", t.mean);
            assert!((rms / t.rms - 1.0).abs() <= 5.0 / n.sqrt(), "{case}, not {}", t.rms);
            // A uniform distribution has an end, √3 times its deviation; a normal one has not.
            let tolerance = if t.largest < 1.8 * t.rms { 20.0 / n } else { 0.2 };
            assert!((largest / t.largest - 1.0).abs() <= tolerance, "{case}, not {}", t.largest);
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn other_initializations_leave_biases_at_zero_and_pytorchs_moves_those_of_compositions() {
    for (by, moves) in [(Initialization::He, false), (Initialization::Pytorch, true)] {
        let mut p = Parameters::new(1, DType::F64, &Device::Cpu);
        let (mut root, tanh) = (p.root(), Activation::Tanh);
        FeedForward::new(&mut root.scope("f"), &[3, 4, 2], tanh, tanh, by).unwrap();
        SeparableConv2d::initialized(&mut root.scope("s"), [3, 4], 3, by).unwrap();
        let options = ResidualOptions { zero_second: false, initialization: by, relu: true };
        ResidualBlock::new(&mut root.scope("r"), 3, 4, options).unwrap();
        let biases = p.iter().filter(|(name, _)| name.ends_with("bias"));
        let moved: Vec<bool> =
            biases.map(|(_, t)| to_f64(t).unwrap().iter().any(|v| *v != 0.0)).collect();
        assert_eq!(moved, vec![moves; 5], "{by:?}");
    }
    let bias = |by: Initialization| by.of_bias(&[3]);
    assert_eq!(bias(Initialization::He).unwrap(), Initialization::Constant(0.0));
    assert!(matches!(bias(Initialization::Pytorch), Err(Error::Parameter { .. })));
}

#[test]
fn bad_settings_and_shapes_are_typed_errors() {
    use Initialization as I;
    let refused = |dims: &[usize], by| made(dims, 1, DType::F64, by).unwrap_err();
    for by in [
        I::Uniform { low: 1.0, high: 0.0 },
        I::Uniform { low: f64::NAN, high: 0.0 },
        I::Normal { mean: 0.0, deviation: -1.0 },
        I::Normal { mean: f64::NAN, deviation: 1.0 },
        I::TruncatedNormal { mean: 0.0, deviation: 0.0, low: -1.0, high: 1.0 },
        I::TruncatedNormal { mean: 0.0, deviation: 1.0, low: 1.0, high: 1.0 },
        I::XavierNormal { gain: f64::INFINITY },
        I::HeUniform { gain: -1.0, fan: Fan::In },
        I::Orthogonal { gain: f64::NAN },
    ] {
        let error = refused(&[3, 2], by);
        assert!(matches!(error, Error::Setting { .. }), "{by:?}: {error}");
    }
    for (dims, by) in [
        (&[3][..], I::Pytorch),
        (&[3, 0], I::Orthogonal { gain: 1.0 }),
        (&[3], I::Identity { gain: 1.0 }),
        (&[3, 3], I::Dirac { groups: 1 }),
        (&[3, 3, 1], I::Dirac { groups: 2 }),
        (&[3, 3, 0], I::Dirac { groups: 1 }),
        (&[3, 3, 1], I::Dirac { groups: 0 }),
    ] {
        let error = refused(dims, by);
        assert!(matches!(error, Error::Parameter { .. }), "{dims:?} {by:?}: {error}");
    }
    assert!(matches!(I::pytorch_bias(&[3]), Err(Error::Parameter { .. })));
    assert!(matches!(I::pytorch_recurrent(0), Err(Error::Argument { .. })));
}

#[test]
fn parameters_for_which_there_is_no_memory_are_refused() {
    let most = usize::MAX;
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let mut root = parameters.root();
    let zero = Initialization::Constant(0.0);
    let errors = [
        Linear::new(&mut root, most, 2, Initialization::Xavier).map(|_| ()).unwrap_err(),
        Linear::new(&mut root, 1 << 50, 1, zero).map(|_| ()).unwrap_err(),
        Linear::new(&mut root, 1 << 60, 1, zero).map(|_| ()).unwrap_err(),
        Embedding::new(&mut root, most, 2).map(|_| ()).unwrap_err(),
        Conv2d::new(&mut root, Conv2dSpec::depthwise(1 << 40, 1 << 10, 3)).map(|_| ()).unwrap_err(),
        MultiHeadAttention::new(&mut root, most, 1).map(|_| ()).unwrap_err(),
        root.buffer("running", &[most, most], 0.0).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Parameter { .. }), "{error}");
        assert!(error.to_string().contains("no memory for numbers of dimensions ["), "{error}");
    }
    let endless = RecurrentSpec { layers: most, ..RecurrentSpec::new(1, 1) };
    for error in [
        Lstm::with_spec(&mut root, endless).map(|_| ()).unwrap_err(),
        Gru::new(&mut root, 2, most).map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Argument { argument: "layers", .. }), "{error}");
    }
    assert!(parameters.is_empty());
}

#[test]
fn first_values_are_finite_or_refused() {
    let far =
        |deviation, low, high| Initialization::TruncatedNormal { mean: 0.0, deviation, low, high };
    let unbounded = Initialization::Uniform { low: -f64::MAX, high: f64::MAX };
    let wide = Initialization::Normal { mean: 0.0, deviation: f64::INFINITY };
    for by in [Initialization::Constant(f64::NAN), Initialization::Constant(1e300), unbounded, wide]
    {
        let refused = made(&[2, 2], 1, DType::F32, by);
        assert!(matches!(refused, Err(Error::Graph(_))), "{by:?}: {refused:?}");
    }
    for by in [far(f64::INFINITY, 0.0, 1.0), far(1e-310, 1.0, 2.0), far(1e-310, -2.0, -1.0)] {
        let refused = made(&[2, 2], 1, DType::F64, by);
        assert!(matches!(refused, Err(Error::Setting { name: "deviation", .. })), "{refused:?}");
    }
    // As many deviations away that their squares overflow: all of the mass is at the nearer bound.
    assert_eq!(made(&[3], 1, DType::F64, far(1e-300, 1.0, 2.0)).unwrap(), [1.0; 3]);
    assert_eq!(made(&[3], 1, DType::F64, far(1e-300, -2.0, -1.0)).unwrap(), [-1.0; 3]);
    // Bounds that are the same number of deviations away, one whose square overflows, or that number itself when it is doubled.
    for (mean, deviation) in [(-1e17, 1e-140), (-1e17, 1e-291)] {
        let by = Initialization::TruncatedNormal { mean, deviation, low: 1.0, high: 2.0 };
        assert_eq!(made(&[3], 1, DType::F64, by).unwrap(), [1.0; 3]);
    }
}
