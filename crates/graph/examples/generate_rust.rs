//! A small arm and its Jacobian as Rust source: `cargo run -p pullback-graph --example generate_rust`.
//!
//! A build script does the same and writes the text to a file: `std::fs::write(out_dir.join("arm.rs"), arm()?)`, which the crate takes in
//! by `include!(concat!(env!("OUT_DIR"), "/arm.rs"))`. Then `pullback-graph` is a build dependency only.
#![allow(clippy::print_stdout)] // the source is what it makes

use pullback_graph::{Real, Result, Tape};

/// Position (m) and heading (rad) of the end of a planar arm with links of 0.4 m and 0.3 m.
fn hand<T: Real>(q: &[T]) -> Vec<T> {
    let heading = q[0] + q[1];
    vec![q[0].cos() * 0.4 + heading.cos() * 0.3, q[0].sin() * 0.4 + heading.sin() * 0.3, heading]
}

/// The source of two functions: the hand, and its Jacobian's entries row by row.
fn arm() -> Result<String> {
    let tape = Tape::record(2, |q| hand(q))?;
    let (jacobian, _) = tape.jacobian();
    Ok([tape.to_rust("hand")?, jacobian.to_rust("hand_jacobian")?].join("\n"))
}

fn main() -> Result<()> {
    print!("{}", arm()?);
    Ok(())
}
