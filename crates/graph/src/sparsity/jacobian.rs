//! Sparse Jacobians: prepared once, evaluated often.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Function, Wrt};

use super::options::{cheapest, colored, lanes};
use super::pushes::{Flat, Pushes};
use super::sweep::{Sweep, countable, length};
use super::{Coloring, Mode, Pattern, PlanOptions, Source};
use crate::{Error, Result, Tape};

/// How the entries of a Jacobian J of f: ℝⁿ → ℝᵐ are found: pattern, colours, tapes and buffers, made once.
///
/// ```
/// use pullback_graph::Tape;
/// use pullback_graph::sparsity::{JacobianPlan, PlanOptions};
/// # fn main() -> pullback_graph::Result<()> {
/// let tape = Tape::record(3, |x| (0..2).map(|i| x[i + 1] - x[i] * x[i]).collect())?;
/// let mut plan = JacobianPlan::new(&tape, PlanOptions::default())?;
/// let (mut y, mut j) = ([0.0; 2], [0.0; 4]);
/// plan.value_and_jacobian(&[1.0, 2.0, 3.0], &mut y, &mut j)?;
/// assert_eq!((y, j), ([1.0, -1.0], [-2.0, 1.0, -4.0, 1.0]));
/// assert_eq!(plan.pattern().places().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 1), (1, 2)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JacobianPlan {
    hash: Option<u64>,
    inputs: usize,
    outputs: usize,
    pattern: Pattern,
    coloring: Coloring,
    mode: Mode,
    engine: Engine,
    /// Where values go that nobody asked for.
    unused: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Engine {
    /// Points at once, and the tapes that find the entries.
    Tape(usize, Vec<Sweep>),
    Function(Box<Pushes>),
}

impl JacobianPlan {
    /// Prepares the Jacobian of a tape.
    ///
    /// # Errors
    /// `Invalid` if there are more numbers than 32 bits count.
    pub fn new(tape: &Tape, options: PlanOptions) -> Result<Self> {
        let (n, m) = (tape.inputs(), tape.outputs());
        let structure = tape.structure(0..m);
        let pattern = structure.pattern;
        let (mode, coloring) = match options.mode {
            Mode::Auto | Mode::Symbolic => {
                let (mode, coloring) = cheapest(&pattern, options.order);
                let written = (tape.len() + 2 * structure.work) as f64;
                let sweeps = 3.0 * lanes(coloring.pushes()) + 4.0 * lanes(coloring.pulls());
                let written =
                    options.mode == Mode::Symbolic || written <= sweeps * tape.len() as f64;
                (if written { Mode::Symbolic } else { mode }, coloring)
            }
            mode => (mode, colored(&pattern, mode, options.order)),
        };
        // Without entries there is nothing to sweep for; the values are still wanted.
        let mode = if pattern.is_empty() { Mode::Symbolic } else { mode };
        let (points, sweeps) = if mode == Mode::Symbolic {
            let (both, places) = tape.value_and_jacobian();
            countable("Jacobian", 1, both.outputs())?;
            let reads = reads(&places, &pattern, m)?;
            let points = Sweep::points(1);
            (points, vec![Sweep::new(both, &[], points, reads)])
        } else {
            swept(tape, &pattern, &coloring)?
        };
        Ok(JacobianPlan {
            hash: Some(tape.hash()),
            inputs: n,
            outputs: m,
            pattern,
            coloring,
            mode,
            engine: Engine::Tape(points, sweeps),
            unused: vec![0.0; m],
        })
    }

