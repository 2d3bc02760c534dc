//! What tells one gradient method from another: its settings, the numbers that it keeps, and its formula.

use pullback_core_graph::tensor::Real;

use crate::error::{Error, Result};

/// An update rule, elementwise. [`Descent`](super::Descent) makes an optimizer of it.
pub trait Rule: std::fmt::Debug + Clone + Default + Send + Sync {
    /// Under this name its state stands in checkpoints.
    const NAME: &'static str;

    /// All settings by name, `learning_rate` and `weight_decay` among them.
    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)>;

    /// The names of the tensors that are kept for each parameter; all are zero before the first step.
    fn kept(&self) -> &'static [&'static str];

    /// Step number `step` (from 1) of some elements: of a parameter, its gradient, and what is kept for it.
    fn update<T: Real>(&self, step: u64, p: &mut [T], g: &[T], kept: &mut [&mut [T]]);
}

/// A setting of a rule.
#[derive(Debug)]
pub enum Setting<'a> {
    /// x > 0.
    Positive(&'a mut f64),
    /// x ≥ 0.
    NotNegative(&'a mut f64),
    /// 0 ≤ x < 1.
    Fraction(&'a mut f64),
    /// Yes or no.
    Flag(&'a mut bool),
}

impl Setting<'_> {
    pub(super) fn check(&self, name: &'static str) -> Result<()> {
        let (value, fits, reason) = match self {
            Self::Positive(x) => (**x, **x > 0.0, "must be positive and finite"),
            Self::NotNegative(x) => (**x, **x >= 0.0, "must be finite and not negative"),
            Self::Fraction(x) => (**x, (0.0..1.0).contains(*x), "must be in [0, 1)"),
            Self::Flag(_) => return Ok(()),
        };
        if fits && value.is_finite() { Ok(()) } else { Err(Error::Setting { name, value, reason }) }
    }

    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Positive(x) | Self::NotNegative(x) | Self::Fraction(x) => Some(*x),
            Self::Flag(_) => None,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Positive(x) | Self::NotNegative(x) | Self::Fraction(x) => x.to_string(),
            Self::Flag(x) => x.to_string(),
        }
    }

    pub(super) fn set(&mut self, value: f64) {
        match self {
            Self::Positive(x) | Self::NotNegative(x) | Self::Fraction(x) => **x = value,
            Self::Flag(x) => **x = value != 0.0,
        }
    }
}
