//! The Lanczos recurrence with full re-orthogonalization.
//!
//! From a start q₁: βⱼ·qⱼ₊₁ = A·qⱼ − αⱼ·qⱼ − βⱼ₋₁·qⱼ₋₁, so that Qᵀ·A·Q = T = tridiag(β, α, β) (Golub and Van Loan, Matrix Computations,
//! 4th ed., §10.1). Without re-orthogonalization rounding brings converged eigenvectors back and eigenvalues appear several times.

use pullback_core_graph::linalg::symmetric_eigen;

use super::basis::{Basis, add, dot, norm};
use super::operator::{Operator, check_finite, check_length, product};
use super::random::Random;
use crate::{Error, Result};

/// What [`lanczos`] does.
#[derive(Debug, Clone, Copy)]
pub struct LanczosOptions {
    /// The most steps, which are products; no more than n are made.
    pub steps: usize,
    /// Seed of the start, if none is given, and of the restarts.
    pub seed: u64,
    /// Where the vectors found span an invariant subspace, go on with a random vector orthogonal to it: with n steps, all
    /// eigenvalues are then found, each as often as it occurs. Without, the recurrence ends there.
    pub restart: bool,
}

impl Default for LanczosOptions {
    fn default() -> Self {
        LanczosOptions { steps: 64, seed: 1, restart: false }
    }
}

/// The result of the recurrence: Q and T.
#[derive(Debug, Clone)]
pub struct Lanczos {
    alpha: Vec<f64>,
    /// β after each step; the last is the coupling to what was left out.
    beta: Vec<f64>,
    pub(super) basis: Basis,
    invariant: Vec<usize>,
}

/// An approximate eigenvalue θ of A: |θ − λ| ≤ `bound` for some eigenvalue λ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ritz {
    /// θ.
    pub value: f64,
    /// |β_k·s_k|, which is ‖A·y − θ·y‖ of its unit vector y in exact arithmetic.
    pub bound: f64,
    /// s₁², the weight of θ in the start: what Gauss quadrature takes.
    pub weight: f64,
}

/// Runs the recurrence from `start` (need not have norm 1), or from a random vector.
///
/// Errors: no steps; a start of another length, zero, or not finite; a product that fails or is not finite.
pub fn lanczos<A: Operator + ?Sized>(
    a: &A,
    start: Option<&[f64]>,
    options: LanczosOptions,
) -> Result<Lanczos> {
    let mut state = Recurrence::new(a, start, &[], options)?;
    while state.step(a)? {}
    Ok(state.into_result())
}

/// The recurrence between two steps.
pub(super) struct Recurrence {
    options: LanczosOptions,
    random: Random,
    /// The locked vectors, then those of the recurrence.
    basis: Basis,
    locked: usize,
    alpha: Vec<f64>,
    beta: Vec<f64>,
    invariant: Vec<usize>,
    scale: f64,
    ended: bool,
}

impl Recurrence {
    /// `locked`: orthonormal vectors that the recurrence stays orthogonal to.
    pub(super) fn new<A: Operator + ?Sized>(
        a: &A,
        start: Option<&[f64]>,
        locked: &[Vec<f64>],
        options: LanczosOptions,
    ) -> Result<Self> {
        let n = a.dim();
        if options.steps == 0 || n == 0 {
            let what = format!("{} steps in {n} dimensions", options.steps);
            return Err(Error::invalid("lanczos", what));
        }
        let mut random = Random::new(options.seed);
        let mut basis = Basis { vectors: locked.to_vec() };
        let began = match start {
            None => basis.push_random(n, &mut random),
            Some(q) => {
                check_length("start of lanczos", n, q.len())?;
                check_finite("start of lanczos", "component", q)?;
                basis.push(q.to_vec(), 1e-12)
            }
        };
        if !began {
            return Err(Error::invalid("lanczos", "the start is zero"));
        }
        Ok(Recurrence {
            options,
            random,
            basis,
            locked: locked.len(),
            alpha: vec![],
            beta: vec![],
            invariant: vec![],
            scale: 0.0,
            ended: false,
        })
    }

