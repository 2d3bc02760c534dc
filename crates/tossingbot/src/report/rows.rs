//! The figures behind the claims, as rows.

use std::f64::consts::FRAC_PI_4;
use std::path::Path;

use candle_core::{Device, Tensor};
use pullback_core_graph::Graph;
use pullback_core_graph::tensor::to_f64;
use serde::Serialize;

use super::table::hard;
use crate::archive::replace;
use crate::attempt::World;
use crate::ballistics::{Aim, STANDARD_GRAVITY, landing_distance};
use crate::ceilings::{Ceiling, ceilings};
use crate::demo::{Demo, Event, Plan};
use crate::error::Result;
use crate::evaluate::{SceneRecord, Trial, groups};
use crate::flight::{Medium, land};
use crate::identify::{Descent, identify_gravity, loss_and_gradient, simulated_throws};
use crate::method::Method;
use crate::objects::{Builtin, builtin_models};
use crate::physics_node::{BallisticSpeed, column};
use crate::preset::Preset;
use crate::release::ReleaseModel;

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The value.
    pub value: f64,
    /// What it should be, in words; empty where there is no claim.
    pub target: String,
    /// Whether it is.
    pub met: bool,
}

impl Row {
    fn below(name: &str, unit: &str, value: f64, bound: f64) -> Self {
        let target = format!("< {bound:e}");
        Self { name: name.into(), unit: unit.into(), value, target, met: value < bound }
    }

    fn least(name: String, unit: &str, value: f64, bound: f64) -> Self {
        Self { name, unit: unit.into(), value, target: format!("≥ {bound}"), met: value >= bound }
    }

    fn plain(name: String, unit: &str, value: f64) -> Self {
        Self { name, unit: unit.into(), value, target: String::new(), met: true }
    }
}

/// Targets at which the formula is tried: distances and heights in metres, above and below the release.
fn aims() -> impl Iterator<Item = Aim> {
    let distances = (0..12).map(|i| 0.4 + 0.15 * f64::from(i));
    distances.flat_map(|d| (0..9).map(move |j| Aim::new(d, -0.19 + 0.06 * f64::from(j))))
}

/// Exactness of the physics: round trips, derivatives, identification of gravity. It takes about a second.
///
/// # Errors
/// Those of the formula and of the network: none in practice.
pub fn physics_rows() -> Result<Vec<Row>> {
    let g = STANDARD_GRAVITY;
    let (mut closed, mut flown, mut air) = (0.0f64, 0.0f64, 0.0f64);
    for aim in aims() {
        let speed = aim.speed(g)?;
        closed =
            closed.max((landing_distance(speed, aim.height, aim.angle, g)? - aim.distance).abs());
        let vacuum = Medium { gravity: g, drag: 0.0 };
        if let Some(landing) = land(&[0.0, aim.height, speed, speed], 0.0, &vacuum)? {
            flown = flown.max((landing.x - aim.distance).abs());
        }
        let drag = 0.1;
        let through = aim.speed_through_air(g, drag)?.speed;
        let medium = Medium { gravity: g, drag };
        if let Some(landing) = land(&[0.0, aim.height, through, through], 0.0, &medium)? {
            air = air.max((landing.x - aim.distance).abs());
        }
    }
    let throws = simulated_throws(400, g, 0.01, 0)?;
    let (gravity, _) = identify_gravity(&throws, &Descent::default())?;
    let mut loss_error = 0.0f64;
    for a in [7.0, 9.0, 10.5] {
        let loss = |a: f64| Ok::<f64, crate::Error>(loss_and_gradient(&throws, a, FRAC_PI_4)?.0);
        let difference = (loss(a + 1e-5)? - loss(a - 1e-5)?) / 2e-5;
        loss_error =
            loss_error.max((loss_and_gradient(&throws, a, FRAC_PI_4)?.1 - difference).abs());
    }
    Ok(vec![
        Row::below("round trip v̂ → landing, closed form", "m", closed, 1e-9),
        Row::below("round trip v̂ → flight in vacuum", "m", flown, 1e-9),
        Row::below("round trip v̂ → flight with drag .1/m", "m", air, 1e-9),
        Row::below(
            "∂v̂/∂(a, d, h) of the node against finite differences",
            "relative",
            node_error()?,
            1e-6,
        ),
        Row::below(
            "∂v̂/∂(g, d, h, k) with drag against finite differences",
            "relative",
            drag_error()?,
            1e-6,
        ),
        Row::below(
            "dL/da of the hindsight loss against finite differences",
            "1/(m/s²)",
            loss_error,
            1e-6,
        ),
        Row::plain("gravity identified from 400 throws, start 7.0".into(), "m/s²", gravity),
        Row::below("its error", "m/s²", (gravity - g).abs(), 0.01),
    ])
}

