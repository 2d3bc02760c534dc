//! A bounded queue in order: threads make items ahead of the one that is asked for, and the order is that of the numbers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The items of a range of numbers, made by threads, given out in order.
pub(super) struct Prefetch<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    make: Box<dyn Fn(usize) -> T + Send + Sync>,
    ahead: usize,
}

struct State<T> {
    /// Numbers that nobody has begun.
    open: Range<usize>,
    /// The number that is given out next.
    next: usize,
    /// Made, and not given out.
    made: BTreeMap<usize, T>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// `make` must not panic: its item would never come.
    pub(super) fn start(
        threads: usize,
        ahead: usize,
        range: Range<usize>,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Self {
        let state = State { next: range.start, open: range.clone(), made: BTreeMap::new() };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { state, changed, make: Box::new(make), ahead });
        let work = |_| {
            let shared = shared.clone();
            let named = std::thread::Builder::new().name("loader".into());
            // A system without a free thread leaves the work to the others, or to the one that asks.
            named.spawn(move || while shared.work() {}).ok()
        };
        let threads = (0..threads.min(range.len())).filter_map(work).collect();
        Self { shared, threads }
    }

    /// The next item, waited for if need be.
    pub(super) fn next(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        let number = state.next;
        loop {
            if let Some(item) = state.made.remove(&number) {
                state.next += 1;
                self.shared.changed.notify_all();
                return Some(item);
            }
            // Not made, and begun by nobody: at the end, or without threads.
            if state.open.start <= number {
                state.open.next()?;
                drop(state);
                let item = (self.shared.make)(number);
                self.shared.lock().next += 1;
                self.shared.changed.notify_all();
                return Some(item);
            }
            state = self.shared.wait(state);
        }
    }

    /// Nothing more is begun or given out.
    pub(super) fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.made.clear();
        state.open = 0..0;
        state.next = usize::MAX;
        // `open.start <= next` ends the iteration.
        self.shared.changed.notify_all();
    }
}

impl<T> Shared<T> {
    /// No user code runs under the lock, so that a poisoned one holds a whole state.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one item, as soon as there is room; false if none is left.
    fn work(&self) -> bool {
        let mut state = self.lock();
        while !state.open.is_empty() && state.open.start >= state.next.saturating_add(self.ahead) {
            state = self.wait(state);
        }
        let Some(number) = state.open.next() else { return false };
        drop(state);
        let item = (self.make)(number);
        let mut state = self.lock();
        if number >= state.next && state.next != usize::MAX {
            state.made.insert(number, item);
        }
        self.changed.notify_all();
        true
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.shared.lock().open = 0..0;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It cannot have panicked; if it did, there is nobody to tell.
            let _ = thread.join();
        }
    }
}
