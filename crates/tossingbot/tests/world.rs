//! Scenes, heightmaps, grasps, attempts, streams and statistics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A failing test panics by design.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};
use std::sync::Arc;

use nalgebra::{Isometry3, UnitQuaternion, Vector2, Vector3};
use pullback_tossingbot::Error;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::boxes::{BoxGrid, RoundRobin};
use pullback_tossingbot::grasp::{GraspFailure, GraspPose, Gripper, Patch};
use pullback_tossingbot::heightmap::{Heightmap, NO_OBJECT, ROTATIONS, heading};
use pullback_tossingbot::mesh::{Part, cuboid};
use pullback_tossingbot::objects::{Builtin, ObjectModel, builtin_models};
use pullback_tossingbot::release::ReleaseModel;
use pullback_tossingbot::rng::{Purpose, Stream};
use pullback_tossingbot::scene::{Bin, PlacedObject, Scene, Workspace};
use pullback_tossingbot::stats::{Z95, mcnemar, paired, wilson};
use rand::RngCore;

/// A block of the given size, upright, its centre above (x, y), turned by `yaw`.
fn block(id: usize, size: [f64; 3], x: f64, y: f64, yaw: f64) -> PlacedObject {
    let part = Part { name: "block".into(), mesh: cuboid(&Vector3::from(size)) };
    let model = Arc::new(ObjectModel::from_parts("block", "block", vec![part], 600.0).unwrap());
    let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw);
    PlacedObject::new(
        id,
        model,
        Isometry3::from_parts(Vector3::new(x, y, 0.5 * size[2]).into(), turn),
    )
}

/// A built-in object with its file's axes along the workspace's, lying on the table.
fn lying(id: usize, builtin: Builtin, x: f64, y: f64, yaw: f64) -> PlacedObject {
    let model = Arc::new(builtin.model().unwrap());
    let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw);
    let height = -model.mesh.bounds().0.z;
    PlacedObject::new(id, model, Isometry3::from_parts(Vector3::new(x, y, height).into(), turn))
}

fn scene(objects: Vec<PlacedObject>) -> Scene {
    Scene::new(Workspace::quick(), objects)
}

#[test]
fn heights_of_a_known_scene() {
    let scene = scene(vec![
        block(7, [0.08, 0.048, 0.05], 0.08, 0.0, 0.0),
        lying(3, Builtin::Ball, -0.1, -0.1, 0.0),
    ]);
    let map = Heightmap::render(&scene);
    assert_eq!((map.rows, map.columns), (48, 48));
    let mut block_pixels = 0;
    for row in 0..map.rows {
        for column in 0..map.columns {
            let [x, y] = map.world(row, column);
            let pixel = row * map.columns + column;
            let (height, object) = (f64::from(map.height[pixel]), map.object[pixel]);
            let to_ball = (x + 0.1).hypot(y + 0.1);
            if (x - 0.08).abs() < 0.04 && y.abs() < 0.024 {
                assert!((height - 0.05).abs() < 1e-6 && object == 7);
                block_pixels += 1;
            } else if to_ball < 0.019 {
                let expected = 0.02 + (0.02_f64 * 0.02 - to_ball * to_ball).sqrt();
                assert!((height - expected).abs() < 1.5e-3 && object == 3, "{height} {expected}");
            } else if to_ball > 0.0201 {
                assert!(height == 0.0 && object == NO_OBJECT);
            }
            let (exact, seen) = scene.height_at(x, y);
            assert!((exact - height).abs() < 1e-6);
            assert_eq!(seen.map_or(NO_OBJECT, |id| id as u32), object);
        }
    }
    assert_eq!(block_pixels, 10 * 6, "8 mm pixels with centres at odd multiples of 4 mm");
}

