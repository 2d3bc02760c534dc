//! Functions of one number, applied to each element: one table row each.
//!
//! A row states the value f(x), the slope f'(x) as a kernel, and the curvature f''(x) as a formula over variables. The first
//! derivative runs as one fused pass; the second is exact by the curvature; all higher ones by the rules of the operations in it.

mod activation;
mod exponential;
mod hyperbolic;
mod kink;
mod power;
mod trigonometric;

use candle_core::Tensor;

use crate::graph::Var;
use crate::kernel::{Seen, map1, zip_stretched};
use crate::primitive::{Primitive, Slots, Values, one, one_seen, slot};
use crate::tensor::{Real, compact, with_slice, with_slices};
use crate::{Error, Result, Wrt};

/// Two numbers that some functions have: exponents, bounds, factors.
pub(crate) type Parameters = [f64; 2];

/// The kernels of a function for one element type.
pub(crate) struct Kernels<T> {
    pub(crate) value: fn(&[T], Parameters) -> Seen<T>,
    /// f'(x)·v from (x, y = f(x)), their shape, and v with its own, which stretches to theirs.
    pub(crate) slope: fn([&[T]; 2], &[usize], (&[T], &[usize]), Parameters) -> Seen<T>,
}

/// A function of one number.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) f32: Kernels<f32>,
    pub(crate) f64: Kernels<f64>,
    /// f''(x) from (x, y = f(x)); `None` where it vanishes identically.
    pub(crate) curvature: for<'g> fn(Var<'g>, Var<'g>, Parameters) -> Option<Var<'g>>,
    /// True where a finite x always gives a finite y.
    pub(crate) finite: bool,
    /// candle's own kernels, used on devices other than the CPU where they are right: value, and f'(x)·v.
    pub(crate) device: Option<Device>,
}

/// candle's operations for f(x) and for f'(x)·v.
pub(crate) struct Device {
    pub(crate) value: fn(&Tensor, Parameters) -> candle_core::Result<Tensor>,
    pub(crate) slope: fn(&Tensor, &Tensor, &Tensor, Parameters) -> candle_core::Result<Tensor>,
}

trait Pick: Real {
    fn kernels(row: &'static Row) -> &'static Kernels<Self>;
}
impl Pick for f32 {
    fn kernels(row: &'static Row) -> &'static Kernels<f32> {
        &row.f32
    }
}
impl Pick for f64 {
    fn kernels(row: &'static Row) -> &'static Kernels<f64> {
        &row.f64
    }
}

/// f(x) for each element.
#[derive(Clone, Copy)]
pub(crate) struct Unary {
    row: &'static Row,
    p: Parameters,
}

impl Primitive for Unary {
    fn name(&self) -> &str {
        self.row.name
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        let x = x[0];
        if let (false, Some(device)) = (x.device().is_cpu(), &self.row.device) {
            return Ok((one((device.value)(x, self.p)?)?, false));
        }
        crate::with_real!(self.row.name, x.dtype(), T => {
            let y = with_slice::<T, _>(x, |x| (T::kernels(self.row).value)(x, self.p))?;
            one_seen(y, x.dims(), x.device())
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        self.slope(x, y, dx)
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        self.slope(x, y, dy)
    }

    fn keeps_finite(&self) -> bool {
        self.row.finite
    }

    fn sees(&self, _: usize, _: &[&Tensor]) -> bool {
        true
    }
}

impl Unary {
    /// The Jacobian is diagonal, so both chain rules are the same.
    fn slope<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], v: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        match v[0] {
            Some(v) => slot(x[0].graph().record(Slope(*self), &[x[0], y[0], v])),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }
}

/// (x, y, v) ↦ f'(x)·v, where y = f(x) is handed in only to save work: x carries the whole derivative.
///
/// Where v is zero the result is zero, even where f' is infinite: a cotangent that a `select` cut off stays cut off.
#[derive(Clone, Copy)]
struct Slope(Unary);

impl Primitive for Slope {
    fn name(&self) -> &str {
        self.0.row.name
    }

    fn eval(&self, a: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(a)?.0)
    }

    fn eval_seen(&self, a: &[&Tensor]) -> Result<(Values, bool)> {
        let (x, y, v) = (a[0], a[1], a[2]);
        if let (false, Some(device)) = (x.device().is_cpu(), &self.0.row.device) {
            return Ok((one((device.slope)(x, y, v, self.0.p)?)?, false));
        }
        if v.dtype() != x.dtype() || v.dims() != x.dims() {
            return Err(Error::shape(
                self.name(),
                "a direction like the value",
                &[x.dims(), v.dims()],
            ));
        }
        crate::with_real!(self.name(), x.dtype(), T => {
            let (k, c) = (T::kernels(self.0.row).slope, compact(v)?);
            let out = with_slices::<T, _>(&[x, y, &c], |s| k([s[0], s[1]], x.dims(), (s[2], c.dims()), self.0.p))?;
            one_seen(out, v.dims(), v.device())
        })
    }

