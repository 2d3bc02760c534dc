//! Forces of the medium around bodies (`mj_passive`): by the box of a body's inertia, or by ellipsoids of its geoms (MuJoCo, "Fluid forces").
//!
//! Each is a function of the velocity relative to the medium in the element's own frame, l = (rotation; translation); the laws are generic over
//! a scalar, so that duals give their derivatives.

use crate::collide::scalar::{Dual, Scalar, V, add, cross, dot};
use crate::model::GeomType;
use crate::spatial::hyper::Hyper;
use crate::spatial::motion::{at_point, wrench};
use crate::spatial::{MINVAL, Mat3, Spatial, Vec3, angular, rotate, rotate_back, sub};
use crate::{Data, Model};
use std::f64::consts::PI;

/// What a law depends on beside the velocity: mass and principal moments of a box, or the half axes of an ellipsoid.
pub(crate) const SHAPE: usize = 4;

/// A body, or one of its geoms, in the medium.
pub(crate) struct Element {
    pub(crate) body: usize,
    /// The geom, of an ellipsoid.
    pub(crate) geom: Option<usize>,
    /// Its centre from the origin of the tree, and its axes.
    pub(crate) offset: Vec3,
    pub(crate) frame: Mat3,
}

/// Is there a medium?
pub(crate) fn present(model: &Model) -> bool {
    model.opt.density > 0.0 || model.opt.viscosity > 0.0
}

/// Visits what the medium acts on.
pub(crate) fn each_element(model: &Model, data: &Data, mut visit: impl FnMut(&Element)) {
    if !present(model) {
        return;
    }
    for body in 1..model.nbody() {
        if model.body_mass[body] < MINVAL {
            continue;
        }
        let origin = data.subtree_com[model.body_rootid[body]];
        let first = model.body_geomadr[body];
        let geoms = first..first + model.body_geomnum[body];
        let ellipsoids = geoms.clone().any(|g| model.geom_fluid[g][0] > 0.0);
        if !ellipsoids {
            let offset = sub(data.xipos[body], origin);
            visit(&Element { body, geom: None, offset, frame: data.ximat[body] });
            continue;
        }
        for geom in geoms.filter(|&g| model.geom_fluid[g][0] > 0.0) {
            let offset = sub(data.geom_xpos[geom], origin);
            visit(&Element { body, geom: Some(geom), offset, frame: data.geom_xmat[geom] });
        }
    }
}

impl Element {
    /// A motion of the body in the element's frame.
    pub(crate) fn local(&self, x: &Spatial) -> [f64; 6] {
        let turn = rotate_back(&self.frame, angular(x));
        let velocity = rotate_back(&self.frame, at_point(x, self.offset));
        [turn[0], turn[1], turn[2], velocity[0], velocity[1], velocity[2]]
    }

    /// The transpose of `local`: a torque and force in the element's frame as a spatial force.
    pub(crate) fn world(&self, f: &[f64; 6]) -> Spatial {
        let torque = rotate(&self.frame, [f[0], f[1], f[2]]);
        wrench(self.offset, rotate(&self.frame, [f[3], f[4], f[5]]), torque)
    }

    /// The velocity relative to the medium.
    pub(crate) fn velocity(&self, model: &Model, data: &Data) -> [f64; 6] {
        let mut l = self.local(&data.cvel[self.body]);
        let wind = rotate_back(&self.frame, model.opt.wind);
        for k in 0..3 {
            l[3 + k] -= wind[k];
        }
        l
    }

    /// Mass and moments, or half axes.
    pub(crate) fn shape(&self, model: &Model) -> [f64; SHAPE] {
        match self.geom {
            None => {
                let [a, b, c] = model.body_inertia[self.body];
                [model.body_mass[self.body], a, b, c]
            }
            Some(geom) => {
                let [a, b, c] = half_axes(model.geom_type[geom], model.geom_size[geom]);
                [a, b, c, 0.0]
            }
        }
    }

    /// The torque and force in the element's frame.
    fn law<T: Scalar>(&self, model: &Model, l: [T; 6], shape: [T; SHAPE]) -> [T; 6] {
        let medium = (model.opt.density, model.opt.viscosity);
        match self.geom {
            None => of_box(l, shape, medium),
            Some(geom) => {
                let [a, b, c, _] = shape;
                of_ellipsoid(l, [a, b, c], &model.geom_fluid[geom], medium)
            }
        }
    }

    pub(crate) fn force(&self, model: &Model, data: &Data) -> [f64; 6] {
        self.law(model, self.velocity(model, data), self.shape(model))
    }

    /// The force and its derivatives in l: column k in `slope[k]` of each number.
    pub(crate) fn by_velocity(&self, model: &Model, data: &Data) -> [Dual<6>; 6] {
        let l = self.velocity(model, data);
        let seed = |k: usize| {
            let mut slope = [0.0; 6];
            slope[k] = 1.0;
            Dual { value: l[k], slope }
        };
        let l = [seed(0), seed(1), seed(2), seed(3), seed(4), seed(5)];
        self.law(model, l, self.shape(model).map(Dual::constant))
    }

