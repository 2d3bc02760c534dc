//! The density of a spectrum by stochastic Lanczos quadrature.
//!
//! For a unit vector v with Lanczos values θᵢ and weights sᵢ₁² (i = 1 … k): vᵀ·f(A)·v ≈ Σᵢ sᵢ₁²·f(θᵢ), exact for polynomials up to
//! degree 2k − 1. Over random v the mean is tr f(A)/n (Ubaru, Chen and Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature,
//! 2017; Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via Hessian eigenvalue density, 2019).

use std::f64::consts::TAU;
use std::fmt::Write;

use rayon::prelude::*;

use super::lanczos::{LanczosOptions, lanczos};
use super::operator::{Operator, check_finite};
use super::random::Random;
use crate::{Error, Result};

/// What [`density`] spends.
#[derive(Debug, Clone, Copy)]
pub struct DensityOptions {
    /// Lanczos steps for each probe.
    pub steps: usize,
    /// Random probes; the statistical error falls with their square root.
    pub probes: usize,
    /// Seed of the probes.
    pub seed: u64,
}

impl Default for DensityOptions {
    fn default() -> Self {
        DensityOptions { steps: 80, probes: 10, seed: 1 }
    }
}

/// A mean over random probes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error, from the scatter of the probes; infinite for a single probe.
    pub standard_error: f64,
}

impl Estimate {
    /// Mean and standard error of samples.
    pub(super) fn of(samples: &[f64]) -> Self {
        let m = samples.len() as f64;
        let value = samples.iter().sum::<f64>() / m;
        if samples.len() < 2 {
            return Estimate { value, standard_error: f64::INFINITY };
        }
        let squares = samples.iter().map(|x| (x - value) * (x - value)).sum::<f64>();
        Estimate { value, standard_error: (squares / (m - 1.0) / m).sqrt() }
    }

    /// `Ok` means finite.
    pub(super) fn finite(self, place: &str) -> Result<Self> {
        check_finite(
            place,
            "of value and standard error, number",
            &[self.value, self.standard_error],
        )?;
        Ok(self)
    }
}

/// A spectrum of n eigenvalues as a probability density: for each probe, points θ with weights that sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    dim: usize,
    probes: Vec<Vec<(f64, f64)>>,
}

/// The density of a spectrum from random probes, uniform on the sphere. The probes run in parallel; the bits do not depend on it.
///
/// Errors: no probe or step; those of the products.
pub fn density<A: Operator + ?Sized>(a: &A, options: DensityOptions) -> Result<Density> {
    let draw = |probe: usize| Random::stream(options.seed, probe as u64).normals(a.dim());
    density_from(a, &(0..options.probes).map(draw).collect::<Vec<_>>(), options.steps)
}

/// The same from given starts. From all n coordinate vectors and with n steps it is the exact spectrum.
pub fn density_from<A: Operator + ?Sized>(
    a: &A,
    starts: &[Vec<f64>],
    steps: usize,
) -> Result<Density> {
    if starts.is_empty() {
        return Err(Error::invalid("density of a spectrum", "no probe"));
    }
    let options = LanczosOptions { steps, ..LanczosOptions::default() };
    let one = |start: &Vec<f64>| -> Result<Vec<(f64, f64)>> {
        let ritz = lanczos(a, Some(start), options)?.ritz()?;
        Ok(ritz.iter().map(|r| (r.value, r.weight)).collect())
    };
    // One first, alone: what a network prepares at its first product is then there for all.
    let first = one(&starts[0])?;
    let rest: Vec<Result<_>> = starts[1..].par_iter().map(one).collect();
    let probes = std::iter::once(Ok(first)).chain(rest).collect::<Result<_>>()?;
    Ok(Density { dim: a.dim(), probes })
}

impl Density {
    /// n.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// For each probe the points θ, ascending, and their weights.
    pub fn probes(&self) -> &[Vec<(f64, f64)>] {
        &self.probes
    }

    /// The least and the greatest point: inside the spectrum, and close to its ends.
    pub fn support(&self) -> (f64, f64) {
        let all = self.probes.iter().flatten();
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.0), h.max(p.0)))
    }

    /// tr f(A)/n.
    pub fn mean_of(&self, f: impl Fn(f64) -> f64) -> Estimate {
        let one = |probe: &Vec<(f64, f64)>| probe.iter().map(|(x, w)| w * f(*x)).sum::<f64>();
        Estimate::of(&self.probes.iter().map(one).collect::<Vec<f64>>())
    }

    /// The p-th moment, tr Aᵖ/n.
    pub fn moment(&self, p: u32) -> Estimate {
        self.mean_of(|x| match i32::try_from(p) {
            Ok(p) => x.powi(p),
            Err(_) => x.powf(f64::from(p)),
        })
    }

    /// The share of eigenvalues below t: with t < 0 small, the index of a critical point, without its matrix.
    pub fn share_below(&self, t: f64) -> Estimate {
        self.mean_of(|x| if x < t { 1.0 } else { 0.0 })
    }

    /// The density at t, smoothed by a Gaussian of standard deviation `width`. Errors: t is not finite; `width` is not above 0, or so small
    /// that the Gaussian's height overflows.
    pub fn at(&self, t: f64, width: f64) -> Result<Estimate> {
        let height = 1.0 / (width * TAU.sqrt());
        if !(0.0 < width && width.is_finite() && height.is_finite() && t.is_finite()) {
            let what = format!("at {t}, smoothed by {width}");
            return Err(Error::invalid("density of a spectrum", what));
        }
        Ok(self.mean_of(|x| height * (-0.5 * ((t - x) / width).powi(2)).exp()))
    }

    /// Points (t, density) over the support and four widths beyond, ready to draw. Errors: `width` is not above 0.
    pub fn curve(&self, points: usize, width: f64) -> Result<Vec<[f64; 2]>> {
        let (low, high) = self.support();
        let ts = super::slice::spaced(low - 4.0 * width, high + 4.0 * width, points);
        ts.into_iter().map(|t| Ok([t, self.at(t, width)?.value])).collect()
    }

    /// `probe,eigenvalue,weight`, one line a point.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("probe,eigenvalue,weight\n");
        for (k, probe) in self.probes.iter().enumerate() {
            for (x, w) in probe {
                let _ = writeln!(out, "{k},{x:e},{w:e}");
            }
        }
        out
    }
}
