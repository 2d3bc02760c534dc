//! Policies, and their exact value.

use super::{Chain, Direction, newton, solve_chain};
use crate::error::check_len;
use crate::process::{Process, Prospects, frame};
use crate::{Error, Result};

/// π(a | s) for every state: row s of states × actions; a row of zeros where nothing is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    actions: usize,
    probability: Vec<f64>,
}

impl Policy {
    /// Takes probabilities.
    ///
    /// # Errors
    /// A length that is no multiple of the number of actions; a row that neither is 0 nor has the sum 1, up to 10⁻⁹; negative numbers.
    pub fn new(actions: usize, probability: Vec<f64>) -> Result<Self> {
        const NODE: &str = "policy";
        if actions == 0 || !probability.len().is_multiple_of(actions) {
            let what = format!(
                "{} probabilities are no whole number of rows of {actions} actions",
                probability.len()
            );
            return Err(Error::invalid(NODE, what));
        }
        for (state, row) in probability.chunks_exact(actions).enumerate() {
            let sum: f64 = row.iter().sum();
            let fits = row.iter().all(|p| *p >= 0.0) && (sum == 0.0 || (sum - 1.0).abs() <= 1e-9);
            if !fits {
                let what = format!(
                    "the probabilities of state {state} are {row:?}, with a sum of {sum}, not 1"
                );
                return Err(Error::invalid(NODE, what));
            }
        }
        Ok(Self { actions, probability })
    }

    pub(crate) fn unchecked(actions: usize, probability: Vec<f64>) -> Self {
        Self { actions, probability }
    }

    /// How many actions.
    #[must_use]
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// How many states.
    #[must_use]
    pub fn states(&self) -> usize {
        self.probability.len() / self.actions
    }

    /// π(· | s).
    #[must_use]
    pub fn row(&self, state: usize) -> &[f64] {
        &self.probability[state * self.actions..(state + 1) * self.actions]
    }
}

/// V^π exactly: the solution of V = r_π + γ·P_π·V. −∞ where the policy may come into a state without a value, or does nothing, and with γ = 1 where
/// it may never end.
///
/// # Errors
/// A policy for another number of states or actions; an action that cannot be taken; rows of P so long that γ·P does not contract
/// ([`Error::NotContracting`]).
pub fn evaluate_policy<P: Process + ?Sized>(process: &P, policy: &Policy) -> Result<Vec<f64>> {
    let (node, n) = (process.name(), process.states());
    check_len(node, "policy", policy.probability.len(), n * process.actions())?;
    if policy.actions != process.actions() {
        let what = format!("a policy of {} actions, not {}", policy.actions, process.actions());
        return Err(Error::invalid(node, what));
    }
    // What the policy itself makes of the process decides which states have a value.
    let followed = Followed { process, policy };
    let prospects = Prospects::of(&followed);
    for s in (0..n).filter(|&s| process.terminal(s).is_none()) {
        for (a, &p) in policy.row(s).iter().enumerate() {
            if p > 0.0 && process.reward(s, a).is_none() {
                return Err(Error::invalid(
                    node,
                    format!("action {a} of state {s} cannot be taken"),
                ));
            }
        }
    }
    let (mut values, held) = frame(&followed, &prospects, |_| 0.0);
    let order: Vec<u32> = (0..n as u32).filter(|&s| !held[s as usize]).collect();
    let chain = Chain::new(&followed, order, |_, pi| pi[0] = 1.0);
    if process.row_sums()[1] > 1.0 && !newton::ends(node, &chain) {
        // Such equations may have a solution that is no limit of anything.
        let why =
            format!("γ·P does not contract, rows have sums of up to {}", process.row_sums()[1]);
        return Err(Error::NotContracting { node: node.into(), why });
    }
    let b: Vec<f64> =
        chain.states.iter().map(|&s| followed.action_value(s as usize, 0, &values)).collect();
    let x = solve_chain(node, &chain, Direction::Forward, &b)?;
    for (&s, x) in chain.states.iter().zip(x) {
        values[s as usize] = x;
    }
    Ok(values)
}

/// A process where there is nothing to choose any more: its one action is what the policy does.
struct Followed<'p, P: ?Sized> {
    process: &'p P,
    policy: &'p Policy,
}

impl<P: Process + ?Sized> Process for Followed<'_, P> {
    fn name(&self) -> &str {
        self.process.name()
    }
    fn states(&self) -> usize {
        self.process.states()
    }
    fn actions(&self) -> usize {
        1
    }
    fn discount(&self) -> f64 {
        self.process.discount()
    }
    fn terminal(&self, state: usize) -> Option<f64> {
        self.process.terminal(state)
    }
    fn reward(&self, state: usize, _: usize) -> Option<f64> {
        let row = self.policy.row(state);
        if row.iter().all(|p| *p == 0.0) {
            return None;
        }
        let taken = row.iter().enumerate().filter(|(_, p)| **p > 0.0);
        Some(taken.map(|(a, p)| p * self.process.reward(state, a).unwrap_or(0.0)).sum())
    }
    fn successors(&self, state: usize, _: usize, f: &mut dyn FnMut(usize, f64)) {
        for (a, &pi) in self.policy.row(state).iter().enumerate().filter(|(_, p)| **p > 0.0) {
            self.process.successors(state, a, &mut |next, p| f(next, pi * p));
        }
    }
    fn row_sums(&self) -> [f64; 2] {
        self.process.row_sums()
    }
}
