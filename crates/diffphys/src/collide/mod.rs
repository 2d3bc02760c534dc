//! Contacts: which pairs may touch, where they do, and how that changes as they move.

mod capsule_box;
mod frame;
pub(crate) mod geometry;
mod pairs;
pub(crate) mod scalar;
mod separation;

use crate::model::{GeomType, Model, Pair};
use crate::spatial::{Mat3, Vec3, dot, sub};
use crate::{Data, Error, Result};
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

/// Calls the rule of a pair; false if there is none.
fn touches<T: Scalar>(
    (t1, a): (GeomType, &Shape<T>),
    (t2, b): (GeomType, &Shape<T>),
    margin: f64,
    out: &mut Touches<T>,
) -> bool {
    use GeomType::{Box, Capsule, Cylinder, Ellipsoid, Plane, Sphere};
    let rule = match (t1, t2) {
        (Plane, Plane) => return true,
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
        _ => return false,
    };
    rule(a, b, margin, out);
    true
}

/// A geom in the world.
fn shape(model: &Model, data: &Data, geom: usize) -> Shape<f64> {
    Shape { pos: data.geom_xpos[geom], mat: data.geom_xmat[geom], size: model.geom_size[geom] }
}

/// May geoms of these two bodies touch at all? Not if they are welded together, parent and child (unless the parent is the world), or excluded.
fn bodies_may_touch(model: &Model, b1: usize, b2: usize) -> bool {
    let (w1, w2) = (model.body_weldid[b1], model.body_weldid[b2]);
    // What is moved from outside does not push what stands still.
    let fixed = |w: usize| model.body_dofnum[w] == 0;
    if w1 == w2 || (fixed(w1) && fixed(w2)) {
        return false;
    }
    if model.opt.filterparent && w1 != 0 && w2 != 0 {
        let parent = |w: usize| model.body_weldid[model.body_parentid[w]];
        if parent(w1) == w2 || parent(w2) == w1 {
            return false;
        }
    }
    !model.exclude.contains(&(b1.min(b2), b1.max(b2)))
}

/// More pairs than this are refused: each is looked at in every step.
const MOST_PAIRS: usize = 4_000_000;

/// Pairs of geoms that may touch, in MuJoCo's order: by bodies, then by geoms; explicit pairs first.
pub(crate) fn candidates(model: &Model) -> Result<Vec<([usize; 2], Option<usize>)>> {
    let mut pairs: Vec<_> = model.pair.iter().enumerate().map(|(k, p)| (p.geom, Some(k))).collect();
    let geoms = |body: usize| {
        let first = model.body_geomadr[body];
        first..first + model.body_geomnum[body]
    };
    for b1 in 0..model.nbody() {
        for b2 in b1 + 1..model.nbody() {
            if !bodies_may_touch(model, b1, b2) {
                continue;
            }
            for g1 in geoms(b1) {
                if pairs.len() > MOST_PAIRS {
                    let what = format!("more than {MOST_PAIRS} pairs of geoms may touch");
                    return Err(Error::invalid("model", what));
                }
                for g2 in geoms(b2) {
                    let bits = model.geom_contype[g1] & model.geom_conaffinity[g2]
                        | model.geom_contype[g2] & model.geom_conaffinity[g1];
                    let listed =
                        model.pair.iter().any(|p| p.geom == [g1, g2] || p.geom == [g2, g1]);
                    if bits != 0 && !listed {
                        let swap = model.geom_type[g1] > model.geom_type[g2];
                        pairs.push((if swap { [g2, g1] } else { [g1, g2] }, None));
                    }
                }
            }
        }
    }
    Ok(pairs)
}

/// Finds all contacts at the present positions (`mj_collision`).
pub(crate) fn collide(model: &Model, data: &mut Data) -> Result<()> {
    data.contact.clear();
    if !model.opt.contact || !model.opt.constraint {
        return Ok(());
    }
    for &(geom, pair) in &model.candidates {
        let [g1, g2] = geom;
        let (margin, gap) = match pair {
            Some(k) => (model.pair[k].margin, model.pair[k].gap),
            None => (
                model.geom_margin[g1] + model.geom_margin[g2],
                model.geom_gap[g1] + model.geom_gap[g2],
            ),
        };
        let reach = margin + gap;
        if far_apart(model, data, g1, g2, reach) {
            continue;
        }
        let (a, b) = (shape(model, data, g1), shape(model, data, g2));
        let mut found = Touches::new();
        let (t1, t2) = (model.geom_type[g1], model.geom_type[g2]);
        if !touches((t1, &a), (t2, &b), reach, &mut found) {
            if separation::separated((t1, &a), (t2, &b), reach) {
                continue;
            }
            return Err(Error::UnsupportedPair {
                geom1: Model::label("geom", &model.geom_names, g1),
                type1: t1.name(),
                geom2: Model::label("geom", &model.geom_names, g2),
                type2: t2.name(),
            });
        }
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
    Ok(())
}

/// Do bounding spheres (or a plane and a sphere) prove that the two are farther apart than `reach`?
fn far_apart(model: &Model, data: &Data, g1: usize, g2: usize, reach: f64) -> bool {
    let (r1, r2) = (model.geom_rbound[g1], model.geom_rbound[g2]);
    let apart = sub(data.geom_xpos[g2], data.geom_xpos[g1]);
    if model.geom_type[g1] == GeomType::Plane {
        let mat = &data.geom_xmat[g1];
        let height = dot(apart, [mat[2], mat[5], mat[8]]);
        model.geom_type[g2] != GeomType::Plane && height > reach + r2
    } else {
        let bound = r1 + r2 + reach;
        dot(apart, apart) > bound * bound || bound < 0.0
    }
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
