//! Markov decision processes: states, actions, rewards R(s, a), probabilities P(s′ | s, a), a discount γ, terminal states.
//!
//! Conventions of the whole crate. A state is *terminal* and has a fixed value, or it is acted in. V(s) = −∞ says that there is no value:
//! the state is no place of the map, no action leads on from it, or (γ = 1) the terminal states cannot be reached with probability 1;
//! [`Outlook`] tells which. −∞ spreads by itself: an action that may lead to such a state is worth −∞, and is never taken where another
//! is left.

mod backup;
mod csr;
mod dense;
mod reach;

pub use backup::Backup;
pub use csr::Csr;
pub use dense::Dense;
use dense::ROW_SUM;
pub(crate) use dense::check_discount;
pub(crate) use reach::frame;
pub use reach::{Outlook, Prospects};

use rayon::prelude::*;

use crate::Result;

/// States that a thread takes at a time in a sweep.
const CHUNK: usize = 2048;

/// A decision process, known by its transitions. States and actions are numbered from 0; there are at most 255 actions. Functions of this crate check
/// the numbers that they are given; these methods need not, and may panic for a state that there is not.
pub trait Process: Send + Sync {
    /// A short name, which errors show.
    fn name(&self) -> &str;
    /// How many states.
    fn states(&self) -> usize;
    /// How many actions at most in a state.
    fn actions(&self) -> usize;
    /// γ, 0 < γ ≤ 1.
    fn discount(&self) -> f64;
    /// The fixed value of a terminal state; `None` for a state that is acted in.
    fn terminal(&self, state: usize) -> Option<f64>;
    /// R(s, a); `None` where the action cannot be taken. A state where none can be taken is a dead end.
    fn reward(&self, state: usize, action: usize) -> Option<f64>;
    /// Calls `f(s′, P(s′ | s, a))` for every successor of positive probability; s′ may come several times.
    fn successors(&self, state: usize, action: usize, f: &mut dyn FnMut(usize, f64));

    /// Q(s, a) = R(s, a) + γ·Σ P(s′ | s, a)·V(s′); −∞ where the action cannot be taken.
    fn action_value(&self, state: usize, action: usize, values: &[f64]) -> f64 {
        let Some(reward) = self.reward(state, action) else { return f64::NEG_INFINITY };
        let mut expected = 0.0;
        self.successors(state, action, &mut |next, p| expected += p * values[next]);
        reward + self.discount() * expected
    }

    /// The Q values of one state, −∞ where an action cannot be taken.
    fn action_values(&self, state: usize, values: &[f64], q: &mut [f64]) {
        for (action, q) in q.iter_mut().enumerate() {
            *q = self.action_value(state, action, values);
        }
    }

    /// Calls `f(s, a)` for all that lead to `state`, and tells whether the process knows them; else they are looked up in a table. `true` means
    /// also that every action leads to one state for certain: best ways are taken to be right without another look.
    fn predecessors(&self, _state: usize, _f: &mut dyn FnMut(usize, usize)) -> bool {
        false
    }

    /// The least and the largest Σ P(s′ | s, a) of a row: 1 and 1 for probabilities. A process that lets other rows through says so: γ times the largest
    /// is the modulus in every bound.
    fn row_sums(&self) -> [f64; 2] {
        [1.0; 2]
    }

    /// Whether every action that can be taken costs something: then no loop is free, and with γ = 1 there is one solution of V = T(V) only.
    fn loses(&self) -> bool {
        (0..self.states()).into_par_iter().all(|s| {
            self.terminal(s).is_some()
                || (0..self.actions()).all(|a| self.reward(s, a).is_none_or(|r| r < 0.0))
        })
    }

    /// Whether every action leads to one state for certain, and from there some action leads back: then the best ways say what each state can hope for, and
    /// transitions need not be looked at once more.
    fn reversible(&self) -> bool {
        false
    }

    /// The values of the best ways to a terminal state and the order in which states were settled, if the process has a faster method for that
    /// than the general one: [`Method::Prioritized`](crate::solve::Method::Prioritized) uses it. `until` may end the search. V = −∞ where no way leads.
    fn best_ways(&self, _until: Option<usize>) -> Option<(Vec<f64>, Vec<u32>)> {
        None
    }

    /// One Jacobi sweep: V′(s) = backup over a of Q(s, a) for every state that `held` leaves free; the others keep their value. `tape`
    /// takes the first best action of each free state (with [`Backup::Hard`] the one that is taken).
    ///
    /// Override it where the structure allows a faster one; the result must be the same.
    fn sweep(
        &self,
        values: &[f64],
        held: &[bool],
        backup: Backup,
        out: &mut [f64],
        tape: Option<&mut [u8]>,
    ) {
        sweep_by_rows(self, values, held, backup, out, tape);
    }
}

