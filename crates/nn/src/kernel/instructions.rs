//! Which of the processor's instructions the kernels are run with.

use std::env;
use std::sync::OnceLock;

use pulp::{Scalar, Simd, WithSimd};

/// Sets of instructions that the convolution, pooling, resizing and bias kernels are compiled for, the narrowest first.
///
/// The widest that the processor has are used, unless the environment variable [`Instructions::VARIABLE`] names others: to see what a
/// simpler processor would give. It is read once; a name that is not among [`Instructions::available`] counts for nothing. Sums may be rounded in another
/// order with other instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Instructions {
    /// One number at a time.
    Scalar,
    /// 128 bits on any processor, as the compiler sees fit. In builds with debug assertions alone: it lets any processor test the lengths of [`Instructions::Neon`].
    Portable,
    /// 128 bits, of ARM's processors.
    Neon,
    /// 256 bits: AVX2 and FMA.
    V3,
    /// 512 bits: AVX-512.
    V4,
}

impl Instructions {
    /// The environment variable with the [name](Instructions::name) of those to use.
    pub const VARIABLE: &str = "PULLBACK_NN_INSTRUCTIONS";

    /// Those that this processor has.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Scalar, Self::Portable, Self::Neon, Self::V3, Self::V4];
        all.into_iter().filter(|one| one.set().is_some()).collect()
    }

    /// Those that are used in this process.
    #[must_use]
    pub fn used() -> Self {
        chosen().0
    }

    /// `scalar`, `portable`, `neon`, `v3` or `v4`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::V3 => "v3",
            Self::V4 => "v4",
        }
    }

    /// What a kernel is run by with these instructions, if the processor has them.
    pub(crate) fn set(self) -> Option<Set> {
        match self {
            Self::Scalar => Some(Set::Scalar),
            #[cfg(debug_assertions)]
            Self::Portable => Some(Set::Portable),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Set::Neon),
            #[cfg(target_arch = "x86_64")]
            Self::V3 => pulp::x86::V3::try_new().map(Set::V3),
            #[cfg(target_arch = "x86_64")]
            Self::V4 => pulp::x86::V4::try_new().map(Set::V4),
            #[allow(unreachable_patterns, reason = "of other processors")]
            _ => None,
        }
    }
}

/// Instructions that are there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Set {
    Scalar,
    #[cfg(debug_assertions)]
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    #[cfg(target_arch = "x86_64")]
    V3(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    V4(pulp::x86::V4),
}

impl Set {
    /// Runs a kernel.
    #[inline(always)]
    pub(crate) fn dispatch<J: WithSimd>(self, job: J) -> J::Output {
        match self {
            Self::Scalar => Simd::vectorize(Scalar::new(), job),
            #[cfg(debug_assertions)]
            Self::Portable => Simd::vectorize(pulp::Scalar128b, job),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, job),
            #[cfg(target_arch = "x86_64")]
            Self::V3(simd) => Simd::vectorize(simd, job),
            #[cfg(target_arch = "x86_64")]
            Self::V4(simd) => Simd::vectorize(simd, job),
        }
    }
}

/// Runs a kernel with the instructions that are [used](Instructions::used).
#[inline(always)]
pub(crate) fn dispatch<J: WithSimd>(job: J) -> J::Output {
    chosen().1.dispatch(job)
}

#[inline]
fn chosen() -> (Instructions, Set) {
    static CHOSEN: OnceLock<(Instructions, Set)> = OnceLock::new();
    *CHOSEN.get_or_init(|| choice(env::var(Instructions::VARIABLE).ok().as_deref()))
}

/// The ones of this name, else the widest.
fn choice(name: Option<&str>) -> (Instructions, Set) {
    let available = Instructions::available();
    let named = available.iter().find(|one| Some(one.name()) == name).or(available.last());
    let one = named.copied().unwrap_or(Instructions::Scalar);
    (one, one.set().unwrap_or(Set::Scalar))
}

#[cfg(test)]
mod tests {
    use super::{Instructions, choice};

    #[test]
    fn the_widest_unless_others_are_named() {
        let all = Instructions::available();
        assert!(all.is_sorted() && all[0] == Instructions::Scalar);
        let widest = all[all.len() - 1];
        for one in &all {
            assert_eq!(choice(Some(one.name())).0, *one);
        }
        for none in [None, Some(""), Some("avx2"), Some("V3")] {
            assert_eq!(choice(none).0, widest);
        }
    }
}
