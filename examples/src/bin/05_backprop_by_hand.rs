//! Backpropagation by hand: the recursion δ_l = [δ_{l+1}·W_{l+1}] ∘ σ'(z_l) on a network small enough to print, beside what the graph pulls
//! back, then the same on a deeper one that learns with it.
//!
//! `cargo run --release -p examples --bin 05_backprop_by_hand`
#![allow(clippy::print_stdout)] // an example talks

use anyhow::Result;
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::feed_forward::Gradients;
use pullback_nn::{Activation, FeedForward, Initialization, Layer, Parameters};

fn main() -> Result<()> {
    print_a_small_one()?;
    train_a_deeper_one()
}

/// Two inputs, three hidden units, one output; L = ½(x_2 − target)².
fn print_a_small_one() -> Result<()> {
    println!("1. A network with h = (2, 3, 1), σ = tanh, and L = ½(x₂ − t)² for one sample\n");
    let mut parameters = Parameters::new(4, DType::F64, &Device::Cpu);
    let network = FeedForward::new(
        &mut parameters.root(),
        &[2, 3, 1],
        Activation::Tanh,
        Activation::Tanh,
        Initialization::Xavier,
    )?;
    let x = Tensor::new(&[[0.5, -1.0]], &Device::Cpu)?;
    let target = Tensor::new(&[[0.25]], &Device::Cpu)?;

    println!("   forward: z_l = W_l·x_{{l−1}} + b_l, x_l = σ(z_l)");
    let pass = network.forward_by_hand(&parameters, &x)?;
    for l in 0..=2 {
        if l > 0 {
            show(&format!("W_{l}"), parameters.get(&format!("layer{l}.weight"))?)?;
            show(&format!("z_{l}"), &pass.z[l - 1])?;
        }
        show(&format!("x_{l}"), &pass.x[l])?;
    }
    println!(
        "\n   backward: δ_L = dL/dx_L ∘ σ'(z_L), δ_l = [δ_{{l+1}}·W_{{l+1}}] ∘ σ'(z_l), dL/dW_l = δ_lᵀ·x_{{l−1}}ᵀ"
    );
    let by_output = (&pass.x[2] - &target)?;
    let gradients = network.backward_by_hand(&parameters, &pass, &by_output)?;
    for l in [2, 1] {
        show(&format!("δ_{l}"), &gradients.deltas[l - 1])?;
        show(&format!("dL/dW_{l}"), &gradients.parameters[&format!("layer{l}.weight")])?;
    }
    let worst = against_the_graph(&network, &parameters, &x, &by_output, &gradients)?;
    println!("\n   largest difference from what the graph pulls back: {worst:.1e}\n");
    Ok(())
}

/// One matrix, a row to a line.
fn show(name: &str, matrix: &Tensor) -> Result<()> {
    for (i, row) in matrix.to_vec2::<f64>()?.iter().enumerate() {
        let numbers: Vec<String> = row.iter().map(|v| format!("{v:8.4}")).collect();
        println!("   {:>8} {}", if i == 0 { name } else { "" }, numbers.join(" "));
    }
    Ok(())
}

/// The largest difference between the recursion's gradients and the graph's.
fn against_the_graph(
    network: &FeedForward,
    parameters: &Parameters,
    x: &Tensor,
    by_output: &Tensor,
    by_hand: &Gradients,
) -> Result<f64> {
    let graph = Graph::new();
    let bound = parameters.bind(&graph);
    let y = network.forward(&bound, graph.constant(x))?;
    let pulled = graph.pull(&[(y, by_output.clone())], bound.vars())?;
    let mut worst = 0f64;
    for (ours, theirs) in by_hand.parameters.values().zip(pulled.iter().flatten()) {
        let difference = (ours - theirs)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
        worst = worst.max(difference);
    }
    Ok(worst)
}

/// sin(3x) from 64 samples, by gradient descent with the recursion's gradients.
fn train_a_deeper_one() -> Result<()> {
    println!("2. h = (1, 16, 16, 16, 1) learns sin 3x from 64 samples, by the recursion alone\n");
    let mut parameters = Parameters::new(7, DType::F64, &Device::Cpu);
    let network = FeedForward::new(
        &mut parameters.root(),
        &[1, 16, 16, 16, 1],
        Activation::Tanh,
        Activation::Identity,
        Initialization::Xavier,
    )?;
    let x = Tensor::arange(0f64, 64.0, &Device::Cpu)?.affine(2.0 / 63.0, -1.0)?.reshape((64, 1))?;
    let target = x.affine(3.0, 0.0)?.sin()?;
    println!("   {:>5}  {:>10}  {:>28}", "step", "loss", "largest difference from pull");
    for step in 0..=2000 {
        let pass = network.forward_by_hand(&parameters, &x)?;
        let error = (&pass.x[4] - &target)?;
        // L = 1/(2n)·Σ error².
        let by_output = error.affine(1.0 / 64.0, 0.0)?;
        let gradients = network.backward_by_hand(&parameters, &pass, &by_output)?;
        if step % 400 == 0 {
            let loss = error.sqr()?.mean_all()?.to_scalar::<f64>()? / 2.0;
            let worst = against_the_graph(&network, &parameters, &x, &by_output, &gradients)?;
            println!("   {step:>5}  {loss:>10.2e}  {worst:>28.1e}");
        }
        for (name, gradient) in &gradients.parameters {
            let next = (parameters.get(name)? - gradient.affine(0.3, 0.0)?)?;
            parameters.set(name, &next)?;
        }
    }
    Ok(())
}
