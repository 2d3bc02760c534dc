//! Two-dimensional sets of points for classification, which no straight line separates.

use std::f64::consts::{PI, TAU};

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::dataset::Labelled;
use crate::error::{Result, check_positive};
use crate::random::normal_pair;

/// Two half circles of radius 1 that reach into each other: (cos t, sin t) and (1 − cos t, ½ − sin t) for t in \[0, π\], evenly
/// spaced, with normal noise. Inputs (2·each, 2) of `f32`.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for no points, [`Error::Setting`](crate::Error::Setting) for negative noise.
pub fn two_moons(each: usize, noise: f64, seed: u64) -> Result<Labelled> {
    check_positive("two_moons", "each", each)?;
    points(2, each, noise, seed, |class, part| {
        let (sine, cosine) = (PI * part).sin_cos();
        if class == 0 { [cosine, sine] } else { [1.0 - cosine, 0.5 - sine] }
    })
}

/// Arms of a spiral: radius from 0 to 1 evenly spaced, angle 2π·(turns·radius + class/classes), with normal noise. Inputs
/// (classes·each, 2) of `f32`.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for no points or classes, [`Error::Setting`](crate::Error::Setting) for negative
/// noise.
pub fn spirals(classes: usize, each: usize, turns: f64, noise: f64, seed: u64) -> Result<Labelled> {
    check_positive("spirals", "classes", classes)?;
    check_positive("spirals", "each", each)?;
    points(classes, each, noise, seed, |class, radius| {
        let angle = TAU * (turns * radius + class as f64 / classes as f64);
        [radius * angle.cos(), radius * angle.sin()]
    })
}

/// `curve(class, part)` for parts from 0 to 1.
fn points(
    classes: usize,
    each: usize,
    noise: f64,
    seed: u64,
    curve: impl Fn(usize, f64) -> [f64; 2],
) -> Result<Labelled> {
    if !(noise >= 0.0 && noise.is_finite()) {
        let reason = "must not be negative";
        return Err(crate::Error::Setting { name: "noise", value: noise, reason });
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut labels) = (vec![], vec![]);
    for class in 0..classes {
        for k in 0..each {
            let [x, y] = curve(class, k as f64 / (each - 1).max(1) as f64);
            let [dx, dy] = normal_pair(&mut random, noise);
            values.extend([(x + dx) as f32, (y + dy) as f32]);
            labels.push(class as u32);
        }
    }
    let n = labels.len();
    let inputs = Tensor::from_vec(values, (n, 2), &Device::Cpu)?;
    let labels = Tensor::from_vec(labels, n, &Device::Cpu)?;
    Labelled::new(&inputs, &labels, (0..classes).map(|class| class.to_string()).collect())
}