    /// Prepares the Jacobian of any function around the inputs `x`: n numbers in the inputs marked in `wrt`, one after the other, m
    /// numbers in all outputs. The other inputs keep the values given here.
    ///
    /// Where entries may be other than zero is for the caller to say; [`Pattern::full`] is always right. An evaluation linearizes once
    /// and sweeps all directions by `push_many` and `pull_many`; it allocates tensors.
    ///
    /// # Errors
    /// Those of `f`; `Invalid` for a pattern of another size, or `Mode::Symbolic`.
    pub fn of_function(
        f: Arc<dyn Function>,
        x: &[Tensor],
        wrt: Wrt<'_>,
        pattern: Pattern,
        options: PlanOptions,
    ) -> Result<Self> {
        let (mode, coloring) = match options.mode {
            Mode::Symbolic => {
                return Err(Error::invalid(f.name(), "only a tape can be written out"));
            }
            Mode::Auto => cheapest(&pattern, options.order),
            mode => (mode, colored(&pattern, mode, options.order)),
        };
        let flat = Flat::new(f, x, wrt)?;
        flat.check(&pattern)?;
        let (inputs, outputs) = (flat.inputs, flat.outputs);
        let sources = coloring.sources(&pattern)?;
        let engine = Pushes::new(flat, &pattern, &coloring, 0, &sources)?;
        let engine = Engine::Function(Box::new(engine));
        let unused = vec![0.0; outputs];
        Ok(JacobianPlan { hash: None, inputs, outputs, pattern, coloring, mode, engine, unused })
    }

    /// Where the entries stand: m rows, n columns. Values come in its order.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The colours; of a plan that is written out, those of the sweeps that it would make.
    pub fn coloring(&self) -> &Coloring {
        &self.coloring
    }

    /// How the entries are found; never `Auto`.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Instructions of an evaluation: those of each tape, times its sweeps. 0 for a function, which is not made of instructions.
    pub fn instructions(&self) -> usize {
        let Engine::Tape(_, sweeps) = &self.engine else { return 0 };
        let each = |s: &Sweep| s.instructions() * s.directions();
        sweeps.iter().map(each).sum()
    }

    /// [`Tape::hash`] of the tape that it is for; `None` for a function.
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// Is it the plan of this tape?
    ///
    /// # Errors
    /// `ForeignTape` if not; `Invalid` for the plan of a function.
    pub fn check(&self, tape: &Tape) -> Result<()> {
        let Some(expected) = self.hash else {
            return Err(Error::invalid("the Jacobian plan", "is for a function, not for a tape"));
        };
        let got = tape.hash();
        if expected == got {
            return Ok(());
        }
        Err(Error::ForeignTape { what: "the Jacobian plan", expected, got })
    }

    /// y ← f(x) and j ← the entries of J(x), in the order of [`JacobianPlan::pattern`], in one evaluation.
    ///
    /// # Errors
    /// `Length`; `OutputNotFinite` with the value, `Invalid` with the entry that is NaN or infinite; those of the function.
    pub fn value_and_jacobian(&mut self, x: &[f64], y: &mut [f64], j: &mut [f64]) -> Result<()> {
        self.run(1, x, y, j)
    }

    /// j ← the entries of J(x).
    ///
    /// # Errors
    /// As [`JacobianPlan::value_and_jacobian`]: the values are computed too, and have to be finite.
    pub fn jacobian(&mut self, x: &[f64], j: &mut [f64]) -> Result<()> {
        let mut y = std::mem::take(&mut self.unused);
        let result = self.run(1, x, &mut y, j);
        self.unused = y;
        result
    }

