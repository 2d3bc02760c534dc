//! Digits drawn from strokes, each with its own slant, size, place, wobble and pen: a set like the handwritten ones, made offline.

use std::f64::consts::TAU;

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dataset::Labelled;
use crate::error::{Error, Result, check_positive, room};

type Point = [f64; 2];

/// `each` pictures of every digit, in turns: inputs (10·each, 1, size, size) of `f32` from 0, paper, to 1, ink.
///
/// A picture depends on the seed and its place alone, so that a longer set begins with a shorter one.
///
/// # Errors
/// [`Error::Argument`] if `each` is 0 or `size` below 8, or there is no memory for so many.
pub fn digits(each: usize, size: usize, seed: u64) -> Result<Labelled> {
    check_positive("digits", "each", each)?;
    if size < 8 {
        let (operation, argument, reason) = ("digits", "size", "must be 8 or more");
        return Err(Error::Argument { operation, argument, value: size, reason });
    }
    let n = each.saturating_mul(10);
    if !room::<f32>(&[n, size, size]) {
        let (operation, argument, reason) =
            ("digits", "each", "there is no memory for the pictures");
        return Err(Error::Argument { operation, argument, value: each, reason });
    }
    let mut pixels = Vec::with_capacity(n * size * size);
    for index in 0..n {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(index as u64);
        draw(&mut pixels, &written(index % 10, &mut random), &mut random, size);
    }
    let inputs = Tensor::from_vec(pixels, (n, 1, size, size), &Device::Cpu)?;
    let labels = Tensor::from_vec((0..n).map(|i| (i % 10) as u32).collect(), n, &Device::Cpu)?;
    Labelled::new(&inputs, &labels, (0..10).map(|digit| digit.to_string()).collect())
}

/// Points on an ellipse, angles in turns, clockwise from the right as y points down.
fn arc(centre: Point, radii: Point, from: f64, to: f64) -> Vec<Point> {
    let at = |k: usize| {
        let (sine, cosine) = (TAU * (from + (to - from) * k as f64 / 16.0)).sin_cos();
        [centre[0] + radii[0] * cosine, centre[1] + radii[1] * sine]
    };
    (0..=16).map(at).collect()
}

/// The strokes of a digit in the unit square, y down.
fn strokes(digit: usize, crossed: bool) -> Vec<Vec<Point>> {
    match digit {
        0 => vec![arc([0.5, 0.5], [0.27, 0.4], -0.25, 0.75)],
        1 => vec![vec![[0.33, 0.28], [0.54, 0.1], [0.54, 0.9]]],
        2 => {
            let mut line = arc([0.5, 0.33], [0.25, 0.23], 0.5, 1.1);
            line.extend([[0.24, 0.9], [0.78, 0.9]]);
            vec![line]
        }
        3 => {
            let mut line = arc([0.46, 0.3], [0.24, 0.2], 0.55, 1.25);
            line.extend(arc([0.46, 0.7], [0.28, 0.2], -0.25, 0.45));
            vec![line]
        }
        4 => vec![vec![[0.62, 0.9], [0.62, 0.1], [0.2, 0.65], [0.84, 0.65]]],
        5 => {
            let mut line = vec![[0.74, 0.1], [0.33, 0.1], [0.29, 0.47]];
            line.extend(arc([0.47, 0.65], [0.28, 0.25], -0.33, 0.4));
            vec![line]
        }
        6 => {
            let mut line = vec![[0.66, 0.1], [0.44, 0.26], [0.29, 0.5]];
            line.extend(arc([0.5, 0.68], [0.24, 0.22], 0.5, 1.5));
            vec![line]
        }
        7 => {
            let mut all = vec![vec![[0.22, 0.1], [0.78, 0.1], [0.42, 0.9]]];
            if crossed {
                all.push(vec![[0.35, 0.5], [0.75, 0.5]]);
            }
            all
        }
        8 => vec![
            arc([0.5, 0.3], [0.21, 0.2], 0.25, 1.25),
            arc([0.5, 0.7], [0.26, 0.2], -0.25, 0.75),
        ],
        _ => {
            let mut line = arc([0.5, 0.32], [0.24, 0.22], 0.0, 1.0);
            line.extend([[0.73, 0.55], [0.6, 0.9]]);
            vec![line]
        }
    }
}

/// A hand's version of a digit: turned, slanted, scaled, moved, and with a slow wobble.
fn written(digit: usize, random: &mut ChaCha8Rng) -> Vec<Vec<Point>> {
    let mut between = |low: f64, high: f64| low + (high - low) * random.random::<f64>();
    let (sine, cosine) = between(-0.2, 0.2).sin_cos();
    let slant = between(-0.25, 0.25);
    let scale = [between(0.75, 1.05), between(0.8, 1.02)];
    let shift = [between(-0.06, 0.06), between(-0.06, 0.06)];
    let wobble = [between(0.0, 0.03), between(0.0, 0.03)];
    let phase = [between(0.0, TAU), between(0.0, TAU)];
    let crossed = between(0.0, 1.0) < 0.3;
    let place = |[x, y]: Point| {
        let bent = [
            x - 0.5 + wobble[0] * (1.5 * TAU * y + phase[0]).sin(),
            y - 0.5 + wobble[1] * (1.5 * TAU * x + phase[1]).sin(),
        ];
        let (x, y) = (scale[0] * (bent[0] - slant * bent[1]), scale[1] * bent[1]);
        [0.5 + shift[0] + cosine * x - sine * y, 0.5 + shift[1] + sine * x + cosine * y]
    };
    strokes(digit, crossed).into_iter().map(|line| line.into_iter().map(place).collect()).collect()
}

/// Ink falls off over the width of a pixel at the pen's edge.
fn draw(pixels: &mut Vec<f32>, lines: &[Vec<Point>], random: &mut ChaCha8Rng, size: usize) {
    let pixel = 1.0 / size as f64;
    let pen = 0.035 + 0.035 * random.random::<f64>();
    for row in 0..size {
        for column in 0..size {
            let at = [(column as f64 + 0.5) * pixel, (row as f64 + 0.5) * pixel];
            let parts = lines.iter().flat_map(|line| line.windows(2));
            let nearest = parts.map(|p| distance(at, p[0], p[1])).fold(f64::INFINITY, f64::min);
            pixels.push(((pen - nearest) / pixel + 0.5).clamp(0.0, 1.0) as f32);
        }
    }
}

/// From a point to a line between two others.
fn distance(p: Point, a: Point, b: Point) -> f64 {
    let (ab, ap) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let square = ab[0] * ab[0] + ab[1] * ab[1];
    let part =
        if square > 0.0 { ((ap[0] * ab[0] + ap[1] * ab[1]) / square).clamp(0.0, 1.0) } else { 0.0 };
    (ap[0] - part * ab[0]).hypot(ap[1] - part * ab[1])
}
