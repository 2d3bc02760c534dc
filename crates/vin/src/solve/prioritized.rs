//! Each state once, in the order of falling value: Dijkstra's algorithm backwards from the goals.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::sweeps::{Ended, State, bound, modulus};
use super::{Settings, Solution, newton, sweeps};
use crate::process::{Process, Prospects, first_uncertain, frame};
use crate::{Error, Result};

/// A state with the value of a way from it; the largest first, at a tie the smaller number.
struct Waiting {
    value: f64,
    state: u32,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then(other.state.cmp(&self.state))
    }
}

/// The values of the best ways to a terminal state, −∞ where there is none, and the states in the order in which they were settled.
///
/// Right as long as every action leads to one state for certain, which is checked first, and no move gains: V(s) ≤ V(s′) whenever s leads to s′; that is
/// checked at every move that is looked at.
fn best_first<P: Process + ?Sized>(process: &P) -> Result<(Vec<f64>, Vec<u32>)> {
    let n = process.states();
    // A process that knows its predecessors is deterministic by that.
    let known = process.predecessors(0, &mut |_, _| ());
    if !known && let Some((s, a)) = first_uncertain(process) {
        let what = format!(
            "action {a} of state {s} does not lead to one state for certain, as best ways need it; take another method"
        );
        return Err(Error::invalid(process.name(), what));
    }
    let mut values = vec![f64::NEG_INFINITY; n];
    let (mut done, mut order) = (vec![false; n], Vec::with_capacity(n));
    let mut heap = BinaryHeap::new();
    for s in 0..n {
        if let Some(value) = process.terminal(s) {
            values[s] = value;
            heap.push(Waiting { value, state: s as u32 });
        }
    }
    let table = if known { None } else { Some(table(process)) };
    let discount = process.discount();
    let mut fault = None;
    while let Some(Waiting { value, state }) = heap.pop() {
        let state = state as usize;
        if std::mem::replace(&mut done[state], true) {
            continue;
        }
        order.push(state as u32);
        let mut relax = |s: usize, a: usize| {
            if done[s] || process.terminal(s).is_some() {
                return;
            }
            let Some(reward) = process.reward(s, a) else { return };
            let way = reward + discount * value;
            if way > value {
                fault.get_or_insert((s, a, way, value));
            }
            if way > values[s] {
                values[s] = way;
                heap.push(Waiting { value: way, state: s as u32 });
            }
        };
        match &table {
            None => {
                process.predecessors(state, &mut relax);
            }
            Some((starts, pairs)) => {
                for &(s, a) in &pairs[starts[state]..starts[state + 1]] {
                    relax(s as usize, a as usize);
                }
            }
        }
        if let Some((s, a, way, value)) = fault {
            let what = format!(
                "action {a} of state {s} gains: it is worth {way} and leads to {value}, so states cannot be settled in order; \
                 take another method"
            );
            return Err(Error::invalid(process.name(), what));
        }
    }
    Ok((values, order))
}

/// For each state the pairs that lead to it.
fn table<P: Process + ?Sized>(process: &P) -> (Vec<usize>, Vec<(u32, u8)>) {
    let n = process.states();
    let mut starts = vec![0usize; n + 1];
    let each = |f: &mut dyn FnMut(usize, usize, usize)| {
        for s in (0..n).filter(|&s| process.terminal(s).is_none()) {
            for a in (0..process.actions()).filter(|&a| process.reward(s, a).is_some()) {
                process.successors(s, a, &mut |next, _| f(s, a, next));
            }
        }
    };
    each(&mut |_, _, next| starts[next + 1] += 1);
    for s in 0..n {
        starts[s + 1] += starts[s];
    }
    let mut at = starts.clone();
    let mut pairs = vec![(0, 0); starts[n]];
    each(&mut |s, a, next| {
        pairs[at[next]] = (s as u32, a as u8);
        at[next] += 1;
    });
    (starts, pairs)
}

