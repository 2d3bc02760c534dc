//! What a loss looks like: the Hessian's spectrum during training, saddle points, slices, and the way between two solutions.
//!
//! `cargo run --release -p examples --bin 04_landscape` (with `-- --quick` for fewer points) prints what it finds and draws it into
//! `target/figures`.
#![allow(clippy::print_stdout)] // an example talks

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Function, function};
use pullback_graph::landscape::{
    BezierOptions, CriticalOptions, CriticalStatus, Curvature, DensityOptions, ExtremeOptions,
    FilterOptions, Parameters, Random, bezier, density, extremes, filter_normalized,
    find_critical_point, hutch_plus_plus, interpolate, slice, slice2, spaced, spectrum,
    value_and_gradient,
};
use pullback_graph::plot::{Plot, grid};

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    let loss = moons(64);
    let sizes = [2, 8, 8, 1];
    let (layout, start) = network(&sizes, 1)?;
    let solution = training(&loss, &layout, &start, if quick { 300 } else { 1500 })?;
    layers(&loss, &layout, &solution)?;
    slices(&loss, &layout, &solution, if quick { 21 } else { 61 })?;
    let other = descend(&loss, &layout, network(&sizes, 2)?.1, if quick { 300 } else { 1500 })?;
    between(&loss, &layout, &solution, &other, if quick { 60 } else { 300 })?;
    saddles(if quick { 12 } else { 150 })
}

/// Cross-entropy of a tanh network that tells two interleaved half circles apart.
fn moons(points: usize) -> Arc<dyn Function> {
    let mut noise = Random::new(7);
    let (mut x, mut label) = (vec![], vec![]);
    for i in 0..points {
        let (side, angle) = ((i % 2) as f64, std::f64::consts::PI * noise.uniform());
        let (u, v) = (angle.cos() + side, angle.sin() * (1.0 - 2.0 * side) + 0.4 * side);
        x.extend([u + 0.15 * noise.normal(), v + 0.15 * noise.normal()]);
        label.push(1.0 - 2.0 * side);
    }
    function("loss", move |graph, p| {
        let x = graph.constant(&Tensor::from_slice(&x, (points, 2), &Device::Cpu)?);
        let label = graph.constant(&Tensor::from_slice(&label, (points, 1), &Device::Cpu)?);
        let mut h = x;
        for (k, layer) in p.chunks(2).enumerate() {
            h = h.matmul(layer[0].t()) + layer[1];
            if 2 * k + 2 < p.len() {
                h = h.tanh();
            }
        }
        // ln(1 + e^−m) of the margin m.
        Ok(vec![(-(label * h)).softplus().mean(())])
    })
}

/// Parameters W (out, in) and b (out) of each layer, and random weights.
fn network(sizes: &[usize], seed: u64) -> Result<(Parameters, Vec<f64>)> {
    let mut random = Random::new(seed);
    let mut tensors = vec![];
    for s in sizes.windows(2) {
        let scale = (1.0 / s[0] as f64).sqrt();
        let w: Vec<f64> = random.normals(s[0] * s[1]).iter().map(|x| scale * x).collect();
        tensors.push(Tensor::from_vec(w, (s[1], s[0]), &Device::Cpu)?);
        tensors.push(Tensor::from_vec(vec![0.0; s[1]], s[1], &Device::Cpu)?);
    }
    let layout = Parameters::of(&tensors)?;
    let flat = layout.ravel(&tensors)?;
    Ok((layout, flat))
}

fn descend(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    mut x: Vec<f64>,
    steps: usize,
) -> Result<Vec<f64>> {
    for _ in 0..steps {
        let (_, g) = value_and_gradient(loss, &layout.unravel(&x)?)?;
        x.iter_mut().zip(g).for_each(|(x, g)| *x -= 0.5 * g);
    }
    Ok(x)
}

