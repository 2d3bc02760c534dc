//! Numbers with derivatives along one direction, along N others, and the mixed second ones: for derivatives of a directional derivative.

use crate::collide::scalar::Scalar;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A value, its derivative along a direction, its derivatives along N others, and the second derivatives along each pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hyper<const N: usize> {
    pub(crate) value: f64,
    pub(crate) along: f64,
    pub(crate) slope: [f64; N],
    pub(crate) mixed: [f64; N],
}

impl<const N: usize> Hyper<N> {
    /// f(self) by f, f' and f''.
    fn map(self, value: f64, first: f64, second: f64) -> Self {
        let mut out = Self { value, along: first * self.along, slope: [0.0; N], mixed: [0.0; N] };
        for k in 0..N {
            out.slope[k] = first * self.slope[k];
            out.mixed[k] = first * self.mixed[k] + second * self.along * self.slope[k];
        }
        out
    }

    fn zip(self, o: Self, sign: f64) -> Self {
        let mut out = self;
        out.value += sign * o.value;
        out.along += sign * o.along;
        for k in 0..N {
            out.slope[k] += sign * o.slope[k];
            out.mixed[k] += sign * o.mixed[k];
        }
        out
    }
}

impl<const N: usize> Add for Hyper<N> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        self.zip(o, 1.0)
    }
}

impl<const N: usize> Sub for Hyper<N> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self.zip(o, -1.0)
    }
}

impl<const N: usize> Mul for Hyper<N> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        let mut out = Self {
            value: self.value * o.value,
            along: self.along * o.value + self.value * o.along,
            slope: [0.0; N],
            mixed: [0.0; N],
        };
        for k in 0..N {
            out.slope[k] = self.slope[k] * o.value + self.value * o.slope[k];
            out.mixed[k] = self.mixed[k] * o.value
                + self.along * o.slope[k]
                + self.slope[k] * o.along
                + self.value * o.mixed[k];
        }
        out
    }
}

impl<const N: usize> Div for Hyper<N> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let r = 1.0 / o.value;
        let quotient = self * o.map(r, -r * r, 2.0 * r * r * r);
        Self { value: self.value / o.value, ..quotient }
    }
}

impl<const N: usize> Neg for Hyper<N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.map(-self.value, -1.0, 0.0)
    }
}

impl<const N: usize> Scalar for Hyper<N> {
    fn constant(x: f64) -> Self {
        Self { value: x, along: 0.0, slope: [0.0; N], mixed: [0.0; N] }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        if root > 0.0 {
            self.map(root, 0.5 / root, -0.25 / (root * self.value))
        } else {
            self.map(root, 0.0, 0.0)
        }
    }
}
