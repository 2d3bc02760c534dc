//! Running a tape: one sample, or a batch over SIMD lanes; rows of outputs, or their sums over the samples.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::machine::{Register, Run, Sink, Source, registers};
use super::program::Program;
use super::{Tape, grouped, program};
use crate::{Error, Result};

/// Most samples that the machine works on at once.
const LANES: usize = 32;
/// Bytes of registers that stay close to the processor: with more of them, fewer samples go at once.
const CLOSE: usize = 16 << 10;
/// Samples of one parallel task: fixed, so that nothing depends on the number of threads.
const TASK: usize = 256;
/// Fewer samples than this run one at a time.
const FEW: usize = 4;

/// The programs of a tape, each made when it is first run.
#[derive(Debug, Default)]
pub(super) struct Programs {
    batch: OnceLock<Program>,
    /// For one sample at a time; `None` where the batch's program is as good on one lane.
    single: OnceLock<Option<Program>>,
}

/// Registers of one thread: made once, used for any number of calls of one tape without another allocation.
///
/// What a kind of call needs is allocated at the first such call.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    hash: u64,
    wide: Vec<Register<LANES>>,
    middle: Vec<Register<{ LANES / 2 }>>,
    narrow: Vec<Register<1>>,
    grouped: Vec<Register<{ grouped::LANES }>>,
    sums: Sums,
}

/// A register for each sum, of the lanes that the tape takes.
#[derive(Debug, Clone, Default)]
struct Sums {
    wide: Vec<Register<LANES>>,
    middle: Vec<Register<{ LANES / 2 }>>,
}

impl Workspace {
    /// For `tape`.
    pub fn new(tape: &Tape) -> Self {
        Workspace { hash: tape.hash(), ..Workspace::default() }
    }
}

/// The registers, made at the first call.
fn ready<'a, const L: usize>(
    registers_of: &'a mut Vec<Register<L>>,
    program: &Program,
) -> &'a mut [Register<L>] {
    if registers_of.is_empty() {
        *registers_of = registers(program);
    }
    registers_of
}

impl Tape {
    pub(super) fn batch_program(&self) -> &Program {
        self.programs.batch.get_or_init(|| program::compile(&self.nodes, &self.outputs))
    }

    fn single_program(&self) -> Option<&Program> {
        let make = || grouped::compile(&self.nodes, &self.outputs);
        self.programs.single.get_or_init(make).as_ref()
    }

    /// Values of `batch` samples: `x` is batch × inputs, `y` batch × outputs, row-major.
    ///
    /// # Errors
    /// `Length` of a slice; `ForeignTape`; `OutputNotFinite` with the first output that is NaN or infinite.
    pub fn run(
        &self,
        batch: usize,
        x: &[f64],
        y: &mut [f64],
        workspace: &mut Workspace,
    ) -> Result<()> {
        self.run_shared(batch, &[], x, y, workspace)
    }

    /// As [`Tape::run`], where the first inputs, `shared`, are the same for all samples: `x` is batch × the others.
    ///
    /// # Errors
    /// As [`Tape::run`].
    pub fn run_shared(
        &self,
        batch: usize,
        shared: &[f64],
        x: &[f64],
        y: &mut [f64],
        workspace: &mut Workspace,
    ) -> Result<()> {
        let row = self.check(batch, shared, x)?;
        self.check_outputs(batch, y)?;
        self.check_own(workspace)?;
        self.rows(Source { shared, x, row, count: batch }, y, workspace);
        self.check_finite(y)
    }

    /// As [`Tape::run`], on rayon's current threads. The numbers do not depend on how many there are.
    ///
    /// # Errors
    /// As [`Tape::run`].
    pub fn run_parallel(&self, batch: usize, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.run_shared_parallel(batch, &[], x, y)
    }

