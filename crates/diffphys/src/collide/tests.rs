//! Derivatives of contacts against differences, for every pair of shapes, and certificates of depth that need no other system.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use super::convex::Solid;
use super::hull::Hull;
use super::pairs::{Shape, Touches};
use super::scalar::{Dual, Scalar};
use super::touches;
use crate::model::GeomType::{self, Box, Capsule, Cylinder, Ellipsoid, Mesh, Plane, Sphere};
use crate::spatial::{Vec3, cross, dot, norm, quaternion, rotate_back, scale, sub};

/// Numbers from −1 to 1 (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn vector(&mut self) -> Vec3 {
        [self.next(), self.next(), self.next()]
    }
}

fn hull(random: &mut Random) -> Hull {
    let points: Vec<Vec3> = (0..20).map(|_| scale(random.vector(), 0.25)).collect();
    Hull::new(&points).unwrap()
}

/// Two shapes near each other, not touching by construction.
fn pair(random: &mut Random, spread: f64) -> [Shape<f64>; 2] {
    [0.0, spread].map(|far| {
        let quat =
            quaternion::normalize([random.next(), random.next(), random.next(), random.next()]);
        let size = random.vector().map(|x| 0.2 + 0.1 * x);
        Shape { pos: scale(random.vector(), far), mat: quaternion::matrix(quat), size }
    })
}

/// The shape moved along one of its six motions (rotations, translations), or with another size.
fn moved(shape: &Shape<f64>, k: usize, by: f64) -> Shape<f64> {
    let mut out = *shape;
    let mut axis = [0.0; 3];
    axis[k % 3] = by;
    match k {
        0..3 => {
            let turn = quaternion::matrix(quaternion::axis_angle(scale(axis, 1.0 / by), by));
            for r in 0..3 {
                for c in 0..3 {
                    out.mat[3 * r + c] =
                        (0..3).map(|i| turn[3 * r + i] * shape.mat[3 * i + c]).sum();
                }
            }
        }
        3..6 => out.pos[k - 3] += by,
        _ => out.size[k - 6] += by,
    }
    out
}

type D = Dual<18>;

/// The shape with the derivatives of its nine motions from `at` on.
fn moving(shape: &Shape<f64>, at: usize) -> Shape<D> {
    let mut out = Shape {
        pos: shape.pos.map(D::constant),
        mat: shape.mat.map(D::constant),
        size: shape.size.map(D::constant),
    };
    for k in 0..3 {
        let mut axis = [0.0; 3];
        axis[k] = 1.0;
        for c in 0..3 {
            let column = [shape.mat[c], shape.mat[3 + c], shape.mat[6 + c]];
            let turned = cross(axis, column);
            for r in 0..3 {
                out.mat[3 * r + c].slope[at + k] = turned[r];
            }
        }
        out.pos[k].slope[at + 3 + k] = 1.0;
        out.size[k].slope[at + 6 + k] = 1.0;
    }
    out
}

fn found<T: Scalar>(
    kinds: [GeomType; 2],
    shapes: [Shape<T>; 2],
    hulls: [&Hull; 2],
    margin: f64,
) -> Touches<T> {
    let solid = |k: usize| Solid {
        kind: kinds[k],
        shape: shapes[k],
        hull: (kinds[k] == Mesh).then_some(hulls[k]),
    };
    let mut out = Touches::new();
    touches(&solid(0), &solid(1), margin, &mut out);
    out
}

/// Distances, places and normals of all contacts.
fn numbers(list: &Touches<f64>) -> Vec<f64> {
    list.as_slice()
        .iter()
        .flat_map(|t| [&[t.dist][..], &t.pos[..], &t.normal[..]].concat())
        .collect()
}

