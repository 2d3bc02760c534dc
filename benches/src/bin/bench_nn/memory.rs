//! The memory of a training step, measured in a process of its own.

use anyhow::{Context, Result};
use std::process::Command;

use crate::model;

/// Tells the program to measure itself: height and width follow.
const FLAG: &str = "--memory-of-step";

/// The size of the image, if this process is the one that measures itself.
pub(crate) fn asked() -> Option<[usize; 2]> {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, flag, height, width] if flag == FLAG => {
            Some([height.parse().ok()?, width.parse().ok()?])
        }
        _ => None,
    }
}

/// Makes the networks, trains three steps and prints the growth in MiB.
pub(crate) fn report(size: [usize; 2]) -> Result<()> {
    let before = status("VmRSS")?;
    let mut model = model::robot(size)?;
    for _ in 0..3 {
        model.step()?;
    }
    let mut out = std::io::stdout();
    std::io::Write::write_fmt(
        &mut out,
        format_args!("{}\n", (status("VmHWM")? - before) / 1024.0),
    )?;
    Ok(())
}

/// The growth in MiB of a child of this program that trains three steps.
pub(crate) fn of_child(size: [usize; 2]) -> Result<f64> {
    let program = std::env::current_exe().context("this program has no path")?;
    let output = Command::new(program).arg(FLAG).args(size.map(|n| n.to_string())).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| {
        format!("the child said {text:?} {:?}", String::from_utf8_lossy(&output.stderr))
    })
}

/// A line of `/proc/self/status`, in KiB.
fn status(key: &str) -> Result<f64> {
    let text =
        std::fs::read_to_string("/proc/self/status").context("memory is read on Linux only")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.with_context(|| format!("no {key}"))?.parse().context("a size")
}
