//! Inputs of the cases, by the same formulas as benches/peers/graph_data.py.

use crate::objectives::BONES;
use benches::peer::fill;

/// Logarithms of weights, means, inverse covariance factors, one after the other; and the points, sample by sample.
pub(crate) fn mixture(d: usize, k: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
    let factors = fill(2, k * d * (d + 1) / 2, 0.5);
    ([fill(0, k, 1.0), fill(1, k * d, 1.0), factors].concat(), fill(3, n * d, 2.0))
}

/// Cameras × 11, points × 3, weights, features × 2.
pub(crate) struct Bundle {
    pub(crate) cameras: Vec<f64>,
    pub(crate) points: Vec<f64>,
    pub(crate) weights: Vec<f64>,
    pub(crate) features: Vec<f64>,
}

impl Bundle {
    pub(crate) fn new(cameras: usize, points: usize, observations: usize) -> Self {
        let base = [0.1, -0.2, 0.15, 0.1, -0.1, 0.2, 500.0, 320.0, 240.0, -0.05, 0.01];
        let change = fill(0, 11 * cameras, 0.1);
        let mut at = fill(1, 3 * points, 1.0);
        at.chunks_exact_mut(3).for_each(|x| x[2] += 6.0);
        let weights = fill(2, observations, 0.1).iter().map(|v| 1.0 + v).collect();
        Bundle {
            cameras: change.iter().enumerate().map(|(i, v)| base[i % 11] * (1.0 + v)).collect(),
            points: at,
            weights,
            features: fill(3, 2 * observations, 100.0).iter().map(|v| v + 300.0).collect(),
        }
    }

    /// What observation i sees: 11 + 3 + 1 + 2 numbers, for all i, into `x`.
    pub(crate) fn gather(&self, x: &mut [f64]) {
        let (cameras, points) = (self.cameras.len() / 11, self.points.len() / 3);
        for (i, x) in x.chunks_exact_mut(17).enumerate() {
            x[..11].copy_from_slice(&self.cameras[11 * (i % cameras)..][..11]);
            x[11..14].copy_from_slice(&self.points[3 * (i % points)..][..3]);
            x[14] = self.weights[i];
            x[15..].copy_from_slice(&self.features[2 * i..][..2]);
        }
    }
}

fn rotation(v: &[f64]) -> [[f64; 3]; 3] {
    let angle = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
    let [x, y, z] = [v[0] / angle, v[1] / angle, v[2] / angle];
    let (s, c) = (angle.sin(), angle.cos());
    let k = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let square: f64 = (0..3).map(|l| k[i][l] * k[l][j]).sum();
            f64::from(i == j) + s * k[i][j] + (1.0 - c) * square
        })
    })
}

/// A rigid transform: rotation and, in the last column, translation.
pub(crate) type Transform = [[f64; 4]; 3];

fn transforms(turns: usize, shifts: usize) -> Vec<Transform> {
    let (turns, shifts) = (fill(turns, 3 * BONES, 0.5), fill(shifts, 3 * BONES, 0.4));
    let one = |(turn, shift): (&[f64], &[f64])| -> Transform {
        let turn = rotation(turn);
        std::array::from_fn(|i| [turn[i][0], turn[i][1], turn[i][2], shift[i]])
    };
    turns.chunks_exact(3).zip(shifts.chunks_exact(3)).map(one).collect()
}

/// Parameters, transforms of the bones, and per vertex 3 coordinates, 22 weights, 3 coordinates of its target.
pub(crate) struct Hand {
    pub(crate) theta: Vec<f64>,
    pub(crate) relative: Vec<Transform>,
    pub(crate) inverse: Vec<Transform>,
    pub(crate) samples: Vec<f64>,
}

impl Hand {
    pub(crate) fn new(n: usize) -> Self {
        let (vertices, weights) = (fill(5, 3 * n, 1.0), fill(6, BONES * n, 0.9));
        let targets = fill(7, 3 * n, 1.0);
        let mut samples = Vec::with_capacity(n * (6 + BONES));
        for i in 0..n {
            samples.extend(&vertices[3 * i..][..3]);
            let row: Vec<f64> = weights[BONES * i..][..BONES].iter().map(|w| 1.0 + w).collect();
            let sum: f64 = row.iter().sum();
            samples.extend(row.iter().map(|w| w / sum));
            samples.extend(&targets[3 * i..][..3]);
        }
        let (relative, inverse) = (transforms(1, 2), transforms(3, 4));
        Hand { theta: fill(0, 26, 0.3), relative, inverse, samples }
    }
}
