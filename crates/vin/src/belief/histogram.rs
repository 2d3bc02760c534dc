//! The Bayes filter over all states.

use crate::error::{check_finite, check_len};
use crate::process::Process;
use crate::{Error, Result};

/// b′(s′) = Σ b(s)·P(s′ | s, a): the belief after an action. Terminal states keep their mass, and so do states where the action cannot be taken: nothing
/// happens there.
///
/// # Errors
/// A belief of another length, an action that there is not.
pub fn predict<P: Process + ?Sized>(
    process: &P,
    belief: &[f64],
    action: usize,
) -> Result<Vec<f64>> {
    check(process, "belief", belief, action)?;
    let mut after = vec![0.0; belief.len()];
    for (s, &b) in belief.iter().enumerate().filter(|(_, b)| **b != 0.0) {
        each(process, s, action, &mut |next, p| after[next] += b * p);
    }
    Ok(after)
}

/// (P·V)(s) = Σ P(s′ | s, a)·V(s′): the transpose of [`predict`], and the planner's expectation. Also the pull of a cotangent through a prediction.
///
/// # Errors
/// Values of another length, an action that there is not.
pub fn expected<P: Process + ?Sized>(
    process: &P,
    values: &[f64],
    action: usize,
) -> Result<Vec<f64>> {
    check(process, "values", values, action)?;
    let one = |s: usize| {
        let mut sum = 0.0;
        each(process, s, action, &mut |next, p| sum += p * values[next]);
        sum
    };
    Ok((0..values.len()).map(one).collect())
}

/// What an action does to a belief's states.
fn each<P: Process + ?Sized>(process: &P, s: usize, action: usize, f: &mut dyn FnMut(usize, f64)) {
    if process.terminal(s).is_some() || process.reward(s, action).is_none() {
        f(s, 1.0);
    } else {
        process.successors(s, action, f);
    }
}

fn check<P: Process + ?Sized>(
    process: &P,
    argument: &'static str,
    numbers: &[f64],
    action: usize,
) -> Result<()> {
    check_len(process.name(), argument, numbers.len(), process.states())?;
    check_finite(process.name(), argument, numbers)?;
    if action >= process.actions() {
        let what = format!("action {action}, there are {}", process.actions());
        return Err(Error::invalid(process.name(), what));
    }
    Ok(())
}

/// A belief after a reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Updated {
    /// b′(s) = b(s)·p(z | s)/p(z).
    pub belief: Vec<f64>,
    /// ln p(z): its sum over time is the log-likelihood of all readings.
    pub log_evidence: f64,
    /// p(z | s)/p(z), also where the belief was 0: there it may be beyond f64.
    ratio: Vec<f64>,
}

/// Bayes' rule with ln p(z | s) for each state. Shifted by the largest, so that no likelihood is too small.
///
/// # Errors
/// Lengths that differ, NaN; a belief with numbers that are negative or not finite; a reading that is impossible in every state of the belief, which is a model that is wrong.
pub fn update(belief: &[f64], log_likelihood: &[f64]) -> Result<Updated> {
    const NODE: &str = "belief update";
    check_len(NODE, "log-likelihood", log_likelihood.len(), belief.len())?;
    check_finite(NODE, "belief", belief)?;
    if let Some(s) = log_likelihood.iter().position(|l| l.is_nan() || *l == f64::INFINITY) {
        let what = format!("the log-likelihood of state {s} is {}", log_likelihood[s]);
        return Err(Error::invalid(NODE, what));
    }
    if let Some(s) = belief.iter().position(|b| !b.is_finite() || *b < 0.0) {
        let what = format!("the belief is {} at state {s}, must be finite and ≥ 0", belief[s]);
        return Err(Error::invalid(NODE, what));
    }
    let pairs = || belief.iter().zip(log_likelihood).filter(|(b, _)| **b > 0.0);
    let top = pairs().map(|(_, l)| *l).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = pairs().map(|(b, l)| b * (l - top).exp()).sum();
    if !(sum > 0.0 && top > f64::NEG_INFINITY) {
        return Err(Error::invalid(NODE, "the reading is impossible in every state of the belief"));
    }
    let one = |(b, l): (&f64, &f64)| if *b > 0.0 { b * (l - top).exp() / sum } else { 0.0 };
    let after = belief.iter().zip(log_likelihood).map(one).collect();
    let ratio = log_likelihood.iter().map(|l| (l - top).exp() / sum).collect();
    Ok(Updated { belief: after, log_evidence: top + sum.ln(), ratio })
}

impl Updated {
    /// The backward chain rule: dL/db and dL/d ln p(z | s), from dL/db′ and dL/d ln p(z). Where the belief was 0, dL/db is the slope to the right: what a
    /// little mass there would change.
    ///
    /// # Errors
    /// A cotangent of another length or that is not finite; a state where the belief was 0 and the reading is likelier than anywhere else by more than f64 can
    /// hold.
    pub fn pull(&self, of_belief: &[f64], of_evidence: f64) -> Result<[Vec<f64>; 2]> {
        const NODE: &str = "belief update";
        check_len(NODE, "cotangent", of_belief.len(), self.belief.len())?;
        check_finite(NODE, "cotangent", of_belief)?;
        check_finite(NODE, "cotangent of the evidence", &[of_evidence])?;
        if let Some(s) = self.ratio.iter().position(|r| !r.is_finite()) {
            let what = format!(
                "no derivative by the belief at state {s}, which was 0: the reading is likelier there by a factor of {}",
                self.ratio[s]
            );
            return Err(Error::invalid(NODE, what));
        }
        // b′ = b·l/Z: ∂L/∂b = l/Z·(g − ⟨g, b′⟩ + e), and ∂L/∂ ln l is b times that.
        let mean: f64 = of_belief.iter().zip(&self.belief).map(|(g, b)| g * b).sum();
        let slope = |(g, factor): (&f64, &f64)| factor * (g - mean + of_evidence);
        let by = |factors: &[f64]| of_belief.iter().zip(factors).map(slope).collect();
        Ok([by(&self.ratio), by(&self.belief)])
    }
}
