//! A plane and the hull of a mesh, as MuJoCo has it since 3.13 (`mjc_PlaneConvex`): the deepest corner, and of the face around it that is most
//! nearly parallel to the plane up to three more corners, where they are below the mesh's centre and within the margin.

use super::Hull;
use super::convex::Solid;
use super::pairs::{Touch, Touches};
use super::scalar::{Scalar, V, add, add_scaled, column, cross, dot, rotate, rotate_back, sub};
use crate::spatial::{Vec3, norm};

pub(crate) fn plane_mesh<T: Scalar>(
    a: &Solid<'_, T>,
    b: &Solid<'_, T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let Some(hull) = b.hull else { return };
    let normal = column(&a.shape.mat, 2);
    let up = rotate_back(&b.shape.mat, normal).map(T::value);
    let mut touch = |v: u32, first: bool| {
        let arm = rotate(&b.shape.mat, hull.vertex(v).map(T::constant));
        let point: V<T> = add(b.shape.pos, arm);
        let dist = dot(normal, sub(point, a.shape.pos));
        if dist.value() > margin || (!first && dot(normal, arm).value() > 0.0) {
            return false;
        }
        let pos = add_scaled(point, normal, dist.times(-0.5));
        out.push(Touch { dist, pos, normal, tangent: [T::zero(); 3] });
        true
    };
    let deepest = hull.lowest(up);
    if !touch(deepest, true) {
        return;
    }
    let slope = |f: u32| dot(hull.normal(f), up);
    let faces = hull.faces_of(deepest).iter().copied();
    let Some(face) = faces.min_by(|f, g| slope(*f).total_cmp(&slope(*g))) else { return };
    for v in four(hull, hull.polygon(face), deepest).into_iter().flatten() {
        touch(v, false);
    }
}

/// Up to three more corners of a polygon, which together with `first` enclose much area.
fn four(hull: &Hull, polygon: &[u32], first: u32) -> [Option<u32>; 3] {
    let n = polygon.len();
    let start = polygon.iter().position(|&v| v == first).unwrap_or(0);
    let corner = |k: usize| polygon[(start + k) % n];
    large(n, |k| hull.vertex(corner(k))).map(|k| (k < n).then(|| corner(k)))
}

/// Three more corners of a polygon of n, which together with the first enclose much area: from the second to fourth on, the last of them is moved
/// along the polygon while that enlarges the area, then the ones before it.
pub(super) fn large(n: usize, at: impl Fn(usize) -> Vec3) -> [usize; 3] {
    let mut best = [1, 2, 3];
    if n > 4 {
        let area = |[b, c, d]: [usize; 3]| norm(cross(sub(at(0), at(c)), sub(at(b), at(d))));
        let mut most = area(best);
        let mut enlarge = |best: &mut [usize; 3], which: usize| {
            let mut moved = *best;
            moved[which] += 1;
            // The corner before the first one is the last.
            if moved[which] >= n {
                return false;
            }
            let larger = area(moved);
            let better = larger > most;
            if better {
                (most, *best) = (larger, moved);
            }
            better
        };
        while enlarge(&mut best, 2) {
            while enlarge(&mut best, 1) {}
            while enlarge(&mut best, 0) {}
        }
    }
    best
}
