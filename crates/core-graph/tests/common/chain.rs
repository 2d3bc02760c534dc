//! Depth and width: a million operations in a row, a million uses of one variable, functions inside functions.

use std::sync::Arc;
use std::time::Instant;

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, Graph, Result, function};

/// The size of the figure.
pub(crate) const MILLION: usize = 1_000_000;

/// Runs on a thread with the stack that Rust gives threads by default.
pub(crate) fn on_a_small_stack<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::Builder::new().stack_size(2 << 20).spawn(f).unwrap().join().unwrap()
}

/// What came out, beside what must.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) worst_relative_error: f64,
}

fn scalar(x: f64) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn number(t: Option<&Tensor>) -> Result<f64> {
    t.map_or(Ok(0.0), |t| Ok(to_f64(t)?[0]))
}

fn outcome(start: Instant, pairs: &[(f64, f64)]) -> Outcome {
    let error = pairs.iter().map(|(ours, want)| ((ours - want) / want).abs());
    // NaN must not hide: it is the worst.
    let worst = error.fold(0.0, |w: f64, e| if e <= w { w } else { e });
    Outcome { seconds: start.elapsed().as_secs_f64(), worst_relative_error: worst }
}

/// y = cⁿ·x by n multiplications: recorded, pulled, pushed, dropped.
pub(crate) fn chain(n: usize) -> Result<Outcome> {
    let start = Instant::now();
    let c = 1.0 + 1.0 / n as f64;
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0));
    let y = (0..n).fold(x, |y, _| y * c);
    let pulled = number(graph.gradient(y, &[x])?.first())?;
    let pushed = number(graph.push(&[(x, scalar(1.0))], &[y])?[0].as_ref())?;
    let value = y.to_f64()?;
    drop(graph);
    let want = (n as f64 * (1.0 / n as f64).ln_1p()).exp();
    Ok(outcome(start, &[(value, want), (pulled, want), (pushed, want)]))
}

/// The chain with its derivative recorded, and that one pulled again: d/dx (x·cⁿ)² = 2·x·c²ⁿ, then 2·c²ⁿ.
pub(crate) fn recorded_chain(n: usize) -> Result<Outcome> {
    let start = Instant::now();
    let c = 1.0 + 1.0 / n as f64;
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0));
    let y = (0..n).fold(x, |y, _| y * c).sqr();
    let first = graph.record_gradient(y, &[x])?[0];
    let second = number(graph.gradient(first, &[x])?.first())?;
    let along = graph.record_push(&[(x, graph.scalar(1.0))], &[y])?[0];
    let along = along.ok_or_else(|| Error::invalid("chain", "no derivative"))?.to_f64()?;
    let want = 2.0 * (2.0 * n as f64 * (1.0 / n as f64).ln_1p()).exp();
    Ok(outcome(start, &[(first.to_f64()?, want), (along, want), (second, want)]))
}

/// One variable that n operations read, whose results meet in a sum: y = Σ xᵢ·c.
pub(crate) fn fan_out(n: usize) -> Result<Outcome> {
    let start = Instant::now();
    let graph = Graph::new();
    let x = graph.input(&scalar(2.0));
    let y = (0..n).fold(graph.scalar(0.0), |y, _| y + x * 0.5);
    let pulled = number(graph.gradient(y, &[x])?.first())?;
    let pushed = number(graph.push(&[(x, scalar(1.0))], &[y])?[0].as_ref())?;
    let want = n as f64;
    Ok(outcome(start, &[(y.to_f64()?, want), (pulled, 0.5 * want), (pushed, 0.5 * want)]))
}

/// One operation that reads one variable n times.
pub(crate) fn fan_in(n: usize) -> Result<Outcome> {
    let start = Instant::now();
    let graph = Graph::new();
    let x = graph.input(&Tensor::new(&[2.0f64], &Device::Cpu)?);
    let y = graph.cat(&vec![x; n], 0).sum(());
    let pulled = number(graph.gradient(y, &[x])?.first())?;
    let pushed = number(graph.push(&[(x, x.value()?)], &[y])?[0].as_ref())?;
    let want = n as f64;
    Ok(outcome(start, &[(y.to_f64()?, 2.0 * want), (pulled, want), (pushed, 2.0 * want)]))
}

/// x ↦ cⁿ·x, each factor in a function of its own that applies the next.
pub(crate) fn nested(depth: usize) -> Arc<dyn Function> {
    let c = 1.0 + 1.0 / depth as f64;
    let mut f: Arc<dyn Function> = function("level", move |_, x| Ok(vec![x[0] * c]));
    for _ in 1..depth {
        let inner = f.clone();
        f = function("level", move |g, x| Ok(vec![g.apply(&inner, x)?[0] * c]));
    }
    f
}

/// Functions inside functions, `depth` of them: evaluated, pulled, pushed, dropped.
pub(crate) fn nesting(depth: usize) -> Result<Outcome> {
    let start = Instant::now();
    let f = nested(depth);
    let graph = Graph::new();
    let x = graph.input(&scalar(1.0));
    let y = graph.apply(&f, &[x])?[0];
    let pulled = number(graph.gradient(y, &[x])?.first())?;
    let pushed = number(graph.push(&[(x, scalar(1.0))], &[y])?[0].as_ref())?;
    let value = y.to_f64()?;
    drop(graph);
    drop(f);
    let want = (depth as f64 * (1.0 / depth as f64).ln_1p()).exp();
    Ok(outcome(start, &[(value, want), (pulled, want), (pushed, want)]))
}
