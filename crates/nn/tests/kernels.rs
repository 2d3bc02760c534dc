//! The kernels: each against its definition, with all instructions that this processor has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;
mod kernels {
    mod bias;
    mod conv;
    mod fused;
    mod pool;
    mod resize;

    use super::common;
}

use std::process::Command;

use pullback_nn::kernel::Instructions;

/// The name of the variable, and of what this process was asked to use.
const VARIABLE: &str = Instructions::VARIABLE;

/// These tests again, in processes that may not use the widest instructions: most processors do not have them.
#[test]
fn all_of_this_with_narrower_instructions() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let widest = Instructions::used();
    for instructions in Instructions::available().into_iter().filter(|&one| one < widest) {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        let done = tests.env(VARIABLE, instructions.name()).output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "with {}:\n{text}", instructions.name());
        let asked = "test the_instructions_are_those_asked_for ... ok";
        assert!(text.contains(asked) && text.contains("test kernels::conv::"), "{text}");
    }
}

#[test]
fn the_instructions_are_those_asked_for() {
    if let Ok(asked) = std::env::var(VARIABLE) {
        assert_eq!(Instructions::used().name(), asked);
    }
    assert!(Instructions::available().contains(&Instructions::used()));
}
