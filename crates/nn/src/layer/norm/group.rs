//! Normalizations over groups of channels of each sample.

use pullback_core_graph::{Error, Result, Var};

use super::affine::{Affine, PIXELS};
use crate::error::check_positive;
use crate::kernel::normalization::{Grouping, Normalization};
use crate::layer::Layer;
use crate::ops::{normalized, standardize};
use crate::parameters::{Bound, Scope};
use crate::summary::Walk;

/// Each group of channels of each sample standardized over its channels and pixels, then ·weight + bias for each channel (Wu and He
/// 2018). One group is layer normalization of an image.
///
/// Shapes: x, y (batch, channels, …), weight and bias (channels).
#[derive(Debug, Clone)]
pub struct GroupNorm {
    affine: Affine,
    groups: usize,
    channels: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// Makes `weight` (ones) and `bias` (zeros), with ε = 10⁻⁵.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) for 0 channels, and groups
    /// that do not divide them.
    pub fn new(scope: &mut Scope<'_>, groups: usize, channels: usize) -> crate::Result<Self> {
        Self::with_epsilon(scope, groups, channels, 1e-5, true)
    }

    /// The same with another ε, and with a learned scale and shift if `affine`.
    ///
    /// # Errors
    /// As [`GroupNorm::new`].
    pub fn with_epsilon(
        scope: &mut Scope<'_>,
        groups: usize,
        channels: usize,
        epsilon: f64,
        affine: bool,
    ) -> crate::Result<Self> {
        check_positive("GroupNorm", "channels", channels)?;
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(crate::Error::Argument {
                operation: "GroupNorm",
                argument: "groups",
                value: groups,
                reason: "must divide the channels",
            });
        }
        let affine = Affine::new(scope, &[channels], [affine; 2], 0)?;
        Ok(Self { affine, groups, channels, epsilon })
    }

    fn normalized<'g>(&self, node: &'static str, p: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let dims = x.dims()?;
        if dims.len() < 2 || dims[1] != self.channels {
            let what = format!("(batch, {} channels, …)", self.channels);
            return Err(Error::shape(node, what, &[&dims]));
        }
        let elements: usize = dims[1..].iter().product();
        let pixels = elements / self.channels;
        if x.device()?.is_cpu() && pixels >= PIXELS && elements * dims[0] > 0 {
            let (channels, size) = (self.channels, self.channels / self.groups);
            let grouping = Grouping::Successive { channels, size };
            let (planes, epsilon) = (dims[0] * channels, self.epsilon);
            let sizes = Normalization { planes, pixels, grouping, centred: true, epsilon };
            let [weight, bias] = self.affine.vars(p)?;
            return Ok(normalized(node, x, weight, bias, sizes)?.value);
        }
        let grouped = x.reshape(&[dims[0], self.groups, elements / self.groups]);
        let y = standardize(grouped, &[-1], self.epsilon)?.value.reshape(&dims).ok()?;
        self.affine.trailed(dims.len() - 2).apply(p, y)
    }
}

impl Layer for GroupNorm {
    /// Errors: rank below 2, other channels.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.normalized("group_norm", parameters, x)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("group_norm", &self.affine.names())
    }
}

/// Each channel of each sample standardized over its pixels (Ulyanov et al. 2016): group normalization with as many groups as channels.
/// Shape: (batch, channels, height, width), kept.
#[derive(Debug, Clone)]
pub struct InstanceNorm2d(GroupNorm);

impl InstanceNorm2d {
    /// With ε = 10⁻⁵; with `weight` and `bias` if `affine` (PyTorch's default: without).
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(scope: &mut Scope<'_>, channels: usize, affine: bool) -> crate::Result<Self> {
        Ok(Self(GroupNorm::with_epsilon(scope, channels, channels, 1e-5, affine)?))
    }
}

impl Layer for InstanceNorm2d {
    /// Errors: another rank than 4, other channels, in training and in use fewer than two pixels.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        match *x.dims()? {
            [_, _, height, width] if height * width > 1 => {
                self.0.normalized("instance_norm2d", parameters, x)
            }
            [_, _, height, width] => {
                let what = format!("{height}×{width} pixels: a variance needs at least two");
                Err(Error::invalid("instance_norm2d", what))
            }
            ref other => {
                let what = "(batch, channels, height, width)";
                Err(Error::shape("instance_norm2d", what, &[other]))
            }
        }
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("instance_norm2d", &self.0.affine.names())
    }
}
