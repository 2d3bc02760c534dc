//! Derivatives of −h·wᵀ·C·â, C the derivative of the gyroscopic forces of lone free bodies that implicitfast keeps.
//!
//! C(ω)·α = C(α)·ω; of its six numbers only the three forces along the world's axes depend on the position: they turn with the body.

use super::adjoint::Cotangent;
use crate::dynamics::gyroscopic::{force, inertia, rotation};
use crate::spatial::motion::{accumulate_scaled, dot6};
use crate::spatial::{angular, cross, dot, linear};
use crate::{Data, Model};

/// Adds the cotangents of −h·wᵀ·C·â at fixed w and â.
pub(super) fn pull(model: &Model, data: &Data, (w, a): (&[f64], &[f64]), out: &mut Cotangent) {
    let h = model.opt.timestep;
    for &first in &model.free {
        let inertia = inertia(model, data, first);
        let (omega, alpha) = (rotation(data, first, &data.qvel), rotation(data, first, a));
        let mut weight = [0.0; 6];
        for k in first..first + 6 {
            accumulate_scaled(&mut weight, &data.cdof[k], w[k]);
        }
        let along = [w[first], w[first + 1], w[first + 2]];
        let push = linear(&force(inertia, &omega, &alpha));
        for k in first + 3..first + 6 {
            let axis = &data.cdof[k];
            out.qvel[k] -= h * dot6(&weight, &force(inertia, &alpha, axis));
            out.qpos[k] -= h * dot(along, cross(angular(axis), push));
        }
    }
}

/// Adds −h·(∂C)·â to the blocks by positions and velocities.
pub(super) fn push(model: &Model, data: &Data, a: &[f64], [dq, dv, _, _]: [&mut [f64]; 4]) {
    let (nv, h) = (model.nv(), model.opt.timestep);
    for &first in &model.free {
        let inertia = inertia(model, data, first);
        let (omega, alpha) = (rotation(data, first, &data.qvel), rotation(data, first, a));
        let push = linear(&force(inertia, &omega, &alpha));
        for k in first + 3..first + 6 {
            let axis = &data.cdof[k];
            let f = force(inertia, &alpha, axis);
            for i in first..first + 6 {
                dv[i * nv + k] -= h * dot6(&data.cdof[i], &f);
            }
            let turned = cross(angular(axis), push);
            for i in 0..3 {
                dq[(first + i) * nv + k] -= h * turned[i];
            }
        }
    }
}
