//! The decision process of a map: nothing is stored for a transition.

use std::sync::Arc;

use super::connectivity::{Connectivity, MOVES, Move, Walls};
use super::map::GridMap;
use super::pieces::{Kind, Piece};
use crate::process::{Backup, Block, Parametric, Process};
use crate::{Error, Result};

/// How a robot moves on a map.
///
/// With noise, an action in direction d is carried out in direction d with probability 1 − slip − stay, in each of the two next
/// directions with slip/2 (of four directions: across, of eight: 45° off), and not at all with `stay`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridSpec {
    /// The moves.
    pub connectivity: Connectivity,
    /// What walls do.
    pub walls: Walls,
    /// Probability of a move to the side; 0 with [`Connectivity::Heading`].
    pub slip: f64,
    /// Probability of no move.
    pub stay: f64,
    /// γ.
    pub discount: f64,
}

impl Default for GridSpec {
    /// Four directions, walls unavailable, no noise, γ = 1.
    fn default() -> Self {
        Self {
            connectivity: Connectivity::Four,
            walls: Walls::Unavailable,
            slip: 0.0,
            stay: 0.0,
            discount: 1.0,
        }
    }
}

/// A map, moves, and goals with their values. Actions and states as [`Connectivity`] numbers them.
///
/// The reward of a move that gets into cell c is −length·cost(c); one that stays pays −length·cost of the robot's own cell, and the penalty
/// where a wall (or a cell that does not open) was in the way. θ of the process: `cost`, `open` if the map has it, `slip`,
/// `stay`, and the `penalty` of [`Walls::Penalty`].
#[derive(Debug, Clone)]
pub struct GridProcess {
    map: Arc<GridMap>,
    pub(super) spec: GridSpec,
    pub(super) blocked: Arc<Vec<u8>>,
    goals: Vec<(usize, f64)>,
    /// By cell; NaN for no goal.
    goal_value: Arc<Vec<f64>>,
}

impl GridProcess {
    /// Checks and makes the process. `goals` are cells with their terminal values; several are allowed.
    ///
    /// # Errors
    /// Probabilities outside [0, 1] or with a sum above 1, slip with headings, a penalty that is negative or not finite, a discount outside (0, 1] or of 1
    /// without a goal, a goal off the map or in a wall or of a value that is not finite.
    pub fn new(
        map: impl Into<Arc<GridMap>>,
        spec: GridSpec,
        goals: &[(usize, f64)],
    ) -> Result<Self> {
        let map = map.into();
        let blocked = Arc::new(map.blocked(spec.connectivity));
        Self::with_blocked(map, spec, goals, blocked)
    }

    /// The same map and moves with other goals: nothing is worked out again.
    ///
    /// # Errors
    /// As [`GridProcess::new`].
    pub fn with_goals(&self, goals: &[(usize, f64)]) -> Result<Self> {
        Self::with_blocked(self.map.clone(), self.spec, goals, self.blocked.clone())
    }

