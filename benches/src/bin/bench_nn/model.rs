//! Training steps: TossingBot's networks, a perceptron, a recurrent network, attention; the same parameters and numbers in all systems.

use anyhow::Result;
use benches::peer::noise;
use candle_core::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Var};
use pullback_nn::layer::{
    Conv2d, Conv2dSpec, Gru, Linear, MaxPool2d, MultiHeadAttention, ResidualBlock, ResidualOptions,
    Sequential, Upsample,
};
use pullback_nn::optimizer::{AdamW, AdamWOptions, Optimizer, Sgd, SgdOptions};
use pullback_nn::parameters::{Bound, Initialization, Scope};
use pullback_nn::{Activation, Layer, Parameters, loss};
use serde_json::{Value, json};

type Loss = Box<dyn for<'g> Fn(&'g Graph, &Bound<'g>) -> pullback_core_graph::Result<Var<'g>>>;

/// A network with its data, loss and optimizer.
pub(crate) struct Model {
    pub(crate) name: String,
    /// The peer's case, without the system.
    pub(crate) case: &'static str,
    pub(crate) sizes: Value,
    pub(crate) parameters: Parameters,
    loss: Loss,
    optimizer: Box<dyn Optimizer>,
}

impl Model {
    /// Loss and its gradient in this precision, in the order of the parameters' names.
    pub(crate) fn gradient(&self, dtype: DType) -> Result<(Tensor, Vec<Tensor>)> {
        let graph = Graph::new();
        let values = self.parameters.values().into_iter();
        let vars =
            values.map(|v| Ok(graph.input(&v.to_dtype(dtype)?))).collect::<Result<Vec<_>>>()?;
        let bound = Bound::new(self.parameters.names(), &vars)?;
        let loss = (self.loss)(&graph, &bound)?;
        Ok((loss.value()?, graph.gradient(loss, bound.vars())?))
    }

    /// One step of training.
    pub(crate) fn step(&mut self) -> Result<()> {
        let (_, gradient) = self.gradient(DType::F32)?;
        Ok(self.optimizer.step(&mut self.parameters, &gradient)?)
    }
}

/// Numbers that a loss reads, in the parameters' precision.
fn constant<'g>(bound: &Bound<'g>, numbers: &Tensor) -> pullback_core_graph::Result<Var<'g>> {
    let parameter = bound.vars()[0];
    let dtype = parameter.value()?.dtype();
    Ok(parameter.graph().constant(&numbers.to_dtype(dtype)?))
}

fn tensor(stream: usize, dims: &[usize], scale: f64) -> Result<Tensor> {
    let data = noise(stream, dims.iter().product(), scale);
    Ok(Tensor::from_vec(data, dims, &Device::Cpu)?.to_dtype(DType::F32)?)
}

/// Uniform numbers of variance 1/fan-in, biases in ±0.1; the stream is the place in the order of the names.
fn fill(parameters: &mut Parameters) -> Result<()> {
    for (stream, name) in parameters.names().iter().enumerate() {
        let dims = parameters.get(name)?.dims().to_vec();
        let fan_in: usize = dims[1..].iter().product();
        let scale = if dims.len() > 1 { (3.0 / fan_in as f64).sqrt() } else { 0.1 };
        parameters.set(name, &tensor(stream, &dims, scale)?)?;
    }
    Ok(())
}

fn empty() -> Parameters {
    Parameters::new(0, DType::F32, &Device::Cpu)
}

fn adam_w() -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(AdamW::new(AdamWOptions { learning_rate: 1e-4, ..Default::default() })?))
}

/// C(3,64), MP, RB(128), MP, RB(256), RB(512) (TossingBot, section V).
fn perception(scope: &mut Scope<'_>) -> pullback_nn::Result<Sequential> {
    let stem = Conv2d::new(&mut scope.scope("stem"), Conv2dSpec::same(4, 64, 3).rectified())?;
    let mut block = |name, inputs, outputs| {
        ResidualBlock::new(&mut scope.scope(name), inputs, outputs, ResidualOptions::default())
    };
    Ok(Sequential::new()
        .then(stem)
        .then(MaxPool2d::default())
        .then(block("block1", 64, 128)?)
        .then(MaxPool2d::default())
        .then(block("block2", 128, 256)?)
        .then(block("block3", 256, 512)?))
}

/// RB(256), RB(128), UP, RB(64), UP, C(1, outputs).
fn head(scope: &mut Scope<'_>, outputs: usize) -> pullback_nn::Result<Sequential> {
    let last = Conv2d::new(&mut scope.scope("out"), Conv2dSpec::same(64, outputs, 1))?;
    let mut block = |name, inputs, outputs| {
        ResidualBlock::new(&mut scope.scope(name), inputs, outputs, ResidualOptions::default())
    };
    Ok(Sequential::new()
        .then(block("block1", 640, 256)?)
        .then(block("block2", 256, 128)?)
        .then(Upsample::default())
        .then(block("block3", 128, 64)?)
        .then(Upsample::default())
        .then(last))
}

