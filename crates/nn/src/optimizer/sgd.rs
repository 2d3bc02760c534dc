//! Stochastic gradient descent with momentum and weight decay.

use pullback_core_graph::tensor::Real;

use super::descent::Descent;
use super::rule::{Rule, Setting};

/// g ← ∇L + λ·p, v ← μ·v + g, p ← p − η·v: the convention of PyTorch, where the first v is g and η does not enter v.
pub type Sgd = Descent<SgdOptions>;

/// Settings of [`Sgd`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    /// η > 0.
    pub learning_rate: f64,
    /// 0 ≤ μ < 1.
    pub momentum: f64,
    /// λ ≥ 0, of the penalty ½λ‖p‖².
    pub weight_decay: f64,
    /// Step along g + μ·v instead of v (Nesterov).
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self { learning_rate: 1e-2, momentum: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl Rule for SgdOptions {
    const NAME: &'static str = "sgd";

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        vec![
            ("learning_rate", Setting::Positive(&mut self.learning_rate)),
            ("momentum", Setting::Fraction(&mut self.momentum)),
            ("weight_decay", Setting::NotNegative(&mut self.weight_decay)),
            ("nesterov", Setting::Flag(&mut self.nesterov)),
        ]
    }

    fn kept(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 { &["velocity"] } else { &[] }
    }

    #[inline(always)]
    fn update<T: Real>(&self, _: u64, p: &mut [T], g: &[T], kept: &mut [&mut [T]]) {
        let (rate, decay) = (T::lit(self.learning_rate), T::lit(self.weight_decay));
        let mu = T::lit(self.momentum);
        let Some(velocity) = kept.first_mut() else {
            p.iter_mut().zip(g).for_each(|(p, &g)| *p -= rate * (g + decay * *p));
            return;
        };
        for ((p, &g), v) in p.iter_mut().zip(g).zip(velocity.iter_mut()) {
            let g = g + decay * *p;
            *v = mu * *v + g;
            *p -= rate * if self.nesterov { g + mu * *v } else { *v };
        }
    }
}