    /// As [`Tape::run_shared`], on rayon's current threads. The numbers do not depend on how many there are.
    ///
    /// # Errors
    /// As [`Tape::run`].
    pub fn run_shared_parallel(
        &self,
        batch: usize,
        shared: &[f64],
        x: &[f64],
        y: &mut [f64],
    ) -> Result<()> {
        let row = self.check(batch, shared, x)?;
        self.check_outputs(batch, y)?;
        let m = self.outputs.len();
        if m == 0 {
            return Ok(());
        }
        y.par_chunks_mut(m * TASK).enumerate().for_each_init(
            || Workspace::new(self),
            |workspace, (task, y)| {
                let source = Source { shared, x, row, count: batch }.task(task);
                self.rows(source, y, workspace);
            },
        );
        self.check_finite(y)
    }

    /// Σ over `batch` samples of every output, where the first inputs, `shared`, are the same for all samples: `sums` has one number
    /// for each output. The order of the additions is fixed.
    ///
    /// # Errors
    /// As [`Tape::run`]; the sample of a sum that is not finite is 0.
    pub fn sum_shared(
        &self,
        batch: usize,
        shared: &[f64],
        x: &[f64],
        sums: &mut [f64],
        workspace: &mut Workspace,
    ) -> Result<()> {
        let row = self.check(batch, shared, x)?;
        self.check_sums(sums)?;
        self.check_own(workspace)?;
        sums.fill(0.0);
        let all = Source { shared, x, row, count: batch };
        for task in 0..batch.div_ceil(TASK) {
            self.sums(all.task(task), sums, workspace);
        }
        self.check_finite(sums)
    }

    /// As [`Tape::sum_shared`], on rayon's current threads: the same bits.
    ///
    /// # Errors
    /// As [`Tape::sum_shared`].
    pub fn sum_shared_parallel(
        &self,
        batch: usize,
        shared: &[f64],
        x: &[f64],
        sums: &mut [f64],
    ) -> Result<()> {
        let row = self.check(batch, shared, x)?;
        self.check_sums(sums)?;
        let (m, all) = (self.outputs.len(), Source { shared, x, row, count: batch });
        let mut parts = vec![0.0; m * batch.div_ceil(TASK)];
        parts.par_chunks_mut(m.max(1)).enumerate().for_each_init(
            || Workspace::new(self),
            |workspace, (task, part)| self.sums(all.task(task), part, workspace),
        );
        sums.fill(0.0);
        for part in parts.chunks(m.max(1)) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        self.check_finite(sums)
    }

    /// Values of one sample.
    ///
    /// # Errors
    /// As [`Tape::run`].
    pub fn eval(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut y = vec![0.0; self.outputs.len()];
        self.run(1, x, &mut y, &mut Workspace::new(self))?;
        Ok(y)
    }

    /// The length of a row of inputs that are not shared.
    fn check(&self, batch: usize, shared: &[f64], x: &[f64]) -> Result<usize> {
        let Some(row) = self.inputs.checked_sub(shared.len()) else {
            let (expected, got) = (self.inputs, shared.len());
            return Err(Error::Length { what: "shared inputs, at most,", expected, got });
        };
        let expected = batch.saturating_mul(row);
        match expected == x.len() {
            true => Ok(row),
            false => Err(Error::Length { what: "inputs", expected, got: x.len() }),
        }
    }

    fn check_outputs(&self, batch: usize, y: &[f64]) -> Result<()> {
        let expected = batch.saturating_mul(self.outputs.len());
        match expected == y.len() {
            true => Ok(()),
            false => Err(Error::Length { what: "outputs", expected, got: y.len() }),
        }
    }

    fn check_sums(&self, sums: &[f64]) -> Result<()> {
        match self.outputs.len() == sums.len() {
            true => Ok(()),
            false => {
                let expected = self.outputs.len();
                Err(Error::Length { what: "sums", expected, got: sums.len() })
            }
        }
    }

    fn check_own(&self, workspace: &Workspace) -> Result<()> {
        let (expected, got) = (workspace.hash, self.hash());
        match expected == got {
            true => Ok(()),
            false => Err(Error::ForeignTape { what: "the workspace", expected, got }),
        }
    }

