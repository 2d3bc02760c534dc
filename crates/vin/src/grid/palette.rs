//! From a coloured picture to a map with goals: the lecture's maze, where colours say what is what.

use super::GridMap;
use crate::{Error, Result};

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Meaning {
    /// A wall.
    Wall,
    /// Terrain of this cost.
    Terrain(f64),
    /// A goal of this value, on terrain of cost 1.
    Goal(f64),
    /// A start, on terrain of cost 1.
    Start,
}

/// Colours with their meanings.
#[derive(Debug, Clone, PartialEq)]
pub struct Palette {
    colors: Vec<([u8; 3], Meaning)>,
    tolerance: u8,
}

/// What a picture says.
#[derive(Debug, Clone, PartialEq)]
pub struct Painted {
    /// Walls and terrain.
    pub map: GridMap,
    /// Cells of goals with their values.
    pub goals: Vec<(usize, f64)>,
    /// Cells of starts.
    pub starts: Vec<usize>,
}

impl Default for Palette {
    /// Black walls, white floor of cost 1, blue water of cost 5, yellow sand of cost 2, green goals of value 0, red starts.
    fn default() -> Self {
        let colors = vec![
            ([0, 0, 0], Meaning::Wall),
            ([255, 255, 255], Meaning::Terrain(1.0)),
            ([0, 0, 255], Meaning::Terrain(5.0)),
            ([255, 255, 0], Meaning::Terrain(2.0)),
            ([0, 255, 0], Meaning::Goal(0.0)),
            ([255, 0, 0], Meaning::Start),
        ];
        Self { colors, tolerance: 40 }
    }
}

impl Palette {
    /// Colours with their meanings; a pixel has the meaning of the nearest one, if no channel is further off than `tolerance`.
    ///
    /// # Errors
    /// No colours, the same colour twice, a cost or value that is not finite.
    pub fn new(colors: Vec<([u8; 3], Meaning)>, tolerance: u8) -> Result<Self> {
        let twice = (1..colors.len()).find(|&i| colors[..i].iter().any(|c| c.0 == colors[i].0));
        let unclear = colors.iter().find(|(_, meaning)| match meaning {
            Meaning::Terrain(number) | Meaning::Goal(number) => !number.is_finite(),
            Meaning::Wall | Meaning::Start => false,
        });
        if let Some((color, meaning)) = unclear {
            let what = format!("the colour {color:?} means {meaning:?}, must be a finite number");
            return Err(Error::invalid("palette", what));
        }
        match twice {
            _ if colors.is_empty() => Err(Error::invalid("palette", "there are no colours")),
            Some(i) => Err(Error::invalid(
                "palette",
                format!("the colour {:?} has two meanings", colors[i].0),
            )),
            None => Ok(Self { colors, tolerance }),
        }
    }

    /// Reads a picture of red, green, blue bytes, row-major from the top left, one pixel for each cell.
    ///
    /// # Errors
    /// A wrong length; a pixel near no colour, with its place.
    pub fn read(&self, height: usize, width: usize, pixels: &[u8]) -> Result<Painted> {
        const NODE: &str = "palette";
        let cells = height.saturating_mul(width);
        crate::error::check_len(NODE, "pixels", pixels.len(), cells.saturating_mul(3))?;
        let (mut solid, mut cost) = (vec![false; cells], vec![1.0; cells]);
        let (mut goals, mut starts) = (vec![], vec![]);
        for (cell, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
            match self.meaning(*pixel) {
                Some(Meaning::Wall) => solid[cell] = true,
                Some(Meaning::Terrain(c)) => cost[cell] = c,
                Some(Meaning::Goal(value)) => goals.push((cell, value)),
                Some(Meaning::Start) => starts.push(cell),
                None => {
                    let [y, x] = [cell / width, cell % width];
                    let what = format!("the colour {pixel:?} at row {y}, column {x} means nothing");
                    return Err(Error::invalid(NODE, what));
                }
            }
        }
        let map = GridMap::new(height, width, solid)?.with_cost(cost)?;
        Ok(Painted { map, goals, starts })
    }

    /// What a colour means.
    #[must_use]
    pub fn meaning(&self, pixel: [u8; 3]) -> Option<Meaning> {
        let far = |color: [u8; 3]| (0..3).map(|k| color[k].abs_diff(pixel[k])).max().unwrap_or(0);
        let nearest = self.colors.iter().min_by_key(|(color, _)| {
            (0..3).map(|k| u32::from(color[k].abs_diff(pixel[k])).pow(2)).sum::<u32>()
        })?;
        (far(nearest.0) <= self.tolerance).then_some(nearest.1)
    }
}
