//! Value iteration on sparse processes and grids, and an exact plan with its adjoint.

use anyhow::Result;
use benches::bench::Bench;
use benches::peer::noise;
use benches::row::Row;
use pullback_vin::gradient::{Cotangent, Plan};
use pullback_vin::grid::{Connectivity, Corners, GridMap, GridProcess, GridSpec};
use pullback_vin::process::{Backup, Csr, Process};
use pullback_vin::solve::{Method, Settings, solve};
use serde_json::json;

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    sparse(bench)?;
    discounted(bench)?;
    exact(bench)
}

/// mdpsolver's own test shape: every action leads to a share of the states, γ = 0.99, tolerance 10⁻³.
fn sparse(bench: &mut Bench) -> Result<()> {
    let (states, actions, each) = if bench.quick { (500, 4, 10) } else { (2500, 6, 50) };
    let rows = states * actions;
    let jumps = noise(1, rows * each, 1.0);
    let next: Vec<u32> =
        jumps.iter().map(|x| ((x + 1.0) * 0.5 * states as f64) as u32 % states as u32).collect();
    let reward: Vec<f64> = noise(2, rows, 1.0);
    let starts: Vec<usize> = (0..=rows).map(|row| row * each).collect();
    let probability = vec![1.0 / each as f64; rows * each];
    let process = Csr::new([states, actions], reward, (starts, next, probability), 0.99, &[])?;
    let settings = Settings { tolerance: 1e-3, ..Settings::default() };
    let exact = solve(&process, &Settings::by(Method::PolicyIteration))?;
    let solution = solve(&process, &settings)?;
    let error = crate::common::apart(&solution.values, &exact.values);
    let name =
        format!("CSR value iteration, {states} states, {actions} actions, {each} successors");
    bench.output.push(Row::new(format!("{name}: from the exact values"), "relative", error))?;
    let t = bench.time(|| solved(&process, &settings))?;
    bench.output.push(Row::new(
        format!("{name}: {} sweeps", solution.iterations),
        "ms",
        t * 1e3,
    ))?;
    let parameters = json!({"states": states, "actions": actions, "each": each});
    let case = ("mdpsolver/csr", parameters);
    bench.against(&name, case, Some(0.5), &solution.values, || solved(&process, &settings))
}

/// A map of `side` × `side` cells, a fifth of them solid, by the formula that the peer has, too.
fn map(side: usize) -> Result<GridMap> {
    let solid = noise(3, side * side, 1.0).into_iter().map(|x| x > 0.6);
    Ok(GridMap::new(side, side, solid.collect())?)
}

fn process(side: usize, discount: f64) -> Result<GridProcess> {
    let map = map(side)?;
    let middle = (0..map.cells()).skip(side * side / 2 + side / 2).find(|&c| !map.solid()[c]);
    let connectivity = Connectivity::octile(Corners::Keep);
    let spec = GridSpec { connectivity, discount, ..GridSpec::default() };
    Ok(GridProcess::new(map, spec, &[(middle.unwrap_or(0), 0.0)])?)
}

/// Sweeps over a grid with a discount, matrix-free and as a sparse process.
fn discounted(bench: &mut Bench) -> Result<()> {
    let side = if bench.quick { 64 } else { 512 };
    let grid = process(side, 0.99)?;
    let n = grid.states();
    let held: Vec<bool> =
        (0..n).map(|s| grid.map().solid()[s] || grid.terminal(s).is_some()).collect();
    let values: Vec<f64> =
        (0..n).map(|s| if grid.map().solid()[s] { f64::NEG_INFINITY } else { 0.0 }).collect();
    let mut out = values.clone();
    let t = bench.time(|| {
        grid.sweep(&values, &held, Backup::Hard, &mut out, None);
        Ok(())
    })?;
    let row = Row::new(
        format!("a sweep of {side}×{side}, eight moves, matrix-free, 2 threads"),
        "ms",
        t * 1e3,
    );
    bench.output.push(row)?;
    let side = if bench.quick { 32 } else { 128 };
    let grid = process(side, 0.99)?;
    let settings = Settings { tolerance: 1e-3, ..Settings::default() };
    let solution = solve(&grid, &settings)?;
    let name = format!("grid {side}×{side}, γ = 0.99, matrix-free");
    let t = bench.time(|| solved(&grid, &settings))?;
    bench.output.push(Row::new(
        format!("{name}: {} sweeps", solution.iterations),
        "ms",
        t * 1e3,
    ))?;
    let free: Vec<f64> =
        solution.values.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
    let case = ("mdpsolver/grid", json!({"side": side}));
    bench.against(&format!("{name}, sweeps on both sides"), case, None, &free, || {
        solved(&grid, &settings)
    })?;
    // The same promise, ‖V − V*‖∞ ≤ 10⁻³, by the method that suits: best ways first; against value iteration, and beside the quickest of
    // mdpsolver's own (its value iteration with Gauss-Seidel updates did not end within minutes).
    let best = Settings { method: Method::Prioritized, ..settings };
    let exact = solve(&grid, &best)?;
    let error = crate::common::apart(&exact.values, &solution.values);
    let name = format!("{name}, best ways first");
    bench.output.push(Row::new(format!("{name}: from the sweeps' values"), "relative", error))?;
    let t = bench.time(|| solved(&grid, &best))?;
    bench.output.push(Row::new(name.clone(), "ms", t * 1e3))?;
    let free: Vec<f64> =
        exact.values.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
    let goal = (!bench.quick).then_some(0.05);
    for (algorithm, update, limit) in
        [("vi", "standard", goal), ("mpi", "standard", None), ("mpi", "gs", None)]
    {
        let parameters = json!({"side": side, "algorithm": algorithm, "update": update});
        let name = format!("{name}, its {algorithm} with {update} updates");
        bench.against(&name, ("mdpsolver/grid", parameters), limit, &free, || {
            solved(&grid, &best)
        })?;
    }
    Ok(())
}

/// All best ways to one goal and the gradient of their mean by every cell's cost.
fn exact(bench: &mut Bench) -> Result<()> {
    let side = if bench.quick { 128 } else { 512 };
    let grid = process(side, 1.0)?;
    let settings = Settings::by(Method::Prioritized);
    let plan = Plan { solver: settings, ..Plan::default() };
    let values = solve(&grid, &settings)?.values;
    let known = values.iter().filter(|v| v.is_finite()).count() as f64;
    let weights: Vec<f64> =
        values.iter().map(|v| if v.is_finite() { 1.0 / known } else { 0.0 }).collect();
    let work = || -> Result<()> {
        let planned = plan.of(&grid, &[])?;
        planned.pull(&Cotangent { values: weights.clone(), ..Cotangent::default() })?;
        Ok(())
    };
    let t = bench.time(work)?;
    let name = format!("exact plan and its adjoint, {side}×{side}");
    let row = Row::new(name.clone(), "ms", t * 1e3);
    bench.output.push(if bench.quick { row } else { row.at_most(150.0) })?;
    let t = bench.time(|| solved(&grid, &settings))?;
    bench.output.push(Row::new(format!("exact plan alone, {side}×{side}"), "ms", t * 1e3))?;
    let lengths: Vec<f64> = values.iter().map(|v| if v.is_finite() { -v } else { 0.0 }).collect();
    let case = ("scipy/grid_dijkstra", json!({"side": side}));
    bench.against(&name, case, None, &lengths, work)
}

fn solved<P: Process>(process: &P, settings: &Settings) -> Result<()> {
    solve(process, settings)?;
    Ok(())
}
