//! Volume, centre of mass and inertia of a solid from its surface.
//!
//! A closed, outward-oriented surface is the signed sum of tetrahedra (0, a, b, c), one for each triangle. With det = a·(b × c),
//!
//! ```text
//! V = Σ det/6        V·x̄ = Σ det/24·(a + b + c)        ∫x·xᵀ dV = Σ det/120·((a+b+c)(a+b+c)ᵀ + aaᵀ + bbᵀ + ccᵀ)
//! J = tr(C)·1 − C,   C = ρ·(∫x·xᵀ dV − V·x̄·x̄ᵀ)
//! ```

use std::collections::HashMap;

use nalgebra::{Matrix3, Vector3};

use super::{Mesh, Part, convex_hull};
use crate::error::FileProblem;

/// Mass properties of a homogeneous solid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MassProperties {
    /// Volume in m³.
    pub volume: f64,
    /// Mass in kg.
    pub mass: f64,
    /// Centre of mass in metres.
    pub center: Vector3<f64>,
    /// Inertia about the centre of mass in kg·m², in the mesh's axes.
    pub inertia: Matrix3<f64>,
}

/// ∫1, ∫x and ∫x·xᵀ over a solid, about `origin`.
#[derive(Debug, Clone, Copy)]
struct Moments {
    volume: f64,
    first: Vector3<f64>,
    second: Matrix3<f64>,
}

impl Moments {
    fn of(mesh: &Mesh, origin: &Vector3<f64>) -> Self {
        let mut sum = Self { volume: 0.0, first: Vector3::zeros(), second: Matrix3::zeros() };
        for t in 0..mesh.triangles.len() {
            let [a, b, c] = mesh.corners(t).map(|v| v - origin);
            let det = a.dot(&b.cross(&c));
            let total = a + b + c;
            sum.volume += det / 6.0;
            sum.first += det / 24.0 * total;
            sum.second += det / 120.0
                * (total * total.transpose()
                    + a * a.transpose()
                    + b * b.transpose()
                    + c * c.transpose());
        }
        sum
    }
}

impl MassProperties {
    /// Mass properties of one closed surface of the given density in kg/m³. A surface whose triangles all face inward is accepted.
    ///
    /// # Errors
    /// `Empty` without triangles, `ZeroVolume` for a surface that encloses nothing.
    pub fn of_mesh(mesh: &Mesh, density: f64) -> Result<Self, FileProblem> {
        Self::of_meshes([mesh], density)
    }

    /// Mass properties of the union of parts that do not overlap. A part with a closed surface counts with its own volume, an open one
    /// with that of its convex hull. Overlap between parts of a convex decomposition is counted twice.
    ///
    /// # Errors
    /// As [`MassProperties::of_mesh`].
    pub fn of_parts(parts: &[Part], density: f64) -> Result<Self, FileProblem> {
        let mut solids = Vec::with_capacity(parts.len());
        for part in parts.iter().filter(|part| !part.mesh.triangles.is_empty()) {
            if is_closed(&part.mesh) {
                solids.push(part.mesh.clone());
            } else if let Some(hull) = convex_hull(&part.mesh.vertices) {
                solids.push(hull.mesh);
            }
        }
        if solids.is_empty() && parts.iter().any(|part| !part.mesh.triangles.is_empty()) {
            return Err(FileProblem::ZeroVolume { volume: 0.0 });
        }
        Self::of_meshes(&solids, density)
    }

    fn of_meshes<'a>(
        meshes: impl IntoIterator<Item = &'a Mesh>,
        density: f64,
    ) -> Result<Self, FileProblem> {
        let mut sum = Moments { volume: 0.0, first: Vector3::zeros(), second: Matrix3::zeros() };
        // Integrating about a point of the solid, not about a far-away origin, keeps the cancellation small.
        let mut origin = None;
        let mut size = 0.0_f64;
        for mesh in meshes.into_iter().filter(|mesh| !mesh.triangles.is_empty()) {
            let (low, high) = mesh.bounds();
            let origin = *origin.get_or_insert(0.5 * (low + high));
            size = size.max((high - low).norm());
            let part = Moments::of(mesh, &origin);
            let sign = part.volume.signum();
            sum.volume += sign * part.volume;
            sum.first += sign * part.first;
            sum.second += sign * part.second;
        }
        let Some(origin) = origin else { return Err(FileProblem::Empty) };
        // Scanned meshes thinner than a millionth of their size have no trustworthy volume.
        if sum.volume.is_nan() || sum.volume <= 1e-9 * size.powi(3) {
            return Err(FileProblem::ZeroVolume { volume: sum.volume });
        }
        let center = sum.first / sum.volume;
        let covariance = density * (sum.second - sum.volume * center * center.transpose());
        Ok(Self {
            volume: sum.volume,
            mass: density * sum.volume,
            center: origin + center,
            inertia: Matrix3::identity() * covariance.trace() - covariance,
        })
    }
}

/// Whether every edge is shared by two triangles that run along it in opposite directions. Vertices at the same place count as one.
pub(super) fn is_closed(mesh: &Mesh) -> bool {
    let mut welded = HashMap::new();
    let place: Vec<u32> = mesh
        .vertices
        .iter()
        .enumerate()
        // Adding 0 turns −0 into 0.
        .map(|(i, v)| {
            *welded.entry([v.x, v.y, v.z].map(|c| (c + 0.0).to_bits())).or_insert(i as u32)
        })
        .collect();
    let mut balance: HashMap<(u32, u32), i32> = HashMap::new();
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|v| place[v as usize]);
        if a == b || b == c || c == a {
            continue;
        }
        for (from, to) in [(a, b), (b, c), (c, a)] {
            let step = if from < to { 1 } else { -1 };
            *balance.entry((from.min(to), from.max(to))).or_insert(0) += step;
        }
    }
    !balance.is_empty() && balance.values().all(|&count| count == 0)
}
