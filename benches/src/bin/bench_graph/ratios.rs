//! What a gradient costs in units of its function: our own tapes, on one core.

use crate::data::Bundle;
use crate::objectives::{helmholtz, reprojection, rosenbrock};
use crate::{Bench, Figure};
use anyhow::Result;
use benches::peer::fill;
use pullback_graph::{Real, Tape, Workspace};

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
    let tape = Tape::record(17, |x| {
        let [u, v, w] = reprojection(x);
        vec![(u.sqr() + v.sqr() + w.sqr()) * 0.5]
    })?;
    let mut x = vec![0.0; 17 * batch];
    Bundle::new(49, 7776, batch).gather(&mut x);
    ratio(bench, "half the squares of a reprojection, batch of 4096", &tape, batch, &x)
}

/// `x` ↦ y against x ↦ (y, dy/dx).
fn ratio(bench: &mut Bench, name: &str, tape: &Tape, batch: usize, x: &[f64]) -> Result<()> {
    let with_gradient = tape.gradient(0..tape.inputs())?;
    let (mut y, mut space) = (vec![0.0; batch], Workspace::new(tape));
    let mut z = vec![0.0; batch * with_gradient.outputs()];
    let mut wide = Workspace::new(&with_gradient);
    let (value, gradient) = bench.in_turns(
        || Ok(tape.run(batch, x, &mut y, &mut space)?),
        || Ok(with_gradient.run(batch, x, &mut z, &mut wide)?),
    )?;
    let label = format!("{name}: value and gradient against value");
    let per = 1e9 / batch as f64;
    let figure = Figure { name: &label, unit: "ns", per, limit: None };
    let row = bench.row(&figure, gradient).against("our own value", value * per);
    bench.output.push(row.ratio_at_most(LIMIT))?;
    bench.count(&format!("{name}: instructions of the value"), "instructions", tape.len())?;
    let count = format!("{name}: instructions of value and gradient");
    bench.count(&count, "instructions", with_gradient.len())
}
