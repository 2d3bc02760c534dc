//! A value iteration network learns to plan, then draws what it computes on mazes that it has not seen: r, V after each iteration, the policy.
//!
//! `cargo run --release -p examples --bin 09_value_iteration_network`; `-- --quick` trains less. Pictures: target/figures/09_*.svg.
#![allow(clippy::print_stdout, reason = "an example says what it does")]

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device};
use pullback_core_graph::tensor::to_f64;
use pullback_nn::data::{Loader, LoaderOptions};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::Parameters;
use pullback_nn::train::{Event, Trainer, TrainerOptions};
use pullback_vin::grid::MOVES_CLOCKWISE;
use pullback_vin::learn::{ProblemSet, Protocol, measure};
use pullback_vin::network::{PlanningData, PlanningTask, Vin, VinSpec, greedy, images};

const SIZE: usize = 16;

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    let (maps, epochs) = if quick { (60, 3) } else { (700, 12) };
    let protocol = Protocol::Vin { size: SIZE };
    let train = ProblemSet::generate(protocol, maps, 2)?;
    let test = Arc::new(ProblemSet::generate(protocol, 40, 1_000_001)?);
    println!("{} problems on {maps} maps of {SIZE}×{SIZE}, solved exactly", train.problems.len());

    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let network = Vin::new(&mut parameters.root(), VinSpec::of_size(SIZE))?;
    let loader = Loader::new(
        PlanningData::new(train)?,
        LoaderOptions { batch: 64, ..LoaderOptions::default() },
    )?;
    let adam = Adam::new(AdamOptions { learning_rate: 5e-3, ..AdamOptions::default() })?;
    let task = PlanningTask::new(network.clone(), Some(test.clone()), false);
    let options = TrainerOptions { epochs, clip: Some(5.0), ..TrainerOptions::default() };
    let mut trainer = Trainer::new(task, parameters, adam, loader, options)?;
    trainer.run(|event| {
        if let Event::Epoch { epoch, loss, metrics, .. } = event {
            let success = 100.0 * metrics["success"];
            println!("epoch {epoch:>2}: loss {loss:.4}, {success:.1} % of walks arrive");
        }
        ControlFlow::Continue(())
    })?;
    let parameters = trainer.into_parameters();
    let policies = greedy(&network, &parameters, &test)?;
    let report = measure(&test, &policies, true)?;
    println!(
        "from every cell of unseen maps: {:.2} % arrive, {:.2} % of the actions are among the best, {:.4} times the best length",
        100.0 * report.success.value(),
        100.0 * report.right_action.value(),
        report.cost_ratio
    );
    for (bin, share) in report.by_length.iter().enumerate().filter(|(_, s)| s.of > 0) {
        let from = bin as f64 * report.bin;
        println!("  length {from:>5.1} …: {:.2} % of {}", 100.0 * share.value(), share.of);
    }

    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    for case in [0, 9, 20] {
        let problem = &test.problems[case];
        let map = &test.maps[problem.map];
        let mut pictures = vec![];
        let graph = Graph::new();
        let bound = parameters.bind_constant(&graph);
        let x = graph.constant(&images(&test, &[problem])?);
        pictures.push(("r".to_string(), to_f64(&network.reward(&bound, x)?.value()?)?));
        for iterations in [1, 2, 4, 8, 16, 32] {
            // The same weights with another K: the last Q, whose best channel is the next V.
            let spec = VinSpec { iterations, ..network.spec() };
            let mut other = Parameters::new(1, DType::F32, &Device::Cpu);
            let network = Vin::new(&mut other.root(), spec)?;
            for (name, value) in parameters.iter() {
                other.set(name, value)?;
            }
            let graph = Graph::new();
            let x = graph.constant(&images(&test, &[problem])?);
            let v = network.q(&other.bind_constant(&graph), x)?.max([1]).value()?;
            pictures.push((format!("V, {} iterations", iterations + 1), to_f64(&v)?));
        }
        let exact = problem.lengths.iter().map(|l| if l.is_finite() { -l } else { f64::NAN });
        pictures.push(("minus the true length".into(), exact.collect()));
        let svg = draw(&pictures, map.solid(), problem.goal, &policies[case], &problem.best);
        let file = folder.join(format!("09_values_{case}.svg"));
        std::fs::write(&file, svg).with_context(|| file.display().to_string())?;
        println!("drew {}", file.display());
    }
    Ok(())
}

/// Maps side by side, walls black, values from dark to light; the last one with the learned actions, red where they are not among the best.
fn draw(
    pictures: &[(String, Vec<f64>)],
    solid: &[bool],
    goal: usize,
    policy: &[u8],
    best: &[u8],
) -> String {
    const CELL: usize = 14;
    let side = SIZE * CELL;
    let (across, down) = (4, pictures.len().div_ceil(4));
    let (w, h) = (across * (side + 20) + 20, down * (side + 34) + 20);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" font-family=\"sans-serif\" font-size=\"13\"><rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>"
    );
    for (k, (title, values)) in pictures.iter().enumerate() {
        let (x0, y0) = (20 + (k % across) * (side + 20), 30 + (k / across) * (side + 34));
        let known = || (0..values.len()).filter(|&i| !solid[i] && values[i].is_finite());
        let low = known().map(|i| values[i]).fold(f64::INFINITY, f64::min);
        let high = known().map(|i| values[i]).fold(f64::NEG_INFINITY, f64::max);
        let _ = write!(svg, "<text x=\"{x0}\" y=\"{}\">{title}</text>", y0 - 6);
        for i in 0..values.len() {
            let (x, y) = (x0 + i % SIZE * CELL, y0 + i / SIZE * CELL);
            let t = (values[i] - low) / (high - low).max(1e-12);
            let color = match (solid[i], values[i].is_finite()) {
                (true, _) => "#111".to_string(),
                (_, false) => "#888".to_string(),
                _ => {
                    let part = |a: f64, b: f64| (a + (b - a) * t) as u8;
                    format!(
                        "rgb({},{},{})",
                        part(30.0, 255.0),
                        part(40.0, 235.0),
                        part(110.0, 150.0)
                    )
                }
            };
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{color}\"/>"
            );
        }
        let (gx, gy) = (x0 + goal % SIZE * CELL + CELL / 2, y0 + goal / SIZE * CELL + CELL / 2);
        let _ = write!(svg, "<circle cx=\"{gx}\" cy=\"{gy}\" r=\"5\" fill=\"#2a2\"/>");
        if k + 1 == pictures.len() {
            for i in (0..values.len()).filter(|&i| best[i] != 0) {
                let by = MOVES_CLOCKWISE[policy[i] as usize];
                let right = best[i] >> policy[i] & 1 == 1;
                let (x, y) = (x0 + i % SIZE * CELL + CELL / 2, y0 + i / SIZE * CELL + CELL / 2);
                let color = if right { "#134" } else { "#e00" };
                let _ = write!(
                    svg,
                    "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{}\" stroke=\"{color}\" stroke-width=\"2\"/>",
                    x as isize + 5 * by.dx,
                    y as isize + 5 * by.dy
                );
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}
