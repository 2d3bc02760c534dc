//! Sizes and schedules: everything about a training run that is not the world.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::replay::Prioritization;
use crate::scene::Workspace;
use crate::train::Curriculum;

/// Channels of the three networks. C(k, c) is a k × k convolution with c output channels, RB a residual block of two 3 × 3 convolutions,
/// MP a 3 × 3 maximum pooling with stride 2, UP bilinear up-sampling by 2 (TossingBot, section IV).
///
/// ```text
/// perception: C(3, p₀) – MP – RB(p₁) – MP – RB(p₂) – RB(p₃)
/// heads:      [μ, v̂ × k] – RB(h₀) – RB(h₁) – UP – RB(h₂) – UP – C(1, 2 or 1)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSize {
    /// Channels p of the perception network.
    pub perception: [usize; 4],
    /// Channels h of each head.
    pub heads: [usize; 3],
    /// Number k of constant channels that hold v̂.
    pub speed_channels: usize,
}

/// A complete set of sizes and schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// The networks.
    pub network: NetworkSize,
    /// The bin.
    pub workspace: Workspace,
    /// Objects in a full bin.
    pub objects: usize,
    /// How it is trained.
    pub curriculum: Curriculum,
    /// How replay draws.
    pub replay: Prioritization,
    /// Scenes of the evaluation.
    pub evaluation: usize,
}

impl Preset {
    /// The names that [`Preset::by_name`] knows.
    pub const NAMES: [&'static str; 4] = ["smoke", "quick", "small", "paper"];

    /// Half a minute through everything, for continuous integration. It learns little.
    pub fn smoke() -> Self {
        let quick = Self::quick();
        let curriculum = Curriculum {
            collect: 3000,
            fit: 250,
            practice: 120,
            checkpoint: 60,
            ..quick.curriculum
        };
        Self { name: "smoke".into(), curriculum, evaluation: 60, ..quick }
    }

    /// Minutes on two processor cores: 48 × 48 pixels of 8 mm, 75 thousand parameters.
    pub fn quick() -> Self {
        Self {
            name: "quick".into(),
            network: NetworkSize {
                perception: [8, 16, 24, 32],
                heads: [24, 16, 8],
                speed_channels: 8,
            },
            workspace: Workspace::quick(),
            objects: 5,
            curriculum: Curriculum::quick(),
            replay: Prioritization { capacity: 8000, exponent: 0.3, renewal: 64 },
            evaluation: 500,
        }
    }

    /// Hours on two cores: 96 × 72 pixels of 8 mm, .3 million parameters.
    pub fn small() -> Self {
        Self {
            name: "small".into(),
            network: NetworkSize {
                perception: [16, 32, 48, 64],
                heads: [48, 32, 16],
                speed_channels: 16,
            },
            workspace: Workspace { size: [0.768, 0.576], ..Workspace::quick() },
            objects: 10,
            curriculum: Curriculum::small(),
            replay: Prioritization { capacity: 16_000, exponent: 0.3, renewal: 64 },
            evaluation: 1000,
        }
    }

    /// The paper's sizes: 180 × 140 pixels of 5 mm, 10 million parameters, 15,000 attempts. It needs a large machine.
    pub fn paper() -> Self {
        Self {
            name: "paper".into(),
            network: NetworkSize {
                perception: [64, 128, 256, 512],
                heads: [256, 128, 64],
                speed_channels: 128,
            },
            workspace: Workspace::paper(),
            objects: 12,
            curriculum: Curriculum::paper(),
            replay: Prioritization { capacity: 15_000, exponent: 0.6, renewal: 64 },
            evaluation: 1000,
        }
    }

    /// A preset by its name.
    ///
    /// # Errors
    /// `UnknownName`.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "smoke" => Ok(Self::smoke()),
            "quick" => Ok(Self::quick()),
            "small" => Ok(Self::small()),
            "paper" => Ok(Self::paper()),
            _ => Err(Error::UnknownName {
                what: "preset",
                name: name.to_owned(),
                known: Self::NAMES.join(", "),
            }),
        }
    }
}
