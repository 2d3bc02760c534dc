//! Functions of two numbers, elementwise over broadcast shapes, and the operators.

use candle_core::Tensor;

use crate::graph::Var;
use crate::kernel::{Seen, broadcast_dims, zip_broadcast};
use crate::primitive::{Primitive, Slots, Values, one, one_seen, slot};
use crate::tensor::{Real, compact, room, with_slice};
use crate::{Error, Result, Wrt};

type Kernel<T> = fn((&[T], &[usize]), (&[T], &[usize]), &[usize]) -> Seen<T>;

/// A function of two numbers.
pub(crate) struct Row {
    name: &'static str,
    f32: Kernel<f32>,
    f64: Kernel<f64>,
    /// v·∂f/∂x_i from (i, x₀, x₁, y, v): one formula serves both chain rules.
    times_slope: for<'g> fn(usize, Var<'g>, Var<'g>, Var<'g>, Var<'g>) -> Var<'g>,
    /// candle's operation, used on devices other than the CPU.
    device: Option<fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>>,
}

trait Pick: Real {
    fn kernel(row: &'static Row) -> Kernel<Self>;
}
impl Pick for f32 {
    fn kernel(row: &'static Row) -> Kernel<f32> {
        row.f32
    }
}
impl Pick for f64 {
    fn kernel(row: &'static Row) -> Kernel<f64> {
        row.f64
    }
}

/// f(x₀, x₁) elementwise.
#[derive(Clone, Copy)]
pub(crate) struct Binary(&'static Row);

/// Both operands have the same element type and device.
pub(crate) fn check_alike(node: &str, x: &[&Tensor]) -> Result<()> {
    for t in &x[1..] {
        if t.dtype() != x[0].dtype() {
            let got = x.iter().map(|t| t.dtype()).collect();
            return Err(Error::DType {
                node: node.into(),
                what: "needs one element type for all; cast first",
                got,
            });
        }
        if !t.device().same_device(x[0].device()) {
            let got = x.iter().map(|t| t.device().location()).collect();
            return Err(Error::Device { node: node.into(), got });
        }
    }
    Ok(())
}

impl Primitive for Binary {
    fn name(&self) -> &str {
        self.0.name
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        check_alike(self.0.name, x)?;
        let (a, b) = (x[0], x[1]);
        let Some(dims) = broadcast_dims(a.dims(), b.dims()) else {
            return Err(Error::shape(
                self.0.name,
                "needs shapes that broadcast",
                &[a.dims(), b.dims()],
            ));
        };
        room(self.0.name, &dims, a.dtype())?;
        if let (false, Some(device)) = (a.device().is_cpu(), self.0.device) {
            return Ok((one(device(a, b)?)?, false));
        }
        crate::with_real!(self.0.name, a.dtype(), T => {
            let (kernel, a, b) = (T::kernel(self.0), compact(a)?, compact(b)?);
            let run = |x: &[T], y: &[T]| kernel((x, a.dims()), (y, b.dims()), &dims);
            let y = with_slice::<T, _>(&a, |x| with_slice::<T, _>(&b, |y| run(x, y)))??;
            one_seen(y, &dims, a.device())
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let mut dy: Option<Var<'g>> = None;
        for (i, d) in dx.iter().enumerate() {
            if let Some(d) = d {
                let part = (self.0.times_slope)(i, x[0], x[1], y[0], *d);
                dy = Some(dy.map_or(part, |sum| sum + part));
            }
        }
        match dy {
            Some(d) => slot(d.broadcast_like(y[0])),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 2);
        if let Some(dy) = dy[0] {
            for i in (0..2).filter(|&i| wrt.needs(i)) {
                out[i] = Some((self.0.times_slope)(i, x[0], x[1], y[0], dy).sum_like(x[i]).ok()?);
            }
        }
        Ok(out)
    }
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident {
        value: |$x:ident, $y:ident| $value:expr,
        times_slope: |$i:ident, $a:ident, $b:ident, $c:ident, $v:ident| $slope:expr,
        $(device: $device:expr,)?
    })+) => {
        $(
            #[allow(non_upper_case_globals)]
            static $name: Row = Row {
                name: stringify!($name),
                f32: |a, b, dims| zip_broadcast(a, b, dims, #[inline(always)] |$x: f32, $y: f32| $value),
                f64: |a, b, dims| zip_broadcast(a, b, dims, #[inline(always)] |$x: f64, $y: f64| $value),
                times_slope: |$i, $a, $b, $c, $v| $slope,
                device: binary!(@device $($device)?),
            };
        )+
        impl<'g> Var<'g> {
            $(
                $(#[$doc])*
                #[must_use]
                #[allow(clippy::should_implement_trait)]
                pub fn $name(self, other: Var<'g>) -> Self {
                    self.graph().record(Binary(&$name), &[self, other])
                }
            )+
        }
    };
    (@device) => { None };
    (@device $device:expr) => { Some($device) };
}

binary! {
    /// x + y.
    add {
        value: |x, y| x + y,
        times_slope: |_i, _x, _y, _z, v| v,
        device: |x, y| x.broadcast_add(y),
    }
    /// x − y.
    sub {
        value: |x, y| x - y,
        times_slope: |i, _x, _y, _z, v| if i == 0 { v } else { -v },
        device: |x, y| x.broadcast_sub(y),
    }
    /// x·y.
    mul {
        value: |x, y| x * y,
        times_slope: |i, x, y, _z, v| if i == 0 { v * y } else { v * x },
        device: |x, y| x.broadcast_mul(y),
    }
    /// x/y. Division by zero is an error.
    div {
        value: |x, y| x / y,
        times_slope: |i, _x, y, z, v| if i == 0 { v / y } else { -(v * z / y) },
        device: |x, y| x.broadcast_div(y),
    }
    /// xʸ. A negative base needs integer exponents, and then has no derivative with respect to y. 0⁰ = 1; at x = 0 < y the
    /// derivative with respect to y is 0.
    pow {
        value: |x, y| x.powf(y),
        times_slope: |i, x, y, z, v| if i == 0 { v * x.pow_slope(y) } else { v * z.log_times(x) },
    }
    /// y·x^(y−1), and 0 where y = 0: the derivative of xʸ with respect to x.
    pow_slope {
        value: |x, y| if y == 0.0 { 0.0 } else { y * x.powf(y - 1.0) },
        times_slope: |i, x, y, z, v| if i == 0 {
            // y·(y−1)·x^(y−2)
            v * y * x.pow_slope(y - 1.0)
        } else {
            // x^(y−1) + y·x^(y−1)·ln x
            v * (x.pow(y - 1.0) + z.log_times(x))
        },
    }
    /// x·ln y for y > 0, else 0 with derivative 0 (so that 0·ln 0 = 0).
    log_times {
        value: |x, y| if y > 0.0 { x * y.ln() } else { 0.0 },
        times_slope: |i, x, y, _z, v| if i == 0 { v * y.safe_log() } else { v * x * y.safe_reciprocal() * y.step() },
    }
    /// The angle of the point (x = other, y = self), in radians; (0, 0) has angle 0 and derivative 0.
    atan2 {
        value: |y, x| y.atan2(x),
        times_slope: |i, y, x, _z, v| {
            let r2 = y.sqr() + x.sqr();
            if i == 0 { v * x.safe_div(r2) } else { -(v * y.safe_div(r2)) }
        },
    }
    /// √(x² + y²) without overflow; derivative 0 at (0, 0).
    hypot {
        value: |x, y| x.hypot(y),
        times_slope: |i, x, y, _z, v| v * if i == 0 { x.cosine(y) } else { y.cosine(x) },
    }
    /// x/√(x² + y²), the cosine of the angle of the point (x, y); 0 with derivative 0 at (0, 0).
    cosine {
        value: |x, y| if x == 0.0 { 0.0 } else { x / x.hypot(y) },
        times_slope: |i, x, y, z, v| {
            // ∂/∂x = sin²/r, ∂/∂y = −sin·cos/r
            let sine = y.cosine(x);
            let w = v.safe_div(x.hypot(y)) * sine;
            if i == 0 { w * sine } else { -(w * z) }
        },
    }
    /// max(x, y); where equal, each has derivative ½.
    maximum {
        value: |x, y| if x > y { x } else { y },
        times_slope: |i, x, y, _z, v| v * if i == 0 { (x - y).half_step() } else { (y - x).half_step() },
        device: |x, y| x.broadcast_maximum(y),
    }
    /// min(x, y); where equal, each has derivative ½.
    minimum {
        value: |x, y| if x < y { x } else { y },
        times_slope: |i, x, y, _z, v| v * if i == 0 { (y - x).half_step() } else { (x - y).half_step() },
        device: |x, y| x.broadcast_minimum(y),
    }
    /// ln(eˣ + eʸ) without overflow.
    logaddexp {
        value: |x, y| if x > y { x + (y - x).exp().ln_1p() } else { y + (x - y).exp().ln_1p() },
        times_slope: |i, x, y, _z, v| v * if i == 0 { x - y } else { y - x }.sigmoid(),
    }
    /// x/y, and 0 where y = 0.
    safe_div {
        value: |x, y| if y == 0.0 { 0.0 } else { x / y },
        times_slope: |i, _x, y, z, v| if i == 0 { v.safe_div(y) } else { -(v * z).safe_div(y) },
    }
}

macro_rules! operators {
    ($($Trait:ident, $method:ident, |$x:ident, $c:ident| $right:expr, |$d:ident, $y:ident| $left:expr;)+) => {
        $(
            impl<'g> std::ops::$Trait for Var<'g> {
                type Output = Var<'g>;
                fn $method(self, other: Var<'g>) -> Var<'g> {
                    Var::$method(self, other)
                }
            }
            impl<'g> std::ops::$Trait<f64> for Var<'g> {
                type Output = Var<'g>;
                fn $method(self, $c: f64) -> Var<'g> {
                    let $x = self;
                    $right
                }
            }
            impl<'g> std::ops::$Trait<Var<'g>> for f64 {
                type Output = Var<'g>;
                fn $method(self, $y: Var<'g>) -> Var<'g> {
                    let $d = self;
                    $left
                }
            }
        )+
    };
}
operators! {
    Add, add, |x, c| x.affine(1.0, c), |c, x| x.affine(1.0, c);
    Sub, sub, |x, c| x.affine(1.0, -c), |c, x| x.affine(-1.0, c);
    Mul, mul, |x, c| x.affine(c, 0.0), |c, x| x.affine(c, 0.0);
    Div, div, |x, c| x.over(c), |c, x| x.reciprocal().affine(c, 0.0);
}

impl<'g> std::ops::Neg for Var<'g> {
    type Output = Var<'g>;
    fn neg(self) -> Var<'g> {
        self.affine(-1.0, 0.0)
    }
}

impl<'g> Var<'g> {
    /// x/c, rounded once.
    fn over(self, c: f64) -> Self {
        self.compose(|x| {
            let c = Tensor::full(c, (), x.value()?.device())?.to_dtype(x.dtype()?)?;
            Ok(x / x.graph().own(c))
        })
    }
}
