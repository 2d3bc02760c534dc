//! A training step of the VIN, forward and backward, over whole maps.

use anyhow::Result;
use benches::bench::Bench;
use benches::peer::{fill, noise};
use benches::row::Row;
use candle_core::{DType, Device, Tensor, Var as Leaf};
use pullback_core_graph::Graph;
use pullback_core_graph::tensor::to_f64;
use pullback_nn::Layer;
use pullback_nn::parameters::Parameters;
use pullback_vin::kernel::{LoopShape, loop_forward};
use pullback_vin::network::{Vin, VinSpec};
use pullback_vin::node::set_cross_entropy;
use serde_json::json;

/// Maps, sets of right actions and weights by the formula that the peer has, too.
struct Case {
    size: usize,
    batch: usize,
    iterations: usize,
    x: Tensor,
    sets: Vec<u8>,
    parameters: Parameters,
    network: Vin,
}

/// Names, shapes and sizes of the weights, in the order of the names.
const WEIGHTS: [(&str, &[usize], f64); 6] = [
    ("fc.weight", &[8, 10], 0.3),
    ("h.bias", &[150], 0.1),
    ("h.weight", &[150, 2, 3, 3], 0.1),
    ("q.weight", &[10, 1, 3, 3], 0.2),
    ("r.weight", &[1, 150, 1, 1], 0.1),
    ("w", &[10, 1, 3, 3], 0.1),
];

impl Case {
    fn new(size: usize, batch: usize, iterations: usize) -> Result<Self> {
        let cells = size * size;
        // Walls where the noise is high, goals by the formula.
        let walls = noise(1, batch * cells, 1.0);
        let mut pixels = vec![0f32; batch * 2 * cells];
        for n in 0..batch {
            for i in 0..cells {
                pixels[n * 2 * cells + i] = f32::from(u8::from(walls[n * cells + i] > 0.4));
            }
            pixels[(n * 2 + 1) * cells + (37 * n + 11) % cells] = 10.0;
        }
        let labels = noise(2, batch * cells, 1.0);
        let sets = labels.iter().map(|l| ((l + 1.0) * 127.5) as u8).collect();
        let x = Tensor::from_vec(pixels, (batch, 2, size, size), &Device::Cpu)?;
        let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
        let spec = VinSpec { iterations, ..VinSpec::default() };
        let network = Vin::new(&mut parameters.root(), spec)?;
        for (stream, (name, dims, scale)) in WEIGHTS.iter().enumerate() {
            let numbers = fill(stream, dims.iter().product(), *scale);
            let t = Tensor::from_vec(numbers, *dims, &Device::Cpu)?.to_dtype(DType::F32)?;
            parameters.set(name, &t)?;
        }
        Ok(Self { size, batch, iterations, x, sets, parameters, network })
    }

    /// The loss, then the gradients in the order of the names.
    fn step(&self) -> Result<Vec<Tensor>> {
        let graph = Graph::new();
        let bound = self.parameters.bind(&graph);
        let logits = self.network.forward(&bound, graph.constant(&self.x))?;
        let loss = set_cross_entropy(logits, self.sets.clone())?;
        let mut all = vec![loss.value()?];
        all.extend(graph.gradient(loss, bound.vars())?);
        Ok(all)
    }
}

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    let (size, batch, iterations) = if bench.quick { (16, 16, 20) } else { (28, 128, 36) };
    let case = Case::new(size, batch, iterations)?;
    let name = format!("VIN step {size}×{size}, K = {iterations}, batch {batch}");
    let numbers: Vec<f64> =
        case.step()?.iter().map(to_f64).collect::<Result<Vec<_>, _>>()?.concat();
    let t = bench.time(|| case.step().map(|_| ()))?;
    bench.output.push(Row::new(format!("{name}: ours"), "ms", t * 1e3))?;
    let parameters = json!({"size": size, "batch": batch, "iterations": iterations});
    let work = || case.step().map(|_| ());
    bench.against(&name, ("torch/vin_step", parameters), Some(0.33), &numbers, work)?;
    composed(bench, &case, &name, t, &numbers)?;
    let shape = LoopShape {
        batch,
        height: size,
        width: size,
        channels: 10,
        kernel: 3,
        iterations,
        untied: false,
        per_action: false,
    };
    let (w, u) = (vec![0.1f32; 90], vec![0.1f32; 90]);
    let (_, tape) = loop_forward(shape, &vec![0.5f32; batch * size * size], &w, &u, 0.0)?;
    let row = Row::new(format!("{name}: tape of the loop"), "MB", tape.bytes() as f64 / 1e6);
    bench.output.push(row.at_most(20.0))
}

