//! The memory of a long scan. Alone in its file: nothing else runs in the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/memory.rs"]
mod memory;

/// 10,000 states of 16 kB are 0.16 GB; a step's operations hold five times that.
#[test]
fn ten_thousand_steps_at_constant_memory() {
    let all = memory::peaks();
    for pair in all.chunks(2) {
        let [short, long] = pair else { panic!("a peak without its pair") };
        let what = short.what;
        assert!(short.states <= short.limit, "{what}: {} states at 1,000 steps", short.states);
        let more = long.states - short.states;
        // The allocator's own holes come to some 7 states from run to run; 9,000 states more are what must not appear.
        assert!(more <= 20.0, "{what}: {more} states more at 10,000 steps than at 1,000");
    }
}