    /// The force and its derivatives in the shape.
    pub(crate) fn by_shape(&self, model: &Model, data: &Data) -> [Dual<SHAPE>; 6] {
        let values = self.shape(model);
        let seed = |k: usize| {
            let mut slope = [0.0; SHAPE];
            slope[k] = 1.0;
            Dual { value: values[k], slope }
        };
        let shape = [seed(0), seed(1), seed(2), seed(3)];
        self.law(model, self.velocity(model, data).map(Dual::constant), shape)
    }

    /// The force's derivative along `b` in l, and that one's derivatives in l and the shape.
    pub(crate) fn along(
        &self,
        model: &Model,
        data: &Data,
        b: &[f64; 6],
    ) -> [Hyper<{ 6 + SHAPE }>; 6] {
        let (l, shape) = (self.velocity(model, data), self.shape(model));
        let seed = |k: usize, value: f64, along: f64| {
            let mut out = Hyper::constant(value);
            out.along = along;
            out.slope[k] = 1.0;
            out
        };
        let mut at = [Hyper::constant(0.0); 6];
        for k in 0..6 {
            at[k] = seed(k, l[k], b[k]);
        }
        let mut of = [Hyper::constant(0.0); SHAPE];
        for k in 0..SHAPE {
            of[k] = seed(6 + k, shape[k], 0.0);
        }
        self.law(model, at, of)
    }
}

/// The half axes that stand for a shape.
pub(crate) fn half_axes(kind: GeomType, [a, b, c]: [f64; 3]) -> [f64; 3] {
    match kind {
        GeomType::Sphere => [a; 3],
        GeomType::Capsule => [a, a, a + b],
        GeomType::Cylinder => [a, a, b],
        _ => [a, b, c],
    }
}

fn abs<T: Scalar>(x: T) -> T {
    if x.value() < 0.0 { -x } else { x }
}

fn at_least<T: Scalar>(x: T, low: f64) -> T {
    if x.value() < low { T::constant(low) } else { x }
}

fn square<T: Scalar>(x: T) -> T {
    x * x
}

/// Drag of the box with the same mass and moments, and that of Stokes on a sphere of its mean size.
fn of_box<T: Scalar>(l: [T; 6], shape: [T; SHAPE], (density, viscosity): (f64, f64)) -> [T; 6] {
    let [mass, i0, i1, i2] = shape;
    let side = |sum: T| (at_least(sum, MINVAL) / mass).times(6.0).sqrt();
    let size = [side(i1 + i2 - i0), side(i0 + i2 - i1), side(i0 + i1 - i2)];
    let mut out = [T::zero(); 6];
    if viscosity > 0.0 {
        let diameter = (size[0] + size[1] + size[2]).times(1.0 / 3.0);
        let turning = (diameter * diameter * diameter).times(-PI * viscosity);
        let moving = diameter.times(-3.0 * PI * viscosity);
        for k in 0..3 {
            out[k] = turning * l[k];
            out[3 + k] = moving * l[3 + k];
        }
    }
    if density > 0.0 {
        for k in 0..3 {
            let (a, b) = (size[(k + 1) % 3], size[(k + 2) % 3]);
            let fourth = square(square(a)) + square(square(b));
            let torque = (size[k] * fourth).times(density / 64.0);
            out[k] = out[k] - torque * abs(l[k]) * l[k];
            let force = (a * b).times(0.5 * density);
            out[3 + k] = out[3 + k] - force * abs(l[3 + k]) * l[3 + k];
        }
    }
    out
}

