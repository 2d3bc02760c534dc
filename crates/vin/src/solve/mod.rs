//! Solving a known process: V*, how exact it is, and how the solve ended.

mod chain;
mod evaluate;
mod linear;
mod newton;
mod prioritized;
mod status;
mod sweeps;

pub use evaluate::{Policy, evaluate_policy};
pub use prioritized::best_way;
pub use status::{Solution, Status};

pub(crate) use chain::Chain;
pub(crate) use linear::{Direction, solve_chain};
pub(crate) use newton::by_value;

use crate::process::{Backup, Process, Prospects, frame};
use crate::{Error, Result};

/// How V* is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Method {
    /// All states at once, each from the values before: the layers of a value iteration network. With γ < 1 it ends by the span of the last
    /// change (MacQueen's bounds; Puterman 1994, section 6.6), else by its size.
    #[default]
    Jacobi,
    /// State by state from the newest values, in the order of the numbers, forwards and backwards in turns (fast sweeping; Zhao 2005).
    GaussSeidel,
    /// In the order of falling V from the terminal states, each state once (Dijkstra 1959), where moves are deterministic and lose value; then
    /// the residual is measured, and policy iteration repairs what is left of it. Hard maximum only.
    Prioritized,
    /// Newton's method on V = T(V): exact evaluation of the policy that V suggests, until V stays (Puterman and Brumelle 1979). With the hard
    /// maximum that is policy iteration.
    PolicyIteration,
    /// As policy iteration, with so many sweeps of the policy's own operator in place of exact evaluation (Puterman and Shin 1978); fewer where they change
    /// nothing more.
    ModifiedPolicyIteration {
        /// Sweeps for each improvement, at most 2²⁰.
        sweeps: usize,
    },
}

/// Settings of [`solve`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How.
    pub method: Method,
    /// The backup.
    pub backup: Backup,
    /// ε > 0: with γ < 1 the promise ‖V − V*‖∞ ≤ ε, up to rounding ([`Status::Solved`]); with γ = 1 the largest last change.
    pub tolerance: f64,
    /// Sweeps or improvements at most.
    pub iterations: usize,
}

impl Default for Settings {
    /// Jacobi sweeps, hard maximum, 10⁻¹⁰, at most 100,000.
    fn default() -> Self {
        Self { method: Method::Jacobi, backup: Backup::Hard, tolerance: 1e-10, iterations: 100_000 }
    }
}

impl Settings {
    /// The default with another method.
    #[must_use]
    pub fn by(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    pub(crate) fn check(&self, node: &str) -> Result<()> {
        self.backup.check(node)?;
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            let what = format!("the tolerance is {}, must be positive and finite", self.tolerance);
            return Err(Error::invalid(node, what));
        }
        if let Method::ModifiedPolicyIteration { sweeps } = self.method
            && sweeps > 1 << 20
        {
            let what = format!(
                "{sweeps} sweeps for each improvement, at most 2²⁰: policy iteration evaluates exactly"
            );
            return Err(Error::invalid(node, what));
        }
        if self.method == Method::Prioritized && self.backup != Backup::Hard {
            return Err(Error::invalid(node, "the prioritized method needs the hard maximum"));
        }
        Ok(())
    }
}

/// V*, with its status. What goes wrong in the iteration is a status; errors are misuse.
///
/// With γ = 1 and the hard maximum V* is the best of the policies that surely end, by every method: a loop that costs nothing is no way out of a goal that
/// costs something. (Where some reward is not negative V = T(V) has further solutions; sweeps then begin at the value of such a policy, in place of 0 or a
/// guess, and rise to V*: Bertsekas and Yu 2016, proposition 1.)
///
/// # Errors
/// A temperature or tolerance that is not positive; more than 2²⁰ sweeps for each improvement; [`Method::Prioritized`] with another backup, with moves that are not deterministic, or with
/// moves that gain value.
pub fn solve<P: Process + ?Sized>(process: &P, settings: &Settings) -> Result<Solution> {
    settings.check(process.name())?;
    if settings.method == Method::Prioritized
        && let Some(solution) = prioritized::direct(process, settings)?
    {
        return Ok(solution);
    }
    let prospects = Prospects::of(process);
    solve_with(process, settings, prospects, None)
}

/// As [`solve`], from a guess of V in place of 0: values of states that have none are ignored.
///
/// # Errors
/// As [`solve`]; a guess of another length, or that is not finite where a value is to be computed.
pub fn solve_from<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    guess: &[f64],
) -> Result<Solution> {
    settings.check(process.name())?;
    crate::error::check_len(process.name(), "guess", guess.len(), process.states())?;
    let prospects = Prospects::of(process);
    let valued = |s: &usize| prospects.is_valued(*s, process.discount());
    if let Some(s) = (0..guess.len()).filter(valued).find(|&s| !guess[s].is_finite()) {
        let what = format!("the guess is {} at state {s}", guess[s]);
        return Err(Error::invalid(process.name(), what));
    }
    solve_with(process, settings, prospects, Some(guess))
}

/// Several processes, on several threads: maps of different sizes are one batch.
pub fn solve_all<P: Process>(processes: &[P], settings: &Settings) -> Vec<Result<Solution>> {
    use rayon::prelude::*;
    processes.par_iter().map(|process| solve(process, settings)).collect()
}

fn solve_with<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    prospects: Prospects,
    guess: Option<&[f64]>,
) -> Result<Solution> {
    let (values, held) = frame(process, &prospects, |s| guess.map_or(0.0, |g| g[s]));
    let mut start = sweeps::State { values, held };
    let by_sweeps = !matches!(settings.method, Method::Prioritized | Method::PolicyIteration);
    if by_sweeps && settings.backup == Backup::Hard && process.discount() == 1.0 && !process.loses()
    {
        newton::proper(process, &prospects, &mut start)?;
    }
    let ended = match settings.method {
        Method::Jacobi => sweeps::jacobi(process, settings, start),
        Method::GaussSeidel => sweeps::gauss_seidel(process, settings, start),
        Method::Prioritized => prioritized::solve(process, settings, &prospects, start)?,
        Method::PolicyIteration => newton::solve(process, settings, &prospects, start)?,
        Method::ModifiedPolicyIteration { sweeps } => {
            newton::modified(process, settings, start, sweeps)
        }
    };
    Ok(ended.into_solution(process, settings, prospects))
}
