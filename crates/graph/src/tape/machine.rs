//! The machine: a program's steps in order, each a loop over the lanes of its registers.

use pulp::NullaryFnOnce;

use super::fuse::Code;
use super::grouped;
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
        let mut loaded = [0.0; L];
        if self.count == L {
            // Of rows as long as this one, no index is checked again.
            for (value, row) in loaded.iter_mut().zip(self.x.chunks_exact(self.row)) {
                *value = row[column];
            }
        } else {
            for (lane, value) in loaded.iter_mut().enumerate() {
                *value = self.x[lane.min(self.count - 1) * self.row + column];
            }
        }
        *to = loaded;
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
                let (output, row) = (output as usize, *row);
                let values = &from[..count.min(L)];
                let (fours, rest) = values.as_chunks::<4>();
                for (four, y) in fours.iter().zip(y.chunks_exact_mut(4 * row)) {
                    for lane in 0..4 {
                        y[lane * row + output] = four[lane];
                    }
                }
                let last = &mut y[4 * row * fours.len()..];
                for (&value, y) in rest.iter().zip(last.chunks_exact_mut(row)) {
                    y[output] = value;
                }
            }
            Sink::Sums(sums) => {
                let sum = &mut sums[output as usize];
                if count == L {
                    for lane in 0..L {
                        sum[lane] += from[lane];
                    }
                } else {
                    for lane in 0..L {
                        sum[lane] += if lane < count { from[lane] } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// A program on up to `L` samples, or on one sample with equal computations side by side.
pub(super) struct Run<'a, const L: usize> {
    pub(super) program: &'a Program,
    /// What steps with a scalar operand read.
    pub(super) scalars: &'a [f64],
    pub(super) source: Source<'a>,
    pub(super) sink: Sink<'a, L>,
    pub(super) registers: &'a mut [Register<L>],
}

impl<const L: usize> NullaryFnOnce for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Run { program, scalars, source, mut sink, registers } = self;
        if registers.is_empty() {
            return; // never; and so the compiler knows that every masked index is in bounds
        }
        let mask = registers.len() - 1;
        for step in &program.steps {
            let [a, b, c] = step.args;
            // Plain loops throughout: an iterator's closure may be compiled apart, without the wide instructions around it. Results go
            // through an array of their own, so that the compiler knows that they are not operands.
            macro_rules! lanes {
                (|$a:ident, $b:ident, $c:ident, $lane:ident| $value:expr) => {{
                    let moves = |port: u32| u32::from(step.fixed >> port & 1 == 0);
                    let (mut to, mut a, mut b, mut c) = (step.to, a, b, c);
                    for _ in 0..if L == grouped::LANES { step.blocks } else { 1 } {
                        let $a = &registers[a as usize & mask];
                        let $b = &registers[b as usize & mask];
                        let $c = &registers[c as usize & mask];
                        let mut result = [0.0; L];
                        for $lane in 0..L {
                            result[$lane] = $value;
                        }
                        registers[to as usize & mask] = result;
                        (to, a, b, c) = (to + 1, a + moves(0), b + moves(1), c + moves(2));
                    }
                }};
            }
            macro_rules! by_scalar {
                (|$a:ident, $s:ident, $c:ident, $lane:ident| $value:expr) => {{
                    let ($a, $c) = (&registers[a as usize & mask], &registers[c as usize & mask]);
                    let $s = scalars[b as usize];
                    let mut result = [0.0; L];
                    for $lane in 0..L {
                        result[$lane] = $value;
                    }
                    registers[step.to as usize & mask] = result;
                }};
            }
            macro_rules! steps {
                ($($name:ident)+) => {
                    match step.code {
                        Code::MulAdd => lanes!(|a, b, c, l| a[l] * b[l] + c[l]),
                        Code::MulSub => lanes!(|a, b, c, l| a[l] * b[l] - c[l]),
                        Code::SubMul => lanes!(|a, b, c, l| c[l] - a[l] * b[l]),
                        Code::MulBy => by_scalar!(|a, s, _c, l| a[l] * s),
                        Code::AddTo => by_scalar!(|a, s, _c, l| a[l] + s),
                        Code::SubBy => by_scalar!(|a, s, _c, l| a[l] - s),
                        Code::SubFrom => by_scalar!(|a, s, _c, l| s - a[l]),
                        Code::MulByAdd => by_scalar!(|a, s, c, l| a[l] * s + c[l]),
                        Code::MulBySub => by_scalar!(|a, s, c, l| a[l] * s - c[l]),
                        Code::SubMulBy => by_scalar!(|a, s, c, l| c[l] - a[l] * s),
                        $(Code::$name => lanes!(|a, b, c, l| Op::$name.value(a[l], b[l], c[l])),)+
                        // One large argument among the lanes must not change the others.
                        Code::Sin | Code::Cos | Code::Tan | Code::SinCos
                            if large(registers, step, mask) =>
                        {
                            anywhere(registers, step, mask);
                        }
                        Code::Sin => lanes!(|a, _b, _c, l| math::sin(a[l])),
                        Code::Cos => lanes!(|a, _b, _c, l| math::cos(a[l])),
                        Code::Tan => lanes!(|a, _b, _c, l| math::tan(a[l])),
                        Code::SinCos => {
                            let moves = u32::from(step.fixed & 1 == 0);
                            for block in 0..if L == grouped::LANES { step.blocks } else { 1 } {
                                let angle = registers[(a + moves * block) as usize & mask];
                                let (mut sine, mut cosine) = ([0.0; L], [0.0; L]);
                                for lane in 0..L {
                                    (sine[lane], cosine[lane]) = math::sin_cos(angle[lane]);
                                }
                                registers[(step.to + block) as usize & mask] = sine;
                                registers[(b + block) as usize & mask] = cosine;
                            }
                        }
                        Code::Load => source.load(a, &mut registers[step.to as usize & mask]),
                        Code::Store => sink.store(b, source.count, &registers[a as usize & mask]),
                        Code::LoadMany => {
                            let list = &program.lists[a as usize..][..b as usize];
                            load_many(&source, list, &mut registers[step.to as usize..]);
                        }
                        Code::StoreMany => {
                            let list = &program.lists[b as usize..][..c as usize];
                            store_many(&mut sink, list, &registers[a as usize..]);
                        }
                        Code::Gather => {
                            let list = &program.lists[a as usize..][..b as usize];
                            gather(list, step.to as usize, registers);
                        }
                    }
                };
            }
            steps! {
                Const Input Add Sub Mul Div Neg Sqrt Abs Sign Min Max Floor Exp ExpM1 Ln Ln1p Asin Acos Atan Sinh Cosh
                Tanh Asinh Acosh Atanh Atan2 Hypot Pow Less LessEqual Equal Select GuardedMul GuardedDiv
            }
        }
    }
}

