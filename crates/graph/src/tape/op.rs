//! The instructions: their values, and their partial derivatives as formulas of other instructions.

use super::dag::{Dag, Id};
use crate::math;

/// What an instruction computes from its operands a, b, c.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Op {
    /// A constant.
    Const,
    /// An input.
    Input,
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a·b
    Mul,
    /// a/b
    Div,
    /// −a
    Neg,
    /// √a
    Sqrt,
    /// |a|, derivative 0 at 0
    Abs,
    /// −1, 0 or 1
    Sign,
    /// The smaller; where equal, each has derivative ½
    Min,
    /// The larger; where equal, each has derivative ½
    Max,
    /// The largest integer that is not above a; derivative 0
    Floor,
    /// eᵃ
    Exp,
    /// eᵃ − 1
    ExpM1,
    /// ln a
    Ln,
    /// ln(1 + a)
    Ln1p,
    /// sin a
    Sin,
    /// cos a
    Cos,
    /// tan a
    Tan,
    /// arcsin a
    Asin,
    /// arccos a
    Acos,
    /// arctan a
    Atan,
    /// sinh a
    Sinh,
    /// cosh a
    Cosh,
    /// tanh a
    Tanh,
    /// arsinh a
    Asinh,
    /// arcosh a
    Acosh,
    /// artanh a
    Atanh,
    /// The angle of the point (b, a)
    Atan2,
    /// √(a² + b²)
    Hypot,
    /// aᵇ
    Pow,
    /// 1 where a < b, else 0
    Less,
    /// 1 where a ≤ b, else 0
    LessEqual,
    /// 1 where a = b, else 0
    Equal,
    /// b where a ≠ 0, else c
    Select,
    /// a·b, and 0 where a = 0, whatever b is: how derivatives leave a branch that was not taken
    GuardedMul,
    /// a/b, and 0 where a = 0, whatever b is: the slope of a norm at the origin
    GuardedDiv,
}

impl Op {
    /// All instructions.
    pub const ALL: [Op; 38] = [
        Op::Const,
        Op::Input,
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::Neg,
        Op::Sqrt,
        Op::Abs,
        Op::Sign,
        Op::Min,
        Op::Max,
        Op::Floor,
        Op::Exp,
        Op::ExpM1,
        Op::Ln,
        Op::Ln1p,
        Op::Sin,
        Op::Cos,
        Op::Tan,
        Op::Asin,
        Op::Acos,
        Op::Atan,
        Op::Sinh,
        Op::Cosh,
        Op::Tanh,
        Op::Asinh,
        Op::Acosh,
        Op::Atanh,
        Op::Atan2,
        Op::Hypot,
        Op::Pow,
        Op::Less,
        Op::LessEqual,
        Op::Equal,
        Op::Select,
        Op::GuardedMul,
        Op::GuardedDiv,
    ];

    /// Number of operands.
    pub const fn arity(self) -> usize {
        match self {
            Op::Const | Op::Input => 0,
            Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Div
            | Op::Min
            | Op::Max
            | Op::Atan2
            | Op::Hypot
            | Op::Pow
            | Op::Less
            | Op::LessEqual
            | Op::Equal
            | Op::GuardedMul
            | Op::GuardedDiv => 2,
            Op::Select => 3,
            _ => 1,
        }
    }

    /// Do the operands commute, to the bit? (Min and max do not: of 0 and −0 they take the second.)
    pub const fn commutes(self) -> bool {
        matches!(self, Op::Add | Op::Mul | Op::Hypot | Op::Equal)
    }

    /// One of the functions that cost many operations?
    pub(super) const fn is_elementary(self) -> bool {
        matches!(
            self,
            Op::Exp
                | Op::ExpM1
                | Op::Ln
                | Op::Ln1p
                | Op::Sin
                | Op::Cos
                | Op::Tan
                | Op::Asin
                | Op::Acos
                | Op::Atan
                | Op::Sinh
                | Op::Cosh
                | Op::Tanh
                | Op::Asinh
                | Op::Acosh
                | Op::Atanh
                | Op::Atan2
                | Op::Hypot
                | Op::Pow
        )
    }

