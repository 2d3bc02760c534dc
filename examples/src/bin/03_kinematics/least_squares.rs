//! Nonlinear least squares inside bounds: Gauss-Newton steps with Levenberg's damping on a banded normal matrix.

use anyhow::{Result, bail};
use pullback_graph::Tape;
use pullback_graph::sparsity::{JacobianPlan, NormalPlan, Pattern, PlanOptions};

/// What counts as a vanishing gradient, relative to that at the start: to this the slope of ½‖r‖² has to fall.
const FLAT: f64 = 1e-8;

/// ½‖r(x)‖² over lower ≤ x ≤ upper.
pub(crate) struct LeastSquares {
    residuals: Tape,
    jacobian: JacobianPlan,
    /// JᵀJ and Jᵀr from the entries of J.
    normal: NormalPlan,
    /// The normal matrix JᵀJ has entries (i, j) for |i − j| ≤ band only.
    pub(crate) band: usize,
}

/// Where a solve ended.
pub(crate) struct Solution {
    pub(crate) x: Vec<f64>,
    /// ½‖r‖² at the start of each iteration and at the end.
    pub(crate) costs: Vec<f64>,
    /// The largest |Jᵀr| at the start of each iteration and at the end, of what does not push against a bound.
    pub(crate) slopes: Vec<f64>,
    /// The last slope is zero beside the first, or as low as rounding lets it be.
    pub(crate) converged: bool,
}

impl LeastSquares {
    pub(crate) fn new(residuals: Tape) -> Result<Self> {
        let jacobian = JacobianPlan::new(&residuals, PlanOptions::default())?;
        let normal = NormalPlan::new(jacobian.pattern())?;
        let band = normal.pattern().places().map(|(i, j)| i - j).max().unwrap_or(0);
        Ok(LeastSquares { residuals, jacobian, normal, band })
    }

    /// Where the Jacobian is not zero.
    pub(crate) fn pattern(&self) -> &Pattern {
        self.jacobian.pattern()
    }

    /// Instructions for the residuals, and for residuals and Jacobian.
    pub(crate) fn instructions(&self) -> (usize, usize) {
        (self.residuals.len(), self.jacobian.instructions())
    }

    pub(crate) fn residuals(&self, x: &[f64]) -> Result<Vec<f64>> {
        Ok(self.residuals.eval(x)?)
    }

    /// Damped Gauss-Newton steps (JᵀJ + λ·diag)·Δ = −Jᵀr, shortened to the bounds; variables that push against a bound stay there.
    pub(crate) fn solve(
        &mut self,
        start: &[f64],
        bounds: &[[f64; 2]],
        most: usize,
    ) -> Result<Solution> {
        let n = start.len();
        let clamp = |x: f64, i: usize| x.clamp(bounds[i][0], bounds[i][1]);
        let mut x: Vec<f64> = start.iter().enumerate().map(|(i, &v)| clamp(v, i)).collect();
        let (rows, entries) = (self.pattern().rows(), self.pattern().len());
        let (mut r, mut j) = (vec![0.0; rows], vec![0.0; entries]);
        let (mut costs, mut slopes, mut damping) = (vec![], vec![], 1e-3);
        loop {
            self.jacobian.value_and_jacobian(&x, &mut r, &mut j)?;
            let cost = half_square(&r);
            let (mut matrix, mut gradient) = self.normal(&j, &r)?;
            for i in 0..n {
                let pushes = if gradient[i] > 0.0 { bounds[i][0] } else { bounds[i][1] };
                if x[i] == pushes {
                    matrix.isolate(i);
                    gradient[i] = 0.0;
                }
            }
            let slope = gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
            costs.push(cost);
            slopes.push(slope);
            let flat = slope <= FLAT * slopes[0].max(FLAT);
            if flat || costs.len() > most {
                return Ok(Solution { x, costs, slopes, converged: flat });
            }
            // The damping grows until a step goes down.
            let better = loop {
                if damping > 1e12 {
                    break None;
                }
                if let Some(step) = matrix.solve(&gradient, damping) {
                    let new: Vec<f64> = (0..n).map(|i| clamp(x[i] - step[i], i)).collect();
                    if half_square(&self.residuals(&new)?) < cost {
                        break Some(new);
                    }
                }
                damping *= 5.0;
            };
            // Where no step goes down, this is as low as rounding lets it be.
            let Some(new) = better else {
                let low = slope <= 100.0 * FLAT * slopes[0].max(FLAT);
                return Ok(Solution { x, costs, slopes, converged: low });
            };
            damping = (0.2 * damping).max(1e-12);
            x = new;
        }
    }

