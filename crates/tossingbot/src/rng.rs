//! Named, independent, resumable random streams from one master seed.
//!
//! Every use of randomness draws from its own ChaCha stream, so that drawing more in one place never shifts another: two methods that
//! are compared see the same scenes and the same release noise. A stream's state is a few numbers, saved and restored exactly.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What a stream is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Contents and placement of bins.
    Scene,
    /// Exploration of grasps and throw speeds.
    Explore,
    /// Release timing and friction.
    Noise,
    /// Initial network parameters.
    Init,
    /// Sampling from the replay buffer.
    Replay,
    /// Evaluation scenes and noise, shared by all methods.
    Eval,
}

/// A ChaCha8 generator whose state can be saved and restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream(ChaCha8Rng);

/// The exact state of a [`Stream`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// ChaCha key.
    pub key: [u8; 32],
    /// Number of 32-bit words drawn so far (ChaCha's position has 68 bits), high and low half.
    pub position: [u64; 2],
}

impl Stream {
    /// The stream for `purpose` under the master seed `seed`.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self::indexed(seed, purpose, 0)
    }

    /// The `index`-th of many streams for one purpose: the n-th scene, or the noise of the n-th evaluation throw.
    pub fn indexed(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The state, from which [`Stream::from_state`] continues with the same numbers.
    pub fn state(&self) -> StreamState {
        let position = self.0.get_word_pos();
        StreamState { key: self.0.get_seed(), position: [(position >> 64) as u64, position as u64] }
    }

    /// Continues a saved stream.
    pub fn from_state(state: &StreamState) -> Self {
        let mut rng = ChaCha8Rng::from_seed(state.key);
        rng.set_word_pos(u128::from(state.position[0]) << 64 | u128::from(state.position[1]));
        Self(rng)
    }

    /// A standard normal number (Box and Muller). Two uniforms are spent on each, so that no half is kept outside the saved state.
    pub fn normal(&mut self) -> f64 {
        normal(self)
    }

    /// A number uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random::<f64>()
    }
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        self.0.fill_bytes(destination);
    }
}

impl Serialize for Stream {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.state().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_state(&StreamState::deserialize(deserializer)?))
    }
}

/// A standard normal number from any generator: √(−2·ln u)·cos 2πv with u in (0, 1].
pub fn normal(rng: &mut (impl RngCore + ?Sized)) -> f64 {
    let u = 1.0 - rng.random::<f64>();
    let v = rng.random::<f64>();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
