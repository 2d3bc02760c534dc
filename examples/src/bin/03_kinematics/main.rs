//! A 7-joint arm from its description: forward kinematics, inverse kinematics, and a path of 100 steps, by exact derivatives.
//!
//! `cargo run --release -p examples --bin 03_kinematics` prints the numbers and draws the arm, the joints' trajectories and the sparsity
//! of the path's Jacobian into `target/figures`.
#![allow(clippy::print_stdout)] // an example talks

mod arm;
mod least_squares;
mod path;
mod picture;

use std::f64::consts::FRAC_1_SQRT_2;
use std::time::Instant;

use anyhow::{Result, ensure};
use arm::{Arm, Frame};
use least_squares::{LeastSquares, first_good, half_square};
use pullback_graph::sparsity::{Coloring, Order};
use pullback_graph::{Real, Tape, Workspace};

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    let arm = Arm::read(include_str!("arm.urdf"))?;
    forward(&arm, quick)?;
    let start = inverse(&arm, if quick { 20 } else { 200 })?;
    path_problem(&arm, &start)
}

/// Joint angles spread evenly inside the limits: multiples of irrational numbers, modulo 1.
fn spread(limits: &[[f64; 2]], k: usize) -> Vec<f64> {
    let roots = [2.0f64, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0];
    let at = |([low, high], root): (&[f64; 2], f64)| {
        low + (high - low) * ((k + 1) as f64 * root.sqrt()).fract()
    };
    limits.iter().zip(roots).map(at).collect()
}

