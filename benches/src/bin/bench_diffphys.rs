//! `cargo xtask bench diffphys`: steps, Jacobians and gradients against MuJoCo; derivatives of dynamics against Pinocchio. One thread.
//!
//! Needs `cargo xtask data mjcf` and `cargo xtask data urdf`.

#[path = "report_diffphys/numbers.rs"]
#[allow(dead_code)]
mod numbers;

use anyhow::{Context, Result};
use benches::bench::{Bench, Unit};
use benches::output::Options;
use benches::row::Row;
use clap::Parser;
use numbers::{apart, files};
use pullback_diffphys::{
    Cotangent, Data, DynamicsDerivative, Integrator, Model, Options as Settings, Rollout,
    StepDerivative, mjcf, urdf,
};
use serde_json::json;
use std::path::PathBuf;

fn main() -> Result<()> {
    let mut bench = Bench::start(&Options::parse(), 1, 9, 0.2)?;
    for (folder, name) in [
        ("gymnasium", "half_cheetah"),
        ("gymnasium", "ant"),
        ("gymnasium", "humanoid"),
        ("dm_control", "humanoid"),
    ] {
        of_model(&mut bench, folder, name)?;
    }
    memory(&mut bench)?;
    for name in ["panda", "ur5_robot", "g1_29dof_rev_1_0", "talos_full_v2"] {
        of_robot(&mut bench, name)?;
    }
    bench.output.finish()?;
    Ok(())
}

fn path(kind: &str, part: &str) -> Result<PathBuf> {
    let ending = if kind == "mjcf" { "xml" } else { "urdf" };
    let found = files(kind, ending)?;
    let wanted = found.into_iter().find(|p| p.ends_with(part));
    wanted.with_context(|| format!("{part} is missing; cargo xtask data {kind}"))
}

/// Euler, so that finite differences of MuJoCo exist.
fn model(path: &PathBuf) -> Result<Model> {
    let mut model = mjcf::load(path)?;
    let settings = Settings { integrator: Integrator::Euler, ..*model.opt() };
    model.set_options(settings)?;
    Ok(model)
}

/// After 300 steps with controls that both sides know.
fn start(model: &Model) -> Result<Data> {
    let mut data = Data::new(model);
    for step in 0..300 {
        for (k, u) in data.ctrl.iter_mut().enumerate() {
            *u = 0.3 * (0.7 * f64::from(step) + 1.3 * k as f64).sin();
        }
        model.step(&mut data)?;
    }
    Ok(data)
}

const STEPS: usize = 100;
const MICROSECONDS: Unit = ("µs", 1e6);

fn of_model(bench: &mut Bench, folder: &str, name: &str) -> Result<()> {
    let path = path("mjcf", &format!("{folder}/{name}.xml"))?;
    let model = model(&path)?;
    let first = start(&model)?;
    let name = format!("{folder} {name}");
    let case =
        bench.load("mujoco/diffphys_steps", json!({"path": path, "warm": 300, "count": STEPS}))?;
    let mut data = first.clone();
    if let (Some(peer), Some(case)) = (&mut bench.peer, &case) {
        let theirs = peer.values(case)?;
        let ours = [first.qpos.as_slice(), &first.qvel].concat();
        let e = apart(&ours, &theirs[..ours.len()]);
        bench.output.push(Row::new(
            format!("{name}: states apart after 300 steps"),
            "relative",
            e,
        ))?;
    }
    let step = bench.beside(
        &format!("{name}: step"),
        case.as_ref(),
        Some(1.5),
        ("µs", 1e6 / STEPS as f64),
        || {
            data.clone_from(&first);
            for _ in 0..STEPS {
                model.step(&mut data)?;
            }
            Ok(())
        },
    )?;
    let mut derivative = StepDerivative::new(&model);
    derivative.evaluate(&model, &first)?;
    let n = 2 * model.nv() + model.na();
    let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * model.nu()]);
    let case = bench.load("mujoco/diffphys_transition", json!({"path": path, "warm": 300}))?;
    // A goal for humanoids; small models are bound by the step.
    let limit = name.ends_with("humanoid").then_some(0.15);
    bench.beside(
        &format!("{name}: step with A and B"),
        case.as_ref(),
        limit,
        MICROSECONDS,
        || {
            derivative.evaluate(&model, &first)?;
            derivative.jacobians(&model, &mut a, &mut b)?;
            Ok(())
        },
    )?;
    let mut next = Cotangent::zeros(&model);
    next.qvel.fill(1.0);
    let mut out = Cotangent::zeros(&model);
    let evaluate = bench.time(|| Ok(derivative.evaluate(&model, &first)?))? * 1e6;
    let pull = bench.time(|| Ok(derivative.pull(&model, &next, &mut out)?))? * 1e6;
    let row = Row::new(format!("{name}: pull of an evaluated step"), "µs", pull);
    bench.output.push(row.against("our step", step).ratio_at_most(2.0))?;
    let row = Row::new(format!("{name}: step that keeps its derivative"), "µs", evaluate);
    bench.output.push(row.against("our step", step))?;
    rollout(bench, &name, &model, &first)
}

