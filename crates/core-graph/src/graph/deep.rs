//! Functions inside functions to any depth.
//!
//! A closure that applies a closure recurses in Rust, by about 2 kB of stack a level and what the user's code takes. Every so many
//! levels the work moves to a thread with a fresh stack, so that no depth overflows one: 10⁵ levels take some 800 threads, which
//! wait for one another. (On such a thread, rayon's work goes to its global pool; of [`spread`](crate::spread) there is none if a pool's thread waits for it,
//! as all of a pool's threads could.)

use std::cell::Cell;
use std::thread;

use pullback_linalg::{alone, is_helper};

use crate::{Error, Result};

/// Levels on one stack: 16 kB each of the 2 MiB that Rust gives a thread.
const LEVELS: usize = 128;
const STACK: usize = 2 << 20;

thread_local! {
    static LEVEL: Cell<usize> = const { Cell::new(0) };
}

/// One level deeper, until it is dropped; unwinding drops it too.
struct Deeper;

impl Deeper {
    fn enter() -> Self {
        LEVEL.set(LEVEL.get() + 1);
        Deeper
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        LEVEL.set(LEVEL.get() - 1);
    }
}

/// Runs `f` one level deeper. Errors: those of `f`; a thread that the system refuses.
pub(super) fn deeper<R: Send>(node: &str, f: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    if LEVEL.get() < LEVELS {
        let _level = Deeper::enter();
        return f();
    }
    let helper = is_helper();
    let f = move || if helper { alone(f) } else { f() };
    thread::scope(|scope| {
        let spawned = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f);
        let handle = spawned.map_err(|e| Error::external(node, e))?;
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Drops what may hold further levels. If the system refuses a thread, it is leaked: an overflow would abort the process.
pub(super) fn drop_deeper<R: Send>(what: R) {
    if LEVEL.get() < LEVELS {
        let _level = Deeper::enter();
        return drop(what);
    }
    let what = std::sync::Mutex::new(Some(std::mem::ManuallyDrop::new(what)));
    let _ = deeper("drop", || {
        let taken = what.lock().ok().and_then(|mut w| w.take());
        taken.map(std::mem::ManuallyDrop::into_inner);
        Ok(())
    });
}
