//! Orthonormal vectors, kept orthonormal to rounding.

use super::Random;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
}

pub(super) fn norm(x: &[f64]) -> f64 {
    // Scaled, so that no square over- or underflows.
    let largest = largest(x);
    if largest == 0.0 {
        return 0.0;
    }
    largest * x.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}

/// y ← y + a·x.
pub(super) fn add(a: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

/// An orthonormal set that grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Basis {
    pub(super) vectors: Vec<Vec<f64>>,
}

impl Basis {
    /// Takes out of w what lies in the span, twice: after the second pass it is orthogonal to rounding (Giraud, Langou and
    /// Rozložník, The loss of orthogonality in the Gram-Schmidt orthogonalization process, 2005). Returns what is left of ‖w‖.
    pub(super) fn orthogonalize(&self, w: &mut [f64]) -> f64 {
        for _ in 0..2 {
            for q in &self.vectors {
                add(-dot(q, w), q, w);
            }
        }
        norm(w)
    }

    /// Adds what is new in w as a unit vector. False, and nothing added, where no more than `tolerance` of ‖w‖ is new.
    pub(super) fn push(&mut self, mut w: Vec<f64>, tolerance: f64) -> bool {
        // By the largest first: the norm of huge numbers overflows.
        let largest = largest(&w);
        w.iter_mut().for_each(|x| *x /= largest);
        let before = norm(&w);
        if !before.is_finite() {
            return false;
        }
        let left = self.orthogonalize(&mut w);
        if left <= tolerance * before {
            return false;
        }
        w.iter_mut().for_each(|x| *x /= left);
        // What is left of a nearly dependent vector was rounded relative to the whole: once more at its own size.
        let left = self.orthogonalize(&mut w);
        w.iter_mut().for_each(|x| *x /= left);
        self.vectors.push(w);
        true
    }

    /// Adds a random unit vector orthogonal to the others. False if they span all n dimensions.
    pub(super) fn push_random(&mut self, n: usize, random: &mut Random) -> bool {
        // A draw lies in the span of fewer than n vectors with probability 0; some tries guard against rounding.
        self.vectors.len() < n && (0..8).any(|_| self.push(random.normals(n), 1e-8))
    }
}
