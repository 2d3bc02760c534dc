//! Robots on grids that do not know where they are: the grid domain of QMDP-net (Karkus and others 2017), with demonstrations by QMDP.

use std::sync::Arc;

use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::belief::{Qmdp, Sensor, WallSensing, predict, update};
use crate::grid::{Connectivity, GridMap, GridProcess, GridSpec, Walls};
use crate::process::Process;
use crate::{Error, Result};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HiddenSpec {
    /// Cells on each side, a ring of walls included.
    pub size: usize,
    /// Share of inner cells that are walls; the paper's is 0.25.
    pub solid: f64,
    /// Probability that a move is made, else the robot stays; 1 or 0.8 in the paper.
    pub moves: f64,
    /// Probability that each of the four bits of a reading is right; 1 or 0.9 in the paper.
    pub sees: f64,
}

impl Default for HiddenSpec {
    /// 10×10, deterministic.
    fn default() -> Self {
        Self { size: 10, solid: 0.25, moves: 1.0, sees: 1.0 }
    }
}

/// One map with a goal, a hidden start, and what the robot believes at first.
///
/// Five actions: north, east, south, west, stay. A step costs 0.1, a wall 10, the goal is worth 20, γ = 0.99. A reading has a bit for a wall to the
/// north, east, south, west. The first belief is uniform over a random share 2⁻ᵏ of the free cells, the start among them.
#[derive(Debug, Clone)]
pub struct HiddenProblem {
    /// Map, goal, moves.
    pub process: GridProcess,
    /// Readings.
    pub sensor: WallSensing,
    /// The goal's cell.
    pub goal: usize,
    /// Where the robot is.
    pub start: usize,
    /// The first belief, before the first reading.
    pub belief: Vec<f64>,
}

/// A run of an expert: reading 0, action 0, reading 1, action 1, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demonstration {
    /// Which problem.
    pub problem: usize,
    /// The readings before each action.
    pub readings: Vec<u8>,
    /// The actions.
    pub actions: Vec<u8>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HiddenRun {
    /// At the goal within the limit.
    pub arrived: bool,
    /// Steps made.
    pub steps: usize,
    /// Steps into walls.
    pub collisions: usize,
}

impl HiddenProblem {
    /// A problem by seed and number.
    ///
    /// # Errors
    /// Less than 4 cells on a side, probabilities outside [0, 1], or no map with a way within 1,000 draws.
    pub fn draw(spec: HiddenSpec, seed: u64, index: u64) -> Result<Self> {
        const NODE: &str = "hidden problem";
        let HiddenSpec { size, solid, moves, sees } = spec;
        let probabilities = [solid, moves, sees].iter().all(|p| (0.0..=1.0).contains(p));
        if !(4..=1 << 12).contains(&size) || !probabilities {
            return Err(Error::invalid(
                NODE,
                format!("{spec:?}: the size must be 4 to 4096, the others probabilities"),
            ));
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(index);
        for _ in 0..1000 {
            let inner = |i: usize| {
                (1..size - 1).contains(&(i / size)) && (1..size - 1).contains(&(i % size))
            };
            let walls: Vec<bool> =
                (0..size * size).map(|i| !inner(i) || random.random::<f64>() < solid).collect();
            let map = Arc::new(GridMap::new(size, size, walls)?.with_cost(vec![0.1; size * size])?);
            let free: Vec<usize> = (0..map.cells()).filter(|&c| !map.solid()[c]).collect();
            let Some(&goal) = free.iter().choose(&mut random) else { continue };
            let grid = GridSpec {
                connectivity: Connectivity::FourOrStay,
                // With the step's own 0.1 a wall costs 10.
                walls: Walls::Penalty(9.9),
                stay: 1.0 - moves,
                discount: 0.99,
                ..GridSpec::default()
            };
            let process = GridProcess::new(map.clone(), grid, &[(goal, 20.0)])?;
            let outlooks = crate::process::Prospects::of(&process);
            let joined =
                |c: &usize| *c != goal && outlooks.of_state(*c) == crate::process::Outlook::Reaches;
            let Some(&start) = free.iter().filter(|c| joined(c)).choose(&mut random) else {
                continue;
            };
            let shares = (free.len() as f64).log2().floor().max(1.0) as u32;
            let count = (free.len() >> random.random_range(0..shares)).max(1);
            let others = free.iter().copied().filter(|&c| c != start);
            let mut belief = vec![0.0; map.cells()];
            let mut chosen = others.choose_multiple(&mut random, count - 1);
            chosen.push(start);
            chosen.iter().for_each(|&c| belief[c] = 1.0 / count as f64);
            let sensor = WallSensing::new(map, sees)?;
            return Ok(Self { process, sensor, goal, start, belief });
        }
        Err(Error::invalid(NODE, format!("{spec:?}: in 1000 draws no cell led to a goal")))
    }

    /// The paper's limit of steps: 4·(height + width).
    #[must_use]
    pub fn limit(&self) -> usize {
        4 * (self.process.map().height() + self.process.map().width())
    }

    /// Lets `act(step, last action, reading)` choose actions until the goal or the limit. The first last action is `None`.
    ///
    /// # Errors
    /// Those of `act`; an action that there is not.
    pub fn run(
        &self,
        random: &mut impl Rng,
        mut act: impl FnMut(usize, Option<u8>, u8) -> Result<u8>,
    ) -> Result<HiddenRun> {
        let mut walker = self.walker();
        let mut last = None;
        for step in 0..self.limit() {
            let action = act(step, last, walker.reading(random))?;
            walker.step(action, random)?;
            last = Some(action);
            if walker.run.arrived {
                break;
            }
        }
        Ok(walker.run)
    }

    /// The robot at its start.
    #[must_use]
    pub fn walker(&self) -> HiddenWalker<'_> {
        let run = HiddenRun { arrived: false, steps: 0, collisions: 0 };
        HiddenWalker { problem: self, state: self.start, run }
    }

