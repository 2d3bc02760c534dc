//! What a robot on a grid sees.

use std::sync::Arc;

use rand::Rng;

use crate::grid::GridMap;
use crate::{Error, Result};

/// A model of readings: how likely each is in a cell, and a draw of one.
pub trait Sensor: Send + Sync {
    /// One reading.
    type Reading;

    /// ln p(reading | cell); −∞ off the map, where no robot is.
    fn log_likelihood(&self, cell: usize, reading: &Self::Reading) -> f64;

    /// A reading in a cell; off the map, that of walls on all sides.
    fn draw(&self, cell: usize, random: &mut impl Rng) -> Self::Reading;

    /// ln p(reading | cell) of every cell.
    fn log_likelihoods(&self, cells: usize, reading: &Self::Reading) -> Vec<f64> {
        (0..cells).map(|cell| self.log_likelihood(cell, reading)).collect()
    }
}

/// Four bits: is there a wall to the north, east, south, west? Each is right with the same probability, independently (the domain of
/// QMDP-net, Karkus and others 2017).
#[derive(Debug, Clone)]
pub struct WallSensing {
    map: Arc<GridMap>,
    right: f64,
}

impl WallSensing {
    /// `right`: the probability that a bit is right.
    ///
    /// # Errors
    /// A probability outside [0, 1].
    pub fn new(map: impl Into<Arc<GridMap>>, right: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&right) {
            return Err(Error::invalid(
                "wall sensing",
                format!("the probability that a bit is right is {right}, must be in [0, 1]"),
            ));
        }
        Ok(Self { map: map.into(), right })
    }

    /// The bits that are right in a cell: 1 north, 2 east, 4 south, 8 west. The edge of the map is a wall.
    ///
    /// # Errors
    /// No such cell.
    pub fn truth(&self, cell: usize) -> Result<u8> {
        check_cell("wall sensing", cell, self.map.cells())?;
        Ok(self.bits(cell))
    }

    fn bits(&self, cell: usize) -> u8 {
        if cell >= self.map.cells() {
            return 15;
        }
        (0..4).fold(0, |bits, side| bits | u8::from(self.wall(cell, side)) << side)
    }

    fn wall(&self, cell: usize, side: usize) -> bool {
        let by = crate::grid::direction(2 * side);
        self.map.step(cell, by).is_none_or(|to| self.map.solid()[to])
    }
}

impl Sensor for WallSensing {
    type Reading = u8;

    fn log_likelihood(&self, cell: usize, reading: &u8) -> f64 {
        if cell >= self.map.cells() {
            return f64::NEG_INFINITY;
        }
        let wrong = ((self.bits(cell) ^ reading) & 15).count_ones() as i32;
        // 0·ln 0 is 0.
        let times = |n: i32, p: f64| if n == 0 { 0.0 } else { f64::from(n) * p.ln() };
        times(4 - wrong, self.right) + times(wrong, 1.0 - self.right)
    }

    fn draw(&self, cell: usize, random: &mut impl Rng) -> u8 {
        (0..4).fold(self.bits(cell), |bits, side| {
            bits ^ (u8::from(random.random::<f64>() >= self.right) << side)
        })
    }
}

/// Distances to the next wall along eight beams, clockwise from north, in cells (diagonal beams in √2), cut at a range; with normal noise.
#[derive(Debug, Clone)]
pub struct RangeScan {
    truth: Vec<[f64; 8]>,
    deviation: f64,
    range: f64,
}

impl RangeScan {
    /// Works out the distances of all cells. `deviation` of the noise and `range` in cells.
    ///
    /// # Errors
    /// A deviation or range that is not positive.
    pub fn new(map: &GridMap, deviation: f64, range: f64) -> Result<Self> {
        if !(deviation > 0.0 && deviation.is_finite() && range > 0.0 && range.is_finite()) {
            let what = format!(
                "the deviation is {deviation} and the range {range}, both must be positive"
            );
            return Err(Error::invalid("range scan", what));
        }
        let beam = |cell: usize, d: usize| {
            let step = if d % 2 == 1 { std::f64::consts::SQRT_2 } else { 1.0 };
            let (mut at, mut length) = (cell, 0.0);
            while length < range {
                match map.step(at, crate::grid::direction(d)) {
                    Some(to) if !map.solid()[to] => at = to,
                    _ => break,
                }
                length += step;
            }
            length.min(range)
        };
        let truth = (0..map.cells()).map(|cell| std::array::from_fn(|d| beam(cell, d))).collect();
        Ok(Self { truth, deviation, range })
    }

    /// The distances without noise.
    ///
    /// # Errors
    /// No such cell.
    pub fn truth(&self, cell: usize) -> Result<[f64; 8]> {
        check_cell("range scan", cell, self.truth.len())?;
        Ok(self.truth[cell])
    }
}

impl Sensor for RangeScan {
    type Reading = [f64; 8];

    fn log_likelihood(&self, cell: usize, reading: &[f64; 8]) -> f64 {
        let Some(truth) = self.truth.get(cell) else { return f64::NEG_INFINITY };
        let scale = -0.5 * (2.0 * std::f64::consts::PI * self.deviation * self.deviation).ln();
        let beams = truth.iter().zip(reading);
        beams.map(|(t, z)| scale - 0.5 * ((z - t) / self.deviation).powi(2)).sum()
    }

    fn draw(&self, cell: usize, random: &mut impl Rng) -> [f64; 8] {
        let limit = self.range + 4.0 * self.deviation;
        let truth = self.truth.get(cell).copied().unwrap_or_default();
        truth.map(|t| (t + self.deviation * normal(random)).clamp(-limit, limit))
    }
}

fn check_cell(node: &str, cell: usize, cells: usize) -> Result<()> {
    match cell < cells {
        true => Ok(()),
        false => Err(Error::invalid(node, format!("cell {cell} is none of {cells}"))),
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}
