//! Several points where two solids touch along flats or a line lies on a flat, as MuJoCo 4.0 makes them in one pass (`multiccd`): what is left of
//! the one when it is clipped at the sides of the other, at most four points.

use super::feature::{Feature, Solid, border, ends, near, reversed};
use crate::collide::mesh::large;
use crate::collide::scalar::{
    Scalar, V, add, add_scaled, cross, dot, normalize, rotate, rotate_back, scale, sub,
};
use crate::spatial::Vec3;

/// Cosine above which two flats face each other.
const FACING: f64 = 0.996;
/// A line is on a flat where the cosine of it and the normal is less.
const LYING: f64 = 0.0893;

const ROOM: usize = 48;

/// A polygon in the world.
#[derive(Clone, Copy)]
pub(super) struct Polygon<T> {
    at: [V<T>; ROOM],
    len: usize,
}

impl<T: Scalar> Polygon<T> {
    fn new() -> Self {
        Self { at: [[T::zero(); 3]; ROOM], len: 0 }
    }

    fn push(&mut self, point: V<T>) {
        if self.len < ROOM {
            self.at[self.len] = point;
            self.len += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[V<T>] {
        &self.at[..self.len]
    }

    /// Those of its corners that fit, in their order.
    fn only(&self, fits: impl Fn(V<T>) -> bool) -> Self {
        let mut out = Self::new();
        self.as_slice().iter().filter(|p| fits(**p)).for_each(|p| out.push(*p));
        out
    }

    pub(super) fn of(feature: Feature, solid: &Solid<'_, T>) -> Self {
        let mut out = Self::new();
        // A face with many corners is thinned.
        let mut count = 0;
        border(feature, solid, |_| count += 1);
        let stride = count / 32 + 1;
        let mut k = 0;
        border(feature, solid, |p| {
            if k % stride == 0 {
                out.push(add(solid.shape.pos, rotate(&solid.shape.mat, p)));
            }
            k += 1;
        });
        out
    }

    /// What lies on the near side of all planes through this polygon's edges along `normal`. (Sutherland and Hodgman.)
    fn clip(&self, other: Self, normal: V<T>) -> Self {
        let mut rest = other;
        // Either sense of rotation: the middle is inside.
        let middle = self.as_slice().iter().fold([T::zero(); 3], |m, p| add(m, *p));
        let middle = scale(middle, T::constant(1.0 / self.len as f64));
        for e in 0..self.len {
            let (p, q) = (self.at[e], self.at[(e + 1) % self.len]);
            let (side, length) = normalize(cross(sub(q, p), normal));
            if length.value() == 0.0 {
                continue;
            }
            let out = if dot(side, sub(middle, p)).value() > 0.0 { reversed(side) } else { side };
            let over = |x: &V<T>| dot(out, sub(*x, p));
            let mut kept = Self::new();
            let closed = if rest.len == 2 { 1 } else { rest.len };
            if rest.len == 2 && over(&rest.at[0]).value() <= 1e-15 {
                kept.push(rest.at[0]);
            }
            for i in 0..closed {
                let (a, b) = (rest.at[i], rest.at[(i + 1) % rest.len]);
                let (from, to) = (over(&a), over(&b));
                let (inside, next) = (from.value() <= 1e-15, to.value() <= 1e-15);
                if inside != next {
                    kept.push(add_scaled(a, sub(b, a), from / (from - to)));
                }
                if next {
                    kept.push(b);
                }
            }
            rest = kept;
            if rest.len == 0 {
                break;
            }
        }
        rest
    }

    /// Four of its corners with a large area between them: the first, and those that MuJoCo's search finds from the next three on.
    fn four(&self) -> Self {
        let n = self.len;
        if n <= 4 {
            return *self;
        }
        let [b, c, d] = large(n, |k| self.at[k].map(T::value));
        let mut out = Self::new();
        [0, b, c, d].into_iter().for_each(|k| out.push(self.at[k]));
        out
    }
}

/// What touches: two flats, or a line of solid `line` on a flat of the other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patch {
    Flats([Feature; 2]),
    Line { line: usize, feature: [Feature; 2] },
}

fn flat_normal<T: Scalar>(solid: &Solid<'_, T>, feature: Feature) -> V<T> {
    let n = feature.normal(solid.hull).unwrap_or([0.0; 3]);
    rotate(&solid.shape.mat, n.map(T::constant))
}

/// Flats and lines that touch along the unit normal.
pub(super) fn patch(solids: [&Solid<'_, f64>; 2], normal: Vec3) -> Option<Patch> {
    let outward = [normal, reversed(normal)];
    let wide = (2.0 * (1.0 - FACING)).sqrt();
    let lists =
        [0, 1].map(|k| near(solids[k], rotate_back(&solids[k].shape.mat, outward[k]), wide));
    let flat = |k: usize| {
        let flats = lists[k].as_slice().iter().filter(|f| f.dimension() == 2);
        flats.copied().max_by(|f, g| {
            let cosine = |f: Feature| dot(flat_normal(solids[k], f), outward[k]);
            cosine(*f).total_cmp(&cosine(*g))
        })
    };
    let flats = [flat(0), flat(1)];
    if let [Some(f), Some(g)] = flats
        && dot(flat_normal(solids[0], f), flat_normal(solids[1], g)) < -FACING
    {
        return Some(Patch::Flats([f, g]));
    }
    for line in 0..2 {
        let Some(base) = flats[1 - line] else { continue };
        let n = flat_normal(solids[1 - line], base);
        let lying = |f: Feature| {
            let [t, _] = f.tangents::<f64>(solids[line].hull);
            dot(rotate(&solids[line].shape.mat, t), n).abs()
        };
        let lines = lists[line].as_slice().iter().filter(|f| f.dimension() == 1);
        if let Some(f) = lines.copied().min_by(|f, g| lying(*f).total_cmp(&lying(*g)))
            && lying(f) < LYING
        {
            let feature = if line == 0 { [f, base] } else { [base, f] };
            return Some(Patch::Line { line, feature });
        }
    }
    None
}

/// Normal from the first solid to the second, `direction` that of their single contact, if it is unique; calls `visit` with at most four points of
/// the first's surface and their distance from the second's along it, where that is within `margin`.
pub(super) fn points<T: Scalar>(
    solids: [&Solid<'_, T>; 2],
    patch: Patch,
    direction: Option<V<T>>,
    margin: f64,
    mut visit: impl FnMut(V<T>, T),
) -> V<T> {
    match patch {
        Patch::Flats([f, g]) => {
            let (first, second) = (flat_normal(solids[0], f), flat_normal(solids[1], g));
            let (mine, theirs) = (Polygon::of(f, solids[0]), Polygon::of(g, solids[1]));
            let normal = reversed(second);
            let touch = |p: V<T>| {
                let on_first = add_scaled(p, first, dot(first, sub(mine.at[0], p)));
                (on_first, dot(normal, sub(theirs.at[0], on_first)))
            };
            // Of nearly parallel flats only some corners are within the margin: the four are chosen among these.
            let close = mine.clip(theirs, first).only(|p| touch(p).1.value() <= margin);
            for p in close.four().as_slice() {
                let (on_first, dist) = touch(*p);
                visit(on_first, dist);
            }
            normal
        }
        Patch::Line { line, feature } => {
            let flat = 1 - line;
            let outward = flat_normal(solids[flat], feature[flat]);
            let base = Polygon::of(feature[flat], solids[flat]);
            // A capsule's line is where the single contact is, if that is unique; a cylinder's is towards the flat.
            let toward = match (feature[line], direction) {
                (Feature::Axis, Some(n)) if line == 0 => n,
                (Feature::Axis, Some(n)) => reversed(n),
                _ => reversed(outward),
            };
            let local = rotate_back(&solids[line].shape.mat, toward);
            let shape = &solids[line].shape;
            // MuJoCo inflates capsules by half the margin, and then counts it from where the inflated surfaces are.
            let inflated = if feature[line] == Feature::Axis { 0.5 * margin } else { 0.0 };
            let mut segment = Polygon::new();
            for end in ends(feature[line], solids[line], local, inflated) {
                let end = add(shape.pos, rotate(&shape.mat, end));
                segment.push(add_scaled(end, outward, T::constant(inflated)));
            }
            let normal = if line == 0 { reversed(outward) } else { outward };
            let height = |p: V<T>| dot(outward, sub(p, base.at[0]));
            let close = base.clip(segment, outward).only(|p| height(p).value() <= margin);
            // It clips a line as a polygon of two sides, so that an end that is clipped stands there twice; two points are kept.
            let clipped =
                |p: V<T>| segment.as_slice().iter().all(|end| end.map(T::value) != p.map(T::value));
            let again = match close.as_slice() {
                [p] if clipped(*p) => 2,
                _ => 1,
            };
            for p in close.as_slice() {
                let height = height(*p);
                let on_first = if line == 0 { *p } else { add_scaled(*p, outward, -height) };
                (0..again).for_each(|_| visit(on_first, height));
            }
            normal
        }
    }
}