    /// Can the slope be infinite, or not a number, where operands and value are finite?
    pub(super) const fn is_singular(self) -> bool {
        matches!(
            self,
            Op::Div
                | Op::Sqrt
                | Op::Ln
                | Op::Ln1p
                | Op::Asin
                | Op::Acos
                | Op::Acosh
                | Op::Atanh
                | Op::Pow
        )
    }

    /// The value on numbers.
    #[inline(always)]
    pub fn value(self, a: f64, b: f64, c: f64) -> f64 {
        let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
        match self {
            Op::Const | Op::Input => a,
            Op::Add => a + b,
            Op::Sub => a - b,
            Op::Mul => a * b,
            Op::Div => a / b,
            Op::Neg => -a,
            Op::Sqrt => a.sqrt(),
            Op::Abs => a.abs(),
            Op::Sign => truth(0.0 < a) - truth(a < 0.0),
            // What is not a number stays so, on either side.
            Op::Min => {
                if a < b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            Op::Max => {
                if a > b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            Op::Floor => a.floor(),
            Op::Exp => math::exp(a),
            Op::ExpM1 => math::exp_m1(a),
            Op::Ln => math::ln(a),
            Op::Ln1p => math::ln_1p(a),
            Op::Sin => math::sin_anywhere(a),
            Op::Cos => math::cos_anywhere(a),
            Op::Tan => math::tan_anywhere(a),
            Op::Asin => math::asin(a),
            Op::Acos => math::acos(a),
            Op::Atan => math::atan(a),
            Op::Sinh => math::sinh(a),
            Op::Cosh => math::cosh(a),
            Op::Tanh => math::tanh(a),
            Op::Asinh => math::asinh(a),
            Op::Acosh => math::acosh(a),
            Op::Atanh => math::atanh(a),
            Op::Atan2 => math::atan2(a, b),
            Op::Hypot => math::hypot(a, b),
            // As recording writes those of small whole exponents.
            Op::Pow => {
                let general = math::pow(a, b);
                if b == 2.0 {
                    a * a
                } else if b == 3.0 {
                    a * a * a
                } else if b == -1.0 {
                    1.0 / a
                } else if b == 1.0 {
                    a
                } else {
                    general
                }
            }
            Op::Less => truth(a < b),
            Op::LessEqual => truth(a <= b),
            Op::Equal => truth(a == b),
            Op::Select => {
                if a != 0.0 {
                    b
                } else {
                    c
                }
            }
            Op::GuardedMul => {
                let product = a * b;
                if a == 0.0 { 0.0 } else { product }
            }
            Op::GuardedDiv => {
                let ratio = a / b;
                if a == 0.0 { 0.0 } else { ratio }
            }
        }
    }

    /// The partial derivative with respect to operand `port`, recorded; `None` where it is 0 everywhere or the rule is not a product.
    ///
    /// `x`: the operands; `y`: the instruction itself, whose value many derivatives use again.
    pub(super) fn partial(self, dag: &mut Dag, port: usize, x: [Id; 3], y: Id) -> Option<Id> {
        let [a, b, _] = x;
        let one = dag.constant(1.0);
        let first = port == 0;
        Some(match self {
            Op::Const | Op::Input | Op::Sign | Op::Floor | Op::Less | Op::LessEqual | Op::Equal => {
                return None;
            }
            Op::Add => one,
            Op::Sub => {
                if first {
                    one
                } else {
                    dag.constant(-1.0)
                }
            }
            Op::Mul => {
                if first {
                    b
                } else {
                    a
                }
            }
            Op::Div => {
                if first {
                    dag.two(Op::Div, one, b)
                } else {
                    let ratio = dag.two(Op::Div, y, b);
                    dag.one(Op::Neg, ratio)
                }
            }
            Op::Neg => dag.constant(-1.0),
            Op::Sqrt => {
                let half = dag.constant(0.5);
                dag.two(Op::Div, half, y)
            }
            Op::Abs => dag.one(Op::Sign, a),
            Op::Min | Op::Max => {
                // ½·(1 ± sign(a − b))
                let (left, right) = if first == (self == Op::Max) { (a, b) } else { (b, a) };
                let difference = dag.two(Op::Sub, left, right);
                let sign = dag.one(Op::Sign, difference);
                let sum = dag.two(Op::Add, one, sign);
                dag.scaled(0.5, sum)
            }
            Op::Exp => y,
            // Not y + 1, of which little is left where eᵃ is small.
            Op::ExpM1 => dag.one(Op::Exp, a),
            Op::Ln => dag.two(Op::Div, one, a),
            Op::Ln1p => {
                let shifted = dag.two(Op::Add, one, a);
                dag.two(Op::Div, one, shifted)
            }
            Op::Sin => dag.one(Op::Cos, a),
            Op::Cos => {
                let sine = dag.one(Op::Sin, a);
                dag.one(Op::Neg, sine)
            }
            Op::Tan => {
                let square = dag.two(Op::Mul, y, y);
                dag.two(Op::Add, one, square)
            }
            Op::Asin | Op::Acos => {
                // 1/√(1 − a²)
                let root = one_less_square(dag, a);
                let root = dag.one(Op::Sqrt, root);
                let top = if self == Op::Asin { one } else { dag.constant(-1.0) };
                dag.two(Op::Div, top, root)
            }
            Op::Atan => {
                let square = dag.two(Op::Mul, a, a);
                let sum = dag.two(Op::Add, one, square);
                dag.two(Op::Div, one, sum)
            }
            Op::Sinh => dag.one(Op::Cosh, a),
            Op::Cosh => dag.one(Op::Sinh, a),
            Op::Tanh => {
                // sech² a, without the cancellation of 1 − y²; 0 where it underflows, before cosh a overflows
                let cosh = dag.one(Op::Cosh, a);
                let sech = dag.two(Op::Div, one, cosh);
                let square = dag.two(Op::Mul, sech, sech);
                let (size, limit) = (dag.one(Op::Abs, a), dag.constant(375.0));
                let (inside, zero) = (dag.two(Op::Less, size, limit), dag.constant(0.0));
                dag.add(Op::Select, [inside, square, zero])
            }
            Op::Asinh => {
                let root = dag.two(Op::Hypot, one, a);
                dag.two(Op::Div, one, root)
            }
            Op::Acosh => {
                // 1/(√(a − 1)·√(a + 1)): a² would overflow.
                let (less, more) = (dag.two(Op::Sub, a, one), dag.two(Op::Add, a, one));
                let (less, more) = (dag.one(Op::Sqrt, less), dag.one(Op::Sqrt, more));
                let product = dag.two(Op::Mul, less, more);
                dag.two(Op::Div, one, product)
            }
            Op::Atanh => {
                let rest = one_less_square(dag, a);
                dag.two(Op::Div, one, rest)
            }
            Op::Atan2 => {
                // b/r², −a/r²
                let radius = dag.two(Op::Hypot, a, b);
                let (top, sense) = if first { (b, 1.0) } else { (a, -1.0) };
                let once = dag.two(Op::GuardedDiv, top, radius);
                let twice = dag.two(Op::GuardedDiv, once, radius);
                dag.scaled(sense, twice)
            }
            Op::Hypot => dag.two(Op::GuardedDiv, if first { a } else { b }, y),
            Op::Pow => {
                if first {
                    let less = dag.two(Op::Sub, b, one);
                    let power = dag.two(Op::Pow, a, less);
                    dag.two(Op::GuardedMul, b, power)
                } else {
                    let logarithm = dag.one(Op::Ln, a);
                    dag.two(Op::Mul, y, logarithm)
                }
            }
            // Their rules are not products; they stand beside the chain rules.
            Op::Select | Op::GuardedMul | Op::GuardedDiv => return None,
        })
    }
}

/// 1 − a², exact to rounding, and so is its derivative: (1 − a)(1 + a) at ±1, where 1 − a·a cancels, and 1 − a·a at 0, where the
/// slope of the product, (1 − a) − (1 + a), does.
fn one_less_square(dag: &mut Dag, a: Id) -> Id {
    let (one, half) = (dag.constant(1.0), dag.constant(0.5));
    let (less, more) = (dag.two(Op::Sub, one, a), dag.two(Op::Add, one, a));
    let (product, square) = (dag.two(Op::Mul, less, more), dag.two(Op::Mul, a, a));
    let (difference, size) = (dag.two(Op::Sub, one, square), dag.one(Op::Abs, a));
    let small = dag.two(Op::Less, size, half);
    dag.add(Op::Select, [small, difference, product])
}
