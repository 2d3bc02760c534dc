//! Contacts of pairs of shapes that have closed forms, one function per pair, with MuJoCo's contact points, normals and order
//! (`engine_collision_primitive`). Each is generic over its scalar, so its derivative is the same code on duals, branches frozen.

use super::scalar::{
    Scalar, V, add, add_scaled, column, cross, dot, normalize, rotate, rotate_back, scale, sub,
};
use crate::spatial::MINVAL;

/// A shape in the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<T> {
    pub(crate) pos: V<T>,
    pub(crate) mat: [T; 9],
    pub(crate) size: V<T>,
}

impl<T: Scalar> Shape<T> {
    /// Without derivatives.
    pub(crate) fn values(&self) -> Shape<f64> {
        Shape {
            pos: self.pos.map(T::value),
            mat: self.mat.map(T::value),
            size: self.size.map(T::value),
        }
    }
}

/// A contact point: normal from the first shape to the second, position halfway between the surfaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touch<T> {
    pub(crate) dist: T,
    pub(crate) pos: V<T>,
    pub(crate) normal: V<T>,
    /// A direction that the first tangent is made from; 0 for none.
    pub(crate) tangent: V<T>,
}

/// Contacts of one pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touches<T> {
    items: [Touch<T>; 8],
    len: usize,
}

impl<T: Scalar> Touches<T> {
    pub(crate) fn new() -> Self {
        let zero = [T::zero(); 3];
        let none = Touch { dist: T::zero(), pos: zero, normal: zero, tangent: zero };
        Self { items: [none; 8], len: 0 }
    }

    pub(crate) fn push(&mut self, touch: Touch<T>) {
        if self.len < self.items.len() {
            self.items[self.len] = touch;
            self.len += 1;
        }
    }

    pub(crate) fn as_slice(&self) -> &[Touch<T>] {
        &self.items[..self.len]
    }

    fn last_mut(&mut self) -> Option<&mut Touch<T>> {
        self.items[..self.len].last_mut()
    }
}

fn none<T: Scalar>() -> V<T> {
    [T::zero(); 3]
}

/// A sphere at `center` over the plane through `at`; false if it is farther than `margin`.
fn half_space<T: Scalar>(
    at: V<T>,
    normal: V<T>,
    center: V<T>,
    radius: T,
    margin: f64,
    out: &mut Touches<T>,
) -> bool {
    let dist = dot(sub(center, at), normal) - radius;
    if dist.value() > margin {
        return false;
    }
    let pos = add_scaled(center, normal, -(radius + dist.times(0.5)));
    out.push(Touch { dist, pos, normal, tangent: none() });
    true
}

/// Two spheres; `fallback` is the normal where the centres coincide.
fn spheres<T: Scalar>(
    (p1, r1): (V<T>, T),
    (p2, r2): (V<T>, T),
    fallback: impl FnOnce() -> V<T>,
    margin: f64,
    out: &mut Touches<T>,
) -> bool {
    let apart = sub(p2, p1);
    let (direction, length) = normalize(apart);
    let dist = length - r1 - r2;
    if dist.value() > margin {
        return false;
    }
    let normal = if length.value() < MINVAL { fallback() } else { direction };
    let pos = add_scaled(p1, normal, r1 + dist.times(0.5));
    out.push(Touch { dist, pos, normal, tangent: none() });
    true
}

/// The normal where the centres of two spheres coincide: across both z axes, as MuJoCo has it.
fn across<T: Scalar>(a: &Shape<T>, b: &Shape<T>) -> V<T> {
    normalize(cross(column(&a.mat, 2), column(&b.mat, 2))).0
}

pub(crate) fn plane_sphere<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    half_space(a.pos, column(&a.mat, 2), b.pos, b.size[0], margin, out);
}

pub(crate) fn plane_capsule<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let axis = column(&b.mat, 2);
    for length in [b.size[1], -b.size[1]] {
        let end = add_scaled(b.pos, axis, length);
        if half_space(a.pos, column(&a.mat, 2), end, b.size[0], margin, out)
            && let Some(touch) = out.last_mut()
        {
            touch.tangent = axis;
        }
    }
}

