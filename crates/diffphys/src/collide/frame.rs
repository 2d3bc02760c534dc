//! The frame of a contact: normal, and tangents by Gram-Schmidt from a preferred direction.

use crate::spatial::{Mat3, Vec3, add_scaled, cross, dot, normalize, scale};

/// The direction that the first tangent is made from: the preferred one, or y, or z where the normal is near y (`mju_makeFrame`).
fn preferred(normal: Vec3, tangent: Vec3) -> Vec3 {
    if dot(tangent, tangent) >= 0.25 {
        tangent
    } else if normal[1] < 0.5 && normal[1] > -0.5 {
        [0.0, 1.0, 0.0]
    } else {
        [0.0, 0.0, 1.0]
    }
}

/// Rows: normal, tangents.
pub(crate) fn frame(normal: Vec3, tangent: Vec3) -> Mat3 {
    let (n, _) = normalize(normal);
    let y = preferred(n, tangent);
    let (t1, _) = normalize(add_scaled(y, n, -dot(n, y)));
    let t2 = cross(n, t1);
    [n[0], n[1], n[2], t1[0], t1[1], t1[2], t2[0], t2[1], t2[2]]
}

/// How fast the frame turns (a rotation vector δθ with ḟ = δθ × f for each row) when its normal and preferred direction move at `dn`, `dy`.
///
/// δθ·t₂ = ṅ·t₁, δθ·t₁ = −ṅ·t₂, δθ·n = ṫ₁·t₂ with t₁ = P·y/‖P·y‖, P = 1 − n·nᵀ.
pub(crate) fn turning(frame: &Mat3, tangent: Vec3, dn: Vec3, dy: Vec3) -> Vec3 {
    let n = [frame[0], frame[1], frame[2]];
    let t1 = [frame[3], frame[4], frame[5]];
    let t2 = [frame[6], frame[7], frame[8]];
    let given = dot(tangent, tangent) >= 0.25;
    let y = preferred(n, tangent);
    let dy = if given { dy } else { [0.0; 3] };
    let length = dot(y, t1);
    let by = if length.abs() < crate::spatial::MINVAL { 0.0 } else { 1.0 / length };
    // ṫ₁·t₂ = (ẏ·t₂ − (n·y)·ṅ·t₂)/‖P·y‖.
    let about_normal = (dot(dy, t2) - dot(n, y) * dot(dn, t2)) * by;
    let turn = scale(t2, dot(dn, t1));
    let turn = add_scaled(turn, t1, -dot(dn, t2));
    add_scaled(turn, n, about_normal)
}
