//! Eigenvalues at both ends of a spectrum.

use super::basis::{Basis, add, norm};
use super::lanczos::{LanczosOptions, Recurrence, Ritz, combine};
use super::operator::{Operator, product};
use crate::Result;

/// What [`extremes`] looks for and when it stops.
#[derive(Debug, Clone, Copy)]
pub struct ExtremeOptions {
    /// How many of the algebraically largest eigenvalues.
    pub largest: usize,
    /// How many of the algebraically smallest (most negative) ones.
    pub smallest: usize,
    /// A pair has converged where its residual bound is at most this times the largest |θ|. An eigenvalue's error is about its
    /// residual squared over its distance from the others. Never below the operator's own rounding.
    pub tolerance: f64,
    /// The most products A·x in all.
    pub products: usize,
    /// Look again in the orthogonal complement of what was found, until nothing new is at the ends: equal eigenvalues are then found
    /// as often as they occur. Costs as much again, or more.
    pub multiplicities: bool,
    /// Seed of the starts.
    pub seed: u64,
}

impl Default for ExtremeOptions {
    fn default() -> Self {
        ExtremeOptions {
            largest: 1,
            smallest: 1,
            tolerance: 1e-9,
            products: 2000,
            multiplicities: false,
            seed: 1,
        }
    }
}

/// An eigenvalue and its unit vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigenpair {
    /// λ.
    pub value: f64,
    /// v, of norm 1.
    pub vector: Vec<f64>,
    /// ‖A·v − λ·v‖, measured.
    pub residual: f64,
}

/// What was found at both ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Extremes {
    /// Descending from the largest.
    pub largest: Vec<Eigenpair>,
    /// Ascending from the smallest.
    pub smallest: Vec<Eigenpair>,
    /// Whether all that was asked for converged.
    pub converged: bool,
    /// Products A·x made.
    pub products: usize,
}

/// The ends of the spectrum by Lanczos, with a stop rule by residual and locking for equal eigenvalues.
///
/// If fewer than n eigenvalues are asked for at both ends together, each is given once; what did not converge within the products
/// allowed is given too, and `converged` is false. Errors: those of the products.
pub fn extremes<A: Operator + ?Sized>(a: &A, options: ExtremeOptions) -> Result<Extremes> {
    let n = a.dim();
    let (high, low) = (options.largest.min(n), options.smallest.min(n));
    let mut found: Vec<(f64, Vec<f64>)> = vec![];
    let (mut products, mut converged) = (0, high + low == 0);
    let mut round = 0;
    while !converged && found.len() < n {
        let locked: Vec<Vec<f64>> = found.iter().map(|(_, v)| v.clone()).collect();
        let budget = options.products.saturating_sub(products);
        if budget == 0 {
            break;
        }
        let seed = options.seed.wrapping_add(round);
        let lanczos = LanczosOptions { steps: budget, seed, restart: false };
        let mut run = Recurrence::new(a, None, &locked, lanczos)?;
        let short = found.len() < (high + low).min(n);
        let ends = Ends::of(&found, (high, low), options.tolerance);
        let (pairs, done) =
            converge(a, &mut run, (high, low), options.tolerance, (!short).then_some(&ends))?;
        products += run.steps();
        // A new pair inside the ends so far changes nothing.
        let news = short || pairs.iter().any(|(value, _)| ends.beyond(*value));
        let grown = news && !pairs.is_empty();
        if news {
            found.extend(pairs);
            found.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let all = found.len() == n;
        let short = found.len() < (high + low).min(n);
        converged = done && (all || (!short && (!options.multiplicities || !news)));
        if !done || !grown || (!options.multiplicities && !short) {
            break;
        }
        round += 1;
    }
    let mut finish = |(value, v): &(f64, Vec<f64>)| -> Result<Eigenpair> {
        let mut r = product(a, v)?;
        products += 1;
        add(-value, v, &mut r);
        Ok(Eigenpair { value: *value, vector: v.clone(), residual: norm(&r) })
    };
    let largest = found.iter().rev().take(high).map(&mut finish).collect::<Result<_>>()?;
    let smallest = found.iter().take(low).map(&mut finish).collect::<Result<_>>()?;
    Ok(Extremes { largest, smallest, converged, products })
}

/// Steps until the wanted pairs at both ends have converged or no step is left; the pairs, orthonormal to what is locked.
fn converge<A: Operator + ?Sized>(
    a: &A,
    run: &mut Recurrence,
    (high, low): (usize, usize),
    tolerance: f64,
    known: Option<&Ends>,
) -> Result<(Vec<(f64, Vec<f64>)>, bool)> {
    loop {
        // The decomposition of T grows with the cube of its size: it is made at sizes that grow by an eighth.
        let target = run.steps() + (run.steps() / 8).max(high + low).max(4);
        let mut more = true;
        while more && run.steps() < target {
            more = run.step(a)?;
        }
        let (ritz, s) = run.ritz()?;
        let k = ritz.len();
        let wanted: Vec<usize> = (0..k).filter(|&i| i < low || k <= i + high).collect();
        let scale = ritz.iter().fold(0.0, |m: f64, r| m.max(r.value.abs()));
        let limit = tolerance.max(16.0 * a.precision()) * scale;
        // Looking again, what is inside the known ends by more than its bound need not converge.
        let inside = |r: &Ritz| known.is_some_and(|ends| ends.inside(r.value, r.bound));
        let good = wanted.iter().all(|&i| ritz[i].bound <= limit || inside(&ritz[i]));
        let enough = high + low <= k || run.ended();
        if (good && enough) || !more {
            let (locked, own) = run.vectors();
            let mut basis = Basis { vectors: locked.to_vec() };
            let mut pairs = vec![];
            // What did not converge is given only if nothing else can be, and never locked.
            for i in wanted.into_iter().filter(|&i| !good || ritz[i].bound <= limit) {
                if basis.push(combine(own, &s, k, i), 1e-6) {
                    pairs.push((ritz[i].value, basis.vectors[basis.vectors.len() - 1].clone()));
                }
            }
            return Ok((pairs, good && enough));
        }
    }
}

/// The innermost of the pairs wanted at each end, as far as they are known; `None` where fewer are known.
struct Ends {
    wanted: (usize, usize),
    top: Option<f64>,
    bottom: Option<f64>,
    margin: f64,
}

impl Ends {
    fn of(found: &[(f64, Vec<f64>)], wanted: (usize, usize), tolerance: f64) -> Self {
        let scale = found.iter().fold(0.0, |m: f64, (x, _)| m.max(x.abs()));
        let value = |i: usize| found.get(i).map(|x| x.0);
        let top = found.len().checked_sub(wanted.0).and_then(value);
        let bottom = wanted.1.checked_sub(1).and_then(value);
        Ends { wanted, top, bottom, margin: 10.0 * tolerance * scale }
    }

    /// Is a value farther out than the innermost wanted?
    fn beyond(&self, x: f64) -> bool {
        (0 < self.wanted.0 && self.top.is_none_or(|t| t + self.margin < x))
            || (0 < self.wanted.1 && self.bottom.is_none_or(|b| x < b - self.margin))
    }

    /// Does everything within `bound` of x lie inside?
    fn inside(&self, x: f64, bound: f64) -> bool {
        !self.beyond(x + bound) && !self.beyond(x - bound)
    }
}
