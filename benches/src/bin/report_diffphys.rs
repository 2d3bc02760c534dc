//! `cargo xtask report diffphys`: how near our numbers are to MuJoCo's and Pinocchio's, and what degenerate states do.
//!
//! The parity rows need `--peers`, `cargo xtask data mjcf` and `cargo xtask data urdf`; without them only our own rows are printed.

#[path = "report_diffphys/fuzz.rs"]
mod fuzz;
#[path = "report_diffphys/jacobians.rs"]
mod jacobians;
#[path = "report_diffphys/ladder.rs"]
mod ladder;
#[path = "report_diffphys/numbers.rs"]
mod numbers;
#[path = "report_diffphys/robots.rs"]
mod robots;

use anyhow::Result;
use benches::output::{Options, Output};
use benches::peer::Peer;
use clap::Parser;

fn main() -> Result<()> {
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    if let Some(mut peer) = Peer::start(1)? {
        ladder::rows(&mut output, &mut peer, options.quick)?;
        jacobians::rows(&mut output, &mut peer, options.quick)?;
        robots::rows(&mut output, &mut peer, options.quick)?;
    }
    fuzz::rows(&mut output, options.quick)?;
    output.finish()?;
    Ok(())
}
