//! The machine: a program's steps in order, each a loop over the lanes of its registers.

use pulp::NullaryFnOnce;

use super::fuse::Code;
use super::op::Op;
use super::program::{Constants, Program, Step};
use crate::math;

/// One number in each of `L` lanes.
pub(super) type Register<const L: usize> = [f64; L];

/// Registers for a program, the constants in their places. A power of two of them: a masked index is in bounds, and the compiler
/// knows it.
pub(super) fn registers<const L: usize>(program: &Program) -> Vec<Register<L>> {
    let mut registers = vec![[0.0; L]; program.registers.next_power_of_two()];
    let constants = &mut registers[program.first_constant..];
    match &program.constants {
        Constants::Registers(values) => {
            constants.iter_mut().zip(values).for_each(|(register, &value)| *register = [value; L]);
        }
        Constants::Lanes(values) => {
            constants.iter_mut().flatten().zip(values).for_each(|(lane, &value)| *lane = value);
        }
    }
    registers
}

/// Where inputs come from: the first `shared.len()` are the same for all samples, the others stand in rows of `x`.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) shared: &'a [f64],
    pub(super) x: &'a [f64],
    /// Length of a row.
    pub(super) row: usize,
    /// Number of samples.
    pub(super) count: usize,
}

impl Source<'_> {
    /// An input of the first sample.
    #[inline(always)]
    fn first(&self, input: u32) -> f64 {
        let input = input as usize;
        let own = input.wrapping_sub(self.shared.len());
        if input < self.shared.len() { self.shared[input] } else { self.x[own] }
    }

    /// An input of up to `L` samples; lanes without a sample repeat the last one, so that they do nothing unusual.
    #[inline(always)]
    fn load<const L: usize>(&self, input: u32, to: &mut Register<L>) {
        let input = input as usize;
        if input < self.shared.len() {
            *to = [self.shared[input]; L];
            return;
        }
        let column = input - self.shared.len();
        for (lane, value) in to.iter_mut().enumerate() {
            *value = self.x[lane.min(self.count - 1) * self.row + column];
        }
    }
}

/// Where outputs go.
pub(super) enum Sink<'a, const L: usize> {
    /// Rows of this length, one for each sample.
    Rows(&'a mut [f64], usize),
    /// Sums over the samples of each lane, one register for each output.
    Sums(&'a mut [Register<L>]),
}

impl<const L: usize> Sink<'_, L> {
    #[inline(always)]
    fn store(&mut self, output: u32, count: usize, from: &Register<L>) {
        match self {
            Sink::Rows(y, row) => {
                for (lane, &value) in from.iter().enumerate().take(count) {
                    y[lane * *row + output as usize] = value;
                }
            }
            Sink::Sums(sums) => {
                let sum = &mut sums[output as usize];
                for lane in 0..L {
                    sum[lane] += if lane < count { from[lane] } else { 0.0 };
                }
            }
        }
    }
}

/// A program on up to `L` samples, or on one sample with equal computations side by side.
pub(super) struct Run<'a, const L: usize> {
    pub(super) program: &'a Program,
    pub(super) source: Source<'a>,
    pub(super) sink: Sink<'a, L>,
    pub(super) registers: &'a mut [Register<L>],
}

impl<const L: usize> NullaryFnOnce for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Run { program, source, mut sink, registers } = self;
        let mask = registers.len() - 1;
        for step in &program.steps {
            match *step {
                Step::Compute { code, fixed, to, second, args, blocks } => {
                    let moving: [u32; 3] =
                        std::array::from_fn(|k| u32::from(fixed & (1 << k) == 0));
                    for block in 0..blocks {
                        let from: [usize; 3] =
                            std::array::from_fn(|k| (args[k] + moving[k] * block) as usize & mask);
                        let to = [(to + block) as usize & mask, (second + block) as usize & mask];
                        compute(code, registers, to, from);
                    }
                }
                Step::Load { to, input } => {
                    source.load(input, &mut registers[to as usize & mask]);
                }
                Step::Store { from, output } => {
                    sink.store(output, source.count, &registers[from as usize & mask]);
                }
                Step::LoadMany { to, list, count } => {
                    let list = &program.lists[list as usize..][..count as usize];
                    for (block, inputs) in list.chunks(L).enumerate() {
                        let to = &mut registers[(to as usize + block) & mask];
                        for (lane, &input) in to.iter_mut().zip(inputs) {
                            *lane = source.first(input);
                        }
                    }
                }
                Step::StoreMany { from, list, count } => {
                    let list = &program.lists[list as usize..][..count as usize];
                    for (block, outputs) in list.chunks(L).enumerate() {
                        let from = registers[(from as usize + block) & mask];
                        for (value, &output) in from.iter().zip(outputs) {
                            match &mut sink {
                                _ if output == u32::MAX => {}
                                Sink::Rows(y, _) => y[output as usize] = *value,
                                Sink::Sums(sums) => sums[output as usize][0] += *value,
                            }
                        }
                    }
                }
                Step::Gather { to, list, count } => {
                    let list = &program.lists[list as usize..][..count as usize];
                    for (block, lanes) in list.chunks(L).enumerate() {
                        let mut gathered = [1.0; L];
                        for (value, &lane) in gathered.iter_mut().zip(lanes) {
                            *value = registers[lane as usize / L & mask][lane as usize % L];
                        }
                        registers[(to as usize + block) & mask] = gathered;
                    }
                }
            }
        }
    }
}