/// Plain gradient descent, looking at the Hessian on the way.
fn training(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    start: &[f64],
    steps: usize,
) -> Result<Vec<f64>> {
    println!("1. The Hessian of a tanh network with {} parameters during training\n", layout.len());
    println!(
        "   step     loss      ‖g‖       λ min     λ max     negative   tr H      tr H by 40 products"
    );
    let (mut x, mut done) = (start.to_vec(), 0);
    let mut pictures = vec![];
    for at in [0, steps / 30, steps / 6, steps] {
        x = descend(loss, layout, x, at - done)?;
        done = at;
        let here = Curvature::at(loss, &layout.unravel(&x)?)?;
        let exact = spectrum(&here)?;
        let ends = extremes(&here, ExtremeOptions::default())?;
        let trace = hutch_plus_plus(&here, 40, at as u64)?;
        let norm = here.gradient().iter().map(|g| g * g).sum::<f64>().sqrt();
        println!(
            "   {at:<6} {:.5}   {norm:.2e}   {:+.4}   {:+.4}   {:5.1} %    {:.4}    {:.4} ± {:.4}",
            here.loss(),
            ends.smallest[0].value,
            ends.largest[0].value,
            100.0 * exact.index(1e-4).share(),
            exact.values().iter().sum::<f64>(),
            trace.value,
            trace.standard_error,
        );
        let width = 0.012 * exact.norm();
        let options = DensityOptions { steps: 60, probes: 12, seed: 3 };
        let curve = density(&here, options)?.curve(500, width)?;
        let title = format!("step {at}, loss {:.4}", here.loss());
        let curve = curve.into_iter().map(|[x, y]| [x, y.max(1e-4)]);
        pictures.push(
            Plot::new(title)
                .axes("eigenvalue", "density")
                .log_y()
                .y_limits(1e-3, 1e2)
                .area("12 random probes", curve)
                .stems("eigenvalues", exact.values().iter().copied()),
        );
    }
    println!("\n   A bulk of eigenvalues near zero and a few outliers carry the curvature.\n");
    save("04_spectrum.svg", &grid(2, &pictures))?;
    Ok(x)
}

/// The block of the Hessian that belongs to each layer: by its products alone, beside its exact eigenvalues.
fn layers(loss: &Arc<dyn Function>, layout: &Parameters, center: &[f64]) -> Result<()> {
    println!("2. The Hessian's block of each layer at the solution\n");
    println!(
        "   layer   parameters   λ min     λ max     negative   by the density     tr H      by 40 products"
    );
    let here = Curvature::at(loss, &layout.unravel(center)?)?;
    let mut pictures = vec![];
    for layer in 0..layout.count() / 2 {
        let block = here.group(&[2 * layer, 2 * layer + 1])?;
        let exact = spectrum(&block)?;
        let (values, threshold) = (exact.values(), 1e-4 * exact.norm());
        let options = DensityOptions { steps: 40, probes: 24, seed: 3 };
        let density = density(&block, options)?;
        let share = density.share_below(-threshold);
        let trace = hutch_plus_plus(&block, 40, 1)?;
        println!(
            "   {layer:<7} {:<12} {:+.4}   {:+.4}   {:5.1} %    {:5.1} ± {:4.1} %     {:.4}    {:.4} ± {:.4}",
            values.len(),
            values[0],
            values[values.len() - 1],
            100.0 * exact.index(1e-4).share(),
            100.0 * share.value,
            100.0 * share.standard_error,
            values.iter().sum::<f64>(),
            trace.value,
            trace.standard_error,
        );
        let curve = density.curve(500, 0.012 * exact.norm())?;
        pictures.push(
            Plot::new(format!("layer {layer}, {} parameters", values.len()))
                .axes("eigenvalue", "density")
                .log_y()
                .y_limits(1e-3, 1e2)
                .area("24 random probes", curve.into_iter().map(|[x, y]| [x, y.max(1e-4)]))
                .stems("eigenvalues", values.iter().copied()),
        );
    }
    println!();
    save("04_layers.svg", &grid(3, &pictures))
}

fn slices(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    center: &[f64],
    points: usize,
) -> Result<()> {
    println!("3. Slices around the solution\n");
    let random =
        |seed| filter_normalized(layout, center, FilterOptions { seed, ..Default::default() });
    let (first, second) = (random(1)?, random(2)?);
    let here = Curvature::at(loss, &layout.unravel(center)?)?;
    let options = ExtremeOptions { largest: 2, smallest: 0, ..Default::default() };
    let top = extremes(&here, options)?.largest;
    let ts = spaced(-1.0, 1.0, 4 * points + 1);
    let line = |d: &[f64]| slice(loss, layout, center, d, &ts);
    let lines = Plot::new("the loss along a line")
        .size(480.0, 420.0)
        .axes("t", "loss")
        .log_y()
        .line("filter-normalized", line(&first)?.points())
        .line("another", line(&second)?.points())
        .line("steepest eigenvector", line(&top[0].vector)?.points());
    let axis = spaced(-1.5, 1.5, 2 * points + 1);
    let plane = |title: &str, directions: [&[f64]; 2]| -> Result<Plot> {
        let s = slice2(loss, layout, center, directions, &axis, &axis)?;
        let values: Vec<f64> = s.loss.iter().map(|l| l.unwrap_or(f64::NAN)).collect();
        Ok(Plot::new(title)
            .size(480.0, 420.0)
            .axes("s", "t")
            .heat("loss", &axis, &axis, &values, true, 12)
            .dots("", [[0.0, 0.0]]))
    };
    let pictures = [
        plane("two filter-normalized directions", [&first, &second])?,
        plane("the two steepest eigenvectors", [&top[0].vector, &top[1].vector])?,
        lines,
    ];
    println!("   largest eigenvalues {:.4} and {:.4}\n", top[0].value, top[1].value);
    save("04_slices.svg", &grid(3, &pictures))
}

