//! How long a 7-joint arm's hand position and its Jacobian take on one thread: `cargo run --release -p pullback-graph --example tape_speed`.
#![allow(clippy::print_stdout)] // it measures and tells

use std::time::Instant;

#[path = "../tests/common/arm.rs"]
mod arm;

use arm::{hand, path};
use pullback_graph::{Result, Tape, Workspace};

fn time(name: &str, tape: &Tape, batch: usize) -> Result<()> {
    let x: Vec<f64> = (0..batch * tape.inputs()).map(|i| (i as f64 * 0.37).sin()).collect();
    let mut y = vec![0.0; batch * tape.outputs()];
    let mut workspace = Workspace::new(tape);
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        for _ in 0..20 {
            tape.run(batch, &x, &mut y, &mut workspace)?;
        }
        best = best.min(start.elapsed().as_secs_f64() / (20.0 * batch as f64));
    }
    let (count, registers) = (tape.len(), tape.registers());
    println!(
        "{name:<28} batch {batch:>5}  {count:>5} instructions  {registers:>4} registers  {:>8.1} ns",
        best * 1e9
    );
    Ok(())
}

fn main() -> Result<()> {
    let value = Tape::record(7, |q| hand(q).to_vec())?;
    let (jacobian, _) = value.jacobian();
    for batch in [1, 16, 256, 1024] {
        time("position", &value, batch)?;
        time("Jacobian", &jacobian, batch)?;
    }
    let prepare = |f: &dyn Fn() -> Result<usize>| -> Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let start = Instant::now();
            f()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best * 1e3)
    };
    let path = Tape::record(700, |q| path(q))?;
    let record = prepare(&|| Ok(Tape::record(700, |q| arm::path(q))?.len()))?;
    let differentiate = prepare(&|| Ok(path.value_and_jacobian().0.len()))?;
    let compile = prepare(&|| {
        let (tape, _) = path.value_and_jacobian();
        tape.run(1, &[0.3; 700], &mut vec![0.0; tape.outputs()], &mut Workspace::new(&tape))?;
        Ok(tape.len())
    })?;
    println!(
        "path problem: recorded in {record:.2} ms, value and Jacobian made in {differentiate:.2} ms, and run once {compile:.2} ms"
    );
    time("path, residuals", &path, 1)?;
    time("path, residuals, Jacobian", &path.value_and_jacobian().0, 1)?;
    Ok(())
}
