//! Problems that others wrote: the smaller of the Maros–Mészáros collection, where it is.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::io::Write;

use common::maros_meszaros::{File, folder, optima};

#[test]
fn small_problems_have_their_known_optima() {
    let Some(folder) = folder() else {
        let text = b"SKIPPED: ../shared/data/maros_meszaros is not beside the repository\n";
        std::io::stderr().write_all(text).unwrap();
        return;
    };
    let mut tried = 0;
    for (name, optimum) in optima(&folder) {
        let path = folder.join(format!("{name}.npz"));
        if std::fs::metadata(&path).unwrap().len() > 12_000 {
            continue;
        }
        tried += 1;
        let made = File::read(&path).unwrap().conic().unwrap();
        let (status, objective) = made.solve().unwrap();
        assert!(status.is_solved(), "{name}: {status}");
        let error = (objective - optimum).abs() / optimum.abs().max(1.0);
        assert!(error < 1e-6, "{name}: {objective:e}, not {optimum:e}");
    }
    assert!(tried >= 10, "{tried}");
}
