//! Spatial vectors and inertias in one frame. An inertia is ten numbers: rotational [xx, yy, zz, xy, xz, yz], then m·c, then m.

use super::{Mat3, Spatial, Vec3, add, angular, cross, linear, spatial};

/// A spatial inertia: [xx, yy, zz, xy, xz, yz, m·c (3), m].
pub(crate) type Inertia = [f64; 10];

#[inline]
pub(crate) fn dot6(a: &Spatial, b: &Spatial) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] + a[4] * b[4] + a[5] * b[5]
}

#[inline]
pub(crate) fn add6(a: &Spatial, b: &Spatial) -> Spatial {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]]
}

/// a += b.
#[inline]
pub(crate) fn accumulate(a: &mut Spatial, b: &Spatial) {
    for k in 0..6 {
        a[k] += b[k];
    }
}

/// a += s·b.
#[inline]
pub(crate) fn accumulate_scaled(a: &mut Spatial, b: &Spatial, s: f64) {
    for k in 0..6 {
        a[k] += s * b[k];
    }
}

/// The motion v × m.
#[inline]
pub(crate) fn cross_motion(v: &Spatial, m: &Spatial) -> Spatial {
    let (w, l) = (angular(v), linear(v));
    let (mw, ml) = (angular(m), linear(m));
    spatial(cross(w, mw), add(cross(w, ml), cross(l, mw)))
}

/// The force v ×* f.
#[inline]
pub(crate) fn cross_force(v: &Spatial, f: &Spatial) -> Spatial {
    let (w, l) = (angular(v), linear(v));
    let (t, p) = (angular(f), linear(f));
    spatial(add(cross(w, t), cross(l, p)), cross(w, p))
}

/// I·v.
#[inline]
pub(crate) fn multiply(i: &Inertia, v: &Spatial) -> Spatial {
    [
        i[0] * v[0] + i[3] * v[1] + i[4] * v[2] - i[8] * v[4] + i[7] * v[5],
        i[3] * v[0] + i[1] * v[1] + i[5] * v[2] + i[8] * v[3] - i[6] * v[5],
        i[4] * v[0] + i[5] * v[1] + i[2] * v[2] - i[7] * v[3] + i[6] * v[4],
        i[8] * v[1] - i[7] * v[2] + i[9] * v[3],
        i[6] * v[2] - i[8] * v[0] + i[9] * v[4],
        i[7] * v[0] - i[6] * v[1] + i[9] * v[5],
    ]
}

/// The inertia of a body with principal moments `inertia` in the axes `mat`, mass m, centre of mass at `offset` from the frame's origin.
pub(crate) fn about(inertia: Vec3, mat: &Mat3, offset: Vec3, mass: f64) -> Inertia {
    let full = rotate_inertia(inertia, mat);
    let d = offset;
    [
        full[0] + mass * (d[1] * d[1] + d[2] * d[2]),
        full[1] + mass * (d[0] * d[0] + d[2] * d[2]),
        full[2] + mass * (d[0] * d[0] + d[1] * d[1]),
        full[3] - mass * d[0] * d[1],
        full[4] - mass * d[0] * d[2],
        full[5] - mass * d[1] * d[2],
        mass * d[0],
        mass * d[1],
        mass * d[2],
        mass,
    ]
}

/// R·diag(inertia)·Rᵀ as [xx, yy, zz, xy, xz, yz].
pub(crate) fn rotate_inertia(inertia: Vec3, mat: &Mat3) -> [f64; 6] {
    let term = |i: usize, j: usize| -> f64 {
        (0..3).map(|k| mat[3 * i + k] * inertia[k] * mat[3 * j + k]).sum()
    };
    [term(0, 0), term(1, 1), term(2, 2), term(0, 1), term(0, 2), term(1, 2)]
}

/// The velocity, at a point `offset` away from the origin, of the motion s.
#[inline]
pub(crate) fn at_point(s: &Spatial, offset: Vec3) -> Vec3 {
    add(linear(s), cross(angular(s), offset))
}

/// The spatial force of a force at `offset` and a torque.
#[inline]
pub(crate) fn wrench(offset: Vec3, force: Vec3, torque: Vec3) -> Spatial {
    spatial(add(torque, cross(offset, force)), force)
}

/// The moment vector about a line through `anchor` seen from the origin: (axis; axis × (origin − anchor)).
#[inline]
pub(crate) fn about_axis(axis: Vec3, to_origin: Vec3) -> Spatial {
    spatial(axis, cross(axis, to_origin))
}
