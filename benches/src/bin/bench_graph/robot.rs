//! The arm (position and 3×7 Jacobian) and the path over it (986 residuals of 700 angles).

use crate::arm::{JOINTS, hand, path as path_residuals};
use crate::tapes::Sparse;
use crate::{Bench, Figure, Rival};
use anyhow::Result;
use benches::peer::fill;
use benches::row::Row;
use pullback_graph::sparsity::{HessianPlan, NormalPlan, Pattern, PlanOptions};
use pullback_graph::{Real, Tape, Workspace};
use serde_json::json;

/// Samples of the batch.
const BATCH: usize = 1024;

/// q ↦ (position, the entries of the Jacobian that are not 0 everywhere), and where those stand.
pub(crate) fn arm_tape() -> Result<(Tape, Pattern)> {
    Ok(Tape::record(JOINTS, |q| hand(q).to_vec())?.value_and_jacobian())
}

/// Position and Jacobian by rows, zeros included, of each sample: what systems that know no sparsity write.
pub(crate) fn dense(pattern: &Pattern, y: &[f64]) -> Vec<f64> {
    let each = |y: &[f64]| [&y[..3], &pattern.dense(&y[3..])].concat();
    y.chunks_exact(3 + pattern.len()).flat_map(each).collect()
}

pub(crate) fn arm(bench: &mut Bench) -> Result<()> {
    let (tape, pattern) = arm_tape()?;
    bench.count("arm: instructions of value and Jacobian", "instructions", tape.len())?;
    bench.count("arm: registers", "registers", tape.registers())?;
    let x = fill(0, BATCH * JOINTS, 1.5);
    let mut space = Workspace::new(&tape);
    let mut y = vec![0.0; BATCH * tape.outputs()];
    tape.run(BATCH, &x, &mut y, &mut space)?;
    let values = y.clone();
    let mut work = || Ok(tape.run(BATCH, &x, &mut y, &mut space)?);
    let per = 1e9 / BATCH as f64;
    let seconds = bench.time(&mut work)?;
    let each = seconds * per / tape.len() as f64;
    bench.output.push(Row::new(
        "arm, batch of 1024: time per instruction and sample",
        "ns",
        each,
    ))?;
    let how = |how: &str| json!({"batch": BATCH, "how": how});
    let machine = || {
        vec![
            Rival::new("casadi/graph_arm", how("map"), "VM, map", 1),
            Rival::new("casadi/graph_arm", how("loop"), "VM, loop", 1),
        ]
    };
    let figure = |name, limit| Figure { name, unit: "ns", per, limit: Some(limit) };
    let name = "arm: value and Jacobian, batch of 1024, one core, each, against CasADi's VM";
    bench.against(&figure(name, 0.15), machine(), &values, &mut work)?;
    let c = vec![Rival::new("casadi/graph_arm", how("c"), "generated C, gcc -O3 -march=native", 1)];
    let name = "arm: value and Jacobian, batch of 1024, one core, each, against generated C";
    bench.against(&figure(name, 0.8), c, &values, &mut work)?;
    let jax = vec![Rival::new("jax/graph_arm", json!({"batch": BATCH}), "jit vmap", 1)];
    let name = "arm: value and Jacobian, batch of 1024, one core, each, against JAX";
    bench.against(&figure(name, 0.03), jax, &dense(&pattern, &values), &mut work)?;
    single(bench, &tape, &x[..JOINTS], &values[..tape.outputs()])
}

/// One sample a call. The rival is the faster of a call through its buffers (with the call from Python, some 0.1 µs, which a row of its
/// own shows) and a mapped call (without it).
fn single(bench: &mut Bench, tape: &Tape, x: &[f64], values: &[f64]) -> Result<()> {
    let (mut y, mut space) = (vec![0.0; tape.outputs()], Workspace::new(tape));
    let figure = Figure {
        name: "arm: value and Jacobian, a single evaluation",
        unit: "ns",
        per: 1e9,
        limit: Some(0.8),
    };
    let mapped = json!({"batch": BATCH, "how": "map"});
    let rivals = vec![
        Rival::new("casadi/graph_arm", json!({"how": "single"}), "VM, called from Python", 1),
        Rival {
            share: 1.0 / BATCH as f64,
            ..Rival::new("casadi/graph_arm", mapped, "VM, a sample of a mapped call", 1)
        },
    ];
    bench.against(&figure, rivals, values, || Ok(tape.run(1, x, &mut y, &mut space)?))?;
    if let Some([peer, _]) = &mut bench.peers {
        let case = peer.load("casadi/graph_nothing", json!({}))?;
        peer.run(&case, 1000)?;
        let time = peer.run(&case, 100_000)?.seconds_per_repetition;
        let row = Row::new("the call of an empty CasADi function from Python", "ns", time * 1e9);
        bench.output.push(row)?;
    }
    Ok(())
}

