//! What the tests of several methods share: numbers, instruction sets, threads.

use pulp::{Arch, Scalar, WithSimd};

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

/// Instructions that a kernel is compiled for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instructions {
    /// The widest of this processor.
    Best,
    /// One element at a time.
    Scalar,
    /// 16 registers of 256 bits.
    #[cfg(target_arch = "x86_64")]
    V3(pulp::x86::V3),
}

impl Instructions {
    /// Those that this processor has.
    pub(super) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return vec![Self::Best, Self::Scalar, Self::V3(simd)];
        }
        vec![Self::Best, Self::Scalar]
    }

    /// Runs a kernel.
    pub(super) fn dispatch<J: WithSimd>(self, job: J) -> J::Output {
        match self {
            Self::Best => Arch::new().dispatch(job),
            Self::Scalar => job.with_simd(Scalar::new()),
            #[cfg(target_arch = "x86_64")]
            Self::V3(simd) => pulp::Simd::vectorize(simd, V3 { simd, job }),
        }
    }
}

#[cfg(target_arch = "x86_64")]
struct V3<J> {
    simd: pulp::x86::V3,
    job: J,
}

#[cfg(target_arch = "x86_64")]
impl<J: WithSimd> pulp::NullaryFnOnce for V3<J> {
    type Output = J::Output;
    #[inline(always)]
    fn call(self) -> J::Output {
        self.job.with_simd(self.simd)
    }
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
