//! The published table of conventions is what the operations do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common;

use pullback_core_graph::check::KINKS;

#[test]
fn every_convention_holds() {
    let broken: Vec<String> = KINKS.iter().filter_map(|k| common::kinks::verify(k).err()).collect();
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), KINKS.len(), broken.join("\n"));
}