/// All at once for processes whose best ways say what there is to hope for: with γ = 1 they are the values. `None` for the others.
pub(super) fn direct<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
) -> Result<Option<Solution>> {
    let discount = process.discount();
    if discount < 1.0 && !process.reversible() {
        return Ok(None);
    }
    let ways = match process.best_ways(None) {
        Some((ways, _)) => ways,
        None if discount < 1.0 => best_first(process)?.0,
        None => return Ok(None),
    };
    let held: Vec<bool> =
        (0..ways.len()).map(|s| !ways[s].is_finite() || process.terminal(s).is_some()).collect();
    let (mut next, mut best) = (ways.clone(), vec![0u8; ways.len()]);
    process.sweep(&ways, &held, settings.backup, &mut next, Some(&mut best));
    let residual = sweeps::size(sweeps::changes(&ways, &next, &held));
    let prospects = Prospects::of_ways(process, &ways, best);
    let ended = if discount < 1.0 {
        let start = |s: usize| if ways[s].is_finite() { ways[s] } else { 0.0 };
        let (values, held) = frame(process, &prospects, start);
        repaired(process, settings, &prospects, &ways, State { values, held })?
    } else {
        let largest = ways.iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
        if residual > settings.tolerance.max(4.0 * f64::EPSILON * largest) {
            // There is more to gain than the best ways: by the general method.
            return Ok(None);
        }
        let bound = Some(residual);
        Ended { values: ways, iterations: 1, residual, converged: true, bound, diverged: false }
    };
    Ok(Some(ended.into_solution(process, settings, prospects)))
}

/// The value of the best way from one state, −∞ if there is none: the search ends there.
///
/// # Errors
/// As [`Method::Prioritized`](super::Method::Prioritized) has them: an action that does not lead to one state for certain, a move that gains; γ < 1; no such
/// state.
pub fn best_way<P: Process + ?Sized>(process: &P, from: usize) -> Result<f64> {
    if process.discount() != 1.0 {
        let what = format!("best ways need γ = 1, here it is {}: use `solve`", process.discount());
        return Err(Error::invalid(process.name(), what));
    }
    if from >= process.states() {
        let what = format!("state {from} is none of {} states", process.states());
        return Err(Error::invalid(process.name(), what));
    }
    let (values, _) = match process.best_ways(Some(from)) {
        Some(ways) => ways,
        None => best_first(process)?,
    };
    Ok(values[from])
}

/// Best ways first, then what remains: with γ < 1 going on for ever can be better than any way, or the only choice. Policy iteration from there
/// takes few steps, for nearly all actions are right.
pub(super) fn solve<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    prospects: &Prospects,
    State { values: start, held }: State,
) -> Result<Ended> {
    let (best, _) = best_first(process)?;
    let mut values = start;
    for s in (0..values.len()).filter(|&s| !held[s]) {
        if best[s] > f64::NEG_INFINITY {
            values[s] = best[s];
        }
    }
    repaired(process, settings, prospects, &best, State { values, held })
}

/// Policy iteration where best ways are not all: first among the states that no way leads from, then, if that changes more, among all.
fn repaired<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    prospects: &Prospects,
    ways: &[f64],
    State { mut values, held }: State,
) -> Result<Ended> {
    let (discount, modulus) = (process.discount(), modulus(process));
    let lost = |s: usize| !held[s] && !ways[s].is_finite();
    let mut iterations = 1;
    if discount < 1.0 && (0..values.len()).any(lost) {
        let others = (0..values.len()).map(|s| !lost(s)).collect();
        let ended = newton::solve(process, settings, prospects, State { values, held: others })?;
        values = ended.values;
        iterations += ended.iterations;
    }
    let mut next = values.clone();
    process.sweep(&values, &held, settings.backup, &mut next, None);
    let residual = sweeps::size(sweeps::changes(&values, &next, &held));
    // Rounding may leave a last bit.
    let largest = values.iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
    let small = sweeps::threshold(modulus, settings.tolerance).max(4.0 * f64::EPSILON * largest);
    if residual <= small && process.row_sums()[1] <= 1.0 {
        let bound = bound(modulus, residual).or((residual <= 1e-12 * largest).then_some(residual));
        return Ok(Ended { values, iterations, residual, converged: true, bound, diverged: false });
    }
    let ended = newton::solve(process, settings, prospects, State { values, held })?;
    Ok(Ended { iterations: iterations + ended.iterations, ..ended })
}
