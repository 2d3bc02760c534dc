//! Random maps by seed, with the statistics of published sets.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::GridMap;
use super::map::check_cells;
use crate::{Error, Result};

/// Rectangular obstacles in a ring of walls: the maps of the VIN paper (Tamar and others 2016).
///
/// Their MATLAB generator draws obstacles until a count is reached that is itself random; ours draws a count uniformly from 0 to
/// `most`, and rectangles with sides uniform from 1 to `side`. The presets are fitted to the share of free cells in the published
/// files, 0.50, 0.61 and 0.68 at 8, 16 and 28; shapes are alike, not equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obstacles {
    /// Cells on each side, the ring included.
    pub size: usize,
    /// The largest number of obstacles.
    pub most: usize,
    /// The longest side of an obstacle.
    pub side: usize,
}

impl Obstacles {
    /// The preset of the paper's size: 8, 16 or 28.
    ///
    /// # Errors
    /// Another size.
    pub fn vin(size: usize) -> Result<Self> {
        match size {
            8 => Ok(Self { size, most: 15, side: 1 }),
            16 => Ok(Self { size, most: 20, side: 4 }),
            28 => Ok(Self { size, most: 25, side: 7 }),
            _ => Err(Error::invalid(
                "obstacle map",
                format!("the size is {size}, must be 8, 16 or 28"),
            )),
        }
    }
}

/// A map with a ring of walls and random rectangles.
///
/// # Errors
/// Less than 3 cells on a side or more than 2¹⁴, an obstacle side of 0, more obstacles than cells.
pub fn obstacle_map(spec: Obstacles, seed: u64) -> Result<GridMap> {
    let Obstacles { size, most, side } = spec;
    let cells = check_cells("obstacle map", size, size)?;
    if size < 3 || side == 0 || most > cells {
        let what = format!(
            "size {size}, up to {most} obstacles of side {side}: must be 3 or more, at most one for each cell, 1 or more"
        );
        return Err(Error::invalid("obstacle map", what));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let ring = |i: usize| {
        let (y, x) = (i / size, i % size);
        y == 0 || x == 0 || y == size - 1 || x == size - 1
    };
    let mut solid: Vec<bool> = (0..cells).map(ring).collect();
    for _ in 0..random.random_range(0..=most) {
        let [h, w] = [(); 2].map(|()| random.random_range(1..=side));
        let [y, x] = [(); 2].map(|()| random.random_range(0..size));
        for y in y..y.saturating_add(h).min(size) {
            solid[y * size + x..y * size + x.saturating_add(w).min(size)].fill(true);
        }
    }
    GridMap::new(size, size, solid)
}

/// A maze of the GPPN paper (Lee and others 2018, utils/maze.py): depth-first carving from (1, 1) in steps of two, then each inner cell is opened
/// with a probability that is drawn uniformly from 0 to `most_open` for each maze.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Maze {
    /// Odd, at least 3.
    pub height: usize,
    /// Odd, at least 3.
    pub width: usize,
    /// The greatest probability; the paper's is 1.
    pub most_open: f64,
}

/// A maze; sides that are even get a second wall at the end.
///
/// # Errors
/// Sides below 3, more than 2²⁸ cells, a probability outside [0, 1].
pub fn carved_maze(spec: Maze, seed: u64) -> Result<GridMap> {
    let Maze { height, width, most_open } = spec;
    if height < 3 || width < 3 || !(0.0..=1.0).contains(&most_open) {
        let what = format!(
            "{height} by {width} cells, opened with up to {most_open}: sides must be 3 or more, that a probability"
        );
        return Err(Error::invalid("maze", what));
    }
    let cells = check_cells("maze", height, width)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut solid = vec![true; cells];
    solid[width + 1] = false;
    let mut stack = vec![[1usize, 1usize]];
    while let Some(&[y, x]) = stack.last() {
        let mut ways = [[-2isize, 0], [0, 2], [2, 0], [0, -2]];
        ways.shuffle(&mut random);
        let next = ways.iter().find_map(|&[dy, dx]| {
            let to = [y.checked_add_signed(dy)?, x.checked_add_signed(dx)?];
            let inside = to[0] + 1 < height && to[1] + 1 < width;
            (inside && solid[to[0] * width + to[1]]).then_some((
                to,
                y.wrapping_add_signed(dy / 2) * width + x.wrapping_add_signed(dx / 2),
            ))
        });
        match next {
            None => {
                stack.pop();
            }
            Some(([ty, tx], between)) => {
                solid[between] = false;
                solid[ty * width + tx] = false;
                stack.push([ty, tx]);
            }
        }
    }
    let open = random.random::<f64>() * most_open;
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            if random.random::<f64>() < open {
                solid[y * width + x] = false;
            }
        }
    }
    GridMap::new(height, width, solid)
}

/// Cells that are solid with this probability, each for itself.
///
/// # Errors
/// No cells or more than 2²⁸, a probability outside [0, 1].
pub fn random_map(height: usize, width: usize, solid: f64, seed: u64) -> Result<GridMap> {
    if !(0.0..=1.0).contains(&solid) {
        return Err(Error::invalid(
            "random map",
            format!("the probability of a solid cell is {solid}, must be in [0, 1]"),
        ));
    }
    let cells = check_cells("random map", height, width)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let drawn = (0..cells).map(|_| random.random::<f64>() < solid);
    GridMap::new(height, width, drawn.collect())
}

/// Rooms of `room` × `room` cells behind walls with a door of one cell between any two neighbours, each closed with the probability `closed`.
///
/// # Errors
/// A room of 0 cells, no rooms, more than 2²⁸ cells, a probability outside [0, 1].
pub fn rooms([down, across]: [usize; 2], room: usize, closed: f64, seed: u64) -> Result<GridMap> {
    if room == 0 || down == 0 || across == 0 || !(0.0..=1.0).contains(&closed) {
        let what = format!(
            "{down} by {across} rooms of {room}, doors closed with {closed}: must be 1 or more each, and a probability"
        );
        return Err(Error::invalid("rooms", what));
    }
    let side = |rooms: usize| room.saturating_add(1).saturating_mul(rooms).saturating_add(1);
    let cells = check_cells("rooms", side(down), side(across))?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (height, width) = (down * (room + 1) + 1, across * (room + 1) + 1);
    let wall =
        |i: usize| (i / width).is_multiple_of(room + 1) || (i % width).is_multiple_of(room + 1);
    let mut solid: Vec<bool> = (0..cells).map(wall).collect();
    for r in 0..down {
        for c in 0..across {
            let (y, x) = (r * (room + 1) + 1, c * (room + 1) + 1);
            let [east, south] = [(); 2].map(|()| random.random_range(0..room));
            let [shut_east, shut_south] = [(); 2].map(|()| random.random::<f64>() < closed);
            if c + 1 < across && !shut_east {
                solid[(y + east) * width + x + room] = false;
            }
            if r + 1 < down && !shut_south {
                solid[(y + room) * width + x + south] = false;
            }
        }
    }
    GridMap::new(height, width, solid)
}
