//! candle's layers and optimizer on the same work.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, linear, loss};

/// Three affine maps with rectifiers between, cross entropy, AdamW.
pub(crate) struct Perceptron {
    layers: Vec<Linear>,
    x: Tensor,
    labels: Tensor,
    optimizer: AdamW,
}

impl Perceptron {
    pub(crate) fn new(batch: usize, sizes: [usize; 4]) -> Result<Self> {
        let map = VarMap::new();
        let builder = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let layer = |i: usize| linear(sizes[i], sizes[i + 1], builder.pp(i));
        let layers = (0..3).map(layer).collect::<candle_core::Result<_>>()?;
        let labels: Vec<u32> = (0..batch).map(|i| (7 * i % sizes[3]) as u32).collect();
        let optimizer =
            AdamW::new(map.all_vars(), ParamsAdamW { lr: 1e-4, ..ParamsAdamW::default() })?;
        Ok(Self {
            layers,
            x: Tensor::randn(0f32, 1.0, (batch, sizes[0]), &Device::Cpu)?,
            labels: Tensor::from_vec(labels, batch, &Device::Cpu)?,
            optimizer,
        })
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        let mut y = self.layers[0].forward(&self.x)?;
        for layer in &self.layers[1..] {
            y = layer.forward(&y.relu()?)?;
        }
        Ok(self.optimizer.backward_step(&loss::cross_entropy(&y, &self.labels)?)?)
    }
}
