//! Saving and restoring a run: everything that its further course depends on.

use std::path::Path;

use candle_core::{Device, Tensor};
use pullback_core_graph::tensor::with_slice;
use serde::{Deserialize, Serialize};

use super::{AttemptRecord, Setup, Trainer};
use crate::archive::{Archive, broken, fingerprint};
use crate::boxes::RoundRobin;
use crate::error::{Error, Result};
use crate::grasp::GraspPose;
use crate::net::Network;
use crate::replay::{Replay, ReplayState, Transition};
use crate::rng::Stream;
use crate::scene::BinState;

/// What is not an array.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    fingerprint: String,
    step: usize,
    updates: usize,
    bins_collected: u64,
    bin: BinState,
    robin: RoundRobin,
    explore: Stream,
    noise: Stream,
    draws: Stream,
    replay: ReplayState,
    recent: Vec<(bool, bool)>,
}

/// What is stored of each parameter: itself, and the optimizer's two memories.
const KINDS: [&str; 3] = ["parameter", "mean", "square"];
/// Numbers of a transition besides its heights, and of an attempt record.
const TRANSITION: usize = 8;
const ATTEMPT: usize = 10;

impl Setup {
    /// A fingerprint of everything that determines a run: sizes, schedules, world, objects, method, seed, version of this crate.
    pub fn fingerprint(&self) -> String {
        let mut text = format!(
            "{} {:?} {:?} {:?} {}",
            env!("CARGO_PKG_VERSION"),
            self.preset,
            self.world,
            self.method,
            self.seed
        );
        for object in &self.catalogue {
            text += &format!(" {} {:?} {:?}", object.name, object.mass, object.half_length);
        }
        fingerprint(text.as_bytes())
    }
}

impl Trainer {
    /// Writes the run's state to a file, atomically.
    ///
    /// # Errors
    /// `Io`, `Checkpoint`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut archive = Archive::default();
        let network = &self.model.network;
        let optimizer = &self.optimizer;
        for (i, name) in network.names().iter().enumerate() {
            let tensors = [&network.values()[i], &optimizer.mean[i], &optimizer.square[i]];
            for (kind, tensor) in KINDS.iter().zip(tensors) {
                let values = with_slice::<f32, _>(tensor, <[f32]>::to_vec)?;
                archive.put(&format!("{kind}/{name}"), tensor.dims(), values);
            }
        }
        let numbers =
            [self.model.gravity, self.gravity_velocity, self.last_losses[0], self.last_losses[1]];
        archive.put("numbers", &[4], numbers);
        let failed = self.failed.iter().flat_map(|pose| [pose.x, pose.y, pose.angle]);
        archive.put("failed", &[self.failed.len(), 3], failed);
        let attempts = self.history.iter().flat_map(attempt_numbers);
        archive.put("history", &[self.history.len(), ATTEMPT], attempts);

