//! A position and an orientation.

use crate::spatial::{add, normalize, quaternion, scale, sub};

/// A frame in another: position (m) and orientation (w, x, y, z).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Position, m.
    pub pos: [f64; 3],
    /// Orientation; normalized by the compiler.
    pub quat: [f64; 4],
}

impl Default for Pose {
    fn default() -> Self {
        Self { pos: [0.0; 3], quat: quaternion::UNIT }
    }
}

impl Pose {
    /// `inner`, given in this frame, in the frame that this one is given in. Its orientation is of unit length.
    #[must_use]
    pub fn then(&self, inner: &Pose) -> Pose {
        let quat = quaternion::normalize(self.quat);
        let inner_quat = quaternion::normalize(inner.quat);
        Pose {
            pos: add(self.pos, quaternion::rotate(quat, inner.pos)),
            quat: quaternion::normalize(quaternion::product(quat, inner_quat)),
        }
    }

    /// The frame that this one is given in, seen from this one.
    pub(crate) fn inverse(&self) -> Pose {
        let quat = quaternion::conjugate(quaternion::normalize(self.quat));
        Pose { pos: quaternion::rotate(quat, scale(self.pos, -1.0)), quat }
    }

    /// With an orientation of unit length.
    pub(crate) fn unit(&self) -> Pose {
        Pose { pos: self.pos, quat: quaternion::normalize(self.quat) }
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
