//! Tasks over threads, the calling one among them.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// So long the calling thread looks out for the others' last tasks before it goes to sleep, from which it takes long to be woken.
const PATIENCE: Duration = Duration::from_micros(100);
/// So long without giving its processor to whom it may be waiting for.
const KEPT: Duration = Duration::from_micros(10);

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, in which [`spread`] leaves all tasks to this thread.
///
/// For a thread that stands in for one of a pool's, which waits for it: were all of a pool's threads to wait so, nobody would be left to help.
pub fn alone<R>(f: impl FnOnce() -> R) -> R {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _reset = Reset(ALONE.replace(true));
    f()
}

/// Does this thread work for a pool, or [`alone`]? A thread that it starts and waits for should work [`alone`] then.
#[must_use]
pub fn is_helper() -> bool {
    ALONE.get() || rayon::current_thread_index().is_some()
}

/// What `work` gives for each of some tasks, in the tasks' order; it also gets the task's index.
///
/// The calling thread takes part, which saves it from being woken at the end, and its helpers, other threads of its pool, from being waited for at the
/// start: loops of a millisecond would feel either. The calling thread begins with the same share of tasks in a row each time, and with two threads so does the
/// other, so that loops over the same memory find it in their core's caches; then each helps the others. What is computed does not depend on who
/// computes it.
///
/// A task should take some ten microseconds at least. A panic of `work` is the caller's once all others are done, one of them if there are several. A pool that is
/// busy with something that does not end holds the caller up, even if there was nothing left to help with.
pub fn spread<A: Send, R: Send + Sync>(
    tasks: Vec<A>,
    work: impl Fn(usize, A) -> R + Sync,
) -> Vec<R> {
    let threads = rayon::current_num_threads().min(tasks.len());
    if threads <= 1 || ALONE.get() {
        return tasks.into_iter().enumerate().map(|(i, task)| work(i, task)).collect();
    }
    let n = tasks.len();
    let tasks: Vec<_> = tasks.into_iter().map(|task| Mutex::new(Some(task))).collect();
    let results: Vec<OnceLock<R>> = (0..n).map(|_| OnceLock::new()).collect();
    // The first task of each share that nobody took yet.
    let first = |share: usize| n * share / threads;
    let next: Vec<_> = (0..threads).map(|share| AtomicUsize::new(first(share))).collect();
    let take = |thread: usize| {
        for share in (0..threads).map(|k| (thread + k) % threads) {
            loop {
                let index = next[share].fetch_add(1, Ordering::Relaxed);
                if index >= first(share + 1) {
                    break;
                }
                // Only one thread comes here with this index, and no panic happens with the lock held.
                let task = tasks[index].lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(task) = task {
                    let _ = results[index].set(work(index, task));
                }
            }
        }
    };
    let ended = AtomicUsize::new(1);
    rayon::in_place_scope(|scope| {
        let (take, ended) = (&take, &ended);
        for thread in 1..threads {
            scope.spawn(move |_| {
                take(thread);
                ended.fetch_add(1, Ordering::Release);
            });
        }
        take(0);
        // A thread of the pool works on others' tasks while it waits.
        if rayon::current_thread_index().is_none() {
            let start = Instant::now();
            while ended.load(Ordering::Acquire) < threads && start.elapsed() < PATIENCE {
                match start.elapsed() < KEPT {
                    true => std::hint::spin_loop(),
                    false => std::thread::yield_now(),
                }
            }
        }
    });
    // Without a panic, which the scope would have passed on, all are there: callers count on it.
    let results: Vec<R> = results.into_iter().filter_map(OnceLock::into_inner).collect();
    assert_eq!(results.len(), n, "a task was left out");
    results
}

#[cfg(test)]
mod tests {
    use super::{alone, is_helper, spread};
    use std::collections::HashSet;
    use std::sync::Mutex;

    fn pool(threads: usize) -> Option<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()
    }

    #[test]
    fn every_task_is_done_once_and_results_are_in_order() {
        for threads in [1, 2, 3, 7] {
            let pool = pool(threads);
            for n in [0, 1, 2, 5, 100] {
                let run = || spread((0..n).collect(), |i, task: usize| [i, task * task]);
                let inside = pool.as_ref().map(|pool| pool.install(run));
                let expected: Vec<_> = (0..n).map(|i| [i, i * i]).collect();
                assert_eq!(inside.as_ref(), Some(&expected), "{threads} threads, {n} tasks");
                assert_eq!(run(), expected, "{n} tasks");
            }
        }
    }

    #[test]
    fn the_calling_thread_takes_part_and_the_others_too() {
        let seen = Mutex::new(HashSet::new());
        // Each waits for the other one's first task.
        let both = std::sync::Barrier::new(2);
        let run = || {
            spread(vec![(); 2], |_, ()| {
                both.wait();
                seen.lock().map(|mut seen| seen.insert(std::thread::current().id())).is_ok()
            })
        };
        assert_eq!(pool(2).map(|pool| pool.install(run)), Some(vec![true; 2]));
        assert_eq!(seen.lock().map(|seen| seen.len()).ok(), Some(2));
    }

    #[test]
    fn tasks_may_spread_their_own_tasks() {
        let sums = spread((0..20usize).collect(), |_, n| {
            spread((0..n).collect(), |_, k| k).iter().sum::<usize>()
        });
        assert_eq!(sums, (0..20usize).map(|n| n * n.saturating_sub(1) / 2).collect::<Vec<_>>());
    }

    /// All of a pool's threads wait for threads that spread tasks over that pool.
    #[test]
    fn threads_that_stand_in_for_a_pools_do_not_wait_for_it() {
        let pool = pool(2);
        let install = |work: &(dyn Fn() -> bool + Sync)| pool.as_ref().map(|p| p.install(work));
        let stand_in = || {
            let helper = is_helper();
            std::thread::scope(|scope| {
                let work = || spread((0..8).collect(), |_, n: usize| n * n);
                let thread = scope.spawn(move || if helper { alone(work) } else { work() });
                thread.join().ok()
            })
        };
        let all = Some((0..8).map(|n| n * n).collect::<Vec<_>>());
        let right = || stand_in() == all;
        assert_eq!(install(&|| rayon::join(right, right) == (true, true)), Some(true));
        assert!(right());
        assert_eq!((is_helper(), install(&is_helper), alone(is_helper)), (false, Some(true), true));
        let fails = || alone(|| assert!(std::hint::black_box(false), "on purpose"));
        assert!(std::panic::catch_unwind(fails).is_err() && !is_helper());
    }

    #[test]
    fn a_panic_is_passed_on() {
        let run = |bad| {
            std::panic::catch_unwind(|| spread((0..8).collect(), |i, _: u8| assert_ne!(i, bad)))
        };
        assert!((0..8).all(|bad| run(bad).is_err()));
        assert!(run(8).is_ok_and(|done| done.len() == 8));
    }
}
