//! The Markov chain of a policy: the matrix P_π over the states that have a value to be computed.

use crate::process::Process;

/// P_π in compressed rows, over free states numbered anew; transitions into held states are left out (a terminal value is a constant).
pub(crate) struct Chain {
    pub(crate) discount: f64,
    /// The state of each row.
    pub(crate) states: Vec<u32>,
    /// The row of each state; `u32::MAX` for held states.
    pub(crate) row_of: Vec<u32>,
    pub(crate) starts: Vec<usize>,
    pub(crate) next: Vec<u32>,
    pub(crate) probability: Vec<f64>,
}

/// Marks a state without a row.
pub(crate) const HELD: u32 = u32::MAX;

impl Chain {
    /// The chain where `weights(s, π)` fills the probabilities of the actions in a free state. `order` may put rows in another order.
    pub(crate) fn new<P: Process + ?Sized>(
        process: &P,
        order: Vec<u32>,
        mut weights: impl FnMut(usize, &mut [f64]),
    ) -> Self {
        let mut row_of = vec![HELD; process.states()];
        for (row, &s) in order.iter().enumerate() {
            row_of[s as usize] = row as u32;
        }
        let mut pi = vec![0.0; process.actions()];
        let (mut starts, mut next, mut probability) = (vec![0], vec![], vec![]);
        for &s in &order {
            weights(s as usize, &mut pi);
            let from = next.len();
            for (a, &w) in pi.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                process.successors(s as usize, a, &mut |to, p| {
                    let row = row_of[to];
                    if row == HELD {
                        return;
                    }
                    match next[from..].iter().position(|&n| n == row) {
                        Some(i) => probability[from + i] += w * p,
                        None => {
                            next.push(row);
                            probability.push(w * p);
                        }
                    }
                });
            }
            starts.push(next.len());
        }
        let discount = process.discount();
        Self { discount, states: order, row_of, starts, next, probability }
    }

    /// How many free states.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[row]..self.starts[row + 1];
        let next = self.next[range.clone()].iter().map(|&n| n as usize);
        next.zip(self.probability[range].iter().copied())
    }

    /// Every row has one successor or none: a forest towards the ends, perhaps with loops.
    pub(crate) fn is_functional(&self) -> bool {
        self.starts.windows(2).all(|w| w[1] - w[0] <= 1)
    }

    /// y = (I − γ·P)·x, or with its transpose.
    pub(crate) fn apply(&self, transposed: bool, x: &[f64], y: &mut [f64]) {
        y.copy_from_slice(x);
        for row in 0..self.len() {
            if transposed {
                let from = self.discount * x[row];
                for (next, p) in self.row(row) {
                    y[next] -= p * from;
                }
            } else {
                let sum: f64 = self.row(row).map(|(next, p)| p * x[next]).sum();
                y[row] -= self.discount * sum;
            }
        }
    }

    /// Numbers of states as numbers of rows.
    pub(crate) fn gather(&self, by_state: &[f64]) -> Vec<f64> {
        self.states.iter().map(|&s| by_state[s as usize]).collect()
    }

    /// Numbers of rows as numbers of states, 0 elsewhere.
    pub(crate) fn scatter(&self, by_row: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; self.row_of.len()];
        for (&s, &x) in self.states.iter().zip(by_row) {
            all[s as usize] = x;
        }
        all
    }
}
