//! `cargo xtask report tossingbot`: the physics against its closed forms, and the robot on three seeds.
#![allow(clippy::print_stderr)] // minutes of training need a sign of life

use std::path::Path;

use anyhow::Result;
use benches::output::{Options, Output};
use benches::row::Row;
use clap::Parser;
use pullback_tossingbot::archive::fingerprint;
use pullback_tossingbot::attempt::World;
use pullback_tossingbot::demo::{Demo, Event, Plan};
use pullback_tossingbot::objects::{Builtin, builtin_models};
use pullback_tossingbot::preset::Preset;
use pullback_tossingbot::report::rows::{self, ceiling_rows, physics_rows, seed_rows};

fn main() -> Result<()> {
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    for row in physics_rows()? {
        output.push(converted(row))?;
    }
    if !options.quick {
        for row in ceiling_rows()? {
            output.push(converted(row))?;
        }
    }
    // The quick form shows that everything runs: half a minute of training makes no claim about success.
    let (preset, seeds): (Preset, &[u64]) =
        if options.quick { (Preset::smoke(), &[0]) } else { (Preset::quick(), &[0, 1, 2]) };
    let plan = Plan {
        preset,
        world: World::default(),
        catalogue: builtin_models(&Builtin::SEEN)?,
        seed: 0,
        folder: Path::new("target/report/tossingbot").to_path_buf(),
    };
    // The program itself is the version of the code: finished seeds are used again only by the same program.
    let code = fingerprint(&std::fs::read(std::env::current_exe()?)?);
    let mut tenth = u64::MAX;
    let mut watch = |demo: &Demo, _: &Event| {
        let (done, of) = demo.position();
        let now = (10 * done / of.max(1)) as u64;
        if now != tenth {
            tenth = now;
            eprintln!("seed {}: {} %", demo.plan().seed, 10 * now);
        }
    };
    let folder = plan.folder.clone();
    for row in seed_rows(&plan, seeds, &folder, &code, &mut watch)? {
        let mut row = converted(row);
        if options.quick {
            (row.target, row.met) = (None, None);
        }
        output.push(row)?;
    }
    output.finish()?;
    Ok(())
}

fn converted(row: rows::Row) -> Row {
    let mut out = Row::new(row.name, row.unit, row.value);
    if !row.target.is_empty() {
        (out.target, out.met) = (Some(row.target), Some(row.met));
    }
    out
}
