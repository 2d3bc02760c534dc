//! Recompute instead of store: same bits, fewer values held, one more evaluation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{
    Direction, Error, Function, Graph, LinearMap, Result, Wrt, checkpoint, function,
};

fn vector(x: &[f64]) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

/// (a, b) ↦ (tanh(a·b) + a, Σ exp(−a²))
fn step() -> Arc<dyn Function> {
    function("step", |_, x| Ok(vec![(x[0] * x[1]).tanh() + x[0], (-x[0].sqr()).exp().sum(())]))
}

/// Counts evaluations, linearizations, and the linear maps alive, with their peak.
#[derive(Default)]
struct Counts {
    evaluations: AtomicUsize,
    linearizations: AtomicUsize,
    alive: AtomicUsize,
    peak: AtomicUsize,
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
    fn push_many(&self, dx: &[Direction]) -> Result<Vec<Direction>> {
        self.0.push_many(dx)
    }
    fn pull_many(&self, dy: &[Direction]) -> Result<Vec<Direction>> {
        self.0.pull_many(dy)
    }
}

impl Drop for CountedAt {
    fn drop(&mut self) {
        self.1.alive.fetch_sub(1, SeqCst);
    }
}

fn counted() -> (Arc<dyn Function>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    (Arc::new(Counted(step(), counts.clone())), counts)
}

/// A rollout of 20 steps: its value, its gradient and its derivative along a direction, as bits.
fn rollout(f: &Arc<dyn Function>) -> Vec<u64> {
    let graph = Graph::new();
    let (start, b) =
        (graph.input(&vector(&[0.3, -0.8, 1.2])), graph.input(&vector(&[0.9, 0.4, -0.7])));
    let mut x = start;
    let mut cost = graph.scalar(0.0);
    for _ in 0..20 {
        let y = graph.apply(f, &[x, b]).unwrap();
        (x, cost) = (y[0], cost + y[1]);
    }
    let total = cost + x.sum(());
    let mut bits = vec![total.value().unwrap()];
    bits.extend(graph.gradient(total, &[start, b]).unwrap());
    let along = [(start, vector(&[1.0, 2.0, 3.0])), (b, vector(&[-1.0, 0.5, 0.1]))];
    bits.extend(graph.push(&along, &[x, total]).unwrap().into_iter().flatten());
    assert_eq!(bits.len(), 5);
    bits.iter().flat_map(|t| to_f64(t).unwrap()).map(f64::to_bits).collect()
}

#[test]
fn same_bits_with_and_without() {
    assert_eq!(rollout(&step()), rollout(&checkpoint(step())));
}

#[test]
fn nothing_but_the_inputs_is_held() {
    let (f, counts) = counted();
    rollout(&f);
    assert_eq!(counts.peak.load(SeqCst), 20);
    assert_eq!(counts.linearizations.load(SeqCst), 20);
    let (f, counts) = counted();
    rollout(&checkpoint(f));
    assert_eq!(counts.peak.load(SeqCst), 1);
    assert_eq!(counts.alive.load(SeqCst), 0);
    assert_eq!(counts.evaluations.load(SeqCst), 20);
    // Once per step in the pull and once in the push.
    assert_eq!(counts.linearizations.load(SeqCst), 40);
}

#[test]
fn several_directions_share_one_recomputation_and_none_needs_none() {
    let (f, counts) = counted();
    let x = [vector(&[0.3, -0.8]), vector(&[0.9, 0.4])];
    let (y, map) = checkpoint(f).linearize(&x, Wrt(&[true, true])).unwrap();
    let unit = |d: &[f64]| vec![Some(vector(d)), None];
    map.pull_many(&[unit(&[1.0, 0.0]), unit(&[0.0, 1.0]), vec![None, None]]).unwrap();
    map.push_many(&[unit(&[1.0, 0.0]), unit(&[0.0, 1.0])]).unwrap();
    assert_eq!(counts.linearizations.load(SeqCst), 2);
    assert!(map.pull(&[None, None]).unwrap().iter().all(Option::is_none));
    assert_eq!(map.push_many(&[vec![None, None]]).unwrap()[0].len(), y.len());
    assert_eq!(counts.linearizations.load(SeqCst), 2);
    assert!(matches!(map.pull(&[None]), Err(Error::Arity { expected: 2, got: 1, .. })));
}

#[test]
fn second_order_is_that_of_the_function() {
    let hessian = |f: Arc<dyn Function>| {
        let graph = Graph::new();
        let (a, b) = (graph.input(&vector(&[0.3, -0.8])), graph.constant(&vector(&[0.9, 0.4])));
        let y = graph.apply(&f, &[a, b]).unwrap();
        let gradient = graph.record_gradient(y[0].sum(()) + y[1], &[a]).unwrap()[0];
        to_f64(&graph.total(gradient, a).unwrap()).unwrap()
    };
    assert_eq!(hessian(checkpoint(step())), hessian(step()));
}

#[test]
fn errors_of_the_recomputation_keep_their_type() {
    let root = function("root", |_, x| Ok(vec![x[0].sqrt()]));
    let (_, map) = checkpoint(root).linearize(&[vector(&[0.0])], Wrt(&[true])).unwrap();
    assert!(matches!(map.pull(&[Some(vector(&[1.0]))]), Err(Error::NotFinite { .. })));
}
