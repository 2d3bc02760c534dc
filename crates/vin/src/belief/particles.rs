//! A belief as weighted samples.

use rand::Rng;

use crate::process::Process;
use crate::{Error, Result};

const NODE: &str = "particle filter";

/// How particles are drawn anew.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Resampling {
    /// Each for itself, by the weights.
    Multinomial,
    /// One random number for all, in equal steps: the least noise.
    Systematic,
    /// From q = α·w + (1 − α)/n, with weights w/q: the weights keep a derivative, which drawing by the weights themselves has not (Karkus and
    /// others 2018, eq. 5).
    Soft {
        /// α in (0, 1].
        alpha: f64,
    },
}

/// States with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Particles {
    /// The states.
    pub states: Vec<usize>,
    /// Their weights, with the sum 1.
    pub weights: Vec<f64>,
}

impl Particles {
    /// `count` particles drawn from a belief, all of one weight.
    ///
    /// # Errors
    /// A count of 0 or above 2²⁸, a belief without mass or with negative numbers.
    pub fn from_belief(belief: &[f64], count: usize, random: &mut impl Rng) -> Result<Self> {
        let total: f64 = belief.iter().sum();
        let fits = (1..=1 << 28).contains(&count) && total > 0.0 && total.is_finite();
        if !fits || belief.iter().any(|b| *b < 0.0) {
            let what = format!(
                "{count} particles from a belief of mass {total}: must be 1 to 2²⁸, and numbers ≥ 0 of a positive, finite sum"
            );
            return Err(Error::invalid(NODE, what));
        }
        crate::error::check_room::<f64>(NODE, "the particles", Some(count))?;
        let states = systematic(belief, total, count, random);
        Ok(Self { states, weights: vec![1.0 / count as f64; count] })
    }

    /// Moves every particle by an action. Where it cannot be taken, and at the ends, a particle stays.
    ///
    /// # Errors
    /// An action that there is not, a particle that is no state.
    pub fn predict<P: Process + ?Sized>(
        &mut self,
        process: &P,
        action: usize,
        random: &mut impl Rng,
    ) -> Result<()> {
        let beyond = self.states.iter().find(|s| **s >= process.states());
        if action >= process.actions() || beyond.is_some() {
            let what = match beyond {
                Some(s) => {
                    format!("a particle at {s}, which is none of {} states", process.states())
                }
                None => format!("action {action}, there are {}", process.actions()),
            };
            return Err(Error::invalid(NODE, what));
        }
        for state in &mut self.states {
            if process.terminal(*state).is_some() || process.reward(*state, action).is_none() {
                continue;
            }
            let (mut left, mut to) = (random.random::<f64>(), *state);
            process.successors(*state, action, &mut |next, p| {
                if left >= 0.0 {
                    to = next;
                    left -= p;
                }
            });
            *state = to;
        }
        Ok(())
    }

    /// Bayes' rule with ln p(z | s) for each particle; ln p(z).
    ///
    /// # Errors
    /// As [`update`](super::update); weights that are none.
    pub fn update(&mut self, log_likelihood: &[f64]) -> Result<f64> {
        self.check()?;
        let updated = super::update(&self.weights, log_likelihood)?;
        self.weights = updated.belief;
        Ok(updated.log_evidence)
    }

    /// 1/Σ w²: how many particles of one weight would be as good.
    #[must_use]
    pub fn effective(&self) -> f64 {
        1.0 / self.weights.iter().map(|w| w * w).sum::<f64>()
    }

    /// Draws particles anew; the index of the parent of each.
    ///
    /// # Errors
    /// α outside (0, 1]; no particles, another number of weights, weights that are none.
    pub fn resample(&mut self, how: Resampling, random: &mut impl Rng) -> Result<Vec<usize>> {
        self.check()?;
        let n = self.weights.len();
        let alpha = if let Resampling::Soft { alpha } = how { alpha } else { 1.0 };
        check_alpha(alpha)?;
        let share = |w: f64| alpha * w + (1.0 - alpha) / n as f64;
        let q: Vec<f64> = self.weights.iter().map(|w| share(*w)).collect();
        let total: f64 = q.iter().sum();
        let parents = match how {
            Resampling::Multinomial => {
                (0..n).map(|_| at(&q, random.random::<f64>() * total)).collect()
            }
            _ => systematic(&q, total, n, random),
        };
        self.states = parents.iter().map(|&i| self.states[i]).collect();
        self.weights = soft_weights(&self.weights, &parents, alpha);
        Ok(parents)
    }

