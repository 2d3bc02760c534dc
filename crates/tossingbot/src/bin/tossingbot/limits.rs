//! `tossingbot ceilings`: what a simulated robot allows before anything is learned.

use anyhow::Result;
use clap::Args;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::ceilings::ceilings;
use pullback_tossingbot::evaluate::{Trial, groups};
use pullback_tossingbot::objects::{Builtin, builtin_models};
use pullback_tossingbot::preset::Preset;

#[derive(Args)]
pub struct Arguments {
    /// The robot: open-loop, half-compensated, clean, late or uncalibrated.
    #[arg(long, default_value = "open-loop")]
    robot: String,
    /// Fraction of the release delay that is compensated, instead of the robot's own.
    #[arg(long)]
    compensation: Option<f64>,
    /// Scenes from which grasps are drawn.
    #[arg(long, default_value_t = 2000)]
    scenes: usize,
    /// Seed of the scenes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print every cell as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut release = super::robot(&arguments.robot)?;
    release.compensation = arguments.compensation.unwrap_or(release.compensation);
    let preset = Preset::quick();
    let trial = Trial {
        groups: groups(&builtin_models(&Builtin::SEEN)?, 6),
        scenes: arguments.scenes,
        workspace: preset.workspace,
        objects: preset.objects,
        seed: arguments.seed,
    };
    let all = ceilings(&trial, &World::with_release(release))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!(
        "{:<10}{:>8}{:>18}{:>14}{:>24}{:>18}",
        "%", "grasps", "physics, random", "physics, best", "learned a, best", "residual, random"
    );
    for c in all {
        let learned = format!("{:.1} (a = {:.1})", 100.0 * c.learned, c.gravity);
        println!(
            "{:<10}{:>8}{:>18.1}{:>14.1}{:>24}{:>18.1}",
            c.class,
            c.grasps,
            100.0 * c.physics_random,
            100.0 * c.physics,
            learned,
            100.0 * c.residual
        );
    }
    Ok(())
}
