//! Smooth activations and the error function.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

use super::{Device, unary};
use crate::graph::Var;
use crate::kernel::Elementary;

/// √(2/π), the factor of the tanh form of GELU.
const C: f64 = 0.797_884_560_802_865_4;
/// The cubic term of the tanh form of GELU.
const A: f64 = 0.044_715;

unary! {
    /// The logistic function 1/(1 + e⁻ˣ).
    sigmoid() as "sigmoid" {
        value: |x, _p| x.sigmoid(),
        slope: |x, _y, _p| 0.25 * (0.5 * x).sech2(),
        curvature: |x, _y, _p| Some((x * 0.5).sech2() * (x * 0.5).tanh() * -0.25),
        finite: true,
    }
    /// ln(1 + eˣ), without overflow.
    softplus() as "softplus" {
        value: |x, _p| x.softplus(),
        slope: |x, _y, _p| x.sigmoid(),
        curvature: |x, _y, _p| Some((x * 0.5).sech2() * 0.25),
        finite: true,
    }
    /// ln σ(x) = −ln(1 + e⁻ˣ), without overflow.
    log_sigmoid() as "log_sigmoid" {
        value: |x, _p| -(-x).softplus(),
        slope: |x, _y, _p| (-x).sigmoid(),
        curvature: |x, _y, _p| Some((x * 0.5).sech2() * -0.25),
        finite: true,
    }
    /// x·σ(x), also called swish.
    silu() as "silu" {
        value: |x, _p| x * x.sigmoid(),
        slope: |x, _y, _p| x.sigmoid() + x * 0.25 * (0.5 * x).sech2(),
        curvature: |x, _y, _p| {
            let h = x * 0.5;
            Some(h.sech2() * (1.0 - h * h.tanh()) * 0.5)
        },
        finite: true,
    }
    /// x·tanh(ln(1 + eˣ)).
    mish() as "mish" {
        value: |x, _p| x * Elementary::tanh(x.softplus()),
        slope: |x, _y, _p| {
            let s = x.softplus();
            Elementary::tanh(s) + x * s.sech2() * x.sigmoid()
        },
        curvature: |x, _y, _p| {
            let (s, l) = (x.softplus(), x.sigmoid());
            let slope = (x * 0.5).sech2() * 0.25;
            Some(s.sech2() * (l * 2.0 + x * (slope - s.tanh() * l.sqr() * 2.0)))
        },
        finite: true,
    }
    /// erf x = 2/√π ∫₀ˣ e^(−t²) dt.
    erf() as "erf" {
        value: |x, _p| Elementary::erf(x),
        slope: |x, _y, _p| FRAC_2_SQRT_PI as T * Elementary::exp(-x * x),
        curvature: |x, _y, _p| Some(x * (-x.sqr()).exp() * (-2.0 * FRAC_2_SQRT_PI)),
        finite: true,
    }
    /// erfc x = 1 − erf x, without cancellation.
    erfc() as "erfc" {
        value: |x, _p| Elementary::erfc(x),
        slope: |x, _y, _p| -(FRAC_2_SQRT_PI as T) * Elementary::exp(-x * x),
        curvature: |x, _y, _p| Some(x * (-x.sqr()).exp() * (2.0 * FRAC_2_SQRT_PI)),
        finite: true,
    }
    /// x·Φ(x), the exact GELU.
    gelu() as "gelu" {
        value: |x, _p| x * x.normal_cdf(),
        slope: |x, y, _p| x.gelu_slope(y),
        curvature: |x, _y, _p| Some((2.0 - x.sqr()) * (x.sqr() * -0.5).exp() * (2.0 * PI).sqrt().recip()),
        finite: true,
    }
    /// x·σ(2u) with u = √(2/π)(x + 0.044715 x³): the tanh form of GELU.
    gelu_tanh() as "gelu_tanh" {
        value: |x, _p| x * (2.0 * C as T * (x + A as T * x * x * x)).sigmoid(),
        slope: |x, _y, _p| {
            let u = C as T * (x + A as T * x * x * x);
            (2.0 * u).sigmoid() + x * 0.5 * u.sech2() * C as T * (1.0 + 3.0 * A as T * x * x)
        },
        curvature: |x, _y, _p| {
            // s = σ(2u): s' = ½ sech²(u) u', s'' = ½ sech²(u) (u'' − 2 tanh(u) u'²).
            let u = (x + x.cube() * A) * C;
            let (u1, u2) = ((x.sqr() * (3.0 * A) + 1.0) * C, x * (6.0 * A * C));
            Some(u.sech2() * (u1 + x * (u2 * 0.5 - u.tanh() * u1.sqr())))
        },
        finite: true,
        device: Device {
            value: |x, _| x.gelu(),
            slope: |x, _, v, _| {
                let u = x.sqr()?.affine(A, 1.0)?.mul(x)?.affine(C, 0.0)?;
                let t = u.tanh()?;
                let inner = x.sqr()?.affine(3.0 * A * C, C)?.mul(x)?;
                let slope = (t.affine(0.5, 0.5)? + t.sqr()?.affine(-0.5, 0.5)?.mul(&inner)?)?;
                slope.mul(v)
            },
        },
    }
}

impl Var<'_> {
    /// Alias of [`Var::silu`].
    #[must_use]
    pub fn swish(self) -> Self {
        self.silu()
    }
}
