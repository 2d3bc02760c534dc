//! `cargo bench -p benches --bench graph`: criterion's view of the work that `cargo xtask bench graph` compares with peers.
#![allow(missing_docs)] // criterion's macros make public items
#![allow(clippy::unwrap_used)] // a failed step ends the bench

#[path = "../../crates/graph/tests/common/arm.rs"]
mod arm;
#[path = "../src/bin/bench_graph/tapes.rs"]
#[allow(dead_code)]
mod tapes;

use arm::{JOINTS, hand, path};
use benches::peer::fill;
use criterion::{Criterion, criterion_group, criterion_main};
use pullback_graph::sparsity::{HessianPlan, PlanOptions};
use pullback_graph::{Real, Tape, Workspace};

fn robot(c: &mut Criterion) {
    let tape = tapes::with_jacobian::<JOINTS>(JOINTS, &(0..JOINTS), |q| hand(q).to_vec()).unwrap();
    for batch in [1, 1024] {
        let x = fill(0, batch * JOINTS, 1.5);
        let (mut y, mut space) = (vec![0.0; batch * tape.outputs()], Workspace::new(&tape));
        c.bench_function(&format!("arm, value and Jacobian, batch {batch}"), |b| {
            b.iter(|| tape.run(batch, &x, &mut y, &mut space).unwrap())
        });
    }
    let n = 100 * JOINTS;
    let x = fill(0, n, 1.0);
    let residuals = Tape::record(n, |q| path(q)).unwrap();
    let mut plan = tapes::Sparse::prepare(&residuals).unwrap();
    let mut y = vec![0.0; residuals.outputs() + plan.pattern().len()];
    c.bench_function("path, values and Jacobian", |b| b.iter(|| plan.run(&x, &mut y).unwrap()));
    let cost = Tape::record(n, |q| {
        let squares = path(q).into_iter().map(Real::sqr);
        vec![squares.fold(Real::lit(0.0), |sum, r| sum + r)]
    });
    let mut plan = HessianPlan::new(&cost.unwrap(), PlanOptions::default()).unwrap();
    let mut h = vec![0.0; plan.pattern().len()];
    c.bench_function("path, exact Hessian", |b| {
        b.iter(|| plan.hessian(&x, &[1.0], &mut h).unwrap())
    });
}

criterion_group!(benches, robot);
criterion_main!(benches);
