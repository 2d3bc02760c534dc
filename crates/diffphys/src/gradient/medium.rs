//! Derivatives of the medium's forces. They turn with the body: seen from it, a displacement changes only the motions before the joint, Λ_λ × S
//! and Ψ̇, and the direction of the wind.

use super::adjoint::Cotangent;
use super::smooth::Motions;
use crate::collide::scalar::Dual;
use crate::dynamics::NO_PARENT;
use crate::dynamics::medium::{Element, SHAPE, each_element};
use crate::model::{GeomType, Parameter};
use crate::spatial::motion::{accumulate, accumulate_scaled, cross_motion, dot6};
use crate::spatial::{Spatial, Vec3, angular, cross, rotate, rotate_back, spatial};
use crate::{Data, Model};

/// Bᵀ·x of the force's derivative B in the local velocity.
fn pull_slopes(force: &[Dual<6>; 6], x: &[f64; 6]) -> [f64; 6] {
    let mut out = [0.0; 6];
    for (f, x) in force.iter().zip(x) {
        for k in 0..6 {
            out[k] += f.slope[k] * x;
        }
    }
    out
}

/// B·x.
pub(crate) fn push_slopes(force: &[Dual<6>; 6], x: &[f64; 6]) -> [f64; 6] {
    force.map(|f| f.slope.iter().zip(x).map(|(a, b)| a * b).sum())
}

/// What implicitfast's form of two motions (w, a) is multiplied by when either changes: wᵀ·B·a on lone free bodies, ½·wᵀ·(B + Bᵀ)·a on others.
fn form_ends(force: &[Dual<6>; 6], x: &[[f64; 6]; 2], lone: bool) -> [[f64; 6]; 2] {
    if lone {
        [push_slopes(force, &x[1]), pull_slopes(force, &x[0])]
    } else {
        [symmetric_slopes(force, &x[1]), symmetric_slopes(force, &x[0])]
    }
}

/// B made symmetric, as implicitfast uses it, times x.
pub(crate) fn symmetric_slopes(force: &[Dual<6>; 6], x: &[f64; 6]) -> [f64; 6] {
    let (a, b) = (push_slopes(force, x), pull_slopes(force, x));
    let mut out = [0.0; 6];
    for k in 0..6 {
        out[k] = 0.5 * (a[k] + b[k]);
    }
    out
}

/// The cotangent of the body's rotation for the cotangent of the local velocity: the wind turns against it.
fn wind(model: &Model, element: &Element, local: &[f64; 6]) -> Vec3 {
    cross(model.opt.wind, rotate(&element.frame, [local[3], local[4], local[5]]))
}

/// Adds the cotangents of λᵀ·(forces of the medium); `bodies` is Σ S·λ.
pub(super) fn pull(
    model: &Model,
    data: &Data,
    bodies: &[Spatial],
    [on_lambda, on_velocity, on_motion]: [&mut [Spatial]; 3],
) {
    each_element(model, data, |element| {
        let body = element.body;
        let force = element.by_velocity(model, data);
        accumulate(&mut on_lambda[body], &element.world(&force.map(|f| f.value)));
        let local = pull_slopes(&force, &element.local(&bodies[body]));
        accumulate(&mut on_velocity[body], &element.world(&local));
        accumulate(&mut on_motion[body], &spatial(wind(model, element, &local), [0.0; 3]));
    });
}

/// Visits the degrees of freedom that move `body`, from it to the world.
fn chain(model: &Model, body: usize, mut visit: impl FnMut(usize)) {
    let mut dof = model.last_dof(body);
    while dof != NO_PARENT {
        visit(dof);
        dof = model.dof_parentid[dof];
    }
}

/// Adds ∂force/∂q and ∂force/∂v.
pub(super) fn add_derivatives(
    model: &Model,
    data: &Data,
    motions: &Motions,
    dq: &mut [f64],
    dv: &mut [f64],
) {
    let nv = model.nv();
    each_element(model, data, |element| {
        let force = element.by_velocity(model, data);
        let w = element.world(&force.map(|f| f.value));
        chain(model, element.body, |j| {
            let s = &data.cdof[j];
            let mut rate = element.local(&motions.psi[j]);
            let blown = rotate_back(&element.frame, cross(angular(s), model.opt.wind));
            for k in 0..3 {
                rate[3 + k] += blown[k];
            }
            let by_q = element.world(&push_slopes(&force, &rate));
            let by_v = element.world(&push_slopes(&force, &element.local(s)));
            chain(model, element.body, |i| {
                let own = &data.cdof[i];
                dq[i * nv + j] += dot6(own, &by_q);
                dv[i * nv + j] += dot6(own, &by_v);
                if i < model.dof_block[j] {
                    dq[i * nv + j] += dot6(&cross_motion(own, s), &w);
                }
            });
        });
    });
}

/// Σ S·x on the way from the world to `body`.
fn along(model: &Model, data: &Data, body: usize, x: &[f64]) -> Spatial {
    let mut out = [0.0; 6];
    chain(model, body, |dof| accumulate_scaled(&mut out, &data.cdof[dof], x[dof]));
    out
}

