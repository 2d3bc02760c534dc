//! What the bench and report binaries share: rows, their output, timing, and the client of the peers.
//!
//! A bench is `src/bin/bench_<crate>.rs`, a report `src/bin/report_<crate>.rs`. `cargo xtask bench` and `cargo xtask report`
//! run them in release mode and print their rows.

pub mod bench;
pub mod numbers;
pub mod output;
pub mod peer;
pub mod row;
pub mod timing;
