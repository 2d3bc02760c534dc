//! Rows about training: killed, without room on the disk, with damaged files; data files; and the digits that it learns.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;

use crate::folder::Folder;
use crate::{digits, explain, files, runs};

/// Tells this program to be the process that is killed, in the folder that it names.
pub(crate) const CHILD: &str = "PULLBACK_REPORT_RUN";

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    threads(output)?;
    kills(output, if quick { 10 } else { 200 })?;
    disk(output)?;
    cuts(output, if quick { 3 } else { 40 })?;
    data(output)?;
    learned(output, quick)
}

fn threads(output: &mut Output) -> Result<()> {
    let alone = runs::undisturbed(0);
    let differing = (1..=3).filter(|&threads| runs::undisturbed(threads) != alone).count();
    let name =
        "training runs with 1, 2, 3 loading threads whose bits differ from those of a run without";
    output.push(Row::new(name, "runs", differing as f64).at_most(0.0))
}

fn kills(output: &mut Output, count: usize) -> Result<()> {
    let program = std::env::current_exe()?;
    let killed = runs::kill(count, 7, "report", |folder| {
        let mut command = Command::new(&program);
        command.env(CHILD, folder);
        command
    });
    let kills = killed.kills as f64;
    output.push(
        Row::new("kills of a training process at random moments", "kills", kills)
            .at_least(count as f64),
    )?;
    let name = "processes that ended neither with their run nor by a kill";
    output.push(Row::new(name, "processes", killed.crashed as f64).at_most(0.0))?;
    let (name, places) = ("different steps that one was resumed from", killed.places as f64);
    output.push(Row::new(name, "steps", places).at_least(if count < 100 { 3.0 } else { 10.0 }))?;
    let name = "killed runs that came to their end and were compared";
    output.push(Row::new(name, "runs", killed.finished as f64).at_least(1.0))?;
    let name =
        "killed runs whose final parameters or history differ in a bit from an undisturbed run's";
    output.push(Row::new(name, "runs", killed.different as f64).at_most(0.0))
}

#[cfg(target_os = "linux")]
fn disk(output: &mut Output) -> Result<()> {
    let outcome = runs::full_disk();
    explain("full disk", &[outcome.clone().unwrap_or_else(|error| error)])?;
    let name = "full disks answered with the error, the checkpoint before whole, and resumed to the same bits";
    output.push(Row::new(name, "cases", f64::from(u8::from(outcome.is_ok()))).at_least(1.0))
}

#[cfg(not(target_os = "linux"))]
fn disk(_: &mut Output) -> Result<()> {
    Ok(())
}

fn cuts(output: &mut Output, count: usize) -> Result<()> {
    let (tried, right) = runs::truncated(count);
    let name = format!(
        "newest checkpoints cut short, of {tried}, that are told, with the one before taken to the same bits"
    );
    output.push(Row::new(name, "files", right as f64).at_least(tried as f64))
}

fn data(output: &mut Output) -> Result<()> {
    let (folder, table) = (Folder::new("files"), files::table());
    for lossy in [false, true] {
        let (mut numbers, mut right, mut wrong) = (0, 0, vec![]);
        for file in table.files.iter().filter(|file| file.is_lossy() == lossy) {
            match file.compare(&folder.0) {
                Ok(count) => (numbers, right) = (numbers + count, right + 1),
                Err(what) => wrong.push(what),
            }
        }
        explain("data files", &wrong)?;
        let (numpy, pillow) = (&table.numpy, &table.pillow);
        let name = match lossy {
            false => format!(
                "npy, npz, IDX, PNG, PGM and PPM files read as by NumPy {numpy} and Pillow {pillow}, every bit of {numbers} numbers"
            ),
            true => format!(
                "JPEG files read as by Pillow {pillow}, {numbers} numbers to within {} of 255",
                files::ROUNDING
            ),
        };
        let count = (right + wrong.len()) as f64;
        output.push(Row::new(name, "files", right as f64).at_least(count))?;
    }
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let hostile = files::hostile(&folder.0);
    std::panic::set_hook(hook);
    explain("hostile files", &[hostile.wrong.clone(), hostile.short.clone()].concat())?;
    output.push(
        Row::new("damaged data files tried", "files", hostile.tried as f64).at_least(10_000.0),
    )?;
    output.push(Row::new(
        "damaged data files refused with the place",
        "files",
        hostile.refused as f64,
    ))?;
    let name = "damaged data files that panic, are read though cut short, or give an error of another kind";
    let bad = (hostile.wrong.len() + hostile.short.len()) as f64;
    output.push(Row::new(name, "files", bad).at_most(0.0))
}

fn learned(output: &mut Output, quick: bool) -> Result<()> {
    let (epochs, seeds) = if quick { (2, 0..1) } else { (40, 0..5) };
    let Some(all) = digits::handwritten()? else {
        let missing = format!("none in {}: run `cargo xtask data digits` first", digits::FOLDER);
        explain("handwritten digits", &[missing])?;
        output.push(Row::new("handwritten digits: test accuracy", "%", f64::NAN).at_least(98.0))?;
        return Ok(());
    };
    let (mut accuracies, mut slowest, mut held) = (vec![], 0.0f64, 0);
    for seed in seeds {
        let start = Instant::now();
        let (accuracy, test) = digits::accuracy(&all, epochs, seed)?;
        slowest = slowest.max(start.elapsed().as_secs_f64());
        accuracies.push(100.0 * accuracy);
        held = test;
    }
    let splits = accuracies.len();
    let least = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = accuracies.iter().sum::<f64>() / splits as f64;
    let what = format!("handwritten digits, {held} held out, {splits} random splits");
    let row = |name: &str, unit: &str, value| Row::new(format!("{what}: {name}"), unit, value);
    let (mean, least) =
        (row("mean test accuracy", "%", mean), row("least test accuracy", "%", least));
    let slowest = row("longest training", "s", slowest);
    if quick {
        output.push(mean)?;
        return output.push(slowest);
    }
    output.push(mean.at_least(98.0))?;
    output.push(least)?;
    output.push(slowest.at_most(60.0))
}