fn rollout(bench: &mut Bench, name: &str, model: &Model, first: &Data) -> Result<()> {
    let steps = if bench.quick { 50 } else { 500 };
    let n = 2 * model.nv() + model.na();
    let controls = vec![0.1; steps * model.nu()];
    let mut states = vec![0.0; (steps + 1) * n];
    states[steps * n..].fill(1.0);
    let mut rollout = Rollout::new(model);
    let run = bench.time(|| Ok(rollout.run(model, first, &controls)?))?;
    let mut start = Cotangent::zeros(model);
    let mut bar = vec![0.0; controls.len()];
    let both = bench.time(|| {
        rollout.run(model, first, &controls)?;
        start.clear();
        bar.fill(0.0);
        rollout.pull(model, &controls, &states, &mut start, &mut bar, &mut [])?;
        Ok(())
    })?;
    let row =
        Row::new(format!("{name}: rollout of {steps} steps and its gradient"), "ms", both * 1e3);
    bench.output.push(row.against("the rollout", run * 1e3).ratio_at_most(4.0))
}

/// Resident memory that a long gradient adds.
fn memory(bench: &mut Bench) -> Result<()> {
    let model = model(&path("mjcf", "gymnasium/humanoid.xml")?)?;
    let steps = if bench.quick { 500 } else { 10_000 };
    let first = start(&model)?;
    let controls = vec![0.0; steps * model.nu()];
    let mut states = vec![0.0; (steps + 1) * (2 * model.nv() + model.na())];
    if let Some(last) = states.last_mut() {
        *last = 1.0;
    }
    let (mut bar, mut cotangent) = (vec![0.0; controls.len()], Cotangent::zeros(&model));
    bar.fill(1e-300);
    let before = resident()?;
    let mut rollout = Rollout::new(&model);
    rollout.run(&model, &first, &controls)?;
    let outcome = rollout.pull(&model, &controls, &states, &mut cotangent, &mut bar, &mut []);
    let added = resident()? - before;
    let text = match outcome {
        Ok(()) => format!("humanoid, {steps} steps: memory of a gradient"),
        Err(e) => format!("humanoid, {steps} steps: memory of a gradient ({e})"),
    };
    bench.output.push(Row::new(text, "MB", added / 1e6).at_most(16.0))
}

fn of_robot(bench: &mut Bench, name: &str) -> Result<()> {
    let path = path("urdf", &format!("{name}.urdf"))?;
    let options = urdf::Options { collisions: false, ..urdf::Options::default() };
    let mut spec = urdf::load_spec(&path, options)?;
    spec.equalities.clear();
    let model = spec.compile()?;
    let mut data = Data::new(&model);
    data.qvel.fill(0.3);
    let third = vec![0.5; model.nv()];
    let mut d = DynamicsDerivative::new(&model);
    let parameters = json!({"path": path, "names": model.jnt_names()});
    let case = bench.load("pinocchio/diffphys_rnea", parameters.clone())?;
    bench.beside(
        &format!("{name}: RNEA derivatives"),
        case.as_ref(),
        Some(1.25),
        MICROSECONDS,
        || Ok(d.inverse(&model, &mut data, &third)?),
    )?;
    let case = bench.load("pinocchio/diffphys_aba", parameters)?;
    bench.beside(
        &format!("{name}: ABA derivatives"),
        case.as_ref(),
        Some(1.25),
        MICROSECONDS,
        || Ok(d.forward(&model, &mut data, &third)?),
    )?;
    Ok(())
}

/// Bytes of memory in use by this process.
fn resident() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").context("only on Linux")?;
    let pages = text.split_ascii_whitespace().nth(1).context("statm has another form")?;
    Ok(pages.parse::<f64>()? * 4096.0)
}
