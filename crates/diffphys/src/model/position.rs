//! Configurations: moving along a velocity, differences, and their tangent maps. Tangents have `nv` numbers; a ball's are body axes.

use super::{JointType, Model};
use crate::Result;
use crate::data::finite;
use crate::error::length;
use crate::spatial::quaternion::{self, conjugate, exponential, logarithm, product};
use crate::spatial::{add, rotate, rotate_back, scale};

/// The quaternion at `at`.
#[inline]
pub(crate) fn quat(q: &[f64], at: usize) -> [f64; 4] {
    quaternion::normalize([q[at], q[at + 1], q[at + 2], q[at + 3]])
}

#[inline]
pub(crate) fn three(v: &[f64], at: usize) -> [f64; 3] {
    [v[at], v[at + 1], v[at + 2]]
}

impl Model {
    /// Where each joint's quaternion and rotational velocity start, if it has one.
    pub(crate) fn rotation(&self, joint: usize) -> Option<(usize, usize)> {
        let (q, v) = (self.jnt_qposadr[joint], self.jnt_dofadr[joint]);
        match self.jnt_type[joint] {
            JointType::Free => Some((q + 3, v + 3)),
            JointType::Ball => Some((q, v)),
            JointType::Slide | JointType::Hinge => None,
        }
    }

    /// q ⊕ h·v: `qpos` moved along the velocity `qvel` for `h` seconds (`mj_integratePos`).
    ///
    /// # Errors
    /// [`crate::Error::Length`]; [`crate::Error::NotFinite`] of an argument, or of the result, which is then of no use.
    pub fn integrate(&self, qpos: &mut [f64], qvel: &[f64], h: f64) -> Result<()> {
        length("integrate", "qpos", qpos.len(), self.nq())?;
        length("integrate", "qvel", qvel.len(), self.nv())?;
        finite("integrate", "qpos", qpos)?;
        finite("integrate", "qvel", qvel)?;
        finite("integrate", "h", &[h])?;
        self.move_along(qpos, qvel, h);
        finite("integrate", "the new qpos", qpos)
    }

    pub(crate) fn move_along(&self, qpos: &mut [f64], qvel: &[f64], h: f64) {
        for joint in 0..self.njnt() {
            let (q, v) = (self.jnt_qposadr[joint], self.jnt_dofadr[joint]);
            match self.jnt_type[joint] {
                JointType::Free => (0..3).for_each(|k| qpos[q + k] += h * qvel[v + k]),
                JointType::Ball => {}
                JointType::Slide | JointType::Hinge => qpos[q] += h * qvel[v],
            }
            if let Some((q, v)) = self.rotation(joint) {
                let turned = product(quat(qpos, q), exponential(scale(three(qvel, v), h)));
                qpos[q..q + 4].copy_from_slice(&quaternion::normalize(turned));
            }
        }
    }

    /// v with q1 ⊕ v = q2 (`mj_differentiatePos` with a time step of 1 s).
    ///
    /// # Errors
    /// [`crate::Error::Length`], [`crate::Error::NotFinite`].
    pub fn difference(&self, q1: &[f64], q2: &[f64], v: &mut [f64]) -> Result<()> {
        length("difference", "q1", q1.len(), self.nq())?;
        length("difference", "q2", q2.len(), self.nq())?;
        length("difference", "v", v.len(), self.nv())?;
        finite("difference", "q1", q1)?;
        finite("difference", "q2", q2)?;
        for joint in 0..self.njnt() {
            let (q, d) = (self.jnt_qposadr[joint], self.jnt_dofadr[joint]);
            match self.jnt_type[joint] {
                JointType::Free => (0..3).for_each(|k| v[d + k] = q2[q + k] - q1[q + k]),
                JointType::Ball => {}
                JointType::Slide | JointType::Hinge => v[d] = q2[q] - q1[q],
            }
            if let Some((q, d)) = self.rotation(joint) {
                let turn = logarithm(product(conjugate(quat(q1, q)), quat(q2, q)));
                v[d..d + 3].copy_from_slice(&turn);
            }
        }
        Ok(())
    }

    /// The derivative of q ⊕ w: dq⁺ = ∂q·dq + ∂w·dw, in tangents. A rotation's are exp(−w)·dq and Jr(w)·dw; all others are sums.
    pub(crate) fn push_position(&self, w: &[f64], dq: &[f64], dw: &[f64], out: &mut [f64]) {
        for k in 0..self.nv() {
            out[k] = dq[k] + dw[k];
        }
        for joint in 0..self.njnt() {
            if let Some((_, v)) = self.rotation(joint) {
                let turn = three(w, v);
                let r = quaternion::matrix(exponential(turn));
                let moved = rotate_back(&r, three(dq, v));
                let own = quaternion::right_jacobian(turn, three(dw, v));
                out[v..v + 3].copy_from_slice(&add(moved, own));
            }
        }
    }

