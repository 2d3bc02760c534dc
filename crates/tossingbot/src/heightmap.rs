//! The scene from above: one orthographic ray for each pixel, and the map turned in steps of 22.5°.
//!
//! Row r, column c of a map is the square of the workspace around x = x₀ + (c + ½)·e, y = y₀ + (r + ½)·e, with e the pixel's edge and
//! (x₀, y₀) the corner of least coordinates; rows run along +y. Map k of the 16 turned ones shows the workspace turned by −k·22.5°
//! about its centre: a gripper whose forward axis has the heading k·22.5° always points along +x (the columns) there. The finger axis
//! is a quarter turn further, along the rows. A jaw grasp is symmetric under half a turn, the throw that follows is not; hence 16 over
//! the full circle.

use nalgebra::Vector3;
use parry3d_f64::math::Vector;
use parry3d_f64::query::{Ray, RayCast};

use crate::scene::{PlacedObject, Scene, Workspace};

/// Number of grasp directions.
pub const ROTATIONS: usize = 16;
/// Object number of a pixel that shows the table, or lies outside the map.
pub const NO_OBJECT: u32 = u32::MAX;

/// Heights above the table, rows × columns, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Heightmap {
    /// Number of rows (y).
    pub rows: usize,
    /// Number of columns (x).
    pub columns: usize,
    /// Pixel edge in metres.
    pub resolution: f64,
    /// Height of each pixel in metres.
    pub height: Vec<f32>,
    /// Number of the object that each pixel shows, or [`NO_OBJECT`].
    pub object: Vec<u32>,
}

/// Heading of grasp direction `k` in radians: k·22.5°.
pub fn heading(k: usize) -> f64 {
    k as f64 * (std::f64::consts::TAU / ROTATIONS as f64)
}

/// (cos, sin) of [`heading`], exact at quarter turns.
fn direction(k: usize) -> (f64, f64) {
    let quarter = ROTATIONS / 4;
    let (sin, cos) = heading(k % quarter).sin_cos();
    match (k / quarter) % 4 {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

impl Heightmap {
    /// An empty table.
    pub fn empty(workspace: &Workspace) -> Self {
        let (rows, columns) = (workspace.rows(), workspace.columns());
        Self {
            rows,
            columns,
            resolution: workspace.resolution,
            height: vec![0.0; rows * columns],
            object: vec![NO_OBJECT; rows * columns],
        }
    }

    /// The scene seen from above.
    pub fn render(scene: &Scene) -> Self {
        let mut map = Self::empty(&scene.workspace);
        map.draw(scene);
        map
    }

    /// Renders into an existing map of the same workspace, without allocation.
    pub fn draw(&mut self, scene: &Scene) {
        self.height.fill(0.0);
        self.object.fill(NO_OBJECT);
        for object in &scene.objects {
            self.draw_object(object);
        }
    }

    /// Casts a ray down through every pixel whose centre lies in the object's bounds.
    fn draw_object(&mut self, object: &PlacedObject) {
        let (low, high) = object.bounds;
        let span = |low: f64, high: f64, count: usize| {
            let pixel = |value: f64| value / self.resolution + 0.5 * count as f64 - 0.5;
            let first = pixel(low).ceil().max(0.0) as usize;
            let end = (pixel(high).floor() + 1.0).clamp(0.0, count as f64) as usize;
            first..end
        };
        let (rows, columns) = (span(low.y, high.y, self.rows), span(low.x, high.x, self.columns));
        let top = high.z + 0.01;
        let down = object.frame.rotation.inverse() * -Vector::Z;
        for row in rows {
            for column in columns.clone() {
                let pixel = row * self.columns + column;
                let [x, y] = self.world(row, column);
                let origin = object.frame.inverse_transform_point(Vector::new(x, y, top));
                let longest = top - f64::from(self.height[pixel]);
                let ray = Ray::new(origin, down);
                if let Some(distance) = object.model.surface.cast_local_ray(&ray, longest, false) {
                    self.height[pixel] = (top - distance) as f32;
                    self.object[pixel] = object.id as u32;
                }
            }
        }
    }

    /// Workspace position (metres) of a pixel's centre.
    pub fn world(&self, row: usize, column: usize) -> [f64; 2] {
        let place = |index: usize, count: usize| {
            (index as f64 + 0.5 - 0.5 * count as f64) * self.resolution
        };
        [place(column, self.columns), place(row, self.rows)]
    }

    /// (row, column) of the pixel that holds a position, if it is on the map.
    pub fn pixel(&self, x: f64, y: f64) -> Option<(usize, usize)> {
        let place = |value: f64, count: usize| {
            let index = (value / self.resolution + 0.5 * count as f64).floor();
            (index >= 0.0 && index < count as f64).then_some(index as usize)
        };
        Some((place(y, self.rows)?, place(x, self.columns)?))
    }

    /// Workspace position (metres) of a pixel's centre of turned map `k`; it may lie outside the workspace.
    pub fn world_of_rotated(&self, k: usize, row: usize, column: usize) -> [f64; 2] {
        let ([x, y], (cos, sin)) = (self.world(row, column), direction(k));
        [cos * x - sin * y, sin * x + cos * y]
    }

    /// (row, column) in turned map `k` of a position, if it is on that map.
    pub fn pixel_of_rotated(&self, k: usize, x: f64, y: f64) -> Option<(usize, usize)> {
        let (cos, sin) = direction(k);
        self.pixel(cos * x + sin * y, cos * y - sin * x)
    }

    /// Turned map `k`, of the same size: nearest neighbour, zero (and [`NO_OBJECT`]) where it shows what is outside.
    pub fn rotated(&self, k: usize) -> Self {
        let mut turned = Self {
            height: vec![0.0; self.height.len()],
            object: vec![NO_OBJECT; self.object.len()],
            rows: self.rows,
            columns: self.columns,
            resolution: self.resolution,
        };
        for (to, from) in self.rotation_sources(k).into_iter().enumerate() {
            if let Some(from) = from {
                turned.height[to] = self.height[from];
                turned.object[to] = self.object[from];
            }
        }
        turned
    }

    /// For each pixel of turned map `k`, row-major, the pixel of this map that it shows. It depends on the map's size alone and can be
    /// kept.
    pub fn rotation_sources(&self, k: usize) -> Vec<Option<usize>> {
        let mut sources = Vec::with_capacity(self.height.len());
        for row in 0..self.rows {
            for column in 0..self.columns {
                let [x, y] = self.world_of_rotated(k, row, column);
                sources.push(self.pixel(x, y).map(|(r, c)| r * self.columns + c));
            }
        }
        sources
    }

    /// The 3D point of a pixel in the workspace, in metres.
    pub fn point(&self, row: usize, column: usize) -> Vector3<f64> {
        let [x, y] = self.world(row, column);
        Vector3::new(x, y, f64::from(self.height[row * self.columns + column]))
    }
}
