//! A plan: settings, the forward pass, and its derivative.

use super::{implicit, unrolled};
use crate::error::{check_finite, check_len};
use crate::process::{Backup, Block, Parametric, Prospects};
use crate::solve::{Method, Settings, Solution, solve};
use crate::{Error, Result};

/// How a plan is differentiated. The values differ, too: the first two are those of so many sweeps, the others those of the fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Way {
    /// Through each of `sweeps` Jacobi sweeps from V₀. Memory: 8 bytes a state and sweep for the values; with the hard maximum one more for the
    /// action taken.
    Unrolled {
        /// K, at most 2²⁴.
        sweeps: usize,
    },
    /// The same derivative from values kept at √K sweeps only; the others are computed once more. With the hard maximum it is the same to the bit.
    Checkpointed {
        /// K, at most 2²⁴.
        sweeps: usize,
    },
    /// At the fixed point, by the implicit function theorem: one pass over the tree of a deterministic policy, Krylov's method elsewhere. The
    /// iteration leaves no trace, neither its length nor V₀.
    #[default]
    Implicit,
    /// The last `terms` sweeps at the fixed point only: the first terms of the Neumann series of (I − γ·P_π)⁻¹, off by O(γ^terms).
    Truncated {
        /// Sweeps differentiated. So many that rounding cannot tell them from all are the implicit way.
        terms: usize,
    },
}

/// Settings of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How it is differentiated.
    pub way: Way,
    /// The backup.
    pub backup: Backup,
    /// How the fixed point is found, where it is needed; the backup here is not used.
    pub solver: Settings,
}

impl Default for Plan {
    /// Implicit, hard maximum, policy iteration.
    fn default() -> Self {
        let solver = Settings { tolerance: 1e-12, ..Settings::by(Method::PolicyIteration) };
        Self { way: Way::Implicit, backup: Backup::Hard, solver }
    }
}

/// dL/dV and dL/dQ. States without a value must have 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cotangent {
    /// For each state; empty for zeros.
    pub values: Vec<f64>,
    /// For each state and action; empty for zeros. Q is R + γ·P·V of the plan's values.
    pub action_values: Vec<f64>,
}

/// Derivatives of a loss by everything that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gradient {
    /// By θ: the blocks of [`Parametric::blocks`].
    pub parameters: Vec<f64>,
    /// By γ.
    pub discount: f64,
    /// By τ; 0 with the hard maximum.
    pub temperature: f64,
    /// By V₀ of each state; zeros at a fixed point.
    pub initial: Vec<f64>,
    /// By the values of terminal states; 0 elsewhere.
    pub terminal: Vec<f64>,
}

/// A direction in everything that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tangent {
    /// Of θ; empty for zeros.
    pub parameters: Vec<f64>,
    /// Of γ.
    pub discount: f64,
    /// Of τ.
    pub temperature: f64,
    /// Of V₀; empty for zeros.
    pub initial: Vec<f64>,
    /// Of the terminal values; empty for zeros.
    pub terminal: Vec<f64>,
}

/// What the derivative is made from.
pub(super) enum Trace {
    Unrolled(unrolled::Tape),
    Fixed(implicit::Fixed),
}

/// A process that is lent, or one's own.
pub(crate) enum Handle<'p, P> {
    Lent(&'p P),
    Own(Box<P>),
}

impl<P> std::ops::Deref for Handle<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        match self {
            Handle::Lent(process) => process,
            Handle::Own(process) => process,
        }
    }
}

/// A process planned once: V, Q, and the derivative, pushed and pulled as often as one likes.
pub struct Planned<'p, P> {
    pub(crate) process: Handle<'p, P>,
    pub(crate) backup: Backup,
    /// V; −∞ where there is none.
    pub values: Vec<f64>,
    /// How the fixed point was found; `None` for the unrolled ways.
    pub solution: Option<Solution>,
    pub(super) held: Vec<bool>,
    pub(super) trace: Trace,
}