#[test]
fn derivatives_of_contacts_are_those_of_differences() {
    const H: f64 = 3e-6;
    let pairs = [
        [Box, Box],
        [Ellipsoid, Box],
        [Ellipsoid, Ellipsoid],
        [Cylinder, Box],
        [Cylinder, Cylinder],
        [Ellipsoid, Cylinder],
        [Capsule, Cylinder],
        [Capsule, Ellipsoid],
        [Sphere, Ellipsoid],
        [Sphere, Mesh],
        [Capsule, Mesh],
        [Ellipsoid, Mesh],
        [Cylinder, Mesh],
        [Box, Mesh],
        [Mesh, Mesh],
        [Plane, Mesh],
    ];
    let mut random = Random(7);
    for kinds in pairs {
        let (mut compared, mut switched, mut worst) = (0, 0, 0.0f64);
        for _ in 0..60 {
            let hulls = [hull(&mut random), hull(&mut random)];
            let hulls = [&hulls[0], &hulls[1]];
            let shapes = pair(&mut random, 0.3);
            let here = found(kinds, shapes, hulls, 0.02);
            if here.as_slice().is_empty() {
                continue;
            }
            let dual = found(kinds, [moving(&shapes[0], 0), moving(&shapes[1], 9)], hulls, 0.02);
            assert_eq!(dual.as_slice().len(), here.as_slice().len());
            for k in 0..18 {
                // A mesh has no size, and the second frame of a capsule's contact none that matters.
                let at = |by: f64| {
                    let mut other = shapes;
                    other[k / 9] = moved(&shapes[k / 9], k % 9, by);
                    numbers(&found(kinds, other, hulls, 0.02))
                };
                let (above, below, center) = (at(H), at(-H), numbers(&here));
                let far = |v: &[f64]| v.iter().zip(&center).any(|(a, b)| (a - b).abs() > 1e-3);
                if above.len() != center.len()
                    || below.len() != center.len()
                    || far(&above)
                    || far(&below)
                {
                    switched += 1;
                    continue;
                }
                let slopes = dual.as_slice().iter().flat_map(|t| {
                    let all = [
                        t.dist,
                        t.pos[0],
                        t.pos[1],
                        t.pos[2],
                        t.normal[0],
                        t.normal[1],
                        t.normal[2],
                    ];
                    all.map(|x| x.slope[k])
                });
                for (slope, (a, b)) in slopes.zip(above.iter().zip(&below)) {
                    let difference = (a - b) / (2.0 * H);
                    worst = worst.max((slope - difference).abs() / (1.0 + difference.abs()));
                }
                compared += 1;
            }
        }
        assert!(switched * 20 <= compared, "{kinds:?}: {switched} of {compared}");
        assert!(compared > 100, "{kinds:?}: {compared}");
        assert!(worst < 1e-4, "{kinds:?}: {worst:.1e}");
    }
}

/// How far the second shape reaches over the first one's farthest point along n: negative where n separates them.
fn overlap(kinds: [GeomType; 2], shapes: &[Shape<f64>; 2], hulls: [&Hull; 2], n: Vec3) -> f64 {
    let reach = |k: usize, d: Vec3| {
        let (l, s) = (rotate_back(&shapes[k].mat, d), shapes[k].size);
        match kinds[k] {
            Sphere => s[0],
            Capsule => s[0] + s[1] * l[2].abs(),
            Ellipsoid => norm([0, 1, 2].map(|i| s[i] * l[i])),
            Cylinder => s[0] * l[0].hypot(l[1]) + s[1] * l[2].abs(),
            Box => (0..3).map(|i| s[i] * l[i].abs()).sum(),
            _ => dot(hulls[k].vertex(hulls[k].support(l, None)), l),
        }
    };
    reach(0, n) + reach(1, scale(n, -1.0)) - dot(n, sub(shapes[1].pos, shapes[0].pos))
}

