//! A planner that learned on small pictures, on large ones. What a pixel means (floor, sand, water, wall, each with noise) is learned through the plan:
//! nobody tells the network which cells are walls, and nothing is rounded to a wall afterwards. The plan does not care how long a way is.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Graph, Var};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::{Bound, Initialization, Parameters};
use pullback_vin::gradient::Plan;
use pullback_vin::grid::{Connectivity, Corners, GridMap, GridProcess, GridSpec};
use pullback_vin::learn::{ProblemSet, measure};
use pullback_vin::node::{PlanNode, set_cross_entropy};
use pullback_vin::process::Process;
use pullback_vin::solve::{Method, Settings, solve};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Colour and cost of floor, sand, water; the colour of walls.
const TERRAIN: [([f64; 3], f64); 3] =
    [([0.85, 0.85, 0.85], 1.0), ([0.85, 0.75, 0.35], 2.5), ([0.25, 0.45, 0.9], 6.0)];
const WALL: [f64; 3] = [0.3, 0.2, 0.2];
/// Standard deviation of each channel of a pixel.
const NOISE: f64 = 0.06;
/// Hidden units of the network that reads a pixel.
const HIDDEN: usize = 16;
/// Logits are Q over this.
const TEMPERATURE: f64 = 0.25;

/// The only thing that knows the truth: a map with a ring of walls, lakes, dunes and walls on the floor, and a noisy picture of it.
fn scene(size: usize, seed: u64) -> Result<(GridMap, Vec<f64>)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut kind = vec![0usize; size * size];
    let many = size * size / 60;
    for (what, count) in [(1, many / 2), (2, many / 2), (3, many)] {
        for _ in 0..count {
            let [h, w] = [(); 2].map(|()| random.random_range(1..=5));
            let [y, x] = [(); 2].map(|()| random.random_range(0..size));
            for y in y..(y + h).min(size) {
                kind[y * size + x..y * size + (x + w).min(size)].fill(what);
            }
        }
    }
    for i in 0..size * size {
        let (y, x) = (i / size, i % size);
        if y == 0 || x == 0 || y == size - 1 || x == size - 1 {
            kind[i] = 3;
        }
    }
    let mut pixels = Vec::with_capacity(3 * kind.len());
    for &k in &kind {
        let color = TERRAIN.get(k).map_or(WALL, |t| t.0);
        for channel in color {
            // Nearly normal.
            let z: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            pixels.push(channel + NOISE * z);
        }
    }
    let cost = kind.iter().map(|k| TERRAIN.get(*k).map_or(1.0, |t| t.1)).collect();
    let map = GridMap::new(size, size, kind.iter().map(|k| *k == 3).collect())?.with_cost(cost)?;
    Ok((map, pixels))
}

/// What each cell costs to enter: exp of a small network of its pixel.
fn costs<'g>(bound: &Bound<'g>, graph: &'g Graph, pixels: &[f64]) -> Result<Var<'g>> {
    let x = graph.constant(&from_vec(pixels.to_vec(), &[pixels.len() / 3, 3], &Device::Cpu)?);
    let inner = (x.matmul(bound.get("first")?) + bound.get("first.bias")?).tanh();
    Ok((inner.matmul(bound.get("second")?) + bound.get("second.bias")?).exp().ok()?)
}

/// Moves as on the map, but no cell is known to be a wall.
fn unknown(size: usize, goal: usize, cost: Option<Vec<f64>>) -> Result<GridProcess> {
    let map = GridMap::new(size, size, vec![false; size * size])?;
    let map = map.with_cost(cost.unwrap_or_else(|| vec![1.0; size * size]))?;
    let connectivity = Connectivity::octile(Corners::Cut);
    let spec = GridSpec { connectivity, ..GridSpec::default() };
    Ok(GridProcess::new(map, spec, &[(goal, 0.0)])?)
}

