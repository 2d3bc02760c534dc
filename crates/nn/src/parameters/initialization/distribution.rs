//! Random numbers by distribution, in f64 and always the same number of steps of the generator for the same result.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::random::normal_pair;

pub(super) fn uniform(random: &mut ChaCha8Rng, low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|_| low + (high - low) * random.random::<f64>()).collect()
}

pub(super) fn normal(random: &mut ChaCha8Rng, mean: f64, deviation: f64, n: usize) -> Vec<f64> {
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        values.extend(normal_pair(random, 1.0).map(|z| mean + deviation * z));
    }
    values.truncate(n);
    values
}

/// Normal on \[low, high\] by rejection (Robert 1995): whichever proposal the interval makes likely to be accepted.
pub(super) fn truncated_normal(
    random: &mut ChaCha8Rng,
    mean: f64,
    deviation: f64,
    [low, high]: [f64; 2],
    n: usize,
) -> Vec<f64> {
    let (a, b) = ((low - mean) / deviation, (high - mean) / deviation);
    // An interval below the mean is the mirror image of one above.
    let (a, b, sign) = if b < 0.0 { (-b, -a, -1.0) } else { (a, b, 1.0) };
    let one = |random: &mut ChaCha8Rng| {
        if a <= 0.0 && b - a > std::f64::consts::TAU.sqrt() {
            return until(random, |random| normal_pair(random, 1.0)[0], |_, z| a <= z && z <= b);
        }
        // λ: the best rate of an exponential proposal above a > 0.
        let rate = if a < 1e100 { 0.5 * (a + (a * a + 4.0).sqrt()) } else { a };
        if a > 0.0 && (b - a) * rate > (0.5 * a * (a - rate) + 0.5).exp() {
            let propose = |random: &mut ChaCha8Rng| a - (1.0 - random.random::<f64>()).ln() / rate;
            return until(random, propose, |random, z| {
                z <= b && random.random::<f64>() <= (-0.5 * (z - rate).powi(2)).exp()
            });
        }
        // The density's greatest value on the interval is at max(a, 0).
        let top = a.max(0.0);
        let propose = |random: &mut ChaCha8Rng| a + (b - a) * random.random::<f64>();
        until(random, propose, |random, z| {
            // ½(top² − z²), where the squares may be beyond all numbers.
            random.random::<f64>() <= ((top - z) * (0.5 * top + 0.5 * z)).exp()
        })
    };
    (0..n).map(|_| (mean + deviation * sign * one(random)).clamp(low, high)).collect()
}

/// Proposals until one is accepted. Each is with a probability that is bounded from below for every interval.
fn until(
    random: &mut ChaCha8Rng,
    propose: impl Fn(&mut ChaCha8Rng) -> f64,
    accept: impl Fn(&mut ChaCha8Rng, f64) -> bool,
) -> f64 {
    loop {
        let z = propose(random);
        if accept(random, z) {
            return z;
        }
    }
}
