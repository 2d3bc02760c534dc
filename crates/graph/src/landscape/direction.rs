//! Directions to look along.

use super::basis::norm;
use super::operator::check_length;
use super::parameters::Parameters;
use super::random::Random;
use crate::{Error, Result};

/// What a direction has for tensors that have no filters: biases and scales, of one axis or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonFilters {
    /// Zeros: the slice moves weights only, as in Li et al. 2018.
    Zero,
    /// The norm of the whole tensor.
    Normalize,
}

/// How a random direction is scaled to the parameters.
#[derive(Debug, Clone, Copy)]
pub struct FilterOptions {
    /// The axis that counts filters in tensors of two axes and more: 0 for W (out, in) and kernels (out, in, height, width).
    pub filter_axis: usize,
    /// Tensors of one axis or none.
    pub others: NonFilters,
    /// Seed of the direction.
    pub seed: u64,
}

impl Default for FilterOptions {
    fn default() -> Self {
        FilterOptions { filter_axis: 0, others: NonFilters::Zero, seed: 1 }
    }
}

/// A random direction of norm 1, uniform on the sphere.
pub fn random_direction(n: usize, seed: u64) -> Vec<f64> {
    let mut d = Random::new(seed).normals(n);
    let size = norm(&d);
    if 0.0 < size {
        d.iter_mut().for_each(|x| *x /= size);
    }
    d
}

/// A random direction in which each filter has the norm of that filter of the parameters at `center`: dᵢⱼ ← dᵢⱼ·‖θᵢⱼ‖/‖dᵢⱼ‖ (Li, Xu,
/// Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, 2018, equation 1).
///
/// So slices of networks whose weights differ in scale, which changes nothing in networks with ReLU or batch normalization, can be compared.
/// Errors: another length; a tensor without the filter axis.
pub fn filter_normalized(
    layout: &Parameters,
    center: &[f64],
    options: FilterOptions,
) -> Result<Vec<f64>> {
    check_length("center of a slice", layout.len(), center.len())?;
    let mut d = Random::new(options.seed).normals(center.len());
    for i in 0..layout.count() {
        let (dims, range) = (layout.dims(i), layout.range(i));
        let (center, d) = (&center[range.clone()], &mut d[range]);
        match (dims.len(), options.others) {
            (0 | 1, NonFilters::Zero) => d.fill(0.0),
            (0 | 1, NonFilters::Normalize) => normalize(center, d, 1, 1),
            (rank, _) if rank <= options.filter_axis => {
                let what =
                    format!("filter axis {} of a tensor of shape {dims:?}", options.filter_axis);
                return Err(Error::invalid("filter normalization", what));
            }
            _ => {
                let inner = dims[options.filter_axis + 1..].iter().product();
                normalize(center, d, dims[options.filter_axis], inner);
            }
        }
    }
    Ok(d)
}

/// Gives each of the filters in d the norm it has in the center; element e belongs to filter (e / inner) mod filters.
fn normalize(center: &[f64], d: &mut [f64], filters: usize, inner: usize) {
    let of = |e: usize| (e / inner.max(1)) % filters;
    let (want, have) = (norms(center, filters, of), norms(d, filters, of));
    let scales: Vec<f64> = want
        .iter()
        .zip(&have)
        .map(|(want, have)| if *have == 0.0 { 0.0 } else { want / have })
        .collect();
    d.iter_mut().enumerate().for_each(|(e, d)| *d *= scales[of(e)]);
}

/// The norm of each filter, in one pass for the largest size, so that no square over- or underflows, and one for the squares.
fn norms(x: &[f64], filters: usize, of: impl Fn(usize) -> usize) -> Vec<f64> {
    let (mut largest, mut squares) = (vec![0.0f64; filters], vec![0.0; filters]);
    x.iter().enumerate().for_each(|(e, x)| largest[of(e)] = largest[of(e)].max(x.abs()));
    for (e, x) in x.iter().enumerate().filter(|(_, x)| **x != 0.0) {
        squares[of(e)] += (x / largest[of(e)]) * (x / largest[of(e)]);
    }
    largest.iter().zip(squares).map(|(largest, sum): (&f64, f64)| largest * sum.sqrt()).collect()
}