#[test]
fn turned_maps_map_back_exactly() {
    let catalogue = builtin_models(&Builtin::SEEN).unwrap();
    for workspace in [Workspace::quick(), Workspace::paper()] {
        let scene = Scene::generate(&catalogue, workspace, 5, 3, 0).unwrap();
        let map = Heightmap::render(&scene);
        for k in 0..ROTATIONS {
            let turned = map.rotated(k);
            for row in 0..map.rows {
                for column in 0..map.columns {
                    let [x, y] = map.world_of_rotated(k, row, column);
                    assert_eq!(map.pixel_of_rotated(k, x, y), Some((row, column)));
                    let pixel = row * map.columns + column;
                    let source = map.pixel(x, y).map(|(r, c)| r * map.columns + c);
                    assert_eq!(turned.height[pixel], source.map_or(0.0, |s| map.height[s]));
                    assert_eq!(turned.object[pixel], source.map_or(NO_OBJECT, |s| map.object[s]));
                }
            }
        }
        assert_eq!(map.rotated(0), map);
    }
    // A square map turned by a quarter four times is itself; half a turn reverses it.
    let map = Heightmap::render(&Scene::generate(&catalogue, Workspace::quick(), 5, 3, 0).unwrap());
    assert_eq!(map.rotated(4).rotated(4).rotated(4).rotated(4), map);
    let mut reversed = map.clone();
    reversed.height.reverse();
    reversed.object.reverse();
    assert_eq!(map.rotated(8), reversed);
}

#[test]
fn the_forward_axis_points_along_the_columns_of_its_map() {
    // A rod along heading k lies along the columns in map k.
    for k in 0..ROTATIONS {
        let map = Heightmap::render(&scene(vec![lying(0, Builtin::Rod, 0.0, 0.0, heading(k))]))
            .rotated(k);
        let seen = |row: usize, column: usize| map.object[row * map.columns + column] == 0;
        assert!(
            seen(24, 24 + 8) && seen(24, 24 - 8) && !seen(24 + 4, 24) && !seen(24 - 5, 24),
            "{k}"
        );
    }
}

#[test]
fn grasps_by_hand() {
    let gripper = Gripper::default();
    let at = |x: f64, y: f64, angle: f64| GraspPose { x, y, angle };
    let grasp = |objects: Vec<PlacedObject>, pose: GraspPose| gripper.grasp(&scene(objects), &pose);
    let rod = || vec![lying(0, Builtin::Rod, 0.0, 0.0, 0.0)];

    let cube = grasp(vec![block(5, [0.04; 3], 0.0, 0.0, 0.0)], at(0.0, 0.0, 0.0)).unwrap();
    assert_eq!((cube.object, cube.patches), (5, [Patch::Flat; 2]));
    assert!((cube.width - 0.04).abs() < 1e-9 && cube.push.abs() < 1e-9);
    let cube = grasp(vec![block(5, [0.04; 3], 0.003, 0.004, 0.0)], at(0.0, 0.0, 0.0)).unwrap();
    assert!((cube.held.forward - 0.003).abs() < 1e-9 && (cube.push + 0.004).abs() < 1e-9);
    assert!(cube.lateral.abs() < 1e-9, "closing centres the cube");

    let middle = grasp(rod(), at(0.0, 0.0, 0.0)).unwrap();
    assert_eq!(middle.patches, [Patch::Line; 2]);
    assert!((middle.width - 0.03).abs() < 5e-4 && middle.held.forward.abs() < 1e-9);
    // The gripper faces +x and holds the rod at −4 cm: the centre of mass leads. Turned round, it trails.
    assert!((grasp(rod(), at(-0.04, 0.0, 0.0)).unwrap().held.forward - 0.04).abs() < 1e-9);
    let turned = grasp(rod(), at(-0.04, 0.0, std::f64::consts::PI)).unwrap();
    assert!((turned.held.forward + 0.04).abs() < 1e-9);
    assert!(turned.held.below.abs() < 0.004);
    assert!(
        (turned.held.inertia - turned.held.mass * (0.16 * 0.16 / 12.0 + 0.015 * 0.015 / 4.0)).abs()
            < 3e-6
    );

    let ball = grasp(vec![lying(0, Builtin::Ball, 0.0, 0.0, 0.0)], at(0.0, 0.0, 1.0)).unwrap();
    assert_eq!(ball.patches, [Patch::Point; 2]);

    let wide = block(0, [0.10, 0.10, 0.04], 0.0, 0.0, 0.0);
    let huge = block(0, [0.20, 0.20, 0.10], 0.0, 0.0, 0.0);
    let table: Vec<(&str, Result<(), GraspFailure>, std::mem::Discriminant<GraspFailure>)> = vec![
        ("table", grasp(rod(), at(0.0, 0.1, 0.0)).map(drop), kind(GraspFailure::Nothing)),
        ("outside", grasp(rod(), at(0.3, 0.0, 0.0)).map(drop), kind(GraspFailure::Outside)),
        (
            "not a number",
            grasp(rod(), at(f64::NAN, 0.0, 0.0)).map(drop),
            kind(GraspFailure::Outside),
        ),
        ("wide", grasp(vec![wide], at(0.0, 0.0, 0.0)).map(drop), kind(GraspFailure::TooWide)),
        ("huge", grasp(vec![huge], at(0.0, 0.0, 0.0)).map(drop), kind(GraspFailure::TooWide)),
        (
            "rod from end to end",
            grasp(rod(), at(0.0, 0.0, FRAC_PI_2)).map(drop),
            kind(GraspFailure::TooWide),
        ),
        (
            "neighbour",
            grasp(
                vec![block(0, [0.04; 3], 0.0, 0.0, 0.0), block(9, [0.04; 3], 0.0, 0.05, 0.0)],
                at(0.0, 0.0, 0.0),
            )
            .map(drop),
            kind(GraspFailure::Blocked { object: 9 }),
        ),
        (
            "two thin plates",
            grasp(
                vec![
                    block(0, [0.04, 0.01, 0.04], 0.0, 0.0, 0.0),
                    block(1, [0.04, 0.01, 0.04], 0.0, 0.02, 0.0),
                ],
                at(0.0, 0.0, 0.0),
            )
            .map(drop),
            kind(GraspFailure::SeveralObjects { first: 0, second: 1 }),
        ),
        (
            "cube over its corner",
            grasp(vec![block(0, [0.04; 3], 0.0, 0.0, FRAC_PI_4)], at(0.0, 0.0, 0.0)).map(drop),
            kind(GraspFailure::NotAntipodal { angle: FRAC_PI_4 }),
        ),
        (
            "cube off centre",
            grasp(vec![block(0, [0.04; 3], 0.0, 0.012, 0.0)], at(0.0, 0.0, 0.0)).map(drop),
            kind(GraspFailure::PushedTooFar { distance: 0.012 }),
        ),
        (
            "dumbbell beside a block",
            grasp(vec![lying(0, Builtin::Dumbbell, 0.0, 0.0, 0.0)], at(0.031, 0.0, 0.0)).map(drop),
            kind(GraspFailure::PadHeldOff { distance: 0.015 }),
        ),
    ];
    for (what, result, expected) in table {
        let failure = result.expect_err(what);
        assert_eq!(kind(failure), expected, "{what}: {failure}");
    }
}

