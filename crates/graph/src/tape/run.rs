//! Running a tape: one sample, or a batch over SIMD lanes; rows of outputs, or their sums over the samples.

use std::sync::PoisonError;

use rayon::prelude::*;

use super::Tape;
use super::machine::{Register, Run, Sink, Source};
use super::program::Program;
use super::workspace::{LANES, Workspace, ready};
use crate::{Error, Result};

/// Bytes of registers that stay close to the processor: with more of them, fewer samples go at once.
const CLOSE: usize = 16 << 10;
/// Samples of one parallel task: fixed, so that nothing depends on the number of threads.
const TASK: usize = 256;
/// Fewer samples than this run one at a time.
const FEW: usize = 4;

impl Tape {
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
        let source = Source { shared, x, row, count: batch };
        self.rows(source, y, workspace);
        self.check_rows(source, y)
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
            || self.lend(),
            |lent, (task, y)| {
                let source = Source { shared, x, row, count: batch }.task(task);
                self.rows(source, y, &mut lent.workspace);
            },
        );
        self.check_rows(Source { shared, x, row, count: batch }, y)
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
        if sums.is_empty() {
            return Ok(());
        }
        sums.fill(0.0);
        let count = if row == 0 { batch.min(1) } else { batch };
        let all = Source { shared, x, row, count };
        for task in 0..count.div_ceil(TASK) {
            self.sums(all.task(task), sums, workspace);
        }
        self.finish_sums(batch, all, sums)
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
        if sums.is_empty() {
            return Ok(());
        }
        let count = if row == 0 { batch.min(1) } else { batch };
        let (m, all) = (self.outputs.len(), Source { shared, x, row, count });
        // Two calls at the same time: one of them finds nothing to use again.
        let kept = &self.programs.parts;
        let mut parts = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        parts.clear();
        parts.resize(m * count.div_ceil(TASK), 0.0);
        parts.par_chunks_mut(m).enumerate().for_each_init(
            || self.lend(),
            |lent, (task, part)| self.sums(all.task(task), part, &mut lent.workspace),
        );
        sums.fill(0.0);
        for part in parts.chunks(m) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = parts;
        self.finish_sums(batch, all, sums)
    }

    /// Samples without inputs of their own are all the same: one was computed.
    fn finish_sums(&self, batch: usize, all: Source<'_>, sums: &mut [f64]) -> Result<()> {
        if all.count < batch {
            sums.iter_mut().for_each(|sum| *sum *= batch as f64);
        }
        let error = |e| self.caused(e, (0, all.count), |i| all.sample(i));
        self.check_finite(sums).map_err(error)
    }

    /// Rows of outputs are finite, or the error says where it began.
    fn check_rows(&self, source: Source<'_>, y: &[f64]) -> Result<()> {
        self.check_finite(y).map_err(|error| {
            let Error::OutputNotFinite { sample, .. } = error else { return error };
            self.caused(error, (sample, sample + 1), |i| source.sample(i))
        })
    }

    /// Values of one sample.
    ///
    /// # Errors
    /// As [`Tape::run`].
    pub fn eval(&self, x: &[f64]) -> Result<Vec<f64>> {
        let y = self.eval_unchecked(x)?;
        self.check_finite(&y).map_err(|error| self.caused(error, (0, 1), |_| x.to_vec()))?;
        Ok(y)
    }

    /// Values of one sample, finite or not.
    pub(super) fn eval_unchecked(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut y = vec![0.0; self.outputs.len()];
        let row = self.check(1, &[], x)?;
        self.rows(Source { shared: &[], x, row, count: 1 }, &mut y, &mut Workspace::new(self));
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
        let (output, sample, cause) = (at % m, at / m, String::new());
        Err(Error::OutputNotFinite { output, sample, value: y[at], cause })
    }

    /// One row of outputs for each sample.
    fn rows(&self, source: Source<'_>, y: &mut [f64], workspace: &mut Workspace) {
        let m = y.len() / source.count.max(1);
        if m == 0 {
            return;
        }
        // Few samples leave no lane empty; the numbers do not depend on how many there are.
        if source.count < FEW {
            self.one_by_one(source, y, workspace);
            return;
        }
        let program = self.shared_program(source.shared.len());
        workspace.prepare(&program, source.shared);
        let lanes = match source.count {
            count if count <= LANES / 2 => LANES / 2,
            _ => lanes(&program),
        };
        for (group, y) in y.chunks_mut(m * lanes).enumerate() {
            let part = source.part(group * lanes, y.len() / m);
            if part.count < FEW {
                self.one_by_one(part, y, workspace);
                continue;
            }
            let Workspace { wide, middle, scalars, .. } = workspace;
            match lanes {
                LANES => fill_rows(&program, scalars, part, y, wide),
                _ => fill_rows(&program, scalars, part, y, middle),
            }
        }
    }

    /// The outputs of a few samples.
    fn one_by_one(&self, source: Source<'_>, y: &mut [f64], workspace: &mut Workspace) {
        let m = y.len() / source.count;
        for (i, y) in y.chunks_mut(m).enumerate() {
            let source = source.part(i, 1);
            if let Some(program) = self.single_program() {
                let registers = ready(&mut workspace.grouped, program);
                run(Run { program, scalars: &[], source, sink: Sink::Rows(y, m), registers });
            } else {
                let program = self.batch_program();
                let (registers, scalars) =
                    (ready(&mut workspace.narrow, program), &program.scalars);
                run(Run { program, scalars, source, sink: Sink::Rows(y, m), registers });
            }
        }
    }

    /// Adds the sums over the samples of one task.
    fn sums(&self, source: Source<'_>, sums: &mut [f64], workspace: &mut Workspace) {
        let program = self.shared_program(source.shared.len());
        workspace.prepare(&program, source.shared);
        let Workspace { wide, middle, scalars, sums: own, .. } = workspace;
        match lanes(&program) {
            LANES => add_sums(&program, scalars, source, sums, wide, &mut own.wide),
            _ => add_sums(&program, scalars, source, sums, middle, &mut own.middle),
        }
    }
}

