//! All eigenvalues, for matrices small enough to be written out.

use std::fmt::Write;

use pullback_core_graph::linalg::symmetric_eigen;

use super::lanczos::failed;
use super::operator::Operator;
use super::trace::products_of;
use crate::{Error, Result};

/// The largest matrix that is written out: 8192² numbers are half a gigabyte.
const LARGEST: usize = 8192;

/// All eigenvalues and eigenvectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    values: Vec<f64>,
    vectors: Vec<f64>,
    asymmetry: f64,
}

/// How many eigenvalues are below, at and above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Below −tolerance·max |λ|: directions of descent at a critical point.
    pub negative: usize,
    /// Within ±tolerance·max |λ|.
    pub zero: usize,
    /// Above.
    pub positive: usize,
}

impl Index {
    /// The share of negative eigenvalues: the index of Dauphin et al. 2014. 0 for no eigenvalue at all.
    pub fn share(&self) -> f64 {
        let all = self.negative + self.zero + self.positive;
        if all == 0 { 0.0 } else { self.negative as f64 / all as f64 }
    }
}

/// The spectrum by writing the matrix out, n products and 10·n³ operations. Errors: n above 8192; those of the products.
pub fn spectrum<A: Operator + ?Sized>(a: &A) -> Result<Spectrum> {
    let n = a.dim();
    if LARGEST < n {
        let what = format!("{n} rows, at most {LARGEST} can be written out; see density, extremes");
        return Err(Error::invalid("spectrum", what));
    }
    let unit = |i: usize| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
    let mut matrix = products_of(a, &(0..n).map(unit).collect::<Vec<_>>())?.concat();
    let largest = matrix.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let mut asymmetry: f64 = 0.0;
    for i in 0..n {
        for j in 0..i {
            let (x, y) = (matrix[i * n + j], matrix[j * n + i]);
            asymmetry = asymmetry.max((x - y).abs());
            matrix[i * n + j] = 0.5 * (x + y);
            matrix[j * n + i] = 0.5 * (x + y);
        }
    }
    let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
    symmetric_eigen(1, n, &matrix, &mut values, &mut vectors).map_err(failed)?;
    let asymmetry = if largest == 0.0 { 0.0 } else { asymmetry / largest };
    Ok(Spectrum { values, vectors, asymmetry })
}

impl Spectrum {
    /// The eigenvalues, ascending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The unit eigenvector of the i-th eigenvalue. Errors: no such eigenvalue.
    pub fn vector(&self, i: usize) -> Result<Vec<f64>> {
        let n = self.values.len();
        if n <= i {
            return Err(Error::invalid("spectrum", format!("eigenvector {i} of {n}")));
        }
        Ok((0..n).map(|j| self.vectors[j * n + i]).collect())
    }

    /// The largest |aᵢⱼ − aⱼᵢ| relative to the largest |aᵢⱼ| before the matrix was made symmetric: what the products get wrong.
    pub fn asymmetry(&self) -> f64 {
        self.asymmetry
    }

    /// The largest |λ|; 0 for no eigenvalue at all.
    pub fn norm(&self) -> f64 {
        self.values.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
    }

    /// Counts eigenvalues by sign; those within ± `tolerance` of the largest |λ| are zero. A negative tolerance, or NaN, is 0.
    pub fn index(&self, tolerance: f64) -> Index {
        let limit = tolerance.max(0.0) * self.norm();
        let negative = self.values.iter().filter(|x| **x < -limit).count();
        let positive = self.values.iter().filter(|x| limit < **x).count();
        Index { negative, zero: self.values.len() - negative - positive, positive }
    }

    /// `eigenvalue`, one a line, ascending.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("eigenvalue\n");
        self.values.iter().for_each(|x| {
            let _ = writeln!(out, "{x:e}");
        });
        out
    }
}