/// The depth is the overlap along the normal, and no direction of a fine net has less; points lie between the surfaces.
#[test]
fn depths_are_least_overlaps() {
    let kinds = [Sphere, Capsule, Ellipsoid, Cylinder, Box, Mesh];
    let mut random = Random(11);
    let net: Vec<Vec3> = (0..2000)
        .map(|k| {
            // Fibonacci's lattice.
            let z = 1.0 - (2.0 * f64::from(k) + 1.0) / 2000.0;
            let (sin, cos) = (f64::from(k) * 2.399_963_229_728_653).sin_cos();
            let r = (1.0 - z * z).sqrt();
            [r * cos, r * sin, z]
        })
        .collect();
    let mut seen = 0;
    for (a, first) in kinds.into_iter().enumerate() {
        for second in &kinds[a..] {
            let kinds = [first, *second];
            if first < Ellipsoid && *second < Ellipsoid {
                continue;
            }
            for _ in 0..30 {
                let hulls = [hull(&mut random), hull(&mut random)];
                let hulls = [&hulls[0], &hulls[1]];
                let shapes = pair(&mut random, 0.25);
                let list = found(kinds, shapes, hulls, 0.0);
                let least = net
                    .iter()
                    .map(|n| overlap(kinds, &shapes, hulls, *n))
                    .fold(f64::INFINITY, f64::min);
                let [touch] = list.as_slice() else {
                    // The net is coarse beside a kink.
                    assert!(!list.as_slice().is_empty() || least < 0.02, "{kinds:?}: {least}");
                    continue;
                };
                let own = overlap(kinds, &shapes, hulls, touch.normal);
                // Boxes and patches prefer flat normals; the primitive rules of spheres inside of shapes have their own.
                let flat =
                    kinds == [Box, Box] || first == Sphere && matches!(second, Box | Cylinder);
                if !flat && first != Capsule {
                    assert!((own + touch.dist).abs() < 1e-9, "{kinds:?}: {own} {}", touch.dist);
                    assert!(-touch.dist <= least + 1e-9, "{kinds:?}: {} {least}", touch.dist);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 250, "{seen}");
}

/// A sphere on a vertex of many edges, all nearly perpendicular to the normal: a shallow cone's apex, and a pole of a finely divided ball.
#[test]
fn vertices_of_many_edges_have_derivatives() {
    const H: f64 = 1e-6;
    let circle = |count: usize, radius: f64, z: f64| {
        (0..count).map(move |k| {
            let (sin, cos) = (std::f64::consts::TAU * k as f64 / count as f64).sin_cos();
            [radius * cos, radius * sin, z]
        })
    };
    let cone: Vec<Vec3> = circle(6, 1.0, -0.03).chain([[0.0; 3], [0.0, 0.0, -1.0]]).collect();
    let ball: Vec<Vec3> = (1..16)
        .flat_map(|k| {
            let (sin, cos) = (std::f64::consts::PI * f64::from(k) / 16.0).sin_cos();
            circle(32, 0.2 * sin, 0.2 * cos - 0.2)
        })
        .chain([[0.0; 3], [0.0, 0.0, -0.4]])
        .collect();
    let mut random = Random(3);
    for (points, kind) in [(&cone, Sphere), (&cone, Ellipsoid), (&ball, Sphere)] {
        let hull = Hull::new(points).unwrap();
        let mut compared = 0;
        for _ in 0..12 {
            let turn = random.vector().map(|x| 0.01 * x);
            let quat = quaternion::normalize([1.0, turn[0], turn[1], turn[2]]);
            let above = [0.002 * random.next(), 0.002 * random.next(), 0.2 - 0.001];
            let shapes = [
                Shape { pos: above, mat: quaternion::matrix(quaternion::UNIT), size: [0.2; 3] },
                Shape { pos: [0.0; 3], mat: quaternion::matrix(quat), size: [0.0; 3] },
            ];
            let (kinds, hulls) = ([kind, Mesh], [&hull, &hull]);
            let here = numbers(&found(kinds, shapes, hulls, 0.02));
            assert_eq!(here.len(), 7);
            let dual = found(kinds, [moving(&shapes[0], 0), moving(&shapes[1], 9)], hulls, 0.02);
            let touch = dual.as_slice()[0];
            for k in (0..6).chain(9..15) {
                let at = |by: f64| {
                    let mut other = shapes;
                    other[k / 9] = moved(&shapes[k / 9], k % 9, by);
                    numbers(&found(kinds, other, hulls, 0.02))
                };
                let (above, below) = (at(H), at(-H));
                for (slot, slope) in
                    [touch.dist].iter().chain(&touch.pos).chain(&touch.normal).enumerate()
                {
                    let difference = (above[slot] - below[slot]) / (2.0 * H);
                    let e = (slope.slope[k] - difference).abs();
                    assert!(
                        e < 1e-6 * (1.0 + difference.abs()),
                        "{kind:?} {k} {slot}: {} {difference}",
                        slope.slope[k]
                    );
                    compared += usize::from(difference.abs() > 1e-3);
                }
            }
        }
        assert!(compared > 100, "{compared}");
    }
}

/// A hull of more triangles than are made in vain on the way to it; its volume, faces and edges are those of the ball.
#[test]
fn hulls_of_many_points() {
    let count = 80_000;
    let points: Vec<Vec3> = (0..count)
        .map(|k| {
            let z = 1.0 - (2.0 * f64::from(k) + 1.0) / f64::from(count);
            let (sin, cos) = (f64::from(k) * 2.399_963_229_728_653).sin_cos();
            let r = (1.0 - z * z).sqrt();
            [r * cos, r * sin, z]
        })
        .collect();
    let ball = Hull::new(&points).unwrap();
    assert_eq!(ball.corners().len(), count as usize);
    assert!(ball.triangles().count() == 2 * count as usize - 4);
    let (volume, ..) = super::moments(ball.triangles(), [0.0; 3], false);
    assert!((volume - 4.0 / 3.0 * std::f64::consts::PI).abs() < 1e-3, "{volume}");
    for f in (0..1000).map(|f| 97 * f) {
        let n = ball.normal(f);
        let height = dot(n, ball.origin(f));
        assert!(points.iter().step_by(101).all(|p| dot(n, *p) < height + 1e-9));
    }
    // A cone over a polygon of as many corners: a face and a vertex of many edges.
    let cone: Vec<Vec3> = (0..20_000)
        .map(|k| {
            let (sin, cos) = (std::f64::consts::TAU * f64::from(k) / 20_000.0).sin_cos();
            [cos, sin, 0.0]
        })
        .chain([[0.0, 0.0, 1.0]])
        .collect();
    let hull = Hull::new(&cone).unwrap();
    let (volume, ..) = super::moments(hull.triangles(), [0.0; 3], false);
    assert!((volume - std::f64::consts::PI / 3.0).abs() < 1e-6, "{volume}");
}
