//! What the world allows before anything is learned: the best that a thrower could do if it knew each grasp's lever exactly.
//!
//! A method that is taught by its throws may choose grasps whose errors cancel. How far that can carry it is a property of the simulated
//! robot and can be measured without any network: draw random grasps, sort them by class and by the *signed* distance of the centre of
//! mass ahead of the pinch point, and ask for each box row which of these cells is thrown best. Cells and corrections are chosen on one
//! half of the grasps and scored on the other, so that picking the best of many cells is not itself counted as success.
//!
//! | ceiling | speed | grasp |
//! |---|---|---|
//! | physics | v̂(p; g) | the best cell of each row |
//! | learned a | v̂(p; a), the a in a grid that suits the class best | the best cell of each row |
//! | residual | v̂(p; g) + a correction for each cell and row | the best cell of each row, or random |

use std::collections::HashMap;

use rayon::prelude::*;
use serde::Serialize;

use crate::agent::{commanded, explore};
use crate::attempt::World;
use crate::error::Result;
use crate::evaluate::Trial;
use crate::grasp::Grasp;
use crate::heightmap::Heightmap;
use crate::hindsight::{Throwing, landing_aim};
use crate::objects::ObjectModel;
use crate::release::ReleaseNoise;
use crate::rng::{Purpose, Stream};

/// Width of a cell in metres: finer than a pixel of the quick preset.
const CELL: f64 = 0.005;
/// Cells to each side of the centre of mass.
const CELLS: i64 = 16;
/// Draws of a grasp in one scene.
const DRAWS: usize = 200;
/// Grasps that each half of a cell needs to count.
const ENOUGH: usize = 20;
/// Values of a in m/s² that "learned a" may take.
const GRAVITIES: [f64; 17] = [
    7.0, 7.25, 7.5, 7.75, 8.0, 8.25, 8.5, 8.75, 9.0, 9.25, 9.5, 9.75, 10.0, 10.25, 10.5, 10.75,
    11.0,
];

/// The ceilings of one class of objects, as shares of throws into the right box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ceiling {
    /// The class.
    pub class: String,
    /// Grasps that were drawn.
    pub grasps: usize,
    /// Physics-only from random grasps; 0 if none held.
    pub physics_random: f64,
    /// Physics-only from the best cell; `None` if no cell of some row holds enough grasps.
    pub physics: Option<f64>,
    /// Physics with the a that suits the class best, from the best cell; `None` as before.
    pub learned: Option<f64>,
    /// That a in m/s².
    pub gravity: f64,
    /// The best correction of each cell, from random grasps of cells with enough of them; `None` if there are none.
    pub residual_random: Option<f64>,
    /// The same from the best cell.
    pub residual: Option<f64>,
    /// Physics-only by cell: middle of the cell in metres (ahead of the pinch point is positive), share of hits, throws.
    pub cells: Vec<(f64, f64, usize)>,
}

struct Sample {
    cell: i64,
    row: usize,
    target: usize,
    grasp: Grasp,
    model: std::sync::Arc<ObjectModel>,
    noise: ReleaseNoise,
    /// Residual δ̄ that the physics-only throw showed.
    shown: Option<f64>,
    second: bool,
}

impl Sample {
    fn hits(&self, world: &World, speed: f64) -> Result<bool> {
        Ok(world.throw(&self.grasp, &self.model, self.target, speed, &self.noise)?.success)
    }
}

/// Ceilings of every group of `trial` in `world`, from `trial.scenes` bins.
///
/// # Errors
/// Those of scenes and throws.
pub fn ceilings(trial: &Trial, world: &World) -> Result<Vec<Ceiling>> {
    let samples: Result<Vec<(usize, Vec<Sample>)>> =
        (0..trial.scenes).into_par_iter().map(|index| draw(trial, world, index)).collect();
    let samples = samples?;
    (0..trial.groups.len())
        .map(|group| {
            let all: Vec<&Sample> =
                samples.iter().filter(|(g, _)| *g == group).flat_map(|(_, s)| s).collect();
            ceiling(&trial.groups[group].name, world, &all)
        })
        .collect()
}

