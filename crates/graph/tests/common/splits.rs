//! The splits that Revolve chooses, against the recurrence that defines the optimum.
//!
//! > t(l, s) = min over m of m + t(m, s) + t(l − m, s − 1), t(1, s) = 0, t(l, 1) = l·(l − 1)/2

use pullback_graph::revolve::{Action, advances, schedule};

/// Lengths for which something does not hold, of those looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) looked_at: usize,
    /// m + t(m, s) + t(l − m, s − 1) ≠ t(l, s) for the m that the schedule chooses.
    pub(crate) not_attained: usize,
    /// A neighbour of m is better, or t(·, s) is not convex. With t(·, s) and t(·, s − 1) convex the sum is convex in m, so that an m
    /// without a better neighbour is the best of all.
    pub(crate) not_least: usize,
}

/// All lengths 2 … `longest` for each number of snapshots. Where the numbers are all of 2 … s, that the recurrence is attained and least
/// proves by induction that schedules are optimal up to that length.
pub(crate) fn splits(longest: usize, snapshots: &[usize]) -> Tally {
    let table = |s: usize| -> Vec<u128> {
        let one = |l: usize| match s {
            1 => (l * l.saturating_sub(1) / 2) as u128,
            _ => advances(l, s).unwrap(),
        };
        (0..=longest).map(one).collect()
    };
    let mut tally = Tally::default();
    let mut last: Option<(usize, Vec<u128>)> = None;
    for &s in snapshots {
        let t = table(s);
        let fewer = last.take().filter(|(k, _)| k + 1 == s).map_or_else(|| table(s - 1), |l| l.1);
        let convex = |l: usize| longest <= l || 2 * t[l] <= t[l - 1] + t[l + 1];
        for l in 2..=longest {
            let cost = |m: usize| m as u128 + t[m] + fewer[l - m];
            let chosen = schedule(l, s).unwrap().find_map(|a| match a {
                Action::Advance { from: 0, to } => Some(to),
                _ => None,
            });
            tally.looked_at += 1;
            let Some(m) = chosen.filter(|&m| 0 < m && m < l) else {
                tally.not_attained += 1;
                continue;
            };
            tally.not_attained += usize::from(cost(m) != t[l]);
            let better = |m: usize| 0 < m && m < l && cost(m) < t[l];
            tally.not_least += usize::from(better(m - 1) || better(m + 1) || !convex(l));
        }
        last = Some((s, t));
    }
    tally
}

/// The least over all m, by dynamic programming: for how many lengths up to `longest` and snapshots up to `snapshots` the schedule's own
/// forward steps are another number, of how many.
pub(crate) fn dynamic_program(longest: usize, snapshots: usize) -> (usize, usize) {
    let mut best = vec![vec![0u128; snapshots + 1]; longest + 1];
    let (mut wrong, mut all) = (0, 0);
    for l in 1..=longest {
        best[l][1] = (l * (l - 1) / 2) as u128;
        for s in 2..=snapshots {
            let after = |m: usize| m as u128 + best[m][s] + best[l - m][s - 1];
            best[l][s] = (1..l).map(after).min().unwrap_or(0);
        }
        for s in 1..=snapshots {
            let forward = |a| if let Action::Advance { from, to } = a { to - from } else { 0 };
            let made: usize = schedule(l, s).unwrap().map(forward).sum();
            all += 1;
            wrong += usize::from(made as u128 != best[l][s]);
        }
    }
    (wrong, all)
}
