//! Batch normalization with running statistics.

use pullback_core_graph::{Error, Result, Var};

use super::affine::{Affine, PIXELS};
use crate::error::check_positive;
use crate::kernel::normalization::{Grouping, Normalization};
use crate::layer::Layer;
use crate::ops::{normalized, standardize};
use crate::parameters::{Bound, Mode, Scope};
use crate::summary::Walk;

/// Choices of a batch normalization. The default is PyTorch's: ε = 10⁻⁵, momentum 0.1, with weight and bias.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormSpec {
    /// Added to the variance.
    pub epsilon: f64,
    /// running ← (1 − momentum)·running + momentum·batch.
    pub momentum: f64,
    /// Whether a scale and a shift are learned.
    pub affine: bool,
    /// Whether running statistics are kept for evaluation; without them evaluation too takes those of the batch
    /// (PyTorch's `track_running_stats`).
    pub running: bool,
}

impl Default for BatchNormSpec {
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1, affine: true, running: true }
    }
}

/// Batch normalization over all axes but the channels (Ioffe and Szegedy 2015).
///
/// In training: y = (x − μ)/√(σ² + ε)·weight + bias with μ and σ² of the batch (σ² divided by n), through which derivatives flow; and
/// the buffers `running_mean` and `running_var` move towards μ and the unbiased variance n/(n − 1)·σ². In evaluation: the buffers
/// stand for μ and σ². Names are PyTorch's.
#[derive(Debug, Clone)]
struct BatchNorm {
    affine: Affine,
    /// Names of the running mean and variance.
    running: Option<[String; 2]>,
    channels: usize,
    spec: BatchNormSpec,
}

impl BatchNorm {
    fn new(scope: &mut Scope<'_>, channels: usize, spec: BatchNormSpec) -> crate::Result<Self> {
        check_positive("BatchNorm", "channels", channels)?;
        if !(spec.epsilon > 0.0 && spec.epsilon.is_finite()) {
            let (value, reason) = (spec.epsilon, "must be positive and finite");
            return Err(crate::Error::Setting { name: "epsilon", value, reason });
        }
        if !(0.0..=1.0).contains(&spec.momentum) {
            let (value, reason) = (spec.momentum, "must be in [0, 1]");
            return Err(crate::Error::Setting { name: "momentum", value, reason });
        }
        Ok(Self {
            affine: Affine::new(scope, &[channels], [spec.affine; 2], 0)?,
            running: match spec.running {
                true => Some([
                    scope.buffer("running_mean", &[channels], 0.0)?,
                    scope.buffer("running_var", &[channels], 1.0)?,
                ]),
                false => None,
            },
            channels,
            spec,
        })
    }

