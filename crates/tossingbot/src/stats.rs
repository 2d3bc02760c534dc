//! Intervals for success rates, and paired comparison of two methods on the same attempts.

use crate::error::{Error, Result};

/// Two-sided 95 % quantile of the standard normal distribution.
pub const Z95: f64 = 1.959_963_984_540_054;

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Point estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Wilson's score interval for a proportion of `successes` in `trials`, at `z` standard deviations ([`Z95`] for 95 %).
///
/// (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). Wilson (1927).
///
/// # Errors
/// `InvalidArgument` for no trials, or more successes than trials.
pub fn wilson(successes: usize, trials: usize, z: f64) -> Result<Interval> {
    if trials == 0 || successes > trials {
        return Err(Error::InvalidArgument {
            name: "successes",
            value: successes as f64,
            expected: "at most the number of trials, of which there must be one",
        });
    }
    let n = trials as f64;
    let p = successes as f64 / n;
    let shrink = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / shrink;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / shrink;
    Ok(Interval { estimate: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// Two methods on the same attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedComparison {
    /// Success rate of the first minus the second, with its interval.
    pub difference: Interval,
    /// Attempts in which only the first succeeded.
    pub only_first: usize,
    /// Attempts in which only the second succeeded.
    pub only_second: usize,
    /// McNemar's exact two-sided p-value.
    pub p_value: f64,
}

/// Compares two methods by their success on the same attempts, in the same order.
///
/// The interval is Newcombe's (1998, method 10): Wilson intervals of both rates, combined with their correlation φ. The p-value is
/// McNemar's exact one: under equality the discordant pairs are fair coin tosses.
///
/// # Errors
/// `InvalidArgument` if the two lists are empty or differ in length.
pub fn paired(first: &[bool], second: &[bool], z: f64) -> Result<PairedComparison> {
    if first.len() != second.len() {
        return Err(Error::InvalidArgument {
            name: "length of the second list",
            value: second.len() as f64,
            expected: "that of the first list",
        });
    }
    let n = first.len();
    let mut table = [0usize; 4];
    for (&a, &b) in first.iter().zip(second) {
        table[2 * usize::from(a) + usize::from(b)] += 1;
    }
    let [neither, only_second, only_first, both] = table;
    let p = wilson(both + only_first, n, z)?;
    let q = wilson(both + only_second, n, z)?;
    let [a, b, c, d] = [both, only_first, only_second, neither].map(|count| count as f64);
    let marginals = (a + b) * (c + d) * (a + c) * (b + d);
    let phi = if marginals > 0.0 { (a * d - b * c) / marginals.sqrt() } else { 0.0 };
    let difference = p.estimate - q.estimate;
    let spread = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
    Ok(PairedComparison {
        difference: Interval {
            estimate: difference,
            low: difference - spread(p.estimate - p.low, q.high - q.estimate),
            high: difference + spread(p.high - p.estimate, q.estimate - q.low),
        },
        only_first,
        only_second,
        p_value: mcnemar(only_first, only_second),
    })
}

/// McNemar's exact two-sided p-value for `b` and `c` discordant pairs: min(1, 2·P(X ≤ min(b, c))), X ~ Binomial(b + c, ½).
pub fn mcnemar(b: usize, c: usize) -> f64 {
    let (n, k) = (b + c, b.min(c));
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for i in 1..=k {
        log_term += ((n - i + 1) as f64 / i as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}