    fn check_finite(&self, y: &[f64]) -> Result<()> {
        if y.iter().fold(true, |good, v| good & v.is_finite()) {
            return Ok(());
        }
        let at = y.iter().position(|v| !v.is_finite()).unwrap_or(0);
        let m = self.outputs.len().max(1);
        Err(Error::OutputNotFinite { output: at % m, sample: at / m, value: y[at] })
    }

    /// How many samples go at once: fixed by the tape.
    fn lanes(&self) -> usize {
        let bytes = 8 * self.batch_program().registers;
        if bytes * LANES <= CLOSE { LANES } else { LANES / 2 }
    }

    /// One row of outputs for each sample.
    fn rows(&self, source: Source<'_>, y: &mut [f64], workspace: &mut Workspace) {
        let m = y.len() / source.count.max(1);
        if m == 0 {
            return;
        }
        // Few samples leave no lane empty; the numbers do not depend on how many there are.
        let lanes = match source.count {
            0..FEW => 1,
            count if count <= LANES / 2 => self.lanes().min(LANES / 2),
            _ => self.lanes(),
        };
        for (group, y) in y.chunks_mut(m * lanes).enumerate() {
            let part = source.part(group * lanes, y.len() / m);
            if part.count < FEW {
                for (i, y) in y.chunks_mut(m).enumerate() {
                    self.one(part.part(i, 1), y, workspace);
                }
                continue;
            }
            let program = self.batch_program();
            match lanes {
                LANES => fill_rows(program, part, y, &mut workspace.wide),
                _ => fill_rows(program, part, y, &mut workspace.middle),
            }
        }
    }

    /// The outputs of one sample.
    fn one(&self, source: Source<'_>, y: &mut [f64], workspace: &mut Workspace) {
        let m = y.len();
        if let Some(program) = self.single_program() {
            let registers = ready(&mut workspace.grouped, program);
            run(Run { program, source, sink: Sink::Rows(y, m), registers });
        } else {
            let program = self.batch_program();
            let registers = ready(&mut workspace.narrow, program);
            run(Run { program, source, sink: Sink::Rows(y, m), registers });
        }
    }

    /// Adds the sums over the samples of one task.
    fn sums(&self, source: Source<'_>, sums: &mut [f64], workspace: &mut Workspace) {
        let (program, Workspace { wide, middle, sums: own, .. }) =
            (self.batch_program(), workspace);
        match self.lanes() {
            LANES => add_sums(program, source, sums, wide, &mut own.wide),
            _ => add_sums(program, source, sums, middle, &mut own.middle),
        }
    }
}

/// Rows of outputs of up to `L` samples.
fn fill_rows<const L: usize>(
    program: &Program,
    source: Source<'_>,
    y: &mut [f64],
    registers: &mut Vec<Register<L>>,
) {
    let (registers, m) = (ready(registers, program), y.len() / source.count);
    run(Run { program, source, sink: Sink::Rows(y, m), registers });
}

/// Adds to `sums` those over all samples, `L` at a time.
fn add_sums<const L: usize>(
    program: &Program,
    source: Source<'_>,
    sums: &mut [f64],
    registers: &mut Vec<Register<L>>,
    lanes: &mut Vec<Register<L>>,
) {
    let registers = ready(registers, program);
    lanes.clear();
    lanes.resize(sums.len(), [0.0; L]);
    for first in (0..source.count).step_by(L) {
        let source = source.part(first, L.min(source.count - first));
        run(Run { program, source, sink: Sink::Sums(lanes), registers });
    }
    for (sum, lanes) in sums.iter_mut().zip(lanes) {
        *sum += lanes.iter().sum::<f64>();
    }
}

fn run<const L: usize>(call: Run<'_, L>) {
    pulp::Arch::new().dispatch(call);
}

impl<'a> Source<'a> {
    /// `count` samples from sample `first` on.
    fn part(self, first: usize, count: usize) -> Source<'a> {
        Source { x: &self.x[first * self.row..(first + count) * self.row], count, ..self }
    }

    /// The samples of a parallel task.
    fn task(self, task: usize) -> Source<'a> {
        let first = task * TASK;
        self.part(first, TASK.min(self.count - first))
    }
}
