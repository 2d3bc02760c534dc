//! The poses in which a solid rests on a table.
//!
//! A rigid body on a plane rests on a face of its convex hull, and stays there if its centre of mass lies above that face. How likely it
//! is to come to rest on a face is estimated by the solid angle under which the centre of mass sees it.

use nalgebra::{Rotation3, UnitQuaternion, Vector2, Vector3};

use super::{Hull, convex_polygon};

/// Triangles whose normals differ by less than this angle in radians belong to one face.
const COPLANAR: f64 = 1e-4;

/// A stable pose on the plane z = 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestingPose {
    /// Rotation from the mesh's axes to the world's.
    pub rotation: UnitQuaternion<f64>,
    /// Height of the centre of mass above the table in metres.
    pub height: f64,
    /// Solid angle of the supporting face seen from the centre of mass, as a fraction of the sphere.
    pub weight: f64,
}

/// The stable poses of a solid with the given hull and centre of mass, most likely first (ties in the hull's order).
pub fn resting_poses(hull: &Hull, center: &Vector3<f64>) -> Vec<RestingPose> {
    struct Face {
        normal: Vector3<f64>,
        offset: f64,
        angle: f64,
        corners: Vec<Vector3<f64>>,
    }
    let mesh = &hull.mesh;
    let (low, high) = mesh.bounds();
    let size = (high - low).norm();
    let mut faces: Vec<Face> = Vec::new();
    for t in 0..mesh.triangles.len() {
        let corners = mesh.corners(t).map(|v| v - center);
        let [a, b, c] = corners;
        let scaled = (b - a).cross(&(c - a));
        let area = 0.5 * scaled.norm();
        if area <= 1e-12 * size * size {
            continue;
        }
        let normal = scaled / (2.0 * area);
        let offset = normal.dot(&a);
        let angle = solid_angle(&a, &b, &c);
        let same = faces.iter_mut().find(|face| {
            face.normal.cross(&normal).norm() < COPLANAR
                && face.normal.dot(&normal) > 0.0
                && (face.offset - offset).abs() < COPLANAR * size
        });
        match same {
            Some(face) => {
                face.angle += angle;
                face.corners.extend(corners);
            }
            None => faces.push(Face { normal, offset, angle, corners: corners.to_vec() }),
        }
    }
    let mut poses: Vec<RestingPose> = faces
        .iter()
        .filter(|face| supports(&face.normal, &face.corners, size))
        .map(|face| RestingPose {
            rotation: facing_down(&face.normal),
            // The lowest point, not the face's plane: a merged face may be slightly uneven.
            height: mesh
                .vertices
                .iter()
                .map(|v| face.normal.dot(&(v - center)))
                .fold(0.0, f64::max),
            weight: face.angle / (4.0 * std::f64::consts::PI),
        })
        .collect();
    poses.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    poses
}

/// Solid angle of a triangle seen from the origin (van Oosterom and Strackee 1983).
fn solid_angle(a: &Vector3<f64>, b: &Vector3<f64>, c: &Vector3<f64>) -> f64 {
    let (x, y, z) = (a.norm(), b.norm(), c.norm());
    let triple = a.dot(&b.cross(c)).abs();
    2.0 * triple.atan2(x * y * z + a.dot(b) * z + b.dot(c) * x + c.dot(a) * y)
}

/// Whether the origin, projected along the normal, lies inside the face.
fn supports(normal: &Vector3<f64>, corners: &[Vector3<f64>], size: f64) -> bool {
    let u = if normal.x.abs() < 0.8 { Vector3::x() } else { Vector3::y() };
    let u = (u - normal * normal.dot(&u)).normalize();
    let v = normal.cross(&u);
    let flat: Vec<Vector2<f64>> =
        corners.iter().map(|c| Vector2::new(c.dot(&u), c.dot(&v))).collect();
    let polygon = convex_polygon(&flat);
    polygon.len() >= 3
        && (0..polygon.len()).all(|i| {
            let (a, b) = (polygon[i], polygon[(i + 1) % polygon.len()]);
            (b - a).perp(&-a) > 1e-6 * size * (b - a).norm()
        })
}

/// A rotation that turns the direction to −z, by the shortest way.
fn facing_down(normal: &Vector3<f64>) -> UnitQuaternion<f64> {
    let rotation = Rotation3::rotation_between(normal, &-Vector3::z())
        // Straight up: every half turn about a horizontal axis does.
        .unwrap_or_else(|| Rotation3::from_axis_angle(&Vector3::x_axis(), std::f64::consts::PI));
    UnitQuaternion::from_rotation_matrix(&rotation)
}
