//! What the kernel tests share: reproducible numbers, comparisons, thread pools.
#![allow(dead_code, reason = "each test file uses a part")]

use pullback_nn::kernel::Real;

/// `n` reproducible numbers in (−1, 1), different for each `seed`.
pub(crate) fn values<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    (0..n).map(|_| next()).collect()
}

/// ⟨a, b⟩.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Fails unless |found − expected| ≤ tolerance·max(1, largest |expected|) everywhere.
pub(crate) fn close(
    what: &str,
    case: &impl std::fmt::Debug,
    found: &[f64],
    expected: &[f64],
    tolerance: f64,
) {
    assert_eq!(found.len(), expected.len(), "{what}, {case:?}");
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        // Written so that NaN fails.
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{what}, {case:?}, element {i}: {f} instead of {e}"
        );
    }
}

/// Runs `f` in a rayon pool of its own.
pub(crate) fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}
