//! The trace of a matrix from its products.

use rayon::prelude::*;

use super::basis::{Basis, dot};
use super::density::Estimate;
use super::operator::{Operator, product};
use super::random::Random;
use crate::{Error, Result};

/// tr A = E[vᵀ·A·v] over random signs v (Hutchinson 1990), from `products` products.
///
/// The variance is 2·Σ_{i≠j} aᵢⱼ²; a diagonal matrix's trace is exact. Errors: fewer than 2 products; those of the products; a trace or its
/// error that overflows.
pub fn hutchinson<A: Operator + ?Sized>(a: &A, products: usize, seed: u64) -> Result<Estimate> {
    if products < 2 {
        return Err(Error::invalid(
            "hutchinson",
            format!("{products} products, at least 2 needed"),
        ));
    }
    let probes: Vec<Vec<f64>> =
        (0..products).map(|k| Random::stream(seed, k as u64).signs(a.dim())).collect();
    let images = products_of(a, &probes)?;
    let samples: Vec<f64> = probes.iter().zip(&images).map(|(v, av)| dot(v, av)).collect();
    Estimate::of(&samples).finite("hutchinson")
}

/// Hutch++: the trace on the range that A maps a third of the probes to is exact, and only the rest is estimated (Meyer, Musco, Musco
/// and Woodruff, Hutch++: optimal stochastic trace estimation, 2021, algorithm 1).
///
/// tr A = tr(Qᵀ·A·Q) + tr((I − Q·Qᵀ)·A·(I − Q·Qᵀ)). Exact where the rank of A is at most a third of `products`; the error falls with
/// 1/products where Hutchinson's falls with its root. Errors: fewer than 6 products; those of the products; a
/// trace or its error that overflows.
pub fn hutch_plus_plus<A: Operator + ?Sized>(
    a: &A,
    products: usize,
    seed: u64,
) -> Result<Estimate> {
    if products < 6 {
        return Err(Error::invalid("hutch++", format!("{products} products, at least 6 needed")));
    }
    let n = a.dim();
    let third = (products / 3).min(n);
    let draw = |k: usize| Random::stream(seed, k as u64).signs(n);
    let sketch: Vec<Vec<f64>> = (0..third).map(draw).collect();
    let mut q = Basis::default();
    for w in products_of(a, &sketch)? {
        // A direction that is already there adds nothing but rounding.
        q.push(w, 1e-10_f64.max(64.0 * a.precision()));
    }
    let images = products_of(a, &q.vectors)?;
    let captured: f64 = q.vectors.iter().zip(&images).map(|(v, av)| dot(v, av)).sum();
    if q.vectors.len() == n {
        return Estimate { value: captured, standard_error: 0.0 }.finite("hutch++");
    }
    let mut rest: Vec<Vec<f64>> =
        (third..third + (products - 2 * third).max(2)).map(draw).collect();
    rest.iter_mut().for_each(|g| {
        q.orthogonalize(g);
    });
    let images = products_of(a, &rest)?;
    let samples: Vec<f64> = rest.iter().zip(&images).map(|(g, ag)| dot(g, ag)).collect();
    let rest = Estimate::of(&samples);
    Estimate { value: captured + rest.value, ..rest }.finite("hutch++")
}

/// A·x for several x, the first alone, so that what a network prepares at its first product is there for all.
pub(super) fn products_of<A: Operator + ?Sized>(a: &A, x: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    let Some((first, rest)) = x.split_first() else { return Ok(vec![]) };
    let first = product(a, first)?;
    let rest: Vec<Result<_>> = rest.par_iter().map(|x| product(a, x)).collect();
    std::iter::once(Ok(first)).chain(rest).collect()
}
