//! Dual numbers: a value with its derivatives in N directions.

use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::Real;

/// value + Σ slopes\[i\]·εᵢ with εᵢ·εⱼ = 0. `T` may be a dual number again: derivatives of second order.
#[derive(Debug, Clone, Copy)]
pub struct Dual<T, const N: usize> {
    /// The value.
    pub value: T,
    /// Its derivatives in N directions.
    pub slopes: [T; N],
}

impl<T: Real, const N: usize> Dual<T, N> {
    /// A variable whose derivative is 1 in direction `i` and 0 in the others; a constant where there is no such direction (N ≤ i).
    pub fn variable(value: T, i: usize) -> Self {
        let mut slopes = [T::lit(0.0); N];
        if let Some(slope) = slopes.get_mut(i) {
            *slope = T::lit(1.0);
        }
        Dual { value, slopes }
    }

    /// f(self), where f has this value and slope.
    fn chain(self, value: T, slope: T) -> Self {
        Dual { value, slopes: self.slopes.map(|s| slope * s) }
    }

    /// As [`Dual::chain`], where the slope may be infinite: a direction of 0 stays 0.
    fn chain_guarded(self, value: T, slope: T) -> Self {
        Dual { value, slopes: self.slopes.map(|s| s.guarded_mul(slope)) }
    }

    /// f(self, other), where f has this value and these slopes.
    fn chain2(self, other: Self, value: T, [first, second]: [T; 2]) -> Self {
        let mut slopes = self.slopes;
        slopes.iter_mut().zip(&other.slopes).for_each(|(a, &b)| *a = first * *a + second * b);
        Dual { value, slopes }
    }

    /// As [`Dual::chain2`], where the slopes may be infinite: a direction of 0 stays 0.
    fn chain2_guarded(self, other: Self, value: T, [first, second]: [T; 2]) -> Self {
        let part = |a: T, b: T| a.guarded_mul(first) + b.guarded_mul(second);
        let mut slopes = self.slopes;
        slopes.iter_mut().zip(&other.slopes).for_each(|(a, &b)| *a = part(*a, b));
        Dual { value, slopes }
    }

    fn constant(value: T) -> Self {
        Dual { value, slopes: [T::lit(0.0); N] }
    }
}

impl<T: PartialEq, const N: usize> PartialEq for Dual<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: PartialOrd, const N: usize> PartialOrd for Dual<T, N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Real, const N: usize> Add for Dual<T, N> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        let one = T::lit(1.0);
        self.chain2(o, self.value + o.value, [one, one])
    }
}

impl<T: Real, const N: usize> Sub for Dual<T, N> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self.chain2(o, self.value - o.value, [T::lit(1.0), T::lit(-1.0)])
    }
}

impl<T: Real, const N: usize> Mul for Dual<T, N> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        self.chain2(o, self.value * o.value, [o.value, self.value])
    }
}

impl<T: Real, const N: usize> Div for Dual<T, N> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let ratio = self.value / o.value;
        self.chain2(o, ratio, [o.value.recip(), -(ratio / o.value)])
    }
}

impl<T: Real, const N: usize> Neg for Dual<T, N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.value, T::lit(-1.0))
    }
}

macro_rules! with_number {
    ($($Trait:ident, $method:ident, $Assign:ident, $assign:ident;)+) => {
        $(
            impl<T: Real, const N: usize> $Trait<Dual<T, N>> for f64 {
                type Output = Dual<T, N>;
                fn $method(self, other: Dual<T, N>) -> Dual<T, N> {
                    $Trait::$method(Dual::lit(self), other)
                }
            }
            impl<T: Real, const N: usize> $Assign for Dual<T, N> {
                fn $assign(&mut self, other: Self) {
                    *self = $Trait::$method(*self, other);
                }
            }
            impl<T: Real, const N: usize> $Trait<f64> for Dual<T, N> {
                type Output = Self;
                fn $method(self, other: f64) -> Self {
                    $Trait::$method(self, Self::lit(other))
                }
            }
        )+
    };
}
with_number! {
    Add, add, AddAssign, add_assign;
    Sub, sub, SubAssign, sub_assign;
    Mul, mul, MulAssign, mul_assign;
    Div, div, DivAssign, div_assign;
}

impl<T: Real, const N: usize> Sum for Dual<T, N> {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::lit(0.0), |sum, x| sum + x)
    }
}

/// 1 − x², exact to rounding, and so is its derivative, at ±1 as at 0.
fn one_less_square<T: Real>(x: T) -> T {
    let small = x.abs().less(T::lit(0.5));
    T::select(small, -(x * x) + 1.0, (-x + 1.0) * (x + 1.0))
}

