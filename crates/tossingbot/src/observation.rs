//! Height maps as network inputs, and the attempts that are remembered as training batches.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::heightmap::{Heightmap, ROTATIONS};
use crate::replay::Transition;
use crate::scene::Workspace;

/// Height in metres that becomes 1 at the network's input. The table stays 0, which is also what convolutions pad with.
const SCALE: f32 = 0.03;

/// What the camera gives: whole millimetres up to 255.
pub fn millimetres(map: &Heightmap) -> Vec<u8> {
    map.height.iter().map(|&h| (h * 1000.0).round().clamp(0.0, 255.0) as u8).collect()
}

fn normalized(millimetres: u8) -> f32 {
    f32::from(millimetres) * 1e-3 / SCALE
}

/// Turns height maps of one workspace, with the pixel tables computed once.
#[derive(Debug, Clone)]
pub struct Turner {
    rows: usize,
    columns: usize,
    sources: Vec<Vec<Option<usize>>>,
}

impl Turner {
    /// The tables for a workspace.
    pub fn new(workspace: &Workspace) -> Self {
        let map = Heightmap::empty(workspace);
        Self {
            rows: map.rows,
            columns: map.columns,
            sources: (0..ROTATIONS).map(|k| map.rotation_sources(k)).collect(),
        }
    }

    /// Rows and columns of the maps.
    pub fn size(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn turn(&self, heights: &[u8], rotation: usize, into: &mut Vec<f32>) {
        let height = |source: &Option<usize>| {
            normalized(source.and_then(|i| heights.get(i).copied()).unwrap_or(0))
        };
        into.extend(self.sources[rotation % ROTATIONS].iter().map(height));
    }

    /// All 16 turned maps of a scene as a batch `[16, 1, H, W]`, f32.
    ///
    /// # Errors
    /// Those of tensor construction.
    pub fn all(&self, heights: &[u8]) -> Result<Tensor> {
        let mut data = Vec::with_capacity(ROTATIONS * self.rows * self.columns);
        (0..ROTATIONS).for_each(|k| self.turn(heights, k, &mut data));
        Ok(Tensor::from_vec(data, (ROTATIONS, 1, self.rows, self.columns), &Device::Cpu)?)
    }

    /// The turned maps of several attempts `[B, 1, h, w]`, f32, and their executed pixels (row, column).
    ///
    /// Where `mirrored` says so, a map is reflected across the plane of the throw (its rows change order): gripper, release and flight
    /// have that symmetry, so the attempt in the mirror would have ended the same way.
    ///
    /// With `window` = 0 the maps are whole. Else they are cut to `window` × `window` pixels (a multiple of 4) around the executed pixel,
    /// moved to lie inside the map and to start at a multiple of 4, so that pooling falls on the same pixels as in the whole map. What
    /// lies farther than half a window away cannot touch the grasped object.
    ///
    /// # Errors
    /// Those of tensor construction.
    pub fn batch(
        &self,
        attempts: &[&Transition],
        mirrored: &[bool],
        window: usize,
    ) -> Result<(Tensor, Vec<[usize; 2]>)> {
        let (rows, columns) = match window {
            0 => (self.rows, self.columns),
            _ => (window.min(self.rows), window.min(self.columns)),
        };
        let mut data = Vec::with_capacity(attempts.len() * rows * columns);
        let mut pixels = Vec::with_capacity(attempts.len());
        let mut map = Vec::with_capacity(self.rows * self.columns);
        for (attempt, &mirror) in attempts.iter().zip(mirrored) {
            map.clear();
            self.turn(&attempt.heights, attempt.rotation, &mut map);
            let (mut row, column) = (attempt.pixel / self.columns, attempt.pixel % self.columns);
            if mirror {
                row = self.rows - 1 - row;
            }
            let start = |at: usize, cut: usize, whole: usize| {
                (at.saturating_sub(cut / 2) / 4 * 4).min(whole - cut)
            };
            let (top, left) = (start(row, rows, self.rows), start(column, columns, self.columns));
            for r in top..top + rows {
                let source = if mirror { self.rows - 1 - r } else { r };
                let from = source * self.columns + left;
                data.extend_from_slice(&map[from..from + columns]);
            }
            pixels.push([row - top, column - left]);
        }
        let input = Tensor::from_vec(data, (attempts.len(), 1, rows, columns), &Device::Cpu)?;
        Ok((input, pixels))
    }
}
