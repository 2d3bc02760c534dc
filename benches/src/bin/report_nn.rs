//! `cargo xtask report nn`.

#[path = "report_nn/optimizers.rs"]
mod optimizers;

use anyhow::Result;
use benches::output::{Options, Output};
use clap::Parser;

fn main() -> Result<()> {
    let mut output = Output::new(&Options::parse())?;
    optimizers::rows(&mut output)?;
    output.finish()?;
    Ok(())
}
