//! Maps of cells, and the decision processes on them, without a matrix.

mod connectivity;
mod generate;
mod map;
pub mod movingai;
mod noisy;
mod palette;
mod pieces;
mod process;
mod shortest;
mod sweep;

pub use connectivity::{Connectivity, Corners, MOVES as MOVES_CLOCKWISE, Move, Walls};
pub use generate::{Maze, Obstacles, carved_maze, obstacle_map, random_map, rooms};
pub use map::GridMap;
pub use palette::{Meaning, Painted, Palette};
pub use process::{GridProcess, GridSpec};

/// One of the eight directions, clockwise from north.
pub(crate) fn direction(d: usize) -> Move {
    connectivity::MOVES[d % 8]
}
