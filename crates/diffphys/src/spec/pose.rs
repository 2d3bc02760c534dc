//! A position and an orientation.

use crate::spatial::{add, normalize, quaternion, scale, sub};

/// A frame in another: position (m) and orientation (w, x, y, z).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Position, m.
    pub pos: [f64; 3],
    /// Orientation.
    pub quat: [f64; 4],
}

impl Default for Pose {
    fn default() -> Self {
        Self { pos: [0.0; 3], quat: quaternion::UNIT }
    }
}

impl Pose {
    /// `inner`, given in this frame, in the frame that this one is given in.
    #[must_use]
    pub fn then(&self, inner: &Pose) -> Pose {
        Pose {
            pos: add(self.pos, quaternion::rotate(self.quat, inner.pos)),
            quat: quaternion::product(self.quat, inner.quat),
        }
    }

    /// Midway between two points with z along them, and half their distance. z points from `to` to `from`, as MuJoCo's does.
    #[must_use]
    pub fn between(from: [f64; 3], to: [f64; 3]) -> (Pose, f64) {
        let along = sub(from, to);
        let (_, length) = normalize(along);
        let pose = Pose { pos: scale(add(from, to), 0.5), quat: quaternion::from_z(along) };
        (pose, 0.5 * length)
    }
}
