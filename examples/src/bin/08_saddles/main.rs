//! Saddles: where gradient descent and Newton's method stall, and saddle-free Newton does not (Dauphin et al. 2014).
//!
//! `cargo run --release -p examples --bin 08_saddles` (with `-- --quick` for fewer steps) prints what each method reaches and draws
//! the curves into `target/figures`.
#![allow(clippy::print_stdout)] // an example talks

mod problems;
mod race;

use std::path::Path;

use anyhow::Result;
use pullback_graph::plot::{Plot, grid};

use problems::{Problem, deep_perceptron, linear_autoencoder, monkey_saddle};
use race::{Run, index, race};

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    let (steps, newton_steps) = if quick { (100, 20) } else { (1000, 100) };
    let mut pictures = vec![];
    for problem in [monkey_saddle()?, linear_autoencoder()?, deep_perceptron()?] {
        let runs = race(&problem, steps, newton_steps)?;
        table(&problem, &runs)?;
        if problem.start.element_count() == 2 {
            save("08_monkey.svg", &map(&problem, &runs)?.to_svg())?;
        }
        pictures.extend(curves(&problem, &runs));
    }
    save("08_saddles.svg", &grid(2, &pictures))
}

fn table(problem: &Problem, runs: &[Run]) -> Result<()> {
    let n = problem.start.element_count();
    println!("{}: {n} parameters\n", problem.name);
    println!("   the saddle has loss {:.4}", problem.saddle);
    if let Some(best) = problem.best {
        println!("   the best possible is {best:.4}");
    }
    println!(
        "\n   method               rate    loss         ‖g‖       negative   iterations   gradients   escaped at"
    );
    for run in runs {
        let [norm, negative] = index(problem, &run.end)?;
        let rate = run.rate.map_or("–".into(), |r| r.to_string());
        // Half of the way down from the saddle to the best that anyone found.
        let best = runs.iter().map(Run::loss).fold(problem.best.unwrap_or(f64::INFINITY), f64::min);
        let escaped = run.reached(0.5 * (problem.saddle + best));
        let escaped = escaped.map_or("never".into(), |i| i.to_string());
        let [iterations, gradients, loss] = run.curve.last().copied().unwrap_or([f64::NAN; 3]);
        println!(
            "   {:<20} {rate:<7} {loss:<12.6e} {norm:.1e}   {:6.1} %   {iterations:<10} {gradients:<11} {escaped}",
            run.method,
            100.0 * negative,
        );
    }
    println!();
    Ok(())
}

/// The loss over the best found, by iterations and by what they cost.
fn curves(problem: &Problem, runs: &[Run]) -> [Plot; 2] {
    let lowest = runs.iter().map(Run::loss).fold(f64::INFINITY, f64::min);
    let (name, floor) = match problem.best {
        Some(best) => ("loss above the best possible", best),
        None => ("loss", 0.0),
    };
    let least = if problem.best.is_some() { 1e-8 } else { 0.5 * lowest };
    let picture = |title: String, x: &str, column: usize| {
        // Room for the legend at the right.
        let plot = Plot::new(title).size(640.0, 340.0).axes(x, name);
        let mut plot = plot.log_y().log_x().x_limits(1.0, 3e4);
        for run in runs {
            let points = run.curve.iter().skip(1);
            let points = points.map(|p| [p[column], (p[2] - floor).max(least)]);
            plot = plot.line(run.method, points);
        }
        plot
    };
    [
        picture(problem.name.into(), "iterations", 0),
        picture("the same by cost".into(), "gradients; a Hessian product counts two", 1),
    ]
}

/// The ways over the monkey saddle.
fn map(problem: &Problem, runs: &[Run]) -> Result<Plot> {
    let axis: Vec<f64> = (0..121).map(|i| -4.0 + 8.0 * f64::from(i) / 120.0).collect();
    let height = |x: f64, y: f64| {
        x.powi(3) - 3.0 * x * y * y + 0.25 * (x * x + y * y).powi(2) + problem.saddle
    };
    let values: Vec<f64> =
        axis.iter().flat_map(|&y| axis.iter().map(move |&x| height(x, y).min(20.0))).collect();
    let mut plot = Plot::new("ways over the monkey saddle")
        .size(560.0, 520.0)
        .axes("x", "y")
        .heat("loss", &axis, &axis, &values, false, 16);
    for run in runs {
        plot = plot.line(run.method, run.path.iter().copied());
    }
    Ok(plot.dots("", [[0.5, -0.001]]))
}

fn save(name: &str, picture: &str) -> Result<()> {
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), picture)?;
    println!("   drawn: target/figures/{name}\n");
    Ok(())
}