impl Plan {
    /// Plans.
    ///
    /// # Errors
    /// Settings outside their domain, a V₀ of a wrong length (empty stands for zeros) or not finite where there is a value; for the ways at the
    /// fixed point, [`Error::NotSolved`], and [`Error::NotContracting`] where a policy may go on for ever with γ = 1.
    pub fn of<'p, P: Parametric>(&self, process: &'p P, initial: &[f64]) -> Result<Planned<'p, P>> {
        self.plan(Handle::Lent(process), initial)
    }

    /// As [`Plan::of`], with a process that the result keeps.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub fn of_owned<P: Parametric>(
        &self,
        process: P,
        initial: &[f64],
    ) -> Result<Planned<'static, P>> {
        self.plan(Handle::Own(Box::new(process)), initial)
    }

    fn plan<'p, P: Parametric>(
        &self,
        process: Handle<'p, P>,
        initial: &[f64],
    ) -> Result<Planned<'p, P>> {
        self.backup.check(process.name())?;
        if !initial.is_empty() {
            check_len(process.name(), "V₀", initial.len(), process.states())?;
        }
        match self.way {
            Way::Unrolled { sweeps } => {
                unrolled::plan(process, self.backup, initial, sweeps, sweeps.max(1))
            }
            Way::Checkpointed { sweeps } => {
                let segments = (sweeps as f64).sqrt().ceil().max(1.0) as usize;
                unrolled::plan(process, self.backup, initial, sweeps, segments)
            }
            Way::Implicit => self.fixed(process, initial, None),
            Way::Truncated { terms } => self.fixed(process, initial, Some(terms)),
        }
    }

    fn fixed<'p, P: Parametric>(
        &self,
        process: Handle<'p, P>,
        initial: &[f64],
        terms: Option<usize>,
    ) -> Result<Planned<'p, P>> {
        let settings = Settings { backup: self.backup, ..self.solver };
        let solution = match initial {
            [] => solve(&*process, &settings)?,
            guess => crate::solve::solve_from(&*process, &settings, guess)?,
        };
        let solution = solution.solved(&*process)?;
        let discount = process.discount();
        let held: Vec<bool> =
            (0..process.states()).map(|s| !solution.prospects.is_valued(s, discount)).collect();
        let fixed = implicit::Fixed::new(&*process, self.backup, &solution.values, &held, terms)?;
        let values = solution.values.clone();
        let trace = Trace::Fixed(fixed);
        Ok(Planned { process, backup: self.backup, values, solution: Some(solution), held, trace })
    }
}

