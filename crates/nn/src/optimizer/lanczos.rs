//! A symmetric matrix, known by its products, seen in a Krylov subspace.
//!
//! Lanczos' recurrence loses orthogonality as soon as an eigenvalue converges, so each new direction is orthogonalized against all
//! before it, twice (Parlett 1998, section 6.9). The projection VᵀHV is then computed entry by entry instead of being read off the
//! recurrence: it stays right when directions that are no Krylov vectors join, as the last step of an optimizer does.

use pullback_core_graph::Error as GraphError;
use pullback_core_graph::linalg::symmetric_eigen;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::vector::{add, dot, norm, scaled};
use crate::error::Result;

/// Below this share of its length a vector counts as one of the subspace.
const INDEPENDENT: f64 = 1e-9;

/// Ritz pairs: H·yᵢ ≈ λᵢ·yᵢ with orthonormal yᵢ; λ ascends.
#[derive(Debug, Clone)]
pub(super) struct Ritz {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Vec<Vec<f64>>,
}

/// The Ritz pairs of H in the span of `start`, H·start, … (`size` of them) and `extra`.
///
/// Where the Krylov vectors end early (an invariant subspace), the space goes on from a random vector, seeded: a direction that the
/// gradient does not touch is found all the same.
pub(super) fn ritz(
    product: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
    start: &[f64],
    size: usize,
    extra: Option<&[f64]>,
    seed: u64,
) -> Result<Ritz> {
    let n = start.len();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut noise = || (0..n).map(|_| random.random::<f64>() - 0.5).collect::<Vec<f64>>();
    let mut space = Space { basis: vec![], columns: vec![], largest: 0.0 };
    let mut next = start.to_vec();
    while space.basis.len() < size.min(n) {
        let direction = match space.independent(&next, space.rounding(&next)) {
            Some(v) => v,
            // A random vector lies in a subspace of fewer than n dimensions only by rounding.
            None => match space.independent(&noise(), INDEPENDENT) {
                Some(v) => v,
                None => break,
            },
        };
        next = space.join(direction, product)?;
    }
    let extra = extra.filter(|_| space.basis.len() < n);
    if let Some(v) = extra.and_then(|v| space.independent(v, INDEPENDENT)) {
        space.join(v, product)?;
    }
    space.ritz()
}

/// An orthonormal basis V, and VᵀHV by columns of its upper triangle.
struct Space {
    basis: Vec<Vec<f64>>,
    columns: Vec<Vec<f64>>,
    /// The longest H·v so far: what a remainder is small against.
    largest: f64,
}

impl Space {
    /// The share of the length of H·v below which its part outside the space may be rounding: of ‖H‖, however small H·v itself is.
    fn rounding(&self, w: &[f64]) -> f64 {
        INDEPENDENT.max(1e-14 * self.largest / norm(w))
    }

    /// The part of x outside the space, of length 1; none if it is not above this share of x.
    fn independent(&self, x: &[f64], least: f64) -> Option<Vec<f64>> {
        let length = norm(x);
        if length == 0.0 {
            return None;
        }
        let mut x = scaled(1.0 / length, x);
        for _ in 0..2 {
            for v in &self.basis {
                let along = dot(v, &x);
                add(&mut x, -along, v);
            }
        }
        let rest = norm(&x);
        (rest > least).then(|| scaled(1.0 / rest, &x))
    }

    /// Takes in a direction; H times it comes back.
    fn join(
        &mut self,
        v: Vec<f64>,
        product: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let w = product(&v)?;
        self.basis.push(v);
        self.columns.push(self.basis.iter().map(|b| dot(b, &w)).collect());
        self.largest = self.largest.max(norm(&w));
        Ok(w)
    }

