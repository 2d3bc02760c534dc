//! The same numbers, whoever computes them: threads, batches, tapes or dual numbers.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common {
    #![allow(dead_code)] // the report uses the rest
    pub(crate) mod dags;
    pub(crate) mod duals;
    pub(crate) mod instructions;
    pub(crate) mod networks;
    pub(crate) mod reasons;
    pub(crate) mod threads;
    pub(crate) mod worst;
}

use common::{duals, threads};

#[test]
fn threads_and_batches_do_not_change_a_bit() {
    let differing = threads::differing();
    assert!(700 <= threads::count());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn dual_numbers_equal_tapes() {
    let worst = duals::compare();
    assert!(40_000 <= worst.compared, "only {} numbers were compared", worst.compared);
    assert!(worst.error <= 1e-12, "{:e}: {}", worst.error, worst.at);
}
