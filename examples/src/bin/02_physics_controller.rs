//! A physics formula inside a network: the total derivative dL/da, by hand and by the graph, and gravity learned from throws.
//!
//! The robot throws at 45°. A ballistic controller v̂(p; a) turns the target distance into a horizontal speed, given what it believes
//! gravity to be, a; a small network adds a residual δ. The loss compares δ with what hindsight says, v − v̂(p̂; a), where p̂ is where
//! the throw with speed v really landed. So `a` acts on the loss along two paths, and dL/da sums over both.
#![allow(clippy::print_stdout)] // an example talks

use std::f64::consts::FRAC_PI_4;

use anyhow::{Result, ensure};
use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::{Graph, Var};
use pullback_tossingbot::physics_node::BallisticSpeed;

/// Height of the release point above the box opening, m.
const HEIGHT: f64 = -0.16;
/// Gravity of the world, m/s².
const WORLD: f64 = 9.81;

fn main() -> Result<()> {
    by_hand_and_by_graph()?;
    let quick = std::env::args().any(|a| a == "--quick");
    learn_gravity(if quick { 30 } else { 60 })
}

fn tensor(x: &[f64]) -> Result<Tensor> {
    Ok(Tensor::new(x, &Device::Cpu)?)
}

/// v̂(d; a) = √(a d² / (2 (d + h))): the horizontal speed of a 45° throw over distance d, released h above the target.
fn speed<'g>(a: Var<'g>, distance: Var<'g>) -> Var<'g> {
    distance * (a / (2.0 * (distance + HEIGHT))).sqrt()
}

/// Where a 45° throw of horizontal speed v lands in the real world, m.
fn landing(v: f64) -> f64 {
    v * (v + (v * v + 2.0 * WORLD * HEIGHT).sqrt()) / WORLD
}

fn by_hand_and_by_graph() -> Result<()> {
    let (target, a0, w, b) = (0.8, 8.0, 0.05, 0.02);
    let graph = Graph::new();
    let a = graph.input(&tensor(&[a0])?).named("a");
    let controller = speed(a, graph.constant(&tensor(&[target])?)).named("v̂(p)");
    let residual = (controller * w + b).named("δ");
    let thrown = (controller + residual).detach().named("v");
    let landed = landing(thrown.to_f64()?);
    let hindsight = speed(a, graph.constant(&tensor(&[landed])?)).named("v̂(p̂)");
    let loss = (0.5 * (residual - (thrown - hindsight)).sqr()).named("L");

    println!(
        "1. One throw at a box {target} m away and {} m up, with a = {a0} m/s² believed and {WORLD} true\n",
        -HEIGHT
    );
    println!("   thrown at {:.4} m/s, landed at {landed:.4} m", thrown.to_f64()?);
    let (v_p, v_l) = (controller.to_f64()?, hindsight.to_f64()?);
    println!("   controller v̂(p; a) = {v_p:.4}, with residual δ = {:.4}", residual.to_f64()?);
    println!(
        "   hindsight  v̂(p̂; a) = {v_l:.4}, so the label is v − v̂(p̂; a) = {:.4}\n",
        thrown.to_f64()? - v_l
    );

    // L = ½ e², e = δ(v̂(p; a)) − (v − v̂(p̂; a)); ∂v̂/∂a = v̂/(2a).
    let error = residual.to_f64()? - (thrown.to_f64()? - v_l);
    let through_label = error * v_l / (2.0 * a0);
    let through_network = error * w * v_p / (2.0 * a0);
    println!("   by hand, with L = e²/2, e = δ − label = {error:.6} and dv̂/da = v̂/(2a):");
    println!("     through the label      e · dv̂(p̂)/da         = {through_label:+.9}");
    println!("     through the network    e · ∂δ/∂v̂ · dv̂(p)/da = {through_network:+.9}");
    println!(
        "     total                  dL/da                = {:+.9}",
        through_label + through_network
    );
    let number = |t: Tensor| -> Result<f64> { Ok(t.flatten_all()?.to_vec1::<f64>()?[0]) };
    let total = number(graph.total(loss, a)?)?;
    println!("   by the graph");
    println!("     total                  dL/da                = {total:+.9}");
    println!(
        "     with v̂(p) held fixed                        = {:+.9}",
        number(graph.partial_holding(loss, a, &[controller])?)?
    );
    println!(
        "     with v̂(p̂) held fixed                        = {:+.9}\n",
        number(graph.partial_holding(loss, a, &[hindsight])?)?
    );
    ensure!((total - through_label - through_network).abs() < 1e-12, "hand and graph disagree");

    // The formula as one node, as the throwing robot uses it: value and slopes in closed form instead of five operations.
    let graph = Graph::new();
    let a = graph.input(&Tensor::new(a0, &Device::Cpu)?);
    let formula = BallisticSpeed { angle: FRAC_PI_4 };
    let at = |d: f64| -> Result<Var<'_>> {
        let height = graph.constant(&tensor(&[HEIGHT])?);
        Ok(formula.record(a, graph.constant(&tensor(&[d])?), height))
    };
    let residual = at(target)? * w + b;
    let loss = 0.5 * (residual - (thrown.to_f64()? - at(landed)?)).sqr().sum(());
    let slope = graph.record_gradient(loss, &[a])?[0];
    let curvature = number(graph.total(slope, a)?)?;
    println!("   by the graph, the formula one node of the robot's crate");
    println!("     total                  dL/da                = {:+.9}", slope.to_f64()?);
    println!("     and once more          d²L/da²              = {curvature:+.9}\n");
    ensure!((total - slope.to_f64()?).abs() < 1e-12, "formula and node disagree");
    Ok(())
}

fn learn_gravity(steps: usize) -> Result<()> {
    println!("2. Gravity from throws alone: δ = 0, gradient descent on a with dL/da\n");
    // Throws of these speeds land where the world has them land; what gravity makes of that, the robot has to find out.
    let thrown = [2.0, 2.2, 2.4, 2.6, 2.8];
    let landed = thrown.map(landing);
    let mut a = 7.0;
    println!("   step        a         loss      dL/da");
    for step in 0..=steps {
        let graph = Graph::new();
        let parameter = graph.input(&tensor(&[a])?);
        let believed = speed(parameter, graph.constant(&tensor(&landed)?));
        let loss = 0.5 * (believed - graph.constant(&tensor(&thrown)?)).sqr().mean(());
        let slope = graph.gradient(loss, &[parameter])?[0].to_vec1::<f64>()?[0];
        if step % 10 == 0 {
            println!("   {step:4}   {a:.6}   {:.3e}   {slope:+.3e}", loss.to_f64()?);
        }
        a -= 60.0 * slope;
    }
    println!("\n   learned a = {a:.5} m/s², true {WORLD}");
    ensure!((a - WORLD).abs() < 0.01, "gravity was not identified: {a}");
    Ok(())
}
