//! Stage A: attempts without a network, many bins at once.

use std::sync::Arc;

use rayon::prelude::*;

use crate::agent::{Choice, commanded, explore};
use crate::attempt::{Outcome, World};
use crate::error::Result;
use crate::heightmap::Heightmap;
use crate::hindsight::Throwing;
use crate::objects::ObjectModel;
use crate::observation::millimetres;
use crate::preset::Preset;
use crate::replay::Transition;
use crate::rng::{Purpose, Stream};
use crate::scene::Scene;

/// Attempts in one bin before the next one is filled.
const ATTEMPTS_PER_BIN: usize = 10;
/// Bins of stage A are numbered from here, those of stage C from 0.
const FIRST_BIN: u64 = 1 << 32;

/// What is remembered of an attempt at `choice`.
pub(super) fn transition(
    heights: Vec<u8>,
    choice: &Choice,
    target: usize,
    speed: f64,
    outcome: &Outcome,
) -> Transition {
    let landing = outcome.throw.and_then(|throw| throw.landing);
    Transition {
        heights,
        rotation: choice.rotation,
        pixel: choice.pixel,
        target,
        speed,
        grasped: outcome.grasp.is_ok(),
        landing: landing.map(|(place, _)| [place.x, place.y]),
    }
}

/// The attempts in bins `bins`, in order. Each bin has its own random streams, so the result does not depend on the number of threads.
pub(super) fn collect(
    preset: &Preset,
    world: &World,
    catalogue: &[Arc<ObjectModel>],
    gravity: f64,
    seed: u64,
    bins: std::ops::Range<u64>,
) -> Result<Vec<Transition>> {
    let all: Result<Vec<Vec<Transition>>> = bins
        .into_par_iter()
        .map(|bin| one_bin(preset, world, catalogue, gravity, seed, FIRST_BIN + bin))
        .collect();
    Ok(all?.into_iter().flatten().collect())
}

fn one_bin(
    preset: &Preset,
    world: &World,
    catalogue: &[Arc<ObjectModel>],
    gravity: f64,
    seed: u64,
    bin: u64,
) -> Result<Vec<Transition>> {
    let mut scene = Scene::generate(catalogue, preset.workspace, preset.objects, seed, bin)?;
    let mut rng = Stream::indexed(seed, Purpose::Explore, bin);
    let mut noise = Stream::indexed(seed, Purpose::Noise, bin);
    let mut map = Heightmap::render(&scene);
    let mut transitions = Vec::with_capacity(ATTEMPTS_PER_BIN);
    for attempt in 0..ATTEMPTS_PER_BIN {
        if scene.objects.is_empty() {
            break;
        }
        let choice = explore(&map, preset.curriculum.on_object.max(0.8), &mut rng);
        let target = (bin as usize * ATTEMPTS_PER_BIN + attempt) % world.boxes.len().max(1);
        let base = Throwing::new(world, target)?.aim.speed(gravity)?;
        let speed = commanded(base, preset.curriculum.speed_deviation * rng.normal());
        let outcome = world.attempt(&scene, &choice.pose, target, speed, &mut noise)?;
        transitions.push(transition(millimetres(&map), &choice, target, speed, &outcome));
        if let Ok(grasp) = outcome.grasp {
            scene.remove(grasp.object)?;
            map.draw(&scene);
        }
    }
    Ok(transitions)
}
