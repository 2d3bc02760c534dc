//! Rows about losses, optimizers and schedules against PyTorch's tables, resumption, and saddles.
//!
//! The tables are those of the tests of nn, the saddles those of example 08: a figure here, a passing test and a picture are one fact.

#[path = "../../../../crates/nn/tests/common/losses.rs"]
#[allow(clippy::unwrap_used, clippy::panic)] // the tests' tables fail by panics
mod losses;
#[path = "../../../../examples/src/bin/08_saddles/problems.rs"]
mod problems;
#[path = "../../../../examples/src/bin/08_saddles/race.rs"]
#[allow(dead_code)] // the example uses the rest
mod race;
#[path = "../../../../crates/nn/tests/common/optimizers.rs"]
#[allow(clippy::unwrap_used, clippy::panic)] // the tests' tables fail by panics
mod tables;

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_core_graph::candle::DType;

use problems::{deep_perceptron, linear_autoencoder, monkey_saddle};
use race::{Run, index};

const TYPES: [(&str, DType, f64); 2] = [("f64", DType::F64, 1e-10), ("f32", DType::F32, 1e-5)];

pub(crate) fn rows(output: &mut Output) -> Result<()> {
    of_losses(output)?;
    of_optimizers(output)?;
    for (problem, goal) in
        [(monkey_saddle()?, 1e-10), (linear_autoencoder()?, 1e-6), (deep_perceptron()?, f64::NAN)]
    {
        let runs = race::race(&problem, 1000, 100)?;
        let lowest = runs.iter().map(Run::loss).fold(f64::INFINITY, f64::min);
        let floor = problem.best.unwrap_or(0.0);
        for run in &runs {
            let free = run.method == "saddle-free Newton";
            let method = match run.rate {
                Some(rate) => format!("{} at its best rate, {rate}", run.method),
                None => run.method.into(),
            };
            let what = if problem.best.is_some() { "loss above the best" } else { "loss" };
            let name = format!("{}, {method}: {what}", problem.name);
            let row = Row::new(name, "loss", run.loss() - floor);
            output.push(match (free, problem.best) {
                (true, Some(_)) => row.at_most(goal),
                // Where the best is not known, no other method may be lower.
                (true, None) => row.at_most(lowest + 1e-6),
                _ => row,
            })?;
            let [_, negative] = index(&problem, &run.end)?;
            let name = format!("{}, {}: negative curvatures", problem.name, method);
            let row = Row::new(name, "share", negative);
            output.push(if free { row.at_most(0.0) } else { row })?;
            let escaped = run.reached(0.5 * (problem.saddle + problem.best.unwrap_or(lowest)));
            let name = format!("{}, {}: iterations to half of the way down", problem.name, method);
            // Not a number where it never comes there.
            let row = Row::new(name, "iterations", escaped.map_or(f64::NAN, |i| i as f64));
            output.push(if free { row.at_most(100.0) } else { row })?;
        }
    }
    Ok(())
}

fn of_losses(output: &mut Output) -> Result<()> {
    let cases = losses::cases();
    for (name, dtype, limit) in TYPES {
        let mut worst = 0f64;
        for case in &cases {
            worst = worst.max(case.error(dtype)?);
        }
        let name = format!(
            "{} losses in {name}: values, means, gradients, Hessian products against PyTorch",
            cases.len()
        );
        output.push(Row::new(name, "relative", worst).at_most(limit))?;
    }
    Ok(())
}

fn of_optimizers(output: &mut Output) -> Result<()> {
    let table = tables::table();
    let names: Vec<&str> = table.names().collect();
    let count = names.len();
    for (of, dtype, limit) in TYPES {
        let (mut worst, mut differing) = (0f64, 0);
        for name in &names {
            worst = worst.max(table.trajectory_error(name, dtype)?);
            differing += table.resumed_differently(name, dtype)?;
        }
        let name = format!("{count} trajectories of 50 steps in {of} against PyTorch");
        output.push(Row::new(name, "relative", worst).at_most(limit))?;
        let name = format!("resumed trajectories in {of} that end in other bits, of {}", 8 * count);
        output.push(Row::new(name, "runs", differing as f64).at_most(0.0))?;
    }
    let name = "12 schedules of 60 steps against PyTorch";
    output.push(Row::new(name, "relative", table.rate_error()?).at_most(1e-13))
}
