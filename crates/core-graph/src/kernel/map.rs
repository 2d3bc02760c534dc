//! Elementwise maps over one or two slices of equal length.

use super::written::{Seen, Unwritten, Written, written};
use crate::magnitude::{Bits, Top};

/// Elements per chunk, the unit that threads share.
const CHUNK: usize = 1 << 15;
/// Below this, dispatching to wider registers costs more than it gives.
const SMALL: usize = 32;

/// A vector of `n` elements whose chunk from element `start` on is filled by fill(start, chunk).
fn chunks<R: Copy + Send>(
    n: usize,
    fill: impl for<'x> Fn(usize, &mut Unwritten<'x, R>) -> (Written<'x>, bool) + Sync,
) -> Seen<R> {
    written(n, CHUNK, |i, out| fill(i * CHUNK, out)).into()
}

/// f(x) for each element. Called finite only if all of `x` is, whatever f makes of infinity.
pub(crate) fn map1<T: Bits + Send + Sync>(x: &[T], f: impl Fn(T) -> T + Copy + Sync) -> Seen<T> {
    if x.len() < SMALL {
        let values: Vec<T> = x.iter().map(|&x| f(x)).collect();
        let mut top = Top::new();
        x.iter().chain(&values).for_each(|&v| top.see(v));
        return Seen { values, finite: top.finite() };
    }
    chunks(x.len(), |start, out| {
        super::vectorized(
            #[inline(always)]
            || {
                let x = &x[start..start + out.len()];
                let mut top = Top::new();
                let (done, finite) = out.seen(
                    #[inline(always)]
                    |i| {
                        top.see(x[i]);
                        f(x[i])
                    },
                );
                (done, finite && top.finite())
            },
        )
    })
}

/// f(x, y) for each pair.
pub(crate) fn map2<X: Copy + Sync, R: Bits + Send>(
    x: &[X],
    y: &[X],
    f: impl Fn(X, X) -> R + Copy + Sync,
) -> Seen<R> {
    let n = x.len().min(y.len());
    if n < SMALL {
        let values: Vec<R> = x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect();
        let mut top = Top::new();
        values.iter().for_each(|&v| top.see(v));
        return Seen { values, finite: top.finite() };
    }
    chunks(n, |start, out| {
        super::vectorized(
            #[inline(always)]
            || {
                let n = out.len();
                let (x, y) = (&x[start..start + n], &y[start..start + n]);
                out.seen(
                    #[inline(always)]
                    |i| f(x[i], y[i]),
                )
            },
        )
    })
}