fn between(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    a: &[f64],
    b: &[f64],
    steps: usize,
) -> Result<()> {
    println!("4. Between two solutions from different seeds\n");
    let ts = spaced(0.0, 1.0, 61);
    let line = interpolate(loss, layout, a, b, &ts)?;
    let curve = bezier(loss, layout, a, b, BezierOptions { steps, ..Default::default() })?;
    let around = curve.slice(loss, layout, &ts)?;
    let barrier = |s: &pullback_graph::landscape::Slice| s.barrier().unwrap_or(f64::NAN);
    println!("   barrier on the straight line    {:.4}", barrier(&line));
    println!("   barrier on a trained curve      {:.4}\n", barrier(&around));
    let picture = Plot::new("the way between two solutions")
        .axes("t", "loss")
        .log_y()
        .line("straight line", line.points())
        .line("trained Bézier curve", around.points());
    save("04_between.svg", &picture.to_svg())
}

/// Critical points of a smaller network from random starts: the higher the loss, the more directions lead down (Dauphin et al. 2014).
fn saddles(starts: usize) -> Result<()> {
    println!(
        "5. Critical points of a network 2 → 3 → 1 on 24 points, from {starts} random starts\n"
    );
    let loss = moons(24);
    let mut found = vec![];
    let (mut flat, mut stalled) = (0, 0);
    for seed in 0..starts as u64 {
        let (layout, x) = network(&[2, 3, 1], 100 + seed)?;
        let scale = 0.5 + 2.5 * Random::new(seed).uniform();
        let start: Vec<f64> = x.iter().map(|x| scale * x).collect();
        let options = CriticalOptions { gradient: 1e-7, ..Default::default() };
        let point = find_critical_point(&loss, &layout, &start, options)?;
        match point.status {
            CriticalStatus::Converged => {
                let here = Curvature::at(&loss, &layout.unravel(&point.parameters)?)?;
                found.push([spectrum(&here)?.index(1e-6).share(), point.loss]);
            }
            CriticalStatus::GradientFlat => flat += 1,
            _ => stalled += 1,
        }
    }
    println!(
        "   {} converged, {flat} gradient-flat (no critical point), {stalled} stalled",
        found.len()
    );
    let mut by_index = found.clone();
    by_index.sort_by(|a, b| a[0].total_cmp(&b[0]));
    for group in by_index.chunk_by(|a, b| a[0] == b[0]) {
        let mean = group.iter().map(|p| p[1]).sum::<f64>() / group.len() as f64;
        let share = 100.0 * group[0][0];
        println!("   index {share:5.1} %   {:3} points   mean loss {mean:.4}", group.len());
    }
    println!();
    // Points of one index side by side, so that all are seen.
    let mut spread = vec![];
    for group in by_index.chunk_by(|a, b| a[0] == b[0]) {
        let place = |k: usize| ((k as f64 * 0.618_034).fract() - 0.5) * 0.03;
        let least = group.len() as f64 / 80.0;
        let offset = |(k, p): (usize, &[f64; 2])| [p[0] + place(k) * least.min(1.0), p[1]];
        spread.extend(group.iter().enumerate().map(offset));
    }
    let picture = Plot::new("critical points")
        .axes("index: share of negative eigenvalues (points spread sideways)", "loss")
        .dots("", spread);
    save("04_saddles.svg", &picture.to_svg())
}

fn save(name: &str, picture: &str) -> Result<()> {
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), picture)?;
    println!("   drawn: target/figures/{name}\n");
    Ok(())
}