fn kind(failure: GraspFailure) -> std::mem::Discriminant<GraspFailure> {
    std::mem::discriminant(&failure)
}

#[test]
fn scenes_are_functions_of_seed_and_index() {
    let catalogue = builtin_models(&Builtin::SEEN).unwrap();
    let generate =
        |seed, index| Scene::generate(&catalogue, Workspace::quick(), 5, seed, index).unwrap();
    let poses = |scene: &Scene| {
        scene.objects.iter().map(|o| (o.model.name.clone(), o.pose)).collect::<Vec<_>>()
    };
    assert_eq!(poses(&generate(1, 4)), poses(&generate(1, 4)));
    assert_ne!(poses(&generate(1, 4)), poses(&generate(1, 5)));
    assert_ne!(poses(&generate(1, 4)), poses(&generate(2, 4)));
    for index in 0..50 {
        let scene = generate(9, index);
        assert_eq!(scene.objects.len(), 5);
        for (i, object) in scene.objects.iter().enumerate() {
            let (low, high) = object.bounds;
            assert!(low.x > -0.192 && low.y > -0.192 && high.x < 0.192 && high.y < 0.192);
            assert!(low.z.abs() < 1e-5, "{} stands at {}", object.model.name, low.z);
            for other in &scene.objects[..i] {
                assert!(apart(&object.footprint, &other.footprint) > 0.005 - 1e-9);
            }
        }
    }
    let crowd = Scene::generate(&catalogue, Workspace::quick(), 200, 0, 0);
    assert!(matches!(crowd, Err(Error::SceneFull { wanted: 200, .. })));
    assert!(Scene::generate(&[], Workspace::quick(), 1, 0, 0).is_err());
}

/// Least distance from a corner of either polygon to an edge of the other; apart convex polygons only.
fn apart(a: &[Vector2<f64>], b: &[Vector2<f64>]) -> f64 {
    let corner_to_edges = |p: &Vector2<f64>, polygon: &[Vector2<f64>]| {
        (0..polygon.len())
            .map(|i| {
                let (s, e) = (polygon[i], polygon[(i + 1) % polygon.len()]);
                let t = ((p - s).dot(&(e - s)) / (e - s).norm_squared()).clamp(0.0, 1.0);
                (s + (e - s) * t - p).norm()
            })
            .fold(f64::INFINITY, f64::min)
    };
    let one = a.iter().map(|p| corner_to_edges(p, b)).fold(f64::INFINITY, f64::min);
    b.iter().map(|p| corner_to_edges(p, a)).fold(one, f64::min)
}

