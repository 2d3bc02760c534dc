//! What is trained when: collect without a network, fit to what was collected, practise online.

use serde::{Deserialize, Serialize};

use super::Rule;

/// The part of a run that a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// A: random grasps, thrown near the physics-only speed. No network is asked.
    Collect,
    /// B: updates from the collected attempts.
    Fit,
    /// C: one ε-greedy attempt and one update, in turn.
    Practice,
    /// All steps are done.
    Done,
}

impl Stage {
    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Collect => "collecting",
            Stage::Fit => "fitting",
            Stage::Practice => "practising",
            Stage::Done => "done",
        }
    }
}

/// Lengths and schedules of the stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curriculum {
    /// Attempts of stage A.
    pub collect: usize,
    /// Updates of stage B.
    pub fit: usize,
    /// Samples in an update of stage B.
    pub fit_batch: usize,
    /// Attempts of stage C, each followed by an update.
    pub practice: usize,
    /// Samples in an update of stage C, the newest attempt among them.
    pub practice_batch: usize,
    /// Probability of exploring, for the grasp and for the throw independently: at the beginning and at the end of stage C, with an
    /// exponential decay between.
    pub exploration: [f64; 2],
    /// Standard deviation in m/s of an explored throw's speed around v̂.
    pub speed_deviation: f64,
    /// Probability that an explored grasp aims at something higher than a centimetre.
    pub on_object: f64,
    /// Learning rate at the beginning and at the end of all updates; it falls by half a cosine.
    pub rate: [f64; 2],
    /// Updates over which the learning rate rises from zero.
    pub warmup: usize,
    /// How the parameters are moved.
    pub rule: Rule,
    /// Edge in pixels (a multiple of 4) of the square around the executed pixel that an update looks at; 0: the whole map.
    pub window: usize,
    /// Weight decay.
    pub decay: f64,
    /// Longest gradient; longer ones are scaled down to it.
    pub clip: f64,
    /// Weight of the throw loss.
    pub throw_weight: f64,
    /// Learning rate of gravity in (m/s²)² per unit of loss, for methods that learn it.
    pub gravity_rate: f64,
    /// Failures in a row after which the bin is refilled.
    pub patience: usize,
    /// Steps between checkpoints.
    pub checkpoint: usize,
}

impl Curriculum {
    /// Minutes on two cores. At half these lengths the residual method has stopped growing; the others get the same, so that a
    /// baseline is not beaten for want of training.
    pub fn quick() -> Self {
        Self {
            collect: 6000,
            fit: 3000,
            fit_batch: 16,
            practice: 1500,
            practice_batch: 12,
            exploration: [0.5, 0.1],
            speed_deviation: 0.25,
            on_object: 0.5,
            rate: [0.003, 0.0001],
            warmup: 30,
            rule: Rule::Adam,
            window: 32,
            decay: 2e-5,
            clip: 2.0,
            throw_weight: 1.0,
            gravity_rate: 0.05,
            patience: 6,
            checkpoint: 200,
        }
    }

    /// Hours on two cores.
    pub fn small() -> Self {
        Self { fit: 8000, practice: 15_000, ..Self::quick() }
    }

    /// The paper's 15,000 attempts from a network that knows nothing, with its learning rate, momentum and decay.
    pub fn paper() -> Self {
        Self {
            collect: 0,
            fit: 0,
            practice: 15_000,
            practice_batch: 16,
            rate: [1e-4, 1e-4],
            warmup: 0,
            rule: Rule::Momentum { momentum: 0.9 },
            window: 0,
            ..Self::quick()
        }
    }

    /// Steps of all stages; a step of stage A is one attempt, of B one update, of C one of each.
    pub fn steps(&self) -> usize {
        self.collect + self.fit + self.practice
    }

    /// The stage of step `step`, and how many of its steps are done.
    pub fn stage(&self, step: usize) -> (Stage, usize) {
        let (fit, practice) = (self.collect, self.collect + self.fit);
        match step {
            _ if step >= self.steps() => (Stage::Done, 0),
            _ if step >= practice => (Stage::Practice, step - practice),
            _ if step >= fit => (Stage::Fit, step - fit),
            _ => (Stage::Collect, step),
        }
    }

    /// Probability of exploring at attempt `attempt` of stage C: e₀·(e₁/e₀)^(attempt/attempts).
    pub fn epsilon(&self, attempt: usize) -> f64 {
        let [first, last] = self.exploration;
        if first <= 0.0 || last <= 0.0 {
            return first.max(0.0);
        }
        first * (last / first).powf(attempt as f64 / self.practice.max(1) as f64)
    }

    /// Learning rate of update `update`, counted over stages B and C.
    pub fn learning_rate(&self, update: usize) -> f64 {
        let [first, last] = self.rate;
        let total = (self.fit + self.practice).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * update as f64 / total).cos());
        let rise = ((update + 1) as f64 / (self.warmup + 1) as f64).min(1.0);
        rise * (last + (first - last) * cosine)
    }
}