/// What each robot allows before anything is learned, on rods and hammers. It takes half a minute.
///
/// # Errors
/// Those of scenes and throws.
pub fn ceiling_rows() -> Result<Vec<Row>> {
    let preset = Preset::quick();
    let mut rows = Vec::new();
    for robot in ["open-loop", "half-compensated"] {
        let Some(release) = ReleaseModel::preset(robot) else { continue };
        let trial = Trial {
            groups: groups(&builtin_models(&[Builtin::Rod, Builtin::Hammer])?, 2),
            scenes: 3000,
            workspace: preset.workspace,
            objects: preset.objects,
            seed: 0,
        };
        let found = ceilings(&trial, &World::with_release(release))?;
        let mean = |value: fn(&Ceiling) -> Option<f64>| {
            let sum = found.iter().map(value).sum::<Option<f64>>();
            sum.map(|sum| 100.0 * sum / found.len().max(1) as f64)
        };
        let mut row = |what: &str, value: Option<f64>| {
            let name = format!("{robot} robot: ceiling on rods + hammers, {what}");
            rows.extend(value.map(|value| Row::plain(name, "%", value)));
        };
        row("physics-only, random grasps", mean(|c| Some(c.physics_random)));
        row("physics-only, best grasps", mean(|c| c.physics));
        row("one best a, best grasps", mean(|c| c.learned));
        row("residual, random grasps", mean(|c| c.residual_random));
        row("residual, best grasps", mean(|c| c.residual));
    }
    Ok(rows)
}

/// Largest relative error of the node's gradient.
fn node_error() -> Result<f64> {
    let node = BallisticSpeed { angle: FRAC_PI_4 };
    let mut worst = 0.0f64;
    for aim in aims() {
        let x = [STANDARD_GRAVITY, aim.distance, aim.height];
        let graph = Graph::new();
        let input = |v: f64, n: &[usize]| -> Result<_> {
            Ok(graph.input(&Tensor::full(v, n, &Device::Cpu)?))
        };
        let vars = [input(x[0], &[])?, input(x[1], &[1])?, input(x[2], &[1])?];
        let speed = node.record(vars[0], vars[1], vars[2]).sum(());
        let gradient = graph.gradient(speed, &vars)?;
        for (i, derivative) in gradient.iter().enumerate() {
            let value = |shift: f64| -> Result<f64> {
                let mut y = x;
                y[i] += shift;
                let graph = Graph::new();
                let a = graph.scalar(y[0]);
                let (d, h) = (column(&graph, &y[1..2])?, column(&graph, &y[2..])?);
                Ok(node.record(a, d, h).sum(()).to_f64()?)
            };
            let difference = (value(1e-5)? - value(-1e-5)?) / 2e-5;
            let exact = to_f64(derivative)?.iter().sum::<f64>();
            worst = worst.max((exact - difference).abs() / exact.abs().max(1.0));
        }
    }
    Ok(worst)
}

/// Largest relative error of the implicit derivatives through air.
fn drag_error() -> Result<f64> {
    let mut worst = 0.0f64;
    for aim in aims().step_by(5) {
        let x = [STANDARD_GRAVITY, aim.distance, aim.height, 0.1];
        let value = |y: &[f64; 4]| {
            Ok::<f64, crate::Error>(Aim::new(y[1], y[2]).speed_through_air(y[0], y[3])?.speed)
        };
        let at = aim.speed_through_air(x[0], x[3])?;
        let exact = [at.by_gravity, at.by_distance, at.by_height, at.by_drag];
        for i in 0..4 {
            let (mut up, mut down) = (x, x);
            up[i] += 1e-5;
            down[i] -= 1e-5;
            let difference = (value(&up)? - value(&down)?) / 2e-5;
            worst = worst.max((exact[i] - difference).abs() / exact[i].abs().max(1.0));
        }
    }
    Ok(worst)
}

