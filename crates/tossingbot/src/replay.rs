//! Rank-based prioritized experience replay, bounded (Schaul, Quan, Antonoglou, Silver 2016).
//!
//! Transitions are ranked by how wrong the network last was about them, and drawn with probability ∝ rank^(−α): robust against outliers,
//! because only the order of the losses counts. New transitions come first in the ranking. The ranking is renewed after a fixed number of
//! draws, a matter of counting and not of time, so that a restored buffer draws what the uninterrupted one would have drawn.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::rng::Stream;

/// What is remembered of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Heights of the scene, not turned, row-major, in millimetres (what stands higher than 255 mm counts as 255 mm).
    pub heights: Vec<u8>,
    /// Which of the 16 turned maps the grasp was chosen in.
    pub rotation: usize,
    /// Flat pixel in that turned map.
    pub pixel: usize,
    /// Number of the target box.
    pub target: usize,
    /// Horizontal speed v in m/s that was commanded.
    pub speed: f64,
    /// Whether the gripper held something.
    pub grasped: bool,
    /// Where the throw came down (x, y in the robot's frame, metres), if there was one and it did.
    pub landing: Option<[f64; 2]>,
}

/// How a buffer draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prioritization {
    /// Most transitions that are kept; the oldest goes first.
    pub capacity: usize,
    /// Exponent α of the rank: 0 draws uniformly.
    pub exponent: f64,
    /// Draws after which the ranking is renewed.
    pub renewal: usize,
}

/// The buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    settings: Prioritization,
    transitions: Vec<Transition>,
    priority: Vec<f64>,
    /// Slots, most surprising first; slots pushed since the last renewal are not in it yet.
    order: Vec<u32>,
    /// Where the next transition goes once the buffer is full.
    next: usize,
    drawn: usize,
    /// Σ rank^(−α) up to each rank.
    cumulative: Vec<f64>,
}

/// Everything of a buffer but its transitions: what a checkpoint stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayState {
    /// How it draws.
    pub settings: Prioritization,
    /// Slots, most surprising first.
    pub order: Vec<u32>,
    /// Next slot to overwrite.
    pub next: usize,
    /// Draws since the last renewal.
    pub drawn: usize,
}

impl Replay {
    /// An empty buffer.
    pub fn new(settings: Prioritization) -> Self {
        Self {
            settings,
            transitions: Vec::new(),
            priority: Vec::new(),
            order: Vec::new(),
            next: 0,
            drawn: 0,
            cumulative: Vec::new(),
        }
    }

    /// How many transitions it holds.
    pub fn len(&self) -> usize {
        self.transitions.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.transitions.is_empty()
    }

    /// The transition in a slot.
    pub fn get(&self, slot: usize) -> Option<&Transition> {
        self.transitions.get(slot)
    }

    /// All transitions by slot.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// The last loss of each slot; infinite for those never drawn.
    pub fn priorities(&self) -> &[f64] {
        &self.priority
    }

    /// Stores a transition, in place of the oldest if the buffer is full, and says in which slot.
    pub fn push(&mut self, transition: Transition) -> usize {
        if self.transitions.len() < self.settings.capacity.max(1) {
            self.transitions.push(transition);
            self.priority.push(f64::INFINITY);
            self.transitions.len() - 1
        } else {
            let slot = self.next;
            self.transitions[slot] = transition;
            self.priority[slot] = f64::INFINITY;
            self.next = (slot + 1) % self.transitions.len();
            slot
        }
    }

    /// Draws `count` slots, one from each of `count` strata of equal probability. Fewer are different if the buffer is small.
    pub fn draw(&mut self, count: usize, rng: &mut Stream) -> Vec<usize> {
        if self.is_empty() {
            return Vec::new();
        }
        if self.order.is_empty() || self.drawn >= self.settings.renewal {
            self.renew();
        }
        self.drawn += count;
        let total = self.cumulative[self.order.len() - 1];
        (0..count)
            .map(|stratum| {
                let goal = (stratum as f64 + rng.random::<f64>()) / count as f64 * total;
                let rank = self.cumulative[..self.order.len()].partition_point(|&sum| sum <= goal);
                self.order[rank.min(self.order.len() - 1)] as usize
            })
            .collect()
    }

    /// Tells how wrong the network was about the transition in a slot.
    pub fn report(&mut self, slot: usize, loss: f64) {
        if let Some(priority) = self.priority.get_mut(slot) {
            *priority = loss;
        }
    }

    /// Ranks all slots by their losses; equal ones by slot.
    fn renew(&mut self) {
        self.drawn = 0;
        self.order = (0..self.transitions.len() as u32).collect();
        self.order.sort_by(|&a, &b| {
            self.priority[b as usize].total_cmp(&self.priority[a as usize]).then(a.cmp(&b))
        });
        while self.cumulative.len() < self.order.len() {
            let rank = (self.cumulative.len() + 1) as f64;
            let before = self.cumulative.last().copied().unwrap_or(0.0);
            self.cumulative.push(before + rank.powf(-self.settings.exponent));
        }
    }

    /// What a checkpoint stores besides the transitions and their priorities.
    pub fn state(&self) -> ReplayState {
        ReplayState {
            settings: self.settings,
            order: self.order.clone(),
            next: self.next,
            drawn: self.drawn,
        }
    }

    /// A buffer as it was; `None` if the parts do not belong together.
    pub fn restore(
        state: ReplayState,
        transitions: Vec<Transition>,
        priority: Vec<f64>,
    ) -> Option<Self> {
        let n = transitions.len();
        let mut slots = state.order.iter();
        if priority.len() != n || slots.any(|&slot| slot as usize >= n) || state.next > n {
            return None;
        }
        let mut replay = Self { transitions, priority, ..Self::new(state.settings) };
        // The table of cumulative weights is a function of the number of ranks.
        replay.renew();
        (replay.order, replay.next, replay.drawn) = (state.order, state.next, state.drawn);
        Some(replay)
    }
}