#[inline(always)]
fn load_many<const L: usize>(source: &Source<'_>, list: &[u32], registers: &mut [Register<L>]) {
    for (to, inputs) in registers.iter_mut().zip(list.as_chunks::<L>().0) {
        let mut loaded = [0.0; L];
        for lane in 0..L {
            loaded[lane] = source.first(inputs[lane]);
        }
        *to = loaded;
    }
}

#[inline(always)]
fn store_many<const L: usize>(sink: &mut Sink<'_, L>, list: &[u32], registers: &[Register<L>]) {
    for (from, outputs) in registers.iter().zip(list.chunks(L)) {
        for (value, &output) in from.iter().zip(outputs) {
            match sink {
                _ if output == u32::MAX => {}
                Sink::Rows(y, _) => y[output as usize] = *value,
                Sink::Sums(sums) => sums[output as usize][0] += *value,
            }
        }
    }
}

#[inline(always)]
fn gather<const L: usize>(list: &[u32], to: usize, registers: &mut [Register<L>]) {
    let mask = registers.len() * L - 1;
    for (block, lanes) in list.as_chunks::<L>().0.iter().enumerate() {
        let flat = registers.as_flattened();
        // A whole register is written at once: reading it again does not wait for single lanes.
        let mut gathered = [0.0; L];
        for lane in 0..L {
            gathered[lane] = flat[lanes[lane] as usize & mask];
        }
        registers[to + block] = gathered;
    }
}

/// Is an angle beyond the reach of the fast reduction?
#[inline(always)]
fn large<const L: usize>(registers: &[Register<L>], step: &Step, mask: usize) -> bool {
    let blocks = if step.fixed & 1 == 0 { step.blocks } else { 1 };
    let mut large = false;
    for block in 0..blocks {
        let angles = &registers[(step.args[0] + block) as usize & mask];
        for lane in 0..L {
            large |= angles[lane].abs() > math::REDUCIBLE || angles[lane].is_nan();
        }
    }
    large
}

/// Sines, cosines and tangents where some angle is large: it must not change what the other lanes give.
#[cold]
fn anywhere<const L: usize>(registers: &mut [Register<L>], step: &Step, mask: usize) {
    let results: &[(Op, u32)] = match step.code {
        Code::Sin => &[(Op::Sin, step.to)],
        Code::Cos => &[(Op::Cos, step.to)],
        Code::Tan => &[(Op::Tan, step.to)],
        _ => &[(Op::Sin, step.to), (Op::Cos, step.args[1])],
    };
    let moves = u32::from(step.fixed & 1 == 0);
    for block in 0..step.blocks {
        let angle = registers[(step.args[0] + moves * block) as usize & mask];
        for &(op, to) in results {
            math::turn_anywhere(op, &mut registers[(to + block) as usize & mask], &angle);
        }
    }
}