    /// One step; false if none is left.
    pub(super) fn step<A: Operator + ?Sized>(&mut self, a: &A) -> Result<bool> {
        let room = (a.dim() - self.locked).min(self.options.steps);
        if self.ended || self.alpha.len() == room {
            return Ok(false);
        }
        let j = self.locked + self.alpha.len();
        let q = &self.basis.vectors[j];
        let mut w = product(a, q)?;
        self.scale = self.scale.max(norm(&w));
        let alpha = dot(q, &w);
        add(-alpha, q, &mut w);
        if let (Some(&beta), true) = (self.beta.last(), j > self.locked) {
            add(-beta, &self.basis.vectors[j - 1], &mut w);
        }
        let beta = self.basis.orthogonalize(&mut w);
        self.alpha.push(alpha);
        // Rounding leaves about this much of a vector that lies in the span: products sum n terms.
        let nothing = 32.0 * a.precision() * self.scale * (a.dim() as f64).sqrt();
        let full = self.basis.vectors.len() == a.dim();
        if nothing < beta && !full {
            self.beta.push(beta);
            w.iter_mut().for_each(|x| *x /= beta);
            self.basis.orthogonalize(&mut w);
            let left = norm(&w);
            w.iter_mut().for_each(|x| *x /= left);
            self.basis.vectors.push(w);
        } else {
            self.beta.push(0.0);
            self.invariant.push(self.alpha.len());
            self.ended =
                full || !self.options.restart || !self.basis.push_random(a.dim(), &mut self.random);
        }
        Ok(true)
    }

    /// The locked vectors, and those of the recurrence.
    pub(super) fn vectors(&self) -> (&[Vec<f64>], &[Vec<f64>]) {
        self.basis.vectors.split_at(self.locked)
    }

    pub(super) fn steps(&self) -> usize {
        self.alpha.len()
    }

    /// The vectors span an invariant subspace and nothing follows.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn into_result(mut self) -> Lanczos {
        self.basis.vectors.drain(..self.locked);
        Lanczos { alpha: self.alpha, beta: self.beta, basis: self.basis, invariant: self.invariant }
    }

    /// Eigenvalues of T, ascending, and its eigenvectors as columns.
    pub(super) fn ritz(&self) -> Result<(Vec<Ritz>, Vec<f64>)> {
        ritz(&self.alpha, &self.beta)
    }
}

impl Lanczos {
    /// The diagonal of T, one number a step.
    pub fn alpha(&self) -> &[f64] {
        &self.alpha
    }

    /// β after each step: the off-diagonal of T, and last the coupling to what was left out (0: the subspace is invariant).
    pub fn beta(&self) -> &[f64] {
        &self.beta
    }

    /// The orthonormal vectors; one more than steps unless the last subspace is invariant.
    pub fn vectors(&self) -> &[Vec<f64>] {
        &self.basis.vectors
    }

    /// After which steps the vectors so far spanned an invariant subspace.
    pub fn invariant(&self) -> &[usize] {
        &self.invariant
    }

    /// The approximate eigenvalues, ascending, with their error bounds.
    pub fn ritz(&self) -> Result<Vec<Ritz>> {
        Ok(ritz(&self.alpha, &self.beta)?.0)
    }

    /// The approximate eigenvectors, of norm 1, in the order of [`Lanczos::ritz`].
    pub fn ritz_vectors(&self) -> Result<Vec<Vec<f64>>> {
        let (values, s) = ritz(&self.alpha, &self.beta)?;
        Ok((0..values.len()).map(|i| combine(&self.basis.vectors, &s, values.len(), i)).collect())
    }
}

/// Σⱼ qⱼ·s[j, i] for column i of the k×k matrix s.
pub(super) fn combine(q: &[Vec<f64>], s: &[f64], k: usize, i: usize) -> Vec<f64> {
    let mut y = vec![0.0; q.first().map_or(0, Vec::len)];
    (0..k).for_each(|j| add(s[j * k + i], &q[j], &mut y));
    y
}

fn ritz(alpha: &[f64], beta: &[f64]) -> Result<(Vec<Ritz>, Vec<f64>)> {
    let k = alpha.len();
    let mut t = vec![0.0; k * k];
    for j in 0..k {
        t[j * k + j] = alpha[j];
        if j + 1 < k {
            t[j * k + j + 1] = beta[j];
            t[(j + 1) * k + j] = beta[j];
        }
    }
    let (mut w, mut s) = (vec![0.0; k], vec![0.0; k * k]);
    symmetric_eigen(1, k, &t, &mut w, &mut s).map_err(failed)?;
    let last = beta.last().copied().unwrap_or(0.0);
    let one = |i: usize| Ritz {
        value: w[i],
        bound: (last * s[(k - 1) * k + i]).abs(),
        weight: s[i] * s[i],
    };
    Ok(((0..k).map(one).collect(), s))
}

/// An error of the small dense matrices.
pub(super) fn failed(e: pullback_core_graph::linalg::LinalgError) -> Error {
    Error::Network(pullback_core_graph::Error::external("landscape", e))
}
