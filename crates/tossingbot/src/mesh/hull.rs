//! Convex hulls in space and in the plane.

use nalgebra::{Vector2, Vector3};
use parry3d_f64::math::Vector;

use super::Mesh;

/// A convex hull with outward triangles.
#[derive(Debug, Clone, PartialEq)]
pub struct Hull {
    /// The surface.
    pub mesh: Mesh,
}

/// The convex hull of points in space; `None` if they lie in a plane, on a line, or are not finite.
pub fn convex_hull(points: &[Vector3<f64>]) -> Option<Hull> {
    let mut distinct: Vec<[f64; 3]> =
        points.iter().map(|p| [p.x + 0.0, p.y + 0.0, p.z + 0.0]).collect();
    if distinct.iter().flatten().any(|c| !c.is_finite()) {
        return None;
    }
    distinct.sort_by(|a, b| {
        a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])).then(a[2].total_cmp(&b[2]))
    });
    distinct.dedup();
    let points: Vec<Vector> = distinct.iter().map(|p| Vector::new(p[0], p[1], p[2])).collect();
    if !spans_space(&points) {
        return None;
    }
    let (vertices, triangles) = parry3d_f64::transformation::try_convex_hull(&points).ok()?;
    let vertices = vertices.iter().map(|v| Vector3::new(v.x, v.y, v.z)).collect();
    Some(Hull { mesh: Mesh { vertices, triangles } })
}

/// Whether the points contain a tetrahedron that is not flat, relative to their extent.
fn spans_space(points: &[Vector]) -> bool {
    let Some(&a) = points.first() else { return false };
    let farthest = |measure: &dyn Fn(Vector) -> f64| {
        points.iter().copied().max_by(|p, q| measure(*p).total_cmp(&measure(*q))).unwrap_or(a)
    };
    let b = farthest(&|p| (p - a).length_squared());
    let c = farthest(&|p| (b - a).cross(p - a).length_squared());
    let normal = (b - a).cross(c - a);
    let d = farthest(&|p| normal.dot(p - a).abs());
    normal.dot(d - a).abs() > 1e-9 * (b - a).length().powi(3)
}

/// The convex hull of points in the plane, counter-clockwise, without points on its edges (Andrew's monotone chain).
pub fn convex_polygon(points: &[Vector2<f64>]) -> Vec<Vector2<f64>> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let mut hull: Vec<Vector2<f64>> = Vec::with_capacity(sorted.len() + 1);
    let mut chain = |points: &mut dyn Iterator<Item = &Vector2<f64>>, floor: usize| {
        for p in points {
            while hull.len() >= floor + 2 {
                let (a, b) = (hull[hull.len() - 2], hull[hull.len() - 1]);
                if (b - a).perp(&(p - b)) > 0.0 {
                    break;
                }
                hull.pop();
            }
            hull.push(*p);
        }
        hull.len() - 1
    };
    let lower = chain(&mut sorted.iter(), 0);
    chain(&mut sorted.iter().rev().skip(1), lower);
    hull.pop();
    hull
}
