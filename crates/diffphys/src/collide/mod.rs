//! Contacts: which pairs may touch, where they do, and how that changes as they move.

mod box_box;
mod broad;
mod capsule_box;
mod convex;
mod frame;
pub(crate) mod geometry;
mod hull;
mod mesh;
mod pairs;
mod quickhull;
pub(crate) mod scalar;

use crate::Data;
use crate::model::{GeomType, Model, Pair};
use crate::spatial::{Mat3, Vec3};
pub(crate) use broad::{Broad, Candidates, candidates};
use convex::Solid;
pub(crate) use hull::Hull;
pub(crate) use hull::moments;
use pairs::{Shape, Touches};
use scalar::Scalar;

/// A contact point (`mjContact`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contact {
    /// Distance of the surfaces, m; negative in penetration.
    pub dist: f64,
    /// Halfway between the surfaces, m.
    pub pos: Vec3,
    /// Rows: normal from the first geom to the second, two tangents.
    pub frame: Mat3,
    /// Distance under which forces act, m.
    pub includemargin: f64,
    /// Friction: two sliding, torsional, two rolling.
    pub friction: [f64; 5],
    /// Reference.
    pub solref: [f64; 2],
    /// Reference of friction rows of elliptic cones; 0 to use `solref`.
    pub solreffriction: [f64; 2],
    /// Impedance.
    pub solimp: [f64; 5],
    /// Friction of the regularized cone.
    pub mu: f64,
    /// Dimension: 1, 3, 4 or 6.
    pub dim: usize,
    /// The geoms.
    pub geom: [usize; 2],
    /// First row of the contact; `usize::MAX` if it is outside the margin.
    pub efc_address: usize,
    /// Which contact of its pair.
    pub(crate) index: usize,
}

/// Friction is at least this (`mjMINMU`).
const MINMU: f64 = 1e-5;

/// Calls the rule of a pair.
fn touches<T: Scalar>(a: &Solid<'_, T>, b: &Solid<'_, T>, margin: f64, out: &mut Touches<T>) {
    use GeomType::{Box, Capsule, Cylinder, Ellipsoid, Mesh, Plane, Sphere};
    let rule = match (a.kind, b.kind) {
        (Plane, Plane) => return,
        (Plane, Mesh) => return mesh::plane_mesh(a, b, margin, out),
        (Plane, Sphere) => pairs::plane_sphere,
        (Plane, Capsule) => pairs::plane_capsule,
        (Plane, Ellipsoid) => pairs::plane_ellipsoid,
        (Plane, Cylinder) => pairs::plane_cylinder,
        (Plane, Box) => pairs::plane_box,
        (Sphere, Sphere) => pairs::sphere_sphere,
        (Sphere, Capsule) => pairs::sphere_capsule,
        (Sphere, Cylinder) => pairs::sphere_cylinder,
        (Sphere, Box) => pairs::sphere_box,
        (Capsule, Capsule) => pairs::capsule_capsule,
        (Capsule, Box) => capsule_box::capsule_box,
        (Box, Box) => box_box::box_box,
        _ => return convex::convex(a, b, margin, out),
    };
    rule(&a.shape, &b.shape, margin, out);
}

/// A geom in the world.
fn solid<'a>(model: &'a Model, data: &Data, geom: usize) -> Solid<'a, f64> {
    let shape =
        Shape { pos: data.geom_xpos[geom], mat: data.geom_xmat[geom], size: model.geom_size[geom] };
    Solid { kind: model.geom_type[geom], shape, hull: model.mesh.get(model.geom_dataid[geom]) }
}

/// Finds all contacts at the present positions (`mj_collision`).
pub(crate) fn collide(model: &Model, data: &mut Data) {
    data.contact.clear();
    if !model.opt.contact || !model.opt.constraint {
        return;
    }
    let mut broad = std::mem::take(&mut data.scratch.broad);
    broad.look(model, data);
    for &(geom, pair) in broad.near() {
        let [g1, g2] = geom;
        let (margin, gap) = broad::margins(model, geom, pair);
        let reach = margin + gap;
        let (a, b) = (solid(model, data, g1), solid(model, data, g2));
        let mut found = Touches::new();
        touches(&a, &b, reach, &mut found);
        if found.as_slice().is_empty() {
            continue;
        }
        let parameters = match pair {
            Some(k) => model.pair[k],
            None => mixed(model, g1, g2, margin, gap),
        };
        for (index, touch) in found.as_slice().iter().enumerate() {
            data.contact.push(Contact {
                dist: touch.dist,
                pos: touch.pos,
                frame: frame::frame(touch.normal, touch.tangent),
                includemargin: margin,
                friction: parameters.friction.map(|f| f.max(MINMU)),
                solref: parameters.solref,
                solreffriction: parameters.solreffriction,
                solimp: parameters.solimp,
                mu: 0.0,
                dim: parameters.condim,
                geom,
                efc_address: usize::MAX,
                index,
            });
        }
    }
    data.scratch.broad = broad;
}

/// Contact parameters of two geoms (`mj_contactParam`): of the one with priority, else mixed.
pub(crate) fn mixed(model: &Model, g1: usize, g2: usize, margin: f64, gap: f64) -> Pair {
    let friction = |f: Vec3| [f[0], f[0], f[1], f[2], f[2]];
    let of = |g: usize| Pair {
        geom: [g1, g2],
        condim: model.geom_condim[g],
        friction: friction(model.geom_friction[g]),
        solref: model.geom_solref[g],
        solreffriction: [0.0; 2],
        solimp: model.geom_solimp[g],
        margin,
        gap,
    };
    let (p1, p2) = (model.geom_priority[g1], model.geom_priority[g2]);
    if p1 != p2 {
        return of(if p1 > p2 { g1 } else { g2 });
    }
    let mix = mixing(model.geom_solmix[g1], model.geom_solmix[g2]);
    let (a, b) = (of(g1), of(g2));
    let mut pair = a;
    pair.condim = a.condim.max(b.condim);
    for k in 0..5 {
        pair.friction[k] = a.friction[k].max(b.friction[k]);
        pair.solimp[k] = mix * a.solimp[k] + (1.0 - mix) * b.solimp[k];
    }
    // Time constants are mixed; stiffnesses (negative numbers) are not comparable with them, so the smaller number wins.
    let standard = a.solref[0] > 0.0 && b.solref[0] > 0.0;
    for k in 0..2 {
        pair.solref[k] = if standard {
            mix * a.solref[k] + (1.0 - mix) * b.solref[k]
        } else {
            a.solref[k].min(b.solref[k])
        };
    }
    pair
}

/// The share of the first geom in mixed parameters.
pub(crate) fn mixing(m1: f64, m2: f64) -> f64 {
    const LEAST: f64 = crate::spatial::MINVAL;
    match (m1 >= LEAST, m2 >= LEAST) {
        (true, true) => m1 / (m1 + m2),
        (false, false) => 0.5,
        (false, true) => 0.0,
        (true, false) => 1.0,
    }
}

#[cfg(test)]
mod broad_tests;
#[cfg(test)]
mod tests;
