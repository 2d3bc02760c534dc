//! Equalities of two bodies: `connect` (a common point) and `weld` (a common frame).
//!
//! With points p₁, p₂ fixed in the bodies, and e = q₂⁻¹·q₁·q_rel, the residual is (p₁ − p₂, scale·Im e). Its rate is J·v: (ṗ₁ − ṗ₂,
//! scale/2·(e₀·w − Im e × w)), w = R₂ᵀ·(ω₁ − ω₂).

use crate::dynamics::NO_PARENT;
use crate::model::EqualityType;
use crate::spatial::motion::{accumulate_scaled, at_point};
use crate::spatial::quaternion::{self, conjugate, product};
use crate::spatial::{
    Mat3, Quat, Spatial, Vec3, add, angular, cross, dot, rotate, rotate_back, scale, sub,
};
use crate::{Data, Model};

/// The degrees of freedom that move body `first` or body `second`, decreasing, and which of the two each moves.
pub(crate) struct Both<'a> {
    model: &'a Model,
    at: [usize; 2],
}

impl<'a> Both<'a> {
    pub(crate) fn new(model: &'a Model, [first, second]: [usize; 2]) -> Self {
        Self { model, at: [model.last_dof(first), model.last_dof(second)] }
    }
}

impl Iterator for Both<'_> {
    type Item = (usize, [bool; 2]);

    fn next(&mut self) -> Option<(usize, [bool; 2])> {
        let dof = match self.at {
            [NO_PARENT, NO_PARENT] => return None,
            [NO_PARENT, j] | [j, NO_PARENT] => j,
            [a, b] => a.max(b),
        };
        let moves = self.at.map(|at| at == dof);
        for at in &mut self.at {
            if *at == dof {
                *at = self.model.dof_parentid[dof];
            }
        }
        Some((dof, moves))
    }
}

/// Where a connect or weld is.
pub(crate) struct Attachment {
    pub(crate) body: [usize; 2],
    /// The points, from the origins of the bodies' trees.
    pub(crate) offset: [Vec3; 2],
    gap: Vec3,
    pub(crate) turn: Option<Turn>,
}

/// The rotational part of a weld.
pub(crate) struct Turn {
    /// e.
    pub(crate) error: Quat,
    /// R₂, row-major.
    pub(crate) frame: Mat3,
    /// The torque scale, m.
    pub(crate) scale: f64,
}

/// Is the equality one of two bodies?
pub(crate) fn attaches(model: &Model, id: usize) -> bool {
    matches!(model.eq_type[id], EqualityType::Connect | EqualityType::Weld)
}

