//! The derivative at the fixed point V = T(V).

use super::plan::{Gradient, Planned, Tangent};
use crate::process::{Backup, Parametric};
use crate::solve::{Chain, Direction, solve_chain};
use crate::{Error, Result};

/// π at the fixed point, and the chain that it makes.
pub(super) struct Fixed {
    chain: Chain,
    policy: Weights,
    /// Terms of the Neumann series, or all of it.
    terms: Option<usize>,
}

/// π(a | s) of the rows of the chain.
enum Weights {
    /// The action taken.
    Pure(Vec<u8>),
    /// (rows, actions), and ∂T/∂τ for each row.
    Mixed(Vec<f64>, Vec<f64>),
}

impl Fixed {
    pub(super) fn new<P: Parametric>(
        process: &P,
        backup: Backup,
        values: &[f64],
        held: &[bool],
        terms: Option<usize>,
    ) -> Result<Self> {
        let (chain, policy) = match backup {
            Backup::Hard => pure(process, values, held),
            _ => mixed(process, backup, values, held),
        };
        let fixed = Self { chain, policy, terms };
        fixed.contracts(process)?;
        Ok(fixed)
    }

    pub(super) fn bytes(&self) -> usize {
        let policy = match &self.policy {
            Weights::Pure(actions) => actions.len(),
            Weights::Mixed(policy, slopes) => 8 * (policy.len() + slopes.len()),
        };
        policy
            + 8 * self.chain.starts.len()
            + 12 * self.chain.next.len()
            + 4 * (self.chain.states.len() + self.chain.row_of.len())
    }

    /// With γ < 1 it always does. With γ = 1 every state must come to an end under π: backwards from the rows that lose probability.
    fn contracts<P: Parametric>(&self, process: &P) -> Result<()> {
        let chain = &self.chain;
        let n = chain.len();
        if chain.discount < 1.0 {
            // Rows whose sums were not checked may still be longer than 1.
            let sum = |row: usize| chain.row(row).map(|(_, p)| p).sum::<f64>() * chain.discount;
            return match (0..n).find(|&row| sum(row) >= 1.0 + 1e-9) {
                None => Ok(()),
                Some(row) => {
                    let what = format!("γ·ΣP is {}, must be below 1", sum(row));
                    self.refuse(process, row, what)
                }
            };
        }
        let mut before: Vec<Vec<u32>> = vec![vec![]; n];
        let mut ends = vec![];
        for row in 0..n {
            let mut inside = 0.0;
            for (next, p) in chain.row(row) {
                before[next].push(row as u32);
                inside += p;
            }
            if inside < 1.0 - 1e-12 {
                ends.push(row as u32);
            }
        }
        let mut comes = vec![false; n];
        ends.iter().for_each(|&r| comes[r as usize] = true);
        while let Some(row) = ends.pop() {
            for &r in &before[row as usize] {
                if !std::mem::replace(&mut comes[r as usize], true) {
                    ends.push(r);
                }
            }
        }
        match comes.iter().position(|c| !c) {
            None => Ok(()),
            Some(row) => {
                let what =
                    "the policy never ends (nowhere with a probability above 10⁻¹²), and γ is 1";
                self.refuse(process, row, what.into())
            }
        }
    }

    fn refuse<P: Parametric>(&self, process: &P, row: usize, what: String) -> Result<()> {
        let why = format!("from state {}: {what}", self.chain.states[row]);
        Err(Error::NotContracting { node: process.name().into(), why })
    }

    /// x of (I − γ·P)·x = b or its transpose, or the first terms of its series.
    fn series(&self, node: &str, direction: Direction, b: &[f64]) -> Result<Vec<f64>> {
        // More terms than rounding can tell from all of them: γᵏ < 10⁻⁴⁴, or beyond counting.
        let all = |terms: usize| {
            terms as f64 * -self.chain.discount.ln() > 100.0 || terms > u32::MAX as usize
        };
        let terms = match self.terms {
            Some(terms) if !all(terms) => terms,
            _ => return solve_chain(node, &self.chain, direction, b),
        };
        let transposed = direction == Direction::Transposed;
        let (mut term, mut sum) = (b.to_vec(), b.to_vec());
        let mut image = vec![0.0; b.len()];
        if terms == 0 {
            return Ok(vec![0.0; b.len()]);
        }
        let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let nothing = 1e-40 * largest(b);
        for _ in 1..terms {
            // γ·P·x = x − (I − γ·P)·x.
            self.chain.apply(transposed, &term, &mut image);
            term.iter_mut().zip(&image).for_each(|(t, i)| *t -= i);
            sum.iter_mut().zip(&term).for_each(|(s, t)| *s += t);
            if largest(&term) <= nothing {
                // The series of a forest ends by itself.
                break;
            }
        }
        Ok(sum)
    }

