//! What a gradient costs in units of its function: our own tapes, on one core.

use crate::data::Bundle;
use crate::objectives::{helmholtz, reprojection, rosenbrock};
use crate::{Bench, Figure};
use anyhow::Result;
use benches::peer::fill;
use pullback_graph::{Tape, Workspace};

/// The goal of the cheap gradient.
const LIMIT: f64 = 3.0;

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    let n = 1000;
    let tape = Tape::record(n, |x| vec![rosenbrock(x)])?;
    ratio(bench, "Rosenbrock-1000", &tape, 1, &fill(0, n, 1.0))?;
    let n = 100;
    let tape = Tape::record(n, |x| vec![helmholtz(x)])?;
    let x: Vec<f64> = fill(0, n, 0.5).iter().map(|v| 1.0 + v).collect();
    ratio(bench, "Helmholtz energy of 100", &tape, 1, &x)?;
    let batch = 4096;
    let tape = Tape::record(17, |x| reprojection(x).to_vec())?;
    let mut x = vec![0.0; 17 * batch];
    Bundle::new(49, 7776, batch).gather(&mut x);
    ratio(bench, "reprojection residual, batch of 4096", &tape, batch, &x)
}

/// `x` ↦ y against (x, dy) ↦ (y, dyᵀ·J), dy = 1.
fn ratio(bench: &mut Bench, name: &str, tape: &Tape, batch: usize, x: &[f64]) -> Result<()> {
    let reverse = tape.reverse();
    let (n, m) = (tape.inputs(), tape.outputs());
    let mut seeded = Vec::with_capacity(batch * (n + m));
    for x in x.chunks_exact(n) {
        seeded.extend_from_slice(x);
        seeded.resize(seeded.len() + m, 1.0);
    }
    let (mut y, mut space) = (vec![0.0; batch * m], Workspace::new(tape));
    let (mut z, mut wide) = (vec![0.0; batch * (n + m)], Workspace::new(&reverse));
    let (value, gradient) = bench.in_turns(
        || Ok(tape.run(batch, x, &mut y, &mut space)?),
        || Ok(reverse.run(batch, &seeded, &mut z, &mut wide)?),
    )?;
    let label = format!("{name}: gradient against function");
    let per = 1e9 / batch as f64;
    let figure = Figure { name: &label, unit: "ns", per, limit: None };
    let row = bench.row(&figure, gradient).against("our own function", value * per);
    bench.output.push(row.ratio_at_most(LIMIT))?;
    let count = format!("{name}: instructions of the function");
    bench.count(&count, "instructions", tape.len())?;
    bench.count(&format!("{name}: instructions of the gradient"), "instructions", reverse.len())
}
