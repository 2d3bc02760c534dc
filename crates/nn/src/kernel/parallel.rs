//! Ways to spread independent planes and tasks over threads.

use pullback_core_graph::spread;

/// Elements below which threads cost more than they save.
const SEQUENTIAL_ELEMENTS: usize = 1 << 15;
/// Tasks of a thread, so that one that is late can leave some to others.
const TASKS: usize = 8;

/// Multiplications below which other threads are not worth being called: some ten microseconds.
const SEQUENTIAL_PRODUCTS: usize = 1 << 18;

/// [`spread`], on the calling thread alone if all tasks together take no more `multiplications` than it does in the time that others take to come.
pub(super) fn spread_products<A: Send, R: Send + Sync>(
    multiplications: usize,
    tasks: Vec<A>,
    work: impl Fn(usize, A) -> R + Sync,
) -> Vec<R> {
    if multiplications < SEQUENTIAL_PRODUCTS {
        return tasks.into_iter().enumerate().map(|(i, task)| work(i, task)).collect();
    }
    spread(tasks, work)
}

/// Calls `work(index, target)` for each of `targets`, on several threads if `elements` in all are worth it.
///
/// Each call writes its own target only, so the result does not depend on the threads.
pub(super) fn for_each_target<A: Send>(
    targets: impl ExactSizeIterator<Item = A>,
    elements: usize,
    work: impl Fn(usize, A) + Send + Sync,
) {
    let (n, threads) = (targets.len(), rayon::current_num_threads());
    let least = n * SEQUENTIAL_ELEMENTS / elements.max(1) + 1;
    if n <= least || threads <= 1 {
        return targets.enumerate().for_each(|(index, target)| work(index, target));
    }
    let together = least.max(n.div_ceil(TASKS * threads));
    let mut targets = targets.enumerate();
    let tasks: Vec<Vec<(usize, A)>> =
        (0..n.div_ceil(together)).map(|_| targets.by_ref().take(together).collect()).collect();
    spread(tasks, |_, task| task.into_iter().for_each(|(index, target)| work(index, target)));
}
