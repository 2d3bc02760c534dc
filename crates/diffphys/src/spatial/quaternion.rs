//! Unit quaternions (w, x, y, z) and the tangent maps of the rotation group.

use super::{Mat3, Quat, Vec3, add, cross, dot, norm, scale};

/// No rotation.
pub(crate) const UNIT: Quat = [1.0, 0.0, 0.0, 0.0];

/// a·b.
#[inline]
pub(crate) fn product(a: Quat, b: Quat) -> Quat {
    [
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    ]
}

/// The inverse of a unit quaternion.
#[inline]
pub(crate) fn conjugate(q: Quat) -> Quat {
    [q[0], -q[1], -q[2], -q[3]]
}

/// q / ‖q‖; no rotation where ‖q‖ is 0.
#[inline]
pub(crate) fn normalize(q: Quat) -> Quat {
    let length = (q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]).sqrt();
    if length < super::MINVAL {
        UNIT
    } else if (length - 1.0).abs() > super::MINVAL {
        q.map(|x| x / length)
    } else {
        q
    }
}

/// The vector rotated by a unit quaternion.
#[inline]
pub(crate) fn rotate(q: Quat, v: Vec3) -> Vec3 {
    let u = [q[1], q[2], q[3]];
    let t = add(scale(v, q[0]), cross(u, v));
    let t = cross(u, t);
    [v[0] + 2.0 * t[0], v[1] + 2.0 * t[1], v[2] + 2.0 * t[2]]
}

/// The matrix of a unit quaternion.
#[inline]
pub(crate) fn matrix(q: Quat) -> Mat3 {
    let [w, x, y, z] = q;
    [
        w * w + x * x - y * y - z * z,
        2.0 * (x * y - w * z),
        2.0 * (x * z + w * y),
        2.0 * (x * y + w * z),
        w * w - x * x + y * y - z * z,
        2.0 * (y * z - w * x),
        2.0 * (x * z - w * y),
        2.0 * (y * z + w * x),
        w * w - x * x - y * y + z * z,
    ]
}

/// The quaternion of a rotation matrix, by its largest component.
pub(crate) fn from_matrix(m: &Mat3) -> Quat {
    let trace = m[0] + m[4] + m[8];
    let q = if trace > 0.0 {
        let w = 0.5 * (1.0 + trace).sqrt();
        [w, 0.25 * (m[7] - m[5]) / w, 0.25 * (m[2] - m[6]) / w, 0.25 * (m[3] - m[1]) / w]
    } else if m[0] > m[4] && m[0] > m[8] {
        let x = 0.5 * (1.0 + m[0] - m[4] - m[8]).sqrt();
        [0.25 * (m[7] - m[5]) / x, x, 0.25 * (m[1] + m[3]) / x, 0.25 * (m[2] + m[6]) / x]
    } else if m[4] > m[8] {
        let y = 0.5 * (1.0 - m[0] + m[4] - m[8]).sqrt();
        [0.25 * (m[2] - m[6]) / y, 0.25 * (m[1] + m[3]) / y, y, 0.25 * (m[5] + m[7]) / y]
    } else {
        let z = 0.5 * (1.0 - m[0] - m[4] + m[8]).sqrt();
        [0.25 * (m[3] - m[1]) / z, 0.25 * (m[2] + m[6]) / z, 0.25 * (m[5] + m[7]) / z, z]
    };
    normalize(q)
}

/// The rotation by `angle` about a unit axis.
#[inline]
pub(crate) fn axis_angle(axis: Vec3, angle: f64) -> Quat {
    if angle == 0.0 {
        return UNIT;
    }
    let (s, c) = (0.5 * angle).sin_cos();
    [c, axis[0] * s, axis[1] * s, axis[2] * s]
}

/// exp: the rotation by ‖w‖ about w.
#[inline]
pub(crate) fn exponential(w: Vec3) -> Quat {
    let angle = norm(w);
    if angle < super::MINVAL { UNIT } else { axis_angle(scale(w, 1.0 / angle), angle) }
}

/// log: w with exp(w) = q and ‖w‖ ≤ π.
pub(crate) fn logarithm(q: Quat) -> Vec3 {
    let axis = [q[1], q[2], q[3]];
    let sine = norm(axis);
    if sine < super::MINVAL {
        return [0.0; 3];
    }
    let mut angle = 2.0 * sine.atan2(q[0]);
    if angle > std::f64::consts::PI {
        angle -= 2.0 * std::f64::consts::PI;
    }
    scale(axis, angle / sine)
}

