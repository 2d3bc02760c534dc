//! Small fixed-size algebra: vectors, rotations and spatial vectors, with MuJoCo's layouts.
//!
//! Matrices of 3 × 3 are row-major; quaternions are (w, x, y, z); spatial vectors are (rotation; translation), forces (torque; force).

pub(crate) mod axes;
pub(crate) mod hyper;
pub(crate) mod motion;
pub(crate) mod quaternion;

pub(crate) use axes::principal_axes;

/// A vector of three.
pub(crate) type Vec3 = [f64; 3];
/// A 3 × 3 matrix, row-major.
pub(crate) type Mat3 = [f64; 9];
/// A quaternion (w, x, y, z).
pub(crate) type Quat = [f64; 4];
/// A spatial vector: (rotation; translation) or (torque; force).
pub(crate) type Spatial = [f64; 6];

/// Below this a length counts as 0, as in MuJoCo (`mjMINVAL`).
pub(crate) const MINVAL: f64 = 1e-15;

/// The identity.
pub(crate) const IDENTITY: Mat3 = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

#[inline]
pub(crate) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline]
pub(crate) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline]
pub(crate) fn scale(a: Vec3, s: f64) -> Vec3 {
    [a[0] * s, a[1] * s, a[2] * s]
}

/// a + s·b.
#[inline]
pub(crate) fn add_scaled(a: Vec3, b: Vec3, s: f64) -> Vec3 {
    [a[0] + b[0] * s, a[1] + b[1] * s, a[2] + b[2] * s]
}

#[inline]
pub(crate) fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
pub(crate) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[inline]
pub(crate) fn norm(a: Vec3) -> f64 {
    dot(a, a).sqrt()
}

/// a / ‖a‖ and ‖a‖; the x axis where ‖a‖ is 0.
#[inline]
pub(crate) fn normalize(a: Vec3) -> (Vec3, f64) {
    let length = norm(a);
    if length < MINVAL { ([1.0, 0.0, 0.0], 0.0) } else { (scale(a, 1.0 / length), length) }
}

/// M·v.
#[inline]
pub(crate) fn rotate(m: &Mat3, v: Vec3) -> Vec3 {
    [
        m[0] * v[0] + m[1] * v[1] + m[2] * v[2],
        m[3] * v[0] + m[4] * v[1] + m[5] * v[2],
        m[6] * v[0] + m[7] * v[1] + m[8] * v[2],
    ]
}

/// Mᵀ·v.
#[inline]
pub(crate) fn rotate_back(m: &Mat3, v: Vec3) -> Vec3 {
    [
        m[0] * v[0] + m[3] * v[1] + m[6] * v[2],
        m[1] * v[0] + m[4] * v[1] + m[7] * v[2],
        m[2] * v[0] + m[5] * v[1] + m[8] * v[2],
    ]
}

/// Column `i` of M.
#[inline]
pub(crate) fn column(m: &Mat3, i: usize) -> Vec3 {
    [m[i], m[3 + i], m[6 + i]]
}

/// The rotational part of a spatial vector.
#[inline]
pub(crate) fn angular(s: &Spatial) -> Vec3 {
    [s[0], s[1], s[2]]
}

/// The translational part of a spatial vector.
#[inline]
pub(crate) fn linear(s: &Spatial) -> Vec3 {
    [s[3], s[4], s[5]]
}

/// A spatial vector from its parts.
#[inline]
pub(crate) fn spatial(rotation: Vec3, translation: Vec3) -> Spatial {
    [rotation[0], rotation[1], rotation[2], translation[0], translation[1], translation[2]]
}