/// How many samples go at once: fixed by the program.
fn lanes(program: &Program) -> usize {
    if 8 * program.registers * LANES <= CLOSE { LANES } else { LANES / 2 }
}

/// Rows of outputs of up to `L` samples.
fn fill_rows<const L: usize>(
    program: &Program,
    scalars: &[f64],
    source: Source<'_>,
    y: &mut [f64],
    registers: &mut Vec<Register<L>>,
) {
    let (registers, m) = (ready(registers, program), y.len() / source.count);
    run(Run { program, scalars, source, sink: Sink::Rows(y, m), registers });
}

/// Adds to `sums` those over all samples, `L` at a time.
fn add_sums<const L: usize>(
    program: &Program,
    scalars: &[f64],
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
        run(Run { program, scalars, source, sink: Sink::Sums(lanes), registers });
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

    /// All inputs of a sample.
    fn sample(&self, sample: usize) -> Vec<f64> {
        [self.shared, &self.x[sample * self.row..(sample + 1) * self.row]].concat()
    }

    /// The samples of a parallel task.
    fn task(self, task: usize) -> Source<'a> {
        let first = task * TASK;
        self.part(first, TASK.min(self.count - first))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use pulp::Simd;

    use super::super::dag::{Dag, Id};
    use super::super::machine::registers;
    use super::super::op::Op;
    use super::super::program::compile;
    use super::*;

    /// Every instruction on every width that this processor has: the bits of plain numbers.
    #[test]
    fn every_width_gives_the_same_bits() {
        let mut dag = Dag::default();
        let x: [Id; 3] = std::array::from_fn(|_| dag.input());
        let ops: Vec<Op> = Op::ALL.into_iter().filter(|op| 0 < op.arity()).collect();
        let outputs: Vec<Id> = ops.iter().map(|&op| dag.add(op, x)).collect();
        let (m, special) = (ops.len(), [0.0, -0.0, f64::NAN, f64::INFINITY, 1e300, -4.0]);
        let number = |i: usize| match special.get(i % 11) {
            Some(&value) if i.is_multiple_of(3) => value,
            _ => (i as f64 * 0.7).sin() * 3.0,
        };
        let x: Vec<f64> = (0..3 * LANES).map(number).collect();
        let expected: Vec<u64> = x
            .chunks_exact(3)
            .flat_map(|x| ops.iter().map(|op| op.value(x[0], x[1], x[2])).collect::<Vec<_>>())
            .map(bits)
            .collect();
        let program = compile(&dag.nodes, &outputs, 0);
        let widths: [(&str, &dyn Fn(Run<'_, LANES>) -> bool); 3] = [
            ("one number at a time", &|run| {
                pulp::Scalar::new().vectorize(run);
                true
            }),
            ("AVX2", &|run| {
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = pulp::x86::V3::try_new() {
                    simd.vectorize(run);
                    return true;
                }
                #[cfg(not(target_arch = "x86_64"))]
                let _ = run;
                false
            }),
            ("AVX-512", &|run| {
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = pulp::x86::V4::try_new() {
                    simd.vectorize(run);
                    return true;
                }
                #[cfg(not(target_arch = "x86_64"))]
                let _ = run;
                false
            }),
        ];
        for (width, go) in widths {
            let mut y = vec![0.0; m * LANES];
            let source = Source { shared: &[], x: &x, row: 3, count: LANES };
            let (registers, sink) = (&mut registers(&program)[..], Sink::Rows(&mut y, m));
            let scalars = &program.scalars;
            if !go(Run { program: &program, scalars, source, sink, registers }) {
                println!("NOT TESTED: this processor has no {width}");
                continue;
            }
            for (at, (&got, &expected)) in y.iter().zip(&expected).enumerate() {
                assert_eq!(bits(got), expected, "{:?} of {:?}, {width}", ops[at % m], at / m);
            }
        }
    }

    /// Of a number that is none, that alone.
    fn bits(y: f64) -> u64 {
        if y.is_nan() { f64::NAN.to_bits() } else { y.to_bits() }
    }
}