fn forward(arm: &Arm, quick: bool) -> Result<()> {
    let limits = arm.limits();
    println!("1. Forward kinematics: {} joints that turn\n", limits.len());
    let tape = Tape::record(limits.len(), |q| arm.hand(q).place.to_vec())?;
    let (jacobian, places) = tape.jacobian();
    println!("   position of the hand          {:4} instructions", tape.len());
    println!("   its Jacobian, {} of 21 entries {:4} instructions", places.len(), jacobian.len());

    // Central differences of the code itself, which is generic over the numbers it works on.
    let (mut worst, width) = (0.0f64, 1e-5);
    for k in 0..100 {
        let q = spread(&limits, k);
        let exact = places.dense(&jacobian.eval(&q)?);
        for j in 0..q.len() {
            let (mut up, mut down) = (q.clone(), q.clone());
            up[j] += width;
            down[j] -= width;
            let (up, down) = (arm.hand(&up).place, arm.hand(&down).place);
            for i in 0..3 {
                let difference = (up[i] - down[i]) / (2.0 * width);
                worst = worst.max((difference - exact[i * q.len() + j]).abs());
            }
        }
    }
    println!("   largest difference to central differences at 100 postures: {worst:.1e} m/rad");
    ensure!(worst < 1e-9, "the Jacobian is wrong by {worst}");

    let (batch, rounds) = (1024, if quick { 5 } else { 200 });
    let q: Vec<f64> = (0..batch).flat_map(|k| spread(&limits, k)).collect();
    for (what, tape) in [("position", &tape), ("Jacobian", &jacobian)] {
        let (mut y, mut workspace) = (vec![0.0; batch * tape.outputs()], Workspace::new(tape));
        let mut best = f64::INFINITY;
        for _ in 0..rounds {
            let start = Instant::now();
            tape.run(batch, &q, &mut y, &mut workspace)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!(
            "   {what}: {:5.0} ns each, {batch} at a time on one core",
            1e9 * best / batch as f64
        );
    }
    println!();
    Ok(())
}

/// How far a frame is from another: metres, and the entries of (R − R*)/√2, whose norm is 2·sin(angle/2).
fn off<T: Real>(at: &Frame<T>, goal: &Frame<f64>) -> Vec<T> {
    let place = (0..3).map(|i| at.place[i] - goal.place[i]);
    let turn = (0..9).map(|e| (at.turn[e / 3][e % 3] - goal.turn[e / 3][e % 3]) * FRAC_1_SQRT_2);
    place.chain(turn).collect()
}

/// Inverse kinematics for poses that the arm can reach; the angles of one with the hand at the start of the line.
fn inverse(arm: &Arm, poses: usize) -> Result<Vec<f64>> {
    println!(
        "2. Inverse kinematics: {poses} poses of the hand, position and orientation, limits kept\n"
    );
    let limits = arm.limits();
    let middle: Vec<f64> = limits.iter().map(|[low, high]| 0.5 * (low + high)).collect();
    let starts = || std::iter::once(middle.clone()).chain((1000..1030).map(|k| spread(&limits, k)));
    let (mut iterations, mut tries, mut solved, mut worst) = (Vec::new(), 0, 0, 0.0f64);
    let begin = Instant::now();
    for k in 0..poses {
        let goal = arm.hand(&spread(&limits, k));
        let tape = Tape::record(limits.len(), |q| off(&arm.hand(q), &goal))?;
        let mut problem = LeastSquares::new(tape)?;
        let (solution, tried) = first_good(&mut problem, starts(), &limits, 1e-18)?;
        let far = (2.0 * half_square(&problem.residuals(&solution.x)?)).sqrt();
        if far < 1e-8 {
            solved += 1;
            tries += tried;
            worst = worst.max(far);
            iterations.push(solution.costs.len() - 1);
        }
    }
    let each = 1e3 * begin.elapsed().as_secs_f64() / poses as f64;
    iterations.sort_unstable();
    ensure!(solved * 10 >= poses * 9, "{solved} of {poses} solved");
    println!("   solved {solved} of {poses}, with {:.1} starts each", tries as f64 / solved as f64);
    println!("   iterations of the last start: median {}", iterations[iterations.len() / 2]);
    println!(
        "   largest error of those solved: {worst:.1e} m or rad; {each:.2} ms each with recording\n"
    );

    let goal = path::target(0);
    let reach = Tape::record(limits.len(), |q| {
        let at = arm.hand(q).place;
        (0..3).map(|i| at[i] - goal[i]).collect()
    })?;
    let ready = [0.0, -0.4, 0.0, -2.2, 0.0, 1.8, 0.8];
    Ok(LeastSquares::new(reach)?.solve(&ready, &limits, 100)?.x)
}

/// The arm follows a line with its hand; then a ball stands in the way.
fn path_problem(arm: &Arm, start: &[f64]) -> Result<()> {
    let (joints, n) = (start.len(), start.len() * path::STEPS);
    println!("3. A path of {} steps: {n} variables\n", path::STEPS);
    let limits = arm.limits().repeat(path::STEPS);
    let mut paths: Vec<Vec<f64>> = Vec::new();
    let mut guess = start.repeat(path::STEPS);
    for (what, tape) in [
        ("the hand on a line", Tape::record(n, |q| path::follow(arm, q))?),
        ("a ball in the way", Tape::record(n, |q| path::avoid(arm, q))?),
    ] {
        let begin = Instant::now();
        let mut problem = LeastSquares::new(tape)?;
        let prepared = begin.elapsed();
        let begin = Instant::now();
        let solution = problem.solve(&guess, &limits, 200)?;
        let took = begin.elapsed().as_secs_f64();
        let (rows, entries) = (problem.pattern().rows(), problem.pattern().len());
        let (value, jacobian) = problem.instructions();
        println!(
            "   {what}: {rows} residuals, {entries} entries in the Jacobian, band of JᵀJ {}",
            problem.band
        );
        println!(
            "     {value} instructions for the residuals, {jacobian} with the Jacobian (planned in {:.0} ms)",
            1e3 * prepared.as_secs_f64()
        );
        println!("     iteration   ½‖r‖²          largest |Jᵀr|");
        let last = solution.costs.len() - 1;
        for (k, (cost, slope)) in solution.costs.iter().zip(&solution.slopes).enumerate() {
            if k < 4 || k % 10 == 0 || k == last {
                println!("     {k:9}   {cost:.6e}   {slope:.1e}");
            }
        }
        let (first, end) = (solution.slopes[0], solution.slopes[last]);
        ensure!(solution.converged && end <= 1e-6 * first, "the gradient is {end:e} still");
        println!(
            "     converged in {last} iterations, {:.1} ms each",
            1e3 * took / last.max(1) as f64
        );
        report(arm, &solution.x, joints);
        if paths.is_empty() {
            let colors = Coloring::columns(problem.pattern(), Order::Natural);
            println!(
                "     {} colours find all entries of the Jacobian: columns of one colour share no row\n",
                colors.colors()
            );
            picture::save("03_sparsity.svg", &picture::sparsity(problem.pattern(), &colors))?;
        }
        guess.clone_from(&solution.x);
        paths.push(solution.x);
    }
    picture::save("03_line.svg", &picture::arm(arm, &paths[0], joints, false))?;
    picture::save("03_arm.svg", &picture::arm(arm, &paths[1], joints, true))?;
    picture::save("03_joints.svg", &picture::joints(arm, &paths, joints))?;
    Ok(())
}

/// How well a path does what it should.
fn report(arm: &Arm, q: &[f64], joints: usize) {
    let (mut from_line, mut clearance, mut margin) = (0.0f64, f64::INFINITY, f64::INFINITY);
    let (centre, radius) = path::BALL;
    let distance =
        |a: [f64; 3], b: [f64; 3]| (0..3).fold(0.0, |sum: f64, i| sum.hypot(a[i] - b[i]));
    for (t, q) in q.chunks(joints).enumerate() {
        let frames = arm.frames(q);
        from_line = from_line.max(distance(arm.hand(q).place, path::target(t)));
        for frame in path::GUARDED {
            clearance = clearance.min(distance(frames[frame].place, centre) - radius);
        }
        for (&q, [low, high]) in q.iter().zip(arm.limits()) {
            margin = margin.min((q - low).min(high - q));
        }
    }
    println!(
        "     hand at most {:.1} mm from its line, frames at least {:.1} mm from the ball, joints at least {:.2} rad from their limits\n",
        1e3 * from_line,
        1e3 * clearance,
        margin
    );
}
