//! The softmax along one axis, its logarithm, and what their derivatives are made of: a few passes over numbers that stay in a cache.

use super::Elementary;
use super::lanes::{fold, sum_of};
use super::written::{Seen, Unwritten, Written, in_rows};
use crate::magnitude::Top;
use crate::tensor::Real;

/// A shape around one axis: (outer, length of the axis, inner).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strips {
    pub(crate) outer: usize,
    pub(crate) length: usize,
    pub(crate) inner: usize,
}

/// What to compute along the axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Softmax {
    /// eˣ/Σeˣ.
    Plain,
    /// x − ln Σeˣ.
    Log,
    /// y∘(v − Σy·v) from (y, v).
    PlainGradient,
    /// v − eʸ·Σv from (y, v).
    LogGradient,
}

impl Softmax {
    /// From one or two slices of the shape; the second may be the first where there is one. Called finite only if all of `v` is.
    pub(crate) fn run<T: Real + Elementary>(self, x: &[T], v: &[T], strips: Strips) -> Seen<T> {
        let Strips { outer, length, inner } = strips;
        let width = length * inner;
        in_rows(
            outer,
            width,
            Vec::new,
            #[inline(always)]
            |buffer: &mut Vec<T>, row, out| {
                let (x, v) = (&x[row * width..][..width], &v[row * width..][..width]);
                match (inner, self) {
                    (1, Self::Plain) => plain(x, buffer, out),
                    (1, Self::Log) => log(x, out),
                    (1, Self::PlainGradient) => plain_gradient(x, v, out),
                    (1, Self::LogGradient) => log_gradient(x, v, out),
                    _ => self.columns(x, v, inner, buffer, out),
                }
            },
        )
        .0
    }

    /// The same for an axis that is not the last: `inner` columns side by side.
    #[inline(always)]
    fn columns<'x, T: Real + Elementary>(
        self,
        x: &[T],
        v: &[T],
        inner: usize,
        buffer: &mut Vec<T>,
        out: &mut Unwritten<'x, T>,
    ) -> (Written<'x>, bool) {
        buffer.resize(x.len(), T::default());
        self.fill_columns(x, v, inner, buffer);
        let (x, y) = (&x[..out.len()], &buffer[..out.len()]);
        let mut before = Top::new();
        let (done, finite) = out.seen(
            #[inline(always)]
            |i| {
                before.see(x[i]);
                y[i]
            },
        );
        (done, finite && before.finite())
    }

    #[inline(always)]
    fn fill_columns<T: Real + Elementary>(self, x: &[T], v: &[T], inner: usize, out: &mut [T]) {
        let (mut top, mut sums) = (x[..inner].to_vec(), vec![T::default(); inner]);
        let rows = || x.chunks_exact(inner).zip(v.chunks_exact(inner));
        match self {
            Self::Plain | Self::Log => {
                for (x, _) in rows() {
                    top.iter_mut().zip(x).for_each(|(t, &x)| *t = larger(*t, x));
                }
                for ((x, _), out) in rows().zip(out.chunks_exact_mut(inner)) {
                    let shifted = x.iter().zip(&top);
                    for ((o, sum), (&x, &t)) in out.iter_mut().zip(&mut sums).zip(shifted) {
                        *o = Elementary::exp(x - t);
                        *sum += *o;
                    }
                }
                if matches!(self, Self::Plain) {
                    for out in out.chunks_exact_mut(inner) {
                        out.iter_mut().zip(&sums).for_each(|(o, &s)| *o /= s);
                    }
                    return;
                }
                sums.iter_mut().for_each(|s| *s = Elementary::ln(*s));
                for ((x, _), out) in rows().zip(out.chunks_exact_mut(inner)) {
                    let shifts = top.iter().zip(&sums);
                    for ((o, &x), (&t, &s)) in out.iter_mut().zip(x).zip(shifts) {
                        *o = (x - t) - s;
                    }
                }
            }
            Self::PlainGradient => {
                for (x, v) in rows() {
                    sums.iter_mut().zip(x.iter().zip(v)).for_each(|(s, (&x, &v))| *s += x * v);
                }
                for ((x, v), out) in rows().zip(out.chunks_exact_mut(inner)) {
                    for ((o, &s), (&x, &v)) in out.iter_mut().zip(&sums).zip(x.iter().zip(v)) {
                        *o = x * (v - s);
                    }
                }
            }
            Self::LogGradient => {
                for (_, v) in rows() {
                    sums.iter_mut().zip(v).for_each(|(s, &v)| *s += v);
                }
                for ((x, v), out) in rows().zip(out.chunks_exact_mut(inner)) {
                    for ((o, &s), (&x, &v)) in out.iter_mut().zip(&sums).zip(x.iter().zip(v)) {
                        *o = v - Elementary::exp(x) * s;
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn larger<T: Real>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

/// The largest number.
#[inline(always)]
fn largest<T: Real>(x: &[T]) -> T {
    fold(
        [x],
        x[0],
        larger,
        #[inline(always)]
        |[x]| x,
    )
}

#[inline(always)]
fn plain<'x, T: Real + Elementary>(
    x: &[T],
    buffer: &mut Vec<T>,
    out: &mut Unwritten<'x, T>,
) -> (Written<'x>, bool) {
    let n = out.len();
    buffer.resize(n, T::default());
    let (x, terms) = (&x[..n], &mut buffer[..n]);
    let top = largest(x);
    // e^(−∞) is a number.
    let mut before = Top::new();
    for i in 0..n {
        before.see(x[i]);
        terms[i] = Elementary::exp(x[i] - top);
    }
    let total = sum_of(
        [terms],
        #[inline(always)]
        |[e]| e,
    );
    let inverse = T::lit(1.0) / total;
    let (done, finite) = out.seen(
        #[inline(always)]
        |i| terms[i] * inverse,
    );
    (done, finite && before.finite())
}

#[inline(always)]
fn log<'x, T: Real + Elementary>(x: &[T], out: &mut Unwritten<'x, T>) -> (Written<'x>, bool) {
    let x = &x[..out.len()];
    let top = largest(x);
    let total = sum_of(
        [x],
        #[inline(always)]
        |[x]| Elementary::exp(x - top),
    );
    let log = Elementary::ln(total);
    out.seen(
        #[inline(always)]
        |i| (x[i] - top) - log,
    )
}

#[inline(always)]
fn plain_gradient<'x, T: Real>(
    y: &[T],
    v: &[T],
    out: &mut Unwritten<'x, T>,
) -> (Written<'x>, bool) {
    let n = out.len();
    let (y, v) = (&y[..n], &v[..n]);
    let dot = sum_of(
        [y, v],
        #[inline(always)]
        |[y, v]| y * v,
    );
    out.seen(
        #[inline(always)]
        |i| y[i] * (v[i] - dot),
    )
}

#[inline(always)]
fn log_gradient<'x, T: Real + Elementary>(
    y: &[T],
    v: &[T],
    out: &mut Unwritten<'x, T>,
) -> (Written<'x>, bool) {
    let n = out.len();
    let (y, v) = (&y[..n], &v[..n]);
    let total = sum_of(
        [v],
        #[inline(always)]
        |[v]| v,
    );
    out.seen(
        #[inline(always)]
        |i| v[i] - Elementary::exp(y[i]) * total,
    )
}