    fn forward<'g>(
        &self,
        node: &'static str,
        parameters: &Bound<'g>,
        x: Var<'g>,
    ) -> Result<Var<'g>> {
        let dims = x.dims()?;
        if dims.get(1) != Some(&self.channels) {
            let what = format!("{} channels along axis 1", self.channels);
            return Err(Error::shape(node, what, &[&dims]));
        }
        let (Some([mean, variance]), Mode::Evaluation) = (&self.running, parameters.mode()) else {
            return self.of_the_batch(node, parameters, x, &dims);
        };
        let mut along = vec![1; dims.len()];
        along[1] = self.channels;
        let get = |name: &str| -> Result<Var<'g>> {
            Ok(x.graph().constant(&parameters.buffer(name)?.reshape(along.as_slice())?))
        };
        let factor = (get(variance)? + self.spec.epsilon).rsqrt();
        let y = ((x - get(mean)?) * factor).ok()?;
        self.affine.trailed(dims.len() - 2).apply(parameters, y)
    }

    fn of_the_batch<'g>(
        &self,
        node: &'static str,
        parameters: &Bound<'g>,
        x: Var<'g>,
        dims: &[usize],
    ) -> Result<Var<'g>> {
        let n = dims.iter().product::<usize>() / self.channels;
        if n < 2 {
            let what = format!("{n} number(s) for each channel: a variance needs at least two");
            return Err(Error::invalid(node, what));
        }
        let pixels = dims[2..].iter().product::<usize>();
        let (y, mean, variance) = if x.device()?.is_cpu() && pixels >= PIXELS {
            let (planes, grouping) = (dims[0] * dims[1], Grouping::Channels(self.channels));
            let epsilon = self.spec.epsilon;
            let sizes = Normalization { planes, pixels, grouping, centred: true, epsilon };
            let [weight, bias] = self.affine.vars(parameters)?;
            let made = normalized(node, x, weight, bias, sizes)?;
            (made.value, made.mean, made.variance)
        } else {
            let axes: Vec<i32> = (0..dims.len() as i32).filter(|&a| a != 1).collect();
            let batch = standardize(x, &axes, self.spec.epsilon)?;
            let y = self.affine.trailed(dims.len() - 2).apply(parameters, batch.value)?;
            (y, batch.mean, batch.variance)
        };
        let (Some([running_mean, running_variance]), Mode::Training { .. }) =
            (&self.running, parameters.mode())
        else {
            return Ok(y);
        };
        let unbiased = n as f64 / (n as f64 - 1.0);
        for (name, of_batch, factor) in
            [(running_mean, mean, 1.0), (running_variance, variance, unbiased)]
        {
            // A second use in one pass moves on from the first.
            let (running, momentum) = (parameters.updated(name)?, self.spec.momentum);
            let new = of_batch.value()?.reshape(running.dims())?.affine(momentum * factor, 0.0)?;
            parameters.update(name, &(running.affine(1.0 - momentum, 0.0)? + new)?);
        }
        Ok(y)
    }
}

/// Batch normalization of features (batch, features) or sequences (batch, channels, length): over all axes but 1.
///
/// In training: y = (x − μ)/√(σ² + ε)·weight + bias with μ and σ² of the batch (divided by n), through which derivatives flow; the
/// buffers `running_mean` and `running_var` move by the momentum towards μ and the unbiased variance n/(n − 1)·σ², with each use of the
/// layer in a pass, once [`Parameters::apply`](crate::Parameters::apply) is called. In evaluation the buffers stand for both (Ioffe and
/// Szegedy 2015).
#[derive(Debug, Clone)]
pub struct BatchNorm1d(BatchNorm);

impl BatchNorm1d {
    /// Makes `weight`, `bias` and the buffers.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Setting`](crate::Error::Setting) for an ε that is not positive, a momentum outside \[0, 1\];
    /// [`Error::Argument`](crate::Error::Argument) for 0 channels.
    pub fn new(scope: &mut Scope<'_>, channels: usize, spec: BatchNormSpec) -> crate::Result<Self> {
        Ok(Self(BatchNorm::new(scope, channels, spec)?))
    }
}

impl Layer for BatchNorm1d {
    /// Errors: another rank than 2 or 3, other channels; in training, fewer than two numbers for each channel.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let dims = x.dims()?;
        if !matches!(dims.len(), 2 | 3) {
            let what = "(batch, features) or (batch, channels, length)";
            return Err(Error::shape("batch_norm1d", what, &[&dims]));
        }
        self.0.forward("batch_norm1d", parameters, x)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("batch_norm1d", &self.0.affine.names())
    }
}

/// Batch normalization of images (batch, channels, height, width): over all axes but 1. As [`BatchNorm1d`] else.
#[derive(Debug, Clone)]
pub struct BatchNorm2d(BatchNorm);

impl BatchNorm2d {
    /// Makes `weight`, `bias` and the buffers.
    ///
    /// # Errors
    /// As [`BatchNorm1d::new`].
    pub fn new(scope: &mut Scope<'_>, channels: usize, spec: BatchNormSpec) -> crate::Result<Self> {
        Ok(Self(BatchNorm::new(scope, channels, spec)?))
    }
}

impl Layer for BatchNorm2d {
    /// Errors: another rank than 4, other channels; in training, fewer than two numbers for each channel.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let dims = x.dims()?;
        if dims.len() != 4 {
            let what = "(batch, channels, height, width)";
            return Err(Error::shape("batch_norm2d", what, &[&dims]));
        }
        self.0.forward("batch_norm2d", parameters, x)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("batch_norm2d", &self.0.affine.names())
    }
}
