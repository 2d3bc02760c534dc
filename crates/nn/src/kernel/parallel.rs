//! One way to spread independent planes over threads.

use rayon::prelude::*;

/// Elements below which threads cost more than they save.
const SEQUENTIAL_ELEMENTS: usize = 1 << 15;

/// Calls `work(index, target)` for each of `targets`, on several threads if `elements` in all are worth it.
///
/// Each call writes its own target only, so the result does not depend on the threads.
pub(super) fn for_each_target<A: Send>(
    targets: impl IndexedParallelIterator<Item = A>,
    elements: usize,
    work: impl Fn(usize, A) + Send + Sync,
) {
    let least = targets.len().max(1) * SEQUENTIAL_ELEMENTS / elements.max(1) + 1;
    targets.enumerate().with_min_len(least).for_each(|(index, target)| work(index, target));
}
