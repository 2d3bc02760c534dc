//! A process by its transitions of positive probability.

use rayon::prelude::*;

use super::dense::{ROW_SUM, check_discount, check_frame, check_row, ends, unrounded};
use super::{Backup, Block, CHUNK, Dense, Parametric, Process, sweep_by_rows};
use crate::error::{check_finite, check_len};
use crate::{Error, Result};

/// P in compressed rows: row s·A + a holds the successors of action a in state s. A row without entries is an action that cannot be
/// taken.
///
/// Memory: 12 bytes for each transition, 8 for each reward. Everything that is checked costs O(transitions).
#[derive(Debug, Clone)]
pub struct Csr {
    states: usize,
    actions: usize,
    discount: f64,
    reward: Vec<f64>,
    starts: Vec<usize>,
    next: Vec<u32>,
    probability: Vec<f64>,
    terminal: Vec<Option<f64>>,
    tolerance: f64,
    /// The least and the largest sum of a row.
    sums: [f64; 2],
}

impl Csr {
    /// Checks and takes the numbers: `starts` has states·actions + 1 entries, row r is `starts[r]..starts[r + 1]` of `next` and
    /// `probability`. Rows of terminal states are ignored.
    ///
    /// ```
    /// # fn main() -> pullback_vin::Result<()> {
    /// use pullback_vin::process::Csr;
    /// use pullback_vin::solve::{Method, Settings, solve};
    /// // From state 0: action 0 tries (half of the time it arrives), action 1 walks for sure and costs more. State 1 is the end, its rows are empty.
    /// let rows = (vec![0, 2, 3, 3, 3], vec![0, 1, 1], vec![0.5, 0.5, 1.0]);
    /// let process = Csr::new([2, 2], vec![-1.0, -3.0, 0.0, 0.0], rows, 1.0, &[(1, 0.0)])?;
    /// let solution = solve(&process, &Settings::by(Method::PolicyIteration))?;
    /// assert_eq!(solution.value(0), Some(-2.0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Wrong lengths, decreasing starts, a successor that is no state; more than 255 actions; a discount outside (0, 1], or 1 without a
    /// terminal state; numbers that are not finite; negative probabilities, or rows whose sum is further than 10⁻⁹ from 1.
    pub fn new(
        sizes: [usize; 2],
        reward: Vec<f64>,
        rows: (Vec<usize>, Vec<u32>, Vec<f64>),
        discount: f64,
        terminal: &[(usize, f64)],
    ) -> Result<Self> {
        Self::with_tolerance(sizes, reward, rows, discount, terminal, ROW_SUM)
    }

    /// As [`Csr::new`], with another distance of row sums from 1; infinity lets every row through. What a row lacks (more than 10⁻⁹) is lost, as if it led to an
    /// end of value 0, with γ = 1, too. Bounds are those of the modulus γ·(largest sum); where that is 1 or more there is none, and values that grow without
    /// end are [`Status::Diverged`](crate::solve::Status::Diverged).
    ///
    /// # Errors
    /// As [`Csr::new`]; a tolerance that is negative or NaN.
    pub fn with_tolerance(
        [states, actions]: [usize; 2],
        reward: Vec<f64>,
        (starts, next, probability): (Vec<usize>, Vec<u32>, Vec<f64>),
        discount: f64,
        terminal: &[(usize, f64)],
        tolerance: f64,
    ) -> Result<Self> {
        const NODE: &str = "sparse process";
        let terminal = check_frame(NODE, [states, actions], discount, terminal)?;
        if tolerance.is_nan() || tolerance < 0.0 {
            let what = format!("the tolerance of row sums is {tolerance}, must be 0 or more");
            return Err(Error::invalid(NODE, what));
        }
        check_len(NODE, "reward", reward.len(), states * actions)?;
        check_len(NODE, "starts", starts.len(), states * actions + 1)?;
        check_len(NODE, "probability", probability.len(), next.len())?;
        check_finite(NODE, "reward", &reward)?;
        if starts[0] != 0 || starts[states * actions] != next.len() {
            let (first, last) = (starts[0], starts[states * actions]);
            let what = format!(
                "starts begin at {first} and end at {last}, must be 0 and the {} transitions",
                next.len()
            );
            return Err(Error::invalid(NODE, what));
        }
        if let Some(row) = starts.windows(2).position(|w| w[1] < w[0]) {
            return Err(Error::invalid(NODE, format!("row {row} ends before it begins")));
        }
        if let Some(i) = next.iter().position(|&s| s as usize >= states) {
            let what = format!("successor {} at entry {i} is none of {states} states", next[i]);
            return Err(Error::invalid(NODE, what));
        }
        let mut sums = [1.0f64; 2];
        for row in 0..states * actions {
            let (state, action) = (row / actions, row % actions);
            let p = &probability[starts[row]..starts[row + 1]];
            if terminal[state].is_none() && !p.is_empty() {
                let sum = check_row(NODE, state, action, p, tolerance)?;
                if (sum - 1.0).abs() > ROW_SUM {
                    sums = [sums[0].min(sum), sums[1].max(sum)];
                }
            }
        }
        Ok(Self {
            states,
            actions,
            discount,
            reward,
            starts,
            next,
            probability,
            terminal,
            tolerance,
            sums,
        })
    }

