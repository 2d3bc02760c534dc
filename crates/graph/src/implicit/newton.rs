//! Newton's method with a line search, for each element of a batch by itself.

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Result};

use super::{RootProblem, RootSolver};

/// Newton's method: y ← y − α·F_y⁻¹·F, with α = 1, ½, ¼ … the first that makes max |F| smaller by the factor 1 − 10⁻⁴·α.
///
/// Each element of the batch has its own α. A trial point at which F is not defined (an error that says NaN, infinity, or outside
/// the domain) halves α as well. When all elements have max |F| ≤ tolerance, one more full step is made, and kept where it makes the residual
/// smaller: it takes a quadratically convergent root to rounding. An element whose full step is below the rounding of y stands as it is.
///
/// Errors: `NoConvergence` after `iterations`, or when a line search fails, with the largest residual; `Matrix` where F_y is singular on the way.
///
/// Source: Nocedal and Wright, Numerical Optimization, 2nd edition (2006), section 11.2; Kelley, Solving Nonlinear Equations with Newton's
/// Method (2003), section 1.6.
#[derive(Debug, Clone, Copy)]
pub struct Newton {
    tolerance: Option<f64>,
    iterations: usize,
}

/// The most halvings of one step.
const HALVINGS: usize = 40;
/// The share of the linear model's decrease that a step must reach.
const SUFFICIENT: f64 = 1e-4;

impl Default for Newton {
    /// Tolerance 10⁻¹⁰ for f64, 10⁻⁵ for f32; 100 iterations.
    fn default() -> Self {
        Newton { tolerance: None, iterations: 100 }
    }
}

impl Newton {
    /// The largest |F| at which the iteration ends.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most iterations.
    #[must_use]
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }
}

impl RootSolver for Newton {
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> Result<Tensor> {
        let (default, epsilon) = match guess.dtype() {
            DType::F32 => (1e-5, f64::from(f32::EPSILON)),
            _ => (1e-10, f64::EPSILON),
        };
        let tolerance = self.tolerance.unwrap_or(default);
        let mut y = guess.clone();
        let mut norms = Batch::new(problem).norms(&problem.residual(&y)?)?;
        let mut settled = vec![false; problem.batch];
        for iteration in 0..=self.iterations {
            let open = |(norm, settled): (&f64, &bool)| tolerance < *norm && !settled;
            if !norms.iter().zip(&settled).any(open) {
                return Ok(polished(problem, y, &norms));
            }
            if iteration == self.iterations {
                break;
            }
            let (_, direction) =
                problem.newton_direction(&y).map_err(|e| on_the_way(e, iteration, &norms))?;
            let mut search = Search::new(problem, &y, &direction, &norms, tolerance, epsilon)?;
            let Some(moved) = search.run(&mut norms)? else {
                return Err(failure(problem, iteration + 1, &norms));
            };
            settled = search.settled;
            y = moved;
        }
        Err(failure(problem, self.iterations, &norms))
    }
}

/// A singular Jacobian with where Newton was.
fn on_the_way(error: Error, iteration: usize, norms: &[f64]) -> Error {
    let residual = norms.iter().fold(0.0, |m: f64, v| m.max(*v));
    let place =
        |node: String| format!("{node}, Newton's iteration {iteration}, |F| = {residual:e}");
    match error {
        Error::Matrix { node, what, batch, pivot, value, rcond } => {
            Error::Matrix { node: place(node), what, batch, pivot, value, rcond }
        }
        other => other,
    }
}

fn failure(problem: &RootProblem<'_>, iterations: usize, norms: &[f64]) -> Error {
    let residual = norms.iter().fold(0.0, |m: f64, v| m.max(*v));
    Error::NoConvergence { node: problem.name().into(), iterations, residual }
}

