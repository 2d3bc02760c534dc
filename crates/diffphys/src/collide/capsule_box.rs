//! A capsule on a box: the nearest point of the segment, and a second one where the capsule lies along a face or edge, as MuJoCo chooses them
//! (`mjraw_CapsuleBox`, after S. Kolev). Each then is a sphere against the box.

use super::pairs::{Shape, Touches, sphere_box};
use super::scalar::{Scalar, V, add_scaled, column, dot, rotate_back, scale, sub};
use crate::spatial::MINVAL;

/// Where the segment is nearest to the box.
enum Nearest<T> {
    /// An end of the segment (1 or −1) over a face, or inside the box (no face).
    Face { end: f64, face: Option<usize> },
    /// An edge along `axis`, whose lower corner has the bits `corner`: at its lower or upper corner (0, 2) or between (1), x from −1 to 1.
    Edge { axis: usize, corner: usize, place: usize, x: T },
}

/// The capsule in the box's frame.
struct Local<T> {
    pos: V<T>,
    axis: V<T>,
    half: V<T>,
    size: V<T>,
    length: T,
}

impl<T: Scalar> Local<T> {
    fn point(&self, s: T) -> V<T> {
        add_scaled(self.pos, self.half, s)
    }

    /// Bits of the axes along which the capsule points up.
    fn direction(&self) -> usize {
        (0..3).map(|k| usize::from(self.half[k].value() > 0.0) << k).sum()
    }

    /// The nearest feature and the place on the segment, from −1 to 1.
    fn nearest(&self) -> Option<(Nearest<T>, T)> {
        let mut best: Option<(Nearest<T>, T)> = None;
        let mut least = f64::INFINITY;
        for end in [-1.0, 1.0] {
            let point = self.point(T::constant(end));
            let (mut outside, mut square) = (Vec3Sides::default(), 0.0);
            for k in 0..3 {
                let beyond = point[k].value().abs() - self.size[k].value();
                if beyond > 0.0 {
                    outside.count += 1;
                    outside.last = Some(k);
                    square += beyond * beyond;
                }
            }
            if outside.count <= 1 && square < least {
                least = square;
                best = Some((Nearest::Face { end, face: outside.last }, T::constant(end)));
            }
        }
        for axis in 0..3 {
            for corner in (0..8).filter(|c| c >> axis & 1 == 0) {
                let Some((x, s, square)) = self.to_edge(axis, corner) else { continue };
                if square < least - MINVAL {
                    least = square;
                    let place = if x.value() >= 1.0 {
                        2
                    } else if x.value() <= -1.0 {
                        0
                    } else {
                        1
                    };
                    let corner = corner + if place == 2 { 1 << axis } else { 0 };
                    best = Some((Nearest::Edge { axis, corner, place, x }, s));
                }
            }
        }
        best
    }

    /// Nearest points of an edge (x) and the segment (s), both from −1 to 1, and their squared distance; `None` if they are parallel.
    fn to_edge(&self, axis: usize, corner: usize) -> Option<(T, T, f64)> {
        let mut middle = [T::zero(); 3];
        for k in 0..3 {
            let side = if corner >> k & 1 == 1 { self.size[k] } else { -self.size[k] };
            middle[k] = if k == axis { T::zero() } else { side };
        }
        let apart = sub(middle, self.pos);
        let edge = self.size[axis];
        let (ma, mb, mc) = (edge * edge, -(edge * self.half[axis]), self.length * self.length);
        let (u, v) = (-(edge * apart[axis]), dot(self.half, apart));
        let det = ma * mc - mb * mb;
        if det.value().abs() < MINVAL {
            return None;
        }
        let one = T::constant(1.0);
        let clip = |x: T| x.clamp_between(-one, one);
        let (mut x, mut s) = ((mc * u - mb * v) / det, (ma * v - mb * u) / det);
        if x.value() > 1.0 {
            (x, s) = (one, (v - mb) / mc);
        } else if x.value() < -1.0 {
            (x, s) = (-one, (v + mb) / mc);
        }
        if s.value() > 1.0 {
            (x, s) = (clip((u - mb) / ma), one);
        } else if s.value() < -1.0 {
            (x, s) = (clip((u + mb) / ma), -one);
        }
        let mut gap = add_scaled(apart, self.half, -s);
        gap[axis] = gap[axis] + edge * x;
        Some((x, s, dot(gap, gap).value()))
    }

