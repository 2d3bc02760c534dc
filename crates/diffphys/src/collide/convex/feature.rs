//! What of a convex solid's surface a contact lies on: a point, a line, a flat, or a curved part whose point depends on the normal.

use super::super::hull::Hull;
use super::super::pairs::Shape;
use super::super::scalar::{Scalar, V, add_scaled, cross, dot, normalize, scale, sub};
use crate::model::GeomType;
use crate::spatial::Vec3;

/// A convex solid in the world. Balls and capsules are cores (a point, a segment) with a radius around them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Solid<'a, T> {
    pub(crate) kind: GeomType,
    pub(crate) shape: Shape<T>,
    /// The hull of a mesh.
    pub(crate) hull: Option<&'a Hull>,
}

impl<'a, T: Scalar> Solid<'a, T> {
    pub(crate) fn values(&self) -> Solid<'a, f64> {
        Solid { kind: self.kind, shape: self.shape.values(), hull: self.hull }
    }

    /// As a constant.
    pub(crate) fn constant(solid: &Solid<'a, f64>) -> Self {
        let Shape { pos, mat, size } = solid.shape;
        let shape = Shape {
            pos: pos.map(T::constant),
            mat: mat.map(T::constant),
            size: size.map(T::constant),
        };
        Self { kind: solid.kind, shape, hull: solid.hull }
    }

    /// What lies around the core.
    pub(crate) fn radius(&self) -> T {
        match self.kind {
            GeomType::Sphere | GeomType::Capsule => self.shape.size[0],
            _ => T::zero(),
        }
    }
}

/// A part of a solid's core, in its frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Feature {
    /// A ball's centre.
    Center,
    /// An end of a capsule's axis: 1 or −1.
    End(f64),
    /// A capsule's axis.
    Axis,
    /// A box's corner, by the signs of its coordinates.
    Corner(Vec3),
    /// A box's edge through a corner, along an axis.
    BoxEdge(Vec3, usize),
    /// A box's face: axis and side.
    BoxFace(usize, f64),
    /// A hull's vertex.
    Vertex(u32),
    /// A hull's edge.
    HullEdge(u32, u32),
    /// A hull's face.
    HullFace(u32),
    /// A cylinder's circle: upper (1) or lower (−1).
    Rim(f64),
    /// A line of a cylinder's side.
    Side,
    /// A cylinder's flat end.
    Cap(f64),
    /// An ellipsoid's surface.
    Bulge,
}

const NONE: Vec3 = [0.0; 3];

fn constant<T: Scalar>(v: Vec3) -> V<T> {
    v.map(T::constant)
}

impl Feature {
    /// Coordinates on it besides the normal.
    pub(super) fn dimension(&self) -> usize {
        match self {
            Feature::Axis | Feature::BoxEdge(..) | Feature::HullEdge(..) | Feature::Side => 1,
            Feature::BoxFace(..) | Feature::HullFace(_) | Feature::Cap(_) => 2,
            _ => 0,
        }
    }

    /// Unit directions of its coordinates.
    pub(super) fn tangents<T: Scalar>(&self, hull: Option<&Hull>) -> [V<T>; 2] {
        let axis = |k: usize| {
            let mut e = NONE;
            e[k] = 1.0;
            constant(e)
        };
        match *self {
            Feature::Axis | Feature::Side => [axis(2), constant(NONE)],
            Feature::BoxEdge(_, k) => [axis(k), constant(NONE)],
            Feature::BoxFace(k, _) => [axis((k + 1) % 3), axis((k + 2) % 3)],
            Feature::Cap(_) => [axis(0), axis(1)],
            Feature::HullEdge(v, w) => {
                let along = hull.map_or(NONE, |h| normalize(sub(h.vertex(w), h.vertex(v))).0);
                [constant(along), constant(NONE)]
            }
            Feature::HullFace(f) => hull.map_or([constant(NONE); 2], |h| {
                let (u, v) = h.basis(f);
                [constant(u), constant(v)]
            }),
            _ => [constant(NONE); 2],
        }
    }

    /// The point of the outward direction `n` (not 0, in the solid's frame) and coordinates `at`.
    pub(super) fn point<T: Scalar>(&self, solid: &Solid<'_, T>, n: V<T>, at: [T; 2]) -> V<T> {
        let size = &solid.shape.size;
        let base = match *self {
            Feature::Center | Feature::Axis => constant(NONE),
            Feature::End(sign) => [T::zero(), T::zero(), size[1].times(sign)],
            Feature::Corner(c) => [0, 1, 2].map(|k| size[k].times(c[k])),
            Feature::BoxEdge(c, e) => {
                [0, 1, 2].map(|k| size[k].times(if k == e { 0.0 } else { c[k] }))
            }
            Feature::BoxFace(k, sign) => {
                let mut p = constant(NONE);
                p[k] = size[k].times(sign);
                p
            }
            Feature::Vertex(v) | Feature::HullEdge(v, _) => {
                constant(solid.hull.map_or(NONE, |h| h.vertex(v)))
            }
            Feature::HullFace(f) => constant(solid.hull.map_or(NONE, |h| h.origin(f))),
            Feature::Rim(_) | Feature::Side => {
                let length = (n[0] * n[0] + n[1] * n[1]).sqrt();
                let by = size[0] / length;
                let z =
                    if let Feature::Rim(sign) = *self { size[1].times(sign) } else { T::zero() };
                [n[0] * by, n[1] * by, z]
            }
            Feature::Cap(sign) => [T::zero(), T::zero(), size[1].times(sign)],
            Feature::Bulge => {
                let stretched = [0, 1, 2].map(|k| size[k] * n[k]);
                let (unit, _) = normalize(stretched);
                [0, 1, 2].map(|k| size[k] * unit[k])
            }
        };
        let [u, v] = self.tangents(solid.hull);
        match self.dimension() {
            0 => base,
            1 => add_scaled(base, u, at[0]),
            _ => add_scaled(add_scaled(base, u, at[0]), v, at[1]),
        }
    }

