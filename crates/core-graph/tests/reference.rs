//! Values and derivatives against the committed tables of an independent system.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::collections::BTreeMap;

use common::reference::{Worst, scalar_table, structured_table};

fn all_within(table: &BTreeMap<String, Worst>, limit: f64, least: usize) {
    let compared: usize = table.values().map(|w| w.compared).sum();
    assert!(least <= compared, "only {compared} numbers were compared");
    let over = table.iter().filter(|(_, w)| w.error.is_nan() || limit < w.error);
    let over: Vec<String> =
        over.map(|(name, w)| format!("{name}: {:e} ({})", w.error, w.at)).collect();
    assert!(
        over.is_empty(),
        "{} of {} above {limit:e}:\n{}",
        over.len(),
        table.len(),
        over.join("\n")
    );
}

#[test]
fn scalar_functions_to_third_order() {
    all_within(&scalar_table(), 1e-12, 5000);
}

#[test]
fn structured_operations_to_second_order() {
    all_within(&structured_table(), 1e-9, 5000);
}
