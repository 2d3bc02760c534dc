//! The machine: a program over `L` samples at a time, the samples innermost, so that each step is a loop over a register's lanes.

use pulp::NullaryFnOnce;
use rayon::prelude::*;

use super::Tape;
use super::op::Op;
use super::program::{Program, Step};
use crate::{Error, Result, math};

/// Samples that the machine works on at once.
const LANES: usize = 16;
/// Samples of one parallel task: fixed, so that nothing depends on the number of threads.
const TASK: usize = 256;

/// Fewer samples than this run one at a time, on registers of one lane.
const FEW: usize = 4;

type Register<const L: usize> = [f64; L];

/// Registers of one thread: made once, used for any number of calls of one tape without another allocation.
#[derive(Debug, Clone)]
pub struct Workspace {
    hash: u64,
    /// Powers of two, at least the program's registers.
    wide: Vec<Register<LANES>>,
    narrow: Vec<Register<1>>,
}

/// Registers of `L` lanes, the constants in their places.
fn registers<const L: usize>(program: &Program) -> Vec<Register<L>> {
    let mut registers = vec![[0.0; L]; program.registers.next_power_of_two()];
    let first = program.registers - program.constants.len();
    for (register, &value) in registers[first..].iter_mut().zip(&program.constants) {
        *register = [value; L];
    }
    registers
}

impl Workspace {
    /// Registers for `tape`.
    pub fn new(tape: &Tape) -> Self {
        let program = &tape.program;
        Workspace { hash: tape.hash(), wide: registers(program), narrow: registers(program) }
    }
}

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
        self.check(batch, x, y)?;
        if workspace.hash != self.hash() {
            let (what, expected) = ("the workspace", workspace.hash);
            return Err(Error::ForeignTape { what, expected, got: self.hash() });
        }
        self.samples(x, y, workspace);
        self.check_finite(y)
    }

    /// As [`Tape::run`], on rayon's current threads. The numbers do not depend on how many there are.
    ///
    /// # Errors
    /// As [`Tape::run`].
    pub fn run_parallel(&self, batch: usize, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.check(batch, x, y)?;
        let (n, m) = (self.inputs, self.outputs.len());
        if m == 0 {
            return Ok(());
        }
        y.par_chunks_mut(m * TASK).enumerate().for_each_init(
            || Workspace::new(self),
            |workspace, (task, y)| {
                let first = task * TASK;
                let count = y.len() / m;
                self.samples(&x[first * n..(first + count) * n], y, workspace);
            },
        );
        self.check_finite(y)
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

    fn check(&self, batch: usize, x: &[f64], y: &[f64]) -> Result<()> {
        let sides = [("inputs", self.inputs, x.len()), ("outputs", self.outputs.len(), y.len())];
        for (what, each, got) in sides {
            let expected = batch.saturating_mul(each);
            if expected != got {
                return Err(Error::Length { what, expected, got });
            }
        }
        Ok(())
    }

    fn check_finite(&self, y: &[f64]) -> Result<()> {
        if y.iter().fold(true, |good, v| good & v.is_finite()) {
            return Ok(());
        }
        let at = y.iter().position(|v| !v.is_finite()).unwrap_or(0);
        let m = self.outputs.len().max(1);
        Err(Error::OutputNotFinite { output: at % m, sample: at / m, value: y[at] })
    }

    fn samples(&self, x: &[f64], y: &mut [f64], workspace: &mut Workspace) {
        let (n, m) = (self.inputs, self.outputs.len());
        if m == 0 {
            return;
        }
        let (program, arch) = (&self.program, pulp::Arch::new());
        for (group, y) in y.chunks_mut(m * LANES).enumerate() {
            let count = y.len() / m;
            let x = &x[group * LANES * n..][..count * n];
            if count < FEW {
                for (i, y) in y.chunks_mut(m).enumerate() {
                    let (x, registers) = (&x[i * n..][..n], &mut workspace.narrow[..]);
                    arch.dispatch(Group { program, x, y, n, m, count: 1, registers });
                }
            } else {
                let registers = &mut workspace.wide[..];
                arch.dispatch(Group { program, x, y, n, m, count, registers });
            }
        }
    }
}

/// Up to `L` samples.
struct Group<'a, const L: usize> {
    program: &'a Program,
    x: &'a [f64],
    y: &'a mut [f64],
    n: usize,
    m: usize,
    count: usize,
    registers: &'a mut [Register<L>],
}

impl<const L: usize> NullaryFnOnce for Group<'_, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Group { program, x, y, n, m, count, registers } = self;
        // The length is a power of two: a masked index is in bounds, and the compiler knows it.
        let mask = registers.len() - 1;
        for step in &program.steps {
            match *step {
                Step::Compute { op, to, args } => {
                    let [a, b, c] = args.map(|i| registers[i as usize & mask]);
                    compute(op, &mut registers[to as usize & mask], [&a, &b, &c]);
                }
                Step::Load { to, input } => {
                    let register = &mut registers[to as usize & mask];
                    for (lane, value) in register.iter_mut().enumerate() {
                        // Lanes without a sample repeat the last one, so that they do nothing unusual.
                        *value = x[lane.min(count - 1) * n + input as usize];
                    }
                }
                Step::Store { from, output } => {
                    let register = &registers[from as usize & mask];
                    for (lane, &value) in register.iter().enumerate().take(count) {
                        y[lane * m + output as usize] = value;
                    }
                }
            }
        }
    }
}

/// One step on all lanes: the instruction is chosen once, outside the loop.
#[inline(always)]
fn compute<const L: usize>(op: Op, to: &mut Register<L>, [a, b, c]: [&Register<L>; 3]) {
    // Plain loops throughout: an iterator's closure may be compiled apart, without the wide instructions around it.
    // One large argument among the lanes must not change the others.
    let mut large = false;
    if matches!(op, Op::Sin | Op::Cos | Op::Tan) {
        for lane in 0..L {
            large |= a[lane].abs() > math::REDUCIBLE || a[lane].is_nan();
        }
    }
    macro_rules! lanes {
        ($($name:ident)+) => {
            match op {
                Op::Sin | Op::Cos | Op::Tan if large => math::turn_anywhere(op, to, a),
                Op::Sin => {
                    for lane in 0..L {
                        to[lane] = math::sin(a[lane]);
                    }
                }
                Op::Cos => {
                    for lane in 0..L {
                        to[lane] = math::cos(a[lane]);
                    }
                }
                Op::Tan => {
                    for lane in 0..L {
                        to[lane] = math::tan(a[lane]);
                    }
                }
                $(Op::$name => {
                    for lane in 0..L {
                        to[lane] = Op::$name.value(a[lane], b[lane], c[lane]);
                    }
                })+
            }
        };
    }
    lanes! {
        Const Input Add Sub Mul Div Neg Sqrt Abs Sign Min Max Floor Exp ExpM1 Ln Ln1p Asin Acos Atan Sinh Cosh Tanh
        Asinh Acosh Atanh Atan2 Hypot Pow Less LessEqual Equal Select
    }
}