    /// Are the coordinates on the feature, up to `slack`?
    pub(super) fn contains(&self, solid: &Solid<'_, f64>, at: [f64; 2], slack: f64) -> bool {
        let size = &solid.shape.size;
        let within = |x: f64, half: f64| x.abs() <= half + slack;
        match *self {
            Feature::Axis | Feature::Side => within(at[0], size[1]),
            Feature::BoxEdge(_, k) => within(at[0], size[k]),
            Feature::BoxFace(k, _) => {
                within(at[0], size[(k + 1) % 3]) && within(at[1], size[(k + 2) % 3])
            }
            Feature::Cap(_) => at[0].hypot(at[1]) <= size[0] + slack,
            Feature::HullEdge(v, w) => solid.hull.is_some_and(|h| {
                let length = normalize(sub(h.vertex(w), h.vertex(v))).1;
                at[0] >= -slack && at[0] <= length + slack
            }),
            Feature::HullFace(f) => solid.hull.is_some_and(|h| h.on_face(f, at, slack)),
            _ => true,
        }
    }

    /// The outward normal of a flat feature, in the solid's frame.
    pub(super) fn normal(&self, hull: Option<&Hull>) -> Option<Vec3> {
        let mut n = NONE;
        match *self {
            Feature::BoxFace(k, sign) => n[k] = sign,
            Feature::Cap(sign) => n[2] = sign,
            Feature::HullFace(f) => n = hull?.normal(f),
            _ => return None,
        }
        Some(n)
    }
}

/// Flats and lines of a mesh in a list of features.
const FLATS: usize = 5;
const LINES: usize = 6;

/// A short list of features.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    at: [Feature; FLATS + LINES + 1],
    len: usize,
}

impl Features {
    fn new() -> Self {
        Self { at: [Feature::Center; FLATS + LINES + 1], len: 0 }
    }

