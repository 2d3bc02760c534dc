//! Times inference and a training step of a robot-sized network: perception and one head over 48×48 height maps.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::layer::{
    Conv2d, Conv2dSpec, MaxPool2d, ResidualBlock, ResidualOptions, Sequential, Upsample,
};
use pullback_nn::optimizer::{Sgd, SgdOptions};
use pullback_nn::{Layer, Parameters, Result, loss};

fn network(parameters: &mut Parameters) -> Result<Sequential> {
    let mut root = parameters.root();
    let mut block = |name: &str, inputs, outputs| {
        ResidualBlock::new(&mut root.scope(name), inputs, outputs, ResidualOptions::default())
    };
    let perception = [block("one", 8, 16)?, block("two", 16, 24)?, block("three", 24, 32)?];
    let head = [block("four", 32, 24)?, block("five", 24, 16)?, block("six", 16, 8)?];
    let [one, two, three] = perception;
    let [four, five, six] = head;
    Ok(Sequential::new()
        .then(Conv2d::new(&mut root.scope("stem"), Conv2dSpec::same(1, 8, 3).rectified())?)
        .then(MaxPool2d::default())
        .then(one)
        .then(MaxPool2d::default())
        .then(two)
        .then(three)
        .then(four)
        .then(five)
        .then(Upsample::default())
        .then(six)
        .then(Upsample::default())
        .then(Conv2d::new(&mut root.scope("last"), Conv2dSpec::same(8, 2, 1))?))
}

fn best(mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..40 {
        let started = Instant::now();
        f()?;
        least = least.min(started.elapsed().as_secs_f64());
    }
    Ok(least)
}

fn main() -> Result<()> {
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let network = network(&mut parameters)?;
    let mut sgd =
        Sgd::new(SgdOptions { learning_rate: 1e-3, momentum: 0.9, ..SgdOptions::default() })?;
    println!("{} parameters, {} threads", parameters.element_count(), rayon::current_num_threads());
    for batch in [8, 16] {
        let pixels = Tensor::arange(0f32, (batch * 48 * 48) as f32, &Device::Cpu)?.sin()?;
        let images = pixels.reshape((batch, 1, 48, 48))?;
        let labels = Tensor::ones(batch, DType::U32, &Device::Cpu)?;
        let tried: Vec<[usize; 2]> = (0..batch).map(|n| [3 * n % 48, 5 * n % 48]).collect();
        let inference = best(|| {
            let graph = Graph::new();
            network.forward(&parameters.bind_constant(&graph), graph.constant(&images))?.value()?;
            Ok(())
        })?;
        let training = best(|| {
            let graph = Graph::new();
            let bound = parameters.bind(&graph);
            let logits = network.forward(&bound, graph.constant(&images))?;
            let loss = loss::cross_entropy_at(logits, &tried, &labels).mean(());
            sgd.step(&mut parameters, &graph.gradient(loss, bound.vars())?)
        });
        println!(
            "batch {batch:>2}: inference {:.2} ms, training step {:.2} ms",
            1e3 * inference,
            1e3 * training?
        );
    }
    Ok(())
}
