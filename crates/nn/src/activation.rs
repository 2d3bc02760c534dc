//! Activations: functions of one number that stand between the layers, and the few that look along an axis.

use pullback_core_graph::check::Kink;
use pullback_core_graph::{Error, Graph, Result, Var};

use crate::layer::Layer;
use crate::parameters::Bound;
use crate::summary::Walk;

/// Self-normalizing networks' λ (Klambauer et al. 2017).
const SELU_SCALE: f64 = 1.050_700_987_355_480_493_4;
/// Their α.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_284_8;

/// An activation σ. As a layer it keeps the shape, but for [`Activation::Glu`], which halves an axis.
///
/// Corners have the derivative that [`KINKS`] states.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// x.
    Identity,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x for x > 0, else slope·x.
    LeakyRelu {
        /// The slope on the left; usually 0.01.
        slope: f64,
    },
    /// x for x > 0, else α(eˣ − 1) (Clevert et al. 2016).
    Elu {
        /// α; usually 1.
        alpha: f64,
    },
    /// λ·elu(x) with the λ and α that keep mean 0 and variance 1 (Klambauer et al. 2017).
    Selu,
    /// x for x > 0, else α(e^(x/α) − 1) (Barron 2017).
    Celu {
        /// α ≠ 0; usually 1.
        alpha: f64,
    },
    /// x·Φ(x), exact (Hendrycks and Gimpel 2016).
    Gelu,
    /// GELU's tanh form.
    GeluTanh,
    /// x·σ(x), also called swish.
    Silu,
    /// x·tanh(ln(1 + eˣ)) (Misra 2019).
    Mish,
    /// ln(1 + eˣ).
    Softplus,
    /// ln σ(x).
    LogSigmoid,
    /// x/(1 + |x|).
    Softsign,
    /// x − tanh x.
    Tanhshrink,
    /// x for |x| > λ, else 0.
    Hardshrink {
        /// λ ≥ 0; usually 0.5.
        lambda: f64,
    },
    /// x moved towards 0 by λ, not beyond: x − min(max(x, −λ), λ).
    Softshrink {
        /// λ ≥ 0; usually 0.5.
        lambda: f64,
    },
    /// x for x > threshold, else value.
    Threshold {
        /// Up to here and here, the value.
        threshold: f64,
        /// The value.
        value: f64,
    },
    /// x limited to \[low, high\].
    Hardtanh {
        /// The least value; usually −1.
        low: f64,
        /// The greatest value; usually 1.
        high: f64,
    },
    /// (x + 3)/6 limited to \[0, 1\].
    Hardsigmoid,
    /// x times [`Activation::Hardsigmoid`] (Howard et al. 2019).
    Hardswish,
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// tanh x.
    Tanh,
    /// eˣ/Σeˣ along an axis.
    Softmax {
        /// The axis; −1 is the last.
        axis: i32,
    },
    /// x − ln Σeˣ along an axis.
    LogSoftmax {
        /// The axis; −1 is the last.
        axis: i32,
    },
    /// a·σ(b), where a and b are the two halves along an axis (Dauphin et al. 2017).
    Glu {
        /// The axis, of even length; −1 is the last.
        axis: i32,
    },
}

