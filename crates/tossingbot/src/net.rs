//! The three networks: perception, grasp, throw (TossingBot, section IV), recorded on a function network.
//!
//! ```text
//! μ      = perception(height map)                                    [B, p₃, H/4, W/4]
//! logits = grasp([μ, v̂ × k])                                         [B, 2, H, W]
//! δ/u    = throw([μ, v̂ × k])                                         [B, 1, H, W]
//! ```
//!
//! Residual blocks have no normalization and their second convolution starts at zero, so every block starts as its shortcut, the result
//! for one sample does not depend on the batch, and training is the same for any batch. The rectifiers stand inside the blocks
//! (He et al. 2016): one behind the sum would let the last, narrow block say "hit" by falling silent, and then every good pixel gets the
//! same probability and the best one is lost. v̂ enters both heads as k equal channels: with a
//! single one among many the networks tend to overlook it (TossingBot).

use candle_core::{Device, Tensor};
use pullback_core_graph::{Graph, Result as GraphResult, Var};
use pullback_nn::ops::{Conv2dOptions, conv2d_fused, max_pool2d, resize_bilinear};

use crate::error::{Error, Result};
use crate::preset::NetworkSize;
use crate::rng::{Purpose, Stream};

/// v̂ in m/s is entered as (v̂ − 2.2)/.25: about ±1 over the standard boxes.
pub const SPEED_CENTRE: f64 = 2.2;
/// See [`SPEED_CENTRE`].
pub const SPEED_SCALE: f64 = 0.25;

/// Initial values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Initial {
    /// All zero.
    Zero,
    /// Normal with this gain: standard deviation gain·√(2/fan-in) (He et al. 2015).
    Normal(f64),
}

/// One parameter before it has values.
#[derive(Debug, Clone, PartialEq)]
struct Slot {
    name: String,
    dims: Vec<usize>,
    initial: Initial,
}

/// Sizes, names and values of the networks' parameters, f32, in a fixed order.
#[derive(Debug, Clone)]
pub struct Network {
    size: NetworkSize,
    residual: bool,
    names: Vec<String>,
    values: Vec<Tensor>,
}

/// What the networks put out.
#[derive(Debug, Clone, Copy)]
pub struct Output<'g> {
    /// Logits of miss and hit, `[B, 2, H, W]`.
    pub logits: Var<'g>,
    /// Residual in units of [`crate::loss::UNIT`], `[B, 1, H, W]`; `None` without a throw network.
    pub residual: Option<Var<'g>>,
}

/// The parameters in the order in which [`Network::record`] reads them.
fn layout(size: &NetworkSize, residual: bool) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut conv = |name: String, input: usize, output: usize, k: usize, initial: Initial| {
        slots.push(Slot {
            name: format!("{name}.weight"),
            dims: vec![output, input, k, k],
            initial,
        });
        slots.push(Slot {
            name: format!("{name}.bias"),
            dims: vec![output],
            initial: Initial::Zero,
        });
    };
    let he = Initial::Normal(1.0);
    // Where no rectifier comes before, half the variance is enough.
    let linear = Initial::Normal(std::f64::consts::FRAC_1_SQRT_2);
    let block = |conv: &mut dyn FnMut(String, usize, usize, usize, Initial),
                 name: &str,
                 input: usize,
                 output: usize| {
        conv(format!("{name}.first"), input, output, 3, he);
        conv(format!("{name}.second"), output, output, 3, Initial::Zero);
        if input != output {
            conv(format!("{name}.shortcut"), input, output, 1, linear);
        }
    };
    let p = size.perception;
    conv("perception.stem".into(), 1, p[0], 3, linear);
    for i in 1..4 {
        block(&mut conv, &format!("perception.block{i}"), p[i - 1], p[i]);
    }
    let heads: &[(&str, usize)] =
        if residual { &[("grasp", 2), ("throw", 1)] } else { &[("grasp", 2)] };
    for (head, outputs) in heads {
        let mut input = p[3] + size.speed_channels;
        for (i, &channels) in size.heads.iter().enumerate() {
            block(&mut conv, &format!("{head}.block{}", i + 1), input, channels);
            input = channels;
        }
        conv(format!("{head}.out"), input, *outputs, 1, Initial::Normal(0.1));
    }
    slots
}

/// Hands out the parameters in order.
struct Reader<'a, 'g> {
    parameters: std::slice::Iter<'a, Var<'g>>,
}

