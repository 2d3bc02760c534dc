//! The numbers that user code is generic over: f64, dual numbers, and expressions that are being recorded.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A real number, or something that stands for one.
///
/// Code that is generic over it runs as f64, as [`Dual`](crate::Dual) numbers, and as expressions that [`Tape::record`](crate::Tape::record)
/// turns into instructions. Comparisons with `<` and `==` are for numbers; on expressions they are an error of the recording, because the
/// branch taken would be frozen: write [`Real::select`]. That holds for library code too: sorting expressions compares them.
///
/// In generic code a constant stands on the right, `x * 0.5` or `-x + 1.0`, or is a [`Real::lit`]: Rust has no way to say `0.5 * x` for
/// every `T`. Of a concrete [`Expr`](crate::Expr) or [`Dual`](crate::Dual) it stands on either side.
pub trait Real:
    Copy
    + Debug
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
{
    /// A constant.
    fn lit(x: f64) -> Self;
    /// √self
    fn sqrt(self) -> Self;
    /// |self|; derivative 0 at 0.
    fn abs(self) -> Self;
    /// −1, 0 or 1; derivative 0.
    fn sign(self) -> Self;
    /// The smaller; where equal, each has derivative ½.
    fn min(self, other: Self) -> Self;
    /// The larger; where equal, each has derivative ½.
    fn max(self, other: Self) -> Self;
    /// The largest integer that is not above; derivative 0.
    fn floor(self) -> Self;
    /// eˣ
    fn exp(self) -> Self;
    /// eˣ − 1
    fn exp_m1(self) -> Self;
    /// ln x
    fn ln(self) -> Self;
    /// ln(1 + x)
    fn ln_1p(self) -> Self;
    /// sin x
    fn sin(self) -> Self;
    /// cos x
    fn cos(self) -> Self;
    /// tan x
    fn tan(self) -> Self;
    /// arcsin x
    fn asin(self) -> Self;
    /// arccos x
    fn acos(self) -> Self;
    /// arctan x
    fn atan(self) -> Self;
    /// sinh x
    fn sinh(self) -> Self;
    /// cosh x
    fn cosh(self) -> Self;
    /// tanh x
    fn tanh(self) -> Self;
    /// arsinh x
    fn asinh(self) -> Self;
    /// arcosh x
    fn acosh(self) -> Self;
    /// artanh x
    fn atanh(self) -> Self;
    /// The angle of the point (x = `other`, y = `self`).
    fn atan2(self, other: Self) -> Self;
    /// √(self² + other²)
    fn hypot(self, other: Self) -> Self;
    /// selfᵖ
    fn pow(self, p: Self) -> Self;
    /// 1 where self < other, else 0.
    fn less(self, other: Self) -> Self;
    /// 1 where self ≤ other, else 0.
    fn less_equal(self, other: Self) -> Self;
    /// 1 where self = other, else 0.
    fn equal(self, other: Self) -> Self;
    /// `yes` where `condition` ≠ 0, else `no`: both are evaluated, one is used, and only it passes a derivative on.
    fn select(condition: Self, yes: Self, no: Self) -> Self;
    /// self·other, and 0 where self = 0, whatever `other` is: a derivative times a slope that may be infinite.
    fn guarded_mul(self, other: Self) -> Self;
    /// self/other, and 0 where self = 0, whatever `other` is: the slope of a norm at the origin.
    fn guarded_div(self, other: Self) -> Self;
    /// self·self
    fn sqr(self) -> Self {
        self * self
    }
    /// 1/self
    fn recip(self) -> Self {
        Self::lit(1.0) / self
    }
    /// selfⁿ by repeated squaring.
    fn powi(self, n: i32) -> Self {
        let (mut power, mut square, mut left) = (Self::lit(1.0), self, n.unsigned_abs());
        while left != 0 {
            if left % 2 == 1 {
                power *= square;
            }
            left /= 2;
            if left != 0 {
                square = square * square;
            }
        }
        if n < 0 { power.recip() } else { power }
    }
}

macro_rules! through {
    ($($name:ident($($x:ident),*) = $op:ident;)+) => {
        $(
            #[inline]
            fn $name(self, $($x: f64),*) -> f64 {
                through!(@call $op, self $(, $x)*)
            }
        )+
    };
    (@call $op:ident, $a:expr) => { crate::Op::$op.value($a, 0.0, 0.0) };
    (@call $op:ident, $a:expr, $b:expr) => { crate::Op::$op.value($a, $b, 0.0) };
}

impl Real for f64 {
    fn lit(x: f64) -> f64 {
        x
    }
    fn select(condition: f64, yes: f64, no: f64) -> f64 {
        crate::Op::Select.value(condition, yes, no)
    }
    through! {
        sqrt() = Sqrt; abs() = Abs; sign() = Sign; floor() = Floor;
        exp() = Exp; exp_m1() = ExpM1; ln() = Ln; ln_1p() = Ln1p;
        sin() = Sin; cos() = Cos; tan() = Tan; asin() = Asin; acos() = Acos; atan() = Atan;
        sinh() = Sinh; cosh() = Cosh; tanh() = Tanh; asinh() = Asinh; acosh() = Acosh; atanh() = Atanh;
        min(other) = Min; max(other) = Max; atan2(other) = Atan2; hypot(other) = Hypot; pow(other) = Pow;
        less(other) = Less; less_equal(other) = LessEqual; equal(other) = Equal;
        guarded_mul(other) = GuardedMul; guarded_div(other) = GuardedDiv;
    }
}
