//! The lecture's maze: a coloured picture goes in, value iteration plans inside, and the gradient at its fixed point goes back into the network that
//! reads the colours.
//!
//! A 1×1 convolution guesses what each colour costs. Nobody tells it: it sees only which actions an expert takes. The planner is exact, its derivative
//! implicit, so nothing depends on how long the ways are; the colours learned on 12×12 pictures plan on 64×64 ones.
//!
//! `cargo run --release -p examples --bin 10_image_to_plan`; `-- --quick` does less of it. Pictures: target/figures/10_*.svg.
#![allow(clippy::print_stdout, reason = "an example says what it does")]

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Graph, Var};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::{Bound, Initialization, Parameters};
use pullback_vin::gradient::Plan;
use pullback_vin::grid::{Connectivity, Corners, GridProcess, GridSpec, Meaning, Painted, Palette};
use pullback_vin::node::{PlanNode, set_cross_entropy};
use pullback_vin::policy::best_actions;
use pullback_vin::solve::{Method, Settings, solve};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the painter knows and the network has to find out: floor, water, sand.
const TERRAIN: [([u8; 3], f64); 3] =
    [([255, 255, 255], 1.0), ([0, 0, 255], 6.0), ([255, 255, 0], 2.5)];
const WALL: [u8; 3] = [0, 0, 0];
const GOAL: [u8; 3] = [0, 255, 0];
/// Logits are Q over this: a step too much is e^−4 as likely.
const TEMPERATURE: f64 = 0.25;

/// A picture with lakes, dunes, walls and one goal.
fn paint(size: usize, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut pixels = TERRAIN[0].0.repeat(size * size);
    let mut set =
        |cell: usize, color: [u8; 3]| pixels[3 * cell..3 * cell + 3].copy_from_slice(&color);
    for (color, patches, side) in [
        (TERRAIN[1].0, size / 3, size / 3),
        (TERRAIN[2].0, size / 3, size / 3),
        (WALL, size / 2, size / 4),
    ] {
        for _ in 0..patches {
            let [h, w] = [(); 2].map(|()| random.random_range(1..=side));
            let [y, x] = [(); 2].map(|()| random.random_range(0..size));
            for y in y..(y + h).min(size) {
                (x..(x + w).min(size)).for_each(|x| set(y * size + x, color));
            }
        }
    }
    set(random.random_range(0..size * size), GOAL);
    pixels
}

/// What the painter sees in it.
fn truth(size: usize, pixels: &[u8]) -> Result<Painted> {
    let terrain = TERRAIN.map(|(color, cost)| (color, Meaning::Terrain(cost)));
    let colors = [&terrain[..], &[(WALL, Meaning::Wall), (GOAL, Meaning::Goal(0.0))]].concat();
    Ok(Palette::new(colors, 20)?.read(size, size, pixels)?)
}

fn spec() -> GridSpec {
    GridSpec { connectivity: Connectivity::octile(Corners::Keep), ..GridSpec::default() }
}

/// Costs of all cells from colours: the softplus of a 1×1 convolution, at least 0.1.
fn costs<'g>(bound: &Bound<'g>, pixels: Var<'g>) -> Result<Var<'g>> {
    let (weight, bias) = (bound.get("weight")?, bound.get("bias")?);
    Ok(((pixels * weight).sum([-1]) + bias).softplus().ok()? + 0.1)
}

/// Pixels as (1, size, size, 3) in [0, 1].
fn image(size: usize, pixels: &[u8]) -> Result<Tensor> {
    let numbers = pixels.iter().map(|p| f64::from(*p) / 255.0).collect::<Vec<_>>();
    Ok(from_vec(numbers, &[1, size, size, 3], &Device::Cpu)?)
}

/// Costs, V and Q that the network sees.
fn plan<'g>(
    graph: &'g Graph,
    bound: &Bound<'g>,
    size: usize,
    pixels: &[u8],
) -> Result<[Var<'g>; 3]> {
    // Walls and goals are read off; the terrain is the network's to guess.
    let painted = truth(size, pixels)?;
    let map = painted.map.with_cost(vec![1.0; size * size])?;
    let process = GridProcess::new(map, spec(), &painted.goals)?;
    let solver = Settings { tolerance: 1e-9, ..Settings::by(Method::Prioritized) };
    let node =
        PlanNode::new(vec![process], Plan { solver, ..Plan::default() })?.fill(-1e3)?.build();
    let cost = costs(bound, graph.constant(&image(size, pixels)?))?;
    let none = graph.constant(&Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?);
    let out = graph.apply(&node, &[cost, none, none])?;
    Ok([cost, out[0], out[1]])
}

/// Sets of best actions with the true costs.
fn expert(size: usize, pixels: &[u8]) -> Result<Vec<u8>> {
    let painted = truth(size, pixels)?;
    let process = GridProcess::new(painted.map, spec(), &painted.goals)?;
    let values = solve(&process, &Settings::by(Method::Prioritized))?.values;
    let sets = best_actions(&process, &values, 1e-9)?;
    Ok(sets.chunks_exact(8).map(|row| (0..8).fold(0, |s, a| s | u8::from(row[a]) << a)).collect())
}