pub(crate) fn path(bench: &mut Bench) -> Result<()> {
    let steps = if bench.quick { 20 } else { 100 };
    let n = JOINTS * steps;
    let tape = Tape::record(n, |q| path_residuals(q))?;
    let x = fill(0, n, 1.0);
    // With the first evaluation, in which the plan's program is made.
    let prepare = bench.time(|| {
        let mut plan = Sparse::prepare(&tape)?;
        plan.run(&x, &mut vec![0.0; tape.outputs() + plan.pattern().len()])
    })?;
    let row = Row::new(
        "path: preparing the plan of values and Jacobian, first evaluation included",
        "ms",
        prepare * 1e3,
    );
    bench.output.push(if bench.quick { row } else { row.at_most(5.0) })?;
    let mut plan = Sparse::prepare(&tape)?;
    bench.count(
        "path: instructions of values and Jacobian",
        "instructions",
        plan.instructions(),
    )?;
    bench.count("path: entries of the Jacobian", "entries", plan.pattern().len())?;
    let mut y = vec![0.0; tape.outputs() + plan.pattern().len()];
    plan.run(&x, &mut y)?;
    let values = y.clone();
    let name = format!("path of {steps} steps: values and Jacobian");
    let figure = |name| Figure { name, unit: "µs", per: 1e6, limit: Some(0.4) };
    let rival = |what: &str| {
        let parameters = json!({"steps": steps, "what": what});
        vec![Rival::new("casadi/graph_path", parameters, "VM", 1)]
    };
    bench.against(&figure(&name), rival("jacobian"), &values, || plan.run(&x, &mut y))?;

    let cost = Tape::record(n, |q| {
        let squares = path_residuals(q).into_iter().map(Real::sqr);
        vec![squares.fold(Real::lit(0.0), |sum, r| sum + r)]
    })?;
    let mut plan = HessianPlan::new(&cost, PlanOptions::default())?;
    bench.count("path: instructions of the Hessian", "instructions", plan.instructions())?;
    bench.count("path: entries of the Hessian's triangle", "entries", plan.pattern().len())?;
    let mut h = vec![0.0; plan.pattern().len()];
    plan.hessian(&x, &[1.0], &mut h)?;
    let values = h.clone();
    let name = format!("path of {steps} steps: exact Hessian of Σ r²");
    let work = || Ok(plan.hessian(&x, &[1.0], &mut h)?);
    bench.against(&figure(&name), rival("hessian"), &values, work)?;
    gauss_newton(bench, &tape, &x, steps)
}

/// JᵀJ and Jᵀr beside the exact Hessian: what a Gauss-Newton step needs, from one evaluation of residuals and Jacobian.
fn gauss_newton(bench: &mut Bench, tape: &Tape, x: &[f64], steps: usize) -> Result<()> {
    let mut plan = Sparse::prepare(tape)?;
    let normal = NormalPlan::new(plan.pattern())?;
    let mut y = vec![0.0; tape.outputs() + plan.pattern().len()];
    let (mut product, mut slope) = (vec![0.0; normal.pattern().len()], vec![0.0; x.len()]);
    let time = bench.time(|| {
        plan.run(x, &mut y)?;
        let (r, j) = y.split_at(tape.outputs());
        normal.normal(j, &mut product)?;
        Ok(normal.gradient(j, r, &mut slope)?)
    })?;
    let name = format!("path of {steps} steps: residuals, Jacobian, JᵀJ and Jᵀr");
    bench.output.push(Row::new(name, "µs", time * 1e6))
}
