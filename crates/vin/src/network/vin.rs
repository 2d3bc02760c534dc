//! The value iteration network (Tamar and others 2016), with its linear front end folded.

use pullback_core_graph::tensor::from_vec;
use pullback_core_graph::{Result as NetworkResult, Var};
use pullback_nn::layer::Layer;
use pullback_nn::ops::{Conv2dOptions, conv2d, conv2d_fused};
use pullback_nn::parameters::{Bound, Initialization, Parameters, Scope};

use super::symmetry::{Axis, symmetrized};
use crate::grid::MOVES_CLOCKWISE as MOVES;
use crate::node::{IterationOptions, value_iteration};

/// What a [`Vin`] is made from; the defaults are the paper's, but for the first values of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VinSpec {
    /// Input channels.
    pub inputs: usize,
    /// Channels between the map and the reward.
    pub hidden: usize,
    /// Channels of Q.
    pub channels: usize,
    /// Side of the kernels of W and U: 3, 5, 7, 9 or 11.
    pub kernel: usize,
    /// K: 10, 20 and 36 for 8, 16 and 28 cells.
    pub iterations: usize,
    /// Actions.
    pub actions: usize,
    /// Weights of its own for each computation of Q: the untied VIN of the paper's table 2.
    pub untied: bool,
    /// V off the map.
    pub pad: f64,
    /// Weights that the turns and mirrors of the square leave as they are (as SymVIN has them; Zhao and others 2023): 4 or 8 actions, of 8 or more
    /// channels the first 8 are directions. The stored weights are projected; names and shapes stay.
    pub symmetric: bool,
}

impl Default for VinSpec {
    fn default() -> Self {
        Self {
            inputs: 2,
            hidden: 150,
            channels: 10,
            kernel: 3,
            iterations: 20,
            actions: 8,
            untied: false,
            pad: 0.0,
            symmetric: false,
        }
    }
}

impl VinSpec {
    /// The paper's K for maps of 8, 16 or 28 cells, 4/3 of the side elsewhere.
    #[must_use]
    pub fn of_size(size: usize) -> Self {
        let iterations = match size {
            8 => 10,
            16 => 20,
            28 => 36,
            n => n.saturating_mul(4).div_ceil(3).max(1),
        };
        Self { iterations, ..Self::default() }
    }
}

/// h = map ⋆ (3×3, `hidden`) + b, r = h ⋆ (1×1, 1); K value iterations; logits = Q ⋆ (1×1, actions).
///
/// Nothing stands between h and r but a sum, so r is one 3×3 kernel and one bias: the product of the two layers is taken (on the graph, so
/// that both keep their gradients), never the `hidden` images. With the paper's sizes 3,260 stored numbers are 279 effective ones, and
/// a cell costs 18 products in place of 2,850. Parameters have the names of the PyTorch reimplementation: `h.weight`, `h.bias`,
/// `r.weight`, `q.weight` (W), `w` (U), `fc.weight`.
#[derive(Debug, Clone)]
pub struct Vin {
    names: [String; 6],
    spec: VinSpec,
}

