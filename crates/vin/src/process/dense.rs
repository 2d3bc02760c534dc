//! A process written down in full.

use super::{Block, Parametric, Process};
use crate::error::{check_finite, check_len};
use crate::{Error, Result};

/// P as an array (states, actions, states), R as (states, actions). For small processes and oracles: S²·A numbers.
#[derive(Debug, Clone)]
pub struct Dense {
    states: usize,
    actions: usize,
    discount: f64,
    reward: Vec<f64>,
    transition: Vec<f64>,
    terminal: Vec<Option<f64>>,
}

impl Dense {
    /// Checks and takes the numbers. `terminal` names states with their fixed values; what R and P say there is ignored.
    ///
    /// # Errors
    /// Wrong lengths; more than 255 actions; a discount outside (0, 1], or 1 without a terminal state; numbers that are not finite; negative
    /// probabilities, or rows whose sum is further than 10⁻⁹ from 1.
    pub fn new(
        [states, actions]: [usize; 2],
        reward: Vec<f64>,
        transition: Vec<f64>,
        discount: f64,
        terminal: &[(usize, f64)],
    ) -> Result<Self> {
        const NODE: &str = "dense process";
        let terminal = check_frame(NODE, [states, actions], discount, terminal)?;
        check_len(NODE, "reward", reward.len(), states * actions)?;
        check_len(NODE, "transition", transition.len(), states * actions * states)?;
        check_finite(NODE, "reward", &reward)?;
        for (row, p) in transition.chunks_exact(states).enumerate() {
            let (state, action) = (row / actions, row % actions);
            if terminal[state].is_none() {
                check_row(NODE, state, action, p, ROW_SUM)?;
            }
        }
        Ok(Self { states, actions, discount, reward, transition, terminal })
    }

    /// P(· | s, a), one number for each state.
    #[must_use]
    pub fn row(&self, state: usize, action: usize) -> &[f64] {
        let from = (state * self.actions + action) * self.states;
        &self.transition[from..from + self.states]
    }
}

impl Process for Dense {
    fn name(&self) -> &str {
        "dense process"
    }
    fn states(&self) -> usize {
        self.states
    }
    fn actions(&self) -> usize {
        self.actions
    }
    fn discount(&self) -> f64 {
        self.discount
    }
    fn terminal(&self, state: usize) -> Option<f64> {
        self.terminal[state]
    }
    fn reward(&self, state: usize, action: usize) -> Option<f64> {
        Some(self.reward[state * self.actions + action])
    }
    fn successors(&self, state: usize, action: usize, f: &mut dyn FnMut(usize, f64)) {
        for (next, &p) in self.row(state, action).iter().enumerate() {
            if p > 0.0 {
                f(next, p);
            }
        }
    }
}

impl Parametric for Dense {
    fn blocks(&self) -> Vec<Block> {
        let (s, a) = (self.states, self.actions);
        vec![Block::new("reward", &[s, a]), Block::new("transition", &[s, a, s])]
    }
    fn parameters(&self) -> Vec<f64> {
        [&self.reward[..], &self.transition].concat()
    }
    fn with_parameters(&self, parameters: &[f64]) -> Result<Self> {
        let rewards = self.reward.len();
        check_len(self.name(), "parameters", parameters.len(), rewards + self.transition.len())?;
        let (reward, transition) = parameters.split_at(rewards);
        let (sizes, terminal) = ([self.states, self.actions], ends(&self.terminal));
        Self::new(sizes, reward.to_vec(), transition.to_vec(), self.discount, &terminal)
    }
    fn with_rounded_parameters(&self, parameters: &[f64]) -> Result<Self> {
        let mut exact = parameters.to_vec();
        let rows = exact.get_mut(self.reward.len()..).unwrap_or_default();
        rows.chunks_exact_mut(self.states).for_each(unrounded);
        self.with_parameters(&exact)
    }
    fn with_discount(&self, discount: f64) -> Result<Self> {
        check_discount(self.name(), discount, !ends(&self.terminal).is_empty())?;
        Ok(Self { discount, ..self.clone() })
    }
    fn pull(&self, state: usize, action: usize, weight: f64, values: &[f64], into: &mut [f64]) {
        let row = state * self.actions + action;
        into[row] += weight;
        let from = self.reward.len() + row * self.states;
        let slope = weight * self.discount;
        for (into, v) in into[from..from + self.states].iter_mut().zip(values) {
            if v.is_finite() {
                *into += slope * v;
            }
        }
    }
    fn push(&self, state: usize, action: usize, direction: &[f64], values: &[f64]) -> f64 {
        let row = state * self.actions + action;
        let from = self.reward.len() + row * self.states;
        let along = direction[from..from + self.states].iter().zip(values);
        let moved: f64 = along.filter(|(_, v)| v.is_finite()).map(|(d, v)| d * v).sum();
        direction[row] + self.discount * moved
    }
}

/// How far the sum of a row of P may be from 1.
pub(super) const ROW_SUM: f64 = 1e-9;

/// Checks what all processes with written probabilities share, and spreads the terminal values.
pub(super) fn check_frame(
    node: &str,
    [states, actions]: [usize; 2],
    discount: f64,
    terminal: &[(usize, f64)],
) -> Result<Vec<Option<f64>>> {
    if states == 0 || actions == 0 || actions > 255 || states > u32::MAX as usize {
        let what = format!(
            "{states} states and {actions} actions: there must be 1 to 2³² states and 1 to 255 actions"
        );
        return Err(Error::invalid(node, what));
    }
    check_discount(node, discount, !terminal.is_empty())?;
    let mut values = vec![None; states];
    for &(state, value) in terminal {
        if state >= states || !value.is_finite() {
            let what = format!(
                "terminal state {state} of value {value}: must be one of {states} states, with a finite value"
            );
            return Err(Error::invalid(node, what));
        }
        values[state] = Some(value);
    }
    Ok(values)
}

/// The terminal states with their values, as [`check_frame`] takes them.
pub(super) fn ends(terminal: &[Option<f64>]) -> Vec<(usize, f64)> {
    terminal.iter().enumerate().filter_map(|(s, v)| v.map(|v| (s, v))).collect()
}

/// A row of P that was rounded to f32 as one of f64: divided by its sum if that is within 10⁻⁶ of 1.
pub(super) fn unrounded(p: &mut [f64]) {
    let sum: f64 = p.iter().sum();
    if (sum - 1.0).abs() <= 1e-6 {
        p.iter_mut().for_each(|p| *p /= sum);
    }
}

/// γ in (0, 1], and 1 only where something ends.
pub(crate) fn check_discount(node: &str, discount: f64, ends: bool) -> Result<()> {
    if !(discount > 0.0 && discount <= 1.0) {
        return Err(Error::invalid(node, format!("the discount is {discount}, must be in (0, 1]")));
    }
    if discount == 1.0 && !ends {
        return Err(Error::invalid(node, "a discount of 1 needs a terminal state"));
    }
    Ok(())
}

/// One row of P; its sum.
pub(super) fn check_row(
    node: &str,
    state: usize,
    action: usize,
    p: &[f64],
    tolerance: f64,
) -> Result<f64> {
    let fail = |what: String| Err(Error::Distribution { node: node.into(), state, action, what });
    if let Some(p) = p.iter().find(|p| !(p.is_finite() && **p >= 0.0)) {
        return fail(format!("one is {p}, must be finite and not negative"));
    }
    let sum: f64 = p.iter().sum();
    if (sum - 1.0).abs() > tolerance {
        return fail(format!("their sum is {sum}, must be 1"));
    }
    Ok(sum)
}
