//! Training a method: stages A to C, one step at a time, resumable to the bit.

mod checkpoint;
mod collect;
mod curriculum;
mod model;
mod optimizer;
mod step;

use std::collections::VecDeque;
use std::sync::Arc;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub use curriculum::{Curriculum, Stage};
pub use model::Model;
pub use optimizer::{Optimizer, Rule, StepSize};
pub use step::{Batch, Gradients, differentiate};

use crate::agent::{Choice, commanded, explore};
use crate::attempt::World;
use crate::ballistics::STANDARD_GRAVITY;
use crate::boxes::RoundRobin;
use crate::error::Result;
use crate::grasp::GraspPose;
use crate::heightmap::Heightmap;
use crate::hindsight::{Throwing, landing_aim};
use crate::method::Method;
use crate::net::Network;
use crate::objects::ObjectModel;
use crate::observation::{Turner, millimetres};
use crate::preset::Preset;
use crate::replay::Replay;
use crate::rng::{Purpose, Stream};
use crate::scene::Bin;

/// Bins that one step of stage A fills.
const BINS_PER_STEP: u64 = 16;
/// Gravity in m/s² from which a method that learns it starts: a robot that was never calibrated.
pub const GRAVITY_START: f64 = 9.0;
/// Momentum of a learned gravity.
const GRAVITY_MOMENTUM: f64 = 0.9;
/// Attempts over which live success rates are taken.
const WINDOW: usize = 200;

/// What a training run is made of; together with the method and the seed it determines every bit of the result.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Sizes and schedules.
    pub preset: Preset,
    /// The world.
    pub world: World,
    /// What bins are filled with.
    pub catalogue: Vec<Arc<ObjectModel>>,
    /// The method.
    pub method: Method,
    /// The master seed.
    pub seed: u64,
}

/// What one attempt of stage C was, for learning curves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Probability of exploring.
    pub epsilon: f64,
    /// Whether the grasp was explored, and the speed.
    pub explored: [bool; 2],
    /// Whether the gripper held something.
    pub grasped: bool,
    /// Whether it fell into the right box.
    pub success: bool,
    /// Residual δ in m/s that was added.
    pub residual: f64,
    /// Residual δ̄ in m/s that hindsight asked for; NaN if nothing landed.
    pub hindsight: f64,
    /// Gravity a in m/s² after the update.
    pub gravity: f64,
    /// Mean grasp loss of the update that followed.
    pub grasp_loss: f64,
    /// Mean throw loss of the update that followed.
    pub throw_loss: f64,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The stage of the step that was made.
    pub stage: Stage,
    /// Steps done, of all stages.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Rate of grasps that held, over the last attempts.
    pub grasp_rate: f64,
    /// Rate of throws that hit, over the last attempts that grasped something.
    pub throw_rate: f64,
    /// Grasp loss of the last update.
    pub grasp_loss: f64,
    /// Throw loss of the last update.
    pub throw_loss: f64,
    /// Gravity in m/s².
    pub gravity: f64,
}

/// A training run.
#[derive(Debug, Clone)]
pub struct Trainer {
    setup: Setup,
    model: Model,
    optimizer: Optimizer,
    gravity_velocity: f64,
    replay: Replay,
    step: usize,
    updates: usize,
    bins_collected: u64,
    bin: Bin,
    robin: RoundRobin,
    explore: Stream,
    noise: Stream,
    draws: Stream,
    failed: Vec<GraspPose>,
    history: Vec<AttemptRecord>,
    recent: VecDeque<(bool, bool)>,
    last_losses: [f64; 2],
}

