//! Derivatives through contacts: of the relative motion of two bodies at a point that moves, in a frame that turns.
//!
//! For a vector x of joint rates, X_b = Σ S·x is the motion of body b and u(x) the motion of body 2 relative to body 1 at the contact
//! point. Along a displacement with body motions V: δX_b = δ'X_b + V_b × X_b with δ'X_b = Σ_j (X_λ(j) × S_j)·δq_j, the point moves by δp and the
//! frame turns by δθ (`collide::geometry`), so δ(f_k·u) = f_k·(δX₂ − δX₁ at p) + f_k·(ω × δp) + δθ·(f_k × u).

use super::bend::Bends;
use crate::collide::geometry::{Motion, motions};
use crate::constraint::contact_rows;
use crate::model::Cone;
use crate::spatial::motion::{accumulate, accumulate_scaled, at_point, cross_force, wrench};
use crate::spatial::{Spatial, Vec3, add, add_scaled, angular, cross, dot, sub};
use crate::{Contact, Data, Model};

/// How each contact's point, frame and distance move; `None` for contacts without rows that act.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContactMotions {
    pub(crate) list: Vec<Option<Motion>>,
    /// How Jacobians of tendons and moments of actuators move.
    pub(crate) bends: Bends,
    pair: Vec<Motion>,
}

impl ContactMotions {
    pub(crate) fn fill(&mut self, model: &Model, data: &Data) {
        self.bends.fill(model, data);
        self.list.clear();
        self.list.resize(data.contact.len(), None);
        let mut first = 0;
        while first < data.contact.len() {
            let mut next = first + 1;
            while next < data.contact.len() && data.contact[next].index > 0 {
                next += 1;
            }
            let live =
                |c: usize| rows_of(model, &data.contact[c]).any(|row| super::rows::acts(data, row));
            if (first..next).any(live) {
                motions(model, data, first, &mut self.pair);
                for (k, motion) in self.pair.iter().enumerate() {
                    if first + k < next && live(first + k) {
                        self.list[first + k] = Some(*motion);
                    }
                }
            }
            first = next;
        }
    }
}

/// The rows of a contact.
pub(crate) fn rows_of(model: &Model, contact: &Contact) -> std::ops::Range<usize> {
    if contact.efc_address == usize::MAX {
        return 0..0;
    }
    let count = match (contact.dim, model.opt.cone) {
        (1, _) => 1,
        (dim, Cone::Pyramidal) => 2 * (dim - 1),
        (dim, Cone::Elliptic) => dim,
    };
    contact.efc_address..contact.efc_address + count
}

/// Numbers per row, gathered onto the contact's axes: Σ_row weight(row, axis)·value.
pub(crate) fn on_axes(model: &Model, contact: &Contact, value: impl Fn(usize) -> f64) -> [f64; 6] {
    let mut out = [0.0; 6];
    let pyramidal = model.opt.cone == Cone::Pyramidal;
    contact_rows(pyramidal, contact.dim, &contact.friction, |row, axis, weight| {
        out[axis] += weight * value(contact.efc_address + row);
    });
    out
}

/// Row k of the frame.
pub(crate) fn axis(frame: &[f64; 9], k: usize) -> Vec3 {
    [frame[3 * k], frame[3 * k + 1], frame[3 * k + 2]]
}

/// The force and torque with components `c` on the axes.
pub(crate) fn in_world(frame: &[f64; 9], c: &[f64; 6]) -> (Vec3, Vec3) {
    let mut out = ([0.0; 3], [0.0; 3]);
    for k in 0..3 {
        out.0 = add_scaled(out.0, axis(frame, k), c[k]);
        out.1 = add_scaled(out.1, axis(frame, k), c[3 + k]);
    }
    out
}

/// The two bodies of a contact and where the point lies from the origin of each.
pub(crate) struct Sides {
    pub(crate) body: [usize; 2],
    pub(crate) offset: [Vec3; 2],
    pub(crate) geom_offset: [Vec3; 2],
}

