//! Rows about losses, optimizers and schedules against PyTorch's tables, resumption, and saddles.
//!
//! The tables are those of the tests of nn, the saddles those of example 08: a figure here, a passing test and a picture are one fact.

#[path = "../../../../crates/nn/tests/common/losses.rs"]
#[allow(clippy::unwrap_used, clippy::panic)] // the tests' tables fail by panics
mod losses;
#[path = "../../../../crates/nn/tests/common/minimizers.rs"]
#[allow(clippy::unwrap_used, clippy::panic)] // the tests' tables fail by panics
mod minimizers;
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
use pullback_nn::optimizer::{GaussNewton, Lbfgs, Minimizer};

use problems::{deep_perceptron, linear_autoencoder, monkey_saddle};
use race::{Run, index};

const TYPES: [(&str, DType, f64); 2] = [("f64", DType::F64, 1e-10), ("f32", DType::F32, 1e-5)];

pub(crate) fn rows(output: &mut Output) -> Result<()> {
    of_losses(output)?;
    of_optimizers(output)?;
    of_minimizers(output)?;
    for (problem, goal) in
        [(monkey_saddle()?, 1e-10), (linear_autoencoder()?, 1e-6), (deep_perceptron()?, f64::NAN)]
    {
        let runs = race::race(&problem, 1000, 100)?;
        let lowest = runs.iter().map(Run::loss).fold(f64::INFINITY, f64::min);
        let floor = problem.best.unwrap_or(0.0);
        let half = 0.5 * (problem.saddle + problem.best.unwrap_or(lowest));
        // All that it makes where it never comes there.
        let escape = |run: &Run| run.reached(half).unwrap_or(run.curve.len() - 1) as f64;
        let is_free = |run: &Run| run.method == "saddle-free Newton";
        let quick = runs.iter().filter(|run| is_free(run)).map(escape).fold(f64::NAN, f64::min);
        for run in &runs {
            let free = is_free(run);
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
                // It stays where it began, near the saddle.
                _ if run.method == "Newton" => row.at_least(half - floor),
                _ => row,
            })?;
            let [_, negative] = index(&problem, &run.end)?;
            let name = format!("{}, {}: negative curvatures", problem.name, method);
            let row = Row::new(name, "share", negative);
            output.push(if free { row.at_most(0.0) } else { row })?;
            let name = format!(
                "{}, {}: iterations to half of the way down, all if never",
                problem.name, method
            );
            let row = Row::new(name, "iterations", escape(run));
            output.push(match run.method {
                _ if free => row.at_most(50.0),
                // It stalls, ten times as long at least.
                "SGD" => row.at_least(10.0 * quick),
                _ => row,
            })?;
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
    let name = format!("{} schedules of 60 steps against PyTorch", table.rates.len());
    output.push(Row::new(name, "relative", table.rate_error()?).at_most(1e-13))?;
    let name = "momenta that one-cycle moves, against PyTorch";
    output.push(Row::new(name, "relative", table.momentum_error()?).at_most(1e-13))
}

/// Twelve standard problems: how far from the minimum, and the evaluations beside those of other systems.
fn of_minimizers(output: &mut Output) -> Result<()> {
    let table = minimizers::table();
    let (mut excess, mut start) = (0f64, 0f64);
    for problem in &table.problems {
        for (method, theirs) in [
            ("L-BFGS", problem.evaluations.lbfgs),
            ("Gauss-Newton", problem.evaluations.lm.max(problem.evaluations.trf)),
        ] {
            let of_newton = method == "Gauss-Newton";
            let mut minimizer: Box<dyn Minimizer> = match of_newton {
                true => Box::new(GaussNewton::new(Default::default())?),
                false => Box::new(Lbfgs::new(Default::default())?),
            };
            let found = table.solve(problem, &mut *minimizer)?;
            excess = excess.max(found.excess.abs());
            start = start.max(found.start_error);
            // SciPy counts trial points apart from linearizations.
            let ours = found.evaluations.map_or(f64::NAN, |e| e[usize::from(of_newton)] as f64);
            let row = Row::new(format!("{}, {method}: evaluations", problem.name), "calls", ours);
            output.push(match theirs {
                // Both may differ by a few calls in rounding alone.
                Some(theirs) if of_newton => {
                    row.against("SciPy's slower", theirs as f64).at_most(1.5 * theirs as f64 + 3.0)
                }
                Some(theirs) => {
                    row.against("PyTorch", theirs as f64).at_most(1.2 * theirs as f64 + 3.0)
                }
                None => row,
            })?;
        }
    }
    let name = "12 least-squares problems: f at the start against the table's";
    output.push(Row::new(name, "relative", start).at_most(1e-14))?;
    let name = "12 least-squares problems, two methods: furthest from the minimum";
    output.push(Row::new(name, "of f(start) − minimum", excess).at_most(1e-10))
}