/// Share of cells whose planned action is among the true best.
fn right(size: usize, pixels: &[u8], parameters: &Parameters) -> Result<f64> {
    let graph = Graph::new();
    let [_, _, q] = plan(&graph, &parameters.bind_constant(&graph), size, pixels)?;
    let (q, sets) = (to_f64(&q.value()?)?, expert(size, pixels)?);
    let (mut hits, mut of) = (0, 0);
    for (row, set) in q.chunks_exact(8).zip(&sets).filter(|(_, s)| **s != 0) {
        let best = (1..8).fold(0, |b, a| if row[a] > row[b] { a } else { b });
        hits += usize::from(set >> best & 1 == 1);
        of += 1;
    }
    Ok(hits as f64 / f64::from(of.max(1) as u32))
}

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    let (steps, large) = if quick { (60, 32) } else { (400, 64) };
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut parameters = Parameters::new(3, DType::F64, &Device::Cpu);
    let mut root = parameters.root();
    root.parameter("weight", &[3], Initialization::Constant(0.0))?;
    root.parameter("bias", &[1], Initialization::Constant(0.5))?;
    let mut adam = Adam::new(AdamOptions { learning_rate: 0.05, ..AdamOptions::default() })?;
    let unseen = paint(large, &mut random);
    println!(
        "before: {:.1} % right actions on a {large}×{large} picture",
        100.0 * right(large, &unseen, &parameters)?
    );
    let size = 12;
    for step in 0..steps {
        let pixels = paint(size, &mut random);
        let sets = expert(size, &pixels)?;
        if sets.iter().all(|s| *s == 0) {
            continue;
        }
        let graph = Graph::new();
        let bound = parameters.bind(&graph);
        let [_, _, q] = plan(&graph, &bound, size, &pixels)?;
        let logits = (q * (1.0 / TEMPERATURE)).permute(&[0, 2, 1]).reshape(&[1, 8, size, size]);
        let loss = set_cross_entropy(logits, sets)?;
        adam.step(&mut parameters, &graph.gradient(loss, bound.vars())?)?;
        if step % (steps / 8) == 0 {
            println!("step {step:>3}: loss {:.4}", loss.to_f64()?);
        }
    }
    println!(
        "after:  {:.1} % right actions on a {large}×{large} picture",
        100.0 * right(large, &unseen, &parameters)?
    );
    let graph = Graph::new();
    let bound = parameters.bind_constant(&graph);
    let colors: Vec<u8> = TERRAIN.iter().flat_map(|(color, _)| *color).collect();
    let pixels = colors.iter().map(|p| f64::from(*p) / 255.0).collect::<Vec<_>>();
    let learned = to_f64(
        &costs(&bound, graph.constant(&from_vec(pixels, &[3, 3], &Device::Cpu)?))?.value()?,
    )?;
    let floor = learned[0];
    for ((name, (_, cost)), learned) in ["floor", "water", "sand"].iter().zip(TERRAIN).zip(&learned)
    {
        // Only ratios of costs decide between ways.
        println!("{name}: true cost {cost}, learned {:.3} times the floor", learned / floor);
    }
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    let [cost, v, _] = plan(&graph, &bound, large, &unseen)?;
    let svg = draw(large, &unseen, &to_f64(&cost.value()?)?, &to_f64(&v.value()?)?);
    let file = folder.join("10_image_to_plan.svg");
    std::fs::write(&file, svg)?;
    println!("drew {}", file.display());
    Ok(())
}

/// The picture, the learned costs, and the values, side by side.
fn draw(size: usize, pixels: &[u8], cost: &[f64], values: &[f64]) -> String {
    let cell = 384 / size;
    let side = size * cell;
    let (w, h) = (3 * (side + 20) + 20, side + 50);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" font-family=\"sans-serif\" font-size=\"14\"><rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>"
    );
    let wall = |i: usize| pixels[3 * i..3 * i + 3] == WALL;
    let shade = |numbers: &[f64], i: usize| {
        let known =
            || (0..size * size).filter(|&i| !wall(i) && numbers[i] > -999.0).map(|i| numbers[i]);
        let (low, high) =
            (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        let t = (numbers[i] - low) / (high - low).max(1e-12);
        match (wall(i), numbers[i] > -999.0) {
            (true, _) => "#111".to_string(),
            (_, false) => "#888".to_string(),
            _ => format!("rgb({0},{0},{1})", (30.0 + 225.0 * t) as u8, (110.0 + 60.0 * t) as u8),
        }
    };
    // Ranges are found once for each picture.
    let costs: Vec<String> = (0..size * size).map(|i| shade(cost, i)).collect();
    let plans: Vec<String> = (0..size * size).map(|i| shade(values, i)).collect();
    for (k, title) in ["the picture", "learned costs", "V"].iter().enumerate() {
        let x0 = 20 + k * (side + 20);
        let _ = write!(svg, "<text x=\"{x0}\" y=\"24\">{title}</text>");
        for i in 0..size * size {
            let color = match k {
                0 => format!("rgb({},{},{})", pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]),
                1 => costs[i].clone(),
                _ => plans[i].clone(),
            };
            let (x, y) = (x0 + i % size * cell, 32 + i / size * cell);
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{cell}\" height=\"{cell}\" fill=\"{color}\"/>"
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