impl Sides {
    pub(crate) fn new(model: &Model, data: &Data, contact: &Contact) -> Self {
        let body = contact.geom.map(|g| model.geom_bodyid[g]);
        let origin = body.map(|b| data.subtree_com[model.body_rootid[b]]);
        let at = |k: usize| data.geom_xpos[contact.geom[k]];
        Self {
            body,
            offset: [sub(contact.pos, origin[0]), sub(contact.pos, origin[1])],
            geom_offset: [sub(at(0), origin[0]), sub(at(1), origin[1])],
        }
    }

    /// Relative velocity at the point and relative rotation for motions of bodies.
    pub(crate) fn relative(&self, x: &[Spatial]) -> (Vec3, Vec3) {
        let [b1, b2] = self.body;
        let velocity = sub(at_point(&x[b2], self.offset[1]), at_point(&x[b1], self.offset[0]));
        (velocity, sub(angular(&x[b2]), angular(&x[b1])))
    }

    /// The motion of geom `k` (rotation; translation of its centre) when its body moves by `s`.
    pub(crate) fn geom_motion(&self, k: usize, s: &Spatial) -> Spatial {
        let translation = at_point(s, self.geom_offset[k]);
        crate::spatial::spatial(angular(s), translation)
    }
}

/// Adds the cotangents of one contact. `x` are the body motions for λ, a and v, `axes` the cotangents of u(x) on the contact's axes, `dist` that of the
/// distance. `on_x` and `on_motion` gather forces on the bodies, as cotangents of δ'X and of V. Returns the cotangent of (dist, pos, turn).
pub(crate) fn pull(
    sides: &Sides,
    contact: &Contact,
    motion: &Motion,
    x: [&[Spatial]; 3],
    axes: &[[f64; 6]; 3],
    dist: f64,
    on_x: &mut [Vec<Spatial>; 3],
    on_motion: &mut [Spatial],
) -> [f64; 7] {
    let (mut point, mut turn) = ([0.0; 3], [0.0; 3]);
    for (k, x) in x.iter().enumerate() {
        let (force, torque) = in_world(&contact.frame, &axes[k]);
        let (velocity, rotation) = sides.relative(x);
        point = add(point, cross(force, rotation));
        turn = add(turn, add(cross(force, velocity), cross(torque, rotation)));
        for (side, sign) in [(0, -1.0), (1, 1.0)] {
            let body = sides.body[side];
            let w = wrench(sides.offset[side], force, torque);
            accumulate_scaled(&mut on_x[k][body], &w, sign);
            // (V × X)·w = V·(X ×* w).
            accumulate_scaled(&mut on_motion[body], &cross_force(&x[body], &w), sign);
        }
    }
    let cotangent = [dist, point[0], point[1], point[2], turn[0], turn[1], turn[2]];
    for side in 0..2 {
        let w = motion.pull(side, &cotangent);
        let (torque, force) = ([w[0], w[1], w[2]], [w[3], w[4], w[5]]);
        accumulate(
            &mut on_motion[sides.body[side]],
            &wrench(sides.geom_offset[side], force, torque),
        );
    }
    cotangent
}

/// d(u(x)) on the axes when the point moves by `dp`, the frame turns by `dtheta` and the bodies' X change by `dx` (as relative motion at
/// the point: velocity and rotation).
pub(crate) fn push(
    contact: &Contact,
    (velocity, rotation): (Vec3, Vec3),
    (dvelocity, drotation): (Vec3, Vec3),
    dp: Vec3,
    dtheta: Vec3,
) -> [f64; 6] {
    // δ(f·u) = f·(δu + ω × δp) + δθ·(f × u) = f·(δu + ω × δp + u × δθ).
    let linear = add(add(dvelocity, cross(rotation, dp)), cross(velocity, dtheta));
    let angular = add(drotation, cross(rotation, dtheta));
    let mut out = [0.0; 6];
    for k in 0..contact.dim.min(3) {
        out[k] = dot(axis(&contact.frame, k), linear);
    }
    for k in 3..contact.dim {
        out[k] = dot(axis(&contact.frame, k - 3), angular);
    }
    out
}
