//! Which states have a value, and which can reach a terminal state.

use rayon::prelude::*;

use super::{Process, ROW_SUM};

/// What a state can hope for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outlook {
    /// Terminal: its value is given.
    Terminal,
    /// A terminal state is reached with probability 1 under some policy. What a row of P lacks counts as an end.
    Reaches,
    /// Some policy can go on for ever, none surely reaches a terminal state. With γ < 1 the state has a value, with γ = 1 it has none.
    Unreachable,
    /// Every policy may run into a state without actions: there is no value.
    DeadEnd,
}

/// The outlook of every state, from the transitions alone.
#[derive(Debug, Clone)]
pub struct Prospects {
    outlook: Vec<Outlook>,
    /// For a state that reaches: the action of a policy that surely does.
    proper: Vec<u8>,
}

impl Prospects {
    /// Finds the outlooks. O(transitions) where moves are deterministic, else that for each round of the nested fixed point (de Alfaro 1997),
    /// of which there are few.
    pub fn of<P: Process + ?Sized>(process: &P) -> Self {
        let (states, actions) = (process.states(), process.actions());
        let goes_on = |s: usize| {
            process.terminal(s).is_none() && (0..actions).any(|a| process.reward(s, a).is_some())
        };
        let whole = process.row_sums()[0] >= 1.0;
        if whole && (0..states).into_par_iter().all(goes_on) {
            // Nothing ends, and nothing is lost: no transition need be looked at.
            return Self { outlook: vec![Outlook::Unreachable; states], proper: vec![0; states] };
        }
        let before = Predecessors::of(process);
        let terminal: Vec<bool> = (0..states).map(|s| process.terminal(s).is_some()).collect();
        let mut lasting = vec![true; states];
        let mut bad = vec![0u8; states * actions];
        before.remove(actions, &terminal, &mut lasting, &mut bad, |s| before.choices[s] == 0);
        // States that may reach an end, as long as actions that may leave them are not taken: until nothing changes.
        let (mut inside, mut proper) = (lasting.clone(), vec![0u8; states]);
        loop {
            let reached = before.attract(actions, &terminal, &inside, &bad, &mut proper);
            let lost = |s: usize| inside[s] && !reached[s];
            if !(0..states).any(lost) {
                break;
            }
            let drop: Vec<bool> = (0..states).map(lost).collect();
            before.remove(actions, &terminal, &mut inside, &mut bad, |s| drop[s]);
        }
        let outlook = (0..states).map(|s| match (terminal[s], lasting[s], inside[s]) {
            (true, ..) => Outlook::Terminal,
            (_, false, _) => Outlook::DeadEnd,
            (.., true) => Outlook::Reaches,
            _ => Outlook::Unreachable,
        });
        Self { outlook: outlook.collect(), proper }
    }

    /// The outlooks where every action leads to one state, no action leads somewhere from which one cannot go back, and the values of the best
    /// ways are known.
    pub(crate) fn of_ways<P: Process + ?Sized>(process: &P, values: &[f64], best: Vec<u8>) -> Self {
        let one = |s: usize| {
            if process.terminal(s).is_some() {
                Outlook::Terminal
            } else if values[s].is_finite() {
                Outlook::Reaches
            } else if (0..process.actions()).any(|a| process.reward(s, a).is_some()) {
                Outlook::Unreachable
            } else {
                Outlook::DeadEnd
            }
        };
        Self { outlook: (0..values.len()).into_par_iter().map(one).collect(), proper: best }
    }

    /// The outlook of one state.
    #[must_use]
    pub fn of_state(&self, state: usize) -> Outlook {
        self.outlook[state]
    }

    /// All of them.
    #[must_use]
    pub fn outlooks(&self) -> &[Outlook] {
        &self.outlook
    }

    /// An action for each state, which together surely reach a terminal state from every state of [`Outlook::Reaches`]. 0 elsewhere.
    #[must_use]
    pub fn proper_policy(&self) -> &[u8] {
        &self.proper
    }

    /// Whether the state has a finite value that is to be computed.
    pub(crate) fn is_valued(&self, state: usize, discount: f64) -> bool {
        match self.outlook[state] {
            Outlook::Reaches => true,
            Outlook::Unreachable => discount < 1.0,
            Outlook::Terminal | Outlook::DeadEnd => false,
        }
    }
}

