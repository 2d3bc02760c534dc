//! A run of a bench: its rows, the peer beside it, and how long each measurement lasts.

use anyhow::Result;
use serde_json::Value;

use crate::output::{Options, Output};
use crate::peer::{Case, Peer};
use crate::row::Row;
use crate::timing::{median, repetitions_for, seconds_per_repetition, side_by_side};

/// What the measurements of one bench share.
pub struct Bench {
    /// Where the rows go.
    pub output: Output,
    /// The peers' process, if there is one.
    pub peer: Option<Peer>,
    /// Only to show that everything runs?
    pub quick: bool,
    options: Options,
    rounds: usize,
    seconds: f64,
}

/// The unit of a row of times, and how many of them a second has.
pub type Unit = (&'static str, f64);

/// Milliseconds.
pub const MILLISECONDS: Unit = ("ms", 1e3);

impl Bench {
    /// Starts the peers on so many threads; `rounds` of some `seconds` for each measurement, fewer and shorter ones if quick.
    ///
    /// # Errors
    /// The output file or the peers cannot be opened.
    pub fn start(options: &Options, threads: usize, rounds: usize, seconds: f64) -> Result<Self> {
        let quick = options.quick;
        let (rounds, seconds) = if quick { (3, 0.02) } else { (rounds, seconds) };
        let (output, peer) = (Output::new(options)?, Peer::start(threads)?);
        Ok(Bench { output, peer, quick, options: options.clone(), rounds, seconds })
    }

    /// Is the measurement of this name asked for?
    pub fn wants(&self, name: &str) -> bool {
        self.options.wants(name)
    }

    /// Median seconds of our own work.
    ///
    /// # Errors
    /// The first error of `work`.
    pub fn time(&self, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
        let repetitions = repetitions_for(self.seconds, &mut work)?;
        let round = |_| seconds_per_repetition(repetitions, &mut work);
        Ok(median((0..self.rounds).map(round).collect::<Result<_>>()?))
    }

    /// A peer's case; `None` without peers.
    ///
    /// # Errors
    /// The peer does not know it, or is not installed.
    pub fn load(&mut self, case: &str, parameters: Value) -> Result<Option<Case>> {
        self.peer.as_mut().map(|peer| peer.load(case, parameters)).transpose()
    }

    /// A row of our time, the peer's beside it if there is a case. Gives ours, in the unit.
    ///
    /// # Errors
    /// Ours, or what the peer answers.
    pub fn beside(
        &mut self,
        name: &str,
        case: Option<&Case>,
        limit: Option<f64>,
        (unit, per_second): Unit,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<f64> {
        let t = side_by_side(self.rounds, self.seconds, &mut work, self.peer.as_mut().zip(case))?;
        let ours = t.ours * per_second;
        let row = Row::new(name, unit, ours).spread(t.spread);
        self.output.push(match (t.peer.zip(case), limit) {
            (Some((theirs, case)), limit) => {
                let row = row.against(case.system.clone(), theirs * per_second);
                limit.map_or(row.clone(), |limit| row.ratio_at_most(limit))
            }
            (None, _) => row,
        })?;
        Ok(ours)
    }

    /// Nothing without peers. Else a row that says how far their numbers are from `values`, then one of the times in milliseconds.
    ///
    /// # Errors
    /// Ours, or what the peer answers.
    pub fn against(
        &mut self,
        name: &str,
        (case, parameters): (&str, Value),
        limit: impl Into<Option<f64>>,
        values: &[f64],
        work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let case = peer.load(case, parameters)?;
        peer.run(&case, 1)?;
        let far = apart(values, &peer.values(&case)?);
        let row = Row::new(format!("{name}: numbers apart from {}", case.system), "relative", far);
        self.output.push(row)?;
        let name = format!("{name}, against {}", case.system);
        self.beside(&name, Some(&case), limit.into(), MILLISECONDS, work)?;
        Ok(())
    }
}

/// The largest |a − b| over the largest number of both; ∞ for slices of different lengths, for NaN, and where only one is infinite.
pub fn apart(a: &[f64], b: &[f64]) -> f64 {
    let size =
        |x: &[f64]| x.iter().filter(|x| x.is_finite()).fold(1e-300f64, |m, x| m.max(x.abs()));
    let scale = size(a).max(size(b));
    let far = |(&a, &b): (&f64, &f64)| match a == b {
        true => 0.0,
        false if a.is_finite() && b.is_finite() => (a - b).abs() / scale,
        false => f64::INFINITY,
    };
    match a.len() == b.len() {
        true => a.iter().zip(b).map(far).fold(0.0, f64::max),
        false => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn distances_are_relative_and_of_equal_lengths() {
        let far = f64::INFINITY;
        assert_eq!(apart(&[3.0, 4.0], &[3.0, 2.0]), 0.5);
        assert_eq!(apart(&[far, 1.0], &[far, 1.0]), 0.0);
        assert_eq!(apart(&[far, 1.0], &[0.0, 1.0]), far);
        assert_eq!(apart(&[f64::NAN], &[f64::NAN]), far);
        assert_eq!(apart(&[1.0], &[1.0, 2.0]), far);
    }
}
