//! Step lengths that satisfy the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

use crate::error::Result;
use crate::parameters::Parameters;

/// φ(t) = f(x + t·d) at one step length.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) t: f64,
    /// ∞ where f is not finite.
    pub(super) value: f64,
    /// φ'(t) = ∇f·d.
    pub(super) slope: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) parameters: Parameters,
}

/// φ(t) ≤ φ(0) + c₁·t·φ'(0) and |φ'(t)| ≤ c₂·|φ'(0)| (eq. 3.7), with 0 < c₁ < c₂ < 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wolfe {
    pub(super) decrease: f64,
    pub(super) curvature: f64,
    pub(super) evaluations: usize,
}

impl Wolfe {
    fn decreases(&self, start: &Trial, trial: &Trial) -> bool {
        trial.value <= start.value + self.decrease * trial.t * start.slope
    }

    fn flat(&self, start: &Trial, trial: &Trial) -> bool {
        trial.slope.abs() <= self.curvature * start.slope.abs()
    }

    /// A step along a direction with φ'(0) < 0, and how many evaluations it took.
    ///
    /// When the evaluations are spent, the best step that satisfies the first condition; none if there is none.
    pub(super) fn search(
        &self,
        start: &Trial,
        first: f64,
        evaluate: &mut dyn FnMut(f64) -> Result<Trial>,
    ) -> Result<(Option<Trial>, usize)> {
        let (mut previous, mut t) = (start.clone(), first);
        for spent in 1..=self.evaluations {
            let trial = evaluate(t)?;
            if !self.decreases(start, &trial) || (spent > 1 && trial.value >= previous.value) {
                return self.zoom(start, previous, trial, spent, evaluate);
            }
            if self.flat(start, &trial) {
                return Ok((Some(trial), spent));
            }
            if trial.slope >= 0.0 {
                return self.zoom(start, trial, previous, spent, evaluate);
            }
            t = 2.0 * trial.t;
            previous = trial;
        }
        Ok((moved(previous), self.evaluations))
    }

    /// Narrows the interval between `low`, the best step so far, and `high`.
    fn zoom(
        &self,
        start: &Trial,
        mut low: Trial,
        mut high: Trial,
        spent: usize,
        evaluate: &mut dyn FnMut(f64) -> Result<Trial>,
    ) -> Result<(Option<Trial>, usize)> {
        for spent in spent + 1..=self.evaluations {
            let trial = evaluate(between(&low, &high))?;
            if !self.decreases(start, &trial) || trial.value >= low.value {
                high = trial;
            } else {
                if self.flat(start, &trial) {
                    return Ok((Some(trial), spent));
                }
                if trial.slope * (high.t - low.t) >= 0.0 {
                    high = low;
                }
                low = trial;
            }
            if (high.t - low.t).abs() <= f64::EPSILON * low.t.abs().max(high.t.abs()) {
                return Ok((moved(low), spent));
            }
        }
        Ok((moved(low), self.evaluations))
    }
}

fn moved(trial: Trial) -> Option<Trial> {
    (trial.t > 0.0).then_some(trial)
}

/// The minimizer of the cubic through both ends (eq. 3.59), kept off the ends; the middle where there is none.
fn between(a: &Trial, b: &Trial) -> f64 {
    let width = b.t - a.t;
    let middle = a.t + 0.5 * width;
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.t - b.t);
    let d2 = width.signum() * (d1 * d1 - a.slope * b.slope).sqrt();
    let t = b.t - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    let share = (t - a.t) / width;
    // Comparisons with NaN are false.
    if (0.1..=0.9).contains(&share) {
        t
    } else if share > 0.9 {
        a.t + 0.9 * width
    } else if share < 0.1 {
        a.t + 0.1 * width
    } else {
        middle
    }
}
