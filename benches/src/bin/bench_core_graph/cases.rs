//! The work that is timed: the same as in `peers/cases_core_graph.py`.

use anyhow::Result;
use benches::peer::fill;
use candle_core::{Device, Tensor, Var as CandleVar};
use pullback_core_graph::{Graph, Options, Var};

/// y ← 1.01·y, sin y, y + 0.01 in turns, on f64 tensors of one element.
pub(crate) struct Chain {
    n: usize,
    x: Tensor,
    leaf: CandleVar,
    scale: Tensor,
    shift: Tensor,
}

impl Chain {
    pub(crate) fn new(n: usize) -> Result<Self> {
        let one = |v: f64| Tensor::from_slice(&[v], 1, &Device::Cpu);
        let x = one(0.3)?;
        Ok(Chain { n, leaf: CandleVar::from_tensor(&x)?, x, scale: one(1.01)?, shift: one(0.01)? })
    }

    fn steps(&self, mut y: Tensor) -> Result<Tensor> {
        for i in 0..self.n {
            y = match i % 3 {
                0 => (&y * &self.scale)?,
                1 => y.sin()?,
                _ => (&y + &self.shift)?,
            };
        }
        Ok(y)
    }

    /// candle without its tape; the values are kept, as a graph keeps them.
    pub(crate) fn bare(&self) -> Result<()> {
        let mut kept = Vec::with_capacity(self.n);
        let mut y = self.x.clone();
        for i in 0..self.n {
            y = match i % 3 {
                0 => (&y * &self.scale)?,
                1 => y.sin()?,
                _ => (&y + &self.shift)?,
            };
            kept.push(y.clone());
        }
        Ok(())
    }

    /// candle on its tape.
    pub(crate) fn tracked(&self) -> Result<Tensor> {
        self.steps(self.leaf.as_tensor().clone())
    }

    pub(crate) fn record(&self, finite: bool) -> Result<Graph> {
        Ok(self.recorded(finite)?.0)
    }

    /// The graph, and where its input and its output are.
    pub(crate) fn recorded(&self, finite: bool) -> Result<(Graph, usize, usize)> {
        let graph = Graph::with_options(Options { finite });
        let ends = {
            let x = graph.input(&self.x);
            let (scale, shift) = (graph.constant(&self.scale), graph.constant(&self.shift));
            let mut y = x;
            for i in 0..self.n {
                y = match i % 3 {
                    0 => y * scale,
                    1 => y.sin(),
                    _ => y + shift,
                };
            }
            (x.index()?, y.index()?)
        };
        Ok((graph, ends.0, ends.1))
    }
}

/// Mean squared error of a network of linear layers with tanh between them.
pub(crate) struct Mlp {
    layers: Vec<(Tensor, Tensor)>,
    leaves: Vec<(CandleVar, CandleVar)>,
    inputs: Tensor,
    targets: Tensor,
}

impl Mlp {
    pub(crate) fn new() -> Result<Self> {
        let sizes = [128, 256, 256, 10];
        let batch = 256;
        let tensor = |stream, dims: &[usize], scale| -> Result<Tensor> {
            let data = fill(stream, dims.iter().product(), scale);
            Ok(Tensor::from_vec(data, dims, &Device::Cpu)?.to_dtype(candle_core::DType::F32)?)
        };
        let layer = |k: usize| -> Result<(Tensor, Tensor)> {
            let (fan_in, fan_out) = (sizes[k], sizes[k + 1]);
            let weight = tensor(2 * k, &[fan_out, fan_in], 1.0 / (fan_in as f64).sqrt())?;
            Ok((weight, tensor(2 * k + 1, &[fan_out], 0.1)?))
        };
        let layers: Vec<_> = (0..3).map(layer).collect::<Result<_>>()?;
        let leaf = |(w, b): &(Tensor, Tensor)| -> Result<_> {
            Ok((CandleVar::from_tensor(w)?, CandleVar::from_tensor(b)?))
        };
        let leaves = layers.iter().map(leaf).collect::<Result<_>>()?;
        Ok(Mlp {
            layers,
            leaves,
            inputs: tensor(100, &[batch, sizes[0]], 1.0)?,
            targets: tensor(101, &[batch, 10], 1.0)?,
        })
    }

    pub(crate) fn ours(&self, finite: bool) -> Result<()> {
        let graph = Graph::with_options(Options { finite });
        let mut parameters: Vec<Var<'_>> = Vec::new();
        let mut y = graph.constant(&self.inputs);
        for (k, (weight, bias)) in self.layers.iter().enumerate() {
            let (weight, bias) = (graph.input(weight), graph.input(bias));
            y = y.matmul(weight.t()) + bias;
            y = if k < 2 { y.tanh() } else { y };
            parameters.extend([weight, bias]);
        }
        let loss = (y - graph.constant(&self.targets)).sqr().mean(());
        let gradient = graph.gradient(loss, &parameters)?;
        anyhow::ensure!(gradient.len() == 6);
        Ok(())
    }

    pub(crate) fn candle(&self) -> Result<()> {
        let mut y = self.inputs.clone();
        for (k, (weight, bias)) in self.leaves.iter().enumerate() {
            y = y.matmul(&weight.as_tensor().t()?)?.broadcast_add(bias.as_tensor())?;
            y = if k < 2 { y.tanh()? } else { y };
        }
        let gradient = (y - &self.targets)?.sqr()?.mean_all()?.backward()?;
        anyhow::ensure!(gradient.get(self.leaves[0].0.as_tensor()).is_some());
        Ok(())
    }
}

/// loss = Σ x², A·x = b by Cholesky; gradients with respect to A and b.
pub(crate) struct CholeskySolve {
    a: Tensor,
    b: Tensor,
}

impl CholeskySolve {
    pub(crate) fn new(batch: usize, n: usize) -> Result<Self> {
        let m = Tensor::from_vec(fill(0, batch * n * n, 1.0), (batch, n, n), &Device::Cpu)?;
        let eye = Tensor::eye(n, candle_core::DType::F64, &Device::Cpu)?.affine(n as f64, 0.0)?;
        let a = m.matmul(&m.t()?.contiguous()?)?.broadcast_add(&eye)?;
        Ok(CholeskySolve {
            a,
            b: Tensor::from_vec(fill(1, batch * n, 1.0), (batch, n, 1), &Device::Cpu)?,
        })
    }

    pub(crate) fn ours(&self) -> Result<()> {
        let graph = Graph::new();
        let (a, b) = (graph.input(&self.a), graph.input(&self.b));
        let loss = a.cholesky_solve(b).sqr().sum(());
        anyhow::ensure!(graph.gradient(loss, &[a, b])?.len() == 2);
        Ok(())
    }
}
