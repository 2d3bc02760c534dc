//! Sparse Hessians: prepared once, evaluated often.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Function, Wrt, function};

use super::jacobian::{directions, reads};
use super::options::lanes;
use super::pushes::{Flat, Pushes};
use super::sweep::{Sweep, countable, length};
use super::{Coloring, Mode, Pattern, PlanOptions, Source};
use crate::{Error, Result, Tape};

/// How the entries of the Hessian of Σ λᵢ·fᵢ(x), f: ℝⁿ → ℝᵐ, are found: pattern, star colours, tapes and buffers, made once.
///
/// Entries are those of the lower triangle, in the order of [`HessianPlan::pattern`].
///
/// ```
/// use pullback_graph::Tape;
/// use pullback_graph::sparsity::{HessianPlan, PlanOptions};
/// # fn main() -> pullback_graph::Result<()> {
/// let tape = Tape::record(2, |x| vec![x[0] * x[0] * x[1]])?;
/// let mut plan = HessianPlan::new(&tape, PlanOptions::default())?;
/// let (mut y, mut g, mut h) = ([0.0], [0.0; 2], [0.0; 2]);
/// plan.value_gradient_hessian(&[3.0, 2.0], &[1.0], &mut y, &mut g, &mut h)?;
/// assert_eq!((y, g, h), ([18.0], [12.0, 9.0], [4.0, 6.0]));
/// assert_eq!(plan.pattern().places().collect::<Vec<_>>(), [(0, 0), (1, 0)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HessianPlan {
    hash: Option<u64>,
    inputs: usize,
    outputs: usize,
    pattern: Pattern,
    coloring: Coloring,
    mode: Mode,
    engine: Engine,
    /// Where values and gradients go that nobody asked for.
    unused: (Vec<f64>, Vec<f64>),
}

#[derive(Debug, Clone)]
enum Engine {
    Tape(usize, Box<Sweep>),
    /// With room for the value and the gradient.
    Function(Box<Pushes>, Vec<f64>),
}

impl HessianPlan {
    /// Prepares the Hessian of a tape: written out, or forward over its backward tape with star colours.
    ///
    /// # Errors
    /// `Invalid` for `Mode::Reverse` and `Mode::Mixed`, or if there are more numbers than 32 bits count.
    pub fn new(tape: &Tape, options: PlanOptions) -> Result<Self> {
        allowed(options.mode)?;
        let (n, m) = (tape.inputs(), tape.outputs());
        let reverse = tape.reverse();
        let structure = reverse.gradient_structure(n);
        let full = structure.pattern;
        let coloring = Coloring::symmetric(&full, options.order)?;
        let (k, pattern) = (reverse.len(), full.lower());
        let written = (k + structure.work) as f64 <= 3.0 * lanes(coloring.colors()) * k as f64;
        let written = match options.mode {
            Mode::Auto => written,
            mode => mode == Mode::Symbolic,
        } || full.is_empty();
        let values = m + n;
        let (points, sweep) = if written {
            let (entries, places) = tape.hessian();
            countable("Hessian", 1, values + entries.outputs())?;
            let reads = reads(&places, &pattern, values)?;
            let points = Sweep::points(1);
            (points, Sweep::new(reverse.beside(&entries), &[], points, reads))
        } else {
            let each = values + n;
            countable("Hessian", coloring.colors(), each)?;
            let reads = lower_sources(&coloring, &full)?
                .zip(0..)
                .map(|((color, row), entry)| (entry, (color * each + values + row) as u32))
                .collect();
            let directions = directions(coloring.colors(), n, |j| coloring.of_column(j));
            let points = Sweep::points(directions.len());
            (points, Sweep::new(reverse.forward_in_first(n), &directions, points, reads))
        };
        Ok(HessianPlan {
            hash: Some(tape.hash()),
            inputs: n,
            outputs: m,
            pattern,
            coloring,
            mode: if written { Mode::Symbolic } else { Mode::Forward },
            engine: Engine::Tape(points, Box::new(sweep)),
            unused: (vec![0.0; m], vec![0.0; n]),
        })
    }

