//! How a plan runs, and what it expects to pay.

use super::{Coloring, Order, Pattern, both};

/// How a plan finds the entries.
///
/// Where an entry is infinite, a sweep over several may make others of its row or column 0·∞: an error in every mode, which may name
/// another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// What is expected to take the fewest steps, [`PlanOptions`] says how.
    #[default]
    Auto,
    /// A forward sweep for each colour of the columns. Of a Hessian: forward over its gradient, star colours.
    Forward,
    /// A backward sweep for each colour of the rows.
    Reverse,
    /// Forward and backward sweeps: colours of columns and rows together.
    Mixed,
    /// A tape of just the entries. For tapes only.
    Symbolic,
}

/// How a plan is made.
///
/// `Auto` first compares sweeps: p forward and q backward ones count as p + 2·q, so that forward is taken where its colours are at most
/// twice the backward ones. For a tape of k instructions it then compares, in instructions of one sample: written out,
/// k + 2·(Σ over instructions of the inputs or outputs that each is between); swept, 3·k for each group of forward sweeps and 4·k of
/// backward ones, where up to 3 sweeps run one by one, and more in groups of 16 lanes at the price of 3 samples. The backward tape of a
/// Hessian is counted as it is: written out, its k + Σ; swept, 3·k for each group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PlanOptions {
    /// How the entries are found.
    pub mode: Mode,
    /// The order of the greedy colouring.
    pub order: Order,
}

/// What `sweeps` samples cost, in samples that run alone.
pub(super) fn lanes(sweeps: usize) -> f64 {
    if sweeps < 4 { sweeps as f64 } else { 3.0 * sweeps.div_ceil(16) as f64 }
}

/// Forward, backward or both, by p + 2·q. What cannot win, because of its fullest row or column, is not coloured.
pub(super) fn cheapest(pattern: &Pattern, order: Order) -> (Mode, Coloring) {
    let transposed = pattern.transposed();
    let bounds = [both::fullest(pattern), 2 * both::fullest(&transposed)];
    let covers = [both::cover(pattern, &transposed), both::cover(&transposed, pattern)];
    let mixed = covers.iter().flatten().map(|(bound, _)| *bound).min().unwrap_or(usize::MAX);
    let mut modes = [(bounds[0], Mode::Forward), (bounds[1], Mode::Reverse), (mixed, Mode::Mixed)];
    modes.sort_by_key(|&(bound, _)| bound);
    let price = |c: &Coloring| c.pushes() + 2 * c.pulls();
    let mut best: Option<(Mode, Coloring)> = None;
    for (bound, mode) in modes {
        if best.as_ref().is_none_or(|(_, best)| bound < price(best)) && bound != usize::MAX {
            let next = colored(pattern, mode, order);
            if best.as_ref().is_none_or(|(_, best)| price(&next) < price(best)) {
                best = Some((mode, next));
            }
        }
    }
    best.unwrap_or_else(|| (Mode::Forward, Coloring::columns(pattern, order)))
}

/// The colouring that a mode sweeps.
pub(super) fn colored(pattern: &Pattern, mode: Mode, order: Order) -> Coloring {
    match mode {
        Mode::Reverse => Coloring::rows(pattern, order),
        Mode::Mixed => Coloring::both(pattern, order),
        _ => Coloring::columns(pattern, order),
    }
}

impl Mode {
    /// As a word of a sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Mode::Auto => "automatic",
            Mode::Forward => "forward",
            Mode::Reverse => "backward",
            Mode::Mixed => "forward and backward",
            Mode::Symbolic => "written out",
        }
    }
}
