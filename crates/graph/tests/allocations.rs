//! Calls of a tape and of its plans allocate nothing, after the first: counted by the allocator of this test.
#![allow(clippy::unwrap_used, unsafe_code)] // a failed step is a failed test; an allocator is unsafe to write

use pullback_graph::sparsity::{HessianPlan, JacobianPlan, PlanOptions};
use pullback_graph::{Real, Tape, Workspace};

#[path = "common/arm.rs"]
mod arm;
#[path = "common/counting.rs"]
mod counting;

/// Allocations of the tenth call.
fn allocations(mut call: impl FnMut()) -> usize {
    (0..9).for_each(|_| call());
    let before = counting::allocations();
    call();
    counting::allocations() - before
}

/// One test, so that no other allocates meanwhile.
#[test]
fn calls_allocate_nothing() {
    let tape = Tape::record(7, |q| arm::hand(q).to_vec()).unwrap();
    let (n, m, batch) = (7, 3, 4096);
    let x: Vec<f64> = (0..n * batch).map(|i| (i as f64 * 0.37).sin()).collect();
    let (mut y, mut sums) = (vec![0.0; m * batch], vec![0.0; m]);
    let mut space = Workspace::new(&tape);
    for samples in [1, 17, batch] {
        let (x, y) = (&x[..n * samples], &mut y[..m * samples]);
        let count = allocations(|| tape.run(samples, x, y, &mut space).unwrap());
        assert_eq!(count, 0, "{samples} samples");
    }
    let (shared, rest) = (&x[..3], &x[..4 * batch]);
    let sum = allocations(|| tape.sum_shared(batch, shared, rest, &mut sums, &mut space).unwrap());
    assert_eq!(sum, 0, "a sum");
    // Rayon may enlarge its own queues.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (threads, sums) = pool.install(|| {
        let run = allocations(|| tape.run_parallel(batch, &x, &mut y).unwrap());
        let sum = allocations(|| tape.sum_shared_parallel(batch, shared, rest, &mut sums).unwrap());
        (run, sum)
    });
    assert!(threads <= 2 && sums <= 2, "{threads} and {sums} on two threads");

    let path = Tape::record(24, |x| {
        x.windows(3).map(|w| (w[0] - w[1] * 2.0 + w[2]) * w[1].sin()).collect()
    });
    let path = path.unwrap();
    let (x, lambda, mut y) = (vec![0.3; 24], vec![1.0; 22], vec![0.0; 22]);
    let mut plan = JacobianPlan::new(&path, PlanOptions::default()).unwrap();
    let mut entries = vec![0.0; plan.pattern().len()];
    let count = allocations(|| plan.value_and_jacobian(&x, &mut y, &mut entries).unwrap());
    assert_eq!(count, 0, "a Jacobian");
    let mut plan = HessianPlan::new(&path, PlanOptions::default()).unwrap();
    let mut entries = vec![0.0; plan.pattern().len()];
    let count = allocations(|| plan.hessian(&x, &lambda, &mut entries).unwrap());
    assert_eq!(count, 0, "a Hessian");
}