    /// f'·v is finite only if v is: f' is a number, and 0·∞ is none.
    fn sees(&self, i: usize, _: &[&Tensor]) -> bool {
        i == 2
    }

    fn push<'g>(&self, a: &[Var<'g>], _: &[Var<'g>], da: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let (x, y, v) = (a[0], a[1], a[2]);
        let along_x = da[0].and_then(|dx| Some((self.0.row.curvature)(x, y, self.0.p)? * v * dx));
        let along_v = da[2].map(|dv| x.graph().record(*self, &[x, y, dv]));
        match (along_x, along_v) {
            (Some(a), Some(b)) => slot(a + b),
            (Some(a), None) | (None, Some(a)) => slot(a),
            (None, None) => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn pull<'g>(
        &self,
        a: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let (x, y, v) = (a[0], a[1], a[2]);
        let mut out = Slots::from_elem(None, 3);
        if let Some(dy) = dy[0] {
            if wrt.needs(0) {
                out[0] = (self.0.row.curvature)(x, y, self.0.p)
                    .map(|c| (c * v * dy).ok())
                    .transpose()?;
            }
            if wrt.needs(2) {
                out[2] = Some(x.graph().record(*self, &[x, y, dy]).ok()?);
            }
        }
        Ok(out)
    }
}

impl<'g> Var<'g> {
    pub(crate) fn unary(self, row: &'static Row, p: Parameters) -> Self {
        self.graph().record(Unary { row, p }, &[self])
    }
}

pub(crate) fn map_value<T: Real>(x: &[T], f: impl Fn(T) -> T + Copy + Sync) -> Seen<T> {
    map1(x, f)
}

pub(crate) fn map_slope<T: Real>(
    [x, y]: [&[T]; 2],
    dims: &[usize],
    v: (&[T], &[usize]),
    f: impl Fn(T, T) -> T + Copy + Sync,
) -> Seen<T> {
    let zero = T::default();
    zip_stretched(
        (x, y),
        dims,
        v,
        #[inline(always)]
        move |x, y, v| {
            let product = f(x, y) * v;
            if v == zero { zero } else { product }
        },
    )
}

/// Rows and methods: `name { doc, value, slope, curvature }`; `T` is the element type and `p` the parameters in each.
macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $pos:tt),*) as $label:literal {
        value: |$x:ident, $p:ident| $value:expr,
        slope: |$sx:ident, $sy:ident, $sp:ident| $slope:expr,
        curvature: |$cx:ident, $cy:ident, $cp:ident| $curvature:expr,
        $(finite: $finite:literal,)?
        $(device: $device:expr,)?
    })+) => {
        $(
            #[allow(non_upper_case_globals, unused_variables)]
            static $name: $crate::ops::unary::Row = $crate::ops::unary::Row {
                name: $label,
                f32: unary!(@kernels f32, $x, $p, $value, $sx, $sy, $sp, $slope),
                f64: unary!(@kernels f64, $x, $p, $value, $sx, $sy, $sp, $slope),
                curvature: |$cx, $cy, $cp| $curvature,
                finite: unary!(@finite $($finite)?),
                device: unary!(@device $($device)?),
            };
        )+
        impl<'g> $crate::graph::Var<'g> {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(self $(, $arg: f64)*) -> Self {
                    #[allow(unused_mut)]
                    let mut p = [0.0; 2];
                    $(p[$pos] = $arg;)*
                    self.unary(&$name, p)
                }
            )+
        }
    };
    (@kernels $T:ident, $x:ident, $p:ident, $value:expr, $sx:ident, $sy:ident, $sp:ident, $slope:expr) => {
        $crate::ops::unary::Kernels {
            value: |x, p| {
                #[allow(dead_code)]
                type T = $T;
                let $p = [p[0] as T, p[1] as T];
                $crate::ops::unary::map_value(
                    x,
                    #[inline(always)]
                    move |$x: T| $value,
                )
            },
            slope: |xy, dims, v, p| {
                #[allow(dead_code)]
                type T = $T;
                let $sp = [p[0] as T, p[1] as T];
                $crate::ops::unary::map_slope(
                    xy,
                    dims,
                    v,
                    #[inline(always)]
                    move |$sx: T, $sy: T| $slope,
                )
            },
        }
    };
    (@finite) => { false };
    (@finite $finite:literal) => { $finite };
    (@device) => { None };
    (@device $device:expr) => { Some($device) };
}
pub(crate) use unary;
