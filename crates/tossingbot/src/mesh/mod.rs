//! Triangle meshes: where they come from (files, solids) and what follows from them (mass, resting poses).

mod hull;
mod mass;
mod obj;
mod rest;
mod shapes;
mod urdf;

pub use hull::{Hull, convex_hull, convex_polygon};
pub use mass::MassProperties;
pub use obj::{MAX_BYTES, MAX_TRIANGLES, parse_obj, read_obj};
pub use rest::{RestingPose, resting_poses};
pub use shapes::{cuboid, cylinder, sphere};
pub use urdf::{Urdf, read_urdf};

use nalgebra::{Isometry3, Vector3};

/// Vertices in metres and triangles that name them, counter-clockwise seen from outside.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mesh {
    /// Vertex positions in metres.
    pub vertices: Vec<Vector3<f64>>,
    /// Vertex numbers of each triangle, from 0.
    pub triangles: Vec<[u32; 3]>,
}

/// One part of a solid: a named mesh. Convex decompositions come as several parts, one for each `o` or `g` group of an OBJ file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// The group's name; may be empty.
    pub name: String,
    /// Its surface.
    pub mesh: Mesh,
}

impl Mesh {
    /// The corners of triangle `t`.
    pub fn corners(&self, t: usize) -> [Vector3<f64>; 3] {
        self.triangles[t].map(|v| self.vertices[v as usize])
    }

    /// The same surface after a rigid motion.
    pub fn transformed(&self, motion: &Isometry3<f64>) -> Self {
        Self {
            vertices: self
                .vertices
                .iter()
                .map(|v| motion.rotation * v + motion.translation.vector)
                .collect(),
            triangles: self.triangles.clone(),
        }
    }

    /// The same surface, moved.
    pub fn translated(&self, by: &Vector3<f64>) -> Self {
        Self {
            vertices: self.vertices.iter().map(|v| v + by).collect(),
            triangles: self.triangles.clone(),
        }
    }

    /// The same surface, scaled along each axis; an odd number of negative factors turns the triangles round.
    pub fn scaled(&self, by: &Vector3<f64>) -> Self {
        let mut mesh = Self {
            vertices: self.vertices.iter().map(|v| v.component_mul(by)).collect(),
            triangles: self.triangles.clone(),
        };
        if by.x * by.y * by.z < 0.0 {
            mesh.flip();
        }
        mesh
    }

    /// Turns every triangle round.
    pub fn flip(&mut self) {
        for triangle in &mut self.triangles {
            triangle.swap(1, 2);
        }
    }

    /// Appends another mesh.
    pub fn append(&mut self, other: &Mesh) {
        let offset = self.vertices.len() as u32;
        self.vertices.extend_from_slice(&other.vertices);
        self.triangles.extend(other.triangles.iter().map(|t| t.map(|v| v + offset)));
    }

    /// Smallest and largest coordinates, in metres; zeros for an empty mesh.
    pub fn bounds(&self) -> (Vector3<f64>, Vector3<f64>) {
        let mut vertices = self.vertices.iter();
        let Some(first) = vertices.next() else { return (Vector3::zeros(), Vector3::zeros()) };
        vertices.fold((*first, *first), |(low, high), v| (low.inf(v), high.sup(v)))
    }
}
