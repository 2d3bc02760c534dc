//! A curve of low loss between two solutions.

use std::sync::Arc;

use pullback_core_graph::Function;

use super::curvature::value_and_gradient;
use super::operator::{check_finite, check_length};
use super::parameters::Parameters;
use super::random::Random;
use super::slice::{Slice, losses};
use crate::{Error, Result};

/// How the middle of the curve is trained.
#[derive(Debug, Clone, Copy)]
pub struct BezierOptions {
    /// Steps of Adam.
    pub steps: usize,
    /// Its rate.
    pub rate: f64,
    /// Points of the curve in each step, one drawn in each of as many equal parts of [0, 1].
    pub points: usize,
    /// Seed of the points.
    pub seed: u64,
}

impl Default for BezierOptions {
    fn default() -> Self {
        BezierOptions { steps: 200, rate: 0.03, points: 4, seed: 1 }
    }
}

/// φ(t) = (1 − t)²·a + 2t(1 − t)·m + t²·b.
#[derive(Debug, Clone, PartialEq)]
pub struct Bezier {
    /// a, m, b.
    pub control: [Vec<f64>; 3],
    /// The mean loss over the points of each step.
    pub history: Vec<f64>,
}

/// Trains the middle of a quadratic Bézier curve between two solutions for a low mean loss along it (Garipov, Izmailov, Podoprikhin,
/// Vetrov and Wilson, Loss surfaces, mode connectivity, and fast ensembling of DNNs, 2018, section 3).
///
/// Errors: other lengths; no points; an end, a loss, a gradient or a step on the way that is not finite.
pub fn bezier(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    a: &[f64],
    b: &[f64],
    options: BezierOptions,
) -> Result<Bezier> {
    check_length("start of a curve", layout.len(), a.len())?;
    check_length("end of a curve", layout.len(), b.len())?;
    if options.points == 0 {
        return Err(Error::invalid("curve between solutions", "no points"));
    }
    check_finite("start of a curve", "parameter", a)?;
    check_finite("end of a curve", "parameter", b)?;
    let middle: Vec<f64> = a.iter().zip(b).map(|(a, b)| 0.5 * a + 0.5 * b).collect();
    let mut curve = Bezier { control: [a.to_vec(), middle, b.to_vec()], history: vec![] };
    let (mut mean, mut square) = (vec![0.0; a.len()], vec![0.0; a.len()]);
    let (keep_mean, keep_square, small): (f64, f64, f64) = (0.9, 0.999, 1e-8);
    let mut random = Random::new(options.seed);
    let share = 1.0 / options.points as f64;
    for step in 1..=options.steps {
        let mut slope = vec![0.0; a.len()];
        let mut total = 0.0;
        for k in 0..options.points {
            let t = (k as f64 + random.uniform()) * share;
            let (value, g) = value_and_gradient(loss, &layout.unravel(&curve.at(t))?)?;
            total += share * value;
            super::basis::add(share * 2.0 * t * (1.0 - t), &g, &mut slope);
        }
        curve.history.push(total);
        let correction =
            (1.0 - keep_square.powi(step as i32)).sqrt() / (1.0 - keep_mean.powi(step as i32));
        for (i, g) in slope.iter().enumerate() {
            mean[i] = keep_mean * mean[i] + (1.0 - keep_mean) * g;
            square[i] = keep_square * square[i] + (1.0 - keep_square) * g * g;
            let scale = square[i].sqrt() + small;
            curve.control[1][i] -= options.rate * correction * mean[i] / scale;
        }
        let place = format!("curve between solutions, step {step} at the rate {}", options.rate);
        check_finite(&place, "parameter", &curve.control[1])?;
    }
    Ok(curve)
}

impl Bezier {
    /// φ(t).
    pub fn at(&self, t: f64) -> Vec<f64> {
        let [a, m, b] = &self.control;
        let weights = [(1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t];
        (0..a.len()).map(|i| weights[0] * a[i] + weights[1] * m[i] + weights[2] * b[i]).collect()
    }

    /// The loss along the curve. Errors: as of [`super::slice`].
    pub fn slice(
        &self,
        loss: &Arc<dyn Function>,
        layout: &Parameters,
        at: &[f64],
    ) -> Result<Slice> {
        Ok(Slice { at: at.to_vec(), loss: losses(loss, layout, at.len(), |i| self.at(at[i]))? })
    }
}