impl Trainer {
    /// A run at its beginning.
    ///
    /// # Errors
    /// Those of scenes and tensors: an empty catalogue, objects that do not fit.
    pub fn new(setup: Setup) -> Result<Self> {
        let Setup { preset, method, seed, .. } = &setup;
        let (method, seed) = (*method, *seed);
        let network = Network::new(preset.network, method.has_residual(), seed)?;
        let gravity = if method.learns_gravity() { GRAVITY_START } else { STANDARD_GRAVITY };
        let turner = Turner::new(&preset.workspace);
        let optimizer = Optimizer::new(preset.curriculum.rule, network.values())?;
        let bin = Bin::new(setup.catalogue.clone(), preset.workspace, preset.objects, seed)?;
        Ok(Self {
            model: Model { method, network, gravity, turner },
            optimizer,
            gravity_velocity: 0.0,
            replay: Replay::new(preset.replay),
            step: 0,
            updates: 0,
            bins_collected: 0,
            bin,
            robin: RoundRobin::default(),
            explore: Stream::new(seed, Purpose::Explore),
            noise: Stream::new(seed, Purpose::Noise),
            draws: Stream::new(seed, Purpose::Replay),
            failed: Vec::new(),
            history: Vec::new(),
            recent: VecDeque::new(),
            last_losses: [0.0; 2],
            setup,
        })
    }

    /// What it was made from.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Networks and gravity as they are now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Attempts of stage C so far.
    pub fn history(&self) -> &[AttemptRecord] {
        &self.history
    }

