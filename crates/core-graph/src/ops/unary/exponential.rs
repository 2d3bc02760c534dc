//! Exponentials and logarithms.

use std::f64::consts::{LN_2, LN_10};

use super::{Device, unary};
use crate::Var;
use crate::kernel::Elementary;

unary! {
    /// eˣ.
    exp() as "exp" {
        value: |x, _p| Elementary::exp(x),
        slope: |_x, y, _p| y,
        curvature: |_x, y, _p| Some(y),
        device: Device { value: |x, _| x.exp(), slope: |_, y, v, _| y.mul(v) },
    }
    /// 2ˣ.
    exp2() as "exp2" {
        value: |x, _p| x.exp2(),
        slope: |_x, y, _p| y * LN_2 as T,
        curvature: |_x, y, _p| Some(y * (LN_2 * LN_2)),
    }
    /// eˣ − 1, exact near 0.
    expm1() as "expm1" {
        value: |x, _p| Elementary::exp_m1(x),
        slope: |x, _y, _p| Elementary::exp(x),
        curvature: |x, _y, _p| Some(x.exp()),
    }
    /// ln x. Zero and negative numbers are an error.
    log() as "log" {
        value: |x, _p| Elementary::ln(x),
        slope: |x, _y, _p| x.recip(),
        curvature: |x, _y, _p| Some(-x.reciprocal().sqr()),
        device: Device { value: |x, _| x.log(), slope: |x, _, v, _| v.div(x) },
    }
    /// log₂ x.
    log2() as "log2" {
        value: |x, _p| x.log2(),
        slope: |x, _y, _p| (x * LN_2 as T).recip(),
        curvature: |x, _y, _p| Some(x.reciprocal().sqr() * (-1.0 / LN_2)),
    }
    /// log₁₀ x.
    log10() as "log10" {
        value: |x, _p| x.log10(),
        slope: |x, _y, _p| (x * LN_10 as T).recip(),
        curvature: |x, _y, _p| Some(x.reciprocal().sqr() * (-1.0 / LN_10)),
    }
    /// ln(1 + x), exact near 0.
    log1p() as "log1p" {
        value: |x, _p| Elementary::ln_1p(x),
        slope: |x, _y, _p| (1.0 + x).recip(),
        curvature: |x, _y, _p| Some(-(x + 1.0).reciprocal().sqr()),
    }
    /// ln x for x > 0, else 0 with derivative 0.
    safe_log() as "safe_log" {
        value: |x, _p| if x > 0.0 { Elementary::ln(x) } else { 0.0 },
        slope: |x, _y, _p| if x > 0.0 { x.recip() } else { 0.0 },
        curvature: |x, _y, _p| Some(-x.safe_reciprocal().sqr() * x.step()),
    }
    /// 1/x, and 0 at 0 with derivative 0.
    safe_reciprocal() as "safe_reciprocal" {
        value: |x, _p| if x == 0.0 { 0.0 } else { x.recip() },
        slope: |_x, y, _p| -y * y,
        curvature: |_x, y, _p| Some(y.cube() * 2.0),
    }
    /// √x for x > 0, else 0 with derivative 0.
    safe_sqrt() as "safe_sqrt" {
        value: |x, _p| if x > 0.0 { x.sqrt() } else { 0.0 },
        slope: |_x, y, _p| if y > 0.0 { 0.5 / y } else { 0.0 },
        curvature: |x, y, _p| Some((x * y).safe_reciprocal() * -0.25),
    }
}

impl Var<'_> {
    /// ln x: [`Var::log`] by the name that Rust's numbers have for it.
    #[must_use]
    pub fn ln(self) -> Self {
        self.log()
    }
}
