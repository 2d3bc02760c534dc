//! The memory of long scans, as the operating system sees it. For processes that have not held more before.
#![cfg(target_os = "linux")]

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Wrt, function};
use pullback_graph::{Checkpoints, Scan};

/// Snapshots of the scans.
pub(crate) const SNAPSHOTS: usize = 20;

/// The most memory that this process has held, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
}

/// Gradient, or gradient and Hessian-vector product, of a scan over states of `numbers` f64.
fn sweep(steps: usize, numbers: usize, second: bool) {
    let step = function("step", |_, v| Ok(vec![v[0] + 1e-4 * (v[0] * v[1]).tanh()]));
    let ways = Checkpoints::Revolve(SNAPSHOTS);
    let scan = Scan::new("scan", step, 1).steps(steps).checkpoints(ways).build().unwrap();
    let full = |x: f64| Tensor::full(x, numbers, &Device::Cpu).unwrap();
    let (x, ones) =
        ([full(0.5), full(0.9)], Tensor::ones(numbers, DType::F64, &Device::Cpu).unwrap());
    if !second {
        let (_, map) = scan.linearize(&x, Wrt(&[true, true])).unwrap();
        let pulled = map.pull(&[Some(ones)]).unwrap();
        assert!(pulled.iter().all(Option::is_some));
        return;
    }
    let y = scan.eval(&x).unwrap();
    let adjoint = scan.adjoint(Wrt(&[true, true])).unwrap();
    let arguments = [&x[..], &y, std::slice::from_ref(&ones)].concat();
    let (_, map) = adjoint.linearize(&arguments, Wrt(&[true, true, false, false])).unwrap();
    let hvp = map.push(&[Some(ones.clone()), Some(ones), None, None]).unwrap();
    assert!(hvp.iter().all(Option::is_some));
}

/// A peak, in states.
#[allow(dead_code)] // the test takes them in pairs
pub(crate) struct Peak {
    pub(crate) what: &'static str,
    pub(crate) steps: usize,
    pub(crate) states: f64,
    /// What it may be at most. Of a gradient: 20 snapshots, the state that is worked on, θ, both gradients, cotangents, and what a
    /// step's linear map and pull hold. Of a product, where every state has a tangent beside it: about twice as many.
    pub(crate) limit: f64,
}

/// Each after the one before, so that a peak counts only if it is higher: first the shorter, then the longer scans.
pub(crate) fn peaks() -> Vec<Peak> {
    const NUMBERS: usize = 2_048;
    // Code and buffers that have nothing to do with states.
    [false, true].into_iter().for_each(|second| sweep(50, 64, second));
    let before = peak();
    let mut all = vec![];
    for (what, second, limit) in [("gradient", false, 40.0), ("Hessian-vector product", true, 88.0)]
    {
        for steps in [1_000, 10_000] {
            sweep(steps, NUMBERS, second);
            let states = (peak() - before) as f64 / (8 * NUMBERS) as f64;
            all.push(Peak { what, steps, states, limit });
        }
    }
    all
}
