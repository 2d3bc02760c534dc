//! GradBench's objectives: our gradient against PyTorch's and JAX's, two threads on all sides.

use crate::data::{Bundle, Hand, mixture};
use crate::objectives::{
    BONES, hand_bones, hand_vertex, mixture_point, mixture_rest, polynomial, reprojection,
};
use crate::tapes::{Sparse, with_jacobian};
use crate::{Bench, Figure, Rival};
use anyhow::Result;
use benches::peer::fill;
use pullback_graph::{Dual, Real, SampleSum, Tape, Workspace};
use serde_json::{Value, json};

/// Parameters of the hand: rotation and shift, and the fingers' angles.
const GLOBAL: usize = 6;
const FINGERS: usize = 20;

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
    for (case, note) in cases.into_iter().zip(["", "jit"]) {
        let system = if note.is_empty() { "PyTorch" } else { "JAX" };
        let name = match bench.peers {
            Some(_) => &format!("{name}, against {system}"),
            None => name,
        };
        let figure = Figure { name, unit: "µs", per: 1e6, limit: Some(1.0) };
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
    let gradient = SampleSum::new(&point, shared)?;
    bench.count("mixture: instructions a point", "instructions", gradient.instructions()[1])?;
    let seeded = [&parameters[..], &[1.0]].concat();
    let mut space = Workspace::new(&rest);
    let (mut sums, mut other) = (vec![0.0; 1 + shared], vec![0.0; 1 + shared]);
    let mut work = |sums: &mut [f64]| -> Result<()> {
        sums[0] = gradient.gradient(&parameters, &points, &mut sums[1..])?;
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
    let gradient = SampleSum::new(&tape, m)?;
    bench.count(
        "least squares: instructions a sample",
        "instructions",
        gradient.instructions()[1],
    )?;
    let mut sums = vec![0.0; 1 + m];
    let work = |sums: &mut [f64]| -> Result<()> {
        sums[0] = gradient.gradient(&x, &samples, &mut sums[1..])?;
        Ok(())
    };
    work(&mut sums)?;
    let values = sums.clone();
    let name = format!("least squares, {n} samples of {m} terms: gradient");
    let cases = ["torch/graph_llsq", "jax/graph_llsq"];
    both(bench, &name, cases, &json!({"n": n, "m": m}), &values, || work(&mut sums))
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

/// One tape for the bones and their slopes, once; one for a vertex, whose inputs from the first all vertices share.
fn hand_tracking(bench: &mut Bench) -> Result<()> {
    let n = 100;
    let hand = Hand::new(n);
    let bones = Tape::record(FINGERS, |fingers| {
        let frames = hand_bones(fingers, &hand.relative, &hand.inverse);
        frames.into_iter().flatten().flatten().collect()
    })?;
    let mut bones = Sparse::prepare(&bones)?;
    let places: Vec<_> = bones.pattern().places().collect();
    let numbers = 12 * BONES;
    let shared = GLOBAL + numbers + places.len();
    let vertex = Tape::record(shared + 6 + BONES, |x| {
        let zero = Real::lit(0.0);
        let still = |value| Dual { value, slopes: [zero; GLOBAL + FINGERS] };
        let (global, rest) = x.split_at(GLOBAL);
        let (values, rest) = rest.split_at(numbers);
        let (entries, sample) = rest.split_at(places.len());
        let global: Vec<_> =
            global.iter().enumerate().map(|(i, &v)| Dual::variable(v, i)).collect();
        let mut values: Vec<_> = values.iter().copied().map(still).collect();
        for (&(row, column), &slope) in places.iter().zip(entries) {
            values[row].slopes[GLOBAL + column] = slope;
        }
        let row = |k: usize| std::array::from_fn(|j| values[4 * k + j]);
        let frames: Vec<_> =
            (0..BONES).map(|bone| std::array::from_fn(|i| row(3 * bone + i))).collect();
        let sample: Vec<_> = sample.iter().copied().map(still).collect();
        let errors = hand_vertex(&global, &frames, &sample);
        errors.iter().map(|e| e.value).chain(errors.iter().flat_map(|e| e.slopes)).collect()
    })?;
    bench.count("hand: instructions of the bones", "instructions", bones.instructions())?;
    bench.count("hand: instructions a vertex", "instructions", vertex.len())?;
    bench.count("hand: registers", "registers", vertex.registers())?;
    let width = 3 * (1 + GLOBAL + FINGERS);
    let (mut common, mut y) = (vec![0.0; shared], vec![0.0; n * width]);
    let mut work = |y: &mut [f64]| -> Result<()> {
        common[..GLOBAL].copy_from_slice(&hand.theta[..GLOBAL]);
        bones.run(&hand.theta[GLOBAL..], &mut common[GLOBAL..])?;
        Ok(vertex.run_shared_parallel(n, &common, &hand.samples, y)?)
    };
    work(&mut y)?;
    let errors = y.chunks_exact(width).flat_map(|y| &y[..3]);
    let slopes = y.chunks_exact(width).flat_map(|y| &y[3..]);
    let values: Vec<f64> = errors.chain(slopes).copied().collect();
    let name = format!("hand of {BONES} bones, {n} vertices: Jacobian");
    let cases = ["torch/graph_ht", "jax/graph_ht"];
    both(bench, &name, cases, &json!({"n": n}), &values, || work(&mut y))
}
