//! From the values of the actions to the value of the state.

use crate::{Error, Result};

/// How V(s) comes out of the Q(s, a).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Backup {
    /// maxₐ Q(s, a). At a tie the first action carries the derivative: that is this crate's convention at this kink.
    #[default]
    Hard,
    /// τ·ln Σₐ exp(Q(s, a)/τ), the value with an entropy bonus τ·H (Ziebart 2010, eq. 9.1; Haarnoja and others 2017, eq. 3).
    Soft {
        /// τ > 0, in units of reward.
        temperature: f64,
    },
    /// τ·ln (1/n·Σₐ exp(Q(s, a)/τ)) over the n actions that can be taken: mellowmax with ω = 1/τ (Asadi and Littman 2017, eq. 1). It lies
    /// between the mean and the largest Q.
    Mellow {
        /// τ > 0, in units of reward.
        temperature: f64,
    },
}

impl Backup {
    /// τ; `None` for the hard maximum.
    #[must_use]
    pub fn temperature(self) -> Option<f64> {
        match self {
            Backup::Hard => None,
            Backup::Soft { temperature } | Backup::Mellow { temperature } => Some(temperature),
        }
    }

    /// The same with another temperature; the hard maximum has none to change.
    #[must_use]
    pub fn with_temperature(self, temperature: f64) -> Self {
        match self {
            Backup::Hard => Backup::Hard,
            Backup::Soft { .. } => Backup::Soft { temperature },
            Backup::Mellow { .. } => Backup::Mellow { temperature },
        }
    }

    pub(crate) fn check(self, node: &str) -> Result<()> {
        match self.temperature() {
            Some(t) if !(t > 0.0 && t.is_finite()) => {
                Err(Error::invalid(node, format!("the temperature is {t}, must be positive")))
            }
            _ => Ok(()),
        }
    }

    /// V from the Q of one state; −∞ if no action is worth more.
    #[must_use]
    pub fn value(self, q: &[f64]) -> f64 {
        let top = largest(q);
        let (temperature, mean) = match self {
            Backup::Hard => return top,
            Backup::Soft { temperature } => (temperature, false),
            Backup::Mellow { temperature } => (temperature, true),
        };
        if top == f64::NEG_INFINITY {
            return top;
        }
        let sum: f64 = q.iter().map(|q| ((q - top) / temperature).exp()).sum();
        let count = if mean { finite(q) } else { 1.0 };
        top + temperature * (sum / count).ln()
    }

    /// π(a) = ∂V/∂Q(a): 1 for the first best action, or softmax(Q/τ). 0 throughout where V is −∞.
    pub fn weights(self, q: &[f64], weights: &mut [f64]) {
        let top = largest(q);
        weights.fill(0.0);
        if top == f64::NEG_INFINITY {
            return;
        }
        match self.temperature() {
            None => weights[super::first_best(q)] = 1.0,
            Some(temperature) => {
                let mut sum = 0.0;
                for (w, q) in weights.iter_mut().zip(q) {
                    *w = ((q - top) / temperature).exp();
                    sum += *w;
                }
                weights.iter_mut().for_each(|w| *w /= sum);
            }
        }
    }

    /// ∂V/∂τ: the entropy of π, less ln n for mellowmax; 0 for the hard maximum.
    #[must_use]
    pub fn temperature_slope(self, q: &[f64], weights: &[f64]) -> f64 {
        let entropy = || -> f64 {
            let terms = weights.iter().filter(|w| **w > 0.0).map(|w| -w * w.ln());
            terms.sum()
        };
        match self {
            Backup::Hard => 0.0,
            Backup::Soft { .. } => entropy(),
            Backup::Mellow { .. } => match finite(q) {
                0.0 => 0.0,
                count => entropy() - count.ln(),
            },
        }
    }
}

fn largest(q: &[f64]) -> f64 {
    q.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// How many actions can be taken.
fn finite(q: &[f64]) -> f64 {
    q.iter().filter(|q| **q > f64::NEG_INFINITY).count() as f64
}
