//! A tape that is run for several directions at one point: directions are samples of one batch, with their places prepared.

use super::Pattern;
use crate::{Error, Result, Tape, Workspace};

/// Samples of a group; a point with few directions shares it with other points.
pub(super) const GROUP: usize = 16;

/// A tape (x, direction) ↦ (values, entries), its directions, and where in its results the entries stand.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    tape: Tape,
    workspace: Workspace,
    /// Directions of a point, at least 1.
    directions: usize,
    /// points × directions × (point, direction)
    x: Vec<f64>,
    y: Vec<f64>,
    /// (entry, position among the results of a point)
    reads: Vec<(u32, u32)>,
}

impl Sweep {
    /// For up to `points` points at once; each direction fills the tape's last inputs.
    pub(super) fn new(
        tape: Tape,
        directions: &[Vec<f64>],
        points: usize,
        reads: Vec<(u32, u32)>,
    ) -> Self {
        let (n, count) = (tape.inputs(), directions.len().max(1));
        let mut x = vec![0.0; points * count * n];
        for block in x.chunks_mut((count * n).max(1)) {
            for (sample, d) in block.chunks_mut(n.max(1)).zip(directions) {
                sample[n - d.len()..].copy_from_slice(d);
            }
        }
        let y = vec![0.0; points * count * tape.outputs()];
        Sweep { workspace: Workspace::new(&tape), tape, directions: count, x, y, reads }
    }

    /// How many points at once.
    pub(super) fn points(directions: usize) -> usize {
        (GROUP / directions.max(1)).max(1)
    }

    pub(super) fn directions(&self) -> usize {
        self.directions
    }

    pub(super) fn instructions(&self) -> usize {
        self.tape.len()
    }

    /// Runs for each point; a point is given in parts, each a slice of all points' numbers.
    pub(super) fn run(&mut self, points: usize, parts: &[&[f64]]) -> Result<()> {
        let samples = points * self.directions;
        let n = self.tape.inputs();
        for (k, sample) in self.x.chunks_mut(n.max(1)).take(samples).enumerate() {
            let (point, mut at) = (k / self.directions, 0);
            for part in parts {
                let each = part.len() / points.max(1);
                sample[at..at + each].copy_from_slice(&part[point * each..][..each]);
                at += each;
            }
        }
        let (x, y) = (&self.x[..samples * n], &mut self.y[..samples * self.tape.outputs()]);
        self.tape.run(samples, x, y, &mut self.workspace)
    }

    /// The first `values.len()` results, from output `first`, of a point's first direction.
    pub(super) fn values(&self, point: usize, first: usize, values: &mut [f64]) {
        let from = point * self.directions * self.tape.outputs() + first;
        values.copy_from_slice(&self.y[from..from + values.len()]);
    }

    /// The entries of a point.
    pub(super) fn entries(&self, point: usize, entries: &mut [f64]) {
        let each = self.directions * self.tape.outputs();
        let results = &self.y[point * each..(point + 1) * each];
        self.reads.iter().for_each(|&(to, from)| entries[to as usize] = results[from as usize]);
    }

    /// An error of [`Sweep::run`] with what the number is: one of the first `values` outputs, or an entry.
    pub(super) fn explained(
        &self,
        error: Error,
        values: usize,
        first: usize,
        what: &str,
        pattern: &Pattern,
    ) -> Error {
        let Error::OutputNotFinite { output, sample, value, cause } = error else { return error };
        let (point, direction) = (sample / self.directions, sample % self.directions);
        let sample = first + point;
        if output < values {
            return Error::OutputNotFinite { output, sample, value, cause };
        }
        let results = &self.y[point * self.directions * self.tape.outputs()..];
        let at = (direction * self.tape.outputs() + output) as u32;
        // A number that is no entry is 0·∞, beside an entry that is ∞.
        let bad = |&&(_, from): &&(u32, u32)| !results[from as usize].is_finite();
        let read = self.reads.iter().find(|&&(_, from)| from == at);
        let read = read.or_else(|| self.reads.iter().find(bad));
        let value = read.map_or(value, |&(_, from)| results[from as usize]);
        let place = read.and_then(|&(entry, _)| pattern.places().nth(entry as usize));
        let place = match place {
            Some((i, j)) => format!("{what}: entry ({i}, {j}) of sample {sample}"),
            None => format!(
                "{what}: number {} of sweep {direction} of sample {sample}",
                output - values
            ),
        };
        Error::invalid(place, format!("is {value}{cause}"))
    }
}

/// A slice has the length that is asked for.
pub(super) fn length(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

/// Positions fit the prepared lists.
pub(super) fn countable(what: &str, directions: usize, outputs: usize) -> Result<()> {
    match directions.checked_mul(outputs) {
        Some(size) if size < u32::MAX as usize => Ok(()),
        _ => Err(Error::invalid(
            what,
            format!("{directions} sweeps of {outputs} numbers are too many"),
        )),
    }
}