    /// Prepares the Hessian of any function with one number as its output, around the inputs `x`: n numbers in the inputs marked in
    /// `wrt`, one after the other. The other inputs keep the values given here.
    ///
    /// `pattern` is symmetric, n×n; [`Pattern::full`] is always right. An evaluation records the gradient and pushes one direction for
    /// each star colour through it; it allocates tensors.
    ///
    /// # Errors
    /// Those of `f`; `Invalid` for another number of outputs, another pattern, or a mode other than `Auto` and `Forward`.
    pub fn of_function(
        f: Arc<dyn Function>,
        x: &[Tensor],
        wrt: Wrt<'_>,
        pattern: &Pattern,
        options: PlanOptions,
    ) -> Result<Self> {
        allowed(options.mode)?;
        if options.mode == Mode::Symbolic {
            return Err(Error::invalid(f.name(), "only a tape can be written out"));
        }
        let marks: Vec<bool> = (0..x.len()).map(|i| wrt.needs(i)).collect();
        let value = Flat::new(f.clone(), x, wrt)?;
        let n = value.inputs;
        if value.outputs != 1 {
            let what = format!("a Hessian is one of 1 number, not of {}", value.outputs);
            return Err(Error::invalid(f.name(), what));
        }
        if (pattern.rows(), pattern.columns()) != (n, n) {
            let what = format!("a pattern of {}×{} for {n}×{n}", pattern.rows(), pattern.columns());
            return Err(Error::invalid(f.name(), what));
        }
        let name = format!("gradient of {}", f.name());
        let gradient = function(name, move |g, v| {
            let y = g.apply(&f, v)?.first().copied();
            let y = y.ok_or_else(|| pullback_core_graph::Error::invalid(f.name(), "no output"))?;
            let marked: Vec<_> =
                v.iter().zip(&marks).filter(|(_, wanted)| **wanted).map(|(x, _)| *x).collect();
            let slopes = g.record_gradient(y.sum(()), &marked)?;
            Ok(std::iter::once(y).chain(slopes).collect())
        });
        let coloring = Coloring::symmetric(pattern, options.order)?;
        let sources: Vec<Source> = lower_sources(&coloring, pattern)?
            .map(|(color, row)| Source::Push { color, row })
            .collect();
        let flat = Flat::new(gradient, x, wrt)?;
        let pushes = Pushes::new(flat, pattern, &coloring, 1, &sources)?;
        Ok(HessianPlan {
            hash: None,
            inputs: n,
            outputs: 1,
            pattern: pattern.lower(),
            coloring,
            mode: Mode::Forward,
            engine: Engine::Function(Box::new(pushes), vec![0.0; 1 + n]),
            unused: (vec![0.0], vec![0.0; n]),
        })
    }

    /// Where the entries of the lower triangle stand: n rows and columns. Values come in its order.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The star colours; of a plan that is written out, those of the sweeps that it would make.
    pub fn coloring(&self) -> &Coloring {
        &self.coloring
    }