    /// QMDP with the true models. `None` if it did not arrive.
    ///
    /// # Errors
    /// Those of the filter and of the solver.
    pub fn demonstrate(&self, seed: u64) -> Result<(HiddenRun, Option<Demonstration>)> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let qmdp = Qmdp::new(&self.process, 0.0)?;
        let mut belief = self.belief.clone();
        let (mut readings, mut actions) = (vec![], vec![]);
        let run = self.run(&mut random, |_, last, reading| {
            if let Some(last) = last {
                belief = predict(&self.process, &belief, usize::from(last))?;
                // At a goal the run would be over.
                belief[self.goal] = 0.0;
            }
            let log = self.sensor.log_likelihoods(belief.len(), &reading);
            belief = update(&belief, &log)?.belief;
            let action = qmdp.action(&belief)? as u8;
            readings.push(reading);
            actions.push(action);
            Ok(action)
        })?;
        let demonstration = Demonstration { problem: 0, readings, actions };
        Ok((run, run.arrived.then_some(demonstration)))
    }
}

/// A robot under way.
#[derive(Debug, Clone)]
pub struct HiddenWalker<'p> {
    problem: &'p HiddenProblem,
    state: usize,
    /// What has come of it so far.
    pub run: HiddenRun,
}

impl HiddenWalker<'_> {
    /// What the robot sees.
    pub fn reading(&self, random: &mut impl Rng) -> u8 {
        self.problem.sensor.draw(self.state, random)
    }

    /// One action.
    ///
    /// # Errors
    /// An action that there is not.
    pub fn step(&mut self, action: u8, random: &mut impl Rng) -> Result<()> {
        let process = &self.problem.process;
        let action = usize::from(action);
        if action >= process.actions() {
            let what = format!("action {action}, there are {}", process.actions());
            return Err(Error::invalid(process.name(), what));
        }
        self.run.steps += 1;
        let mut left = random.random::<f64>();
        let from = self.state;
        process.successors(from, action, &mut |next, p| {
            if left >= 0.0 {
                self.state = next;
                left -= p;
            }
        });
        self.run.collisions += usize::from(process.meets_wall(from, action));
        self.run.arrived = process.terminal(self.state).is_some();
        Ok(())
    }
}

/// Problems by seed, and a demonstration of each where QMDP finds its way.
///
/// # Errors
/// As [`HiddenProblem::draw`] and [`HiddenProblem::demonstrate`].
pub fn demonstrations(
    spec: HiddenSpec,
    count: usize,
    seed: u64,
) -> Result<(Vec<HiddenProblem>, Vec<Demonstration>)> {
    let one = |index: usize| -> Result<(HiddenProblem, Option<Demonstration>)> {
        let problem = HiddenProblem::draw(spec, seed, index as u64)?;
        let (_, run) = problem.demonstrate(seed ^ (index as u64) << 20)?;
        Ok((problem, run.map(|run| Demonstration { problem: index, ..run })))
    };
    let all: Vec<_> = (0..count).into_par_iter().map(one).collect::<Result<_>>()?;
    let (problems, runs): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    Ok((problems, runs.into_iter().flatten().collect()))
}