    fn push(&mut self, feature: Feature) {
        if self.len < self.at.len() {
            self.at[self.len] = feature;
            self.len += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[Feature] {
        &self.at[..self.len]
    }
}

/// The N features at the smallest angles, nearest first; of equal ones the first.
struct Nearest<const N: usize> {
    at: [(f64, Feature); N],
    len: usize,
}

impl<const N: usize> Nearest<N> {
    fn new() -> Self {
        Self { at: [(0.0, Feature::Center); N], len: 0 }
    }

    fn insert(&mut self, angle: f64, feature: Feature) {
        let place = self.at[..self.len].partition_point(|other| other.0 <= angle);
        if place < N {
            self.len = (self.len + 1).min(N);
            self.at[place..self.len].rotate_right(1);
            self.at[place] = (angle, feature);
        }
    }

    fn iter(&self) -> impl Iterator<Item = Feature> {
        self.at[..self.len].iter().map(|x| x.1)
    }
}

fn sign(x: f64) -> f64 {
    if x < 0.0 { -1.0 } else { 1.0 }
}

/// The features that the outward unit direction `n` (in the solid's frame) may belong to, within an angle of `slack`: flats first, points last.
pub(super) fn near(solid: &Solid<'_, f64>, n: Vec3, slack: f64) -> Features {
    let mut out = Features::new();
    let across = n[0].hypot(n[1]);
    match solid.kind {
        GeomType::Sphere => out.push(Feature::Center),
        GeomType::Ellipsoid => out.push(Feature::Bulge),
        GeomType::Capsule => {
            if n[2].abs() <= slack {
                out.push(Feature::Axis);
                out.push(Feature::End(-sign(n[2])));
            }
            out.push(Feature::End(sign(n[2])));
        }
        GeomType::Cylinder => {
            if across <= slack {
                out.push(Feature::Cap(sign(n[2])));
            }
            if n[2].abs() <= slack {
                out.push(Feature::Side);
                out.push(Feature::Rim(-sign(n[2])));
            }
            out.push(Feature::Rim(sign(n[2])));
        }
        GeomType::Box => {
            let corner = n.map(sign);
            for k in 0..3 {
                if n[(k + 1) % 3].hypot(n[(k + 2) % 3]) <= slack {
                    out.push(Feature::BoxFace(k, corner[k]));
                }
            }
            for k in 0..3 {
                if n[k].abs() <= slack {
                    out.push(Feature::BoxEdge(corner, k));
                }
            }
            out.push(Feature::Corner(corner));
        }
        GeomType::Mesh => {
            let Some(hull) = solid.hull else { return out };
            let v = hull.support(n, None);
            // A vertex may have any number of faces and edges: the nearest of each, and always the vertex itself.
            let (mut flats, mut lines) = (Nearest::<FLATS>::new(), Nearest::<LINES>::new());
            for &f in hull.faces_of(v) {
                let angle = normalize(cross(hull.normal(f), n)).1;
                if angle <= slack && dot(hull.normal(f), n) > 0.0 {
                    flats.insert(angle, Feature::HullFace(f));
                }
            }
            for &w in hull.neighbors(v) {
                let angle = dot(normalize(sub(hull.vertex(w), hull.vertex(v))).0, n).abs();
                if angle <= slack {
                    lines.insert(angle, Feature::HullEdge(v, w));
                }
            }
            flats.iter().chain(lines.iter()).for_each(|f| out.push(f));
            out.push(Feature::Vertex(v));
        }
        GeomType::Plane => {}
    }
    out
}

/// The farthest point of the core in the outward unit direction `n` of its frame, and a number that tells vertices apart.
pub(super) fn support(solid: &Solid<'_, f64>, n: Vec3, hint: Option<u32>) -> (Vec3, u32) {
    let size = solid.shape.size;
    match solid.kind {
        GeomType::Plane | GeomType::Sphere => (NONE, 0),
        GeomType::Capsule => ([0.0, 0.0, sign(n[2]) * size[1]], u32::from(n[2] < 0.0)),
        GeomType::Ellipsoid => (Feature::Bulge.point(solid, n, [0.0; 2]), u32::MAX),
        GeomType::Cylinder => {
            let length = n[0].hypot(n[1]);
            let by = if length > 1e-15 { size[0] / length } else { 0.0 };
            ([n[0] * by, n[1] * by, sign(n[2]) * size[1]], u32::MAX)
        }
        GeomType::Box => {
            let corner = n.map(sign);
            let bits = (0..3).map(|k| u32::from(corner[k] < 0.0) << k).sum();
            ([0, 1, 2].map(|k| size[k] * corner[k]), bits)
        }
        GeomType::Mesh => match solid.hull {
            None => (NONE, 0),
            Some(hull) => {
                let v = hull.support(n, hint);
                (hull.vertex(v), v)
            }
        },
    }
}

/// Points of a flat feature's border, in the solid's frame: clockwise seen from outside and from where MuJoCo begins (but for hulls), circles as
/// 16 corners.
pub(super) fn border<T: Scalar>(
    feature: Feature,
    solid: &Solid<'_, T>,
    mut push: impl FnMut(V<T>),
) {
    let size = &solid.shape.size;
    match feature {
        Feature::BoxFace(k, side) => {
            let (u, v) = ((k + 1) % 3, (k + 2) % 3);
            const SQUARE: [(f64, f64); 4] = [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)];
            // Where it begins, and on which way.
            let (first, step) = if side > 0.0 { ([0, 2, 1][k], 3) } else { ([3, 3, 0][k], 1) };
            for corner in 0..4 {
                let (s, t) = SQUARE[(first + step * corner) % 4];
                let mut p = constant(NONE);
                p[k] = size[k].times(side);
                p[u] = size[u].times(s);
                p[v] = size[v].times(t);
                push(p);
            }
        }
        Feature::Cap(side) => {
            for k in 0..16 {
                let (sin, cos) = (std::f64::consts::PI / 8.0 * f64::from(k)).sin_cos();
                push([size[0].times(cos), size[0].times(-side * sin), size[1].times(side)]);
            }
        }
        Feature::HullFace(f) => {
            if let Some(hull) = solid.hull {
                for &v in hull.polygon(f).iter().rev() {
                    push(constant(hull.vertex(v)));
                }
            }
        }
        _ => {}
    }
}

/// The ends of a line feature on the solid's surface, in its frame, for the outward direction `n`. A capsule's are its axis's ends, moved along what
/// is across the axis of n times the radius, which is `inflated`.
pub(super) fn ends<T: Scalar>(
    feature: Feature,
    solid: &Solid<'_, T>,
    n: V<T>,
    inflated: f64,
) -> [V<T>; 2] {
    let size = &solid.shape.size;
    let at = |x: T| feature.point(solid, n, [x, T::zero()]);
    match feature {
        Feature::HullEdge(v, w) => {
            [v, w].map(|v| constant(solid.hull.map_or(NONE, |h| h.vertex(v))))
        }
        Feature::BoxEdge(_, k) => [at(size[k]), at(-size[k])],
        Feature::Axis => {
            let radius = size[0] + T::constant(inflated);
            [size[1], -size[1]].map(|end| [n[0] * radius, n[1] * radius, end])
        }
        _ => [at(size[1]), at(-size[1])],
    }
}

/// v turned by 180 degrees.
pub(super) fn reversed<T: Scalar>(v: V<T>) -> V<T> {
    scale(v, T::constant(-1.0))
}
