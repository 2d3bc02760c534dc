//! Two boxes by the separating axis theorem: over the axis of least overlap, either a face of one box with what is left of the other's nearest
//! face when it is clipped at the first one's sides, or a point between two edges. Points, normals and preferences are those of MuJoCo 4.0
//! (`mjc_BoxBox`), found by comparing numbers.

use super::pairs::{Shape, Touch, Touches};
use super::scalar::{
    Scalar, V, add, add_scaled, column, cross, dot, normalize, rotate_back, scale, sub,
};

/// Edges whose directions enclose an angle with a smaller sine than this make no axis.
const PARALLEL: f64 = 1e-6;

/// An edge axis so near to the best face's normal (cosine) must overlap less than the face by this share to be taken.
const NEARLY: f64 = 0.99;
const SHARE: f64 = 0.05;

/// The axes along which two boxes overlap least.
struct Axes {
    /// Box and axis of a face's normal.
    face: (usize, usize),
    /// An edge direction of each box, if less than along the face's normal.
    edges: Option<[usize; 2]>,
}

/// How much the boxes overlap along a unit axis, and the axis' components along the axes of the two.
fn overlap(boxes: [&Shape<f64>; 2], apart: V<f64>, axis: V<f64>) -> f64 {
    let reach: f64 = boxes
        .iter()
        .map(|b| {
            let local = rotate_back(&b.mat, axis);
            (0..3).map(|k| local[k].abs() * b.size[k]).sum::<f64>()
        })
        .sum();
    reach - dot(apart, axis).abs()
}

/// `None` if an axis shows that the boxes are farther apart than the margin.
fn least(boxes: [&Shape<f64>; 2], apart: V<f64>, margin: f64) -> Option<Axes> {
    let (mut face, mut normal, mut least) = ((0, 0), [0.0; 3], f64::INFINITY);
    for of in 0..2 {
        for axis in 0..3 {
            let n = column(&boxes[of].mat, axis);
            let depth = overlap(boxes, apart, n);
            if depth < -margin {
                return None;
            }
            if depth < least {
                (face, normal, least) = ((of, axis), n, depth);
            }
        }
    }
    let (mut edges, mut least_edges) = (None, f64::INFINITY);
    for first in 0..3 {
        for second in 0..3 {
            let across = cross(column(&boxes[0].mat, first), column(&boxes[1].mat, second));
            let (n, length) = normalize(across);
            if length < PARALLEL {
                continue;
            }
            let depth = overlap(boxes, apart, n);
            if depth < -margin {
                return None;
            }
            if depth < least_edges {
                let like_face = dot(n, normal).abs() > NEARLY;
                (edges, least_edges) = (Some((first, second, like_face)), depth);
            }
        }
    }
    match edges {
        Some((first, second, like_face)) => {
            let allowed = if like_face { SHARE } else { 1e-12 } * least.abs();
            let edges = (least_edges < least - allowed).then_some([first, second]);
            Some(Axes { face, edges })
        }
        None => Some(Axes { face, edges: None }),
    }
}

/// A convex polygon with room for what clipping a quadrilateral at four sides can make.
#[derive(Clone, Copy)]
struct Polygon<T> {
    at: [V<T>; 8],
    len: usize,
}

impl<T: Scalar> Polygon<T> {
    fn new() -> Self {
        Self { at: [[T::zero(); 3]; 8], len: 0 }
    }

    fn push(&mut self, point: V<T>) {
        if self.len < self.at.len() {
            self.at[self.len] = point;
            self.len += 1;
        }
    }

    /// What lies where sign·x\[k\] ≤ half (Sutherland and Hodgman).
    fn clip(&self, k: usize, sign: f64, half: T) -> Self {
        let mut out = Self::new();
        let over = |p: &V<T>| p[k].times(sign) - half;
        for i in 0..self.len {
            let (p, q) = (self.at[i], self.at[(i + 1) % self.len]);
            let (from, to) = (over(&p), over(&q));
            let (inside, next) = (from.value() <= 0.0, to.value() <= 0.0);
            if inside != next {
                let mut point = add_scaled(p, sub(q, p), from / (from - to));
                point[k] = half.times(sign);
                out.push(point);
            }
            if next {
                out.push(q);
            }
        }
        out
    }
}