    fn with_blocked(
        map: Arc<GridMap>,
        spec: GridSpec,
        goals: &[(usize, f64)],
        blocked: Arc<Vec<u8>>,
    ) -> Result<Self> {
        let fail = |what: String| Err(Error::invalid(NODE, what));
        let (slip, stay) = (spec.slip, spec.stay);
        if !(slip >= 0.0 && stay >= 0.0 && slip + stay <= 1.0) {
            return fail(format!("slip is {slip} and stay {stay}: probabilities with a sum ≤ 1"));
        }
        if spec.connectivity == Connectivity::Heading && slip != 0.0 {
            return fail(format!("slip is {slip}, must be 0 where the robot has a heading"));
        }
        if let Walls::Penalty(penalty) = spec.walls
            && !(penalty >= 0.0 && penalty.is_finite())
        {
            return fail(format!(
                "the penalty of walls is {penalty}, must be finite and ≥ 0: it is subtracted, and a wall that pays has no best value"
            ));
        }
        crate::process::check_discount(NODE, spec.discount, !goals.is_empty())?;
        let mut goal_value = vec![f64::NAN; map.cells()];
        for &(cell, value) in goals {
            if cell >= map.cells() || map.solid()[cell] || !value.is_finite() {
                let why = match map.solid().get(cell) {
                    None => format!("there are {} cells", map.cells()),
                    Some(true) => "the cell is a wall".into(),
                    Some(false) => "its value must be finite".into(),
                };
                return fail(format!("a goal at cell {cell} with value {value}: {why}"));
            }
            goal_value[cell] = value;
        }
        Ok(Self { map, spec, blocked, goals: goals.to_vec(), goal_value: Arc::new(goal_value) })
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &Arc<GridMap> {
        &self.map
    }

    /// How the robot moves.
    #[must_use]
    pub fn spec(&self) -> GridSpec {
        self.spec
    }

    /// Where cells are goals: their values, else NaN.
    pub(super) fn goal_values(&self) -> &[f64] {
        &self.goal_value
    }

    /// Goals with their values.
    #[must_use]
    pub fn goals(&self) -> &[(usize, f64)] {
        &self.goals
    }

    /// The cell of a state.
    #[must_use]
    pub fn cell_of(&self, state: usize) -> usize {
        state / self.spec.connectivity.states_per_cell()
    }

    /// Whether every action leads to one cell for certain.
    pub(crate) fn is_certain(&self) -> bool {
        self.spec.slip == 0.0 && self.spec.stay == 0.0 && self.map.open().is_none()
    }

    /// What an action may come to. Pieces of probability 0 are among them: their probability can still have a derivative.
    pub(super) fn pieces(&self, state: usize, action: usize, f: &mut dyn FnMut(Piece)) {
        let GridSpec { connectivity, slip, stay, .. } = self.spec;
        let wait = |length: f64| Piece::wait(state, self.cell_of(state), length, stay);
        match connectivity {
            Connectivity::Heading => {
                let (cell, heading) = (state / 4, state % 4);
                match action {
                    0 => self.toward(cell, 2 * heading, Kind::Ahead, f),
                    _ => {
                        let turn = if action == 1 { 3 } else { 1 };
                        let next = 4 * cell + (heading + turn) % 4;
                        f(Piece { next, ..Piece::turn(cell, Kind::Ahead.weight(slip, stay)) });
                    }
                }
                f(wait(1.0));
            }
            Connectivity::FourOrStay if action == 4 => f(Piece::stay(state)),
            _ => {
                let stride = connectivity.stride();
                let direction = stride * action;
                self.toward(state, direction, Kind::Intended, f);
                self.toward(state, (direction + stride) % 8, Kind::Side, f);
                self.toward(state, (direction + 8 - stride) % 8, Kind::Side, f);
                f(wait(connectivity.length(direction)));
            }
        }
    }

    /// The pieces of a move in one of the eight directions.
    fn toward(&self, cell: usize, direction: usize, kind: Kind, f: &mut dyn FnMut(Piece)) {
        let GridSpec { connectivity, slip, stay, .. } = self.spec;
        let weight = kind.weight(slip, stay);
        let length = connectivity.length(direction);
        let state_of = |cell: usize| match connectivity {
            Connectivity::Heading => 4 * cell + direction / 2,
            _ => cell,
        };
        let bump = Piece::bump(state_of(cell), cell, length, weight, kind);
        if self.blocked[cell] >> direction & 1 == 1 {
            return f(bump);
        }
        let Move { dy, dx } = MOVES[direction];
        let to = cell.wrapping_add_signed(dy * self.map.width() as isize + dx);
        let enter = Piece::enter(state_of(to), to, length, weight, kind);
        match self.map.open() {
            None => f(enter),
            Some(open) => {
                f(Piece { share: open[to], opens: Some((to, 1.0)), ..enter });
                f(Piece { share: 1.0 - open[to], opens: Some((to, -1.0)), ..bump });
            }
        }
    }

    fn penalty(&self) -> f64 {
        self.spec.walls.penalty()
    }

    /// The reward of a piece.
    fn paid(&self, piece: &Piece) -> f64 {
        let penalty = if piece.penalized { self.penalty() } else { 0.0 };
        -piece.length * self.map.cost()[piece.pays] - penalty
    }

    fn can(&self, state: usize, action: usize) -> bool {
        if self.map.solid()[self.cell_of(state)] || action >= self.spec.connectivity.actions() {
            return false;
        }
        self.spec.walls != Walls::Unavailable || !self.meets_wall(state, action)
    }

    /// Whether a wall, a corner that is not cut or the edge of the map is where an action wants to go. Turns and waits want to go nowhere.
    pub(crate) fn meets_wall(&self, state: usize, action: usize) -> bool {
        let direction = match self.spec.connectivity {
            Connectivity::Heading if action == 0 => 2 * (state % 4),
            Connectivity::Heading => return false,
            Connectivity::FourOrStay if action == 4 => return false,
            other => other.stride() * action,
        };
        self.blocked[self.cell_of(state)] >> direction & 1 == 1
    }
}

const NODE: &str = "grid process";

impl Process for GridProcess {
    fn name(&self) -> &str {
        NODE
    }
    fn states(&self) -> usize {
        self.map.cells() * self.spec.connectivity.states_per_cell()
    }
    fn actions(&self) -> usize {
        self.spec.connectivity.actions()
    }
    fn discount(&self) -> f64 {
        self.spec.discount
    }
    fn terminal(&self, state: usize) -> Option<f64> {
        Some(self.goal_value[self.cell_of(state)]).filter(|v| !v.is_nan())
    }
    fn reward(&self, state: usize, action: usize) -> Option<f64> {
        self.can(state, action).then(|| {
            let mut reward = 0.0;
            self.pieces(state, action, &mut |piece| {
                if piece.probability() > 0.0 {
                    reward += piece.probability() * self.paid(&piece);
                }
            });
            reward
        })
    }
    fn successors(&self, state: usize, action: usize, f: &mut dyn FnMut(usize, f64)) {
        self.pieces(state, action, &mut |piece| {
            if piece.probability() > 0.0 {
                f(piece.next, piece.probability());
            }
        });
    }
    fn predecessors(&self, state: usize, f: &mut dyn FnMut(usize, usize)) -> bool {
        if !self.is_certain() {
            return false;
        }
        let (connectivity, cell) = (self.spec.connectivity, self.cell_of(state));
        let per = connectivity.states_per_cell();
        let mut from = |direction: usize, state_of: &dyn Fn(usize) -> usize, action: usize| {
            let Move { dy, dx } = MOVES[direction];
            let Some(before) = self.map.step(cell, Move { dy: -dy, dx: -dx }) else { return };
            if self.blocked[before] >> direction & 1 == 0 {
                f(state_of(before), action);
            }
        };
        if connectivity == Connectivity::Heading {
            let heading = state % 4;
            from(2 * heading, &|before| per * before + heading, 0);
            f(4 * cell + (heading + 1) % 4, 1);
            f(4 * cell + (heading + 3) % 4, 2);
        } else {
            let moves =
                (0..connectivity.actions()).filter(|a| connectivity.direction(*a).is_some());
            for action in moves {
                from(connectivity.stride() * action, &|before| before, action);
            }
        }
        // Bumps lead from a state to itself; nothing is won by them.
        true
    }
    fn reversible(&self) -> bool {
        self.is_certain()
    }
    fn loses(&self) -> bool {
        // Every piece of a move has a length, and pays for the cell where it ends.
        self.map.cost().iter().zip(self.map.solid()).all(|(cost, solid)| *solid || *cost > 0.0)
    }
    fn best_ways(&self, until: Option<usize>) -> Option<(Vec<f64>, Vec<u32>)> {
        super::shortest::best_ways(self, until)
    }
    fn sweep(
        &self,
        values: &[f64],
        held: &[bool],
        backup: Backup,
        out: &mut [f64],
        tape: Option<&mut [u8]>,
    ) {
        let plain = backup == Backup::Hard
            && self.map.open().is_none()
            && self.spec.connectivity.only_moves();
        match (plain, self.is_certain()) {
            (true, true) => super::sweep::certain(self, values, held, out, tape),
            (true, false) => super::noisy::noisy(self, values, held, out, tape),
            _ => crate::process::sweep_by_rows(self, values, held, backup, out, tape),
        }
    }
}

impl Parametric for GridProcess {
    fn blocks(&self) -> Vec<Block> {
        let plane = [self.map.height(), self.map.width()];
        let mut blocks = vec![Block::new("cost", &plane)];
        if self.map.open().is_some() {
            blocks.push(Block::new("open", &plane));
        }
        blocks.extend(["slip", "stay"].map(|name| Block::new(name, &[1])));
        if matches!(self.spec.walls, Walls::Penalty(_)) {
            blocks.push(Block::new("penalty", &[1]));
        }
        blocks
    }
    fn parameters(&self) -> Vec<f64> {
        let mut all = self.map.cost().to_vec();
        all.extend_from_slice(self.map.open().unwrap_or_default());
        all.extend([self.spec.slip, self.spec.stay]);
        all.extend(matches!(self.spec.walls, Walls::Penalty(_)).then(|| self.penalty()));
        all
    }
    fn with_parameters(&self, parameters: &[f64]) -> Result<Self> {
        let cells = self.map.cells();
        let len = self.blocks().iter().map(Block::len).sum();
        crate::error::check_len(NODE, "parameters", parameters.len(), len)?;
        let (cost, mut rest) = parameters.split_at(cells);
        let mut map = GridMap::new(self.map.height(), self.map.width(), self.map.solid().to_vec())?
            .with_cost(cost.to_vec())?;
        if self.map.open().is_some() {
            let (open, after) = rest.split_at(cells);
            map = map.with_open(open.to_vec())?;
            rest = after;
        }
        let mut spec = GridSpec { slip: rest[0], stay: rest[1], ..self.spec };
        if let Walls::Penalty(penalty) = &mut spec.walls {
            *penalty = rest[2];
        }
        Self::with_blocked(Arc::new(map), spec, &self.goals, self.blocked.clone())
    }
    fn with_rounded_parameters(&self, parameters: &[f64]) -> Result<Self> {
        let mut exact = parameters.to_vec();
        if let Some([slip, stay]) =
            exact.get_mut(self.slots().slip..).and_then(<[f64]>::first_chunk_mut)
        {
            let sum = *slip + *stay;
            if sum > 1.0 && sum <= 1.0 + 1e-6 {
                // So that no rounding of the quotients is left above 1.
                (*slip, *stay) = (*slip / sum, 1.0 - *slip / sum);
            }
        }
        self.with_parameters(&exact)
    }
    fn with_discount(&self, discount: f64) -> Result<Self> {
        crate::process::check_discount(NODE, discount, !self.goals.is_empty())?;
        Ok(Self { spec: GridSpec { discount, ..self.spec }, ..self.clone() })
    }
    fn pull(&self, state: usize, action: usize, weight: f64, values: &[f64], into: &mut [f64]) {
        let slots = self.slots();
        self.pieces(state, action, &mut |piece| {
            let worth = self.paid(&piece) + self.spec.discount * values[piece.next];
            if worth.is_finite() {
                piece.slopes(worth, &slots, &mut |i, slope| into[i] += weight * slope);
            }
        });
    }
    fn push(&self, state: usize, action: usize, direction: &[f64], values: &[f64]) -> f64 {
        let (slots, mut along) = (self.slots(), 0.0);
        self.pieces(state, action, &mut |piece| {
            let worth = self.paid(&piece) + self.spec.discount * values[piece.next];
            if worth.is_finite() {
                piece.slopes(worth, &slots, &mut |i, slope| along += direction[i] * slope);
            }
        });
        along
    }
}

impl GridProcess {
    /// Where the blocks of θ begin.
    fn slots(&self) -> super::pieces::Slots {
        let cells = self.map.cells();
        let open = self.map.open().map(|_| cells);
        let slip = cells + open.unwrap_or(0);
        let penalty = matches!(self.spec.walls, Walls::Penalty(_)).then_some(slip + 2);
        super::pieces::Slots { open, slip, stay: slip + 1, penalty }
    }
}
