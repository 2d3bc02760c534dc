//! The chain rule, forward and backward, on two small networks: partial against total derivatives.
//!
//! `cargo run --release -p examples --bin 01_chain_rule` prints both sweeps node by node and draws the networks into
//! `target/figures`.
#![allow(clippy::print_stdout)] // an example talks

use std::path::Path;

use anyhow::Result;
use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Graph, Var};

fn main() -> Result<()> {
    lecture()?;
    arm()
}

fn scalar(x: f64) -> Result<Tensor> {
    Ok(Tensor::new(x, &Device::Cpu)?)
}

/// f(x, g) = 3x + 2g with g = 2x.
fn lecture() -> Result<()> {
    println!("1. The lecture's network: g = 2x, f(x, g) = 3x + 2g, at x = 1\n");
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0)?).named("x");
    let g = (2.0 * x).named("g");
    let f = (3.0 * x + 2.0 * g).named("f");
    let network = [("x", x), ("g", g), ("f", f)];
    table(&graph, &network)?;
    sweeps(&graph, &network)?;
    let (partial, total) = (number(&graph.partial(f, x)?)?, number(&graph.total(f, x)?)?);
    println!("   ∂f/∂x = {partial}   g is held fixed");
    println!("   df/dx = {total}   g moves with x: 3 + 2·2\n");
    draw(&graph, f, "01_lecture.svg")
}

/// A planar arm of two links and the squared distance of its hand from a target.
fn arm() -> Result<()> {
    println!(
        "2. A planar arm: joint angles → elbow → hand → squared distance to a target at (1, 1)\n"
    );
    let graph = Graph::new();
    let (q1, q2) = (graph.input(&scalar(0.4)?).named("q1"), graph.input(&scalar(0.7)?).named("q2"));
    let elbow = (q1.cos().named("elbow x"), q1.sin().named("elbow y"));
    let angle = (q1 + q2).named("angle");
    let hand = ((elbow.0 + angle.cos()).named("hand x"), (elbow.1 + angle.sin()).named("hand y"));
    let loss = ((hand.0 - 1.0).sqr() + (hand.1 - 1.0).sqr()).named("loss");
    let network = [
        ("q1", q1),
        ("q2", q2),
        ("elbow x", elbow.0),
        ("elbow y", elbow.1),
        ("angle", angle),
        ("hand x", hand.0),
        ("hand y", hand.1),
        ("loss", loss),
    ];
    table(&graph, &network)?;
    sweeps(&graph, &network)?;
    println!("   One backward sweep gives the derivative of the loss with respect to everything;");
    println!("   one forward sweep gives the derivative of everything with respect to q1.\n");
    draw(&graph, loss, "01_arm.svg")
}

/// The partial derivatives: one row a variable, one column for each variable it may read.
fn table(graph: &Graph, network: &[(&str, Var<'_>)]) -> Result<()> {
    println!("   {:<9} {:>8}   partial derivatives", "variable", "value");
    for (i, (name, v)) in network.iter().enumerate() {
        let mut partials = Vec::new();
        for (from, u) in &network[..i] {
            let d = number(&graph.partial(*v, *u)?)?;
            if d != 0.0 {
                partials.push(format!("∂{name}/∂{from} = {d:.4}"));
            }
        }
        println!("   {name:<9} {:>8.4}   {}", v.to_f64()?, partials.join(", "));
    }
    println!();
    Ok(())
}

/// Both chain rules written out as sums over parents, and over children, of products of partial derivatives.
fn sweeps(graph: &Graph, network: &[(&str, Var<'_>)]) -> Result<()> {
    let (start, end) = (network[0], network[network.len() - 1]);
    println!("   Forward sweep: dv/d{0} = Σ over parents u of (∂v/∂u)·(du/d{0})", start.0);
    let mut forward = vec![1.0];
    println!("     d{0}/d{0} = 1", start.0);
    for (i, (name, v)) in network.iter().enumerate().skip(1) {
        let mut terms = Vec::new();
        let mut sum = 0.0;
        for (j, (_, u)) in network[..i].iter().enumerate() {
            let partial = number(&graph.partial(*v, *u)?)?;
            if partial != 0.0 && forward[j] != 0.0 {
                terms.push(format!("({partial:.4})·({:.4})", forward[j]));
                sum += partial * forward[j];
            }
        }
        forward.push(sum);
        let right =
            if terms.is_empty() { "0".into() } else { format!("{} = {sum:.4}", terms.join(" + ")) };
        println!("     d{name}/d{} = {right}", start.0);
        anyhow::ensure!(
            (sum - number(&graph.total_forward(*v, start.1)?)?).abs() < 1e-12,
            "the graph disagrees"
        );
    }
    println!("   Backward sweep: d{0}/du = Σ over children v of (d{0}/dv)·(∂v/∂u)", end.0);
    let mut backward = vec![0.0; network.len()];
    backward[network.len() - 1] = 1.0;
    println!("     d{0}/d{0} = 1", end.0);
    for (j, (name, u)) in network.iter().enumerate().rev().skip(1) {
        let mut terms = Vec::new();
        for (i, (_, v)) in network.iter().enumerate().skip(j + 1) {
            let partial = number(&graph.partial(*v, *u)?)?;
            if partial != 0.0 {
                terms.push(format!("({:.4})·({partial:.4})", backward[i]));
                backward[j] += backward[i] * partial;
            }
        }
        println!("     d{}/d{name} = {} = {:.4}", end.0, terms.join(" + "), backward[j]);
        anyhow::ensure!(
            (backward[j] - number(&graph.total_backward(end.1, *u)?)?).abs() < 1e-12,
            "the graph disagrees"
        );
    }
    println!();
    Ok(())
}

fn number(t: &Tensor) -> Result<f64> {
    Ok(t.to_scalar::<f64>()?)
}

fn draw(graph: &Graph, of: Var<'_>, name: &str) -> Result<()> {
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    let path = folder.join(name);
    std::fs::write(&path, graph.to_svg(&[of])?)?;
    println!("   drawn: {}\n", path.display());
    Ok(())
}
