//! What a tape keeps between calls: its programs, and registers for those who run them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::machine::{Register, registers};
use super::program::{Program, compile};
use super::{Tape, grouped};

/// Most samples that the machine works on at once.
pub(super) const LANES: usize = 32;

/// The programs of a tape, each made when it is first run.
#[derive(Debug, Default)]
pub(super) struct Programs {
    batch: OnceLock<Arc<Program>>,
    /// The batch's with so many shared inputs.
    shared: Mutex<BTreeMap<usize, Arc<Program>>>,
    /// For one sample at a time; `None` where the batch's program is as good on one lane.
    single: OnceLock<Option<Program>>,
    /// What calls on several threads used, for the next of them.
    spare: Mutex<Vec<Workspace>>,
    pub(super) parts: Mutex<Vec<f64>>,
}

/// A workspace for the time of one parallel task.
pub(super) struct Lent<'a> {
    from: &'a Mutex<Vec<Workspace>>,
    pub(super) workspace: Workspace,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut spare = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(std::mem::take(&mut self.workspace));
    }
}

/// Registers of one thread: made once, used for any number of calls of one tape without another allocation.
///
/// What a kind of call needs is allocated at the first such call.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    pub(super) hash: u64,
    pub(super) wide: Vec<Register<LANES>>,
    pub(super) middle: Vec<Register<{ LANES / 2 }>>,
    pub(super) narrow: Vec<Register<1>>,
    pub(super) grouped: Vec<Register<{ grouped::LANES }>>,
    pub(super) sums: Sums,
    /// How many inputs are shared in the program that `wide` and `middle` are for, and what its steps read as scalars.
    shared: usize,
    pub(super) scalars: Vec<f64>,
}

/// A register for each sum, of the lanes that the tape takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) wide: Vec<Register<LANES>>,
    pub(super) middle: Vec<Register<{ LANES / 2 }>>,
}

impl Workspace {
    /// For `tape`.
    pub fn new(tape: &Tape) -> Self {
        Workspace { hash: tape.hash(), ..Workspace::default() }
    }

    /// Makes the scalars, and room for the registers of a batch.
    pub(super) fn prepare(&mut self, program: &Program, shared: &[f64]) {
        if self.shared != program.shared {
            self.wide.clear();
            self.middle.clear();
            self.shared = program.shared;
        }
        self.scalars.clear();
        self.scalars.extend(&program.scalars);
        self.scalars.extend(shared);
    }
}

/// The registers, made at the first call.
pub(super) fn ready<'a, const L: usize>(
    registers_of: &'a mut Vec<Register<L>>,
    program: &Program,
) -> &'a mut [Register<L>] {
    if registers_of.len() != program.registers.next_power_of_two() {
        *registers_of = registers(program);
    }
    registers_of
}

impl Tape {
    /// A workspace that an earlier call left, or a new one.
    pub(super) fn lend(&self) -> Lent<'_> {
        let from = &self.programs.spare;
        let spare = from.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { from, workspace: spare.unwrap_or_else(|| Workspace::new(self)) }
    }

    /// The program of a batch without shared inputs.
    pub(super) fn batch_program(&self) -> &Arc<Program> {
        let make = || Arc::new(compile(&self.nodes, &self.outputs, 0));
        self.programs.batch.get_or_init(make)
    }

    /// The program of a batch whose first `shared` inputs are the same for all samples.
    pub(super) fn shared_program(&self, shared: usize) -> Arc<Program> {
        if shared == 0 {
            return self.batch_program().clone();
        }
        let mut known = self.programs.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(compile(&self.nodes, &self.outputs, shared));
        known.entry(shared).or_insert_with(make).clone()
    }

    /// What runs one sample; `None` for the batch's program on one lane.
    pub(super) fn single_program(&self) -> Option<&Program> {
        let make = || grouped::compile(&self.nodes, &self.outputs);
        self.programs.single.get_or_init(make).as_ref()
    }
}