    /// The transpose of `push_position`: adds to `dq` and `dw`.
    pub(crate) fn pull_position(&self, w: &[f64], out: &[f64], dq: &mut [f64], dw: &mut [f64]) {
        for joint in 0..self.njnt() {
            let v = self.jnt_dofadr[joint];
            let plain = match self.jnt_type[joint] {
                JointType::Free => 3,
                JointType::Ball => 0,
                JointType::Slide | JointType::Hinge => 1,
            };
            for k in v..v + plain {
                dq[k] += out[k];
                dw[k] += out[k];
            }
            if let Some((_, v)) = self.rotation(joint) {
                let turn = three(w, v);
                let r = quaternion::matrix(exponential(turn));
                let back = rotate(&r, three(out, v));
                let own = quaternion::right_jacobian_transpose(turn, three(out, v));
                for k in 0..3 {
                    dq[v + k] += back[k];
                    dw[v + k] += own[k];
                }
            }
        }
    }
}

/// Ambient coordinates: quaternions as four numbers, beside tangents, where a rotation is three. A quaternion that is not of unit length
/// stands for itself divided by its length, and derivatives are of that.
impl Model {
    /// A tangent from a change of the ambient coordinates: ω = 2·Im(q⁻¹·dq)/‖q‖ for quaternions.
    pub(crate) fn push_ambient(&self, qpos: &[f64], dq: &[f64], out: &mut [f64]) {
        self.copy_plain(|q, v| out[v] = dq[q]);
        for joint in 0..self.njnt() {
            if let Some((q, v)) = self.rotation(joint) {
                let change = [dq[q], dq[q + 1], dq[q + 2], dq[q + 3]];
                let turn = product(conjugate(quat(qpos, q)), change);
                let by = 2.0 / quaternion_length(qpos, q);
                for k in 0..3 {
                    out[v + k] = by * turn[1 + k];
                }
            }
        }
    }

    /// The transpose of `push_ambient`: from a cotangent in tangents to one of the ambient coordinates.
    pub(crate) fn pull_ambient(&self, qpos: &[f64], tangent: &[f64], out: &mut [f64]) {
        self.copy_plain(|q, v| out[q] = tangent[v]);
        for joint in 0..self.njnt() {
            if let Some((q, v)) = self.rotation(joint) {
                // ⟨2·Im(q⁻¹·dq), c⟩ = 2·⟨dq, q·(0, c)⟩.
                let c = [0.0, tangent[v], tangent[v + 1], tangent[v + 2]];
                let back = product(quat(qpos, q), c);
                let by = 2.0 / quaternion_length(qpos, q);
                for k in 0..4 {
                    out[q + k] = by * back[k];
                }
            }
        }
    }

    /// The change of the ambient coordinates along a tangent: dq = ½·q·(0, ω).
    pub(crate) fn push_tangent(&self, qpos: &[f64], tangent: &[f64], out: &mut [f64]) {
        self.copy_plain(|q, v| out[q] = tangent[v]);
        for joint in 0..self.njnt() {
            if let Some((q, v)) = self.rotation(joint) {
                let w = [0.0, tangent[v], tangent[v + 1], tangent[v + 2]];
                let change = product(quat(qpos, q), w);
                for k in 0..4 {
                    out[q + k] = 0.5 * change[k];
                }
            }
        }
    }

    /// The transpose of `push_tangent`.
    pub(crate) fn pull_tangent(&self, qpos: &[f64], ambient: &[f64], out: &mut [f64]) {
        self.copy_plain(|q, v| out[v] = ambient[q]);
        for joint in 0..self.njnt() {
            if let Some((q, v)) = self.rotation(joint) {
                let c = [ambient[q], ambient[q + 1], ambient[q + 2], ambient[q + 3]];
                let turn = product(conjugate(quat(qpos, q)), c);
                for k in 0..3 {
                    out[v + k] = 0.5 * turn[1 + k];
                }
            }
        }
    }

    /// Visits the coordinates that are their own tangents: (place in qpos, place in qvel).
    fn copy_plain(&self, mut visit: impl FnMut(usize, usize)) {
        for joint in 0..self.njnt() {
            let (q, v) = (self.jnt_qposadr[joint], self.jnt_dofadr[joint]);
            match self.jnt_type[joint] {
                JointType::Free => (0..3).for_each(|k| visit(q + k, v + k)),
                JointType::Ball => {}
                JointType::Slide | JointType::Hinge => visit(q, v),
            }
        }
    }
}

fn quaternion_length(qpos: &[f64], q: usize) -> f64 {
    let square: f64 = qpos[q..q + 4].iter().map(|x| x * x).sum();
    if square > 0.0 { square.sqrt() } else { 1.0 }
}
