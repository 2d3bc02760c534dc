//! Recursive Newton-Euler: the forces that an acceleration needs (`mj_rne`).

use crate::spatial::motion::{accumulate, accumulate_scaled, add6, cross_force, dot6, multiply};
use crate::spatial::{Spatial, scale, spatial};
use crate::{Data, Model};

/// No degree of freedom before this one.
pub(crate) const NO_PARENT: usize = usize::MAX;

/// C(q, v) + [M·a − armature·a]: `out` = the forces at the present positions and velocities; without `qacc` the bias alone.
///
/// `acceleration` and `force` are scratch, one per body; on return they hold each body's acceleration (gravity as −g of the world) and the
/// force through its joint.
pub(crate) fn rne(
    model: &Model,
    data: &Data,
    qacc: Option<&[f64]>,
    acceleration: &mut [Spatial],
    force: &mut [Spatial],
    out: &mut [f64],
) {
    let gravity = scale(model.opt.gravity_vector(), -1.0);
    acceleration[0] = spatial([0.0; 3], gravity);
    force[0] = [0.0; 6];
    for body in 1..model.nbody() {
        let mut a = acceleration[model.body_parentid[body]];
        let first = model.body_dofadr[body];
        for dof in first..first + model.body_dofnum[body] {
            accumulate_scaled(&mut a, &data.cdof_dot[dof], data.qvel[dof]);
            if let Some(qacc) = qacc {
                accumulate_scaled(&mut a, &data.cdof[dof], qacc[dof]);
            }
        }
        acceleration[body] = a;
        let v = &data.cvel[body];
        let momentum = multiply(&data.cinert[body], v);
        force[body] = add6(&multiply(&data.cinert[body], &a), &cross_force(v, &momentum));
    }
    for body in (1..model.nbody()).rev() {
        let parent = model.body_parentid[body];
        if parent > 0 {
            let own = force[body];
            accumulate(&mut force[parent], &own);
        }
    }
    for dof in 0..model.nv() {
        out[dof] = dot6(&data.cdof[dof], &force[model.dof_bodyid[dof]]);
    }
}
