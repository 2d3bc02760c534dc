//! Triangle meshes: files, mass and inertia, the hull that collides.

mod file;
mod text;

use crate::collide::{Hull, moments};
use crate::spatial::{Vec3, add_scaled, axes, cross, norm, principal_axes, quaternion, scale, sub};
use crate::spec::Pose;
use crate::{Error, Result};

pub(crate) use file::read;

/// Where the volume of a mesh comes from (`mjtMeshInertia`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeshInertia {
    /// Its convex hull.
    Convex,
    /// The signed volumes under its triangles, which must be closed and oriented.
    Exact,
    /// The absolute volumes under its triangles, as MuJoCo took them in the past; its default.
    #[default]
    Legacy,
}

/// A triangle mesh of a model.
///
/// Collisions see its convex hull. Positions are rounded to single precision about the centre of mass, as MuJoCo keeps them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    /// Name.
    pub name: String,
    /// Positions, m.
    pub vertex: Vec<[f64; 3]>,
    /// Corners of triangles, counter-clockwise seen from outside; those of the hull if there are none.
    pub face: Vec<[u32; 3]>,
    /// Where its volume comes from.
    pub inertia: MeshInertia,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// More vertices or triangles than this are refused.
pub(crate) const MOST_VERTICES: usize = 2_000_000;

/// What the compiler makes of a mesh.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    /// In the frame of the principal axes.
    pub(crate) hull: Hull,
    /// The principal axes in the mesh's frame.
    pub(crate) pose: Pose,
    /// m³.
    pub(crate) volume: f64,
    /// Principal moments per mass, m².
    pub(crate) moments: Vec3,
    /// Half lengths of the smallest box around the origin that holds it.
    pub(crate) half: Vec3,
}

impl Compiled {
    /// Half lengths of the box with the same mass and moments.
    pub(crate) fn equivalent_box(&self) -> Vec3 {
        let [a, b, c] = self.moments;
        [b + c - a, a + c - b, a + b - c].map(|x| (1.5 * x).max(0.0).sqrt())
    }
}

impl Mesh {
    /// Rounds positions of a file to single precision, then scales, after it has moved the origin to `refpos` and turned the axes to `refquat`. Mirroring turns triangles.
    pub(crate) fn place(&mut self, scale: [f64; 3], refpos: [f64; 3], refquat: [f64; 4]) {
        let back = quaternion::conjugate(quaternion::normalize(refquat));
        for v in &mut self.vertex {
            // Files have single precision, and so does MuJoCo where they do not.
            let single = v.map(|x| f64::from(x as f32));
            let turned = quaternion::rotate(back, sub(single, refpos));
            *v = [0, 1, 2].map(|k| turned[k] * scale[k]);
        }
        if scale.iter().product::<f64>() < 0.0 {
            for f in &mut self.face {
                f.swap(1, 2);
            }
        }
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        let place = if self.line > 0 { format!(", line {}", self.line) } else { String::new() };
        Error::invalid(format!("mesh '{}'{place}", self.name), what)
    }

    /// Hull, mass and principal axes.
    pub(crate) fn compile(&self) -> Result<Compiled> {
        let count = self.vertex.len();
        if count > MOST_VERTICES || self.face.len() > MOST_VERTICES {
            let what = format!(
                "{count} vertices and {} triangles; at most {MOST_VERTICES} of each are supported",
                self.face.len()
            );
            return Err(self.wrong(what));
        }
        let large = |x: &f64| !(x.is_finite() && x.abs() < 1e12);
        if let Some(k) = self.vertex.iter().position(|v| v.iter().any(large)) {
            return Err(self.wrong(format!("vertex {k} is {:?}", self.vertex[k])));
        }
        if let Some(f) = self.face.iter().find(|f| f.iter().any(|&v| v as usize >= count)) {
            return Err(self.wrong(format!("the triangle {f:?} of {count} vertices")));
        }
        let vertex = &self.vertex;
        let whole = Hull::new(vertex).map_err(|what| self.wrong(what))?;
        let own = || self.face.iter().map(|f| f.map(|v| vertex[v as usize]));
        let of_hull = self.inertia == MeshInertia::Convex || self.face.is_empty();
        let triangles: Vec<[Vec3; 3]> =
            if of_hull { whole.triangles().collect() } else { own().collect() };
        let absolute = self.inertia == MeshInertia::Legacy;
        let from = surface_center(&triangles);
        let (volume, center, _) = moments(triangles.iter().copied(), from, absolute);
        if !volume.is_finite() || volume < 1e-15 {
            return Err(self.wrong(format!("its volume is {volume:e} m³")));
        }
        let center = add_scaled(from, center, 1.0);
        let (again, _, second) = moments(triangles.iter().copied(), center, absolute);
        let [xx, yy, zz, xy, xz, yz] = second;
        let (moments, quat) =
            principal_axes([yy + zz, xx + zz, xx + yy, -xy, -xz, -yz], axes::OF_MESHES);
        let moments = moments.map(|m| m / again);
        let [a, b, c] = moments;
        let least = -1e-9 * (a + b + c);
        if moments.iter().any(|m| *m <= 0.0) || a > b + c - least {
            return Err(self.wrong(format!("its moments of inertia per mass are {a}, {b}, {c}")));
        }
        let back = quaternion::conjugate(quat);
        let local: Vec<Vec3> = vertex
            .iter()
            .map(|v| quaternion::rotate(back, sub(*v, center)).map(|x| f64::from(x as f32)))
            .collect();
        let half = [0, 1, 2].map(|k| local.iter().fold(0.0f64, |m, v| m.max(v[k].abs())));
        let hull = Hull::new(&local).map_err(|what| self.wrong(what))?;
        // Absolute volumes depend on where they are seen from; MuJoCo keeps those seen from the centre of mass.
        Ok(Compiled { hull, pose: Pose { pos: center, quat }, volume: again, moments, half })
    }
}

/// The centre of the surface.
fn surface_center(triangles: &[[Vec3; 3]]) -> Vec3 {
    let (mut total, mut sum) = (0.0, [0.0; 3]);
    for [a, b, c] in triangles {
        let area = norm(cross(sub(*b, *a), sub(*c, *a)));
        total += area;
        for k in 0..3 {
            sum[k] += area * (a[k] + b[k] + c[k]) / 3.0;
        }
    }
    if total > 0.0 { scale(sum, 1.0 / total) } else { [0.0; 3] }
}