impl Vin {
    /// Makes the parameters: uniform on ±1/√fan_in as PyTorch's layers start, U at 0.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; a kernel of another side than 3, 5, 7, 9 or 11; symmetric with neither 4 nor 8 actions; untied with more weights than can be
    /// counted.
    pub fn new(scope: &mut Scope<'_>, spec: VinSpec) -> pullback_nn::Result<Self> {
        let VinSpec { inputs, hidden, channels, kernel, iterations, actions, .. } = spec;
        if spec.symmetric && !matches!(actions, 4 | 8) {
            let what =
                format!("there are {actions} actions, with symmetric weights there must be 4 or 8");
            return Err(pullback_core_graph::Error::invalid("VIN", what).into());
        }
        if !matches!(kernel, 3 | 5 | 7 | 9 | 11) {
            let what =
                format!("the kernels of W and U have the side {kernel}, must be 3, 5, 7, 9 or 11");
            return Err(pullback_core_graph::Error::invalid("VIN", what).into());
        }
        let start = Initialization::Pytorch;
        let h = [hidden, inputs, 3, 3];
        let sets = if spec.untied { iterations.saturating_add(1) } else { 1 };
        // f32 or f64, in memory that has an end.
        let countable = kernel.checked_mul(kernel).and_then(|taps| taps.checked_mul(channels));
        if countable.and_then(|n| n.checked_mul(sets)).is_none_or(|n| n > 1 << 36) {
            let what = format!(
                "{sets} sets of {channels} kernels of side {kernel}: more than 2³⁶ weights"
            );
            return Err(pullback_core_graph::Error::invalid("VIN", what).into());
        }
        let q = [sets * channels, 1, kernel, kernel];
        let mut make = |part: &str, name: &str, dims: &[usize], first| {
            if part.is_empty() {
                return scope.parameter(name, dims, first);
            }
            scope.scope(part).parameter(name, dims, first)
        };
        let names = [
            make("h", "weight", &h, start)?,
            make("h", "bias", &[hidden], Initialization::pytorch_bias(&h)?)?,
            make("r", "weight", &[1, hidden, 1, 1], start)?,
            make("q", "weight", &q, start)?,
            make("", "w", &q, Initialization::Constant(0.0))?,
            make("fc", "weight", &[actions, channels], start)?,
        ];
        Ok(Self { names, spec })
    }

    /// Sets W, U and the head to single steps, so that training begins with a planner and has to find what the map says: of 8 or more channels the first 8 look
    /// at the neighbour in one direction, clockwise from north, with `discount` for its value; the others are 0; an action is its direction's channel. The front end keeps
    /// its weights.
    ///
    /// # Errors
    /// Less than 8 channels, other actions than 4 or 8, parameters of another network.
    pub fn start_as_steps(
        &self,
        parameters: &mut Parameters,
        discount: f64,
    ) -> pullback_nn::Result<()> {
        let VinSpec { channels, kernel, iterations, untied, .. } = self.spec;
        self.check_directions()?;
        let taps = kernel * kernel;
        let [.., w, u, _] = &self.names;
        let sets = if untied { iterations + 1 } else { 1 };
        for (name, value) in [(w, 1.0), (u, discount)] {
            let mut all = vec![0.0; sets * channels * taps];
            for set in 0..sets {
                for (c, by) in MOVES.iter().enumerate() {
                    let middle = (kernel / 2) as isize;
                    let tap = (middle + by.dy) * kernel as isize + middle + by.dx;
                    all[(set * channels + c) * taps + tap as usize] = value;
                }
            }
            set_numbers(parameters, name, all)?;
        }
        self.start_with_own_channels(parameters)
    }

    /// Sets the head so that an action reads a channel of its own and no other, direction by direction clockwise from north; all other weights stay. Which way a
    /// channel looks is left to training.
    ///
    /// # Errors
    /// As [`Vin::start_as_steps`].
    pub fn start_with_own_channels(&self, parameters: &mut Parameters) -> pullback_nn::Result<()> {
        let VinSpec { channels, actions, .. } = self.spec;
        self.check_directions()?;
        let mut all = vec![0.0; actions * channels];
        (0..actions).for_each(|a| all[a * channels + 8 / actions * a] = 1.0);
        set_numbers(parameters, &self.names[5], all)
    }

    fn check_directions(&self) -> pullback_nn::Result<()> {
        let VinSpec { channels, actions, .. } = self.spec;
        if channels < 8 || !matches!(actions, 4 | 8) {
            let what = format!(
                "{channels} channels and {actions} actions: there must be 8 channels or more, and 4 or 8 actions"
            );
            return Err(pullback_core_graph::Error::invalid("VIN", what).into());
        }
        Ok(())
    }