    /// How long the segment runs, in its own units, over the box's extent along axis k.
    fn span(&self, k: usize) -> T {
        self.size[k].times(2.0) / absolute(self.half[k])
    }

    /// From the nearest point to the second one, if there is one.
    fn second(&self, nearest: &Nearest<T>, s: T) -> Option<T> {
        let one = T::constant(1.0);
        match nearest {
            Nearest::Face { end, face } => {
                let face = (*face)?;
                // Towards the other end, as far as it is above the face.
                let toward = -end;
                let start = self.point(T::constant(*end));
                let mut far = T::constant(2.0);
                for k in (0..3).filter(|k| *k != face) {
                    for side in [self.size[k], -self.size[k]] {
                        let reach = (side - start[k]).times(toward) / self.half[k];
                        if reach.value() > 0.0 {
                            far = smaller(far, reach);
                        }
                    }
                }
                Some(far.times(toward))
            }
            Nearest::Edge { axis, corner, place: 1, x } => {
                // Across an edge: along the face that the capsule is flatter to.
                let bits = (self.direction() ^ corner) & (7 - (1 << axis));
                if bits.count_ones() != 1 {
                    return None;
                }
                let (mut a, b) = ((axis + 1) % 3, (axis + 2) % 3);
                if self.axis[a].value().abs() > self.axis[b].value().abs() {
                    a = b;
                }
                let along = 3 - axis - a;
                let up = bits >> along & 1 == 1;
                let mul = if up { 1.0 } else { -1.0 };
                let mut far = smaller(one - s.times(mul), self.span(along));
                let same = (self.direction() >> axis & 1 == 1) == up;
                let rest = if same { one - *x } else { one + *x };
                far = smaller(far, self.size[*axis] * rest / absolute(self.half[*axis]));
                Some(far.times(mul))
            }
            Nearest::Edge { corner, .. } => {
                // At a corner: none if the capsule points to it or from it.
                let mut bits = self.direction() ^ corner;
                let mut mul = 1.0;
                if bits.count_ones() == 2 {
                    bits = 7 - bits;
                    mul = -1.0;
                }
                if bits.count_ones() != 1 {
                    return None;
                }
                let axis = bits.trailing_zeros() as usize;
                let (ahead, behind) = (one - s.times(mul), one + s.times(mul));
                if self.axis[axis].value() * self.axis[axis].value() > 0.5 {
                    // Along the edge.
                    return Some(smaller(ahead, self.span(axis)).times(mul));
                }
                // Along a face.
                let far = smaller(behind, self.span((axis + 1) % 3));
                Some(smaller(far, self.span((axis + 2) % 3)).times(-mul))
            }
        }
    }
}

#[derive(Default)]
struct Vec3Sides {
    count: usize,
    last: Option<usize>,
}

fn smaller<T: Scalar>(a: T, b: T) -> T {
    if b.value() < a.value() { b } else { a }
}

fn absolute<T: Scalar>(x: T) -> T {
    if x.value() < 0.0 { -x } else { x }
}

pub(crate) fn capsule_box<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let axis = rotate_back(&b.mat, column(&a.mat, 2));
    let local = Local {
        pos: rotate_back(&b.mat, sub(a.pos, b.pos)),
        axis,
        half: scale(axis, a.size[1]),
        size: b.size,
        length: a.size[1],
    };
    let Some((nearest, s)) = local.nearest() else { return };
    let world = scale(column(&a.mat, 2), a.size[1]);
    let sphere = |s: T| Shape { pos: add_scaled(a.pos, world, s), mat: a.mat, size: a.size };
    sphere_box(&sphere(s), b, margin, out);
    // It may fall onto the first; MuJoCo lists it then, too.
    if let Some(offset) = local.second(&nearest, s) {
        sphere_box(&sphere(s + offset), b, margin, out);
    }
}