    /// How the entries are found: `Symbolic` or `Forward`.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Instructions of an evaluation: those of the tape, times its sweeps. 0 for a function, which is not made of instructions.
    pub fn instructions(&self) -> usize {
        let Engine::Tape(_, sweep) = &self.engine else { return 0 };
        sweep.instructions() * sweep.directions()
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
            return Err(Error::invalid("the Hessian plan", "is for a function, not for a tape"));
        };
        let got = tape.hash();
        if expected == got {
            return Ok(());
        }
        Err(Error::ForeignTape { what: "the Hessian plan", expected, got })
    }

    /// h ← the entries of ∇²Σ λᵢ·fᵢ(x).
    ///
    /// # Errors
    /// As [`HessianPlan::value_gradient_hessian`].
    pub fn hessian(&mut self, x: &[f64], lambda: &[f64], h: &mut [f64]) -> Result<()> {
        let (mut y, mut g) = std::mem::take(&mut self.unused);
        let result = self.run(1, x, lambda, &mut y, &mut g, h);
        self.unused = (y, g);
        result
    }

    /// y ← f(x), g ← ∇Σ λᵢ·fᵢ(x), h ← the entries of its Hessian, in one evaluation.
    ///
    /// # Errors
    /// `Length`; `OutputNotFinite` with the value, or m plus the number of the slope, that is NaN or infinite; `Invalid` with the entry
    /// that is; those of the function.
    pub fn value_gradient_hessian(
        &mut self,
        x: &[f64],
        lambda: &[f64],
        y: &mut [f64],
        g: &mut [f64],
        h: &mut [f64],
    ) -> Result<()> {
        self.run(1, x, lambda, y, g, h)
    }

    /// The same of `batch` points: `x` batch × n, `lambda` and `y` batch × m, `g` batch × n, `h` batch × entries, row-major.
    ///
    /// # Errors
    /// As [`HessianPlan::value_gradient_hessian`].
    pub fn run(
        &mut self,
        batch: usize,
        x: &[f64],
        lambda: &[f64],
        y: &mut [f64],
        g: &mut [f64],
        h: &mut [f64],
    ) -> Result<()> {
        let (n, m, entries) = (self.inputs, self.outputs, self.pattern.len());
        length("inputs", batch.saturating_mul(n), x.len())?;
        length("multipliers", batch.saturating_mul(m), lambda.len())?;
        length("outputs", batch.saturating_mul(m), y.len())?;
        length("gradient", batch.saturating_mul(n), g.len())?;
        length("Hessian entries", batch.saturating_mul(entries), h.len())?;
        if n + m == 0 {
            return Ok(());
        }
        h.fill(0.0);
        match &mut self.engine {
            Engine::Function(pushes, both) => {
                for k in 0..batch {
                    let h = &mut h[k * entries..(k + 1) * entries];
                    pushes.run(&x[k * n..(k + 1) * n], both, h)?;
                    let factor = lambda[k];
                    y[k] = both[0];
                    let g = &mut g[k * n..(k + 1) * n];
                    g.iter_mut().zip(&both[1..]).for_each(|(g, slope)| *g = factor * slope);
                    h.iter_mut().for_each(|h| *h *= factor);
                    let all = g.iter().chain(h.iter());
                    if let Some(value) = all.copied().find(|v| !v.is_finite()) {
                        let what = format!("sample {k}, with the multiplier {factor}: {value}");
                        return Err(Error::invalid("the Hessian plan", what));
                    }
                }
            }
            Engine::Tape(points, sweep) => {
                for first in (0..batch).step_by(*points) {
                    let count = (*points).min(batch - first);
                    let own = |of: usize| first * of..(first + count) * of;
                    sweep.run(count, &[&x[own(n)], &lambda[own(m)]]).map_err(|error| {
                        sweep.explained(error, m + n, first, "Hessian", &self.pattern)
                    })?;
                    for point in 0..count {
                        let at = first + point;
                        sweep.values(point, 0, &mut y[at * m..(at + 1) * m]);
                        sweep.values(point, m, &mut g[at * n..(at + 1) * n]);
                        sweep.entries(point, &mut h[at * entries..(at + 1) * entries]);
                    }
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for HessianPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (n, entries) = (self.inputs, self.pattern.len());
        write!(
            f,
            "Hessian {n}×{n}, {entries} entries on and below the diagonal: {}",
            self.mode.word()
        )?;
        if let Engine::Tape(..) = self.engine {
            write!(f, ", {} instructions", self.instructions())?;
        }
        let otherwise = if self.mode == Mode::Symbolic { "otherwise " } else { "" };
        write!(f, " ({otherwise}{} forward sweeps over the gradient)", self.coloring.colors())
    }
}

fn allowed(mode: Mode) -> Result<()> {
    match mode {
        Mode::Auto | Mode::Forward | Mode::Symbolic => Ok(()),
        other => {
            let what = format!("{other:?} is no way to sweep: a gradient is pushed forward");
            Err(Error::invalid("Hessian plan", what))
        }
    }
}

/// (colour, row) of each entry of the lower triangle.
fn lower_sources(
    coloring: &Coloring,
    full: &Pattern,
) -> Result<impl Iterator<Item = (usize, usize)>> {
    let sources = coloring.sources(full)?;
    let lower = full.places().map(|(i, j)| j <= i).collect::<Vec<_>>();
    let kept = sources.into_iter().zip(lower).filter(|(_, lower)| *lower);
    Ok(kept.filter_map(|(source, _)| match source {
        Source::Push { color, row } => Some((color, row)),
        Source::Pull { .. } => None,
    }))
}
