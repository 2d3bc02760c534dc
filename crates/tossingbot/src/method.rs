//! The methods that are compared.

use serde::{Deserialize, Serialize};

/// How a method finds the throw speed. Everything else (networks' sizes, grasp labels, curriculum, replay, seeds) is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// v = v̂(p; a) + δ_θ, gravity fixed at its true value.
    Residual,
    /// v = v̂(p; a), gravity fixed at its true value.
    Physics,
    /// v = v̂(p; a), gravity learned by dL/da from where the throws land.
    LearnedGravity,
}

impl Method {
    /// All methods, in the order of the report.
    pub const ALL: [Method; 3] = [Method::Residual, Method::Physics, Method::LearnedGravity];

    /// Name for files and command lines.
    pub fn name(self) -> &'static str {
        match self {
            Method::Residual => "residual",
            Method::Physics => "physics",
            Method::LearnedGravity => "learned-gravity",
        }
    }

    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Method::Residual => "Residual physics",
            Method::Physics => "Physics only",
            Method::LearnedGravity => "Physics, learned a",
        }
    }

    /// Whether there is a throw network.
    pub fn has_residual(self) -> bool {
        self == Method::Residual
    }

    /// Whether gravity is a trained parameter.
    pub fn learns_gravity(self) -> bool {
        self == Method::LearnedGravity
    }
}