/// sech² x; 0 where it underflows, before cosh x overflows.
fn sech_square<T: Real>(x: T) -> T {
    let inside = x.abs().less(T::lit(375.0));
    T::select(inside, x.cosh().recip().sqr(), T::lit(0.0))
}

macro_rules! functions {
    ($chain:ident: $($name:ident: |$x:ident, $y:ident| $slope:expr;)+) => {
        $(
            fn $name(self) -> Self {
                let $x = self.value;
                let $y = $x.$name();
                self.$chain($y, $slope)
            }
        )+
    };
}

impl<T: Real, const N: usize> Real for Dual<T, N> {
    fn lit(x: f64) -> Self {
        Self::constant(T::lit(x))
    }
    functions! { chain:
        abs: |x, _y| x.sign();
        exp: |_x, y| y;
        exp_m1: |x, _y| x.exp();
        sin: |x, _y| x.cos();
        cos: |x, _y| -x.sin();
        tan: |_x, y| y * y + 1.0;
        atan: |x, _y| (x * x + 1.0).recip();
        sinh: |x, _y| x.cosh();
        cosh: |x, _y| x.sinh();
        tanh: |x, _y| sech_square(x);
        asinh: |x, _y| x.hypot(T::lit(1.0)).recip();
    }
    functions! { chain_guarded:
        sqrt: |_x, y| T::lit(0.5) / y;
        ln: |x, _y| x.recip();
        ln_1p: |x, _y| (x + 1.0).recip();
        asin: |x, _y| one_less_square(x).sqrt().recip();
        acos: |x, _y| -one_less_square(x).sqrt().recip();
        acosh: |x, _y| ((x - 1.0).sqrt() * (x + 1.0).sqrt()).recip();
        atanh: |x, _y| one_less_square(x).recip();
    }
    fn sign(self) -> Self {
        Self::constant(self.value.sign())
    }
    fn floor(self) -> Self {
        Self::constant(self.value.floor())
    }
    fn min(self, other: Self) -> Self {
        let side = ((other.value - self.value).sign() + 1.0) * 0.5;
        self.chain2(other, self.value.min(other.value), [side, -side + 1.0])
    }
    fn max(self, other: Self) -> Self {
        let side = ((self.value - other.value).sign() + 1.0) * 0.5;
        self.chain2(other, self.value.max(other.value), [side, -side + 1.0])
    }
    fn atan2(self, other: Self) -> Self {
        let (y, x) = (self.value, other.value);
        let r = y.hypot(x);
        let over = |a: T| a.guarded_div(r).guarded_div(r);
        self.chain2(other, y.atan2(x), [over(x), -over(y)])
    }
    fn hypot(self, other: Self) -> Self {
        let r = self.value.hypot(other.value);
        self.chain2(other, r, [self.value.guarded_div(r), other.value.guarded_div(r)])
    }
    fn pow(self, p: Self) -> Self {
        let value = self.value.pow(p.value);
        let first = p.value.guarded_mul(self.value.pow(p.value - 1.0));
        self.chain2_guarded(p, value, [first, value * self.value.ln()])
    }
    fn less(self, other: Self) -> Self {
        Self::constant(self.value.less(other.value))
    }
    fn less_equal(self, other: Self) -> Self {
        Self::constant(self.value.less_equal(other.value))
    }
    fn equal(self, other: Self) -> Self {
        Self::constant(self.value.equal(other.value))
    }
    fn select(condition: Self, yes: Self, no: Self) -> Self {
        let c = condition.value;
        let mut slopes = yes.slopes;
        slopes.iter_mut().zip(&no.slopes).for_each(|(y, &n)| *y = T::select(c, *y, n));
        Dual { value: T::select(c, yes.value, no.value), slopes }
    }
    fn guarded_mul(self, other: Self) -> Self {
        let (a, b) = (self.value, other.value);
        let mut slopes = self.slopes;
        let part = |da: T, db: T| da.guarded_mul(b) + a.guarded_mul(db);
        slopes.iter_mut().zip(&other.slopes).for_each(|(da, &db)| *da = part(*da, db));
        Dual { value: a.guarded_mul(b), slopes }
    }
    fn guarded_div(self, other: Self) -> Self {
        let (ratio, b) = (self.value.guarded_div(other.value), other.value);
        let inner = ratio.guarded_div(b);
        let mut slopes = self.slopes;
        let part = |da: T, db: T| da.guarded_div(b) - inner.guarded_mul(db);
        slopes.iter_mut().zip(&other.slopes).for_each(|(da, &db)| *da = part(*da, db));
        Dual { value: ratio, slopes }
    }
}