/// The same network of candle's own operations, differentiated by candle.
fn composed(bench: &mut Bench, case: &Case, name: &str, ours: f64, numbers: &[f64]) -> Result<()> {
    let leaves: Vec<Leaf> = case
        .parameters
        .values()
        .iter()
        .map(Leaf::from_tensor)
        .collect::<candle_core::Result<_>>()?;
    let [fc, hb, h, q, r, w] = &leaves[..] else { anyhow::bail!("six weights") };
    let actions: Vec<f32> =
        (0..8).flat_map(|a| case.sets.iter().map(move |s| f32::from(s >> a & 1))).collect();
    let cells = case.size * case.size;
    let right = Tensor::from_vec(actions, (8, case.batch, cells), &Device::Cpu)?
        .permute((1, 0, 2))?
        .contiguous()?
        .reshape((case.batch, 8, case.size, case.size))?;
    let labelled = right.max(1)?;
    let step = || -> Result<Vec<Tensor>> {
        let front = case.x.conv2d(h, 1, 1, 1, 1)?.broadcast_add(&hb.reshape((1, 150, 1, 1))?)?;
        let reward = front.conv2d(r, 0, 1, 1, 1)?;
        let mut v = reward.conv2d(q, 1, 1, 1, 1)?.max_keepdim(1)?;
        let both = Tensor::cat(&[q.as_tensor(), w.as_tensor()], 1)?;
        for _ in 1..case.iterations {
            v = Tensor::cat(&[&reward, &v], 1)?.conv2d(&both, 1, 1, 1, 1)?.max_keepdim(1)?;
        }
        let last = Tensor::cat(&[&reward, &v], 1)?.conv2d(&both, 1, 1, 1, 1)?;
        let logits = last.conv2d(&fc.reshape((8, 10, 1, 1))?, 0, 1, 1, 1)?;
        let top = logits.max_keepdim(1)?.detach();
        let e = logits.broadcast_sub(&top)?.exp()?;
        let all = e.sum(1)?.log()?;
        let hit = ((&e * &right)?.sum(1)? + (1.0 - &labelled)?)?.log()?;
        let count = f64::from(labelled.sum_all()?.to_scalar::<f32>()?);
        let loss = (((all - hit)? * &labelled)?.sum_all()? / count)?;
        let gradients = loss.backward()?;
        let mut out = vec![loss];
        for leaf in &leaves {
            out.push(gradients.get(leaf).cloned().unwrap_or(leaf.zeros_like()?));
        }
        Ok(out)
    };
    let theirs: Vec<f64> = step()?.iter().map(to_f64).collect::<Result<Vec<_>, _>>()?.concat();
    let row = Row::new(
        format!("{name}: numbers apart from candle"),
        "relative",
        crate::common::apart(numbers, &theirs),
    );
    bench.output.push(row)?;
    let rounds = if bench.quick { 1 } else { 3 };
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        step()?;
    }
    let t = start.elapsed().as_secs_f64() / f64::from(rounds);
    let row = Row::new(format!("{name}, against candle's operations"), "ms", ours * 1e3);
    bench.output.push(row.against("candle 0.11", t * 1e3).ratio_at_most(0.1))
}
