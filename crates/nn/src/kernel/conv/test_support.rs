//! What the tests of several methods share: numbers, instruction sets, threads.

use crate::kernel::instructions::{Instructions, Set};
use crate::kernel::real::Real;

/// Pseudo-random integers.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// From 0 to `most`.
    pub(super) fn next(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % (most + 1)
    }

    /// Numbers in \[−1, 1\] that use all digits.
    pub(super) fn values<T: Real>(&mut self, n: usize) -> Vec<T> {
        let mut value = || {
            let (high, low) = (self.next((1 << 30) - 1), self.next((1 << 23) - 1));
            ((high << 23 | low) as f64).mul_add(0.5f64.powi(52), -1.0)
        };
        (0..n).map(|_| T::from_f64(value())).collect()
    }
}

/// All instructions that this processor has, the narrowest first.
pub(super) fn sets() -> Vec<Set> {
    Instructions::available().into_iter().filter_map(Instructions::set).collect()
}

/// Those that are used.
pub(super) fn best() -> Set {
    Instructions::used().set().unwrap_or(Set::Scalar)
}

/// The bits of what a kernel gives on so many threads.
pub(super) fn bits_on(threads: usize, kernel: impl FnOnce() -> Vec<f32> + Send) -> Vec<u32> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let out = pool.map(|pool| pool.install(kernel)).unwrap_or_default();
    assert!(!out.is_empty());
    out.into_iter().map(f32::to_bits).collect()
}

/// The largest distance of `values` from `exact`, in units of `unit`, which is at most `units`.
pub(super) fn distance<T: Real + Into<f64>>(
    values: &[T],
    exact: &[f64],
    unit: f64,
    units: f64,
) -> f64 {
    assert_eq!(values.len(), exact.len());
    let errors =
        values.iter().zip(exact).map(|(&value, exact)| (value.into() - exact).abs() / unit);
    // NaN is not within any distance.
    errors.fold(0.0, |worst, error| {
        assert!(error <= units, "{error} units, {units} allowed");
        worst.max(error)
    })
}