    /// JᵀJ and Jᵀr.
    fn normal(&self, j: &[f64], r: &[f64]) -> Result<(Banded, Vec<f64>)> {
        let (n, places) = (self.pattern().columns(), self.normal.pattern());
        let (mut entries, mut gradient) = (vec![0.0; places.len()], vec![0.0; n]);
        self.normal.normal(j, &mut entries)?;
        self.normal.gradient(j, r, &mut gradient)?;
        let mut matrix = Banded::zeros(n, self.band);
        places.places().zip(entries).for_each(|((i, k), entry)| *matrix.at(i, k) = entry);
        Ok((matrix, gradient))
    }
}

pub(crate) fn half_square(r: &[f64]) -> f64 {
    0.5 * r.iter().map(|r| r * r).sum::<f64>()
}

/// A symmetric matrix by its lower band: row i holds entries (i, i − band) to (i, i).
struct Banded {
    n: usize,
    band: usize,
    data: Vec<f64>,
}

impl Banded {
    fn zeros(n: usize, band: usize) -> Self {
        Banded { n, band, data: vec![0.0; n * (band + 1)] }
    }

    /// Entry (i, j) with i − band ≤ j ≤ i.
    fn at(&mut self, i: usize, j: usize) -> &mut f64 {
        &mut self.data[i * (self.band + 1) + self.band + j - i]
    }

    /// Row and column i become those of the identity.
    fn isolate(&mut self, i: usize) {
        (i.saturating_sub(self.band)..i).for_each(|j| *self.at(i, j) = 0.0);
        (i + 1..self.n.min(i + self.band + 1)).for_each(|k| *self.at(k, i) = 0.0);
        *self.at(i, i) = 1.0;
    }

    /// (A + λ·(diag A + 1))⁻¹·b by Cholesky inside the band; nothing if it is not positive definite.
    fn solve(&self, b: &[f64], damping: f64) -> Option<Vec<f64>> {
        let mut l = Banded { n: self.n, band: self.band, data: self.data.clone() };
        for i in 0..self.n {
            *l.at(i, i) += damping * (*l.at(i, i) + 1.0);
            for j in i.saturating_sub(self.band)..=i {
                let from = i.saturating_sub(self.band).max(j.saturating_sub(self.band));
                let sum: f64 = (from..j).map(|k| *l.at(i, k) * *l.at(j, k)).sum();
                let left = *l.at(i, j) - sum;
                *l.at(i, j) = match i == j {
                    true if left > 0.0 => left.sqrt(),
                    true => return None,
                    false => left / *l.at(j, j),
                };
            }
        }
        let mut x = b.to_vec();
        for i in 0..self.n {
            let sum: f64 = (i.saturating_sub(self.band)..i).map(|k| *l.at(i, k) * x[k]).sum();
            x[i] = (x[i] - sum) / *l.at(i, i);
        }
        for i in (0..self.n).rev() {
            x[i] /= *l.at(i, i);
            (i.saturating_sub(self.band)..i).for_each(|k| x[k] -= *l.at(i, k) * x[i]);
        }
        Some(x)
    }
}

/// The best of several starts, which ends at the first that brings the cost under `good`.
pub(crate) fn first_good(
    problem: &mut LeastSquares,
    starts: impl Iterator<Item = Vec<f64>>,
    bounds: &[[f64; 2]],
    good: f64,
) -> Result<(Solution, usize)> {
    let mut best: Option<Solution> = None;
    let mut tried = 0;
    let last = |s: &Solution| s.costs[s.costs.len() - 1];
    for start in starts {
        tried += 1;
        let solution = problem.solve(&start, bounds, 100)?;
        if best.as_ref().is_none_or(|b| last(&solution) < last(b)) {
            best = Some(solution);
        }
        if best.as_ref().is_some_and(|b| last(b) < good) {
            break;
        }
    }
    let Some(best) = best else { bail!("no start") };
    Ok((best, tried))
}
