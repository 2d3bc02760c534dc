//! Masses and inertias of shapes, and of bodies made of them.

use super::meshes::Meshes;
use super::{Body, Geom, InertiaRules, Inertial, Pose};
use crate::model::GeomType;
use crate::spatial::motion::rotate_inertia;
use crate::spatial::{MINVAL, add, add_scaled, axes, principal_axes, quaternion, scale, sub};
use std::f64::consts::PI;

/// The volume, m³, of a shape; 0 for planes.
pub(crate) fn volume(kind: GeomType, [a, b, c]: [f64; 3]) -> f64 {
    match kind {
        // A mesh says its own.
        GeomType::Plane | GeomType::Mesh => 0.0,
        GeomType::Sphere => 4.0 / 3.0 * PI * a * a * a,
        GeomType::Capsule => PI * (a * a * 2.0 * b + 4.0 / 3.0 * a * a * a),
        GeomType::Cylinder => PI * a * a * 2.0 * b,
        GeomType::Ellipsoid => 4.0 / 3.0 * PI * a * b * c,
        GeomType::Box => 8.0 * a * b * c,
    }
}

/// Principal moments, kg·m², of a solid of that mass.
pub(crate) fn moments(kind: GeomType, [a, b, c]: [f64; 3], mass: f64) -> [f64; 3] {
    match kind {
        GeomType::Plane | GeomType::Mesh => [0.0; 3],
        GeomType::Sphere => [0.4 * mass * a * a; 3],
        GeomType::Capsule => {
            // A cylinder and two half balls.
            let height = 2.0 * b;
            let ball = mass * 4.0 * a / (4.0 * a + 3.0 * height);
            let tube = mass - ball;
            let side = tube * (3.0 * a * a + height * height) / 12.0
                + 0.4 * ball * a * a
                + ball * height * (3.0 * a + 2.0 * height) / 8.0;
            [side, side, tube * a * a / 2.0 + 0.4 * ball * a * a]
        }
        GeomType::Cylinder => {
            let height = 2.0 * b;
            let side = mass * (3.0 * a * a + height * height) / 12.0;
            [side, side, mass * a * a / 2.0]
        }
        GeomType::Ellipsoid => {
            let m = mass / 5.0;
            [m * (b * b + c * c), m * (a * a + c * c), m * (a * a + b * b)]
        }
        GeomType::Box => {
            let m = mass / 3.0;
            [m * (b * b + c * c), m * (a * a + c * c), m * (a * a + b * b)]
        }
    }
}

/// The mass of a geom, kg.
fn mass(geom: &Geom, meshes: &Meshes) -> f64 {
    geom.mass.unwrap_or_else(|| {
        let volume = match meshes.of(geom) {
            Some(mesh) => mesh.volume,
            None => volume(geom.kind, geom.size),
        };
        geom.density * volume
    })
}

/// Principal moments of a geom of that mass, kg·m².
fn moments_of(geom: &Geom, meshes: &Meshes, mass: f64) -> [f64; 3] {
    match meshes.of(geom) {
        Some(mesh) => mesh.moments.map(|m| m * mass),
        None => moments(geom.kind, geom.size, mass),
    }
}

/// Mass, pose of the principal axes, principal moments.
pub(crate) type Principal = (f64, Pose, [f64; 3]);

/// Of a body: as given, or from its geoms.
pub(super) fn of_body(body: &Body, rules: &InertiaRules, meshes: &Meshes) -> Principal {
    let from_geoms = match rules.from_geom {
        Some(always) => always,
        None => body.inertial.is_none(),
    };
    // A body without geoms keeps what it was given.
    match (&body.inertial, from_geoms && !body.geoms.is_empty()) {
        (Some(given), false) => principal(given),
        (None, false) => (0.0, Pose::default(), [0.0; 3]),
        (_, true) => of_geoms(&body.geoms, rules.grouprange, meshes),
    }
}

fn principal(given: &Inertial) -> Principal {
    let [xx, yy, zz, xy, xz, yz] = given.inertia;
    if [xy, xz, yz] == [0.0; 3] {
        return (given.mass, given.pose, [xx, yy, zz]);
    }
    let (values, turn) = principal_axes(given.inertia, axes::OF_BODIES);
    let quat = quaternion::normalize(quaternion::product(given.pose.quat, turn));
    (given.mass, Pose { pos: given.pose.pos, quat }, values)
}

fn of_geoms(geoms: &[Geom], (low, high): (i32, i32), meshes: &Meshes) -> Principal {
    let counted: Vec<_> = geoms
        .iter()
        .map(|geom| (geom, mass(geom, meshes)))
        .filter(|(geom, m)| *m >= MINVAL && (low..=high).contains(&geom.group))
        .collect();
    if let [(geom, m)] = counted[..] {
        return (m, geom.pose, moments_of(geom, meshes, m));
    }
    let total: f64 = counted.iter().map(|(_, m)| m).sum();
    if total < MINVAL {
        return (0.0, Pose::default(), [0.0; 3]);
    }
    let weighted = counted.iter().fold([0.0; 3], |c, (geom, m)| add_scaled(c, geom.pose.pos, *m));
    let center = scale(weighted, 1.0 / total);
    let mut full = [0.0; 6];
    for (geom, m) in counted {
        let own = rotate_inertia(moments_of(geom, meshes, m), &quaternion::matrix(geom.pose.quat));
        let d = sub(geom.pose.pos, center);
        let shift = [
            d[1] * d[1] + d[2] * d[2],
            d[0] * d[0] + d[2] * d[2],
            d[0] * d[0] + d[1] * d[1],
            -d[0] * d[1],
            -d[0] * d[2],
            -d[1] * d[2],
        ];
        for k in 0..6 {
            full[k] += own[k] + m * shift[k];
        }
    }
    let (values, quat) = principal_axes(full, axes::OF_BODIES);
    (total, Pose { pos: add(center, [0.0; 3]), quat }, values)
}