/// One full step more, where it helps.
fn polished(problem: &RootProblem<'_>, y: Tensor, norms: &[f64]) -> Tensor {
    let step = || -> Result<Tensor> {
        let (_, direction) = problem.newton_direction(&y)?;
        let batch = Batch::new(problem);
        let moved = batch.moved(problem, &y, &direction, &vec![1.0; norms.len()])?;
        let better = batch.norms(&problem.residual(&moved)?)?;
        let alpha: Vec<f64> =
            better.iter().zip(norms).map(|(new, old)| f64::from(u8::from(new < old))).collect();
        batch.moved(problem, &y, &direction, &alpha)
    };
    // A singular Jacobian at the root is the node's to report, if derivatives are wanted.
    step().unwrap_or(y)
}

/// Numbers of a tensor by element of the batch.
struct Batch {
    batch: usize,
    n: usize,
}

impl Batch {
    fn new(problem: &RootProblem<'_>) -> Self {
        Batch { batch: problem.batch, n: problem.n }
    }

    /// max |·| of each element.
    fn norms(&self, t: &Tensor) -> Result<Vec<f64>> {
        let data = to_f64(t)?;
        let largest = |b: usize| {
            data[b * self.n..(b + 1) * self.n].iter().fold(0.0, |m: f64, v| m.max(v.abs()))
        };
        Ok((0..self.batch).map(largest).collect())
    }

    /// y + α·d, with an α for each element.
    fn moved(
        &self,
        problem: &RootProblem<'_>,
        y: &Tensor,
        d: &Tensor,
        alpha: &[f64],
    ) -> Result<Tensor> {
        let pairs = to_f64(y)?.into_iter().zip(to_f64(d)?).enumerate();
        problem.like(pairs.map(|(i, (y, d))| y + alpha[i / self.n] * d).collect())
    }
}

/// The line search of one iteration.
struct Search<'a> {
    problem: &'a RootProblem<'a>,
    batch: Batch,
    y: &'a Tensor,
    direction: &'a Tensor,
    alpha: Vec<f64>,
    found: Vec<bool>,
    /// The full step is below the rounding of y: there is nothing to gain.
    settled: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(
        problem: &'a RootProblem<'a>,
        y: &'a Tensor,
        direction: &'a Tensor,
        norms: &[f64],
        tolerance: f64,
        epsilon: f64,
    ) -> Result<Self> {
        let batch = Batch::new(problem);
        let (size, step) = (batch.norms(y)?, batch.norms(direction)?);
        let settled: Vec<bool> =
            size.iter().zip(&step).map(|(y, d)| *d <= 4.0 * epsilon * y).collect();
        let found: Vec<bool> =
            norms.iter().zip(&settled).map(|(norm, s)| *s || *norm <= tolerance).collect();
        let alpha = found.iter().map(|&f| if f { 0.0 } else { 1.0 }).collect();
        Ok(Search { problem, batch, y, direction, alpha, found, settled })
    }

    /// The accepted point, its residuals put into `norms`; `None` where no step makes them smaller.
    fn run(&mut self, norms: &mut Vec<f64>) -> Result<Option<Tensor>> {
        for _ in 0..=HALVINGS {
            let moved = self.batch.moved(self.problem, self.y, self.direction, &self.alpha)?;
            match self.problem.residual(&moved) {
                Ok(r) => {
                    let new = self.batch.norms(&r)?;
                    for b in 0..new.len() {
                        self.found[b] |= new[b] <= (1.0 - SUFFICIENT * self.alpha[b]) * norms[b];
                    }
                    if !self.found.contains(&false) {
                        *norms = new;
                        return Ok(Some(moved));
                    }
                }
                Err(Error::NotFinite { .. } | Error::Invalid { .. } | Error::Matrix { .. }) => {}
                Err(e) => return Err(e),
            }
            let trial = self.alpha.iter_mut().zip(&self.found).filter(|(_, found)| !**found);
            trial.for_each(|(alpha, _)| *alpha *= 0.5);
        }
        Ok(None)
    }
}
