//! Hyperbolic functions and their inverses.

use super::{Device, unary};
use crate::kernel::Elementary;

unary! {
    /// sinh x.
    sinh() as "sinh" {
        value: |x, _p| x.sinh(),
        slope: |x, _y, _p| x.cosh(),
        curvature: |_x, y, _p| Some(y),
    }
    /// cosh x.
    cosh() as "cosh" {
        value: |x, _p| x.cosh(),
        slope: |x, _y, _p| x.sinh(),
        curvature: |_x, y, _p| Some(y),
    }
    /// tanh x.
    tanh() as "tanh" {
        value: |x, _p| Elementary::tanh(x),
        slope: |x, y, _p| x.tanh_slope(y),
        curvature: |x, y, _p| Some(y * x.sech2() * -2.0),
        finite: true,
        device: Device { value: |x, _| x.tanh(), slope: |_, y, v, _| y.sqr()?.affine(-1.0, 1.0)?.mul(v) },
    }
    /// sech² x = 1 − tanh² x, without cancellation.
    sech2() as "sech2" {
        value: |x, _p| x.sech2(),
        slope: |x, y, _p| -2.0 * y * Elementary::tanh(x),
        curvature: |x, y, _p| Some(y * (x.tanh().sqr() * 2.0 - y) * 2.0),
        finite: true,
    }
    /// arsinh x.
    asinh() as "asinh" {
        value: |x, _p| x.asinh(),
        slope: |x, _y, _p| x.hypot(1.0).recip(),
        curvature: |x, _y, _p| Some(-x * (x.sqr() + 1.0).powf(-1.5)),
        finite: true,
    }
    /// arcosh x for x ≥ 1; the derivative is infinite at 1.
    acosh() as "acosh" {
        value: |x, _p| (x - 1.0 + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p(),
        slope: |x, _y, _p| ((x - 1.0) * (x + 1.0)).sqrt().recip(),
        curvature: |x, _y, _p| Some(-x * ((x - 1.0) * (x + 1.0)).powf(-1.5)),
    }
    /// artanh x for |x| < 1.
    atanh() as "atanh" {
        value: |x, _p| (0.5 * (2.0 * x.abs() / (1.0 - x.abs())).ln_1p()).copysign(x),
        slope: |x, _y, _p| ((1.0 - x) * (1.0 + x)).recip(),
        curvature: |x, _y, _p| Some(x * ((1.0 - x) * (1.0 + x)).sqr().reciprocal() * 2.0),
    }
    /// ln cosh x, a smooth |x|.
    log_cosh() as "log_cosh" {
        value: |x, _p| x.log_cosh(),
        slope: |x, _y, _p| Elementary::tanh(x),
        curvature: |x, _y, _p| Some(x.sech2()),
    }
}