        let transitions = self.replay.transitions();
        let pixels = transitions.first().map_or(0, |t| t.heights.len());
        let heights = transitions.iter().flat_map(|t| t.heights.iter().copied());
        archive.put("replay/heights", &[transitions.len(), pixels], heights);
        let rest = transitions.iter().flat_map(transition_numbers);
        archive.put("replay/numbers", &[transitions.len(), TRANSITION], rest);
        let priorities = self.replay.priorities().iter().copied();
        archive.put("replay/priority", &[transitions.len()], priorities);
        archive.describe(&Description {
            fingerprint: self.setup.fingerprint(),
            step: self.step,
            updates: self.updates,
            bins_collected: self.bins_collected,
            bin: self.bin.state(),
            robin: self.robin,
            explore: self.explore.clone(),
            noise: self.noise.clone(),
            draws: self.draws.clone(),
            replay: self.replay.state(),
            recent: self.recent.iter().copied().collect(),
        })?;
        archive.save(path)
    }

    /// A run as it was when it was saved. It goes on with the bits that the uninterrupted run would have had.
    ///
    /// # Errors
    /// `Io`; `Checkpoint` for a file that is damaged or belongs to another setup.
    pub fn load(setup: Setup, path: &Path) -> Result<Self> {
        Self::restore(setup, &Archive::load(path)?).map_err(|error| match error {
            Error::Checkpoint { path: part, problem } => {
                broken(path, format!("{}: {problem}", part.display()))
            }
            other => other,
        })
    }

    fn restore(setup: Setup, archive: &Archive) -> Result<Self> {
        let described: Description = archive.description()?;
        if described.fingerprint != setup.fingerprint() {
            return Err(broken(
                Path::new("setup"),
                "the checkpoint belongs to other settings, objects, seed or version".into(),
            ));
        }
        let mut trainer = Self::new(setup)?;
        let tensor = |kind: &str, name: &str| -> Result<Tensor> {
            let (dims, values) = archive.get::<f32>(&format!("{kind}/{name}"))?;
            Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
        };
        let network = &trainer.model.network;
        let all = |kind: &str| -> Result<Vec<Tensor>> {
            network.names().iter().map(|name| tensor(kind, name)).collect()
        };
        (trainer.optimizer.mean, trainer.optimizer.square) = (all(KINDS[1])?, all(KINDS[2])?);
        let size = trainer.setup.preset.network;
        trainer.model.network =
            Network::with_values(size, network.has_residual(), |name| tensor(KINDS[0], name).ok())?;
        let (_, numbers) = archive.get::<f64>("numbers")?;
        if let [gravity, velocity, grasp, throw] = numbers[..] {
            trainer.model.gravity = gravity;
            trainer.gravity_velocity = velocity;
            trainer.last_losses = [grasp, throw];
        }
        let (_, failed) = archive.get::<f64>("failed")?;
        trainer.failed = failed
            .chunks_exact(3)
            .map(|pose| GraspPose { x: pose[0], y: pose[1], angle: pose[2] })
            .collect();
        let (_, history) = archive.get::<f64>("history")?;
        trainer.history = history.chunks_exact(ATTEMPT).map(attempt_from).collect();
        let (dims, heights) = archive.get::<u8>("replay/heights")?;
        let (_, rest) = archive.get::<f64>("replay/numbers")?;
        let (_, priority) = archive.get::<f64>("replay/priority")?;
        let pixels = dims.get(1).copied().unwrap_or(0).max(1);
        let transitions = heights
            .chunks_exact(pixels)
            .zip(rest.chunks_exact(TRANSITION))
            .map(|(heights, numbers)| transition_from(heights, numbers))
            .collect();
        trainer.replay = Replay::restore(described.replay, transitions, priority)
            .ok_or_else(|| broken(Path::new("replay"), "its parts do not fit together".into()))?;
        trainer.bin.restore(&described.bin)?;
        trainer.step = described.step;
        trainer.updates = described.updates;
        trainer.bins_collected = described.bins_collected;
        trainer.robin = described.robin;
        (trainer.explore, trainer.noise, trainer.draws) =
            (described.explore, described.noise, described.draws);
        trainer.recent = described.recent.into();
        Ok(trainer)
    }
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn transition_numbers(t: &Transition) -> [f64; TRANSITION] {
    let [x, y] = t.landing.unwrap_or([0.0; 2]);
    let index = |i: usize| i as f64;
    [
        index(t.rotation),
        index(t.pixel),
        index(t.target),
        t.speed,
        flag(t.grasped),
        flag(t.landing.is_some()),
        x,
        y,
    ]
}

fn transition_from(heights: &[u8], n: &[f64]) -> Transition {
    Transition {
        heights: heights.to_vec(),
        rotation: n[0] as usize,
        pixel: n[1] as usize,
        target: n[2] as usize,
        speed: n[3],
        grasped: n[4] != 0.0,
        landing: (n[5] != 0.0).then_some([n[6], n[7]]),
    }
}

fn attempt_numbers(a: &AttemptRecord) -> [f64; ATTEMPT] {
    [
        a.epsilon,
        flag(a.explored[0]),
        flag(a.explored[1]),
        flag(a.grasped),
        flag(a.success),
        a.residual,
        a.hindsight,
        a.gravity,
        a.grasp_loss,
        a.throw_loss,
    ]
}

fn attempt_from(n: &[f64]) -> AttemptRecord {
    AttemptRecord {
        epsilon: n[0],
        explored: [n[1] != 0.0, n[2] != 0.0],
        grasped: n[3] != 0.0,
        success: n[4] != 0.0,
        residual: n[5],
        hindsight: n[6],
        gravity: n[7],
        grasp_loss: n[8],
        throw_loss: n[9],
    }
}
