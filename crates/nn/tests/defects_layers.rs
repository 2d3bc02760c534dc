//! What candle gets wrong in layers, and that ours is right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/layers/mod.rs"]
mod layers;

use layers::defects::{Candle, control, verdicts};

#[test]
fn ours_is_right_where_candle_is_not() {
    for verdict in verdicts() {
        assert!(verdict.ours <= 1e-8, "{verdict:?}");
        assert!(!matches!(verdict.candle, Candle::Right), "out of date: {verdict:?}");
    }
    assert!(control() <= 1e-8, "the judge calls a right gradient wrong");
}
