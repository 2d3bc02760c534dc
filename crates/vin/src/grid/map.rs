//! A map: which cells are solid, what it costs to enter the others, how surely one gets in.

use crate::error::check_len;
use crate::{Error, Result};

/// A map of height × width cells, row-major from the top left. Solid cells and everything off the map are walls.
#[derive(Debug, Clone, PartialEq)]
pub struct GridMap {
    height: usize,
    width: usize,
    solid: Vec<bool>,
    cost: Vec<f64>,
    open: Option<Vec<f64>>,
}

/// The number of cells of a map that is neither empty nor larger than 2²⁸ cells.
pub(super) fn check_cells(node: &str, height: usize, width: usize) -> Result<usize> {
    height.checked_mul(width).filter(|n| (1..=1 << 28).contains(n)).ok_or_else(|| {
        Error::invalid(node, format!("{height} by {width} cells: there must be 1 to 2²⁸"))
    })
}

impl GridMap {
    /// A map with a cost of 1 for each cell. `solid` says where walls are: `true` is a wall, whatever the file format calls it.
    ///
    /// # Errors
    /// No cells, or a wrong length.
    pub fn new(height: usize, width: usize, solid: Vec<bool>) -> Result<Self> {
        let cells = check_cells("grid map", height, width)?;
        check_len("grid map", "solid", solid.len(), cells)?;
        Ok(Self { height, width, solid, cost: vec![1.0; cells], open: None })
    }

    /// A map from a picture in characters: `#`, `@`, `T`, `O`, `W` and `█` are solid, everything else is free, spaces, too. Lines are rows of one length; an
    /// empty first line, as a raw string has it, is none.
    ///
    /// # Errors
    /// No lines, or lines of different lengths.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text);
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let width = lines.first().map_or(0, Vec::len);
        if let Some(row) = lines.iter().position(|line| line.len() != width) {
            let what = format!(
                "row {row} has {} cells, row 0 has {width}; a space is a cell, too",
                lines[row].len()
            );
            return Err(Error::invalid("grid map", what));
        }
        let solid = lines.iter().flatten().map(|c| "#@TOW█".contains(*c)).collect();
        Self::new(lines.len(), width, solid)
    }

    /// The same with a cost for each cell: the reward of a move is −length·cost of the cell entered.
    ///
    /// # Errors
    /// A wrong length, a cost that is not finite.
    pub fn with_cost(self, cost: Vec<f64>) -> Result<Self> {
        check_len("grid map", "cost", cost.len(), self.cells())?;
        crate::error::check_finite("grid map", "cost", &cost)?;
        Ok(Self { cost, ..self })
    }

    /// The same with a probability for each cell that a move into it succeeds; else the robot stays. So a vision network can say how
    /// sure it is that a cell is free, and be told by the gradient.
    ///
    /// # Errors
    /// A wrong length, a number outside [0, 1].
    pub fn with_open(self, open: Vec<f64>) -> Result<Self> {
        check_len("grid map", "open", open.len(), self.cells())?;
        if let Some(i) = open.iter().position(|p| !(0.0..=1.0).contains(p)) {
            let what = format!("open is {} at cell {i}, must be in [0, 1]", open[i]);
            return Err(Error::invalid("grid map", what));
        }
        Ok(Self { open: Some(open), ..self })
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// height·width.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.solid.len()
    }

    /// The number of a cell: y·width + x.
    ///
    /// # Errors
    /// Off the map.
    pub fn cell(&self, y: usize, x: usize) -> Result<usize> {
        if y < self.height && x < self.width {
            return Ok(y * self.width + x);
        }
        let what = format!(
            "row {y}, column {x} lies off the map of {} rows and {} columns",
            self.height, self.width
        );
        Err(Error::invalid("grid map", what))
    }

    /// Walls.
    #[must_use]
    pub fn solid(&self) -> &[bool] {
        &self.solid
    }

    /// What entering each cell costs for each unit of length.
    #[must_use]
    pub fn cost(&self) -> &[f64] {
        &self.cost
    }

    /// How surely one gets into each cell, where that is in question.
    #[must_use]
    pub fn open(&self) -> Option<&[f64]> {
        self.open.as_deref()
    }

    /// The neighbour in a direction; `None` off the map.
    pub(crate) fn step(&self, cell: usize, by: super::Move) -> Option<usize> {
        let y = (cell / self.width).checked_add_signed(by.dy).filter(|&y| y < self.height)?;
        let x = (cell % self.width).checked_add_signed(by.dx).filter(|&x| x < self.width)?;
        Some(y * self.width + x)
    }

    /// For each cell the directions, as bits, in which walls, corners or the edge of the map are in the way.
    pub(crate) fn blocked(&self, connectivity: super::Connectivity) -> Vec<u8> {
        let free = |cell: usize, dy: isize, dx: isize| {
            self.step(cell, super::Move { dy, dx }).is_some_and(|to| !self.solid[to])
        };
        let one = |cell: usize| -> u8 {
            let mut bits = 0;
            for (d, by) in super::connectivity::MOVES.iter().enumerate() {
                let mut ok = !self.solid[cell] && free(cell, by.dy, by.dx);
                if ok && d % 2 == 1 && connectivity.keeps_corners() {
                    ok = free(cell, by.dy, 0) && free(cell, 0, by.dx);
                }
                bits |= u8::from(!ok) << d;
            }
            bits
        };
        (0..self.cells()).map(one).collect()
    }
}
