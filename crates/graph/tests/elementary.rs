//! Every elementary function at its hard points: accuracy against mpmath, and the same bits for one sample and for a batch.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "common/elementary.rs"]
mod elementary;

use elementary::{BOUNDS, compare, differing, table};

#[test]
fn errors_stay_within_the_stated_bounds() {
    let table = table().unwrap();
    assert_eq!(table.len(), BOUNDS.len());
    let mut beyond = Vec::new();
    for function in &table {
        let found = compare(function);
        assert!(found.compared > 1000, "{}: {} points", found.name, found.compared);
        let bound = BOUNDS.iter().find(|(name, _)| *name == found.name).unwrap().1;
        if found.worst.is_nan() || found.worst > bound {
            beyond.push(found);
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

#[test]
fn a_batch_gives_the_bits_of_single_samples() {
    for function in table().unwrap() {
        // Whole groups of lanes, a rest, and samples one at a time; large arguments among small ones.
        for batch in [1000, 7, 1] {
            let found = differing(&function, batch).unwrap();
            assert!(found.is_empty(), "{} in batches of {batch}: {found:?}", function.name);
        }
    }
}