    pub(super) fn pull<P: Parametric>(
        &self,
        plan: &Planned<'_, P>,
        cotangent: Vec<f64>,
        gradient: &mut Gradient,
    ) -> Result<()> {
        let mut pi = vec![0.0; plan.process.actions()];
        let b = self.chain.gather(&cotangent);
        let flow = self.series(plan.process.name(), Direction::Transposed, &b)?;
        let mut ends = cotangent;
        for (row, &s) in self.chain.states.iter().enumerate() {
            let s = s as usize;
            if flow[row] == 0.0 {
                continue;
            }
            gradient.temperature += flow[row] * self.policy.at(row, &mut pi);
            for (a, &w) in pi.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                plan.flow(s, a, flow[row] * w, &plan.values, &mut ends, gradient);
            }
        }
        // Only the ends are read: the free states' share is in the solution already.
        plan.settle(&ends, gradient);
        Ok(())
    }

    pub(super) fn push<P: Parametric>(
        &self,
        plan: &Planned<'_, P>,
        tangent: &Tangent,
    ) -> Result<Vec<f64>> {
        let (n, actions) = (plan.process.states(), plan.process.actions());
        let end =
            |s: usize| if plan.process.terminal(s).is_some() { tangent.terminal[s] } else { 0.0 };
        let mut along: Vec<f64> = (0..n).map(end).collect();
        let mut pi = vec![0.0; actions];
        let one = |(row, &s): (usize, &u32)| {
            let slope = self.policy.at(row, &mut pi);
            plan.moved(s as usize, &pi, slope, &plan.values, &along, tangent)
        };
        let b: Vec<f64> = self.chain.states.iter().enumerate().map(one).collect();
        let x = self.series(plan.process.name(), Direction::Forward, &b)?;
        for (&s, x) in self.chain.states.iter().zip(x) {
            along[s as usize] = x;
        }
        Ok(along)
    }
}

impl Weights {
    /// Fills π of a row; ∂T/∂τ.
    fn at(&self, row: usize, pi: &mut [f64]) -> f64 {
        match self {
            Weights::Pure(actions) => {
                pi.fill(0.0);
                pi[actions[row] as usize] = 1.0;
                0.0
            }
            Weights::Mixed(policy, slopes) => {
                pi.copy_from_slice(&policy[row * pi.len()..(row + 1) * pi.len()]);
                slopes[row]
            }
        }
    }
}

/// The first best actions. Where they make a forest, the order of the rows does not matter.
fn pure<P: Parametric>(process: &P, values: &[f64], held: &[bool]) -> (Chain, Weights) {
    let (mut next, mut taken) = (values.to_vec(), vec![0u8; values.len()]);
    process.sweep(values, held, Backup::Hard, &mut next, Some(&mut taken));
    let chain_in = |order: Vec<u32>| {
        Chain::new(process, order, |s, pi| {
            pi.fill(0.0);
            pi[taken[s] as usize] = 1.0;
        })
    };
    let plain = (0..values.len() as u32).filter(|&s| !held[s as usize]).collect();
    let mut chain = chain_in(plain);
    if !chain.is_functional() {
        chain = chain_in(crate::solve::by_value(values, held));
    }
    let actions = chain.states.iter().map(|&s| taken[s as usize]).collect();
    (chain, Weights::Pure(actions))
}

fn mixed<P: Parametric>(
    process: &P,
    backup: Backup,
    values: &[f64],
    held: &[bool],
) -> (Chain, Weights) {
    let actions = process.actions();
    let order = crate::solve::by_value(values, held);
    let mut policy = Vec::with_capacity(order.len() * actions);
    let mut slopes = Vec::with_capacity(order.len());
    let mut q = vec![0.0; actions];
    let chain = Chain::new(process, order, |s, pi| {
        process.action_values(s, values, &mut q);
        backup.weights(&q, pi);
        policy.extend_from_slice(pi);
        slopes.push(backup.temperature_slope(&q, pi));
    });
    (chain, Weights::Mixed(policy, slopes))
}