/// Random grasps of scene `index` that hold.
fn draw(trial: &Trial, world: &World, index: usize) -> Result<(usize, Vec<Sample>)> {
    let (group, scene) = trial.scene(index)?;
    let map = Heightmap::render(&scene);
    let mut rng = Stream::indexed(trial.seed, Purpose::Explore, index as u64);
    let mut noise = trial.noise(index);
    let boxes = world.boxes.len().max(1);
    let mut samples = Vec::new();
    for attempt in 0..DRAWS {
        let choice = explore(&map, 1.0, &mut rng);
        let noise = ReleaseNoise { timing: noise.normal(), torsion: noise.normal() };
        let Ok(grasp) = world.grasp(&scene, &choice.pose) else { continue };
        let Some(object) = scene.object(grasp.object) else { continue };
        let target = (index * DRAWS + attempt) % boxes;
        let throwing = Throwing::new(world, target)?;
        let base = throwing.aim.speed(world.release.gravity)?;
        let throw = world.throw(&grasp, &object.model, target, base, &noise)?;
        let landing = throw.landing.map(|(place, _)| [place.x, place.y]);
        let shown = match landing_aim(world, landing) {
            Some(aim) => Some(base - aim.speed(world.release.gravity)?),
            None => None,
        };
        samples.push(Sample {
            cell: (grasp.held.forward / CELL).floor() as i64,
            row: target / world.boxes.columns.len().max(1),
            target,
            grasp,
            model: object.model.clone(),
            noise,
            shown,
            second: samples.len() % 2 == 1,
        });
    }
    Ok((group, samples))
}

fn share(hits: &[bool]) -> f64 {
    hits.iter().filter(|&&hit| hit).count() as f64 / hits.len().max(1) as f64
}

fn ceiling(class: &str, world: &World, samples: &[&Sample]) -> Result<Ceiling> {
    let at = |gravity: f64| -> Result<Vec<bool>> {
        let throw = |s: &&Sample| {
            let base = Throwing::new(world, s.target)?.aim.speed(gravity)?;
            s.hits(world, commanded(base, 0.0))
        };
        samples.par_iter().map(throw).collect()
    };
    let physics = at(world.release.gravity)?;
    let best = best_cell(world, samples, &physics);
    let (mut learned, mut gravity) = (best, world.release.gravity);
    for a in GRAVITIES {
        let value = best_cell(world, samples, &at(a)?);
        if learned < value {
            (learned, gravity) = (value, a);
        }
    }
    let cells = (-CELLS..CELLS).filter_map(|cell| {
        let hits: Vec<bool> =
            samples.iter().zip(&physics).filter(|(s, _)| s.cell == cell).map(|(_, &h)| h).collect();
        (ENOUGH <= hits.len()).then(|| ((cell as f64 + 0.5) * CELL, share(&hits), hits.len()))
    });
    let corrected = corrected(world, samples)?;
    let (known, hits): (Vec<&Sample>, Vec<bool>) =
        samples.iter().zip(corrected).filter_map(|(s, hit)| Some((*s, hit?))).unzip();
    let random: Vec<bool> =
        known.iter().zip(&hits).filter(|(s, _)| s.second).map(|(_, &hit)| hit).collect();
    Ok(Ceiling {
        class: class.to_owned(),
        grasps: samples.len(),
        physics_random: share(&physics),
        physics: best,
        learned,
        gravity,
        residual_random: (!random.is_empty()).then(|| share(&random)),
        residual: best_cell(world, &known, &hits),
        cells: cells.collect(),
    })
}

/// Mean over the box rows of the second half's success in the cell that the first half found best.
fn best_cell(world: &World, samples: &[&Sample], hits: &[bool]) -> Option<f64> {
    let rows = world.boxes.rows.len();
    let of = |row: usize, cell: i64, second: bool| -> Vec<bool> {
        let wanted = |s: &Sample| s.row == row && s.cell == cell && s.second == second;
        samples.iter().zip(hits).filter(|(s, _)| wanted(s)).map(|(_, &hit)| hit).collect()
    };
    let row_best = |row: usize| {
        let candidates = (-CELLS..CELLS).filter_map(|cell| {
            let (first, second) = (of(row, cell, false), of(row, cell, true));
            (ENOUGH <= first.len() && ENOUGH <= second.len())
                .then(|| (share(&first), share(&second)))
        });
        candidates.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, scored)| scored)
    };
    Some((0..rows).map(row_best).sum::<Option<f64>>()? / rows.max(1) as f64)
}

/// Whether each throw hits when its cell and row is corrected by the median δ̄ that the cell's first half showed; `None` in cells that
/// showed too few.
fn corrected(world: &World, samples: &[&Sample]) -> Result<Vec<Option<bool>>> {
    let mut shown: HashMap<(i64, usize), Vec<f64>> = HashMap::new();
    for s in samples.iter().filter(|s| !s.second) {
        shown.entry((s.cell, s.row)).or_default().extend(s.shown);
    }
    shown.values_mut().for_each(|all| all.sort_by(f64::total_cmp));
    let throw = |s: &&Sample| {
        let Some(all) = shown.get(&(s.cell, s.row)).filter(|all| ENOUGH <= all.len()) else {
            return Ok(None);
        };
        let base = Throwing::new(world, s.target)?.aim.speed(world.release.gravity)?;
        Ok(Some(s.hits(world, commanded(base, all[all.len() / 2]))?))
    };
    samples.par_iter().map(throw).collect()
}
