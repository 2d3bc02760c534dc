//! Tasks over threads, the calling one among them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// So long the calling thread looks out for the others' last tasks before it goes to sleep, from which it takes long to be woken.
const PATIENCE: Duration = Duration::from_micros(100);

/// What `work` gives for each of some tasks, in the tasks' order; it also gets the task's index.
///
/// The calling thread takes part, which saves it from being woken at the end, and its helpers, other threads of its pool, from being waited for at the
/// start: loops of a millisecond would feel either. Each thread begins with a share of tasks in a row, the same share each time, so that loops over the
/// same memory find it in their core's caches; then it helps the others. What is computed does not depend on who computes it.
///
/// A task should take some ten microseconds at least. A panic of `work` is the caller's, once the other threads have ended.
pub fn spread<A: Send, R: Send + Sync>(
    tasks: Vec<A>,
    work: impl Fn(usize, A) -> R + Sync,
) -> Vec<R> {
    let threads = rayon::current_num_threads().min(tasks.len());
    if threads <= 1 {
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
                std::hint::spin_loop();
            }
        }
    });
    // Without a panic, which the scope would have passed on, all are there.
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;
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

    #[test]
    fn a_panic_is_passed_on() {
        let run = |bad| {
            std::panic::catch_unwind(|| spread((0..8).collect(), |i, _: u8| assert_ne!(i, bad)))
        };
        assert!((0..8).all(|bad| run(bad).is_err()));
        assert!(run(8).is_ok_and(|done| done.len() == 8));
    }
}
