//! Sums over samples that share parameters: what depends on the parameters alone is computed once.

use super::dag::{Dag, Id};
use super::op::Op;
use super::{Builder, Tape};
use crate::{Error, Result};

/// L(θ) = Σᵢ f(θ, xᵢ) over samples xᵢ, and its gradient with respect to θ: a loss over data, batched over SIMD lanes and threads.
///
/// The tape of f is cut in two: u = g(θ), the work that no sample takes part in, and h(u, xᵢ). Then
/// dL/dθ = (Σᵢ ∂h/∂u(u, xᵢ)) · ∂g/∂θ, where only the sum is a loop over the samples.
///
/// ```
/// use pullback_graph::{Real, SampleSum, Tape};
/// // Squared errors of θ₀ + eᶿ¹·x: the exponential is computed once, not for each of the samples (x, y).
/// let one = Tape::record(4, |v| vec![(v[0] + v[1].exp() * v[2] - v[3]).sqr()])?;
/// let loss = SampleSum::new(&one, 2)?;
/// let mut slope = [0.0; 2];
/// let value = loss.gradient(&[1.0, 0.0], &[0.0, 1.0, 2.0, 5.0], &mut slope)?;
/// assert_eq!((value, slope), (4.0, [-4.0, -8.0]));
/// # Ok::<(), pullback_graph::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SampleSum {
    /// θ ↦ u
    before: Tape,
    /// (θ, du) ↦ (u, dθ)
    before_reverse: Tape,
    /// (u, x) ↦ h
    each: Tape,
    /// (u, x) ↦ (h, ∂h/∂u)
    each_gradient: Tape,
}

impl SampleSum {
    /// For a tape of one output whose first `shared` inputs are θ and whose others are a sample.
    ///
    /// # Errors
    /// `Invalid` if the tape has not one output, or fewer inputs than `shared`.
    pub fn new(tape: &Tape, shared: usize) -> Result<Self> {
        if tape.outputs() != 1 || tape.inputs() < shared {
            let (n, m) = (tape.inputs(), tape.outputs());
            let what =
                format!("one output and at least {shared} inputs expected, {m} and {n} given");
            return Err(Error::invalid("sum over samples", what));
        }
        let (before, each) = split(tape, shared);
        let each_gradient = each.gradient(0..before.outputs())?;
        Ok(SampleSum { before_reverse: before.reverse_guarded(), before, each, each_gradient })
    }

    /// Number of shared inputs θ.
    pub fn shared(&self) -> usize {
        self.before.inputs()
    }

    /// Number of inputs of one sample.
    pub fn sample(&self) -> usize {
        self.each.inputs() - self.before.outputs()
    }

    /// Number of instructions per sample: of the value, and of value and gradient.
    pub fn instructions(&self) -> [usize; 2] {
        [self.each.len(), self.each_gradient.len()]
    }

    /// Σᵢ f(θ, xᵢ): `x` is samples × [`SampleSum::sample`], row-major. On rayon's current threads; the bits do not depend on their
    /// number.
    ///
    /// # Errors
    /// `Length`; `OutputNotFinite`.
    pub fn value(&self, theta: &[f64], x: &[f64]) -> Result<f64> {
        // What leads into a branch that no sample takes may be anything.
        let u = self.before.eval_unchecked(theta)?;
        let mut sum = [0.0];
        self.each.sum_shared_parallel(self.batch(x)?, &u, x, &mut sum)?;
        Ok(sum[0])
    }

    /// The value, and the gradient with respect to θ into `gradient`. As [`SampleSum::value`].
    ///
    /// # Errors
    /// `Length`; `OutputNotFinite` of the value, `Invalid` of a derivative that is NaN or infinite.
    pub fn gradient(&self, theta: &[f64], x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let (expected, got) = (self.shared(), gradient.len());
        if expected != got {
            return Err(Error::Length { what: "gradient", expected, got });
        }
        let u = self.before.eval_unchecked(theta)?;
        let mut sums = vec![0.0; 1 + u.len()];
        let summed = self.each_gradient.sum_shared_parallel(self.batch(x)?, &u, x, &mut sums);
        summed.map_err(|error| match error {
            Error::OutputNotFinite { output, value, .. } if 0 < output => {
                let what =
                    format!("the derivative with respect to an intermediate result is {value}");
                Error::invalid("sum over samples", what)
            }
            other => other,
        })?;
        let back: Vec<f64> = theta.iter().chain(&sums[1..]).copied().collect();
        let slopes = &self.before_reverse.eval_unchecked(&back)?[u.len()..];
        if let Some(input) = slopes.iter().position(|slope| !slope.is_finite()) {
            let what = format!("the derivative with respect to input {input} is {}", slopes[input]);
            return Err(Error::invalid("sum over samples", what));
        }
        gradient.copy_from_slice(slopes);
        Ok(sums[0])
    }

    fn batch(&self, x: &[f64]) -> Result<usize> {
        let row = self.sample();
        match row {
            0 => Ok(usize::from(x.is_empty())),
            _ if x.len().is_multiple_of(row) => Ok(x.len() / row),
            _ => {
                let expected = x.len().next_multiple_of(row);
                Err(Error::Length { what: "samples in whole rows", expected, got: x.len() })
            }
        }
    }
}

/// u = g(θ) of the first `shared` inputs alone, and what follows from (u, x).
fn split(tape: &Tape, shared: usize) -> (Tape, Tape) {
    let nodes = &tape.nodes;
    // What does not change from sample to sample; constants belong to both sides.
    let mut common = vec![false; nodes.len()];
    let mut handed = vec![false; nodes.len()];
    for (id, node) in nodes.iter().enumerate() {
        common[id] = match node.op {
            Op::Const => true,
            Op::Input => (node.args[0] as usize) < shared,
            _ => node.operands().iter().all(|&a| common[a as usize]),
        };
        if !common[id] {
            node.operands().iter().for_each(|&a| handed[a as usize] |= common[a as usize]);
        }
    }
    tape.outputs.iter().for_each(|&y| handed[y as usize] |= common[y as usize]);
    let crossing: Vec<Id> = (0..nodes.len())
        .filter(|&id| handed[id] && nodes[id].op != Op::Const)
        .map(|id| id as Id)
        .collect();
    let before = Builder::over(tape).finish_with(shared, &crossing);
    let mut dag = Dag::default();
    let mut place: Vec<Id> = vec![0; nodes.len()];
    crossing.iter().for_each(|&id| place[id as usize] = dag.input());
    let own: Vec<Id> = (shared..tape.inputs).map(|_| dag.input()).collect();
    for (id, node) in nodes.iter().enumerate() {
        match node.op {
            Op::Const => place[id] = dag.constant(node.value),
            _ if common[id] => {}
            Op::Input => place[id] = own[node.args[0] as usize - shared],
            op => {
                let mut args = [0; 3];
                args.iter_mut().zip(node.operands()).for_each(|(to, &a)| *to = place[a as usize]);
                place[id] = dag.add(op, args);
            }
        }
    }
    let outputs: Vec<Id> = tape.outputs.iter().map(|&y| place[y as usize]).collect();
    (before, Builder { dag }.finish(&outputs))
}