/// A process whose numbers are differentiated: all of them in one slice θ, cut into named blocks.
pub trait Parametric: Process {
    /// What θ is made of, in order.
    fn blocks(&self) -> Vec<Block>;
    /// θ.
    fn parameters(&self) -> Vec<f64>;
    /// The same process with other numbers, checked as they were the first time.
    ///
    /// # Errors
    /// A wrong length, numbers outside their domain.
    fn with_parameters(&self, parameters: &[f64]) -> Result<Self>
    where
        Self: Sized;
    /// As [`Parametric::with_parameters`], from numbers that were rounded to f32: probabilities whose sum is within 10⁻⁶ of 1, where it must be 1 (rows of P) or must
    /// not be more (slip and stay), are divided by it first.
    ///
    /// # Errors
    /// As [`Parametric::with_parameters`].
    fn with_rounded_parameters(&self, parameters: &[f64]) -> Result<Self>
    where
        Self: Sized,
    {
        self.with_parameters(parameters)
    }
    /// The same process with another γ.
    ///
    /// # Errors
    /// Outside (0, 1], or 1 without a terminal state.
    fn with_discount(&self, discount: f64) -> Result<Self>
    where
        Self: Sized;
    /// into += w·∂Q(s, a)/∂θ, with V held. Entries where V is −∞ get nothing.
    fn pull(&self, state: usize, action: usize, weight: f64, values: &[f64], into: &mut [f64]);
    /// ∂Q(s, a)/∂θ · dθ, with V held.
    fn push(&self, state: usize, action: usize, direction: &[f64], values: &[f64]) -> f64;
}

/// A part of θ: a tensor of numbers of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What the numbers are: `reward`, `transition`, `cost`.
    pub name: &'static str,
    /// Their shape, row-major.
    pub dims: Vec<usize>,
}

impl Block {
    pub(crate) fn new(name: &'static str, dims: &[usize]) -> Self {
        Self { name, dims: dims.to_vec() }
    }

    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where each block of θ lies.
#[must_use]
pub fn ranges(blocks: &[Block]) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    blocks
        .iter()
        .map(|block| {
            let from = at;
            at += block.len();
            from..at
        })
        .collect()
}

/// The sweep that any process can do.
pub(crate) fn sweep_by_rows<P: Process + ?Sized>(
    process: &P,
    values: &[f64],
    held: &[bool],
    backup: Backup,
    out: &mut [f64],
    tape: Option<&mut [u8]>,
) {
    let actions = process.actions();
    let work = |first: usize, out: &mut [f64], mut tape: Option<&mut [u8]>| {
        let mut q = vec![0.0; actions];
        for (i, out) in out.iter_mut().enumerate() {
            let state = first + i;
            if held[state] {
                *out = values[state];
                continue;
            }
            process.action_values(state, values, &mut q);
            *out = backup.value(&q);
            if let Some(tape) = &mut tape {
                tape[i] = first_best(&q) as u8;
            }
        }
    };
    if out.len() <= CHUNK {
        return work(0, out, tape);
    }
    match tape {
        None => out
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(chunk, out)| work(chunk * CHUNK, out, None)),
        Some(tape) => out
            .par_chunks_mut(CHUNK)
            .zip(tape.par_chunks_mut(CHUNK))
            .enumerate()
            .for_each(|(chunk, (out, tape))| work(chunk * CHUNK, out, Some(tape))),
    }
}

/// The first of the largest; 0 for none.
pub(crate) fn first_best(q: &[f64]) -> usize {
    let mut best = 0;
    for (action, value) in q.iter().enumerate() {
        if *value > q[best] {
            best = action;
        }
    }
    best
}

/// Whether every action of every state leads to one state for certain: it has one successor, of a probability within 10⁻⁹ of 1.
pub fn is_deterministic<P: Process + ?Sized>(process: &P) -> bool {
    first_uncertain(process).is_none()
}

/// The first state with an action that does not lead to one state for certain, and the action.
pub(crate) fn first_uncertain<P: Process + ?Sized>(process: &P) -> Option<(usize, usize)> {
    let uncertain = |&(state, action): &(usize, usize)| {
        let (mut count, mut sum) = (0, 0.0);
        process.successors(state, action, &mut |_, p| {
            count += 1;
            sum += p;
        });
        count != 1 || (sum - 1.0f64).abs() > ROW_SUM
    };
    (0..process.states()).into_par_iter().find_map_first(|state| {
        let taken = |action: &usize| process.reward(state, *action).is_some();
        let acted = process.terminal(state).is_none();
        let mut pairs = (0..process.actions()).filter(|_| acted).filter(taken).map(|a| (state, a));
        pairs.find(uncertain)
    })
}