    /// Writes any process down.
    ///
    /// # Errors
    /// As [`Csr::new`].
    pub fn of<P: Process + ?Sized>(process: &P) -> Result<Self> {
        let (states, actions) = (process.states(), process.actions());
        let mut reward = vec![0.0; states * actions];
        let (mut starts, mut next, mut probability) = (vec![0], vec![], vec![]);
        let mut terminal = vec![];
        for state in 0..states {
            let end = process.terminal(state);
            terminal.extend(end.map(|value| (state, value)));
            for action in 0..actions {
                if let (None, Some(r)) = (end, process.reward(state, action)) {
                    reward[state * actions + action] = r;
                    let from = next.len();
                    process.successors(state, action, &mut |s, p| {
                        // A successor may come twice; rows are short.
                        match next[from..].iter().position(|&n| n as usize == s) {
                            Some(i) => probability[from + i] += p,
                            None => {
                                next.push(s as u32);
                                probability.push(p);
                            }
                        }
                    });
                }
                starts.push(next.len());
            }
        }
        let rows = (starts, next, probability);
        Self::new([states, actions], reward, rows, process.discount(), &terminal)
    }

    /// The same in full; an action that cannot be taken is an error, for [`Dense`] has no word for it.
    ///
    /// # Errors
    /// As [`Dense::new`].
    pub fn to_dense(&self) -> Result<Dense> {
        let mut transition = vec![0.0; self.states * self.actions * self.states];
        for row in 0..self.states * self.actions {
            for (next, p) in self.entries(row) {
                transition[row * self.states + next] += p;
            }
        }
        let (sizes, terminal) = ([self.states, self.actions], ends(&self.terminal));
        Dense::new(sizes, self.reward.clone(), transition, self.discount, &terminal)
    }

