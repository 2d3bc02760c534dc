//! Functions with kinks and steps. The convention at each kink stands in its documentation and in `check::KINKS`.

use super::{Device, unary};
use crate::Error;
use crate::graph::Var;
use crate::kernel::Elementary;

unary! {
    /// |x|; derivative 0 at 0.
    abs() as "abs" {
        value: |x, _p| x.abs(),
        slope: |x, _y, _p| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 },
        curvature: |_x, _y, _p| None,
        finite: true,
        device: Device { value: |x, _| x.abs(), slope: |x, _, v, _| x.sign()?.mul(v) },
    }
    /// max(x, 0); derivative 0 at 0.
    relu() as "relu" {
        value: |x, _p| if x > 0.0 { x } else { 0.0 },
        slope: |x, _y, _p| if x > 0.0 { 1.0 } else { 0.0 },
        curvature: |_x, _y, _p| None,
        finite: true,
        device: Device { value: |x, _| x.relu(), slope: |x, _, v, _| x.gt(&x.zeros_like()?)?.to_dtype(x.dtype())?.mul(v) },
    }
    /// x for x > 0, else a·x; derivative a at 0.
    leaky_relu(slope: 0) as "leaky_relu" {
        value: |x, p| if x > 0.0 { x } else { p[0] * x },
        slope: |x, _y, p| if x > 0.0 { 1.0 } else { p[0] },
        curvature: |_x, _y, _p| None,
    }
    /// x for x > 0, else α(eˣ − 1); derivative α at 0.
    elu(alpha: 0) as "elu" {
        value: |x, p| if x > 0.0 { x } else { p[0] * Elementary::exp_m1(x) },
        slope: |x, _y, p| if x > 0.0 { 1.0 } else { p[0] * Elementary::exp(x) },
        curvature: |x, _y, p| Some(x.limited(f64::NEG_INFINITY, 0.0).exp() * p[0] * (1.0 - x.step())),
    }
    /// [`Var::clamp`] without the check of its bounds.
    limited(low: 0, high: 1) as "clamp" {
        value: |x, p| if x < p[0] { p[0] } else if x > p[1] { p[1] } else { x },
        slope: |x, _y, p| if x < p[0] || x > p[1] { 0.0 } else { 1.0 },
        curvature: |_x, _y, _p| None,
    }
    /// −1, 0 or 1; derivative 0 everywhere.
    sign() as "sign" {
        value: |x, _p| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 },
        slope: |_x, _y, _p| 0.0,
        curvature: |_x, _y, _p| None,
        finite: true,
    }
    /// 1 for x > 0, else 0; derivative 0 everywhere.
    step() as "step" {
        value: |x, _p| if x > 0.0 { 1.0 } else { 0.0 },
        slope: |_x, _y, _p| 0.0,
        curvature: |_x, _y, _p| None,
        finite: true,
    }
    /// 1 for x > 0, ½ at 0, else 0; derivative 0 everywhere.
    half_step() as "half_step" {
        value: |x, _p| if x > 0.0 { 1.0 } else if x < 0.0 { 0.0 } else { 0.5 },
        slope: |_x, _y, _p| 0.0,
        curvature: |_x, _y, _p| None,
        finite: true,
    }
    /// The greatest integer not above x; derivative 0 everywhere.
    floor() as "floor" {
        value: |x, _p| x.floor(),
        slope: |_x, _y, _p| 0.0,
        curvature: |_x, _y, _p| None,
        finite: true,
    }
    /// The least integer not below x; derivative 0 everywhere.
    ceil() as "ceil" {
        value: |x, _p| x.ceil(),
        slope: |_x, _y, _p| 0.0,
        curvature: |_x, _y, _p| None,
        finite: true,
    }
    /// The nearest integer, halves to even; derivative 0 everywhere.
    round() as "round" {
        value: |x, _p| x.round_ties_even(),
        slope: |_x, _y, _p| 0.0,
        curvature: |_x, _y, _p| None,
        finite: true,
    }
}

impl Var<'_> {
    /// x limited to [low, high]; derivative 1 on the closed interval, 0 outside. Errors: low > high, or a bound that is NaN.
    #[must_use]
    pub fn clamp(self, low: f64, high: f64) -> Self {
        if low <= high {
            return self.limited(low, high);
        }
        self.compose(|_| {
            Err(Error::invalid("clamp", format!("needs low ≤ high, got [{low}, {high}]")))
        })
    }
}
