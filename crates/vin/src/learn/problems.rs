//! Planning problems by seed, solved exactly. A map is stored once, however many goals and starts it has.

use std::sync::Arc;

use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::grid::{
    Connectivity, Corners, GridMap, GridProcess, GridSpec, Maze, Obstacles, carved_maze,
    obstacle_map,
};
use crate::policy::best_actions;
use crate::process::Process;
use crate::solve::{Method, Settings, solve};
use crate::{Error, Result};

/// Whose maps, moves and numbers of goals.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// The VIN paper: rectangles in a ring of walls, eight moves with √2, corners cut, 7 goals a map (their 7 trajectories have 7 goals).
    Vin {
        /// 8, 16 or 28.
        size: usize,
    },
    /// The GPPN paper: carved mazes, one goal each.
    Gppn {
        /// Odd sides.
        size: usize,
        /// Four, eight of length 1, or with a heading.
        connectivity: Connectivity,
    },
}

/// One goal on one map, solved.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Which map of the set.
    pub map: usize,
    /// The goal's cell.
    pub goal: usize,
    /// Length of the best way from each cell (with a heading: from each state); infinite where there is none.
    pub lengths: Vec<f64>,
    /// A bit for each best action of each state; 0 at the goal, in walls and where no way is.
    pub best: Vec<u8>,
    /// The start of the published test protocol: one cell drawn from those with a way.
    pub start: usize,
}

/// Problems of one size and one rule.
#[derive(Debug, Clone)]
pub struct ProblemSet {
    /// Maps.
    pub maps: Vec<Arc<GridMap>>,
    /// The moves.
    pub connectivity: Connectivity,
    /// Problems, those of a map one after the other.
    pub problems: Vec<Problem>,
}

impl ProblemSet {
    /// `maps` maps of a protocol with their goals, by seed: other seeds, other maps. Maps on which nothing leads anywhere are drawn again.
    ///
    /// # Errors
    /// A size that the protocol does not know; a map that was drawn 1,000 times without goals that another cell leads to.
    pub fn generate(protocol: Protocol, maps: usize, seed: u64) -> Result<Self> {
        let (goals, connectivity) = match protocol {
            Protocol::Vin { .. } => (7, Connectivity::octile(Corners::Cut)),
            Protocol::Gppn { connectivity, .. } => (1, connectivity),
        };
        let one = |index: usize| -> Result<(Arc<GridMap>, Vec<Problem>)> {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(index as u64);
            for _ in 0..1000 {
                let map = draw_map(protocol, random.random())?;
                if let Some(problems) = pose(&map, connectivity, goals, index, &mut random)? {
                    return Ok((Arc::new(map), problems));
                }
            }
            let what = format!(
                "{protocol:?}: in 1000 draws of map {index} there were not {goals} goals that another cell leads to"
            );
            Err(Error::invalid("problems", what))
        };
        let all: Vec<_> = (0..maps).into_par_iter().map(one).collect::<Result<_>>()?;
        let (maps, problems): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        Ok(Self { maps, connectivity, problems: problems.concat() })
    }

    /// Problems on given maps, `goals` for each, drawn by seed.
    ///
    /// # Errors
    /// A map without two free cells that are joined.
    pub fn on_maps(
        maps: Vec<GridMap>,
        connectivity: Connectivity,
        goals: usize,
        seed: u64,
    ) -> Result<Self> {
        let one = |(index, map): (usize, GridMap)| -> Result<(Arc<GridMap>, Vec<Problem>)> {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(index as u64);
            match pose(&map, connectivity, goals, index, &mut random)? {
                Some(problems) => Ok((Arc::new(map), problems)),
                None => Err(Error::invalid(
                    "problems",
                    format!("map {index} has no two cells with a way between them"),
                )),
            }
        };
        let all: Vec<_> = maps.into_par_iter().enumerate().map(one).collect::<Result<_>>()?;
        let (maps, problems): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        Ok(Self { maps, connectivity, problems: problems.concat() })
    }

    /// One problem on each of the given maps, with the given goals; starts are drawn by seed.
    ///
    /// # Errors
    /// Another number of goals; a goal off its map, in a wall, or that no cell leads to.
    pub fn with_goals(
        maps: Vec<GridMap>,
        goals: &[usize],
        connectivity: Connectivity,
        seed: u64,
    ) -> Result<Self> {
        crate::error::check_len("problems", "goals", goals.len(), maps.len())?;
        let one = |(index, map): (usize, GridMap)| -> Result<(Arc<GridMap>, Problem)> {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(index as u64);
            let (map, goal) = (Arc::new(map), goals[index]);
            let mut problem = solved(&map, connectivity, index, goal, goal)?;
            let per = connectivity.states_per_cell();
            let joined = |c: &usize| *c != goal && problem.lengths[c * per].is_finite();
            let Some(start) = (0..map.cells()).filter(joined).choose(&mut random) else {
                let what = format!("no cell of map {index} leads to the goal, cell {goal}");
                return Err(Error::invalid("problems", what));
            };
            problem.start = start;
            Ok((map, problem))
        };
        let all: Vec<_> = maps.into_par_iter().enumerate().map(one).collect::<Result<_>>()?;
        let (maps, problems) = all.into_iter().unzip();
        Ok(Self { maps, connectivity, problems })
    }

