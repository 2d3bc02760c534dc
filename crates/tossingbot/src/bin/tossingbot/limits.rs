//! `tossingbot ceilings`: what a simulated robot allows before anything is learned.

use anyhow::Result;
use clap::Args;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::ceilings::ceilings;
use pullback_tossingbot::evaluate::{Trial, groups};
use pullback_tossingbot::objects::{Builtin, builtin_models};
use pullback_tossingbot::preset::Preset;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The robot: open-loop, half-compensated, clean, late or uncalibrated.
    #[arg(long, default_value = "open-loop")]
    robot: String,
    /// Fraction of the release delay that is compensated, instead of the robot's own.
    #[arg(long)]
    compensation: Option<f64>,
    /// Scenes from which grasps are drawn.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    scenes: u64,
    /// Seed of the scenes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print every cell as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut release = super::robot(&arguments.robot)?;
    release.compensation = arguments.compensation.unwrap_or(release.compensation);
    let preset = Preset::quick();
    let trial = Trial {
        groups: groups(&builtin_models(&Builtin::SEEN)?, 6),
        scenes: arguments.scenes as usize,
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
        "{:<10}{:>8}{:>18}{:>15}{:>24}{:>18}{:>16}",
        "%",
        "grasps",
        "physics, random",
        "physics, best",
        "learned a, best",
        "residual, random",
        "residual, best"
    );
    let percent = |share: Option<f64>| share.map_or("–".into(), |s| format!("{:.1}", 100.0 * s));
    for c in all {
        println!(
            "{:<10}{:>8}{:>18}{:>15}{:>24}{:>18}{:>16}",
            c.class,
            c.grasps,
            percent(Some(c.physics_random)),
            percent(c.physics),
            format!("{} (a = {:.2})", percent(c.learned), c.gravity),
            percent(c.residual_random),
            percent(c.residual)
        );
    }
    Ok(())
}