    /// Values and entries of `batch` points: `x` batch × n, `y` batch × m, `j` batch × entries, row-major.
    ///
    /// # Errors
    /// As [`JacobianPlan::value_and_jacobian`].
    pub fn run(&mut self, batch: usize, x: &[f64], y: &mut [f64], j: &mut [f64]) -> Result<()> {
        let (n, m, entries) = (self.inputs, self.outputs, self.pattern.len());
        length("inputs", batch.saturating_mul(n), x.len())?;
        length("outputs", batch.saturating_mul(m), y.len())?;
        length("Jacobian entries", batch.saturating_mul(entries), j.len())?;
        if n + m == 0 {
            return Ok(());
        }
        match &mut self.engine {
            Engine::Function(pushes) => (0..batch).try_for_each(|k| {
                let (y, j) = (&mut y[k * m..(k + 1) * m], &mut j[k * entries..(k + 1) * entries]);
                j.fill(0.0);
                pushes.run(&x[k * n..(k + 1) * n], y, j).map_err(|error| match error {
                    Error::OutputNotFinite { output, value, cause, .. } => {
                        Error::OutputNotFinite { output, sample: k, value, cause }
                    }
                    other => other,
                })
            }),
            Engine::Tape(points, sweeps) => {
                for first in (0..batch).step_by(*points) {
                    let count = (*points).min(batch - first);
                    for (k, sweep) in sweeps.iter_mut().enumerate() {
                        let part = &x[first * n..(first + count) * n];
                        sweep.run(count, &[part]).map_err(|error| {
                            sweep.explained(error, m, first, "Jacobian", &self.pattern)
                        })?;
                        for point in 0..count {
                            let at = first + point;
                            let j = &mut j[at * entries..(at + 1) * entries];
                            if k == 0 {
                                sweep.values(point, 0, &mut y[at * m..(at + 1) * m]);
                                j.fill(0.0);
                            }
                            sweep.entries(point, j);
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

/// "Jacobian 986×700, 3758 entries: written out, 42000 instructions (otherwise 8 forward and 0 backward sweeps)"
impl std::fmt::Display for JacobianPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (m, n, entries) = (self.outputs, self.inputs, self.pattern.len());
        let (pushes, pulls) = (self.coloring.pushes(), self.coloring.pulls());
        write!(f, "Jacobian {m}×{n}, {entries} entries: {}", self.mode.word())?;
        if let Engine::Tape(..) = self.engine {
            write!(f, ", {} instructions", self.instructions())?;
        }
        let otherwise = if self.mode == Mode::Symbolic { "otherwise " } else { "" };
        write!(f, " ({otherwise}{pushes} forward and {pulls} backward sweeps)")
    }
}

/// Where a derivative tape's entries go, which follow `values` other outputs.
pub(super) fn reads(places: &Pattern, pattern: &Pattern, values: usize) -> Result<Vec<(u32, u32)>> {
    let read = |((i, j), k): ((usize, usize), usize)| match pattern.position(i, j) {
        Some(entry) => Ok((entry as u32, (values + k) as u32)),
        None => Err(Error::invalid("pattern", format!("entry ({i}, {j}) is not in it"))),
    };
    places.places().zip(0..).map(read).collect()
}

/// The forward tape with a direction for each colour of the columns, the backward tape with one for each colour of the rows.
fn swept(tape: &Tape, pattern: &Pattern, coloring: &Coloring) -> Result<(usize, Vec<Sweep>)> {
    let (n, m) = (tape.inputs(), tape.outputs());
    let (p, q) = (coloring.pushes(), coloring.pulls());
    countable("Jacobian", p, 2 * m)?;
    countable("Jacobian", q, n + m)?;
    let (mut pushed, mut pulled) = (Vec::new(), Vec::new());
    for (source, entry) in coloring.sources(pattern)?.into_iter().zip(0..) {
        match source {
            Source::Push { color, row } => pushed.push((entry, (color * 2 * m + m + row) as u32)),
            Source::Pull { color, column } => {
                pulled.push((entry, (color * (n + m) + m + column) as u32));
            }
        }
    }
    let points = Sweep::points(p.max(q));
    let mut sweeps = Vec::new();
    if 0 < p {
        let directions = directions(p, n, |j| coloring.of_column(j));
        sweeps.push(Sweep::new(tape.forward(), &directions, points, pushed));
    }
    if 0 < q {
        let directions = directions(q, m, |i| coloring.of_row(i));
        sweeps.push(Sweep::new(tape.reverse(), &directions, points, pulled));
    }
    Ok((points, sweeps))
}

/// For each colour, 1 where it is.
pub(super) fn directions(
    colors: usize,
    n: usize,
    of: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<f64>> {
    let mut directions = vec![vec![0.0; n]; colors];
    (0..n).for_each(|i| {
        if let Some(color) = of(i) {
            directions[color][i] = 1.0;
        }
    });
    directions
}