/// For each state the (state, action) pairs that may lead to it.
struct Predecessors {
    starts: Vec<usize>,
    pairs: Vec<(u32, u8)>,
    /// How many actions each state has.
    choices: Vec<u8>,
    /// The pairs whose rows lack something: they may lead to an end that is no state.
    lossy: Vec<(u32, u8)>,
}

impl Predecessors {
    fn of<P: Process + ?Sized>(process: &P) -> Self {
        let (states, actions) = (process.states(), process.actions());
        let mut count = vec![0usize; states + 1];
        let (mut choices, mut lossy) = (vec![0u8; states], vec![]);
        let whole = process.row_sums()[0] >= 1.0;
        for s in (0..states).filter(|&s| process.terminal(s).is_none()) {
            for a in (0..actions).filter(|&a| process.reward(s, a).is_some()) {
                choices[s] += 1;
                let mut sum = 0.0;
                process.successors(s, a, &mut |next, p| {
                    count[next + 1] += 1;
                    sum += p;
                });
                if !whole && sum < 1.0 - ROW_SUM {
                    lossy.push((s as u32, a as u8));
                }
            }
        }
        for s in 0..states {
            count[s + 1] += count[s];
        }
        let (starts, mut at) = (count.clone(), count);
        let mut pairs = vec![(0u32, 0u8); starts[states]];
        for s in (0..states).filter(|&s| process.terminal(s).is_none()) {
            for a in (0..actions).filter(|&a| process.reward(s, a).is_some()) {
                process.successors(s, a, &mut |next, _| {
                    pairs[at[next]] = (s as u32, a as u8);
                    at[next] += 1;
                });
            }
        }
        Self { starts, pairs, choices, lossy }
    }

    fn before(&self, state: usize) -> &[(u32, u8)] {
        &self.pairs[self.starts[state]..self.starts[state + 1]]
    }

    /// Takes states out of the set, then the actions that may lead to them, then the states that have no action left.
    fn remove(
        &self,
        actions: usize,
        terminal: &[bool],
        inside: &mut [bool],
        bad: &mut [u8],
        goes: impl Fn(usize) -> bool,
    ) {
        let mut left: Vec<u8> = (0..inside.len())
            .map(|s| {
                let gone = bad[s * actions..(s + 1) * actions].iter().filter(|b| **b != 0).count();
                self.choices[s] - gone as u8
            })
            .collect();
        let mut queue: Vec<usize> =
            (0..inside.len()).filter(|&s| inside[s] && !terminal[s] && goes(s)).collect();
        queue.iter().for_each(|&s| inside[s] = false);
        while let Some(state) = queue.pop() {
            for &(s, a) in self.before(state) {
                let (s, pair) = (s as usize, s as usize * actions + a as usize);
                if bad[pair] == 0 {
                    bad[pair] = 1;
                    left[s] -= 1;
                    if left[s] == 0 && inside[s] {
                        inside[s] = false;
                        queue.push(s);
                    }
                }
            }
        }
    }

    /// Backwards from the ends through actions that are not bad; breadth first, so that the policy takes few steps.
    fn attract(
        &self,
        actions: usize,
        terminal: &[bool],
        inside: &[bool],
        bad: &[u8],
        proper: &mut [u8],
    ) -> Vec<bool> {
        let mut reached = terminal.to_vec();
        let mut queue: Vec<usize> = (0..reached.len()).filter(|&s| terminal[s]).collect();
        let mut draw = |before: &[(u32, u8)], queue: &mut Vec<usize>| {
            for &(s, a) in before {
                let (s, pair) = (s as usize, s as usize * actions + a as usize);
                if inside[s] && !reached[s] && bad[pair] == 0 {
                    reached[s] = true;
                    proper[s] = a;
                    queue.push(s);
                }
            }
        };
        draw(&self.lossy, &mut queue);
        let mut done = 0;
        while done < queue.len() {
            draw(self.before(queue[done]), &mut queue);
            done += 1;
        }
        reached
    }
}

/// V where nothing is known: `start` where a value is to be computed, the given values at the ends, −∞ elsewhere; and which states keep
/// theirs.
pub(crate) fn frame<P: Process + ?Sized>(
    process: &P,
    prospects: &Prospects,
    start: impl Fn(usize) -> f64 + Sync,
) -> (Vec<f64>, Vec<bool>) {
    let discount = process.discount();
    (0..process.states())
        .into_par_iter()
        .map(|s| match process.terminal(s) {
            Some(value) => (value, true),
            None if prospects.is_valued(s, discount) => (start(s), false),
            None => (f64::NEG_INFINITY, true),
        })
        .unzip()
}