/// The face `axis` of `host`, its outward normal pointing to `other`, against the face of the other box that faces it most.
fn faces<T: Scalar>(
    (host, other): (&Shape<T>, &Shape<T>),
    axis: usize,
    outward: f64,
    margin: f64,
    mut touch: impl FnMut(V<T>, T, V<T>),
) {
    let normal = scale(column(&host.mat, axis), T::constant(outward));
    let along = rotate_back(&other.mat, normal);
    let mut facing = 0;
    for k in 1..3 {
        if along[k].value().abs() > along[facing].value().abs() {
            facing = k;
        }
    }
    let side = if along[facing].value() > 0.0 { -1.0 } else { 1.0 };
    let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
    let (a, b) = ((facing + 1) % 3, (facing + 2) % 3);
    let edge = |k: usize| scale(column(&other.mat, k), other.size[k]);
    let middle = add_scaled(other.pos, edge(facing), T::constant(side));
    let mut polygon = Polygon::new();
    for (s, t) in [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)] {
        let corner = add_scaled(middle, edge(a), T::constant(s));
        let corner = add_scaled(corner, edge(b), T::constant(t));
        polygon.push(rotate_back(&host.mat, sub(corner, host.pos)));
    }
    for k in [u, v] {
        for sign in [1.0, -1.0] {
            polygon = polygon.clip(k, sign, host.size[k]);
        }
    }
    for point in &polygon.at[..polygon.len] {
        let dist = point[axis].times(outward) - host.size[axis];
        if dist.value() <= margin {
            let mut at = *point;
            at[axis] = at[axis] - dist.times(0.5 * outward);
            let mut pos = host.pos;
            for k in 0..3 {
                pos = add_scaled(pos, column(&host.mat, k), at[k]);
            }
            touch(pos, dist, normal);
        }
    }
}

/// The point between the edges of both boxes that are nearest along the unit `normal`, which points from the first to the second, and their
/// distance along it. `None` where the lines of the edges are nearest outside of the edges, and the boxes overlap.
fn edges<T: Scalar>(boxes: [&Shape<T>; 2], which: [usize; 2], normal: V<T>) -> Option<(V<T>, T)> {
    let mut at = [boxes[0].pos, boxes[1].pos];
    for of in 0..2 {
        let local = rotate_back(&boxes[of].mat, normal);
        for k in (0..3).filter(|k| *k != which[of]) {
            let toward = (local[k].value() > 0.0) == (of == 0);
            let side = boxes[of].size[k].times(if toward { 1.0 } else { -1.0 });
            at[of] = add_scaled(at[of], column(&boxes[of].mat, k), side);
        }
    }
    let (d, e) = (column(&boxes[0].mat, which[0]), column(&boxes[1].mat, which[1]));
    let gap = sub(at[1], at[0]);
    let dist = dot(gap, normal);
    let (cosine, one) = (dot(d, e), T::constant(1.0));
    let det = one - cosine * cosine;
    let (p, q) = (dot(gap, d), dot(gap, e));
    let half = [0, 1].map(|k| boxes[k].size[which[k]]);
    let clamp = |x: T, k: usize| x.clamp_between(-half[k], half[k]);
    let free = [(p - cosine * q) / det, (cosine * p - q) / det];
    let inside = (0..2).all(|k| free[k].value().abs() <= half[k].value());
    if !inside && dist.value() < 0.0 {
        return None;
    }
    // Nearest points of two segments: clamp the one, then the other for it, then the one again.
    let s = clamp(free[0], 0);
    let t = clamp(cosine * s - q, 1);
    let s = clamp(cosine * t + p, 0);
    let pos = add(add_scaled(at[0], d, s), add_scaled(at[1], e, t));
    Some((scale(pos, T::constant(0.5)), dist))
}

pub(crate) fn box_box<T: Scalar>(a: &Shape<T>, b: &Shape<T>, margin: f64, out: &mut Touches<T>) {
    let values = [a.values(), b.values()];
    let centers = sub(values[1].pos, values[0].pos);
    let Some(axes) = least([&values[0], &values[1]], centers, margin) else { return };
    let tangent = [T::zero(); 3];
    if let Some([first, second]) = axes.edges {
        let (normal, _) = normalize(cross(column(&a.mat, first), column(&b.mat, second)));
        let sign = if dot(sub(b.pos, a.pos), normal).value() < 0.0 { -1.0 } else { 1.0 };
        let normal = scale(normal, T::constant(sign));
        if let Some((pos, dist)) = edges([a, b], [first, second], normal) {
            if dist.value() <= margin {
                out.push(Touch { dist, pos, normal, tangent });
            }
            return;
        }
    }
    let (of, axis) = axes.face;
    let (host, other) = if of == 0 { (a, b) } else { (b, a) };
    let to_other = dot(sub(other.pos, host.pos), column(&host.mat, axis)).value();
    let outward = if to_other < 0.0 { -1.0 } else { 1.0 };
    let sign = T::constant(if of == 0 { 1.0 } else { -1.0 });
    faces((host, other), axis, outward, margin, |pos, dist, normal| {
        out.push(Touch { dist, pos, normal: scale(normal, sign), tangent });
    });
}
