//! The boxes that objects are thrown into: a grid behind the robot's reach.
//!
//! Coordinates are the robot's: x forward from its base, y to the left, z up. A target is the centre of a box's top opening.

use nalgebra::{Vector2, Vector3};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where the robot lets go: on a circle around its base, turned towards the target (TossingBot, section III-C).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReleasePoint {
    /// Horizontal distance c_d from the base in metres.
    pub radius: f64,
    /// Height c_h in metres.
    pub height: f64,
}

impl Default for ReleasePoint {
    fn default() -> Self {
        Self { radius: 0.70, height: 0.04 }
    }
}

impl ReleasePoint {
    /// The release point r for a target, in metres: r_xy = c_d·p_xy/|p_xy|, r_z = c_h.
    pub fn towards(&self, target: &Vector3<f64>) -> Vector3<f64> {
        let azimuth = target.y.atan2(target.x);
        Vector3::new(self.radius * azimuth.cos(), self.radius * azimuth.sin(), self.height)
    }

    /// Horizontal distance d from release to target and height h of the release above it, in metres.
    pub fn distance_and_height(&self, target: &Vector3<f64>) -> (f64, f64) {
        (target.xy().norm() - self.radius, self.height - target.z)
    }
}

/// A grid of equal boxes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoxGrid {
    /// x of the rows of boxes, near to far, in metres.
    pub rows: Vec<f64>,
    /// y of the columns, in metres.
    pub columns: Vec<f64>,
    /// Extent of an opening along x and y, in metres.
    pub opening: [f64; 2],
    /// Height of the top openings, in metres.
    pub height: f64,
    /// Fraction of an object's half-length by which its centre must stay inside the opening's edges.
    pub margin: f64,
}

impl Default for BoxGrid {
    fn default() -> Self {
        Self::standard()
    }
}

impl BoxGrid {
    /// 3 rows × 4 columns of 25 × 15 cm openings, .55/.80/1.05 m beyond the release radius.
    pub fn standard() -> Self {
        Self {
            rows: vec![1.25, 1.50, 1.75],
            columns: vec![-0.225, -0.075, 0.075, 0.225],
            opening: [0.25, 0.15],
            height: 0.20,
            margin: 0.35,
        }
    }

    /// Targets that were never trained on: the standard grid moved by half a box in both directions.
    pub fn shifted() -> Self {
        let standard = Self::standard();
        Self {
            rows: standard.rows.iter().map(|x| x + 0.125).collect(),
            columns: standard.columns.iter().map(|y| y + 0.075).collect(),
            ..standard
        }
    }

    /// Number of boxes.
    pub fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Whether there are no boxes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The target point of box `index`, counted along the rows: index = row·columns + column.
    ///
    /// # Errors
    /// `NoSuchItem`.
    pub fn target(&self, index: usize) -> Result<Vector3<f64>> {
        if index >= self.len() {
            return Err(Error::NoSuchItem { what: "box", index, count: self.len() });
        }
        let (row, column) = (index / self.columns.len(), index % self.columns.len());
        Ok(Vector3::new(self.rows[row], self.columns[column], self.height))
    }

    /// The box whose opening holds the point, if any.
    pub fn hit(&self, point: &Vector2<f64>) -> Option<usize> {
        self.find(point, 0.0)
    }

    /// The box into which an object of the given half-length (metres) falls when its centre comes down at `point`: it must clear the
    /// edges by `margin`·half-length.
    pub fn caught(&self, point: &Vector2<f64>, half_length: f64) -> Option<usize> {
        self.find(point, self.margin * half_length)
    }

    fn find(&self, point: &Vector2<f64>, clearance: f64) -> Option<usize> {
        let inside = |lines: &[f64], value: f64, extent: f64| {
            lines.iter().position(|line| (value - line).abs() <= 0.5 * extent - clearance)
        };
        let row = inside(&self.rows, point.x, self.opening[0])?;
        let column = inside(&self.columns, point.y, self.opening[1])?;
        Some(row * self.columns.len() + column)
    }
}

/// Fills the boxes in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    /// The next box of a grid with `count` boxes.
    pub fn next(&mut self, count: usize) -> usize {
        let index = self.next % count.max(1);
        self.next = (index + 1) % count.max(1);
        index
    }
}
