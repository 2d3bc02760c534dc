//! `cargo bench -p benches --bench core_graph`: criterion's view of the work that `cargo xtask bench core-graph` compares with peers.
#![allow(missing_docs)] // criterion's macros make public items
#![allow(clippy::unwrap_used)] // a failed step ends the bench

#[path = "../src/bin/bench_core_graph/cases.rs"]
#[allow(dead_code)]
mod cases;

use cases::{Chain, CholeskySolve, Mlp};
use criterion::{Criterion, criterion_group, criterion_main};

fn core_graph(c: &mut Criterion) {
    let chain = Chain::new(1000).unwrap();
    c.bench_function("record 1000 scalar operations", |b| b.iter(|| chain.record(true).unwrap()));
    let (graph, x, y) = chain.recorded(true).unwrap();
    let gradient = || graph.gradient(graph.var(y).unwrap(), &[graph.var(x).unwrap()]).unwrap();
    c.bench_function("pull through 1000 scalar operations", |b| b.iter(gradient));
    let mlp = Mlp::new().unwrap();
    c.bench_function("gradient of a 3-layer MLP, batch 256", |b| {
        b.iter(|| mlp.ours(true).unwrap())
    });
    for n in [6, 32] {
        let solve = CholeskySolve::new(1024, n).unwrap();
        c.bench_function(&format!("Cholesky solve with gradient, 1024 × {n}×{n}"), |b| {
            b.iter(|| solve.ours().unwrap())
        });
    }
}

criterion_group!(benches, core_graph);
criterion_main!(benches);
