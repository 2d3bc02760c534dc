//! Circular functions and their inverses.

use super::{Device, unary};
use crate::graph::Var;
use crate::tensor::Real;

unary! {
    /// sin x, in radians.
    sin() as "sin" {
        value: |x, _p| x.sin(),
        slope: |x, _y, _p| x.cos(),
        curvature: |_x, y, _p| Some(-y),
        device: Device { value: |x, _| x.sin(), slope: |x, _, v, _| x.cos()?.mul(v) },
    }
    /// cos x, in radians.
    cos() as "cos" {
        value: |x, _p| x.cos(),
        slope: |x, _y, _p| -x.sin(),
        curvature: |_x, y, _p| Some(-y),
        device: Device { value: |x, _| x.cos(), slope: |x, _, v, _| x.sin()?.mul(v)?.neg() },
    }
    /// tan x, in radians.
    tan() as "tan" {
        value: |x, _p| x.tan(),
        slope: |_x, y, _p| 1.0 + y * y,
        curvature: |_x, y, _p| Some(y * (y.sqr() + 1.0) * 2.0),
    }
    /// arcsin x for |x| ≤ 1; the derivative is infinite at ±1.
    asin() as "asin" {
        value: |x, _p| x.asin(),
        slope: |x, _y, _p| ((1.0 - x) * (1.0 + x)).sqrt().recip(),
        curvature: |x, _y, _p| Some(x * ((1.0 - x) * (1.0 + x)).powf(-1.5)),
    }
    /// arccos x for |x| ≤ 1; the derivative is infinite at ±1.
    acos() as "acos" {
        value: |x, _p| x.acos(),
        slope: |x, _y, _p| -((1.0 - x) * (1.0 + x)).sqrt().recip(),
        curvature: |x, _y, _p| Some(-x * ((1.0 - x) * (1.0 + x)).powf(-1.5)),
    }
    /// arctan x.
    atan() as "atan" {
        value: |x, _p| x.atan(),
        slope: |x, _y, _p| (1.0 + x * x).recip(),
        curvature: |x, _y, _p| {
            // −2x/(1 + x²)² without overflow.
            let r = x.hypot(x.ones_like()).reciprocal();
            Some(x * r * r.cube() * -2.0)
        },
    }
    /// The k-th derivative of sin x / x; `sinc_derivative(0)` is sin x / x itself, with its limits at 0: value 1, slope 0.
    sinc_derivative(order: 0) as "sinc" {
        value: |x, p| nth_sinc(p[0] as u32, x.wide()) as T,
        slope: |x, _y, p| nth_sinc(p[0] as u32 + 1, x.wide()) as T,
        curvature: |x, _y, p| Some(x.sinc_derivative(p[0] + 2.0)),
    }
}

impl Var<'_> {
    /// sin x / x (radians, not normalized), with its limits at 0: value 1, slope 0.
    #[must_use]
    pub fn sinc(self) -> Self {
        self.sinc_derivative(0.0)
    }
}

/// s_k(x) = dᵏ/dxᵏ (sin x / x) = ∫₀¹ tᵏ cos(xt + kπ/2) dt.
///
/// From x·s_0 = sin x: x·s_k + k·s_{k−1} = sin(x + kπ/2), stable upwards where |x| exceeds k; else the power series.
fn nth_sinc(k: u32, x: f64) -> f64 {
    if x.abs() < f64::from(k) + 2.0 {
        // Σ_n (−1)ⁿ x²ⁿ⁻ᵏ / ((2n + 1) (2n − k)!), the first term with 2n ≥ k.
        let first = k.div_ceil(2);
        let mut power = if k % 2 == 1 { x } else { 1.0 };
        let mut total = 0.0;
        for n in first..first + 40 {
            let sign = if n % 2 == 1 { -1.0 } else { 1.0 };
            total += sign * power / f64::from(2 * n + 1);
            let m = f64::from(2 * n - k);
            power *= x * x / ((m + 1.0) * (m + 2.0));
        }
        return total;
    }
    let phase = |k: u32| match k % 4 {
        0 => x.sin(),
        1 => x.cos(),
        2 => -x.sin(),
        _ => -x.cos(),
    };
    (1..=k).fold(x.sin() / x, |s, k| (phase(k) - f64::from(k) * s) / x)
}
