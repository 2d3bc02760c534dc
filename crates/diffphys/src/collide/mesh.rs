//! A plane and the hull of a mesh: the corners of a face that lies on it, else the deepest corner and its neighbours (`mjc_PlaneConvex`).
//! MuJoCo 4.0 chooses other corners of the same hull where none of its faces is nearly parallel to the plane.

use super::convex::{Solid, flat_corners};
use super::pairs::{Touch, Touches};
use super::scalar::{Scalar, V, add, add_scaled, column, dot, rotate, rotate_back, sub};
use crate::spatial::norm;

/// Corners nearer to the first than this share of the bounding sphere's radius are left out.
const APART: f64 = 0.3;

/// Contacts of one pair.
const MOST: usize = 4;

pub(crate) fn plane_mesh<T: Scalar>(
    a: &Solid<'_, T>,
    b: &Solid<'_, T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let Some(hull) = b.hull else { return };
    let normal = column(&a.shape.mat, 2);
    let down = normal.map(|x| -x.value());
    let corner = |v: u32| -> V<T> {
        add(b.shape.pos, rotate(&b.shape.mat, hull.vertex(v).map(T::constant)))
    };
    let mut count = 0;
    let mut touch = |point: V<T>| {
        let dist = dot(normal, sub(point, a.shape.pos));
        if dist.value() <= margin {
            let pos = add_scaled(point, normal, dist.times(-0.5));
            out.push(Touch { dist, pos, normal, tangent: [T::zero(); 3] });
            count += 1;
        }
        count
    };
    if flat_corners(b, down, |p| {
        touch(p);
    }) {
        return;
    }
    let values = b.shape.values();
    let first = hull.support(rotate_back(&values.mat, down), None);
    let place = corner(first).map(T::value);
    if touch(corner(first)) == 0 {
        return;
    }
    for &v in hull.neighbors(first) {
        let point = corner(v);
        let far = norm(sub(point.map(T::value), place)) >= APART * hull.reach();
        if far && touch(point) == MOST {
            return;
        }
    }
}