/// Adds the cotangents of `scale`·wᵀ·D·a, D implicitfast's derivative of the forces in the velocities, at fixed w and a.
pub(super) fn pull_form(
    model: &Model,
    data: &Data,
    psi: &[Spatial],
    (w, a, scale): (&[f64], &[f64], f64),
    out: &mut Cotangent,
) {
    each_element(model, data, |element| {
        let body = element.body;
        let x = [along(model, data, body, w), along(model, data, body, a)];
        let local = [element.local(&x[0]), element.local(&x[1])];
        let force = element.by_velocity(model, data);
        let on = form_ends(&force, &local, model.is_lone(body)).map(|f| element.world(&f));
        let (on_velocity, _) = form_slopes(model, data, element, &local);
        let on_l = element.world(&on_velocity);
        let turn = wind(model, element, &on_velocity);
        let mut left = x;
        chain(model, body, |j| {
            let s = &data.cdof[j];
            let mut sum = dot6(&on_l, &psi[j])
                + angular(s).iter().zip(&turn).map(|(a, b)| a * b).sum::<f64>();
            for (k, rates) in [w, a].into_iter().enumerate() {
                // What comes before the block of j.
                let mut before = left[k];
                for dof in model.dof_block[j]..=j {
                    accumulate_scaled(&mut before, &data.cdof[dof], -rates[dof]);
                }
                sum += dot6(&cross_motion(&before, s), &on[k]);
                accumulate_scaled(&mut left[k], s, -rates[j]);
            }
            out.qpos[j] += scale * sum;
            out.qvel[j] += scale * dot6(&on_l, s);
        });
    });
}

/// The derivatives of ½(x₀ᵀ·B·x₁ + x₁ᵀ·B·x₀), of lone free bodies x₀ᵀ·B·x₁, in the local velocity and the shape.
fn form_slopes(
    model: &Model,
    data: &Data,
    element: &Element,
    x: &[[f64; 6]; 2],
) -> ([f64; 6], [f64; SHAPE]) {
    let (mut velocity, mut shape) = ([0.0; 6], [0.0; SHAPE]);
    let halves = [(0, 1, 0.5), (1, 0, 0.5)];
    let parts: &[_] = if model.is_lone(element.body) { &[(0, 1, 1.0)] } else { &halves };
    for &(row, column, share) in parts {
        let force = element.along(model, data, &x[column]);
        for (f, by) in force.iter().zip(&x[row]) {
            for k in 0..6 {
                velocity[k] += share * by * f.mixed[k];
            }
            for k in 0..SHAPE {
                shape[k] += share * by * f.mixed[6 + k];
            }
        }
    }
    (velocity, shape)
}

/// Adds the cotangents of masses, moments, centres of mass or sizes of geoms, for λ with body motions `bodies`; `form` is (w, a, scale) of an
/// implicit integrator.
pub(super) fn pull_parameter(
    model: &Model,
    data: &Data,
    bodies: &[Spatial],
    form: Option<(&[f64], &[f64], f64)>,
    parameter: Parameter,
    out: &mut [f64],
) {
    let depends =
        [Parameter::BodyMass, Parameter::BodyInertia, Parameter::BodyIpos, Parameter::GeomSize];
    if !depends.contains(&parameter) {
        return;
    }
    each_element(model, data, |element| {
        let body = element.body;
        let lambda = element.local(&bodies[body]);
        let ends = form.map(|(w, a, scale)| {
            let x = [w, a].map(|r| along(model, data, body, r));
            (x, [element.local(&x[0]), element.local(&x[1])], scale)
        });
        if parameter == Parameter::BodyIpos {
            if element.geom.is_none() {
                let out = &mut out[3 * body..3 * body + 3];
                moved(model, data, element, (&bodies[body], &lambda), ends, out);
            }
            return;
        }
        let mut shape = [0.0; SHAPE];
        for (f, by) in element.by_shape(model, data).iter().zip(&lambda) {
            for k in 0..SHAPE {
                shape[k] += by * f.slope[k];
            }
        }
        if let Some((_, x, scale)) = &ends {
            let (_, more) = form_slopes(model, data, element, x);
            for k in 0..SHAPE {
                shape[k] += scale * more[k];
            }
        }
        match (parameter, element.geom) {
            (Parameter::BodyMass, None) => out[body] += shape[0],
            (Parameter::BodyInertia, None) => {
                for k in 0..3 {
                    out[3 * body + k] += shape[1 + k];
                }
            }
            (Parameter::GeomSize, Some(geom)) => {
                let out = &mut out[3 * geom..3 * geom + 3];
                let [a, b, c, _] = shape;
                match model.geom_type[geom] {
                    GeomType::Sphere => out[0] += a + b + c,
                    GeomType::Capsule => {
                        out[0] += a + b + c;
                        out[1] += c;
                    }
                    GeomType::Cylinder => {
                        out[0] += a + b;
                        out[1] += c;
                    }
                    _ => out.iter_mut().zip(shape).for_each(|(o, s)| *o += s),
                }
            }
            _ => {}
        }
    });
}

/// A box whose centre moves in its body: velocities at it change by ω × δp.
fn moved(
    model: &Model,
    data: &Data,
    element: &Element,
    (bodies, lambda): (&Spatial, &[f64; 6]),
    form: Option<([Spatial; 2], [[f64; 6]; 2], f64)>,
    out: &mut [f64],
) {
    let body = element.body;
    let force = element.by_velocity(model, data);
    let linear = |f: &[f64; 6]| rotate(&element.frame, [f[3], f[4], f[5]]);
    // Of u = ω × δp, the cotangent of δp is f × ω.
    let mut on_point = cross(linear(&force.map(|f| f.value)), angular(bodies));
    let mut add = |f: [f64; 6], x: &Spatial, scale: f64| {
        let more = cross(linear(&f), angular(x));
        for k in 0..3 {
            on_point[k] += scale * more[k];
        }
    };
    add(pull_slopes(&force, lambda), &data.cvel[body], 1.0);
    if let Some((x, local, scale)) = form {
        let [first, second] = form_ends(&force, &local, model.is_lone(body));
        add(first, &x[0], scale);
        add(second, &x[1], scale);
        add(form_slopes(model, data, element, &local).0, &data.cvel[body], scale);
    }
    let back = rotate_back(&data.xmat[body], on_point);
    out.iter_mut().zip(back).for_each(|(o, b)| *o += b);
}
