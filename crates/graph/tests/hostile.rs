//! Bad inputs give their typed errors; a million instructions overflow no stack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common {
    #![allow(dead_code)] // the report uses the rest
    pub(crate) mod bad_numbers;
    pub(crate) mod bad_tapes;
    pub(crate) mod instructions;
    pub(crate) mod long_tapes;
    pub(crate) mod worst;
}

use common::bad_tapes;
use common::long_tapes::{MILLION, chain, fan, on_a_small_stack, wide};

#[test]
fn every_bad_input_is_answered() {
    let tally = bad_tapes::try_all();
    let shown = tally.wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        tally.wrong.is_empty(),
        "{} of {} bad inputs, {} by a panic:\n{shown}",
        tally.wrong.len(),
        tally.tried,
        tally.panicked
    );
    assert_eq!(tally.tried, tally.answered);
    assert!(20_000 <= tally.tried, "only {} bad inputs", tally.tried);
}

#[test]
fn a_million_instructions_in_a_row() {
    let error = on_a_small_stack(|| chain(MILLION)).unwrap();
    assert!(error <= 1e-9, "{error:e}");
}

#[test]
fn a_million_uses_of_one_variable() {
    let error = on_a_small_stack(|| fan(MILLION / 2)).unwrap();
    assert!(error <= 1e-9, "{error:e}");
}

#[test]
fn a_hundred_thousand_inputs_and_outputs() {
    let error = on_a_small_stack(|| wide(MILLION / 10)).unwrap();
    assert!(error <= 1e-12, "{error:e}");
}
