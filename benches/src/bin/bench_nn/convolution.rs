//! The convolutions of the robot's and the planner's networks, through our graph and on candle's tape.

use anyhow::Result;
use benches::peer::{fill, noise};
use candle_core::{DType, Device, Tensor};
use pullback_core_graph::Graph;
use pullback_nn::ops::{Conv2dOptions, conv2d_fused};
use serde_json::{Value, json};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// y = x ⋆ w + b, nothing recorded by the peers.
    Forward,
    /// The same and the gradients of ⟨y, dy⟩ with respect to x, w and b.
    Both,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Both => "forward and gradients",
        }
    }
}

/// A convolution that keeps the image's size: padding (kernel − 1)/2, stride 1, with a bias, f32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    batch: usize,
    inputs: usize,
    outputs: usize,
    size: [usize; 2],
    kernel: usize,
    groups: usize,
}

/// TossingBot's perception and heads at 180×140, a VIN's at 28×28, depthwise and pointwise ones.
pub(crate) fn convolutions() -> Vec<Convolution> {
    let case = |batch, inputs, outputs, size, kernel, groups| Convolution {
        batch,
        inputs,
        outputs,
        size,
        kernel,
        groups,
    };
    vec![
        case(1, 4, 64, [180, 140], 3, 1),
        case(1, 64, 128, [90, 70], 3, 1),
        case(1, 128, 128, [90, 70], 3, 1),
        case(1, 128, 256, [45, 35], 3, 1),
        case(1, 256, 256, [45, 35], 3, 1),
        case(1, 256, 512, [45, 35], 3, 1),
        case(1, 512, 512, [45, 35], 3, 1),
        case(128, 2, 150, [28, 28], 3, 1),
        case(128, 2, 10, [28, 28], 3, 1),
        case(128, 10, 10, [28, 28], 3, 1),
        case(1, 128, 128, [90, 70], 3, 128),
        case(16, 64, 64, [45, 35], 3, 64),
        case(1, 64, 128, [90, 70], 1, 1),
        case(1, 256, 512, [45, 35], 1, 1),
        case(128, 150, 1, [28, 28], 1, 1),
    ]
}

impl Convolution {
    pub(crate) fn name(&self) -> String {
        let Self { batch, inputs, outputs, size: [height, width], kernel, groups } = self;
        let kind = if *groups > 1 { "depthwise " } else { "" };
        format!(
            "{kind}convolution {kernel}×{kernel}, {inputs}→{outputs} at {height}×{width}, batch {batch}"
        )
    }

    /// Operations of the direct method; each gradient takes as many as the forward pass.
    pub(crate) fn flops(&self, phase: Phase) -> f64 {
        let taps = self.kernel * self.kernel * self.inputs / self.groups;
        let outputs = self.batch * self.outputs * self.size[0] * self.size[1];
        let passes = if phase == Phase::Both { 3 } else { 1 };
        (2 * taps * outputs * passes) as f64
    }

    pub(crate) fn parameters(&self, phase: Phase) -> Value {
        json!({
            "batch": self.batch, "inputs": self.inputs, "outputs": self.outputs, "size": self.size,
            "kernel": self.kernel, "groups": self.groups, "gradients": phase == Phase::Both,
        })
    }

    /// x, w, b and dy.
    fn tensors(&self) -> Result<[Tensor; 4]> {
        let tensor = |stream, dims: &[usize]| -> Result<Tensor> {
            let data = noise(stream, dims.iter().product(), 1.0);
            Ok(Tensor::from_vec(data, dims, &Device::Cpu)?.to_dtype(DType::F32)?)
        };
        let [height, width] = self.size;
        Ok([
            tensor(0, &[self.batch, self.inputs, height, width])?,
            tensor(1, &[self.outputs, self.inputs / self.groups, self.kernel, self.kernel])?,
            tensor(2, &[self.outputs])?,
            tensor(3, &[self.batch, self.outputs, height, width])?,
        ])
    }

    pub(crate) fn ours(&self) -> Result<Ours> {
        let [x, w, b, dy] = self.tensors()?;
        let padding = [self.kernel / 2; 2];
        let options = Conv2dOptions { padding, groups: self.groups, ..Default::default() };
        Ok(Ours { x, w, b, dy, options })
    }
}

/// Through the graph, as a layer would.
pub(crate) struct Ours {
    x: Tensor,
    w: Tensor,
    b: Tensor,
    dy: Tensor,
    options: Conv2dOptions,
}

impl Ours {
    /// y, and the gradients with respect to x, w and b if they are asked for.
    pub(crate) fn run(&self, phase: Phase) -> Result<Vec<Tensor>> {
        let graph = Graph::new();
        let leaf = |t: &Tensor| match phase {
            Phase::Forward => graph.constant(t),
            Phase::Both => graph.input(t),
        };
        let (x, w, b) = (leaf(&self.x), leaf(&self.w), leaf(&self.b));
        let y = conv2d_fused(x, w, b, false, self.options);
        let mut out = vec![y.value()?];
        if phase == Phase::Both {
            out.extend(graph.pull(&[(y, self.dy.clone())], &[x, w, b])?.into_iter().flatten());
        }
        Ok(out)
    }
}

/// The matrix product that sets the machine's ceiling.
pub(crate) struct Product {
    a: Tensor,
    b: Tensor,
    /// Operations of one product.
    pub(crate) flops: f64,
}

/// 2048×1024 by 1024×2048, by the `gemm` crate with its AVX-512 path, `f32` or `f64`.
pub(crate) fn ceiling(kind: &str) -> Result<Product> {
    let (m, k) = (2048, 1024);
    let matrix = |stream, dims: (usize, usize)| -> Result<Tensor> {
        let tensor = Tensor::from_vec(fill(stream, m * k, 1.0), dims, &Device::Cpu)?;
        Ok(if kind == "f32" { tensor.to_dtype(DType::F32)? } else { tensor })
    };
    let flops = 2.0 * (m * m * k) as f64;
    Ok(Product { a: matrix(0, (m, k))?, b: matrix(1, (k, m))?, flops })
}

impl Product {
    pub(crate) fn run(&self) -> Result<()> {
        self.a.matmul(&self.b)?;
        Ok(())
    }
}
