//! From maps to a decision: where to grasp, how fast to throw.

use rand::Rng;

use crate::grasp::GraspPose;
use crate::heightmap::{Heightmap, ROTATIONS, heading};
use crate::rng::Stream;

/// Heights in metres above this count as an object when an explored grasp aims at one.
const OBJECT: f32 = 0.01;
/// Heights in metres up to this are the table.
const TABLE: f32 = 0.004;
/// Speeds in m/s that the arm can be told.
pub const SPEED_RANGE: [f64; 2] = [1.0, 3.2];
/// Largest residual in m/s that is believed.
pub const RESIDUAL_LIMIT: f64 = 1.0;
/// Around a failed grasp, poses this near (metres) and with this heading or a neighbouring one are not tried again in the same scene.
const INHIBITION_RADIUS: f64 = 0.02;

/// What the networks say about a scene: 16 maps for the 16 turned height maps, rotation-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    /// Rows of each map.
    pub rows: usize,
    /// Columns of each map.
    pub columns: usize,
    /// Predicted probability that a grasp at this pixel leads to a hit, `[16, H, W]`.
    pub hit: Vec<f32>,
    /// Residual throw speed δ in m/s, `[16, H, W]`; empty for methods without one.
    pub residual: Vec<f32>,
}

/// A grasp that was picked from the maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Which turned map.
    pub rotation: usize,
    /// Flat pixel (row·columns + column) in that map.
    pub pixel: usize,
    /// The pose in the workspace.
    pub pose: GraspPose,
    /// Predicted probability of a hit; NaN for explored grasps that asked no network.
    pub probability: f64,
    /// Residual speed δ in m/s at the pixel, clamped to ±[`RESIDUAL_LIMIT`]; 0 for methods without one.
    pub residual: f64,
}

impl Maps {
    /// The residual in m/s at a pixel of a turned map, clamped.
    pub fn residual_at(&self, rotation: usize, pixel: usize) -> f64 {
        let index = rotation * self.rows * self.columns + pixel;
        let residual = self.residual.get(index).copied().map_or(0.0, f64::from);
        residual.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)
    }

    /// The probability of a hit at a pixel of a turned map.
    pub fn hit_at(&self, rotation: usize, pixel: usize) -> f64 {
        self.hit
            .get(rotation * self.rows * self.columns + pixel)
            .copied()
            .map_or(f64::NAN, f64::from)
    }

    /// The choice that a pixel of a turned map stands for.
    pub fn choice(&self, map: &Heightmap, rotation: usize, pixel: usize) -> Choice {
        Choice {
            probability: self.hit_at(rotation, pixel),
            residual: self.residual_at(rotation, pixel),
            ..candidate(map, rotation, pixel)
        }
    }

    /// The most promising pixel of all maps (the first of equals) that shows an object and was not inhibited.
    pub fn best(&self, map: &Heightmap, failed: &[GraspPose]) -> Option<Choice> {
        let size = self.rows * self.columns;
        let mut best: Option<(f32, usize)> = None;
        for (index, &hit) in self.hit.iter().enumerate() {
            if best.is_some_and(|(most, _)| hit <= most) {
                continue;
            }
            let pose = candidate(map, index / size, index % size).pose;
            if on_something(map, &pose) && !inhibited(&pose, failed) {
                best = Some((hit, index));
            }
        }
        best.map(|(_, index)| self.choice(map, index / size, index % size))
    }
}

/// The pose that a pixel of a turned map stands for, without a network's opinion.
pub fn candidate(map: &Heightmap, rotation: usize, pixel: usize) -> Choice {
    let [x, y] = map.world_of_rotated(rotation, pixel / map.columns, pixel % map.columns);
    let pose = GraspPose { x, y, angle: heading(rotation) };
    Choice { rotation, pixel, pose, probability: f64::NAN, residual: 0.0 }
}

/// Whether the map shows more than the table there: the robot knows that a table cannot be grasped.
fn on_something(map: &Heightmap, pose: &GraspPose) -> bool {
    map.pixel(pose.x, pose.y)
        .is_some_and(|(row, column)| map.height[row * map.columns + column] > TABLE)
}

fn inhibited(pose: &GraspPose, failed: &[GraspPose]) -> bool {
    let neighbour = 1.5 * heading(1);
    failed.iter().any(|f| {
        let turn = (pose.angle - f.angle).rem_euclid(std::f64::consts::TAU);
        (pose.x - f.x).hypot(pose.y - f.y) < INHIBITION_RADIUS
            && turn.min(std::f64::consts::TAU - turn) < neighbour
    })
}

/// A random grasp: with probability `on_object` at a pixel that shows something higher than a centimetre, else anywhere in the workspace.
pub fn explore(map: &Heightmap, on_object: f64, rng: &mut Stream) -> Choice {
    let rotation = rng.random_range(0..ROTATIONS);
    let aim = rng.random::<f64>() < on_object;
    let draw = rng.random::<f64>();
    let pick = |count: usize| ((draw * count as f64) as usize).min(count.saturating_sub(1));
    let high: Vec<usize> = if aim {
        (0..map.height.len()).filter(|&pixel| map.height[pixel] > OBJECT).collect()
    } else {
        Vec::new()
    };
    let seen = if high.is_empty() { pick(map.height.len()) } else { high[pick(high.len())] };
    let [x, y] = map.world(seen / map.columns, seen % map.columns);
    match map.pixel_of_rotated(rotation, x, y) {
        Some((row, column)) => candidate(map, rotation, row * map.columns + column),
        // The corners of the workspace lie outside the turned maps; there the map that is not turned is used.
        None => candidate(map, 0, seen),
    }
}

/// The speed in m/s that is commanded: v̂ + δ within what the arm can do.
pub fn commanded(base: f64, residual: f64) -> f64 {
    (base + residual).clamp(SPEED_RANGE[0], SPEED_RANGE[1])
}
