//! Random numbers that several modules draw in the same way.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of a seed and a name: a stream of its own for each.
pub(crate) fn named(seed: u64, name: &str) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(fnv1a(name));
    random
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo): small, and the same on every platform and version.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// `scale` times Box and Muller's two normal numbers from two uniform ones; the first is in (0, 1], where the logarithm is finite.
pub(crate) fn normal_pair(random: &mut ChaCha8Rng, scale: f64) -> [f64; 2] {
    let radius = scale * (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * random.random::<f64>()).sin_cos();
    [radius * cosine, radius * sine]
}
