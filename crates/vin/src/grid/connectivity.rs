//! Which moves there are, and what walls do to them.

/// The moves of a grid and their lengths.
///
/// Data sets differ here, and a planner with the wrong rule looks almost right: the VIN data are [`Connectivity::octile`] with corners cut,
/// the planning-datasets archive is [`Connectivity::moore`] with corners cut, MovingAI scenarios are octile without, the GPPN mazes
/// are [`Connectivity::Four`], [`Connectivity::moore`] or [`Connectivity::Heading`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Connectivity {
    /// North, east, south, west, of length 1: actions 0 to 3.
    #[default]
    Four,
    /// As [`Connectivity::Four`], and action 4: no move, which costs as much as a move into the own cell.
    FourOrStay,
    /// Clockwise from north: actions 0 to 7, the odd ones diagonal.
    Eight {
        /// Diagonal moves have length √2, else 1.
        octile: bool,
        /// Whether a diagonal move may touch the corner of a wall.
        corners: Corners,
    },
    /// A robot with a heading: action 0 moves one cell ahead, 1 turns left, 2 turns right, each of length 1. State 4·cell + heading, headings
    /// clockwise from north.
    Heading,
}

/// Whether a diagonal move passes between two cells of which one is a wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Corners {
    /// It does: only the target counts.
    Cut,
    /// It does not: both cells beside the move must be free.
    #[default]
    Keep,
}

/// What a move into a wall or off the map does. It is never a step onto zero padding.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Walls {
    /// The robot stays, and pays for the move as in its own cell.
    Stay,
    /// The robot stays and pays as much and this number ≥ 0: it is subtracted from the reward.
    Penalty(f64),
    /// The action cannot be taken. Where noise drives the robot into a wall, it stays.
    #[default]
    Unavailable,
}

impl Walls {
    /// The penalty, 0 where there is none.
    pub(crate) fn penalty(self) -> f64 {
        if let Walls::Penalty(penalty) = self { penalty } else { 0.0 }
    }
}

/// One of the eight directions, clockwise from north.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Rows down.
    pub dy: isize,
    /// Columns right.
    pub dx: isize,
}

/// Clockwise from north: the even ones are straight.
pub const MOVES: [Move; 8] = [
    Move { dy: -1, dx: 0 },
    Move { dy: -1, dx: 1 },
    Move { dy: 0, dx: 1 },
    Move { dy: 1, dx: 1 },
    Move { dy: 1, dx: 0 },
    Move { dy: 1, dx: -1 },
    Move { dy: 0, dx: -1 },
    Move { dy: -1, dx: -1 },
];

impl Connectivity {
    /// Eight moves, diagonals of length √2.
    #[must_use]
    pub fn octile(corners: Corners) -> Self {
        Connectivity::Eight { octile: true, corners }
    }

    /// Eight moves of length 1.
    #[must_use]
    pub fn moore(corners: Corners) -> Self {
        Connectivity::Eight { octile: false, corners }
    }

    /// How many actions.
    #[must_use]
    pub fn actions(self) -> usize {
        match self {
            Connectivity::Four => 4,
            Connectivity::FourOrStay => 5,
            Connectivity::Eight { .. } => 8,
            Connectivity::Heading => 3,
        }
    }

    /// States for each cell.
    #[must_use]
    pub fn states_per_cell(self) -> usize {
        if self == Connectivity::Heading { 4 } else { 1 }
    }

    /// Whether every action is a direction.
    pub(crate) fn only_moves(self) -> bool {
        matches!(self, Connectivity::Four | Connectivity::Eight { .. })
    }

    /// The direction of an action where actions are directions.
    #[must_use]
    pub fn direction(self, action: usize) -> Option<Move> {
        match self {
            Connectivity::Four | Connectivity::FourOrStay => MOVES.get(2 * action).copied(),
            Connectivity::Eight { .. } => MOVES.get(action).copied(),
            Connectivity::Heading => None,
        }
    }

    /// The length of a move in one of the eight directions.
    #[must_use]
    pub(crate) fn length(self, direction: usize) -> f64 {
        match self {
            Connectivity::Eight { octile: true, .. } if direction % 2 == 1 => {
                std::f64::consts::SQRT_2
            }
            _ => 1.0,
        }
    }

    /// Directions that moves have: every second one, or all.
    pub(crate) fn stride(self) -> usize {
        if matches!(self, Connectivity::Eight { .. }) { 1 } else { 2 }
    }

    /// Whether diagonals need both their neighbours free.
    pub(crate) fn keeps_corners(self) -> bool {
        matches!(self, Connectivity::Eight { corners: Corners::Keep, .. })
    }
}
