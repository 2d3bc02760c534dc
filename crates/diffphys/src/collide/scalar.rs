//! Numbers that contact geometry is written in: f64 for values, duals for derivatives along N directions at once. Branches look at values.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A real number with the operations that contact geometry needs.
pub(crate) trait Scalar:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    fn constant(x: f64) -> Self;
    fn value(self) -> f64;
    /// √x; the slope at 0 is taken as 0.
    fn sqrt(self) -> Self;

    fn zero() -> Self {
        Self::constant(0.0)
    }

    fn times(self, s: f64) -> Self {
        self * Self::constant(s)
    }

    /// Inside [low, high] itself, outside the constant bound.
    fn clamp_between(self, low: Self, high: Self) -> Self {
        if self.value() < low.value() {
            low
        } else if self.value() > high.value() {
            high
        } else {
            self
        }
    }
}

impl Scalar for f64 {
    #[inline]
    fn constant(x: f64) -> Self {
        x
    }
    #[inline]
    fn value(self) -> f64 {
        self
    }
    #[inline]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
}

/// A value and its derivatives along N directions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dual<const N: usize> {
    pub(crate) value: f64,
    pub(crate) slope: [f64; N],
}

impl<const N: usize> Dual<N> {
    fn map2(self, other: Self, value: f64, by_self: f64, by_other: f64) -> Self {
        let mut slope = [0.0; N];
        for k in 0..N {
            slope[k] = by_self * self.slope[k] + by_other * other.slope[k];
        }
        Self { value, slope }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;
    #[inline]
    fn add(self, o: Self) -> Self {
        self.map2(o, self.value + o.value, 1.0, 1.0)
    }
}

impl<const N: usize> Sub for Dual<N> {
    type Output = Self;
    #[inline]
    fn sub(self, o: Self) -> Self {
        self.map2(o, self.value - o.value, 1.0, -1.0)
    }
}

impl<const N: usize> Mul for Dual<N> {
    type Output = Self;
    #[inline]
    fn mul(self, o: Self) -> Self {
        self.map2(o, self.value * o.value, o.value, self.value)
    }
}

impl<const N: usize> Div for Dual<N> {
    type Output = Self;
    #[inline]
    fn div(self, o: Self) -> Self {
        let q = self.value / o.value;
        self.map2(o, q, 1.0 / o.value, -q / o.value)
    }
}

impl<const N: usize> Neg for Dual<N> {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self { value: -self.value, slope: self.slope.map(|s| -s) }
    }
}

impl<const N: usize> Scalar for Dual<N> {
    fn constant(x: f64) -> Self {
        Self { value: x, slope: [0.0; N] }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        let by = if root > 0.0 { 0.5 / root } else { 0.0 };
        Self { value: root, slope: self.slope.map(|s| s * by) }
    }
}

/// A vector over a scalar.
pub(crate) type V<T> = [T; 3];

#[inline]
pub(crate) fn add<T: Scalar>(a: V<T>, b: V<T>) -> V<T> {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline]
pub(crate) fn sub<T: Scalar>(a: V<T>, b: V<T>) -> V<T> {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline]
pub(crate) fn scale<T: Scalar>(a: V<T>, s: T) -> V<T> {
    [a[0] * s, a[1] * s, a[2] * s]
}

#[inline]
pub(crate) fn add_scaled<T: Scalar>(a: V<T>, b: V<T>, s: T) -> V<T> {
    [a[0] + b[0] * s, a[1] + b[1] * s, a[2] + b[2] * s]
}

#[inline]
pub(crate) fn dot<T: Scalar>(a: V<T>, b: V<T>) -> T {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
pub(crate) fn cross<T: Scalar>(a: V<T>, b: V<T>) -> V<T> {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// a/‖a‖ and ‖a‖; the x axis, as a constant, where ‖a‖ is 0.
#[inline]
pub(crate) fn normalize<T: Scalar>(a: V<T>) -> (V<T>, T) {
    let length = dot(a, a).sqrt();
    if length.value() < crate::spatial::MINVAL {
        ([T::constant(1.0), T::zero(), T::zero()], T::zero())
    } else {
        (scale(a, T::constant(1.0) / length), length)
    }
}

/// M·v, M row-major.
#[inline]
pub(crate) fn rotate<T: Scalar>(m: &[T; 9], v: V<T>) -> V<T> {
    [
        m[0] * v[0] + m[1] * v[1] + m[2] * v[2],
        m[3] * v[0] + m[4] * v[1] + m[5] * v[2],
        m[6] * v[0] + m[7] * v[1] + m[8] * v[2],
    ]
}

/// Mᵀ·v.
#[inline]
pub(crate) fn rotate_back<T: Scalar>(m: &[T; 9], v: V<T>) -> V<T> {
    [
        m[0] * v[0] + m[3] * v[1] + m[6] * v[2],
        m[1] * v[0] + m[4] * v[1] + m[7] * v[2],
        m[2] * v[0] + m[5] * v[1] + m[8] * v[2],
    ]
}

/// Column `i`.
#[inline]
pub(crate) fn column<T: Scalar>(m: &[T; 9], i: usize) -> V<T> {
    [m[i], m[3 + i], m[6 + i]]
}
