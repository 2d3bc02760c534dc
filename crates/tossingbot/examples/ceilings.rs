//! What a throw can achieve at all: success of physics-only throws and of the best fixed residual, per object and grasp offset.
//!
//! Each object lies alone on the table and is grasped at random places and headings. Successful grasps are thrown at the rows of boxes
//! with the ballistic speed, and with that speed plus a fixed residual for each (1 cm of signed offset, row): the residual is the best
//! of a grid on one half of the grasps and scored on the other half, so that it is not an upper bound by selection.
//!
//! `cargo run --release -p pullback-tossingbot --example ceilings [preset] [grasps per object]`
#![allow(clippy::print_stdout)] // A table on the terminal is what this program is for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pullback_tossingbot::Result;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::grasp::{Grasp, GraspPose};
use pullback_tossingbot::heightmap::{Heightmap, ROTATIONS, heading};
use pullback_tossingbot::objects::{Builtin, ObjectModel};
use pullback_tossingbot::release::{ReleaseModel, ReleaseNoise};
use pullback_tossingbot::rng::{Purpose, Stream};
use pullback_tossingbot::scene::{Scene, Workspace};
use rand::Rng;

/// One box of each row, next to the middle.
const TARGETS: [usize; 3] = [1, 5, 9];
/// Edges of the bins of |offset| that are printed, in metres.
const EDGES: [f64; 9] = [0.0, 0.010, 0.015, 0.020, 0.025, 0.035, 0.045, 0.060, 0.200];

/// A grasp with its noise: a throw that can be repeated at any speed and target.
struct Sample {
    grasp: Grasp,
    noise: ReleaseNoise,
}

/// Counts of one cell of the table.
#[derive(Default, Clone, Copy)]
struct Cell {
    throws: usize,
    physics: usize,
    scored: usize,
    residual: usize,
    landed: usize,
    error: f64,
    square: f64,
}

impl Cell {
    fn add(&mut self, other: &Cell) {
        self.throws += other.throws;
        self.physics += other.physics;
        self.scored += other.scored;
        self.residual += other.residual;
        self.landed += other.landed;
        self.error += other.error;
        self.square += other.square;
    }