pub(crate) fn plane_ellipsoid<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let normal = column(&a.mat, 2);
    // The lowest point: −S²·n/‖S·n‖ in the ellipsoid's axes.
    let local = rotate_back(&b.mat, normal);
    let stretched = [local[0] * b.size[0], local[1] * b.size[1], local[2] * b.size[2]];
    let (unit, _) = normalize(stretched);
    let low = [-(unit[0] * b.size[0]), -(unit[1] * b.size[1]), -(unit[2] * b.size[2])];
    let point = add(b.pos, rotate(&b.mat, low));
    half_space(a.pos, normal, point, T::zero(), margin, out);
}

pub(crate) fn plane_cylinder<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let normal = column(&a.mat, 2);
    let mut axis = column(&b.mat, 2);
    let mut down = dot(normal, axis);
    if down.value() > 0.0 {
        axis = scale(axis, T::constant(-1.0));
        down = -down;
    }
    let height = dot(sub(b.pos, a.pos), normal);
    // The direction in the disk that falls steepest; any, where the disk lies flat.
    let slope = sub(scale(axis, down), normal);
    let square = dot(slope, slope);
    let rim = if square.value() < MINVAL * MINVAL {
        scale(column(&b.mat, 0), b.size[0])
    } else {
        scale(slope, b.size[0] / square.sqrt())
    };
    let fall = dot(rim, normal);
    let (axis, down) = (scale(axis, b.size[1]), down * b.size[1]);
    let mut touch = |dist: T, offset: V<T>| {
        let pos = add_scaled(add(b.pos, offset), normal, dist.times(-0.5));
        out.push(Touch { dist, pos, normal, tangent: none() });
    };
    let dist = height + down + fall;
    if dist.value() > margin {
        return;
    }
    touch(dist, add(rim, axis));
    let far = height - down + fall;
    if far.value() <= margin {
        touch(far, sub(rim, axis));
    }
    // Two more on the lower disk, so that the three make an equilateral triangle.
    let side = height + down - fall.times(0.5);
    if side.value() <= margin {
        let (across, _) = normalize(cross(rim, axis));
        let across = scale(across, b.size[0].times(3f64.sqrt() / 2.0));
        let base = add_scaled(axis, rim, T::constant(-0.5));
        touch(side, add(base, across));
        touch(side, sub(base, across));
    }
}

pub(crate) fn plane_box<T: Scalar>(a: &Shape<T>, b: &Shape<T>, margin: f64, out: &mut Touches<T>) {
    let normal = column(&a.mat, 2);
    let height = dot(sub(b.pos, a.pos), normal);
    let mut count = 0;
    for corner in 0..8 {
        let side = |k: usize| if corner >> k & 1 == 1 { b.size[k] } else { -b.size[k] };
        let vertex = rotate(&b.mat, [side(0), side(1), side(2)]);
        let fall = dot(normal, vertex);
        let dist = height + fall;
        if dist.value() > margin || fall.value() > 0.0 {
            continue;
        }
        let pos = add_scaled(add(b.pos, vertex), normal, dist.times(-0.5));
        out.push(Touch { dist, pos, normal, tangent: none() });
        count += 1;
        if count == 4 {
            return;
        }
    }
}

pub(crate) fn sphere_sphere<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    spheres((a.pos, a.size[0]), (b.pos, b.size[0]), || across(a, b), margin, out);
}

pub(crate) fn sphere_capsule<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let axis = column(&b.mat, 2);
    let along = dot(axis, sub(a.pos, b.pos)).clamp_between(-b.size[1], b.size[1]);
    let near = add_scaled(b.pos, axis, along);
    spheres((a.pos, a.size[0]), (near, b.size[0]), || across(a, b), margin, out);
}

pub(crate) fn sphere_cylinder<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let axis = column(&b.mat, 2);
    let apart = sub(a.pos, b.pos);
    let along = dot(axis, apart);
    let on_axis = scale(axis, along);
    let radial = sub(apart, on_axis);
    let square = dot(radial, radial);
    let (radius, height) = (b.size[0], b.size[1]);
    let mut side = along.value().abs() < height.value();
    let mut cap = square.value() < radius.value() * radius.value();
    if side && cap {
        let to_cap = height.value() - along.value().abs();
        let to_side = radius.value() - square.value().sqrt();
        if to_cap < to_side {
            side = false;
        } else {
            cap = false;
        }
    }
    let up = if along.value() > 0.0 { 1.0 } else { -1.0 };
    if side {
        let near = add(b.pos, on_axis);
        spheres((a.pos, a.size[0]), (near, radius), || column(&b.mat, 0), margin, out);
    } else if cap {
        let normal = scale(axis, T::constant(up));
        let at = add_scaled(b.pos, normal, height);
        if half_space(at, normal, a.pos, a.size[0], margin, out)
            && let Some(touch) = out.last_mut()
        {
            touch.normal = scale(normal, T::constant(-1.0));
        }
    } else {
        let rim = scale(radial, radius / square.sqrt());
        let corner = add(add_scaled(b.pos, axis, height.times(up)), rim);
        spheres((a.pos, a.size[0]), (corner, T::zero()), || across(a, b), margin, out);
    }
}

