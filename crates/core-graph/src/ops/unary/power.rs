//! Negation, affine maps, powers and roots.

use super::{Device, unary};
use crate::graph::Var;

unary! {
    /// m·x + c.
    affine(m: 0, c: 1) as "affine" {
        value: |x, p| p[0] * x + p[1],
        slope: |_x, _y, p| p[0],
        curvature: |_x, _y, _p| None,
        device: Device { value: |x, p| x.affine(p[0], p[1]), slope: |_, _, v, p| v.affine(p[0], 0.0) },
    }
    /// x².
    sqr() as "sqr" {
        value: |x, _p| x * x,
        slope: |x, _y, _p| x + x,
        curvature: |x, _y, _p| Some(x.ones_like() * 2.0),
        device: Device { value: |x, _| x.sqr(), slope: |x, _, v, _| x.mul(v)?.affine(2.0, 0.0) },
    }
    /// x³.
    cube() as "cube" {
        value: |x, _p| x * x * x,
        slope: |x, _y, _p| 3.0 * x * x,
        curvature: |x, _y, _p| Some(x * 6.0),
    }
    /// √x. Negative numbers are an error; the derivative at 0 is infinite, and an error unless the cotangent there is 0.
    sqrt() as "sqrt" {
        value: |x, _p| x.sqrt(),
        slope: |_x, y, _p| 0.5 / y,
        curvature: |x, y, _p| Some((x * y).reciprocal() * -0.25),
        device: Device { value: |x, _| x.sqrt(), slope: |_, y, v, _| v.div(y)?.affine(0.5, 0.0) },
    }
    /// 1/√x.
    rsqrt() as "rsqrt" {
        value: |x, _p| x.sqrt().recip(),
        slope: |x, y, _p| -0.5 * y / x,
        curvature: |x, y, _p| Some(y / x.sqr() * 0.75),
    }
    /// ∛x, for negative numbers too.
    cbrt() as "cbrt" {
        value: |x, _p| x.cbrt(),
        slope: |_x, y, _p| (3.0 * y * y).recip(),
        curvature: |x, y, _p| Some((x * y.sqr()).reciprocal() * (-2.0 / 9.0)),
    }
    /// 1/x.
    reciprocal() as "reciprocal" {
        value: |x, _p| x.recip(),
        slope: |_x, y, _p| -y * y,
        curvature: |_x, y, _p| Some(y.cube() * 2.0),
        device: Device { value: |x, _| x.recip(), slope: |_, y, v, _| y.sqr()?.mul(v)?.neg() },
    }
    /// xᵖ for a constant exponent. Negative x needs an integer p; 0⁰ = 1 with derivative 0.
    powf(exponent: 0) as "powf" {
        value: |x, p| x.powf(p[0]),
        slope: |x, _y, p| if p[0] == 0.0 { 0.0 } else { p[0] * x.powf(p[0] - 1.0) },
        curvature: |x, _y, p| if p[0] == 0.0 || p[0] == 1.0 { None } else { Some(x.powf(p[0] - 2.0) * (p[0] * (p[0] - 1.0))) },
    }
}

impl<'g> Var<'g> {
    /// xⁿ for an integer exponent.
    #[must_use]
    pub fn powi(self, n: i32) -> Self {
        self.powf(f64::from(n))
    }
}
