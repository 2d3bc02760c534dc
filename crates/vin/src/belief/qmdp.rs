//! QMDP: act as if the state were known after the next step (Littman and others 1995).

use rand::Rng;

use super::{Sensor, predict, update};
use crate::error::check_len;
use crate::grid::GridProcess;
use crate::process::Process;
use crate::solve::{Method, Settings, solve};
use crate::{Error, Result};

/// Q of the process with a known state, for beliefs.
#[derive(Debug, Clone)]
pub struct Qmdp {
    actions: usize,
    /// (states, actions); −∞ where an action cannot be taken.
    q: Vec<f64>,
    /// States where an action cannot be taken count with their own value less this.
    penalty: f64,
    values: Vec<f64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// At a terminal state.
    pub arrived: bool,
    /// Steps made.
    pub steps: usize,
    /// Actions that wanted to go into a wall, whatever walls do and noise made of it.
    pub collisions: usize,
    /// (belief before, action) of every step: what an imitator learns from.
    pub steps_taken: Vec<(Vec<f64>, usize)>,
    /// The belief at the end.
    pub belief: Vec<f64>,
}

/// −Σ b·ln b.
#[must_use]
pub fn entropy(belief: &[f64]) -> f64 {
    belief.iter().filter(|b| **b > 0.0).map(|b| -b * b.ln()).sum()
}

impl Qmdp {
    /// Solves the process.
    ///
    /// # Errors
    /// [`Error::NotSolved`]; a penalty that is not finite. `penalty` is what it costs to try an action where it cannot be taken.
    pub fn new<P: Process + ?Sized>(process: &P, penalty: f64) -> Result<Self> {
        if !penalty.is_finite() {
            return Err(Error::invalid(
                process.name(),
                format!("the penalty is {penalty}, must be finite"),
            ));
        }
        let solution = solve(process, &Settings::by(Method::PolicyIteration))?.solved(process)?;
        let actions = process.actions();
        let mut q = vec![f64::NEG_INFINITY; process.states() * actions];
        for (s, q) in q.chunks_exact_mut(actions).enumerate() {
            match process.terminal(s) {
                Some(value) => q.fill(value),
                None => process.action_values(s, &solution.values, q),
            }
        }
        Ok(Self { actions, q, penalty, values: solution.values })
    }

    /// Σ b(s)·Q(s, a) for each action.
    ///
    /// # Errors
    /// A belief of another length, mass on a state without a value.
    pub fn action_values(&self, belief: &[f64]) -> Result<Vec<f64>> {
        check_len("QMDP", "belief", belief.len(), self.values.len())?;
        let mut all = vec![0.0; self.actions];
        for (s, &b) in belief.iter().enumerate().filter(|(_, b)| **b > 0.0) {
            if !self.values[s].is_finite() {
                let what = format!("{b} of the belief is at state {s}, which has no value");
                return Err(Error::invalid("QMDP", what));
            }
            for (a, all) in all.iter_mut().enumerate() {
                let q = self.q[s * self.actions + a];
                *all += b * if q.is_finite() { q } else { self.values[s] - self.penalty };
            }
        }
        Ok(all)
    }

    /// The first best action of a belief.
    ///
    /// # Errors
    /// As [`Qmdp::action_values`].
    pub fn action(&self, belief: &[f64]) -> Result<usize> {
        Ok(crate::process::first_best(&self.action_values(belief)?))
    }

    /// Filters and acts from a state that the robot does not know, until a goal or `limit` steps.
    ///
    /// # Errors
    /// A start that there is not, a process of another size; those of the filter: a first belief that excludes the truth ends with an impossible reading.
    pub fn run<S: Sensor>(
        &self,
        process: &GridProcess,
        sensor: &S,
        start: usize,
        belief: &[f64],
        limit: usize,
        random: &mut impl Rng,
    ) -> Result<Run> {
        if start >= process.states() {
            let what = format!("a run from state {start}, which is none of {}", process.states());
            return Err(Error::invalid("QMDP", what));
        }
        check_len("QMDP", "Q of the process", self.q.len(), process.states() * process.actions())?;
        let mut run = Run {
            arrived: false,
            steps: 0,
            collisions: 0,
            steps_taken: vec![],
            belief: belief.to_vec(),
        };
        let mut state = start;
        while process.terminal(state).is_none() && run.steps < limit {
            let action = self.action(&run.belief)?;
            run.steps_taken.push((run.belief.clone(), action));
            run.steps += 1;
            run.collisions += usize::from(process.meets_wall(state, action));
            if process.reward(state, action).is_some() {
                let (mut left, from) = (random.random::<f64>(), state);
                process.successors(from, action, &mut |next, p| {
                    if left >= 0.0 {
                        state = next;
                        left -= p;
                    }
                });
            }
            let after = predict(process, &run.belief, action)?;
            let reading = sensor.draw(process.cell_of(state), random);
            let log: Vec<f64> = (0..process.states())
                .map(|s| sensor.log_likelihood(process.cell_of(s), &reading))
                .collect();
            run.belief = update(&after, &log)?.belief;
        }
        run.arrived = process.terminal(state).is_some();
        Ok(run)
    }
}
