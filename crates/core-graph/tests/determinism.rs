//! The same input gives the same bits for any number of threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common;

#[test]
fn same_bits_for_one_two_and_four_threads() {
    let differing = common::determinism::differing();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
#[ignore = "child process: the other tests start it"]
fn child() {
    common::child::serve();
}