impl<'g> Reader<'_, 'g> {
    fn next(&mut self) -> GraphResult<Var<'g>> {
        self.parameters.next().copied().ok_or_else(|| {
            pullback_core_graph::Error::invalid("network", "fewer parameters than its layers need")
        })
    }

    /// A k × k convolution that keeps the size, plus bias, rectified if `relu`.
    fn conv(&mut self, x: Var<'g>, k: usize, relu: bool) -> GraphResult<Var<'g>> {
        let options = Conv2dOptions { padding: [k / 2; 2], ..Conv2dOptions::default() };
        let (weight, bias) = (self.next()?, self.next()?);
        conv2d_fused(x, weight, bias, relu, options).ok()
    }

    /// shortcut(x) + conv(max(conv(max(x, 0)), 0)); the shortcut is a 1 × 1 convolution where the channels change.
    fn block(&mut self, x: Var<'g>, input: usize, output: usize) -> GraphResult<Var<'g>> {
        let inner = self.conv(x.relu(), 3, true)?;
        let inner = self.conv(inner, 3, false)?;
        let shortcut = if input == output { x } else { self.conv(x, 1, false)? };
        (shortcut + inner).ok()
    }
}

fn pool(x: Var<'_>) -> Var<'_> {
    max_pool2d(x, [3, 3], [2, 2], [1, 1])
}

impl Network {
    /// Networks with random parameters of the stream `Init` under `seed`, with a throw network if `residual`.
    ///
    /// # Errors
    /// Those of tensor construction.
    pub fn new(size: NetworkSize, residual: bool, seed: u64) -> Result<Self> {
        let mut rng = Stream::new(seed, Purpose::Init);
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for slot in layout(&size, residual) {
            let count: usize = slot.dims.iter().product();
            let fan_in: usize = slot.dims[1..].iter().product();
            let data: Vec<f32> = match slot.initial {
                Initial::Zero => vec![0.0; count],
                Initial::Normal(gain) => {
                    let deviation = gain * (2.0 / fan_in as f64).sqrt();
                    (0..count).map(|_| (deviation * rng.normal()) as f32).collect()
                }
            };
            names.push(slot.name);
            values.push(Tensor::from_vec(data, slot.dims, &Device::Cpu)?);
        }
        Ok(Self { size, residual, names, values })
    }

    /// Networks with given parameters, by name and in any order.
    ///
    /// # Errors
    /// `Checkpoint`-like `InvalidArgument` if one is missing or has another shape.
    pub fn with_values(
        size: NetworkSize,
        residual: bool,
        mut find: impl FnMut(&str) -> Option<Tensor>,
    ) -> Result<Self> {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for slot in layout(&size, residual) {
            let value = find(&slot.name).filter(|t| t.dims() == slot.dims);
            let value = value.ok_or_else(|| Error::UnknownName {
                what: "network parameter of the needed shape",
                name: format!("{} {:?}", slot.name, slot.dims),
                known: "those of another network".into(),
            })?;
            names.push(slot.name);
            values.push(value);
        }
        Ok(Self { size, residual, names, values })
    }

    /// Whether there is a throw network.
    pub fn has_residual(&self) -> bool {
        self.residual
    }

    /// Names of the parameters, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Values of the parameters, in order, f32.
    pub fn values(&self) -> &[Tensor] {
        &self.values
    }

    /// The parameters, to be replaced by an optimizer.
    pub fn values_mut(&mut self) -> &mut [Tensor] {
        &mut self.values
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.values.iter().map(Tensor::elem_count).sum()
    }

    /// Records the networks: `parameters` as variables of the graph in the order of [`Network::values`], the height maps
    /// `[B, 1, H, W]` (H and W multiples of 4), and the physics-only speeds v̂ `[B]` in m/s; all f32.
    ///
    /// # Errors
    /// Those of the operations: shapes that do not fit.
    pub fn record<'g>(
        &self,
        parameters: &[Var<'g>],
        image: Var<'g>,
        speed: Var<'g>,
    ) -> GraphResult<Output<'g>> {
        let graph: &'g Graph = image.graph();
        let mut read = Reader { parameters: parameters.iter() };
        let p = self.size.perception;
        let mut x = pool(read.conv(image, 3, false)?);
        x = pool(read.block(x, p[0], p[1])?);
        x = read.block(x, p[1], p[2])?;
        x = read.block(x, p[2], p[3])?;
        let [batch, _, height, width] = dims4(x)?;
        let speed = ((speed - SPEED_CENTRE) / SPEED_SCALE).reshape(&[batch, 1, 1, 1]);
        let speed = speed.broadcast_to(&[batch, self.size.speed_channels, height, width]);
        let features = graph.cat(&[x, speed], 1);
        let logits = self.head(&mut read, features)?;
        let residual = self.residual.then(|| self.head(&mut read, features)).transpose()?;
        Ok(Output { logits, residual })
    }

    fn head<'g>(&self, read: &mut Reader<'_, 'g>, features: Var<'g>) -> GraphResult<Var<'g>> {
        let h = self.size.heads;
        let up = |x: Var<'g>| -> GraphResult<Var<'g>> {
            let [_, _, height, width] = dims4(x)?;
            resize_bilinear(x, [2 * height, 2 * width]).ok()
        };
        let mut x =
            read.block(features, self.size.perception[3] + self.size.speed_channels, h[0])?;
        x = up(read.block(x, h[0], h[1])?)?;
        x = up(read.block(x, h[1], h[2])?)?;
        read.conv(x, 1, false)
    }
}

fn dims4(x: Var<'_>) -> GraphResult<[usize; 4]> {
    let dims = x.dims()?;
    <[usize; 4]>::try_from(dims.as_slice())
        .map_err(|_| pullback_core_graph::Error::shape("network", "[B, C, H, W]", &[&dims]))
}
