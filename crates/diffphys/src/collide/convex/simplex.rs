//! Distance of two convex solids: the point of the difference of their cores that is nearest to the origin (Gilbert, Johnson and Keerthi).

use super::feature::{Solid, support};
use crate::spatial::{
    MINVAL, Vec3, add, add_scaled, cross, dot, norm, rotate, rotate_back, scale, sub,
};

/// A vertex of the difference {b − a}, and the points of the two solids that make it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertex {
    pub(super) at: Vec3,
    pub(super) on: [Vec3; 2],
    pub(super) id: [u32; 2],
}

impl Vertex {
    pub(super) const ZERO: Self = Self { at: [0.0; 3], on: [[0.0; 3]; 2], id: [0; 2] };

    /// The one that is farthest along `d`.
    pub(super) fn farthest(
        solids: [&Solid<'_, f64>; 2],
        d: Vec3,
        hint: &mut [Option<u32>; 2],
    ) -> Self {
        let mut vertex = Self::ZERO;
        for (k, toward) in [scale(d, -1.0), d].into_iter().enumerate() {
            let shape = &solids[k].shape;
            let (local, id) = support(solids[k], rotate_back(&shape.mat, toward), hint[k]);
            vertex.on[k] = add(shape.pos, rotate(&shape.mat, local));
            vertex.id[k] = id;
            hint[k] = Some(id);
        }
        vertex.at = sub(vertex.on[1], vertex.on[0]);
        vertex
    }
}

/// What the search found. It lives on the stack: a step allocates nothing.
#[allow(clippy::large_enum_variant)]
pub(super) enum Outcome {
    /// Farther apart than asked for.
    Far,
    /// Unit direction from the first to the second, nearest points of the cores.
    Apart { normal: Vec3, on: [Vec3; 2] },
    /// The cores overlap; up to four vertices around the origin.
    Overlap { simplex: [Vertex; 4], len: usize },
}

const MOST_STEPS: usize = 80;

/// Barycentric coordinates of the affine hull's point nearest to the origin, for up to three vertices; `None` where they are dependent.
fn project(v: &[Vec3]) -> Option<[f64; 3]> {
    match *v {
        [_] => Some([1.0, 0.0, 0.0]),
        [a, b] => {
            let d = sub(b, a);
            let square = dot(d, d);
            let t = -dot(a, d) / square;
            (square > 0.0).then_some([1.0 - t, t, 0.0])
        }
        [a, b, c] => {
            let (d, e) = (sub(b, a), sub(c, a));
            let n = cross(d, e);
            let square = dot(n, n);
            if square <= MINVAL * dot(d, d) * dot(e, e) {
                return None;
            }
            // Areas of the triangles with the origin's projection.
            let s = dot(cross(e, a), n) / square;
            let t = dot(cross(a, d), n) / square;
            Some([1.0 - s - t, s, t])
        }
        _ => None,
    }
}

/// Keeps the vertices whose hull's point nearest to the origin needs them; returns that point. All four stay where they enclose the origin.
fn reduce(simplex: &mut [Vertex; 4], len: &mut usize, share: &mut [f64; 4]) -> Vec3 {
    if *len == 4 {
        let at = simplex.map(|v| v.at);
        let side = |a: Vec3, b: Vec3, c: Vec3, d: Vec3| {
            let n = cross(sub(b, a), sub(c, a));
            (-dot(n, a)) * dot(n, sub(d, a)) > 0.0
        };
        let [a, b, c, d] = at;
        if side(a, b, c, d) && side(b, c, d, a) && side(c, d, a, b) && side(d, a, b, c) {
            return [0.0; 3];
        }
    }
    let mut best = (f64::INFINITY, [0usize; 3], 0, [0.0; 3], [0.0; 3]);
    for mask in 1usize..1 << *len {
        let count = mask.count_ones() as usize;
        if count > 3 {
            continue;
        }
        let (mut which, mut filled) = ([0; 3], 0);
        for k in (0..*len).filter(|k| mask >> k & 1 == 1) {
            which[filled] = k;
            filled += 1;
        }
        let at = which.map(|k| simplex[k].at);
        let Some(weights) = project(&at[..count]) else { continue };
        if weights[..count].iter().any(|w| *w < 0.0) {
            continue;
        }
        let point = (0..count).fold([0.0; 3], |p, k| add_scaled(p, at[k], weights[k]));
        let square = dot(point, point);
        if square < best.0 {
            best = (square, which, count, weights, point);
        }
    }
    let (_, which, count, weights, point) = best;
    let kept = which.map(|k| simplex[k]);
    for k in 0..count {
        (simplex[k], share[k]) = (kept[k], weights[k]);
    }
    *len = count;
    point
}

/// Looks until the nearest point is known to rounding, or it is clear that the cores are more than `reach` apart, or overlap.
pub(super) fn distance(solids: [&Solid<'_, f64>; 2], reach: f64) -> Outcome {
    let mut hint = [None; 2];
    let start = sub(solids[1].shape.pos, solids[0].shape.pos);
    let first =
        if norm(start) < MINVAL { [1.0, 0.0, 0.0] } else { scale(start, -1.0 / norm(start)) };
    let mut simplex = [Vertex::ZERO; 4];
    let mut share = [1.0, 0.0, 0.0, 0.0];
    simplex[0] = Vertex::farthest(solids, first, &mut hint);
    let mut len = 1;
    let mut nearest = simplex[0].at;
    let size = norm(nearest).max(norm(start));
    let mut proven = f64::NEG_INFINITY;
    for _ in 0..MOST_STEPS {
        let length = norm(nearest);
        if length <= 1e-12 * size {
            return Outcome::Overlap { simplex, len };
        }
        let toward = scale(nearest, -1.0 / length);
        let vertex = Vertex::farthest(solids, toward, &mut hint);
        let bound = -dot(vertex.at, toward);
        proven = proven.max(bound);
        if bound > reach {
            return Outcome::Far;
        }
        let repeated = simplex[..len].iter().any(|v| v.at == vertex.at);
        if repeated || length - bound <= 1e-13 * size {
            break;
        }
        simplex[len] = vertex;
        len += 1;
        let next = reduce(&mut simplex, &mut len, &mut share);
        if len == 4 {
            return Outcome::Overlap { simplex, len };
        }
        if norm(next) >= length {
            break;
        }
        nearest = next;
    }
    if proven < 0.5 * norm(nearest) {
        // Rounding has stopped the search, and nothing shows that the cores are apart.
        return Outcome::Overlap { simplex, len };
    }
    let on =
        [0, 1].map(|k| (0..len).fold([0.0; 3], |p, v| add_scaled(p, simplex[v].on[k], share[v])));
    Outcome::Apart { normal: scale(nearest, 1.0 / norm(nearest)), on }
}