    /// How far the kernels of W and U are from looking at one cell each: Σ over them of ‖k‖₁ − ‖k‖₂, 0 where no kernel has two numbers that are not 0, whatever
    /// their size and place (Yin, Lou, He and Xin 2015). To be added to a loss, some thousandths of it.
    ///
    /// Without it a VIN's first way to lower its loss is to blend: V spreads as heat does, Q reads its slope, and near the goal that is right. What is learned
    /// then stays; on long ways it fails.
    ///
    /// # Errors
    /// Those of the operations.
    pub fn blending<'g>(&self, parameters: &Bound<'g>) -> NetworkResult<Var<'g>> {
        let side = self.spec.kernel;
        let of = |k: Var<'g>| -> NetworkResult<Var<'g>> {
            let count: usize = k.dims()?.iter().product();
            let k = k.reshape(&[count / (side * side), side * side]);
            // Where U begins, at 0, neither norm has a slope.
            (k.abs().sum([1]) - (k * k).sum([1]).safe_sqrt()).sum(()).ok()
        };
        let (w, u) = self.kernels(parameters)?;
        Ok(of(w)? + of(u)?)
    }

    /// W and U, tied.
    fn kernels<'g>(&self, parameters: &Bound<'g>) -> NetworkResult<(Var<'g>, Var<'g>)> {
        let VinSpec { channels, kernel, iterations, untied, .. } = self.spec;
        let dims = match untied {
            true => vec![iterations + 1, channels, kernel, kernel],
            false => vec![channels, kernel, kernel],
        };
        let [.., w, u, _] = &self.names;
        let axes = [
            Axis::Plain(if untied { iterations + 1 } else { 1 }),
            Axis::Channels(channels),
            Axis::Kernel(kernel),
        ];
        let read = |name| self.tied(parameters.get(name)?.reshape(&dims), &axes);
        Ok((read(w)?, read(u)?))
    }

    /// The settings.
    #[must_use]
    pub fn spec(&self) -> VinSpec {
        self.spec
    }

    fn tied<'g>(&self, weights: Var<'g>, axes: &[Axis]) -> NetworkResult<Var<'g>> {
        if self.spec.symmetric { symmetrized(weights, axes) } else { Ok(weights) }
    }

    /// r of the map, (batch, height, width).
    ///
    /// # Errors
    /// Those of the operations.
    pub fn reward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let VinSpec { inputs, hidden, .. } = self.spec;
        let [h, b, r, ..] = &self.names;
        let r = parameters.get(r)?.reshape(&[1, hidden]);
        let h = parameters.get(h)?.reshape(&[hidden, inputs * 9]);
        let weight = r.matmul(h).reshape(&[1, inputs, 3, 3]);
        let weight = self.tied(weight, &[Axis::Plain(inputs), Axis::Kernel(3)])?;
        let bias = r.matmul(parameters.get(b)?.reshape(&[hidden, 1])).reshape(&[1]);
        let options = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
        conv2d_fused(x, weight, bias, false, options).squeeze(1).ok()
    }

    /// The last Q of the map, (batch, channels, height, width).
    ///
    /// # Errors
    /// Those of the operations.
    pub fn q<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let VinSpec { iterations, untied, pad, .. } = self.spec;
        let (w, u) = self.kernels(parameters)?;
        let options = IterationOptions { iterations, pad, untied };
        value_iteration(self.reward(parameters, x)?, w, u, options)
    }
}

/// Gives a parameter other numbers.
pub(super) fn set_numbers(
    parameters: &mut Parameters,
    name: &str,
    numbers: Vec<f64>,
) -> pullback_nn::Result<()> {
    let old = parameters.get(name)?;
    let (dims, dtype) = (old.dims().to_vec(), old.dtype());
    let t = from_vec(numbers, &dims, old.device())?.to_dtype(dtype)?;
    parameters.set(name, &t)
}

impl Layer for Vin {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let VinSpec { channels, actions, .. } = self.spec;
        let axes = [Axis::Actions(actions), Axis::Channels(channels)];
        let head = self.tied(parameters.get(&self.names[5])?, &axes)?;
        let head = head.reshape(&[actions, channels, 1, 1]);
        conv2d(self.q(parameters, x)?, head, Conv2dOptions::default()).ok()
    }
}