#[test]
fn a_bin_refills_and_restores() {
    let catalogue = builtin_models(&Builtin::SEEN).unwrap();
    let mut bin = Bin::new(catalogue.clone(), Workspace::quick(), 3, 11).unwrap();
    bin.scene.remove(1).unwrap();
    assert!(matches!(
        bin.scene.remove(1),
        Err(Error::NoSuchItem { what: "object", index: 1, count: 2 })
    ));
    let state = bin.state();
    assert!(!bin.refill_if_empty().unwrap());
    bin.scene.remove(0).unwrap();
    bin.scene.remove(2).unwrap();
    assert!(bin.refill_if_empty().unwrap());
    assert_eq!((bin.index(), bin.scene.objects.len()), (1, 3));
    let mut other = Bin::new(catalogue, Workspace::quick(), 3, 11).unwrap();
    other.restore(&state).unwrap();
    assert_eq!(other.scene.objects.iter().map(|o| o.id).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(other.state(), state);
}

#[test]
fn boxes_and_targets() {
    let grid = BoxGrid::standard();
    assert_eq!(grid.len(), 12);
    for index in 0..12 {
        let target = grid.target(index).unwrap();
        assert_eq!(grid.hit(&target.xy()), Some(index));
        let edge = Vector2::new(target.x + 0.12, target.y);
        assert_eq!(grid.hit(&edge), Some(index));
        assert_eq!(grid.caught(&edge, 0.08), None, "too near to the edge for a rod");
        assert_eq!(grid.caught(&target.xy(), 0.08), Some(index));
    }
    assert!(matches!(
        grid.target(12),
        Err(Error::NoSuchItem { what: "box", index: 12, count: 12 })
    ));
    assert_eq!(grid.hit(&Vector2::new(0.5, 0.0)), None);
    let mut turn = RoundRobin::default();
    let order: Vec<_> = (0..25).map(|_| turn.next(12)).collect();
    assert_eq!(order, (0..25).map(|i| i % 12).collect::<Vec<_>>());
    let world = World::default();
    for (index, distance) in [(1, 0.55), (5, 0.8), (9, 1.05)] {
        let aim = world.aim(&grid.target(index).unwrap());
        assert!((aim.distance - distance).abs() < 0.003 && (aim.height + 0.16).abs() < 1e-12);
    }
}

#[test]
fn attempts_repeat_and_land_where_physics_says() {
    let world = World::with_release(ReleaseModel::clean());
    let scene = scene(vec![block(0, [0.04; 3], 0.01, -0.02, 0.0)]);
    let pose = GraspPose { x: 0.01, y: -0.02, angle: FRAC_PI_2 };
    for target in 0..12 {
        let point = world.boxes.target(target).unwrap();
        let speed = world.ballistic_speed(&point).unwrap();
        let run = || {
            world
                .attempt(&scene, &pose, target, speed, &mut Stream::indexed(5, Purpose::Noise, 7))
                .unwrap()
        };
        let outcome = run();
        assert_eq!(outcome, run());
        assert!(outcome.success(), "{outcome:?}");
        let throw = outcome.throw.unwrap();
        let (place, time) = throw.landing.unwrap();
        assert!((place - point.xy()).norm() < 0.05);
        assert!((world.hindsight_speed(&place).unwrap() - speed).abs() < 0.1);
        let path = world.trajectory(&throw, 0.02).unwrap();
        let last = path.last().unwrap();
        assert!((last[0] - time).abs() < 1e-12);
        assert!(
            (Vector3::new(last[1], last[2], last[3]) - Vector3::new(place.x, place.y, 0.2)).norm()
                < 1e-9
        );
        // Half a box too fast, it lands in the box behind or nowhere, but not here.
        let far = world
            .attempt(&scene, &pose, target, 1.1 * speed, &mut Stream::new(5, Purpose::Noise))
            .unwrap();
        assert!(!far.success() && far.throw.unwrap().hit != Some(target));
        let weak =
            world.attempt(&scene, &pose, target, 0.5, &mut Stream::new(5, Purpose::Noise)).unwrap();
        assert!(weak.throw.unwrap().landing.is_none());
    }
    let missed = GraspPose { x: 0.15, ..pose };
    let mut noise = Stream::new(5, Purpose::Noise);
    let outcome = world.attempt(&scene, &missed, 0, 2.0, &mut noise).unwrap();
    assert_eq!((outcome.grasp.unwrap_err(), outcome.throw), (GraspFailure::Nothing, None));
    let mut other = Stream::new(5, Purpose::Noise);
    world.attempt(&scene, &pose, 0, 2.0, &mut other).unwrap();
    assert_eq!(noise, other, "a failed grasp draws the same noise");
    assert!(world.attempt(&scene, &pose, 12, 2.0, &mut other).is_err());
    assert!(world.attempt(&scene, &pose, 0, -2.0, &mut other).is_err());
}

#[test]
fn too_heavy_objects_are_not_lifted() {
    let part = Part { name: "lead".into(), mesh: cuboid(&Vector3::repeat(0.08)) };
    let model = ObjectModel::from_parts("lead", "lead", vec![part], 11_340.0).unwrap();
    let placed = PlacedObject::new(0, Arc::new(model), Isometry3::translation(0.0, 0.0, 0.04));
    let pose = GraspPose { x: 0.0, y: 0.0, angle: 0.0 };
    let world = World::default();
    assert!(
        matches!(world.grasp(&scene(vec![placed]), &pose), Err(GraspFailure::TooHeavy { mass }) if mass > 5.0)
    );
}

#[test]
fn streams_are_independent_and_resume_exactly() {
    let draw = |mut stream: Stream| (0..8).map(|_| stream.next_u64()).collect::<Vec<_>>();
    let purposes = [
        Purpose::Scene,
        Purpose::Explore,
        Purpose::Noise,
        Purpose::Init,
        Purpose::Replay,
        Purpose::Eval,
    ];
    let mut seen = std::collections::HashSet::new();
    for seed in [0, 1] {
        for purpose in purposes {
            for index in [0, 1] {
                assert!(seen.insert(draw(Stream::indexed(seed, purpose, index))));
            }
        }
    }
    let mut stream = Stream::new(3, Purpose::Noise);
    for skip in 0..40 {
        stream.next_u32();
        stream.normal();
        let text = serde_json::to_string(&stream).unwrap();
        let resumed: Stream = serde_json::from_str(&text).unwrap();
        assert_eq!(draw(resumed), draw(stream.clone()), "after {skip} draws");
    }
    let mut stream = Stream::new(4, Purpose::Noise);
    let n = 20_000;
    let draws: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
    let mean = draws.iter().sum::<f64>() / f64::from(n);
    let variance = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
    assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
}

#[test]
fn intervals_and_paired_tests() {
    // Newcombe (1998), table I: 81/263 → (.2553, .3662), 0/20 → (0, .1611), 1/29 → (.0061, .1718).
    for (successes, trials, low, high) in
        [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
    {
        let interval = wilson(successes, trials, Z95).unwrap();
        assert!(
            (interval.low - low).abs() < 1e-4 && (interval.high - high).abs() < 1e-4,
            "{interval:?}"
        );
    }
    assert!(wilson(1, 0, Z95).is_err() && wilson(3, 2, Z95).is_err());
    // Ten coin tosses, one tail: 2·(1 + 10)/1024.
    assert!((mcnemar(9, 1) - 22.0 / 1024.0).abs() < 1e-12);
    assert_eq!(mcnemar(0, 0), 1.0);
    assert_eq!(mcnemar(5, 5), 1.0);
    assert!(mcnemar(2000, 1000) < 1e-60 && mcnemar(2000, 1000) >= 0.0);
    let first: Vec<bool> = (0..100).map(|i| i < 80).collect();
    let second: Vec<bool> = (0..100).map(|i| (10..65).contains(&i)).collect();
    let result = paired(&first, &second, Z95).unwrap();
    assert_eq!((result.only_first, result.only_second), (25, 0));
    assert!((result.difference.estimate - 0.25).abs() < 1e-12);
    assert!(result.difference.low > 0.1 && result.difference.high < 0.4 && result.p_value < 1e-6);
    let same = paired(&first, &first, Z95).unwrap();
    assert!(same.difference.low <= 0.0 && same.difference.high >= 0.0 && same.p_value == 1.0);
    assert!(same.difference.high - same.difference.low < 0.1, "{same:?}");
    assert!(paired(&first, &second[1..], Z95).is_err());
}
