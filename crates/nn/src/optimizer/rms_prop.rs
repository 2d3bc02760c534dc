//! Steps divided by the recent size of the gradient.

use candle_core::WithDType;
use pullback_core_graph::tensor::Real;

use super::descent::Descent;
use super::rule::{Rule, Setting};

/// g ← ∇L + λ·p, s ← α·s + (1 − α)·g², v ← μ·v + g/(√s + ε), p ← p − η·v (Tieleman and Hinton 2012, lecture 6e).
///
/// Centred, s − m² with m ← α·m + (1 − α)·g takes the place of s: the variance of the gradient, which rounding may not make negative
/// here. PyTorch adds ε to the root, TensorFlow and Theano put it inside, √(s + ε): a setting. s begins at 0.
pub type RmsProp = Descent<RmsPropOptions>;

/// Settings of [`RmsProp`]; the defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsPropOptions {
    /// η > 0.
    pub learning_rate: f64,
    /// 0 ≤ α < 1.
    pub smoothing: f64,
    /// ε > 0.
    pub epsilon: f64,
    /// √(s + ε) instead of √s + ε.
    pub epsilon_inside: bool,
    /// 0 ≤ μ < 1.
    pub momentum: f64,
    /// λ ≥ 0, of the penalty ½λ‖p‖².
    pub weight_decay: f64,
    /// Divide by the deviation, not by the root mean square.
    pub centered: bool,
}

impl Default for RmsPropOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            smoothing: 0.99,
            epsilon: 1e-8,
            epsilon_inside: false,
            momentum: 0.0,
            weight_decay: 0.0,
            centered: false,
        }
    }
}

impl Rule for RmsPropOptions {
    const NAME: &'static str = "rms_prop";

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        vec![
            ("learning_rate", Setting::Positive(&mut self.learning_rate)),
            ("smoothing", Setting::Fraction(&mut self.smoothing)),
            ("epsilon", Setting::Positive(&mut self.epsilon)),
            ("epsilon_inside", Setting::Flag(&mut self.epsilon_inside)),
            ("momentum", Setting::Fraction(&mut self.momentum)),
            ("weight_decay", Setting::NotNegative(&mut self.weight_decay)),
            ("centered", Setting::Flag(&mut self.centered)),
        ]
    }

    fn kept(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => &["square"],
            (false, true) => &["square", "velocity"],
            (true, false) => &["square", "mean"],
            (true, true) => &["square", "mean", "velocity"],
        }
    }

    #[inline(always)]
    fn update<T: Real>(&self, _: u64, p: &mut [T], g: &[T], kept: &mut [&mut [T]]) {
        let [rate, decay] = [self.learning_rate, self.weight_decay].map(T::lit);
        let [alpha, rest] = [self.smoothing, 1.0 - self.smoothing].map(T::lit);
        let [epsilon, mu] = [self.epsilon, self.momentum].map(T::lit);
        let Some((square, kept)) = kept.split_first_mut() else { return };
        let (mut mean, mut velocity) = match kept {
            [first, second] => (Some(first), Some(second)),
            [one] if self.centered => (Some(one), None),
            [one] => (None, Some(one)),
            _ => (None, None),
        };
        for (i, (p, &g)) in p.iter_mut().zip(g).enumerate() {
            let g = g + decay * *p;
            square[i] = alpha * square[i] + rest * g * g;
            let mut size = square[i];
            if let Some(mean) = &mut mean {
                mean[i] = mean[i] + rest * (g - mean[i]);
                size -= mean[i] * mean[i];
                if size < T::default() {
                    size = T::default();
                }
            }
            let root =
                if self.epsilon_inside { root(size + epsilon) } else { root(size) + epsilon };
            let step = g / root;
            *p -= rate
                * match &mut velocity {
                    Some(velocity) => {
                        velocity[i] = mu * velocity[i] + step;
                        velocity[i]
                    }
                    None => step,
                };
        }
    }
}

/// √x, rounded once: the root of a widened f32 rounds to the root of the f32.
#[inline(always)]
pub(super) fn root<T: Real + WithDType>(x: T) -> T {
    T::lit(x.wide().sqrt())
}