/// One step on all lanes of one register: the code is chosen once, outside the loop.
#[inline(always)]
fn compute<const L: usize>(
    code: Code,
    registers: &mut [Register<L>],
    [to, second]: [usize; 2],
    [a, b, c]: [usize; 3],
) {
    let mask = registers.len() - 1;
    let (to, second, a, b, c) = (to & mask, second & mask, a & mask, b & mask, c & mask);
    // Plain loops throughout: an iterator's closure may be compiled apart, without the wide instructions around it. Results go through
    // an array of their own, so that the compiler knows that they are not operands.
    macro_rules! lanes {
        (|$lane:ident| $value:expr) => {{
            let mut result = [0.0; L];
            for $lane in 0..L {
                result[$lane] = $value;
            }
            registers[to] = result;
        }};
    }
    macro_rules! steps {
        ($($name:ident)+) => {
            match code {
                Code::MulAdd => lanes!(|l| registers[a][l] * registers[b][l] + registers[c][l]),
                Code::MulSub => lanes!(|l| registers[a][l] * registers[b][l] - registers[c][l]),
                Code::SubMul => lanes!(|l| registers[c][l] - registers[a][l] * registers[b][l]),
                // One large argument among the lanes must not change the others.
                Code::Op(Op::Sin) if large(&registers[a]) => {
                    lanes!(|l| math::sin_anywhere(registers[a][l]));
                }
                Code::Op(Op::Cos) if large(&registers[a]) => {
                    lanes!(|l| math::cos_anywhere(registers[a][l]));
                }
                Code::SinCos if large(&registers[a]) => {
                    let angle = registers[a];
                    lanes!(|l| math::sin_anywhere(angle[l]));
                    let to = second;
                    let mut result = [0.0; L];
                    for lane in 0..L {
                        result[lane] = math::cos_anywhere(angle[lane]);
                    }
                    registers[to] = result;
                }
                Code::Op(Op::Sin) => lanes!(|l| math::sin(registers[a][l])),
                Code::Op(Op::Cos) => lanes!(|l| math::cos(registers[a][l])),
                Code::SinCos => {
                    let (mut sine, mut cosine) = ([0.0; L], [0.0; L]);
                    for lane in 0..L {
                        // The reduction of the argument is shared: both are inlined.
                        sine[lane] = math::sin(registers[a][lane]);
                        cosine[lane] = math::cos(registers[a][lane]);
                    }
                    registers[to] = sine;
                    registers[second] = cosine;
                }
                $(Code::Op(Op::$name) => {
                    lanes!(|l| Op::$name.value(registers[a][l], registers[b][l], registers[c][l]));
                })+
            }
        };
    }
    steps! {
        Const Input Add Sub Mul Div Neg Sqrt Abs Sign Min Max Floor Exp ExpM1 Ln Ln1p Tan Asin Acos Atan Sinh Cosh Tanh
        Asinh Acosh Atanh Atan2 Hypot Pow Less LessEqual Equal Select GuardedMul GuardedDiv
    }
}

/// Is an angle beyond the reach of the fast reduction?
#[inline(always)]
fn large<const L: usize>(angles: &Register<L>) -> bool {
    let mut large = false;
    for lane in 0..L {
        large |= angles[lane].abs() > math::REDUCIBLE || angles[lane].is_nan();
    }
    large
}
