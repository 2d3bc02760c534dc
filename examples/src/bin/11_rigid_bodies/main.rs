//! Rigid bodies: load a robot, simulate it, differentiate a step and a rollout, improve the controls by the gradient, draw what happens.
//!
//! `cargo run --release -p examples --bin 11_rigid_bodies` uses a hopping leg; `… -- MODEL.xml` or `… -- ROBOT.urdf` your own. With
//! `--quick` it is shorter. An animated picture goes to `target/figures/11_rigid_bodies.svg`: open it in a browser.
#![allow(clippy::print_stdout)] // an example talks

mod drawing;

use std::path::Path;

use anyhow::{Result, bail};
use pullback_diffphys::{
    Cotangent, Data, JointType, Model, Parameter, Rollout, StepDerivative, mjcf, urdf,
};

/// A leg of three links on a rail, with a foot: MJCF as users write it.
const LEG: &str = r#"<mujoco model="leg">
    <option timestep="0.004"/>
    <default><joint damping="0.5" armature="0.01"/><geom density="800" friction="1"/></default>
    <worldbody>
        <geom name="floor" type="plane" size="5 5 1"/>
        <body name="torso" pos="0 0 1.05">
            <joint name="x" type="slide" axis="1 0 0" damping="0" armature="0"/>
            <joint name="z" type="slide" axis="0 0 1" damping="0" armature="0"/>
            <joint name="pitch" axis="0 1 0" damping="0" armature="0"/>
            <geom type="capsule" fromto="0 0 -0.05 0 0 0.3" size="0.07"/>
            <body name="thigh" pos="0 0 -0.1">
                <joint name="hip" axis="0 1 0" range="-90 60"/>
                <geom type="capsule" fromto="0 0 0 0 0 -0.4" size="0.05"/>
                <body name="shank" pos="0 0 -0.4">
                    <joint name="knee" axis="0 1 0" range="-5 120"/>
                    <geom type="capsule" fromto="0 0 0 0 0 -0.4" size="0.04"/>
                    <body name="foot" pos="0 0 -0.4">
                        <joint name="ankle" axis="0 1 0" range="-40 40"/>
                        <geom type="capsule" fromto="-0.1 0 -0.06 0.16 0 -0.06" size="0.04"/>
                    </body>
                </body>
            </body>
        </body>
    </worldbody>
    <actuator>
        <motor joint="hip" gear="60" ctrlrange="-1 1"/>
        <motor joint="knee" gear="60" ctrlrange="-1 1"/>
        <motor joint="ankle" gear="20" ctrlrange="-1 1"/>
    </actuator>
    <keyframe><key name="crouched" qpos="0 -0.1 0 -0.5 1.0 -0.5"/></keyframe>
</mujoco>"#;

fn main() -> Result<()> {
    let mut quick = false;
    let mut file = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            other if other.starts_with('-') => bail!("unknown option {other}"),
            path => file = Some(path.to_string()),
        }
    }
    let model = load(file.as_deref())?;
    describe(&model);
    if model.nv() == 0 {
        bail!("{}: nothing moves, so there is nothing to simulate", model.name());
    }
    let start = start(&model)?;
    one_step(&model, &start)?;
    let steps = if quick { 60 } else { 200 };
    let controls = improve(&model, &start, steps, if quick { 5 } else { 60 })?;
    let mut rollout = Rollout::new(&model);
    run(&mut rollout, &model, &start, &controls, steps)?;
    let path = Path::new("target/figures/11_rigid_bodies.svg");
    drawing::animate(&model, &start, rollout.states(), path)?;
    println!("\nanimated picture: {}", path.display());
    Ok(())
}

fn load(file: Option<&str>) -> Result<Model> {
    let model = match file {
        None => mjcf::parse(LEG)?,
        Some(path) if path.ends_with(".urdf") => {
            // Collision shapes of robots are often meshes; the mechanism is there without them.
            let options = urdf::Options { collisions: false, ..urdf::Options::default() };
            urdf::load(path, options)?
        }
        Some(path) => mjcf::load(path)?,
    };
    Ok(model)
}

/// The coordinate that is looked at, in `qpos` and in `qvel`: the joint "z", else the first joint whose position is a number or begins with three.
fn coordinate(model: &Model) -> Option<(usize, usize)> {
    let plain = |joint: &usize| model.jnt_type()[*joint] != JointType::Ball;
    let first = (0..model.njnt()).find(plain);
    let joint = model.joint("z").ok().filter(plain).or(first)?;
    Some((model.jnt_qposadr()[joint], model.jnt_dofadr()[joint]))
}

fn describe(model: &Model) {
    println!(
        "{}: {} bodies, {} degrees of freedom, {} actuators, {} geoms, step {} s",
        model.name(),
        model.nbody() - 1,
        model.nv(),
        model.nu(),
        model.ngeom(),
        model.opt().timestep
    );
}

