//! A function that counts how often it is evaluated and linearized, and how many of its linear maps are alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Direction, Function, LinearMap, Result, Wrt};

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) evaluations: AtomicUsize,
    pub(crate) linearizations: AtomicUsize,
    pub(crate) alive: AtomicUsize,
    pub(crate) peak: AtomicUsize,
}

/// The function without higher order, and its counts.
pub(crate) fn counted(f: Arc<dyn Function>) -> (Arc<dyn Function>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    (Arc::new(Counted(f, counts.clone())), counts)
}

struct Counted(Arc<dyn Function>, Arc<Counts>);

struct CountedAt(Box<dyn LinearMap>, Arc<Counts>);

impl Function for Counted {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.1.evaluations.fetch_add(1, SeqCst);
        self.0.eval(x)
    }
    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        self.1.linearizations.fetch_add(1, SeqCst);
        let alive = self.1.alive.fetch_add(1, SeqCst) + 1;
        self.1.peak.fetch_max(alive, SeqCst);
        let (y, map) = self.0.linearize(x, wrt)?;
        Ok((y, Box::new(CountedAt(map, self.1.clone()))))
    }
}

impl LinearMap for CountedAt {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        self.0.push(dx)
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        self.0.pull(dy)
    }
}

impl Drop for CountedAt {
    fn drop(&mut self) {
        self.1.alive.fetch_sub(1, SeqCst);
    }
}