impl<P: Parametric> Planned<'_, P> {
    /// Q(s, a) = R + γ·P·V of the plan's V, (states, actions); −∞ where an action cannot be taken.
    #[must_use]
    pub fn action_values(&self) -> Vec<f64> {
        let actions = self.process.actions();
        let mut all = vec![f64::NEG_INFINITY; self.process.states() * actions];
        for (s, q) in all.chunks_exact_mut(actions).enumerate() {
            if self.process.terminal(s).is_none() {
                self.process.action_values(s, &self.values, q);
            }
        }
        all
    }

    /// Bytes kept for the derivative.
    #[must_use]
    pub fn trace_bytes(&self) -> usize {
        match &self.trace {
            Trace::Unrolled(tape) => tape.bytes(),
            Trace::Fixed(fixed) => fixed.bytes(),
        }
    }

    /// The backward chain rule.
    ///
    /// # Errors
    /// Wrong lengths, numbers that are not finite, a cotangent other than 0 at a state or action without a value.
    pub fn pull(&self, cotangent: &Cotangent) -> Result<Gradient> {
        let node = self.process.name();
        let (n, actions) = (self.process.states(), self.process.actions());
        let mut values = vec![0.0; n];
        let Cotangent { values: of_values, action_values: of_q } = cotangent;
        if !of_values.is_empty() {
            check_len(node, "cotangent of V", of_values.len(), n)?;
            check_finite(node, "cotangent of V", of_values)?;
            if let Some(s) = (0..n).find(|&s| of_values[s] != 0.0 && !self.values[s].is_finite()) {
                let what =
                    format!("a cotangent of {} at state {s}, which has no value", of_values[s]);
                return Err(Error::invalid(node, what));
            }
            values.copy_from_slice(of_values);
        }
        let len = self.process.blocks().iter().map(Block::len).sum();
        let mut gradient = Gradient {
            parameters: vec![0.0; len],
            initial: vec![0.0; n],
            terminal: vec![0.0; n],
            ..Gradient::default()
        };
        if !of_q.is_empty() {
            check_len(node, "cotangent of Q", of_q.len(), n * actions)?;
            check_finite(node, "cotangent of Q", of_q)?;
            for (i, &weight) in of_q.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                let (s, a) = (i / actions, i % actions);
                let worth = self.process.action_value(s, a, &self.values);
                if !worth.is_finite() || self.process.terminal(s).is_some() {
                    let what = format!(
                        "a cotangent of {weight} at action {a} of state {s}, which has no value"
                    );
                    return Err(Error::invalid(node, what));
                }
                self.flow(s, a, weight, &self.values, &mut values, &mut gradient);
            }
        }
        match &self.trace {
            Trace::Unrolled(tape) => tape.pull(self, values, &mut gradient),
            Trace::Fixed(fixed) => fixed.pull(self, values, &mut gradient)?,
        }
        Ok(gradient)
    }

    /// The forward chain rule: dV, 0 where there is no value.
    ///
    /// # Errors
    /// Wrong lengths, numbers that are not finite.
    pub fn push(&self, tangent: &Tangent) -> Result<Vec<f64>> {
        let full = self.filled(tangent)?;
        match &self.trace {
            Trace::Unrolled(tape) => Ok(tape.push(self, &full)),
            Trace::Fixed(fixed) => fixed.push(self, &full),
        }
    }

    /// A direction with its zeros written down, checked.
    fn filled(&self, tangent: &Tangent) -> Result<Tangent> {
        let (node, n) = (self.process.name(), self.process.states());
        let len: usize = self.process.blocks().iter().map(Block::len).sum();
        let mut full = tangent.clone();
        for (name, numbers, len) in [
            ("direction of the parameters", &mut full.parameters, len),
            ("direction of V₀", &mut full.initial, n),
            ("direction of the terminal values", &mut full.terminal, n),
        ] {
            if numbers.is_empty() {
                numbers.resize(len, 0.0);
            }
            check_len(node, name, numbers.len(), len)?;
            check_finite(node, name, numbers)?;
        }
        check_finite(node, "direction of γ and τ", &[full.discount, full.temperature])?;
        Ok(full)
    }

    /// dQ from a direction and the dV that [`Planned::push`] gave for it; 0 where there is no value.
    ///
    /// # Errors
    /// Wrong lengths, numbers that are not finite.
    pub fn push_action_values(&self, tangent: &Tangent, along: &[f64]) -> Result<Vec<f64>> {
        let (node, actions) = (self.process.name(), self.process.actions());
        check_len(node, "direction of V", along.len(), self.process.states())?;
        check_finite(node, "direction of V", along)?;
        let tangent = &self.filled(tangent)?;
        let mut all = vec![0.0; self.process.states() * actions];
        let mut pi = vec![0.0; actions];
        for (i, dq) in all.iter_mut().enumerate() {
            let (s, a) = (i / actions, i % actions);
            let ends = self.process.terminal(s).is_some();
            if !ends && self.process.action_value(s, a, &self.values).is_finite() {
                pi.fill(0.0);
                pi[a] = 1.0;
                *dq = self.moved(s, &pi, 0.0, &self.values, along, tangent);
            }
        }
        Ok(all)
    }

    /// Gives a weight on Q(s, a), computed from `values`, to θ and γ, and its share to the cotangents of V.
    pub(super) fn flow(
        &self,
        s: usize,
        a: usize,
        weight: f64,
        values: &[f64],
        into: &mut [f64],
        gradient: &mut Gradient,
    ) {
        self.process.pull(s, a, weight, values, &mut gradient.parameters);
        let discount = self.process.discount();
        self.process.successors(s, a, &mut |next, p| {
            if values[next].is_finite() {
                gradient.discount += weight * p * values[next];
                into[next] += discount * weight * p;
            }
        });
    }

    /// dV′(s) of one sweep from dV: Σₐ π·(∂Q/∂θ·dθ + dγ·P·V + γ·P·dV) + ∂T/∂τ·dτ.
    pub(super) fn moved(
        &self,
        s: usize,
        pi: &[f64],
        slope: f64,
        values: &[f64],
        along: &[f64],
        tangent: &Tangent,
    ) -> f64 {
        let mut sum = slope * tangent.temperature;
        for (a, &w) in pi.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            sum += w * self.process.push(s, a, &tangent.parameters, values);
            let discount = self.process.discount();
            self.process.successors(s, a, &mut |next, p| {
                if values[next].is_finite() {
                    sum += w * p * (tangent.discount * values[next] + discount * along[next]);
                }
            });
        }
        sum
    }

    /// Adds what is left at the ends and at the start.
    pub(super) fn settle(&self, values: &[f64], gradient: &mut Gradient) {
        for (s, &g) in values.iter().enumerate() {
            if self.process.terminal(s).is_some() {
                gradient.terminal[s] += g;
            }
        }
    }

    /// π and ∂T/∂τ of a state at `values`.
    pub(super) fn policy_at(&self, s: usize, values: &[f64], q: &mut [f64], pi: &mut [f64]) -> f64 {
        self.process.action_values(s, values, q);
        self.backup.weights(q, pi);
        self.backup.temperature_slope(q, pi)
    }
}

/// V₀: what was given, else 0, with the ends and the states without a value in place.
pub(super) fn start<P: Parametric>(process: &P, initial: &[f64]) -> Result<(Vec<f64>, Vec<bool>)> {
    let prospects = Prospects::of(process);
    let (values, held) =
        crate::process::frame(process, &prospects, |s| initial.get(s).copied().unwrap_or(0.0));
    if let Some(s) = (0..held.len()).find(|&s| !held[s] && !values[s].is_finite()) {
        return Err(Error::invalid(process.name(), format!("V₀ is {} at state {s}", values[s])));
    }
    Ok((values, held))
}