/// The reference configuration, or the first keyframe.
fn start(model: &Model) -> Result<Data> {
    let mut data = Data::new(model);
    if !model.key().is_empty() {
        data.reset_to_key(model, 0)?;
    }
    // A few steps, so that contacts have forces.
    for _ in 0..5 {
        model.step(&mut data)?;
    }
    Ok(data)
}

/// A, B and the report of one step.
fn one_step(model: &Model, start: &Data) -> Result<()> {
    let mut step = StepDerivative::new(model);
    step.evaluate(model, start)?;
    let (nv, nu) = (model.nv(), model.nu());
    let n = 2 * nv + model.na();
    let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * nu]);
    step.jacobians(model, &mut a, &mut b)?;
    let report = step.report();
    println!(
        "\none step: {} contacts, {} rows, {} iterations",
        report.ncon, report.nefc, report.iterations
    );
    if let Some((row, distance)) = report.nearest {
        println!("nearest to switching: row {row}, at {distance:.1e} of its size");
    }
    println!("\nA = ∂(q, v)⁺/∂(q, v), its upper left corner and the same corner of ∂v⁺/∂q:");
    let corner = nv.min(5);
    for i in 0..corner {
        let row = |at: usize| -> String {
            (0..corner).map(|j| format!("{:10.4}", a[at * n + j])).collect()
        };
        println!("  {}    |{}", row(i), row(nv + i));
    }
    if nu > 0 {
        println!("\nB = ∂v⁺/∂u:");
        for i in 0..corner {
            let row: String =
                (0..nu.min(6)).map(|j| format!("{:10.4}", b[(nv + i) * nu + j])).collect();
            println!("  {row}");
        }
    }
    // How the speed after the step depends on every mass.
    let mut next = Cotangent::zeros(model);
    next.qvel[nv - 1] = 1.0;
    let mut out = Cotangent::zeros(model);
    step.pull(model, &next, &mut out)?;
    let mut mass = vec![0.0; model.nbody()];
    step.pull_parameter(model, Parameter::BodyMass, &mut mass)?;
    println!("\nd(last velocity)/d(mass of each body), 1/(kg·s): {mass:.4?}");
    Ok(())
}

fn run(
    rollout: &mut Rollout,
    model: &Model,
    start: &Data,
    controls: &[f64],
    steps: usize,
) -> Result<()> {
    if model.nu() == 0 {
        rollout.run_free(model, start, steps)?;
    } else {
        rollout.run(model, start, controls)?;
    }
    Ok(())
}

/// Gradient ascent on the mean of one coordinate over time: for the leg, how high the torso is.
fn improve(model: &Model, start: &Data, steps: usize, rounds: usize) -> Result<Vec<f64>> {
    let (nu, n) = (model.nu(), 2 * model.nv() + model.na());
    let mut controls = vec![0.0; steps * nu];
    if nu == 0 {
        return Ok(controls);
    }
    let width = model.nq() + model.nv() + model.na();
    let Some((coordinate, goal)) = coordinate(model) else {
        println!("\nno slide, hinge or free joint whose coordinate could be improved");
        return Ok(controls);
    };
    let mean = |states: &[f64]| {
        let sum: f64 = states.chunks_exact(width).map(|x| x[coordinate]).sum();
        sum / (steps + 1) as f64
    };
    // The cost at every step has its own cotangent.
    let mut states = vec![0.0; (steps + 1) * n];
    states.iter_mut().skip(goal).step_by(n).for_each(|x| *x = 1.0 / (steps + 1) as f64);
    let mut rollout = Rollout::new(model);
    let (mut best, mut best_controls, mut rate) = (f64::NEG_INFINITY, controls.clone(), 2.0);
    println!("\ngradient ascent on the mean of coordinate {coordinate} over {steps} steps:");
    for round in 0..rounds {
        run(&mut rollout, model, start, &controls, steps)?;
        let value = mean(rollout.states());
        if value > best {
            (best, rate) = (value, rate * 1.2);
            best_controls.clone_from(&controls);
        } else {
            rate *= 0.4;
        }
        if round % 10 == 0 || round + 1 == rounds {
            println!("  round {round:3}: {value:8.4} (best {best:8.4})");
        }
        run(&mut rollout, model, start, &best_controls, steps)?;
        let (mut bar, mut slope) = (Cotangent::zeros(model), vec![0.0; steps * nu]);
        rollout.pull(model, &best_controls, &states, &mut bar, &mut slope, &mut [])?;
        let size =
            (slope.iter().map(|g| g * g).sum::<f64>() / slope.len() as f64).sqrt().max(1e-12);
        for (k, (u, g)) in controls.iter_mut().zip(&slope).enumerate() {
            let [low, high] = model.actuator_ctrlrange()[k % nu];
            let moved = best_controls[k] + 0.1 * rate * g / size;
            *u = if model.actuator_ctrllimited()[k % nu] { moved.clamp(low, high) } else { moved };
        }
    }
    Ok(best_controls)
}
