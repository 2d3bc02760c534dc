//! How long a 7-joint arm's hand position and its Jacobian take on one thread: `cargo run --release -p pullback-graph --example tape_speed`.
#![allow(clippy::print_stdout)] // it measures and tells

use std::f64::consts::FRAC_PI_2;
use std::time::Instant;

use pullback_graph::{Real, Result, Tape, Workspace};

/// Modified Denavit-Hartenberg rows (a, d, α) of a 7-joint arm, and its flange.
const ARM: [[f64; 3]; 8] = [
    [0.0, 0.333, 0.0],
    [0.0, 0.0, -FRAC_PI_2],
    [0.0, 0.316, FRAC_PI_2],
    [0.0825, 0.0, FRAC_PI_2],
    [-0.0825, 0.384, -FRAC_PI_2],
    [0.0, 0.0, FRAC_PI_2],
    [0.088, 0.0, FRAC_PI_2],
    [0.0, 0.107, 0.0],
];

/// Position of the flange from the joint angles, in metres.
fn hand<T: Real>(q: &[T]) -> Vec<T> {
    let mut turn = [[0.0, 1.0, 2.0].map(|_| T::lit(0.0)); 3];
    (0..3).for_each(|i| turn[i][i] = T::lit(1.0));
    let mut place = [T::lit(0.0); 3];
    for (i, &[a, d, alpha]) in ARM.iter().enumerate() {
        let (sin, cos) = match q.get(i) {
            Some(&q) => (q.sin(), q.cos()),
            None => (T::lit(0.0), T::lit(1.0)),
        };
        // Exact for the right angles of this arm.
        let (sa, ca) = (alpha.sin().round(), alpha.cos().round());
        let next = [
            [cos, -sin, T::lit(0.0)],
            [sin * ca, cos * ca, T::lit(-sa)],
            [sin * sa, cos * sa, T::lit(ca)],
        ];
        let shift = [T::lit(a), T::lit(-sa * d), T::lit(ca * d)];
        place =
            std::array::from_fn(|r| (0..3).fold(place[r], |sum, k| sum + turn[r][k] * shift[k]));
        turn = std::array::from_fn(|r| {
            std::array::from_fn(|c| {
                (0..3).fold(T::lit(0.0), |sum, k| sum + turn[r][k] * next[k][c])
            })
        });
    }
    place.to_vec()
}

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
    let value = Tape::record(7, |q| hand(q))?;
    let (jacobian, _) = value.jacobian();
    for batch in [1, 16, 256, 1024] {
        time("position", &value, batch)?;
        time("Jacobian", &jacobian, batch)?;
    }
    Ok(())
}
