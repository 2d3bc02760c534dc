//! Quadratic programs as layers: constraints learned from data, end to end, in a plain training loop of candle.
//!
//! `cargo run --release -p examples --bin 14_qp_layer` (with `-- --quick` for less of it) learns the sides of a polygon from projections onto
//! it, and the rules of 4×4 Sudoku from solved puzzles; the picture goes to `target/figures`.
#![allow(clippy::print_stdout)] // an example talks

mod polygon;
mod sudoku;

use anyhow::Result;

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    polygon::learn(if quick { 40 } else { 300 })?;
    sudoku::learn(if quick { 8 } else { 400 })
}