    /// The replay buffer.
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.step
    }

    /// Whether all stages are finished.
    pub fn is_done(&self) -> bool {
        self.setup.preset.curriculum.stage(self.step).0 == Stage::Done
    }

    /// Makes one step: some bins of stage A, an update of stage B, or an attempt and an update of stage C.
    ///
    /// # Errors
    /// Those of the world and the networks. The run cannot go on after one.
    pub fn advance(&mut self) -> Result<Progress> {
        let (stage, within) = self.setup.preset.curriculum.stage(self.step);
        match stage {
            Stage::Collect => self.collect()?,
            Stage::Fit => {
                let batch = self.setup.preset.curriculum.fit_batch;
                self.update(None, batch)?;
                self.step += 1;
            }
            Stage::Practice => {
                self.practise(within)?;
                self.step += 1;
            }
            Stage::Done => {}
        }
        Ok(self.progress(stage))
    }

    /// The state of affairs.
    fn progress(&self, stage: Stage) -> Progress {
        let rate = |of: &dyn Fn(&(bool, bool)) -> Option<bool>| {
            let all: Vec<bool> = self.recent.iter().filter_map(of).collect();
            all.iter().filter(|&&b| b).count() as f64 / all.len().max(1) as f64
        };
        Progress {
            stage,
            step: self.step,
            steps: self.setup.preset.curriculum.steps(),
            grasp_rate: rate(&|a| Some(a.0)),
            throw_rate: rate(&|a| a.0.then_some(a.1)),
            grasp_loss: self.last_losses[0],
            throw_loss: self.last_losses[1],
            gravity: self.model.gravity,
        }
    }

    fn collect(&mut self) -> Result<()> {
        let Setup { preset, world, catalogue, seed, .. } = &self.setup;
        let bins = self.bins_collected..self.bins_collected + BINS_PER_STEP;
        self.bins_collected = bins.end;
        let transitions =
            collect::collect(preset, world, catalogue, STANDARD_GRAVITY, *seed, bins)?;
        let left = preset.curriculum.collect - self.step;
        for transition in transitions.into_iter().take(left) {
            let throw = transition.landing;
            let hit = throw.and_then(|[x, y]| self.setup.world.boxes.hit(&[x, y].into()));
            remember(&mut self.recent, transition.grasped, hit == Some(transition.target));
            self.replay.push(transition);
            self.step += 1;
        }
        Ok(())
    }

    /// Draws `count` attempts from replay, the `newest` first among them if given, and makes an update.
    fn update(&mut self, newest: Option<usize>, count: usize) -> Result<()> {
        let curriculum = &self.setup.preset.curriculum;
        let mut slots = Vec::with_capacity(count);
        slots.extend(newest);
        slots.extend(self.replay.draw(count - slots.len(), &mut self.draws));
        let mirrored: Vec<bool> = slots.iter().map(|_| self.draws.random()).collect();
        let attempts: Vec<_> = slots.iter().filter_map(|&slot| self.replay.get(slot)).collect();
        if attempts.is_empty() {
            return Ok(());
        }
        let batch = Batch {
            attempts: &attempts,
            mirrored: &mirrored,
            window: curriculum.window,
            throw_weight: curriculum.throw_weight,
            gravity: self.setup.method.learns_gravity(),
        };
        let gradients = differentiate(&self.model, &self.setup.world, &batch)?;
        let rate = curriculum.learning_rate(self.updates);
        let size = StepSize { rate, decay: curriculum.decay, clip: curriculum.clip };
        let parameters = self.model.network.values_mut();
        self.optimizer.step(parameters, &gradients.parameters, &size, self.updates)?;
        if let Some(slope) = gradients.gravity {
            // Gravity follows the same schedule at its own scale.
            let step = curriculum.gravity_rate * rate / curriculum.rate[0].max(f64::MIN_POSITIVE);
            self.gravity_velocity = GRAVITY_MOMENTUM * self.gravity_velocity - step * slope;
            self.model.gravity = (self.model.gravity + self.gravity_velocity).max(1.0);
        }
        let uses_throw = self.setup.method != Method::Physics;
        for (i, &slot) in slots.iter().enumerate() {
            let throw = if uses_throw { gradients.throw[i] } else { 0.0 };
            self.replay.report(slot, gradients.grasp[i] + curriculum.throw_weight * throw);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        self.last_losses = [mean(&gradients.grasp), mean(&gradients.throw)];
        self.updates += 1;
        Ok(())
    }

    /// One ε-greedy attempt, then one update that contains it.
    fn practise(&mut self, attempt: usize) -> Result<()> {
        use crate::evaluate::Pilot;
        let curriculum = &self.setup.preset.curriculum;
        let world = &self.setup.world;
        let epsilon = curriculum.epsilon(attempt);
        let map = Heightmap::render(&self.bin.scene);
        let heights = millimetres(&map);
        let target = self.robin.next(world.boxes.len());
        let throwing = Throwing::new(world, target)?;
        let base = throwing.aim.speed(self.model.gravity)?;
        // Both decisions are drawn whatever they are, so that the streams of different methods stay in step.
        let explored =
            [self.explore.random::<f64>() < epsilon, self.explore.random::<f64>() < epsilon];
        let random = explore(&map, curriculum.on_object, &mut self.explore);
        let shift = curriculum.speed_deviation * self.explore.normal();
        let needs_residual = self.setup.method.has_residual() && !explored[1];
        let choice: Choice = if explored[0] && !needs_residual {
            random
        } else {
            let maps = self.model.look(&heights, base)?;
            if explored[0] {
                maps.choice(&map, random.rotation, random.pixel)
            } else {
                maps.best(&map, &self.failed).unwrap_or(random)
            }
        };
        let speed = commanded(base, if explored[1] { shift } else { choice.residual });
        let outcome =
            world.attempt(&self.bin.scene, &choice.pose, target, speed, &mut self.noise)?;
        let transition = collect::transition(heights, &choice, target, speed, &outcome);
        let hindsight = match landing_aim(world, transition.landing) {
            Some(aim) => speed - aim.speed(self.model.gravity)?,
            None => f64::NAN,
        };
        remember(&mut self.recent, transition.grasped, outcome.success());
        let newest = self.replay.push(transition);
        match outcome.grasp {
            Ok(grasp) => {
                self.bin.scene.remove(grasp.object)?;
                self.failed.clear();
            }
            Err(_) => self.failed.push(choice.pose),
        }
        if self.failed.len() >= curriculum.patience {
            self.bin.refill()?;
            self.failed.clear();
        }
        self.bin.refill_if_empty()?;
        let batch = curriculum.practice_batch;
        self.update(Some(newest), batch)?;
        self.history.push(AttemptRecord {
            epsilon,
            explored,
            grasped: outcome.grasp.is_ok(),
            success: outcome.success(),
            residual: speed - base,
            hindsight,
            gravity: self.model.gravity,
            grasp_loss: self.last_losses[0],
            throw_loss: self.last_losses[1],
        });
        Ok(())
    }
}

fn remember(recent: &mut VecDeque<(bool, bool)>, grasped: bool, hit: bool) {
    recent.push_back((grasped, hit));
    if recent.len() > WINDOW {
        recent.pop_front();
    }
}