/// The rotation that turns the z axis into `v`.
pub(crate) fn from_z(v: Vec3) -> Quat {
    let (v, length) = super::normalize(v);
    if length == 0.0 {
        return UNIT;
    }
    let axis = cross([0.0, 0.0, 1.0], v);
    let sine = norm(axis);
    let axis = if sine < 1e-10 { [1.0, 0.0, 0.0] } else { scale(axis, 1.0 / sine) };
    axis_angle(axis, sine.atan2(v[2]))
}

/// Coefficients (a, b) of the right Jacobian of exp: Jr(w) = 1 − a·[w]× + b·[w]×², a = (1 − cos θ)/θ², b = (θ − sin θ)/θ³.
fn right_coefficients(w: Vec3) -> (f64, f64) {
    let t2 = dot(w, w);
    if t2 < 1e-4 {
        (0.5 - t2 / 24.0 + t2 * t2 / 720.0, 1.0 / 6.0 - t2 / 120.0 + t2 * t2 / 5040.0)
    } else {
        let t = t2.sqrt();
        let half = (0.5 * t).sin();
        (2.0 * half * half / t2, (t - t.sin()) / (t2 * t))
    }
}

/// Jr(w)·d: exp(w + d) ≈ exp(w)·exp(Jr(w)·d).
pub(crate) fn right_jacobian(w: Vec3, d: Vec3) -> Vec3 {
    let (a, b) = right_coefficients(w);
    let c = cross(w, d);
    add(super::add_scaled(d, c, -a), scale(cross(w, c), b))
}

/// Jr(w)ᵀ·d.
pub(crate) fn right_jacobian_transpose(w: Vec3, d: Vec3) -> Vec3 {
    right_jacobian(scale(w, -1.0), d)
}

/// Coefficients of Jr⁻¹(w) = 1 + ½[w]× + c·[w]×², c = 1/θ² − cot(θ/2)/(2θ).
fn inverse_coefficient(w: Vec3) -> f64 {
    let t2 = dot(w, w);
    if t2 < 1e-4 {
        1.0 / 12.0 + t2 / 720.0 + t2 * t2 / 30240.0
    } else {
        let t = t2.sqrt();
        1.0 / t2 - 0.5 / (t * (0.5 * t).tan())
    }
}

/// Jr(w)⁻¹·d.
pub(crate) fn right_jacobian_inverse(w: Vec3, d: Vec3) -> Vec3 {
    let c = cross(w, d);
    add(super::add_scaled(d, c, 0.5), scale(cross(w, c), inverse_coefficient(w)))
}

/// Jr(w)⁻ᵀ·d.
pub(crate) fn right_jacobian_inverse_transpose(w: Vec3, d: Vec3) -> Vec3 {
    right_jacobian_inverse(scale(w, -1.0), d)
}

/// The cotangent of w in yᵀ·Jr(w)⁻¹·v, Jr⁻¹·v = v + ½w × v + c·w × (w × v).
pub(crate) fn right_jacobian_inverse_turn(w: Vec3, v: Vec3, y: Vec3) -> Vec3 {
    let t2 = dot(w, w);
    let c = inverse_coefficient(w);
    // c'(θ)/θ.
    let slope = if t2 < 1e-2 {
        1.0 / 360.0 + t2 / 7560.0 + t2 * t2 / 201_600.0
    } else {
        let t = t2.sqrt();
        let (sine, cosine) = (0.5 * t).sin_cos();
        (-2.0 / (t * t2) + 0.5 * cosine / (sine * t2) + 0.25 / (t * sine * sine)) / t
    };
    let wv = cross(w, v);
    let sum = super::add_scaled(cross(wv, y), cross(v, cross(y, w)), 1.0);
    let out = super::add_scaled(scale(cross(v, y), 0.5), sum, c);
    super::add_scaled(out, w, slope * dot(y, cross(w, wv)))
}

#[cfg(test)]
mod tests {
    use super::{right_jacobian_inverse, right_jacobian_inverse_turn};
    use crate::spatial::dot;

    #[test]
    fn the_turn_of_the_inverse_jacobian_is_a_difference_quotient() {
        let (v, y) = ([0.3, -0.7, 0.5], [0.2, 0.9, -0.4]);
        for size in [1e-9, 1e-3, 0.09, 0.11, 1.0, 2.5] {
            let w = [0.6 * size, -0.3 * size, 0.5 * size];
            let got = right_jacobian_inverse_turn(w, v, y);
            for k in 0..3 {
                let at = |s: f64| {
                    let mut moved = w;
                    moved[k] += s;
                    dot(y, right_jacobian_inverse(moved, v))
                };
                let want = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((got[k] - want).abs() < 1e-8, "{size} {k}: {} {want}", got[k]);
            }
        }
    }
}