pub(crate) fn sphere_box<T: Scalar>(a: &Shape<T>, b: &Shape<T>, margin: f64, out: &mut Touches<T>) {
    let center = rotate_back(&b.mat, sub(a.pos, b.pos));
    let mut nearest = center;
    for k in 0..3 {
        nearest[k] = center[k].clamp_between(-b.size[k], b.size[k]);
    }
    let radius = a.size[0];
    let (inward, apart) = normalize(sub(nearest, center));
    if apart.value() - radius.value() > margin {
        return;
    }
    let (normal, dist, pos) = if apart.value() <= MINVAL {
        // The centre is inside: out through the nearest face.
        let mut best = (0, 1.0, T::constant(f64::INFINITY));
        for k in 0..3 {
            for sign in [-1.0, 1.0] {
                let gap = (b.size[k].times(sign) - center[k]).times(sign);
                if gap.value().abs() < best.2.value() {
                    best = (k, sign, gap);
                }
            }
        }
        let (k, sign, gap) = best;
        let mut normal = none();
        normal[k] = T::constant(-sign);
        (normal, -gap - radius, add_scaled(center, normal, (radius - gap).times(0.5)))
    } else {
        let deepest = add_scaled(center, inward, radius);
        (inward, apart - radius, scale(add(nearest, deepest), T::constant(0.5)))
    };
    let (pos, normal) = (add(b.pos, rotate(&b.mat, pos)), rotate(&b.mat, normal));
    out.push(Touch { dist, pos, normal, tangent: none() });
}

pub(crate) fn capsule_capsule<T: Scalar>(
    a: &Shape<T>,
    b: &Shape<T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let axis1 = scale(column(&a.mat, 2), a.size[1]);
    let axis2 = scale(column(&b.mat, 2), b.size[1]);
    let apart = sub(a.pos, b.pos);
    // Nearest points a + x₁·axis₁, b + x₂·axis₂: a 2 × 2 system, then the sides of |x| ≤ 1.
    let (ma, mb, mc) = (dot(axis1, axis1), -dot(axis1, axis2), dot(axis2, axis2));
    let (u, v) = (-dot(axis1, apart), dot(axis2, apart));
    let det = ma * mc - mb * mb;
    let one = T::constant(1.0);
    let clip = |x: T| x.clamp_between(-one, one);
    let mut touch = |x1: T, x2: T| {
        let p1 = (add_scaled(a.pos, axis1, x1), a.size[0]);
        let p2 = (add_scaled(b.pos, axis2, x2), b.size[0]);
        spheres(p1, p2, || across(a, b), margin, out)
    };
    if det.value().abs() >= MINVAL {
        let mut x1 = (mc * u - mb * v) / det;
        let mut x2 = (ma * v - mb * u) / det;
        if x1.value() > 1.0 {
            (x1, x2) = (one, (v - mb) / mc);
        } else if x1.value() < -1.0 {
            (x1, x2) = (-one, (v + mb) / mc);
        }
        if x2.value() > 1.0 {
            (x1, x2) = (clip((u - mb) / ma), one);
        } else if x2.value() < -1.0 {
            (x1, x2) = (clip((u + mb) / ma), -one);
        }
        touch(x1, x2);
        return;
    }
    // Parallel: the ends, up to two.
    let mut count = usize::from(touch(one, clip((v - mb) / mc)));
    count += usize::from(touch(-one, clip((v + mb) / mc)));
    if count < 2 {
        count += usize::from(touch(clip((u - mb) / ma), one));
    }
    if count < 2 {
        touch(clip((u + mb) / ma), -one);
    }
}
