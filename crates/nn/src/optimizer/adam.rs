//! Steps along the recent mean of the gradient, divided by its recent size.

use pullback_core_graph::tensor::Real;

use super::descent::Descent;
use super::rms_prop::root;
use super::rule::{Rule, Setting};

/// m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², p ← p − η·m̂/(√v̂ + ε) with m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ) and
/// g = ∇L + λ·p (Kingma and Ba 2015, algorithm 1).
pub type Adam = Descent<AdamOptions>;

/// [`Adam`] with weight decay beside the gradient: p ← (1 − η·λ)·p first, and g = ∇L (Loshchilov and Hutter 2019, algorithm 2).
pub type AdamW = Descent<AdamWOptions>;

/// Settings of [`Adam`]; the defaults are the paper's and PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// η > 0.
    pub learning_rate: f64,
    /// 0 ≤ β₁ < 1.
    pub beta1: f64,
    /// 0 ≤ β₂ < 1.
    pub beta2: f64,
    /// ε > 0.
    pub epsilon: f64,
    /// λ ≥ 0, of the penalty ½λ‖p‖².
    pub weight_decay: f64,
    /// Divide by the largest v so far (Reddi, Kale and Kumar 2018, algorithm 2, with PyTorch's bias correction).
    pub amsgrad: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
        }
    }
}

/// Settings of [`AdamW`], the same as Adam's: λ is 0.01 by default, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// η > 0.
    pub learning_rate: f64,
    /// 0 ≤ β₁ < 1.
    pub beta1: f64,
    /// 0 ≤ β₂ < 1.
    pub beta2: f64,
    /// ε > 0.
    pub epsilon: f64,
    /// λ ≥ 0.
    pub weight_decay: f64,
    /// As [`AdamOptions::amsgrad`].
    pub amsgrad: bool,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        let AdamOptions { learning_rate, beta1, beta2, epsilon, amsgrad, .. } =
            AdamOptions::default();
        Self { learning_rate, beta1, beta2, epsilon, weight_decay: 1e-2, amsgrad }
    }
}

macro_rules! settings {
    ($options:ident) => {
        vec![
            ("learning_rate", Setting::Positive(&mut $options.learning_rate)),
            ("beta1", Setting::Fraction(&mut $options.beta1)),
            ("beta2", Setting::Fraction(&mut $options.beta2)),
            ("epsilon", Setting::Positive(&mut $options.epsilon)),
            ("weight_decay", Setting::NotNegative(&mut $options.weight_decay)),
            ("amsgrad", Setting::Flag(&mut $options.amsgrad)),
        ]
    };
}

fn kept(amsgrad: bool) -> &'static [&'static str] {
    if amsgrad { &["mean", "square", "largest_square"] } else { &["mean", "square"] }
}

impl Rule for AdamOptions {
    const NAME: &'static str = "adam";

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        settings!(self)
    }

    fn kept(&self) -> &'static [&'static str] {
        kept(self.amsgrad)
    }

    #[inline(always)]
    fn update<T: Real>(&self, step: u64, p: &mut [T], g: &[T], kept: &mut [&mut [T]]) {
        let (mean, rest) = (1.0 - self.beta1, 1.0 - self.beta2);
        let [mean_rest, decay, beta2, square_rest, epsilon] =
            [mean, self.weight_decay, self.beta2, rest, self.epsilon].map(T::lit);
        // The corrections are of the order of 1 − βᵗ: in f64, whatever the parameters are.
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        let rate = T::lit(self.learning_rate / correction(self.beta1));
        let scale = T::lit(correction(self.beta2).sqrt());
        let n = p.len();
        let [m, v, largest @ ..] = kept else { return };
        let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            let g = g[i] + decay * p[i];
            m[i] = m[i] + mean_rest * (g - m[i]);
            v[i] = beta2 * v[i] + square_rest * g * g;
        }
        let sizes: &[T] = match largest {
            [largest] => {
                let pairs = largest.iter_mut().zip(v.iter());
                pairs.filter(|(largest, v)| **largest < **v).for_each(|(largest, &v)| *largest = v);
                &largest[..n]
            }
            _ => v,
        };
        for i in 0..n {
            p[i] -= rate * m[i] / (root(sizes[i]) / scale + epsilon);
        }
    }
}

impl Rule for AdamWOptions {
    const NAME: &'static str = "adam_w";

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        settings!(self)
    }

    fn kept(&self) -> &'static [&'static str] {
        kept(self.amsgrad)
    }

    #[inline(always)]
    fn update<T: Real>(&self, step: u64, p: &mut [T], g: &[T], kept: &mut [&mut [T]]) {
        let shrink = T::lit(1.0 - self.learning_rate * self.weight_decay);
        p.iter_mut().for_each(|p| *p *= shrink);
        let Self { learning_rate, beta1, beta2, epsilon, amsgrad, .. } = *self;
        AdamOptions { learning_rate, beta1, beta2, epsilon, weight_decay: 0.0, amsgrad }
            .update(step, p, g, kept);
    }
}
