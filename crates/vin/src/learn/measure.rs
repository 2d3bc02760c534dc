//! How good a policy is: walks that follow it to the end, from the published start or from everywhere.

use super::problems::ProblemSet;
use crate::grid::{GridProcess, GridSpec};
use crate::process::Process;
use crate::{Error, Result};

/// A share with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// How many succeeded.
    pub hits: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// hits/of; NaN for none.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    /// The 95 % interval of Wilson (1927).
    #[must_use]
    pub fn interval(&self) -> [f64; 2] {
        wilson(self.hits, self.of, 1.959_963_984_540_054)
    }
}

/// The interval of Wilson (1927) for a share of `hits` out of `of`, z standard deviations wide on either side; [0, 1] for none.
#[must_use]
pub fn wilson(hits: usize, of: usize, z: f64) -> [f64; 2] {
    if of == 0 {
        return [0.0, 1.0];
    }
    let (n, p) = (of as f64, hits as f64 / of as f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// What came of a policy on a set of problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Walks that reached the goal within twice the best length (the VIN paper's limit).
    pub success: Share,
    /// Of all walks, those of the best length.
    pub optimal: Share,
    /// States with a label where the policy's action is one of the best.
    pub right_action: Share,
    /// Mean over the successful walks of length/best length.
    pub cost_ratio: f64,
    /// Success by best length: bins of equal width from 0 on.
    pub by_length: Vec<Share>,
    /// Their width.
    pub bin: f64,
}

/// The end of one walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Walk {
    /// At the goal, after this length.
    Arrived(f64),
    /// Into a wall, longer than the limit, or in a circle.
    Lost,
}

/// Follows an action for each state from `start` until the goal, a move that cannot be made, a length above `limit`, or as many steps as there are states:
/// then it goes in a circle.
///
/// # Errors
/// Moves that are not certain: a walk is one of many then ([`rollout`](crate::policy::rollout) draws them); a start that there is not, another number of
/// actions than of states, an action on the way that there is not, a limit that is not finite.
pub fn walk(process: &GridProcess, actions: &[u8], start: usize, limit: f64) -> Result<Walk> {
    let (node, states) = (process.name(), process.states());
    crate::error::check_len(node, "actions", actions.len(), states)?;
    if !process.is_certain() {
        let (slip, stay) = (process.spec().slip, process.spec().stay);
        let open = if process.map().open().is_some() { ", and cells may not open" } else { "" };
        let what =
            format!("a walk needs moves that are certain: slip is {slip}, stay {stay}{open}");
        return Err(Error::invalid(node, what));
    }
    if start >= states || !limit.is_finite() {
        let what = format!(
            "a walk from state {start} with the limit {limit}: must be one of {states} states and a finite length"
        );
        return Err(Error::invalid(node, what));
    }
    let (mut state, mut length) = (start, 0.0);
    for _ in 0..states {
        if process.terminal(state).is_some() {
            return Ok(Walk::Arrived(length));
        }
        let action = actions[state] as usize;
        if action >= process.actions() {
            let what = format!("action {action} in state {state}, there are {}", process.actions());
            return Err(Error::invalid(node, what));
        }
        let Some(reward) = process.reward(state, action) else { return Ok(Walk::Lost) };
        length -= reward;
        if length > limit {
            return Ok(Walk::Lost);
        }
        process.successors(state, action, &mut |next, _| state = next);
    }
    Ok(Walk::Lost)
}

/// Measures greedy policies, one action for each state of each problem. `everywhere`: walks from every state with a way, as the GPPN paper does;
/// else from the problem's start.
///
/// # Errors
/// Another number of policies, a policy of another length, an action on the way that there is not; a set without walks.
pub fn measure(set: &ProblemSet, policies: &[Vec<u8>], everywhere: bool) -> Result<Report> {
    const BINS: usize = 10;
    const NODE: &str = "measure";
    crate::error::check_len(NODE, "policies", policies.len(), set.problems.len())?;
    let per = set.connectivity.states_per_cell();
    let longest = set
        .problems
        .iter()
        .flat_map(|p| p.lengths.iter().filter(|l| l.is_finite()))
        .fold(0.0f64, |m, l| m.max(*l));
    let bin = (longest / BINS as f64).max(1.0);
    let none = Share { hits: 0, of: 0 };
    let mut report = Report {
        success: none,
        optimal: none,
        right_action: none,
        cost_ratio: 0.0,
        by_length: vec![none; BINS + 1],
        bin,
    };
    for (problem, actions) in set.problems.iter().zip(policies) {
        crate::error::check_len(NODE, "policy", actions.len(), problem.best.len())?;
        let spec = GridSpec { connectivity: set.connectivity, ..GridSpec::default() };
        let process =
            GridProcess::new(set.maps[problem.map].clone(), spec, &[(problem.goal, 0.0)])?;
        for (action, best) in actions.iter().zip(&problem.best).filter(|(_, b)| **b != 0) {
            count(&mut report.right_action, *action < 8 && best >> action & 1 == 1);
        }
        let everyone = (0..problem.best.len()).filter(|&s| problem.best[s] != 0);
        let starts: Vec<usize> =
            if everywhere { everyone.collect() } else { vec![problem.start * per] };
        for start in starts {
            let best = problem.lengths[start];
            let end = walk(&process, actions, start, 2.0 * best + 1e-9)?;
            let arrived = matches!(end, Walk::Arrived(_));
            count(&mut report.success, arrived);
            count(&mut report.by_length[((best / bin) as usize).min(BINS)], arrived);
            let length = if let Walk::Arrived(length) = end { length } else { f64::INFINITY };
            count(&mut report.optimal, length <= best + 1e-6);
            if arrived {
                report.cost_ratio += length / best;
            }
        }
    }
    if report.success.of == 0 {
        return Err(Error::invalid(NODE, "there is no walk to measure: the set has no problems"));
    }
    report.cost_ratio /= report.success.hits as f64;
    Ok(report)
}

fn count(share: &mut Share, hit: bool) {
    share.of += 1;
    share.hits += usize::from(hit);
}