    fn print(&self, label: &str) {
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        let mean = self.error / self.landed.max(1) as f64;
        let deviation = (self.square / self.landed.max(1) as f64 - mean * mean).max(0.0).sqrt();
        println!(
            "  {label:<16} {:>6} {:>9.3} {:>9.3} {:>9.3} {:>+9.3} {:>7.3}",
            self.throws,
            share(self.physics, self.throws),
            share(self.residual, self.scored),
            share(self.landed, self.throws),
            mean,
            deviation
        );
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let preset = arguments.first().map_or("default", String::as_str);
    let wanted = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(1200);
    let Some(release) = ReleaseModel::preset(preset) else {
        println!("there is no preset `{preset}`: default, clean, late, uncalibrated");
        return Ok(());
    };
    let world = World::with_release(release);
    println!("preset {preset}: {wanted} grasps per object, each thrown at rows .55/.80/1.05 m");
    println!("  |offset|         throws   physics  residual    landed   bias m      sd");
    for builtin in Builtin::ALL {
        let model = Arc::new(builtin.model()?);
        let (samples, share) = collect(&world, &model, wanted)?;
        println!("{} (grasp success of random poses on the object: {share:.2})", builtin.name());
        let cells = evaluate(&world, &model, &samples)?;
        let mut total = Cell::default();
        for cell in cells.values() {
            total.add(cell);
        }
        for ((bin, leads), cell) in &cells {
            let side = if *leads { "lead" } else { "trail" };
            cell.print(&format!(
                "{:>3.0}..{:.0} mm {side}",
                1e3 * EDGES[*bin],
                1e3 * EDGES[bin + 1]
            ));
        }
        total.print("all");
    }
    timings(&world)
}

/// Random grasps that hold, and the share of tried ones that did.
fn collect(world: &World, model: &Arc<ObjectModel>, wanted: usize) -> Result<(Vec<Sample>, f64)> {
    let mut rng = Stream::new(1, Purpose::Explore);
    let mut noise = Stream::new(1, Purpose::Noise);
    let (mut samples, mut tried, mut index) = (Vec::new(), 0, 0);
    while samples.len() < wanted && tried < 400 * wanted {
        let scene = Scene::generate(std::slice::from_ref(model), Workspace::quick(), 1, 1, index)?;
        index += 1;
        let (low, high) = scene.objects[0].bounds;
        for _ in 0..40 {
            let (x, y) = (rng.uniform(low.x, high.x), rng.uniform(low.y, high.y));
            if scene.height_at(x, y).1.is_none() {
                continue;
            }
            tried += 1;
            let angle = heading(rng.random_range(0..ROTATIONS));
            if let Ok(grasp) = world.grasp(&scene, &GraspPose { x, y, angle }) {
                let noise = ReleaseNoise { timing: noise.normal(), torsion: noise.normal() };
                samples.push(Sample { grasp, noise });
            }
        }
    }
    samples.truncate(wanted);
    let share = samples.len() as f64 / tried.max(1) as f64;
    Ok((samples, share))
}

/// The cell of a grasp: bin of |offset|, and whether the centre of mass leads.
fn bin(sample: &Sample) -> (usize, bool) {
    let forward = sample.grasp.held.forward;
    let bin =
        EDGES.iter().skip(1).position(|edge| forward.abs() < *edge).unwrap_or(EDGES.len() - 2);
    (bin, forward > 0.0)
}

/// Success by bin of |offset| and side.
fn evaluate(
    world: &World,
    model: &ObjectModel,
    samples: &[Sample],
) -> Result<BTreeMap<(usize, bool), Cell>> {
    let mut groups: BTreeMap<i64, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        groups.entry((100.0 * sample.grasp.held.forward).floor() as i64).or_default().push(sample);
    }
    let mut cells: BTreeMap<(usize, bool), Cell> = BTreeMap::new();
    for target in TARGETS {
        let point = world.boxes.target(target)?;
        let speed = world.ballistic_speed(&point)?;
        let throw = |sample: &Sample, residual: f64| {
            world.throw(&sample.grasp, model, target, speed + residual, &sample.noise)
        };
        for group in groups.values() {
            let (fit, score): (Vec<_>, Vec<_>) =
                group.iter().enumerate().partition(|(i, _)| i % 2 == 0);
            let mut best = (0, 0.0);
            for step in -40..=20 {
                let residual = 0.02 * f64::from(step);
                let mut hits = 0;
                for (_, sample) in &fit {
                    hits += usize::from(throw(sample, residual)?.success);
                }
                if hits > best.0 {
                    best = (hits, residual);
                }
            }
            for sample in group {
                let cell = cells.entry(bin(sample)).or_default();
                let thrown = throw(sample, 0.0)?;
                cell.throws += 1;
                cell.physics += usize::from(thrown.success);
                if let Some((place, _)) = thrown.landing {
                    let error = place.norm() - point.xy().norm();
                    cell.landed += 1;
                    cell.error += error;
                    cell.square += error * error;
                }
            }
            for (_, sample) in &score {
                let cell = cells.entry(bin(sample)).or_default();
                cell.scored += 1;
                cell.residual += usize::from(throw(sample, best.1)?.success);
            }
        }
    }
    Ok(cells)
}

/// What an attempt and a heightmap cost on this machine.
fn timings(world: &World) -> Result<()> {
    let models = pullback_tossingbot::objects::builtin_models(&Builtin::SEEN)?;
    for (name, workspace, count) in
        [("48 × 48", Workspace::quick(), 5), ("180 × 140", Workspace::paper(), 12)]
    {
        let scene = Scene::generate(&models, workspace, count, 1, 0)?;
        let mut map = Heightmap::empty(&workspace);
        let start = Instant::now();
        for _ in 0..100 {
            map.draw(&scene);
        }
        println!(
            "heightmap {name}, {count} objects: {:.3} ms",
            10.0 * start.elapsed().as_secs_f64()
        );
        let mut rng = Stream::new(2, Purpose::Explore);
        let mut noise = Stream::new(2, Purpose::Noise);
        let (mut poses, mut attempted, mut thrown) = (Vec::new(), 0.0, 0);
        for object in &scene.objects {
            for k in 0..ROTATIONS {
                let place = object.pose.translation.vector;
                let (x, y) =
                    (place.x + rng.uniform(-0.02, 0.02), place.y + rng.uniform(-0.02, 0.02));
                let pose = GraspPose { x, y, angle: heading(k) };
                if world.grasp(&scene, &pose).is_ok() {
                    poses.push(pose);
                }
            }
        }
        let start = Instant::now();
        for _ in 0..200 {
            for pose in &poses {
                attempted += 1.0;
                thrown +=
                    usize::from(world.attempt(&scene, pose, 5, 2.2, &mut noise)?.throw.is_some());
            }
        }
        let each = 1e6 * start.elapsed().as_secs_f64() / attempted;
        println!(
            "attempt with grasp and throw, {count} objects: {each:.1} µs ({thrown} of {attempted} thrown)"
        );
        let scenes = Instant::now();
        for index in 0..100 {
            Scene::generate(&models, workspace, count, 1, index)?;
        }
        println!("scene of {count} objects: {:.3} ms", 10.0 * scenes.elapsed().as_secs_f64());
    }
    Ok(())
}