impl Attachment {
    pub(crate) fn new(model: &Model, data: &Data, id: usize) -> Self {
        let objects = [model.eq_obj1id[id], model.eq_obj2id[id]];
        let numbers = &model.eq_data[id];
        let weld = model.eq_type[id] == EqualityType::Weld;
        let (body, points, frames) = if model.eq_sites[id] {
            let body = objects.map(|s| model.site_bodyid[s]);
            let frame = |k: usize| product(data.xquat[body[k]], model.site_quat[objects[k]]);
            (body, objects.map(|s| data.site_xpos[s]), [frame(0), frame(1)])
        } else {
            // A weld keeps the anchor in its second body first.
            let at = if weld { [3, 0] } else { [0, 3] };
            let point = |k: usize| {
                let local = [numbers[at[k]], numbers[at[k] + 1], numbers[at[k] + 2]];
                add(data.xpos[objects[k]], rotate(&data.xmat[objects[k]], local))
            };
            let relative = [numbers[6], numbers[7], numbers[8], numbers[9]];
            let first = product(data.xquat[objects[0]], relative);
            (objects, [point(0), point(1)], [first, data.xquat[objects[1]]])
        };
        let origin = body.map(|b| data.subtree_com[model.body_rootid[b]]);
        let turn = weld.then(|| Turn {
            error: product(conjugate(frames[1]), frames[0]),
            frame: quaternion::matrix(frames[1]),
            scale: numbers[10],
        });
        Self {
            body,
            offset: [sub(points[0], origin[0]), sub(points[1], origin[1])],
            gap: sub(points[0], points[1]),
            turn,
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        if self.turn.is_some() { 6 } else { 3 }
    }

    pub(crate) fn residual(&self) -> [f64; 6] {
        let turn = self
            .turn
            .as_ref()
            .map_or([0.0; 3], |t| scale([t.error[1], t.error[2], t.error[3]], t.scale));
        join(self.gap, turn)
    }

    /// The residual's rate when the bodies move by `x`.
    pub(crate) fn rate(&self, x: [&Spatial; 2]) -> [f64; 6] {
        let velocity = sub(at_point(x[0], self.offset[0]), at_point(x[1], self.offset[1]));
        let turn = self.turn.as_ref().map_or([0.0; 3], |t| {
            t.apply(rotate_back(&t.frame, sub(angular(x[0]), angular(x[1]))))
        });
        join(velocity, turn)
    }

    /// J̇·v, for velocities of the bodies and their accelerations without that of the joints.
    pub(crate) fn drift(&self, velocity: [&Spatial; 2], acceleration: [&Spatial; 2]) -> [f64; 6] {
        let at = |k: usize| point_acceleration(velocity[k], acceleration[k], self.offset[k]);
        let turn = self.turn.as_ref().map_or([0.0; 3], |t| {
            let angular_rates = |x: [&Spatial; 2]| x.map(angular);
            t.acceleration(angular_rates(velocity), angular_rates(acceleration))
        });
        join(sub(at(0), at(1)), turn)
    }
}

/// Both halves of a residual.
pub(crate) fn join(a: Vec3, b: Vec3) -> [f64; 6] {
    [a[0], a[1], a[2], b[0], b[1], b[2]]
}

/// The acceleration of a point `offset` away from the origin: a + α × c + ω × (v + ω × c).
pub(crate) fn point_acceleration(velocity: &Spatial, acceleration: &Spatial, offset: Vec3) -> Vec3 {
    let turning = cross(angular(velocity), at_point(velocity, offset));
    add(at_point(acceleration, offset), turning)
}

impl Turn {
    /// scale/2·(e₀·w − Im e × w).
    pub(crate) fn apply(&self, w: Vec3) -> Vec3 {
        let e = self.error;
        scale(sub(scale(w, e[0]), cross([e[1], e[2], e[3]], w)), 0.5 * self.scale)
    }

    /// The second derivative of scale·Im e: scale/2·(e₀·w' − Im e × w' − ½·‖w‖²·Im e), w' = R₂ᵀ·(α₁ − α₂ − ω₂ × (ω₁ − ω₂)).
    pub(crate) fn acceleration(&self, rotation: [Vec3; 2], change: [Vec3; 2]) -> Vec3 {
        let relative = sub(rotation[0], rotation[1]);
        let change = sub(sub(change[0], change[1]), cross(rotation[1], relative));
        let e = self.error;
        let outward = scale([e[1], e[2], e[3]], -0.25 * self.scale * dot(relative, relative));
        add(self.apply(rotate_back(&self.frame, change)), outward)
    }
}

/// The acceleration of a body that comes of velocities alone: Σ Ṡ·v on the way from the world.
pub(crate) fn velocity_acceleration(model: &Model, data: &Data, body: usize) -> Spatial {
    let mut out = [0.0; 6];
    let mut dof = model.last_dof(body);
    while dof != NO_PARENT {
        accumulate_scaled(&mut out, &data.cdof_dot[dof], data.qvel[dof]);
        dof = model.dof_parentid[dof];
    }
    out
}

/// Subtracts J̇·v from the references of an equality's rows, which start at `first`.
pub(crate) fn subtract_drift(model: &Model, data: &mut Data, id: usize, first: usize) {
    let attachment = Attachment::new(model, data, id);
    let [a, b] = attachment.body;
    let change = attachment.body.map(|body| velocity_acceleration(model, data, body));
    let drift = attachment.drift([&data.cvel[a], &data.cvel[b]], [&change[0], &change[1]]);
    for (aref, by) in data.efc.aref[first..].iter_mut().zip(&drift[..attachment.rows()]) {
        *aref -= by;
    }
}
