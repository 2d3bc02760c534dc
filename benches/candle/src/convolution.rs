//! A convolution with its bias, and its gradients on candle's tape.

use crate::numbers::noise;
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;

/// As `Convolution` of `bench_nn` describes it: the image's size is kept, stride 1, f32.
pub(crate) struct Convolution {
    plain: [Tensor; 3],
    leaves: [Var; 3],
    dy: Tensor,
    padding: usize,
    groups: usize,
    gradients: bool,
}

impl Convolution {
    pub(crate) fn new(sizes: &Value) -> Result<Self> {
        let number = |value: &Value, name: &str| -> Result<usize> {
            Ok(value.as_u64().with_context(|| format!("no {name} in {sizes}"))? as usize)
        };
        let of = |name: &str| number(&sizes[name], name);
        let [height, width] = [0, 1].map(|axis| number(&sizes["size"][axis], "size"));
        let (height, width, kernel, groups) = (height?, width?, of("kernel")?, of("groups")?);
        let (batch, inputs, outputs) = (of("batch")?, of("inputs")?, of("outputs")?);
        let tensor = |stream, dims: &[usize]| -> Result<Tensor> {
            let data = noise(stream, dims.iter().product(), 1.0);
            Ok(Tensor::from_vec(data, dims, &Device::Cpu)?.to_dtype(DType::F32)?)
        };
        let plain = [
            tensor(0, &[batch, inputs, height, width])?,
            tensor(1, &[outputs, inputs / groups.max(1), kernel, kernel])?,
            tensor(2, &[outputs])?,
        ];
        let leaves = [
            Var::from_tensor(&plain[0])?,
            Var::from_tensor(&plain[1])?,
            Var::from_tensor(&plain[2])?,
        ];
        let dy = tensor(3, &[batch, outputs, height, width])?;
        let gradients = sizes["gradients"].as_bool().context("gradients or not?")?;
        Ok(Self { plain, leaves, dy, padding: kernel / 2, groups, gradients })
    }

    /// The first number of y, or of the weights' gradient.
    pub(crate) fn run(&self) -> Result<f64> {
        let [x, w, b] = match self.gradients {
            false => self.plain.each_ref(),
            true => self.leaves.each_ref().map(Var::as_tensor),
        };
        let y = x.conv2d(w, self.padding, 1, 1, self.groups)?;
        let y = y.broadcast_add(&b.reshape((1, b.elem_count(), 1, 1))?)?;
        let result = match self.gradients {
            false => y,
            true => {
                let gradient = (y * &self.dy)?.sum_all()?.backward()?;
                gradient.get(w).context("no gradient")?.clone()
            }
        };
        Ok(f64::from(result.flatten_all()?.get(0)?.to_scalar::<f32>()?))
    }
}
