//! How a solve ended.

use crate::process::{Backup, Outlook, Process, Prospects};
use crate::{Error, Result};

/// How the solve of one process ended. Everything but `Solved` means: there is nothing to use or to differentiate.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// The promise of [`Settings::tolerance`](super::Settings) holds, or what is missing is rounding: with γ < 1 that is some ε·‖V‖∞/(1 − γ), where ε is
    /// 2⁻⁵². [`Solution::bound`] is the number to read where γ is near 1.
    Solved,
    /// The iterations ended before.
    NotConverged {
        /// Sweeps or improvements made.
        iterations: usize,
        /// The largest last change.
        residual: f64,
    },
    /// The values grow without bound: a loop that gains reward or entropy for ever, with γ = 1 or rows of P whose sums exceed 1/γ. Seen where a value
    /// leaves the finite numbers, where a better policy never ends, or where one takes more than 10¹² steps to its end, so that nothing is left of the
    /// values but rounding.
    Diverged {
        /// Sweeps or improvements made.
        iterations: usize,
    },
}

impl Status {
    /// Is there a solution?
    #[must_use]
    pub fn is_solved(self) -> bool {
        self == Status::Solved
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Solved => f.write_str("solved"),
            Status::NotConverged { iterations, residual } => {
                write!(
                    f,
                    "not converged after {iterations} iterations, the last change was {residual:e}"
                )
            }
            Status::Diverged { iterations } => {
                write!(f, "the values grow without bound, seen after {iterations} iterations")
            }
        }
    }
}

/// V with everything that is known about it.
#[derive(Debug, Clone)]
pub struct Solution {
    /// V(s); −∞ where there is no value, see [`Solution::outlook`].
    pub values: Vec<f64>,
    /// How the solve ended.
    pub status: Status,
    /// Sweeps, or improvements of the policy.
    pub iterations: usize,
    /// ‖V′ − V‖∞ of the last iteration.
    pub residual: f64,
    /// What ‖V − V*‖∞ is at most, up to rounding, if the status is [`Status::Solved`]; more than the tolerance where rounding keeps V from it. `None` where
    /// nothing is known (γ = 1 and probabilities, or rows of P with sums of 1/γ and more).
    pub bound: Option<f64>,
    /// The backup whose fixed point V is.
    pub backup: Backup,
    pub(crate) prospects: Prospects,
}

impl Solution {
    /// What a state can hope for.
    #[must_use]
    pub fn outlook(&self, state: usize) -> Outlook {
        self.prospects.of_state(state)
    }

    /// The outlooks of all states, and a policy that surely ends.
    #[must_use]
    pub fn prospects(&self) -> &Prospects {
        &self.prospects
    }

    /// V(s), or `None` where there is none.
    #[must_use]
    pub fn value(&self, state: usize) -> Option<f64> {
        self.values.get(state).copied().filter(|v| v.is_finite())
    }

    /// The solution itself if it is one.
    ///
    /// # Errors
    /// [`Error::NotSolved`].
    pub fn solved<P: Process + ?Sized>(self, process: &P) -> Result<Self> {
        match self.status {
            Status::Solved => Ok(self),
            status => Err(Error::NotSolved { node: process.name().into(), status }),
        }
    }
}