    fn ritz(self) -> Result<Ritz> {
        let k = self.basis.len();
        // The factorization reads the lower triangle.
        let mut t = vec![0.0; k * k];
        for (j, column) in self.columns.iter().enumerate() {
            for (i, &entry) in column.iter().enumerate() {
                (t[j * k + i], t[i * k + j]) = (entry, entry);
            }
        }
        let (mut values, mut q) = (vec![0.0; k], vec![0.0; k * k]);
        symmetric_eigen(1, k, &t, &mut values, &mut q)
            .map_err(|e| GraphError::external("lanczos", e))?;
        let mut vectors = vec![vec![0.0; self.basis.first().map_or(0, Vec::len)]; k];
        for (j, y) in vectors.iter_mut().enumerate() {
            self.basis.iter().enumerate().for_each(|(i, v)| add(y, q[i * k + j], v));
        }
        Ok(Ritz { values, vectors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H·v for H = I-like reflections of a diagonal: Q·D·Q with Q = I − 2uuᵀ.
    fn product(spectrum: &[f64]) -> impl Fn(&[f64]) -> Result<Vec<f64>> + '_ {
        let n = spectrum.len();
        let u: Vec<f64> = (0..n).map(|i| (1.0 + i as f64).sin()).collect();
        let u = scaled(1.0 / norm(&u), &u);
        let reflect = move |v: &[f64]| {
            let mut v = v.to_vec();
            let along = dot(&u, &v);
            add(&mut v, -2.0 * along, &u);
            v
        };
        move |v| {
            let v = reflect(v);
            Ok(reflect(&v.iter().zip(spectrum).map(|(v, s)| v * s).collect::<Vec<_>>()))
        }
    }

    fn start(n: usize) -> Vec<f64> {
        (0..n).map(|i| 1.0 + (3.0 * i as f64).cos()).collect()
    }

    fn residual(h: &dyn Fn(&[f64]) -> Result<Vec<f64>>, value: f64, y: &[f64]) -> Result<f64> {
        let mut r = h(y)?;
        add(&mut r, -value, y);
        Ok(norm(&r))
    }

    #[test]
    fn the_whole_space_gives_the_whole_spectrum() -> Result<()> {
        // With multiple eigenvalues, whose Krylov spaces end early, and zeros.
        let spectrum = [-4.0, -4.0, -1e-3, 0.0, 0.0, 1e-6, 1.0, 1.0, 1.0, 2.5, 100.0, 100.0];
        let h = product(&spectrum);
        let found = ritz(&h, &start(12), 12, None, 1)?;
        assert_eq!(found.values.len(), 12);
        for (i, (value, y)) in found.values.iter().zip(&found.vectors).enumerate() {
            assert!((value - spectrum[i]).abs() < 1e-12 * 100.0, "{:?}", found.values);
            assert!(residual(&h, *value, y)? < 1e-11);
            for (j, z) in found.vectors.iter().enumerate() {
                let expected = f64::from(u8::from(i == j));
                assert!((dot(y, z) - expected).abs() < 1e-13, "{i} {j}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_subspace_finds_the_ends_of_a_long_spectrum() -> Result<()> {
        let mut spectrum: Vec<f64> = (0..300).map(|i| f64::from(i) / 300.0).collect();
        (spectrum[0], spectrum[299]) = (-2.0, 5.0);
        let h = product(&spectrum);
        let found = ritz(&h, &start(300), 40, None, 1)?;
        assert_eq!(found.values.len(), 40);
        let (low, high) = (found.values[0], found.values[39]);
        assert!((low + 2.0).abs() < 1e-10 && (high - 5.0).abs() < 1e-10, "{low} {high}");
        Ok(())
    }

    /// Eighty dimensions of which three are curved: what is left is rounding, and the whole space is asked for.
    #[test]
    fn a_spectrum_of_almost_nothing_but_zeros_is_found() -> Result<()> {
        for scale in [1.0, 1e-9, 1e12, 1e18] {
            let mut spectrum = vec![0.0; 80];
            (spectrum[3], spectrum[40], spectrum[79]) = (-scale, 1e-4 * scale, 2.0 * scale);
            let found = ritz(&product(&spectrum), &start(80), 80, None, 1)?;
            spectrum.sort_by(f64::total_cmp);
            assert_eq!(found.values.len(), 80);
            for (value, expected) in found.values.iter().zip(&spectrum) {
                assert!((value - expected).abs() < 1e-13 * scale, "{value:e} {expected:e}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_direction_that_the_start_does_not_touch_is_found() -> Result<()> {
        let h = |v: &[f64]| Ok(vec![v[0], 2.0 * v[1], -3.0 * v[2]]);
        let found = ritz(&h, &[1.0, 1.0, 0.0], 3, None, 7)?;
        assert!((found.values[0] + 3.0).abs() < 1e-12, "{:?}", found.values);
        // Nothing at all: a zero start and a zero matrix.
        let nothing = ritz(&|v: &[f64]| Ok(vec![0.0; v.len()]), &[0.0; 3], 3, None, 7)?;
        assert_eq!(nothing.values, [0.0; 3]);
        let empty = ritz(&|v: &[f64]| Ok(v.to_vec()), &[], 3, None, 7)?;
        assert!(empty.values.is_empty() && empty.vectors.is_empty());
        Ok(())
    }

    #[test]
    fn an_extra_direction_is_projected_right() -> Result<()> {
        let spectrum = [-1.0, 0.5, 1.0, 2.0, 3.0, 7.0];
        let h = product(&spectrum);
        let extra = [0.0, 1.0, -1.0, 0.0, 2.0, 0.0];
        let found = ritz(&h, &start(6), 3, Some(&extra), 1)?;
        assert_eq!(found.values.len(), 4);
        for (value, y) in found.values.iter().zip(&found.vectors) {
            assert!((dot(y, &h(y)?) - value).abs() < 1e-12);
        }
        // However short it is, as the last step before convergence.
        let short = ritz(&h, &start(6), 3, Some(&scaled(1e-16, &extra)), 1)?;
        assert_eq!(short.values.len(), 4);
        for (short, long) in short.values.iter().zip(&found.values) {
            assert!((short - long).abs() < 1e-12, "{short} {long}");
        }
        // One that lies in the space adds nothing.
        let inside = ritz(&h, &start(6), 3, Some(&scaled(-2.0, &start(6))), 1)?;
        assert_eq!(inside.values.len(), 3);
        Ok(())
    }
}
