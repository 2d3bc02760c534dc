//! Principal axes of a symmetric matrix, with the signs and the order that MuJoCo gives them (`mjuu_eig3`).

use super::{Mat3, Quat, Vec3, quaternion};

/// Entries beside the diagonal below this share of the largest entry end the iteration for bodies: rounding.
pub(crate) const OF_BODIES: f64 = 8.0 * f64::EPSILON;
/// The same for meshes: seen in what MuJoCo 4.0.1 leaves in the frames of 300 of them (the largest share that it left was 0.975·10⁻⁷, the
/// smallest that it rotated away 1.028·10⁻⁷).
pub(crate) const OF_MESHES: f64 = 1e-7;
/// Eigenvalues nearer to each other than this are not exchanged.
const NEAR: f64 = 1e-12;

/// Eigenvalues (decreasing) of a symmetric matrix [xx, yy, zz, xy, xz, yz] and the rotation to its axes: Jacobi's rotations of the largest entry
/// beside the diagonal, gathered in a quaternion, until none is above `small` times the largest entry; then quarter turns that sort.
pub(crate) fn principal_axes(s: [f64; 6], small: f64) -> (Vec3, Quat) {
    let full = [s[0], s[3], s[4], s[3], s[1], s[5], s[4], s[5], s[2]];
    let least = small * full.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let mut quat = quaternion::UNIT;
    let mut values = [s[0], s[1], s[2]];
    for _ in 0..500 {
        let d = congruent(&full, &quaternion::matrix(quat));
        values = [d[0], d[4], d[8]];
        let [xy, xz, yz] = [d[1], d[2], d[5]].map(f64::abs);
        let (row, col, axis) = match (xy > xz && xy > yz, xz > yz) {
            (true, _) => (0, 1, 2),
            (false, true) => (0, 2, 1),
            (false, false) => (1, 2, 0),
        };
        let off = d[3 * row + col];
        if off.abs() <= least {
            break;
        }
        let tau = (d[4 * col] - d[4 * row]) / (2.0 * off);
        let root = (1.0 + tau * tau).sqrt();
        let tangent = if tau >= 0.0 { 1.0 / (tau + root) } else { -1.0 / (root - tau) };
        let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
        // Of the half angle, against the sense in which the rows turn into the columns.
        let sine = tangent * cosine / (2.0 * (1.0 + cosine)).sqrt();
        let sine = if axis == 1 { sine } else { -sine };
        let mut turn = [(1.0 - sine * sine).sqrt(), 0.0, 0.0, 0.0];
        turn[1 + axis] = sine;
        quat = quaternion::normalize(quaternion::product(quat, quaternion::normalize(turn)));
    }
    for k in [0, 1, 0] {
        if values[k] + NEAR < values[k + 1] {
            values.swap(k, k + 1);
            let mut turn = [std::f64::consts::FRAC_1_SQRT_2, 0.0, 0.0, 0.0];
            turn[1 + (k + 2) % 3] = turn[0];
            quat = quaternion::normalize(quaternion::product(quat, turn));
        }
    }
    (values, quat)
}

/// Rᵀ·A·R.
fn congruent(a: &Mat3, r: &Mat3) -> Mat3 {
    let product = |x: &dyn Fn(usize, usize) -> f64, y: &dyn Fn(usize, usize) -> f64| -> Mat3 {
        std::array::from_fn(|e| (0..3).map(|k| x(e / 3, k) * y(k, e % 3)).sum())
    };
    let left = product(&|i, j| r[3 * j + i], &|i, j| a[3 * i + j]);
    product(&|i, j| left[3 * i + j], &|i, j| r[3 * i + j])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_rebuild_the_matrix() {
        for (s, want) in [
            ([2.0, 3.0, 1.0, 0.0, 0.0, 0.0], [3.0, 2.0, 1.0]),
            ([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
            ([2.0, 2.0, 3.0, 1.0, 0.0, 0.0], [3.0, 3.0, 1.0]),
            ([4.0, 5.0, 6.0, 0.5, -0.7, 0.3], [6.24, 5.21, 3.56]),
        ] {
            let (values, quat) = principal_axes(s, OF_BODIES);
            let r = quaternion::matrix(quat);
            for (k, (i, j)) in
                [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)].into_iter().enumerate()
            {
                let back: f64 = (0..3).map(|e| values[e] * r[3 * i + e] * r[3 * j + e]).sum();
                assert!((back - s[k]).abs() < 1e-13, "{s:?} {back}");
            }
            for k in 0..3 {
                assert!((values[k] - want[k]).abs() < 0.02, "{values:?}");
            }
        }
    }
}