/// Perception and both heads on one height map, cross entropy of the grasp and Huber loss of the throw at one pixel, and a step
/// of stochastic gradient descent with momentum.
pub(crate) fn robot(size: [usize; 2]) -> Result<Model> {
    let mut parameters = empty();
    let mut root = parameters.root();
    let perception = perception(&mut root.scope("perception"))?;
    let (grasp, throw) = (head(&mut root.scope("grasp"), 2)?, head(&mut root.scope("throw"), 1)?);
    fill(&mut parameters)?;
    let [height, width] = size;
    let image = tensor(1000, &[1, 4, height, width], 1.0)?;
    let speed =
        Tensor::full(0.5f32, (1, 128, height.div_ceil(4), width.div_ceil(4)), &Device::Cpu)?;
    let (pixel, label) = ([height / 3, width / 4], Tensor::new(&[1u32], &Device::Cpu)?);
    let loss: Loss = Box::new(move |graph, bound| {
        let features = perception.forward(bound, constant(bound, &image)?)?;
        let both = graph.cat(&[features, constant(bound, &speed)?], 1);
        let logits = grasp.forward(bound, both)?;
        let residual = pullback_nn::ops::at_pixels(throw.forward(bound, both)?, &[pixel]);
        let grasp = loss::cross_entropy_at(logits, &[pixel], &label).mean(());
        (grasp + loss::huber(residual - 0.25, 1.0).mean(())).ok()
    });
    let sgd = SgdOptions {
        learning_rate: 1e-4,
        momentum: 0.9,
        weight_decay: 2e-5,
        ..SgdOptions::default()
    };
    Ok(Model {
        name: format!("TossingBot's training step, perception and two heads at {height}×{width}"),
        case: "nn_robot",
        sizes: json!({ "size": size }),
        parameters,
        loss,
        optimizer: Box::new(Sgd::new(sgd)?),
    })
}

/// Three affine maps with rectifiers between, cross entropy.
pub(crate) fn perceptron(batch: usize, sizes: [usize; 4]) -> Result<Model> {
    let mut parameters = empty();
    let mut root = parameters.root();
    let mut linear = |i: usize| {
        let mut scope = root.scope(&format!("{i}"));
        Linear::new(&mut scope, sizes[i], sizes[i + 1], Initialization::Xavier)
    };
    let network = Sequential::new()
        .then(linear(0)?)
        .then(Activation::Relu)
        .then(linear(1)?)
        .then(Activation::Relu)
        .then(linear(2)?);
    fill(&mut parameters)?;
    let x = tensor(1000, &[batch, sizes[0]], 1.0)?;
    let labels: Vec<u32> = (0..batch).map(|i| (7 * i % sizes[3]) as u32).collect();
    let labels = Tensor::from_vec(labels, batch, &Device::Cpu)?;
    Ok(Model {
        name: format!("MLP's training step, {sizes:?}, batch {batch}"),
        case: "nn_perceptron",
        sizes: json!({ "batch": batch, "sizes": sizes }),
        parameters,
        loss: Box::new(move |_, bound| {
            let logits = network.forward(bound, constant(bound, &x)?)?;
            loss::cross_entropy(logits, &labels).mean(()).ok()
        }),
        optimizer: adam_w()?,
    })
}

/// A gated recurrent unit over sequences, mean square of its states.
pub(crate) fn recurrent([batch, time, inputs, hidden]: [usize; 4]) -> Result<Model> {
    let mut parameters = empty();
    let gru = Gru::new(&mut parameters.root(), inputs, hidden)?;
    fill(&mut parameters)?;
    let x = tensor(1000, &[batch, time, inputs], 1.0)?;
    Ok(Model {
        name: format!("GRU's training step, {inputs}→{hidden}, {time} steps, batch {batch}"),
        case: "nn_recurrent",
        sizes: json!({ "batch": batch, "time": time, "inputs": inputs, "hidden": hidden }),
        parameters,
        loss: Box::new(move |_, bound| {
            gru.forward(bound, constant(bound, &x)?)?.sqr().mean(()).ok()
        }),
        optimizer: adam_w()?,
    })
}

/// Self-attention, mean square of its results.
pub(crate) fn attention([batch, time, features, heads]: [usize; 4]) -> Result<Model> {
    let mut parameters = empty();
    let layer = MultiHeadAttention::new(&mut parameters.root(), features, heads)?;
    fill(&mut parameters)?;
    let x = tensor(1000, &[batch, time, features], 1.0)?;
    Ok(Model {
        name: format!(
            "attention's training step, {features} features, {heads} heads, {time} places, batch {batch}"
        ),
        case: "nn_attention",
        sizes: json!({ "batch": batch, "time": time, "features": features, "heads": heads }),
        parameters,
        loss: Box::new(move |_, bound| {
            layer.forward(bound, constant(bound, &x)?)?.sqr().mean(()).ok()
        }),
        optimizer: adam_w()?,
    })
}