    /// Only some of the problems: for curricula, which begin with near goals, and for splits. Maps stay.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&Problem) -> bool) -> Self {
        let problems = self.problems.iter().filter(|p| keep(p)).cloned().collect();
        Self { problems, ..self.clone() }
    }

    /// Labels of states no further than this from the goal; the others have none: a curriculum by path length.
    #[must_use]
    pub fn within(&self, length: f64) -> Self {
        let mut near = self.clone();
        for problem in &mut near.problems {
            for (best, far) in problem.best.iter_mut().zip(&problem.lengths) {
                if *far > length {
                    *best = 0;
                }
            }
        }
        near
    }

    /// One best action of each state in place of all, drawn by seed: the labels of the papers.
    #[must_use]
    pub fn with_single_labels(&self, seed: u64) -> Self {
        let mut single = self.clone();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for problem in &mut single.problems {
            for best in &mut problem.best {
                let chosen = (0..8).filter(|a| *best >> a & 1 == 1).choose(&mut random);
                *best = chosen.map_or(0, |a| 1 << a);
            }
        }
        single
    }

    /// Every state on the best way from `start` as a goal of its own: hindsight. A way of length L gives L problems that share their map.
    ///
    /// # Errors
    /// No such problem; none that could not be solved before.
    pub fn hindsight(&self, problem: usize) -> Result<Vec<Problem>> {
        let Some(problem) = self.problems.get(problem) else {
            let what = format!("problem {problem} is none of {}", self.problems.len());
            return Err(Error::invalid("problems", what));
        };
        let process = process_of(&self.maps[problem.map], self.connectivity, problem.goal)?;
        let per = self.connectivity.states_per_cell();
        let (mut state, mut goals) = (problem.start * per, vec![]);
        while problem.best[state] != 0 {
            let action = problem.best[state].trailing_zeros() as usize;
            process.successors(state, action, &mut |next, _| state = next);
            if goals.last() != Some(&(state / per)) {
                goals.push(state / per);
            }
        }
        let map = &self.maps[problem.map];
        let solved =
            |&goal: &usize| solved(map, self.connectivity, problem.map, goal, problem.start);
        goals.iter().filter(|g| **g != problem.start).map(solved).collect()
    }
}

fn draw_map(protocol: Protocol, seed: u64) -> Result<GridMap> {
    match protocol {
        Protocol::Vin { size } => obstacle_map(Obstacles::vin(size)?, seed),
        Protocol::Gppn { size, .. } => {
            carved_maze(Maze { height: size, width: size, most_open: 1.0 }, seed)
        }
    }
}

fn process_of(map: &Arc<GridMap>, connectivity: Connectivity, goal: usize) -> Result<GridProcess> {
    let spec = GridSpec { connectivity, ..GridSpec::default() };
    GridProcess::new(map.clone(), spec, &[(goal, 0.0)])
}

/// Goals among the free cells that something leads to; `None` where there are none.
fn pose(
    map: &GridMap,
    connectivity: Connectivity,
    goals: usize,
    index: usize,
    random: &mut ChaCha8Rng,
) -> Result<Option<Vec<Problem>>> {
    if goals > 1 << 20 {
        let what = format!("{goals} goals on a map, at most 2²⁰");
        return Err(Error::invalid("problems", what));
    }
    let map = Arc::new(map.clone());
    let free: Vec<usize> = (0..map.cells()).filter(|&c| !map.solid()[c]).collect();
    let mut problems = vec![];
    for _ in 0..8 * goals {
        if problems.len() == goals {
            break;
        }
        let Some(&goal) = free.iter().choose(random) else { return Ok(None) };
        let mut problem = solved(&map, connectivity, index, goal, goal)?;
        let per = connectivity.states_per_cell();
        let joined = |c: &usize| *c != goal && problem.lengths[c * per].is_finite();
        if let Some(&start) = free.iter().filter(|c| joined(c)).choose(random) {
            problem.start = start;
            problems.push(problem);
        }
    }
    Ok((problems.len() == goals).then_some(problems))
}

fn solved(
    map: &Arc<GridMap>,
    connectivity: Connectivity,
    index: usize,
    goal: usize,
    start: usize,
) -> Result<Problem> {
    let process = process_of(map, connectivity, goal)?;
    let solution = solve(&process, &Settings::by(Method::Prioritized))?;
    let sets = best_actions(&process, &solution.values, 1e-9)?;
    let bits = |row: &[bool]| row.iter().enumerate().fold(0, |set, (a, b)| set | u8::from(*b) << a);
    let best = sets.chunks_exact(connectivity.actions()).map(bits).collect();
    let lengths = solution.values.iter().map(|v| -v).collect();
    Ok(Problem { map: index, goal, lengths, best, start })
}
