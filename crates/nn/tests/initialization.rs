//! Initial values: moments, bounds, orthogonality, names, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use pullback_core_graph::candle::{DType, Device};
use pullback_nn::parameters::initialization::gain;
use pullback_nn::parameters::{Fan, Initialization};
use pullback_nn::{Error, Parameters};

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
    assert!(matches!(&error, Error::Name { known, .. } if known.contains("orthogonal")), "{error}");
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
