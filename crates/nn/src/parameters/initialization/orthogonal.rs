//! Random matrices with orthonormal rows or columns.

use rand_chacha::ChaCha8Rng;

use super::distribution::normal;

/// gain·Q of shape (rows, columns).
///
/// Gram and Schmidt's process turns vectors of independent normal numbers into orthonormal ones; with R's diagonal positive, as it
/// leaves it, Q is uniformly distributed (Mezzadri 2007). Each vector is freed of its predecessors twice, which is enough for
/// orthogonality to rounding (Giraud et al. 2005).
pub(super) fn values(random: &mut ChaCha8Rng, gain: f64, rows: usize, columns: usize) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors = normal(random, 0.0, 1.0, count * length);
    for k in 0..count {
        let (before, rest) = vectors.split_at_mut(k * length);
        let v = &mut rest[..length];
        for _ in 0..2 {
            for q in before.chunks_exact(length) {
                let part = dot(q, v);
                v.iter_mut().zip(q).for_each(|(v, q)| *v -= part * q);
            }
        }
        let norm = dot(v, v).sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
    }
    let at = |i: usize| {
        let (row, column) = (i / columns, i % columns);
        if rows <= columns { vectors[i] } else { vectors[column * length + row] }
    };
    (0..rows * columns).map(|i| gain * at(i)).collect()
}

/// ⟨a, b⟩ in eight partial sums, so that it runs in vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f64>() + tail
}
