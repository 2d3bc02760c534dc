//! Tendons: lengths and their derivatives in the positions (`mj_tendon`). Fixed ones are sums of joint positions; spatial ones are strings through
//! sites and around spheres and cylinders.

use super::NO_PARENT;
use super::wrap::{Obstacle, Wrapped};
use crate::model::Wrap;
use crate::spatial::motion::at_point;
use crate::spatial::{Mat3, Vec3, dot, norm, rotate, rotate_back, scale, sub};
use crate::{Data, Model};

/// A part of a string between two points that belong to bodies.
pub(crate) struct Span {
    pub(crate) body: [usize; 2],
    pub(crate) point: [Vec3; 2],
    /// 1 over the pulley's divisor.
    pub(crate) share: f64,
    pub(crate) around: Option<Around>,
}

/// What a span goes around: the geom's body and frame, and the path in that frame.
pub(crate) struct Around {
    pub(crate) body: usize,
    pub(crate) frame: Mat3,
    pub(crate) path: Wrapped,
}

impl Span {
    fn length(&self) -> f64 {
        match &self.around {
            Some(around) => around.path.length,
            None => norm(sub(self.point[1], self.point[0])),
        }
    }

    /// The length's derivatives in both points, in the world, times the share.
    pub(crate) fn pull(&self) -> [Vec3; 2] {
        let pull = match &self.around {
            Some(around) => around.path.pull.map(|n| rotate(&around.frame, n)),
            None => {
                let along = sub(self.point[1], self.point[0]);
                let length = norm(along);
                // A string without length pulls nowhere.
                let by = if length > crate::spatial::MINVAL { 1.0 / length } else { 0.0 };
                [scale(along, -by), scale(along, by)]
            }
        };
        pull.map(|n| scale(n, self.share))
    }
}

/// Visits the spans of a spatial tendon. `with_bend`: the paths' second derivatives are filled.
pub(crate) fn spans(
    model: &Model,
    data: &Data,
    tendon: usize,
    with_bend: bool,
    mut visit: impl FnMut(&Span),
) {
    let path = &model.tendon_path[tendon];
    let mut share = 1.0;
    let mut before: Option<usize> = None;
    let mut obstacle: Option<(usize, Option<usize>)> = None;
    for item in path {
        match *item {
            Wrap::Pulley(divisor) => {
                share = 1.0 / divisor;
                before = None;
            }
            Wrap::Sphere { geom, side } | Wrap::Cylinder { geom, side } => {
                obstacle = Some((geom, side));
            }
            Wrap::Site(site) => {
                if let Some(first) = before {
                    let ends = [first, site];
                    let point = ends.map(|s| data.site_xpos[s]);
                    let around = obstacle.and_then(|o| around(model, data, o, point, with_bend));
                    let body = ends.map(|s| model.site_bodyid[s]);
                    visit(&Span { body, point, share, around });
                }
                before = Some(site);
                obstacle = None;
            }
        }
    }
}

fn around(
    model: &Model,
    data: &Data,
    (geom, side): (usize, Option<usize>),
    point: [Vec3; 2],
    with_bend: bool,
) -> Option<Around> {
    let frame = data.geom_xmat[geom];
    let local = |p: Vec3| rotate_back(&frame, sub(p, data.geom_xpos[geom]));
    let obstacle = Obstacle {
        radius: model.geom_size[geom][0],
        cylinder: model.geom_type[geom] == crate::model::GeomType::Cylinder,
        side: side.map(|s| local(data.site_xpos[s])),
    };
    let path = obstacle.wrap(point.map(local), with_bend)?;
    Some(Around { body: model.geom_bodyid[geom], frame, path })
}

/// `ten_length` and `ten_J` at the present positions. A row of `ten_J` is 0 but for the tendon's degrees of freedom.
pub(crate) fn tendons(model: &Model, data: &mut Data) {
    let nv = model.nv();
    let mut jacobian = std::mem::take(&mut data.ten_J);
    for tendon in 0..model.ntendon() {
        let row = &mut jacobian[tendon * nv..(tendon + 1) * nv];
        for &dof in &model.tendon_dofs[tendon] {
            row[dof] = 0.0;
        }
        let mut length = 0.0;
        for &(joint, coefficient) in &model.tendon_terms[tendon] {
            length += coefficient * data.qpos[model.jnt_qposadr[joint]];
            row[model.jnt_dofadr[joint]] = coefficient;
        }
        spans(model, data, tendon, false, |span| {
            length += span.share * span.length();
            let pull = span.pull();
            for k in 0..2 {
                add_moment(model, data, (span.body[k], span.point[k]), pull[k], row);
                if let Some(around) = &span.around {
                    // The obstacle feels the opposite, on the same line.
                    let force = scale(pull[k], -1.0);
                    add_moment(model, data, (around.body, span.point[k]), force, row);
                }
            }
        });
        data.ten_length[tendon] = length;
    }
    data.ten_J = jacobian;
}

/// Adds the moments of a force at a point of a body.
fn add_moment(
    model: &Model,
    data: &Data,
    (body, point): (usize, Vec3),
    force: Vec3,
    row: &mut [f64],
) {
    let offset = sub(point, data.subtree_com[model.body_rootid[body]]);
    let mut dof = model.last_dof(body);
    while dof != NO_PARENT {
        row[dof] += dot(at_point(&data.cdof[dof], offset), force);
        dof = model.dof_parentid[dof];
    }
}

/// `ten_velocity` at the present velocities.
pub(crate) fn velocities(model: &Model, data: &mut Data) {
    let nv = model.nv();
    for (tendon, dofs) in model.tendon_dofs.iter().enumerate() {
        let row = &data.ten_J[tendon * nv..(tendon + 1) * nv];
        data.ten_velocity[tendon] = dofs.iter().map(|&dof| row[dof] * data.qvel[dof]).sum();
    }
}