    /// The mass on each of `states` states.
    ///
    /// # Errors
    /// A particle that is none of them, another number of weights, weights that are none.
    pub fn belief(&self, states: usize) -> Result<Vec<f64>> {
        self.check()?;
        let mut all = vec![0.0; states];
        for (&s, w) in self.states.iter().zip(&self.weights) {
            let Some(mass) = all.get_mut(s) else {
                let what = format!("a particle at {s}, which is none of {states} states");
                return Err(Error::invalid(NODE, what));
            };
            *mass += w;
        }
        Ok(all)
    }

    /// The fields are open to all: what they hold must be particles.
    fn check(&self) -> Result<()> {
        crate::error::check_len(NODE, "weights", self.weights.len(), self.states.len())?;
        check_weights(&self.weights)
    }
}

fn check_alpha(alpha: f64) -> Result<()> {
    if alpha > 0.0 && alpha <= 1.0 {
        return Ok(());
    }
    Err(Error::invalid(NODE, format!("α is {alpha}, must be in (0, 1]")))
}

fn check_weights(weights: &[f64]) -> Result<()> {
    if let Some(i) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
        let what = format!("the weight of particle {i} is {}, must be finite and ≥ 0", weights[i]);
        return Err(Error::invalid(NODE, what));
    }
    let total: f64 = weights.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        let what = format!("{} weights with the sum {total}, must be positive", weights.len());
        return Err(Error::invalid(NODE, what));
    }
    Ok(())
}

/// w′ ∝ w/q of the parents.
fn soft_weights(weights: &[f64], parents: &[usize], alpha: f64) -> Vec<f64> {
    let n = weights.len() as f64;
    let ratio = |i: &usize| weights[*i] / (alpha * weights[*i] + (1.0 - alpha) / n);
    let raw: Vec<f64> = parents.iter().map(ratio).collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|r| r / sum).collect()
}

/// The backward chain rule of soft resampling with the drawn parents held: dL/dw from dL/dw′.
///
/// # Errors
/// Lengths that differ, a parent that there is not, α outside (0, 1], weights that are none, a cotangent that is not finite.
pub fn pull_soft(weights: &[f64], parents: &[usize], alpha: f64, of: &[f64]) -> Result<Vec<f64>> {
    crate::error::check_len(NODE, "cotangent", of.len(), parents.len())?;
    crate::error::check_finite(NODE, "cotangent", of)?;
    check_weights(weights)?;
    check_alpha(alpha)?;
    if let Some(parent) = parents.iter().find(|p| **p >= weights.len()) {
        let what = format!("parent {parent} is none of {} particles", weights.len());
        return Err(Error::invalid(NODE, what));
    }
    let n = weights.len() as f64;
    let after = soft_weights(weights, parents, alpha);
    let floor = (1.0 - alpha) / n;
    let ratio = |i: usize| weights[i] / (alpha * weights[i] + floor);
    let sum: f64 = parents.iter().map(|&i| ratio(i)).sum();
    let mean: f64 = of.iter().zip(&after).map(|(g, w)| g * w).sum();
    let mut out = vec![0.0; weights.len()];
    for (&i, g) in parents.iter().zip(of) {
        // d(w/q)/dw = floor/q².
        let q = alpha * weights[i] + floor;
        out[i] += (g - mean) / sum * floor / (q * q);
    }
    Ok(out)
}

/// Where the running sum passes `left`; the last positive one if rounding leaves something.
fn at(q: &[f64], mut left: f64) -> usize {
    let mut last = 0;
    for (i, q) in q.iter().enumerate().filter(|(_, q)| **q > 0.0) {
        last = i;
        left -= q;
        if left < 0.0 {
            break;
        }
    }
    last
}

fn systematic(q: &[f64], total: f64, count: usize, random: &mut impl Rng) -> Vec<usize> {
    let step = total / count as f64;
    let mut mark = random.random::<f64>() * step;
    let (mut sum, mut i, mut out) = (0.0, 0, Vec::with_capacity(count));
    let last = q.iter().rposition(|q| *q > 0.0).unwrap_or(0);
    for _ in 0..count {
        while i < last && (q[i] == 0.0 || sum + q[i] <= mark) {
            sum += q[i];
            i += 1;
        }
        out.push(i);
        mark += step;
    }
    out
}