impl Activation {
    /// σ(x).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an α of 0, a low above high, a λ below 0, or a threshold or value that is not finite; [`Error::Shape`] for an axis that is not there or, with
    /// [`Activation::Glu`], of odd length.
    pub fn apply(self, x: Var<'_>) -> Result<Var<'_>> {
        match self {
            Self::Identity => x,
            Self::Relu => x.relu(),
            Self::Relu6 => x.relu().clamp(f64::NEG_INFINITY, 6.0),
            Self::LeakyRelu { slope } => x.leaky_relu(slope),
            Self::Elu { alpha } => x.elu(alpha),
            Self::Selu => x.elu(SELU_ALPHA) * SELU_SCALE,
            Self::Celu { alpha } if alpha == 0.0 || !alpha.is_finite() => {
                return Err(Error::invalid("celu", format!("α must not be {alpha}")));
            }
            Self::Celu { alpha } => (x * alpha.recip()).elu(1.0) * alpha,
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Silu => x.silu(),
            Self::Mish => x.mish(),
            Self::Softplus => x.softplus(),
            Self::LogSigmoid => x.log_sigmoid(),
            Self::Softsign => x / (x.abs() + 1.0),
            Self::Tanhshrink => x - x.tanh(),
            Self::Hardshrink { lambda } | Self::Softshrink { lambda }
                if lambda < 0.0 || !lambda.is_finite() =>
            {
                return Err(Error::invalid(self.name(), format!("λ must not be {lambda}")));
            }
            Self::Hardshrink { lambda } => {
                let zero = x.zeros_like();
                x.abs().less_equal(zero + lambda).select(zero, x)
            }
            Self::Softshrink { lambda } => x - x.clamp(-lambda, lambda),
            Self::Threshold { threshold, value }
                if !threshold.is_finite() || !value.is_finite() =>
            {
                let what = format!("threshold {threshold} and value {value} must be finite");
                return Err(Error::invalid("threshold", what));
            }
            Self::Threshold { threshold, value } => {
                let zero = x.zeros_like();
                x.less_equal(zero + threshold).select(zero + value, x)
            }
            Self::Hardtanh { low, high } => x.clamp(low, high),
            Self::Hardsigmoid => hard_sigmoid(x),
            Self::Hardswish => x * hard_sigmoid(x),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Softmax { axis } => x.softmax(axis),
            Self::LogSoftmax { axis } => x.log_softmax(axis),
            Self::Glu { axis } => return glu(x, axis),
        }
        .ok()
    }

    /// σ'(x) of each element, for an activation that works on each element alone: the derivative pushed along ones.
    ///
    /// # Errors
    /// As [`Activation::apply`]; [`Error::Invalid`] for one that looks along an axis.
    pub fn slope(self, x: &candle_core::Tensor) -> Result<candle_core::Tensor> {
        if matches!(self, Self::Softmax { .. } | Self::LogSoftmax { .. } | Self::Glu { .. }) {
            let what = format!("{self:?} looks along an axis and has no slope of one element");
            return Err(Error::invalid("activation", what));
        }
        let graph = Graph::new();
        let x = graph.input(x);
        let y = self.apply(x)?;
        let ones = x.value()?.ones_like()?;
        let slope = graph.push(&[(x, ones.clone())], &[y])?;
        Ok(slope.into_iter().next().flatten().unwrap_or(ones.zeros_like()?))
    }

    /// The name as tables print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Celu { .. } => "celu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::LogSigmoid => "log_sigmoid",
            Self::Softsign => "softsign",
            Self::Tanhshrink => "tanhshrink",
            Self::Hardshrink { .. } => "hardshrink",
            Self::Softshrink { .. } => "softshrink",
            Self::Threshold { .. } => "threshold",
            Self::Hardtanh { .. } => "hardtanh",
            Self::Hardsigmoid => "hardsigmoid",
            Self::Hardswish => "hardswish",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax { .. } => "softmax",
            Self::LogSoftmax { .. } => "log_softmax",
            Self::Glu { .. } => "glu",
        }
    }
}

/// (x + 3)/6 limited to [0, 1]; the limits are exact.
fn hard_sigmoid(x: Var<'_>) -> Var<'_> {
    (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0)
}

fn glu(x: Var<'_>, axis: i32) -> Result<Var<'_>> {
    let dims = x.dims()?;
    let index = usize::try_from(axis)
        .ok()
        .or_else(|| dims.len().checked_sub(axis.unsigned_abs() as usize))
        .filter(|i| dims.get(*i).is_some_and(|n| n % 2 == 0));
    let Some(index) = index else {
        return Err(Error::shape("glu", format!("an even length along axis {axis}"), &[&dims]));
    };
    let half = dims[index] / 2;
    (x.narrow(axis, 0, half) * x.narrow(axis, half, half).sigmoid()).ok()
}

impl Layer for Activation {
    fn forward<'g>(&self, _: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.apply(x)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        if let Self::Glu { axis } = *self {
            return walk.halve(self.name(), axis);
        }
        walk.keep(self.name(), &[])
    }
}

const fn kink(
    operation: &'static str,
    at: &'static [f64],
    derivative: &'static [f64],
    rule: &'static str,
) -> Kink {
    Kink { operation, at, derivative, rule }
}

/// The derivative at every corner of an activation, as an extension of core-graph's
/// [`KINKS`](pullback_core_graph::check::KINKS). The tests read this table.
pub const KINKS: &[Kink] = &[
    kink("relu", &[0.0], &[0.0], "0 at 0"),
    kink("relu6", &[0.0], &[0.0], "0 at 0, as relu"),
    kink("relu6", &[6.0], &[1.0], "the left slope at 6"),
    kink("leaky_relu", &[0.0], &[0.1], "the left slope at 0"),
    kink("elu", &[0.0], &[1.5], "the left slope α at 0"),
    kink("selu", &[0.0], &[SELU_SCALE * SELU_ALPHA], "the left slope λα at 0"),
    kink("celu", &[0.0], &[1.0], "smooth to first order"),
    kink("softsign", &[0.0], &[1.0], "smooth to first order"),
    kink("hardshrink", &[-0.5, 0.5], &[0.0, 0.0], "0 on the closed interval, where it jumps"),
    kink("softshrink", &[-0.5, 0.5], &[0.0, 0.0], "0 on the closed interval"),
    kink("threshold", &[0.5], &[0.0], "0 at the threshold, where it jumps"),
    kink("hardtanh", &[-1.0], &[1.0], "1 on the closed interval"),
    kink("hardtanh", &[1.0], &[1.0], "1 on the closed interval"),
    kink("hardsigmoid", &[-3.0], &[1.0 / 6.0], "1/6 on the closed interval"),
    kink("hardsigmoid", &[3.0], &[1.0 / 6.0], "1/6 on the closed interval"),
    kink("hardswish", &[-3.0], &[-0.5], "the slope of the closed interval"),
    kink("hardswish", &[3.0], &[1.5], "the slope of the closed interval"),
];
