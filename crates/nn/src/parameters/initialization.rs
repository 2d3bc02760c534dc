//! Initial values.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// How a parameter gets its first values.
///
/// The fans of a weight of shape (out, in, k…) are fan_in = in·Πk and fan_out = out·Πk.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Initialization {
    /// All the same value.
    Constant(f64),
    /// Uniform on \[low, high).
    Uniform {
        /// The least value.
        low: f64,
        /// The bound above.
        high: f64,
    },
    /// Normal.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
    },
    /// Uniform on ±√(6 / (fan_in + fan_out)): keeps the variance of values and gradients of linear layers (Glorot and Bengio
    /// 2010, eq. 16).
    Xavier,
    /// Normal with variance 2 / fan_in: keeps the variance through rectifiers (He et al. 2015, eq. 10).
    He,
}

impl Initialization {
    /// The values of a parameter: a function of the seed, the name and the shape.
    pub(super) fn values(self, name: &str, seed: u64, dims: &[usize]) -> Result<Vec<f64>> {
        let n = dims.iter().product();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // A stream of its own for each name.
        random.set_stream(fnv1a(name));
        Ok(match self {
            Self::Constant(value) => vec![value; n],
            Self::Uniform { low, high } => uniform(&mut random, low, high, n),
            Self::Normal { mean, deviation } => normal(&mut random, mean, deviation, n),
            Self::Xavier => {
                let (fan_in, fan_out) = fans(name, dims)?;
                let bound = (6.0 / (fan_in + fan_out)).sqrt();
                uniform(&mut random, -bound, bound, n)
            }
            Self::He => {
                let (fan_in, _) = fans(name, dims)?;
                normal(&mut random, 0.0, (2.0 / fan_in).sqrt(), n)
            }
        })
    }
}

fn fans(name: &str, dims: &[usize]) -> Result<(f64, f64)> {
    match dims {
        [out, inputs, taps @ ..] if dims.iter().all(|&d| d > 0) => {
            let taps: usize = taps.iter().product();
            Ok(((inputs * taps) as f64, (out * taps) as f64))
        }
        _ => {
            let what = format!(
                "its initialization needs a shape (out, in, …) without zeros, not {dims:?}"
            );
            Err(Error::Parameter { name: name.into(), what })
        }
    }
}

fn uniform(random: &mut ChaCha8Rng, low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|_| low + (high - low) * random.random::<f64>()).collect()
}

/// Box and Muller's two normal numbers from two uniform ones; the first is in (0, 1], where the logarithm is finite.
fn normal(random: &mut ChaCha8Rng, mean: f64, deviation: f64, n: usize) -> Vec<f64> {
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * random.random::<f64>()).sin_cos();
        values.extend([mean + deviation * radius * cosine, mean + deviation * radius * sine]);
    }
    values.truncate(n);
    values
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo): small, and the same on every platform and version.
pub(super) fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
