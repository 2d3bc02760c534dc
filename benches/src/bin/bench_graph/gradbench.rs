//! GradBench's objectives: our gradient against PyTorch's and JAX's, two threads on all sides.

use crate::data::{Bundle, Hand, mixture};
use crate::objectives::{
    BONES, hand_vertex, mixture_point, mixture_rest, polynomial, reprojection,
};
use crate::tapes::{SharedGradient, with_jacobian};
use crate::{Bench, Figure, Rival};
use anyhow::Result;
use benches::peer::fill;
use pullback_graph::{Tape, Workspace};
use serde_json::{Value, json};

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    gaussian_mixture(bench)?;
    least_squares(bench)?;
    bundle_adjustment(bench)?;
    hand_tracking(bench)
}

/// Rows against both systems.
fn both(
    bench: &mut Bench,
    name: &str,
    cases: [&'static str; 2],
    parameters: &Value,
    values: &[f64],
    mut work: impl FnMut() -> Result<()>,
) -> Result<()> {
    let figure = Figure { name, unit: "µs", per: 1e6, limit: Some(1.0) };
    for (case, note) in cases.into_iter().zip(["", "jit"]) {
        let rival = vec![Rival::new(case, parameters.clone(), note, 2)];
        bench.against(&figure, rival, values, &mut work)?;
        if bench.peers.is_none() {
            break;
        }
    }
    Ok(())
}

/// One tape for a point, one for what all points share.
fn gaussian_mixture(bench: &mut Bench) -> Result<()> {
    let (d, k, n) = (10, 25, if bench.quick { 200 } else { 1000 });
    let (parameters, points) = mixture(d, k, n);
    let shared = parameters.len();
    let point = Tape::record(shared + d, |x| {
        let (parameters, point) = x.split_at(shared);
        vec![mixture_point(d, k, parameters, point)]
    })?;
    let rest = Tape::record(shared, |x| vec![mixture_rest(d, k, n, x)])?.reverse();
    let gradient = SharedGradient::new(&point, shared);
    bench.count("mixture: instructions a point", "instructions", gradient.tape().len())?;
    bench.count("mixture: registers", "registers", gradient.tape().registers())?;
    let seeded = [&parameters[..], &[1.0]].concat();
    let mut space = Workspace::new(&rest);
    let (mut sums, mut other) = (vec![0.0; 1 + shared], vec![0.0; 1 + shared]);
    let mut work = |sums: &mut [f64]| -> Result<()> {
        gradient.sum(&parameters, &points, sums)?;
        rest.run(1, &seeded, &mut other, &mut space)?;
        sums.iter_mut().zip(&other).for_each(|(sum, rest)| *sum += rest);
        Ok(())
    };
    work(&mut sums)?;
    let values = sums.clone();
    let name = format!("Gaussian mixture d{d} k{k}, {n} points: gradient");
    let sizes = json!({"d": d, "k": k, "n": n});
    let cases = ["torch/graph_gmm", "jax/graph_gmm"];
    both(bench, &name, cases, &sizes, &values, || work(&mut sums))
}

fn least_squares(bench: &mut Bench) -> Result<()> {
    let (n, m) = (2048, 128);
    let x = fill(0, m, 1.0);
    let t = (0..n).map(|i| -1.0 + 2.0 * i as f64 / (n - 1) as f64);
    let samples: Vec<f64> = t.flat_map(|t| [t, t.signum()]).collect();
    let tape = Tape::record(m + 2, |x| vec![polynomial(&x[..m], &x[m..])])?;
    let gradient = SharedGradient::new(&tape, m);
    bench.count("least squares: instructions a sample", "instructions", gradient.tape().len())?;
    let mut sums = vec![0.0; 1 + m];
    gradient.sum(&x, &samples, &mut sums)?;
    let values = sums.clone();
    let name = format!("least squares, {n} samples of {m} terms: gradient");
    let cases = ["torch/graph_llsq", "jax/graph_llsq"];
    both(bench, &name, cases, &json!({"n": n, "m": m}), &values, || {
        gradient.sum(&x, &samples, &mut sums)
    })
}

/// All blocks of the sparse Jacobian; what an observation reads is gathered within the time, as on the other sides.
fn bundle_adjustment(bench: &mut Bench) -> Result<()> {
    let (cameras, points, observations) =
        if bench.quick { (10, 300, 1000) } else { (49, 7776, 31843) };
    let bundle = Bundle::new(cameras, points, observations);
    // Two errors, the weight's error, then three rows of 15 slopes.
    let all = with_jacobian::<15>(17, &(0..15), |x| reprojection(x).to_vec())?;
    bench.count("bundle adjustment: instructions an observation", "instructions", all.len())?;
    let (mut x, mut y) = (vec![0.0; 17 * observations], vec![0.0; 48 * observations]);
    let mut work = |y: &mut [f64]| -> Result<()> {
        bundle.gather(&mut x);
        Ok(all.run_parallel(observations, &x, y)?)
    };
    work(&mut y)?;
    let mut values = Vec::with_capacity(34 * observations);
    for y in y.chunks_exact(48) {
        values.extend_from_slice(&y[..2]);
        values.extend_from_slice(&y[3..33]);
        values.extend([y[2], y[47]]);
    }
    let name = format!("bundle adjustment, {observations} observations: Jacobian");
    let sizes = json!({"cameras": cameras, "points": points, "observations": observations});
    let cases = ["torch/graph_ba", "jax/graph_ba"];
    both(bench, &name, cases, &sizes, &values, || work(&mut y))
}

fn hand_tracking(bench: &mut Bench) -> Result<()> {
    let n = 100;
    let hand = Hand::new(n);
    let each = 6 + BONES;
    let tape = with_jacobian::<26>(26 + each, &(0..26), |x| {
        hand_vertex(&x[..26], &x[26..], &hand.relative, &hand.inverse).to_vec()
    })?;
    bench.count("hand: instructions a vertex", "instructions", tape.len())?;
    bench.count("hand: registers", "registers", tape.registers())?;
    let mut x = vec![0.0; n * (26 + each)];
    let mut y = vec![0.0; n * (3 + 3 * 26)];
    let mut work = |y: &mut [f64]| -> Result<()> {
        for (x, sample) in x.chunks_exact_mut(26 + each).zip(hand.samples.chunks_exact(each)) {
            x[..26].copy_from_slice(&hand.theta);
            x[26..].copy_from_slice(sample);
        }
        Ok(tape.run_parallel(n, &x, y)?)
    };
    work(&mut y)?;
    let errors = y.chunks_exact(81).flat_map(|y| &y[..3]);
    let slopes = y.chunks_exact(81).flat_map(|y| &y[3..]);
    let values: Vec<f64> = errors.chain(slopes).copied().collect();
    let name = format!("hand of {BONES} bones, {n} vertices: Jacobian");
    let cases = ["torch/graph_ht", "jax/graph_ht"];
    both(bench, &name, cases, &json!({"n": n}), &values, || work(&mut y))
}