/// Added mass, Magnus and Kutta lift, drag and viscous resistance of an ellipsoid. `fluid`: as in MuJoCo's `geom_fluid`.
fn of_ellipsoid<T: Scalar>(
    l: [T; 6],
    size: [T; 3],
    fluid: &[f64; 12],
    (density, viscosity): (f64, f64),
) -> [T; 6] {
    let [strength, blunt, slender, turning, kutta, magnus, ..] = *fluid;
    let (w, v): (V<T>, V<T>) = ([l[0], l[1], l[2]], [l[3], l[4], l[5]]);
    let times = |a: V<T>, by: f64| a.map(|x| x.times(by));
    // Momenta of the medium that moves along.
    let linear = [0, 1, 2].map(|k| v[k].times(density * fluid[6 + k]));
    let angular = [0, 1, 2].map(|k| w[k].times(density * fluid[9 + k]));
    let mut torque = add(cross(linear, v), cross(angular, w));
    let mut force = cross(linear, w);
    let volume = (size[0] * size[1] * size[2]).times(4.0 / 3.0 * PI);
    let lift = cross(w, v).map(|x| x * volume);
    force = add(force, times(lift, magnus * density));
    // The area seen along the velocity: π·√(Σ(bc)⁴v²/Σ(bc)²v²).
    let face = [size[1] * size[2], size[2] * size[0], size[0] * size[1]];
    let normal = [0, 1, 2].map(|k| square(face[k]) * v[k]);
    let steep = dot(normal, normal);
    let flat = dot(normal, v);
    let area = (steep / at_least(flat, MINVAL)).sqrt().times(PI);
    let speed = dot(v, v).sqrt();
    let cosine = flat / at_least(speed * steep, MINVAL);
    let circulation = cross(normal, v).map(|x| (x * cosine * area).times(kutta * density));
    force = add(force, cross(circulation, v));
    let mut sorted = size;
    sorted.sort_by(|a, b| a.value().total_cmp(&b.value()));
    let [_, middle, largest] = sorted;
    let widest = (largest * middle).times(PI);
    let mean = (size[0] + size[1] + size[2]).times(2.0 / 3.0);
    let drag = mean.times(3.0 * PI * viscosity)
        + (speed * (area.times(blunt) + (widest - area).times(slender))).times(density);
    force = [0, 1, 2].map(|k| force[k] - drag * v[k]);
    // Angular drag, by the largest moments about each axis.
    let moment = |axis: T, other: T| (axis * square(square(other))).times(8.0 / 15.0 * PI);
    let most = moment(middle, largest);
    let resisted = [0, 1, 2].map(|k| {
        let (a, b) = (size[(k + 1) % 3], size[(k + 2) % 3]);
        let own = moment(size[k], if a.value() > b.value() { a } else { b });
        w[k] * (own.times(turning) + (most - own).times(slender))
    });
    let drag =
        (mean * mean * mean).times(PI * viscosity) + dot(resisted, resisted).sqrt().times(density);
    torque = [0, 1, 2].map(|k| torque[k] - drag * w[k]);
    let all = [torque[0], torque[1], torque[2], force[0], force[1], force[2]];
    all.map(|x| x.times(strength))
}

/// `geom_fluid` of an ellipsoid with these half axes: its strength, five coefficients, virtual masses and moments (m³, m⁵; Lamb,
/// "Hydrodynamics", art. 114 and 115).
pub(crate) fn coefficients(size: [f64; 3], given: [f64; 5]) -> [f64; 12] {
    let volume = 4.0 / 3.0 * PI * size[0] * size[1] * size[2];
    let kappa = [0, 1, 2].map(|k| kappa([size[k], size[(k + 1) % 3], size[(k + 2) % 3]]));
    let mut out = [0.0; 12];
    out[0] = 1.0;
    out[1..6].copy_from_slice(&given);
    for k in 0..3 {
        out[6 + k] = volume * kappa[k] / (2.0 - kappa[k]).max(1e-14);
        let (a, b) = ((k + 1) % 3, (k + 2) % 3);
        let (aa, bb) = (size[a] * size[a], size[b] * size[b]);
        let below = 2.0 * (aa - bb) + (aa + bb) * (kappa[a] - kappa[b]);
        let difference = (aa - bb) * (aa - bb) * (kappa[b] - kappa[a]).abs();
        out[9 + k] = volume * difference / below.abs().max(1e-14) / 5.0;
    }
    out
}

/// ∫₀^∞ abc/√((a² + t)³(b² + t)(c² + t)) dt by the Gauss-Kronrod rule of 15 points (Piessens et al., "QUADPACK", 1983) in x, t = s·x³/(1 − x)²,
/// with nodes and weights of eight digits, as MuJoCo's compiler has them: the error is some 3·10⁻⁷.
fn kappa([a, b, c]: [f64; 3]) -> f64 {
    const NODES: [f64; 8] =
        [0.5, 0.60389248, 0.70292258, 0.79304362, 0.87076559, 0.93243221, 0.97455396, 0.99572769];
    const WEIGHTS: [f64; 8] = [
        0.10474107, 0.10221647, 0.09517529, 0.08450236, 0.07032663, 0.05239501, 0.03154605,
        0.01146766,
    ];
    let scale = (a * a * a * b * c).powf(0.4);
    let at = |x: f64| {
        let rest = 1.0 - x;
        let t = scale * x * x * x / (rest * rest);
        let dt = scale * x * x * (3.0 - x) / (rest * rest * rest);
        let (fa, fb, fc) = (1.0 + t / (a * a), 1.0 + t / (b * b), 1.0 + t / (c * c));
        dt / (fa * (fa * fb * fc).sqrt())
    };
    let mut sum = WEIGHTS[0] * at(NODES[0]);
    for k in 1..8 {
        sum += WEIGHTS[k] * (at(1.0 - NODES[k]) + at(NODES[k]));
    }
    sum / (a * a)
}

/// Adds the forces of the medium.
pub(crate) fn add_forces(model: &Model, data: &mut Data) {
    if !present(model) {
        return;
    }
    let mut out = std::mem::take(&mut data.qfrc_passive);
    each_element(model, data, |element| {
        let w = element.world(&element.force(model, data));
        let mut dof = model.last_dof(element.body);
        while dof != super::NO_PARENT {
            out[dof] += crate::spatial::motion::dot6(&data.cdof[dof], &w);
            dof = model.dof_parentid[dof];
        }
    });
    data.qfrc_passive = out;
}