fn trained(size: usize, steps: usize) -> Result<Parameters> {
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let mut root = parameters.root();
    root.parameter("first", &[3, HIDDEN], Initialization::Xavier)?;
    root.parameter("first.bias", &[1, HIDDEN], Initialization::Constant(0.0))?;
    root.parameter("second", &[HIDDEN, 1], Initialization::Xavier)?;
    root.parameter("second.bias", &[1, 1], Initialization::Constant(0.0))?;
    let mut adam = Adam::new(AdamOptions { learning_rate: 0.02, ..AdamOptions::default() })?;
    for step in 0..steps {
        let (map, pixels) = scene(size, 2 * step as u64)?;
        let connectivity = Connectivity::octile(Corners::Cut);
        let set = ProblemSet::on_maps(vec![map], connectivity, 1, 2 * step as u64)?;
        let problem = &set.problems[0];
        let solver = Settings { tolerance: 1e-9, ..Settings::by(Method::Prioritized) };
        let process = unknown(size, problem.goal, None)?;
        let node = PlanNode::new(vec![process], Plan { solver, ..Plan::default() })?.build();
        let graph = Graph::new();
        let bound = parameters.bind(&graph);
        let cost = costs(&bound, &graph, &pixels)?.reshape(&[1, size, size]);
        let none = graph.constant(&Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?);
        let q = graph.apply(&node, &[cost, none, none])?[1];
        let logits = (q * (1.0 / TEMPERATURE)).permute(&[0, 2, 1]).reshape(&[1, 8, size, size]);
        let loss = set_cross_entropy(logits, problem.best.clone())?;
        adam.step(&mut parameters, &graph.gradient(loss, bound.vars())?)?;
    }
    Ok(parameters)
}

/// What is learned of colours without noise, beside the truth; only ratios of costs decide between ways.
fn colors(output: &mut Output, parameters: &Parameters) -> Result<()> {
    let graph = Graph::new();
    let pixels = [TERRAIN[0].0, TERRAIN[1].0, TERRAIN[2].0, WALL].concat();
    let learned = to_f64(&costs(&parameters.bind_constant(&graph), &graph, &pixels)?.value()?)?;
    for (i, name) in ["sand (true: 2.5)", "water (true: 6)", "walls (true: ∞)"].iter().enumerate()
    {
        let ratio = learned[i + 1] / learned[0];
        output.push(Row::new(
            format!("learned through plans of 25×25: cost of {name}"),
            "floors",
            ratio,
        ))?;
    }
    Ok(())
}

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let small = 25;
    let parameters = trained(small, if quick { 60 } else { 600 })?;
    colors(output, &parameters)?;
    for size in if quick { vec![64] } else { vec![64, 128, 256] } {
        let count = if quick { 2 } else { 512 / size };
        let scenes: Vec<_> =
            (0..count as u64).map(|k| scene(size, 1_000_001 + 2 * k)).collect::<Result<_>>()?;
        let (maps, pictures): (Vec<_>, Vec<_>) = scenes.into_iter().unzip();
        let set = ProblemSet::on_maps(maps, Connectivity::octile(Corners::Cut), 2, 5)?;
        let mut policies = vec![];
        for problem in &set.problems {
            let graph = Graph::new();
            let bound = parameters.bind_constant(&graph);
            let cost = to_f64(&costs(&bound, &graph, &pictures[problem.map])?.value()?)?;
            let process = unknown(size, problem.goal, Some(cost))?;
            let values = solve(&process, &Settings::by(Method::Prioritized))?.values;
            let mut q = [0.0; 8];
            let action = |s: usize| {
                process.action_values(s, &values, &mut q);
                (1..8).fold(0, |b, a| if q[a] > q[b] { a } else { b }) as u8
            };
            policies.push((0..process.states()).map(action).collect());
        }
        let report = measure(&set, &policies, true)?;
        let worst = report.by_length.iter().filter(|s| s.of > 0).map(|s| s.value());
        let worst = 100.0 * worst.fold(f64::INFINITY, f64::min);
        let name = format!("trained on 25×25, used on {size}×{size} pictures that it has not seen");
        let row = Row::new(format!("{name}: worst success of any length"), "%", worst);
        output.push(if quick { row } else { row.at_least(99.0) })?;
        let filled = report.by_length.iter().filter(|s| s.of > 0).count();
        let longest = report.bin * filled as f64;
        output.push(Row::new(format!("{name}: dearest way, at most"), "floors", longest))?;
        output.push(Row::new(format!("{name}: starts"), "walks", report.success.of as f64))?;
        output.push(Row::new(format!("{name}: cost ratio"), "ratio", report.cost_ratio))?;
    }
    Ok(())
}
