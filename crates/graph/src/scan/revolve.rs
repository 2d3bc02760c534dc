//! Revolve: which states to keep, so that a chain of steps is reversed with the fewest steps made again.
//!
//! To reverse step t its starting state is needed. With fewer places for states than steps, states are computed again from the last
//! one that is kept. Write β(s, r) = C(s + r, s): the longest chain that s places reverse if no step is made forward more than r times.
//! For β(s, r−1) < l ≤ β(s, r) the least number of forward steps is
//!
//! > t(l, s) = r·l − C(s + r, r − 1),
//!
//! where the l steps that are reversed themselves (linearized and pulled at once) are not counted, and the initial state takes one of
//! the s places. It solves t(l, s) = min over m of m + t(m, s) + t(l − m, s − 1): go on to state m, keep it, reverse what is behind it
//! with one place less, then what is before it.
//!
//! Source: Griewank and Walther, Algorithm 799: Revolve, ACM Transactions on Mathematical Software 26 (2000), pages 19–45.

use crate::{Error, Result};

/// One action of a reversal. "The state" is the one that is worked on, beside those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Keep the state, which is that before step `step` ("takeshot").
    Store {
        /// The number of steps before the state.
        step: usize,
    },
    /// Make the steps `from..to` from the state.
    Advance {
        /// The first step.
        from: usize,
        /// The step after the last one.
        to: usize,
    },
    /// Linearize step `step` at the state and pull through it ("firsturn", "youturn").
    Turn {
        /// The step.
        step: usize,
    },
    /// Take the state that was kept last ("restore").
    Restore {
        /// The number of steps before the state.
        step: usize,
        /// It is not needed again: its place is free from now on.
        last: bool,
    },
}

/// The actions that reverse a chain of steps, in order, with the fewest forward steps; see [`schedule`].
#[derive(Debug, Clone)]
pub struct Schedule {
    snapshots: usize,
    /// Where the kept states stand, in rising order.
    kept: Vec<usize>,
    /// Where the state stands; `None` after a turn.
    at: Option<usize>,
    /// The steps that are not reversed yet are those before `end`.
    end: usize,
}

/// The reversal of `steps` steps with at most `snapshots` states kept at any time, the initial one among them.
///
/// ```
/// use pullback_graph::revolve::{Action, advances, schedule};
/// # fn main() -> pullback_graph::Result<()> {
/// let forward = |a| if let Action::Advance { from, to } = a { to - from } else { 0 };
/// assert_eq!(schedule(10_000, 20)?.map(forward).sum::<usize>() as u128, advances(10_000, 20)?);
/// # Ok(())
/// # }
/// ```
///
/// Errors: no place for a state, though there are steps.
pub fn schedule(steps: usize, snapshots: usize) -> Result<Schedule> {
    places(steps, snapshots)?;
    Ok(Schedule { snapshots, kept: Vec::new(), at: Some(0), end: steps })
}

/// t(l, s) = r·l − C(s + r, r − 1), the least number of forward steps for l = `steps` and s = `snapshots`; r as in the
/// [module's text](self).
///
/// Errors: no place for a state, though there are steps.
pub fn advances(steps: usize, snapshots: usize) -> Result<u128> {
    places(steps, snapshots)?;
    if steps == 0 {
        return Ok(0);
    }
    let (s, l) = (snapshots.min(steps) as u128, steps as u128);
    let (r, length) = repetitions(l, s);
    // C(s + r, r − 1) = β(s, r)·r/(s + 1)
    Ok(r * l - length * r / (s + 1))
}

fn places(steps: usize, snapshots: usize) -> Result<()> {
    match (steps, snapshots) {
        (1.., 0) => Err(Error::invalid(
            "revolve",
            format!("{steps} steps need a place for a state at least, got 0 snapshots"),
        )),
        _ => Ok(()),
    }
}

/// The least r with l ≤ β(s, r), and β(s, r); 1 ≤ s ≤ l < 2⁶⁴. By doubling and bisection: for few places r is about (s!·l)^(1/s), l − 1 for
/// one. Nothing overflows: β(s, r − 1) < l.
fn repetitions(l: u128, s: u128) -> (u128, u128) {
    let (mut low, mut high) = (0, 1);
    while longest(s, high, l) < l {
        (low, high) = (high, 2 * high);
    }
    while low < high {
        let middle = (low + high) / 2;
        if longest(s, middle, l) < l {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (low, longest(s, low, u128::MAX))
}

/// β(s, r) = C(s + r, s); where that is `enough` or more, a number from `enough` on.
fn longest(s: u128, r: u128, enough: u128) -> u128 {
    let (few, many) = (s.min(r), s.max(r));
    let mut length = 1;
    for i in 1..=few {
        if enough <= length {
            break;
        }
        length = length * (many + i) / i;
    }
    length
}

/// Where to keep the next state, in steps from the last one: an m that attains the minimum in t(l, s); l ≥ 2, s ≥ 2.
fn split(l: usize, s: usize) -> usize {
    let (l, s) = (l as u128, s.min(l) as u128);
    let (r, length) = repetitions(l, s);
    // The slope of t(·, s) is r from β(s, r−1) to β(s, r). Both parts are where the slopes r − 1 and r balance if
    // β(s, r−2) ≤ m ≤ β(s, r−1) and β(s−1, r−1) ≤ l − m ≤ β(s−1, r); the largest such m is taken.
    let before = length * r / (s + r); //        β(s, r−1)
    let behind = before * s / (s + r - 1); //    β(s−1, r−1)
    before.min(l - behind) as usize
}

impl Iterator for Schedule {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        if self.end == 0 {
            return None;
        }
        let top = self.kept.last().copied();
        let Some(at) = self.at else {
            let step = top?;
            let last = step + 1 == self.end;
            if last {
                self.kept.pop();
            }
            self.at = Some(step);
            return Some(Action::Restore { step, last });
        };
        if at + 1 == self.end {
            (self.end, self.at) = (at, None);
            return Some(Action::Turn { step: at });
        }
        if top != Some(at) {
            self.kept.push(at);
            return Some(Action::Store { step: at });
        }
        let (left, free) = (self.end - at, self.snapshots - self.kept.len());
        let to = if free == 0 { self.end - 1 } else { at + split(left, free + 1) };
        self.at = Some(to);
        Some(Action::Advance { from: at, to })
    }
}