    /// How many transitions are stored.
    #[must_use]
    pub fn transitions(&self) -> usize {
        self.next.len()
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    fn entries(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.range(row);
        let next = self.next[range.clone()].iter().map(|&s| s as usize);
        next.zip(self.probability[range].iter().copied())
    }

    /// Q(s, a) of a stored row. Four running sums: the additions do not wait for each other.
    #[inline]
    fn row_value(&self, row: usize, values: &[f64]) -> f64 {
        let range = self.range(row);
        if range.is_empty() {
            return f64::NEG_INFINITY;
        }
        let (next, p) = (&self.next[range.clone()], &self.probability[range]);
        let mut sums = [0.0f64; 4];
        let (next4, next1) = next.as_chunks::<4>();
        let (p4, p1) = p.as_chunks::<4>();
        for (next, p) in next4.iter().zip(p4) {
            for k in 0..4 {
                sums[k] += p[k] * values[next[k] as usize];
            }
        }
        for (next, p) in next1.iter().zip(p1) {
            sums[0] += p * values[*next as usize];
        }
        let expected = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        // 0·(−∞): a stored zero before a state without a value.
        let expected = if expected.is_nan() {
            let terms = next.iter().zip(p).filter(|(_, p)| **p > 0.0);
            terms.map(|(s, p)| p * values[*s as usize]).sum()
        } else {
            expected
        };
        self.reward[row] + self.discount * expected
    }
}

impl Process for Csr {
    fn name(&self) -> &str {
        "sparse process"
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
        let row = state * self.actions + action;
        (!self.range(row).is_empty()).then_some(self.reward[row])
    }
    fn successors(&self, state: usize, action: usize, f: &mut dyn FnMut(usize, f64)) {
        for (next, p) in self.entries(state * self.actions + action) {
            if p > 0.0 {
                f(next, p);
            }
        }
    }
    fn row_sums(&self) -> [f64; 2] {
        self.sums
    }
    fn action_value(&self, state: usize, action: usize, values: &[f64]) -> f64 {
        self.row_value(state * self.actions + action, values)
    }
    fn sweep(
        &self,
        values: &[f64],
        held: &[bool],
        backup: Backup,
        out: &mut [f64],
        tape: Option<&mut [u8]>,
    ) {
        if tape.is_some() || backup != Backup::Hard {
            return sweep_by_rows(self, values, held, backup, out, tape);
        }
        out.par_chunks_mut(CHUNK / 8).enumerate().for_each(|(chunk, out)| {
            for (i, out) in out.iter_mut().enumerate() {
                let state = chunk * (CHUNK / 8) + i;
                if held[state] {
                    *out = values[state];
                    continue;
                }
                let rows = state * self.actions..(state + 1) * self.actions;
                *out = rows.fold(f64::NEG_INFINITY, |best, row| {
                    let q = self.row_value(row, values);
                    if q > best { q } else { best }
                });
            }
        });
    }
}

impl Parametric for Csr {
    fn blocks(&self) -> Vec<Block> {
        vec![
            Block::new("reward", &[self.states, self.actions]),
            Block::new("transition", &[self.next.len()]),
        ]
    }
    fn parameters(&self) -> Vec<f64> {
        [&self.reward[..], &self.probability].concat()
    }
    fn with_parameters(&self, parameters: &[f64]) -> Result<Self> {
        let rewards = self.reward.len();
        check_len(self.name(), "parameters", parameters.len(), rewards + self.next.len())?;
        let (reward, probability) = parameters.split_at(rewards);
        let rows = (self.starts.clone(), self.next.clone(), probability.to_vec());
        let (sizes, terminal) = ([self.states, self.actions], ends(&self.terminal));
        Self::with_tolerance(sizes, reward.to_vec(), rows, self.discount, &terminal, self.tolerance)
    }
    fn with_rounded_parameters(&self, parameters: &[f64]) -> Result<Self> {
        let mut exact = parameters.to_vec();
        let probability = exact.get_mut(self.reward.len()..).unwrap_or_default();
        if probability.len() == self.next.len() {
            let rows = self.starts.windows(2);
            rows.for_each(|row| unrounded(&mut probability[row[0]..row[1]]));
        }
        self.with_parameters(&exact)
    }
    fn with_discount(&self, discount: f64) -> Result<Self> {
        check_discount(self.name(), discount, !ends(&self.terminal).is_empty())?;
        Ok(Self { discount, ..self.clone() })
    }
    fn pull(&self, state: usize, action: usize, weight: f64, values: &[f64], into: &mut [f64]) {
        let row = state * self.actions + action;
        into[row] += weight;
        let slope = weight * self.discount;
        for i in self.range(row) {
            let v = values[self.next[i] as usize];
            if v.is_finite() {
                into[self.reward.len() + i] += slope * v;
            }
        }
    }
    fn push(&self, state: usize, action: usize, direction: &[f64], values: &[f64]) -> f64 {
        let row = state * self.actions + action;
        let along = &direction[self.reward.len()..];
        let terms = self.range(row).map(|i| (along[i], values[self.next[i] as usize]));
        let moved: f64 = terms.filter(|(_, v)| v.is_finite()).map(|(d, v)| d * v).sum();
        direction[row] + self.discount * moved
    }
}
