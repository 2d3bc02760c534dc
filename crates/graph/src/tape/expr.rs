//! Recording: generic code runs once on expressions, which write down what it does.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use super::dag::{Dag, Id};
use super::op::Op;
use crate::{Error, Real};

/// What is being recorded, and the first error.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) dag: RefCell<Dag>,
    pub(super) error: RefCell<Option<Error>>,
}

/// A number that is being recorded: an input, a constant, or what was computed from them.
#[derive(Clone, Copy)]
pub struct Expr<'r> {
    /// `None`: a constant that no recorder has seen.
    of: Option<(&'r Recorder, Id)>,
    value: f64,
}

impl<'r> Expr<'r> {
    pub(super) fn new(recorder: &'r Recorder, id: Id) -> Self {
        Expr { of: Some((recorder, id)), value: 0.0 }
    }

    /// The position in `recorder`, or `None` if it belongs to another recording.
    pub(super) fn id(self, recorder: &Recorder) -> Option<Id> {
        match self.of {
            None => Some(recorder.dag.borrow_mut().constant(self.value)),
            Some((mine, id)) => std::ptr::eq(mine, recorder).then_some(id),
        }
    }

    fn apply<const N: usize>(op: Op, x: [Self; N]) -> Self {
        let Some(recorder) = x.iter().find_map(|e| e.of.map(|(recorder, _)| recorder)) else {
            let mut numbers = [0.0; 3];
            numbers.iter_mut().zip(&x).for_each(|(n, e)| *n = e.value);
            let [a, b, c] = numbers;
            return Expr { of: None, value: op.value(a, b, c) };
        };
        let mut args = [0; 3];
        for (arg, e) in args.iter_mut().zip(x) {
            match e.id(recorder) {
                Some(id) => *arg = id,
                None => {
                    // Both recordings lack something then.
                    recorder.fail(Error::ForeignExpression);
                    if let Some((other, _)) = e.of {
                        other.fail(Error::ForeignExpression);
                    }
                }
            }
        }
        let id = recorder.dag.borrow_mut().add(op, args);
        Expr::new(recorder, id)
    }

    fn describe(self) -> String {
        match self.of {
            None => self.value.to_string(),
            Some((recorder, id)) => {
                let dag = recorder.dag.borrow();
                match dag.nodes.get(id as usize) {
                    Some(node) if node.op == Op::Const => node.value.to_string(),
                    Some(node) if node.op == Op::Input => format!("x[{}]", node.args[0]),
                    Some(node) => format!("{:?}#{id}", node.op),
                    None => format!("#{id}"),
                }
            }
        }
    }

    /// The order of two constants; of anything else, an error that the recording ends with.
    fn compare(self, other: Self, comparison: &'static str) -> Option<Ordering> {
        let number = |e: Self| match e.of {
            None => Some(e.value),
            Some((recorder, id)) => recorder.dag.borrow().known(id),
        };
        if let (Some(a), Some(b)) = (number(self), number(other)) {
            return a.partial_cmp(&b);
        }
        for (recorder, _) in [self.of, other.of].into_iter().flatten() {
            let (left, right) = (self.describe(), other.describe());
            recorder.fail(Error::FrozenBranch { comparison, left, right });
        }
        None
    }
}

impl Recorder {
    fn fail(&self, error: Error) {
        self.error.borrow_mut().get_or_insert(error);
    }
}

impl std::fmt::Debug for Expr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl PartialEq for Expr<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other, "==") == Some(Ordering::Equal)
    }
}

impl PartialOrd for Expr<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.compare(*other, "<")
    }
}

macro_rules! operators {
    ($($Trait:ident, $method:ident, $Assign:ident, $assign:ident, $op:ident;)+) => {
        $(
            impl $Trait for Expr<'_> {
                type Output = Self;
                fn $method(self, other: Self) -> Self {
                    Expr::apply(Op::$op, [self, other])
                }
            }
            impl $Trait<f64> for Expr<'_> {
                type Output = Self;
                fn $method(self, other: f64) -> Self {
                    Expr::apply(Op::$op, [self, Expr::lit(other)])
                }
            }
            impl<'r> $Trait<Expr<'r>> for f64 {
                type Output = Expr<'r>;
                fn $method(self, other: Expr<'r>) -> Expr<'r> {
                    Expr::apply(Op::$op, [Expr::lit(self), other])
                }
            }
            impl $Assign for Expr<'_> {
                fn $assign(&mut self, other: Self) {
                    *self = Expr::apply(Op::$op, [*self, other]);
                }
            }
        )+
    };
}
operators! {
    Add, add, AddAssign, add_assign, Add;
    Sub, sub, SubAssign, sub_assign, Sub;
    Mul, mul, MulAssign, mul_assign, Mul;
    Div, div, DivAssign, div_assign, Div;
}

impl Sum for Expr<'_> {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Expr::lit(0.0), |sum, x| sum + x)
    }
}

impl Neg for Expr<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        Expr::apply(Op::Neg, [self])
    }
}

macro_rules! recorded {
    ($($name:ident($($x:ident),*) = $op:ident;)+) => {
        $(
            fn $name(self, $($x: Self),*) -> Self {
                Expr::apply(Op::$op, [self, $($x),*])
            }
        )+
    };
}

impl Real for Expr<'_> {
    fn lit(x: f64) -> Self {
        Expr { of: None, value: x }
    }
    fn select(condition: Self, yes: Self, no: Self) -> Self {
        Expr::apply(Op::Select, [condition, yes, no])
    }
    recorded! {
        sqrt() = Sqrt; abs() = Abs; sign() = Sign; floor() = Floor;
        exp() = Exp; exp_m1() = ExpM1; ln() = Ln; ln_1p() = Ln1p;
        sin() = Sin; cos() = Cos; tan() = Tan; asin() = Asin; acos() = Acos; atan() = Atan;
        sinh() = Sinh; cosh() = Cosh; tanh() = Tanh; asinh() = Asinh; acosh() = Acosh; atanh() = Atanh;
        min(other) = Min; max(other) = Max; atan2(other) = Atan2; hypot(other) = Hypot; pow(other) = Pow;
        less(other) = Less; less_equal(other) = LessEqual; equal(other) = Equal;
        guarded_mul(other) = GuardedMul; guarded_div(other) = GuardedDiv;
    }
}
