//! The models of the tests, states in contact, and comparisons.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use pullback_diffphys::{Data, Model, Options, mjcf};

/// Names of the files in `tests/models` that MuJoCo's numbers are known of.
pub const MODELS: [&str; 10] = [
    "shapes",
    "cones",
    "pile",
    "logs",
    "arm",
    "arm_implicit",
    "arm_rk",
    "spinner",
    "blocks",
    "tumbler",
];

/// Those of `tests/models/joints`: connect and weld, media, spatial tendons, transmissions, forces at their bounds and what no degree of
/// freedom moves, actuation switched off.
pub const JOINTS: [&str; 9] = [
    "joints/tied",
    "joints/medium",
    "joints/medium_implicit",
    "joints/strings",
    "joints/strings_implicit",
    "joints/servos",
    "joints/bounds",
    "joints/idle",
    "joints/idle_rk",
];

/// A model of `tests/models`, solved as far as rounding lets it.
pub fn model(name: &str) -> Model {
    let path = format!("{}/tests/models/{name}.xml", env!("CARGO_MANIFEST_DIR"));
    let mut model = mjcf::load(path).unwrap();
    let options = Options { tolerance: 0.0, iterations: 100, ls_iterations: 100, ..*model.opt() };
    model.set_options(options).unwrap();
    model
}

/// The largest difference, relative to the largest number of the second list (at least `floor`).
pub fn error(a: &[f64], b: &[f64], floor: f64) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(floor, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0f64, |m, (x, y)| m.max((x - y).abs())) / scale
}

/// Not special in any way; the generator of reference numbers has the same.
pub fn direction(n: usize) -> Vec<f64> {
    (0..n).map(|k| (1.0 + 0.7 * k as f64).sin()).collect()
}

/// States along a rollout from the first keyframe (if any) with changing controls, every `every` steps.
pub fn states(model: &Model, count: usize, every: usize) -> Vec<Data> {
    let mut data = Data::new(model);
    if !model.key().is_empty() {
        data.reset_to_key(model, 0).unwrap();
    }
    let mut out = Vec::new();
    for step in 0..count * every {
        for (k, u) in data.ctrl.iter_mut().enumerate() {
            *u = 0.4 * (0.13 * step as f64 + 1.7 * k as f64).sin();
        }
        if step % every == every - 1 {
            out.push(data.clone());
        }
        model.step(&mut data).unwrap();
    }
    out
}

/// y = A·x, row-major.
pub fn multiply(a: &[f64], x: &[f64]) -> Vec<f64> {
    if x.is_empty() {
        return Vec::new();
    }
    a.chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

/// y = Aᵀ·x, row-major.
pub fn multiply_transpose(a: &[f64], x: &[f64]) -> Vec<f64> {
    let width = a.len() / x.len();
    let mut y = vec![0.0; width];
    for (row, x) in a.chunks_exact(width).zip(x) {
        for (y, a) in y.iter_mut().zip(row) {
            *y += a * x;
        }
    }
    y
}
