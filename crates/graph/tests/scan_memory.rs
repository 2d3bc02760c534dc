//! The memory of a long scan, as the operating system sees it. Alone in its file: nothing else runs in the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Wrt, function};
use pullback_graph::{Checkpoints, Scan};

/// The most memory that this process has held, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
}

/// 10,000 states of 32 kB are 0.3 GB; a step's operations hold five times that. Gradient and Hessian-vector product with 20 snapshots.
#[test]
fn ten_thousand_steps_at_constant_memory() {
    const NUMBERS: usize = 4_096;
    let step = function("step", |_, v| Ok(vec![v[0] + 1e-4 * (v[0] * v[1]).tanh()]));
    let ways = Checkpoints::Revolve(20);
    let scan = Scan::new("scan", step, 1).steps(10_000).checkpoints(ways).build().unwrap();
    let start = Tensor::full(0.5f64, NUMBERS, &Device::Cpu).unwrap();
    let theta = Tensor::full(0.9f64, NUMBERS, &Device::Cpu).unwrap();
    let ones = Tensor::ones(NUMBERS, DType::F64, &Device::Cpu).unwrap();
    let before = peak();
    let x = [start, theta];
    let (y, map) = scan.linearize(&x, Wrt(&[true, true])).unwrap();
    let pulled = map.pull(&[Some(ones.clone())]).unwrap();
    let first = peak() - before;
    assert!(pulled.iter().all(Option::is_some));
    // 20 states, one step, and what the allocator holds back.
    assert!(first < 160 * NUMBERS * 8, "{first} bytes for the gradient");
    let adjoint = scan.adjoint(Wrt(&[true, true])).unwrap();
    let arguments = [&x[..], &y, std::slice::from_ref(&ones)].concat();
    let (_, map) = adjoint.linearize(&arguments, Wrt(&[true, true, false, false])).unwrap();
    let hvp = map.push(&[Some(ones.clone()), Some(ones), None, None]).unwrap();
    assert!(hvp.iter().all(Option::is_some));
    let second = peak() - before;
    assert!(second < 400 * NUMBERS * 8, "{second} bytes for the Hessian-vector product");
}