/// Figures of a finished job.
pub fn demo_rows(demo: &Demo) -> Vec<Row> {
    let evaluation = demo.evaluation();
    let column = hard(&evaluation);
    let of = |r: &SceneRecord| column.holds(r);
    let everything = |_: &SceneRecord| true;
    let seed = demo.plan().seed;
    let name = |what: &str| format!("{} preset, seed {seed}: {what}", demo.plan().preset.name);
    let position = |m: Method| evaluation.position(m).unwrap_or(0);
    let (residual, physics, learned) =
        (position(Method::Residual), position(Method::Physics), position(Method::LearnedGravity));
    let throws = |m: usize| evaluation.throw_rate(m, m, &of).percent();
    let mut rows = vec![
        Row::least(
            name(&format!("grasps, {}", column.name)),
            "%",
            evaluation.grasp_rate(residual, &of).percent(),
            80.0,
        ),
        Row::least(name(&format!("residual throws, {}", column.name)), "%", throws(residual), 80.0),
        Row::plain(name(&format!("physics-only throws, {}", column.name)), "%", throws(physics)),
        Row::plain(name(&format!("learned-a throws, {}", column.name)), "%", throws(learned)),
    ];
    let random = evaluation.random_grasps();
    for (other, title) in [(physics, "physics-only"), (learned, "learned-a")] {
        let target = other == physics;
        let comparisons = [
            ("own grasps", evaluation.compare_throws(residual, other, &of)),
            (
                "the same random grasps",
                evaluation.compare_on_grasps_of(random, residual, other, &of),
            ),
            (
                "the grasps the other picked",
                evaluation.compare_on_grasps_of(other, residual, other, &of),
            ),
        ];
        for (i, (grasps, paired)) in comparisons.into_iter().enumerate() {
            let Some(paired) = paired else { continue };
            let gap = 100.0 * paired.difference.estimate;
            let what = name(&format!("residual − {title} throws, same scenes, {grasps}"));
            if target && i < 2 {
                rows.push(Row::least(what.clone(), "points", gap, 10.0));
                rows.push(Row::below(&format!("{what}: p"), "", paired.p_value, 0.01));
            } else {
                rows.push(Row::plain(what, "points", gap));
            }
        }
    }
    rows.push(Row::plain(
        name(&format!("residual throws from random grasps, {}", column.name)),
        "%",
        evaluation.throw_rate(random, residual, &of).percent(),
    ));
    rows.extend([
        Row::plain(
            name("grasps, all objects"),
            "%",
            evaluation.grasp_rate(residual, &everything).percent(),
        ),
        Row::plain(
            name("residual throws, all objects"),
            "%",
            evaluation.throw_rate(residual, residual, &everything).percent(),
        ),
        Row::plain(name("work"), "min", demo.seconds() / 60.0),
    ]);
    rows
}

/// Runs the plan for each seed below `folder` (or goes on where an interrupted report stopped) and gives the figures of each.
///
/// A finished run is used again if plan and `code` are those that made it; `code` is the caller's name for the version of the program.
/// `watch` hears of every step.
///
/// # Errors
/// Those of [`Demo`].
pub fn seed_rows(
    plan: &Plan,
    seeds: &[u64],
    folder: &Path,
    code: &str,
    watch: &mut dyn FnMut(&Demo, &Event),
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &seed in seeds {
        let folder = folder.join(format!("seed-{seed}"));
        let plan = Plan { seed, folder: folder.clone(), ..plan.clone() };
        let (stamp, made_by) = (folder.join("made-by"), format!("{code} {}", plan.fingerprint()));
        let same = std::fs::read_to_string(&stamp).is_ok_and(|text| text == made_by);
        let mut demo = if same {
            Demo::resume(plan)?
        } else {
            let demo = Demo::start(plan)?;
            replace(&stamp, made_by.as_bytes())?;
            demo
        };
        loop {
            let event = demo.advance()?;
            watch(&demo, &event);
            if event == Event::Finished {
                break;
            }
        }
        rows.extend(demo_rows(&demo));
    }
    Ok(rows)
}
