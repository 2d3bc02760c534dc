//! Dense batches: OptNet's random programs, n unknowns and n inequalities, all data differentiable; and tiny ones.

use std::sync::Arc;

use anyhow::Result;
use benches::bench::Bench;
use benches::row::Row;
use pullback_diffopt::Degenerate;
use pullback_diffopt::qp::{QpSolution, QpTangent, Settings};
use serde_json::json;

use crate::common::problems::Problem;

const BATCH: usize = 128;

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    let sizes: &[usize] = if bench.quick { &[10] } else { &[10, 50, 100] };
    for &n in sizes {
        layer(bench, n)?;
    }
    tiny(bench)
}

/// Targets: moreau forward ≤ 1, both ≤ 0.5; proxsuite ≤ 0.33; qpth ≤ 0.25; cvxpylayers ≤ 0.05.
fn layer(bench: &mut Bench, n: usize) -> Result<()> {
    let name = format!("QP layer, batch {BATCH}, n = m = {n}");
    if !bench.wants(&name) {
        return Ok(());
    }
    let problem = Problem::random(1, (n, 0, n, BATCH), 1e-3);
    let qp = problem.qp();
    let data = problem.data();
    let cotangent = QpTangent { x: vec![1.0; n * BATCH], ..QpTangent::default() };
    let solution = Arc::new(qp.solve(BATCH, &data)?);
    let derivative = solution.derivative(&Degenerate::Average)?;
    let wrt = [true, true, false, false, true, true];
    let [dq_matrix, dq, _, _, dg, dh] = derivative.pull(&cotangent, wrt, [false; 6])?;
    let forward_values = solution.all_x().to_vec();
    let both_values = [&forward_values[..], &dq, &dh, &dq_matrix, &dg].concat();
    let forward = || {
        qp.solve(BATCH, &data)?;
        Ok(())
    };
    // As in a training loop: gradients are written where the last step's were.
    let mut kept: [Vec<f64>; 6] = Default::default();
    let mut backward = |solution: &Arc<QpSolution>| -> Result<()> {
        let derivative = solution.derivative(&Degenerate::Average)?;
        Ok(derivative.pull_into(&cotangent, wrt, [false; 6], &mut kept)?)
    };
    let t_forward = bench.time(forward)?;
    let t_backward = bench.time(|| backward(&solution))?;
    let mut both = || backward(&Arc::new(qp.solve(BATCH, &data)?));
    floor(bench, &solution, &name, t_forward)?;
    bench.output.push(Row::new(format!("{name}: backward"), "ms", t_backward * 1e3))?;
    let row = Row::new(format!("{name}: backward over forward"), "ratio", t_backward / t_forward);
    bench.output.push(row.at_most(0.2))?;
    let peers = [("moreau", 1.0, 0.5), ("proxsuite", 0.33, 0.33), ("qpth", 0.25, 0.25)];
    // A thousand times as long, and minutes to compile, for larger ones.
    let slow = (n <= 10).then_some(("cvxpylayers", 0.05, 0.05));
    for (system, f, b) in peers.into_iter().chain(slow) {
        let case = format!("{system}/diffopt_qp");
        for (what, backward, limit) in [("forward", false, f), ("forward and backward", true, b)] {
            let parameters = json!({"n": n, "m": n, "batch": BATCH, "backward": backward});
            let name = format!("{name}: {what}");
            let case = (case.as_str(), parameters);
            if backward {
                bench.against(&name, case, limit, &both_values, &mut both)?;
            } else {
                bench.against(&name, case, limit, &forward_values, forward)?;
            }
        }
    }
    Ok(())
}

/// The forward pass beside what counting gives: for each item as many iterations as it took, each with GᵀDG (m·n² operations, since it is
/// symmetric) and its factor (n³/3), at this machine's rate of f64 matrix products.
fn floor(bench: &mut Bench, qp: &QpSolution, name: &str, seconds: f64) -> Result<()> {
    use pullback_core_graph::linalg::{View, matmul};
    const SIZE: usize = 768;
    let (a, mut c) = (vec![1.0f64; SIZE * SIZE], vec![0.0f64; SIZE * SIZE]);
    let product = bench.time(|| {
        let view = View { data: &a, row: SIZE, column: 1 };
        Ok(matmul((SIZE, SIZE, SIZE), view, view, &mut c, true)?)
    })?;
    let peak = 2.0 * (SIZE as f64).powi(3) / product;
    let iterations: usize = (0..qp.batch()).map(|item| qp.stats(item).iterations).sum();
    let n = qp.x(0).len() as f64;
    let floor = iterations as f64 * (n.powi(3) + n.powi(3) / 3.0) / peak;
    let mean = iterations as f64 / qp.batch() as f64;
    let what = format!("{name}: forward beside the counted floor of {mean:.1} iterations");
    bench.output.push(Row::new(what, "ms", seconds * 1e3).against("floor", floor * 1e3))
}

/// n = 6, m = 12: at least a million solves a second, with the factors that derivatives need or values only. A program, its solution and its
/// factors are 3 kB: large batches wait for memory.
fn tiny(bench: &mut Bench) -> Result<()> {
    let batches: &[usize] = if bench.quick { &[1024] } else { &[2048, 16384] };
    for &batch in batches {
        let name = format!("tiny QPs, n = 6, m = 12, batch {batch}");
        if !bench.wants(&name) {
            continue;
        }
        let problem = Problem::random(5, (6, 0, 12, batch), 1e-1);
        let data = problem.data();
        for factors in [false, true] {
            let qp = problem.qp().settings(Settings { factors, ..Settings::default() });
            let t = bench.time(|| {
                qp.solve(batch, &data)?;
                Ok(())
            })?;
            let rate = batch as f64 / t * 1e-6;
            let what = if factors { "with factors" } else { "values only" };
            let row = Row::new(format!("{name}: cold solves, {what}"), "million/s", rate);
            bench.output.push(row.at_least(1.0))?;
        }
        let qp = problem.qp();
        let start = qp.solve(batch, &data)?;
        let t = bench.time(|| {
            qp.solve_from(&start, batch, &data)?;
            Ok(())
        })?;
        let rate = batch as f64 / t * 1e-6;
        bench.output.push(Row::new(format!("{name}: warm solves"), "million/s", rate))?;
    }
    Ok(())
}
