//! Elementwise maps over two tensors of broadcast-compatible shapes.

use smallvec::SmallVec;

use super::map2;
use super::written::{Seen, Unwritten, Written, written};
use crate::magnitude::Bits;

pub(crate) type Dims = SmallVec<[usize; 6]>;

/// The common shape of two shapes, right-aligned, where a dimension of 1 stretches.
pub(crate) fn broadcast_dims(a: &[usize], b: &[usize]) -> Option<Dims> {
    let rank = a.len().max(b.len());
    let at = |d: &[usize], i: usize| (i + d.len()).checked_sub(rank).map_or(1, |i| d[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Output dimensions with the strides of both operands (0 where it stretches), adjacent ones merged, innermost last.
fn merged(a: &[usize], b: &[usize], out: &[usize]) -> SmallVec<[(usize, usize, usize); 6]> {
    let strides = |d: &[usize]| {
        let mut s: Dims = SmallVec::from_elem(0, out.len());
        let mut step = 1;
        for (i, &n) in d.iter().enumerate().rev() {
            s[i + out.len() - d.len()] = if n == 1 { 0 } else { step };
            step *= n;
        }
        s
    };
    let (sa, sb) = (strides(a), strides(b));
    let mut dims: SmallVec<[(usize, usize, usize); 6]> = SmallVec::new();
    for i in 0..out.len() {
        if out[i] == 1 {
            continue;
        }
        match dims.last_mut() {
            Some((n, x, y)) if *x == sa[i] * out[i] && *y == sb[i] * out[i] => {
                (*n, *x, *y) = (*n * out[i], sa[i], sb[i]);
            }
            _ => dims.push((out[i], sa[i], sb[i])),
        }
    }
    dims
}

/// f(x, y) for each element of the common shape `out` of `a` and `b`.
pub(crate) fn zip_broadcast<X: Copy + Sync, R: Bits + Send>(
    (x, a): (&[X], &[usize]),
    (y, b): (&[X], &[usize]),
    out: &[usize],
    f: impl Fn(X, X) -> R + Copy + Sync,
) -> Seen<R> {
    if a == b && a == out {
        return map2(x, y, f);
    }
    stretched(a, b, out, |row, at| {
        let Row { x: ox, y: oy, sx, sy } = at;
        let n = row.len();
        match (sx, sy) {
            (1, 1) => {
                let (x, y) = (&x[ox..ox + n], &y[oy..oy + n]);
                row.seen(
                    #[inline(always)]
                    |i| f(x[i], y[i]),
                )
            }
            (1, 0) => {
                let (x, y) = (&x[ox..ox + n], y[oy]);
                row.seen(
                    #[inline(always)]
                    |i| f(x[i], y),
                )
            }
            (0, 1) => {
                let (x, y) = (x[ox], &y[oy..oy + n]);
                row.seen(
                    #[inline(always)]
                    |i| f(x, y[i]),
                )
            }
            _ => row.seen(|i| f(x[ox + i * sx], y[oy + i * sy])),
        }
    })
}

/// f(x, y, z) for each element, where x and y have the shape `dims` and z is stretched to it from `c`.
///
/// A stretched z is written out a block at a time, in a fast cache: one loop serves every way to stretch.
pub(crate) fn zip_stretched<X: Bits + Send + Sync>(
    (x, y): (&[X], &[X]),
    dims: &[usize],
    (z, c): (&[X], &[usize]),
    f: impl Fn(X, X, X) -> X + Copy + Sync,
) -> Seen<X> {
    /// Elements of a block.
    const BLOCK: usize = 1 << 14;
    let steps = (c != dims).then(|| merged(dims, c, dims));
    written(dims.iter().product(), BLOCK, |block, out| {
        let range = block * BLOCK..block * BLOCK + out.len();
        let full = steps.as_ref().map(|steps| spread(z, steps, range.clone()));
        let z = full.as_deref().unwrap_or_else(|| &z[range.clone()]);
        let (x, y) = (&x[range.clone()], &y[range]);
        super::vectorized(
            #[inline(always)]
            || {
                let n = out.len();
                let (x, y, z) = (&x[..n], &y[..n], &z[..n]);
                out.seen(
                    #[inline(always)]
                    |i| f(x[i], y[i], z[i]),
                )
            },
        )
    })
    .into()
}

/// The elements in a range of the stretched shape.
fn spread<X: Copy>(
    z: &[X],
    steps: &[(usize, usize, usize)],
    range: std::ops::Range<usize>,
) -> Vec<X> {
    let (&(len, _, step), outer) = steps.split_last().unwrap_or((&(1, 0, 0), &[]));
    let mut out = Vec::with_capacity(range.len());
    let mut at = range.start;
    while at < range.end {
        let (mut rest, mut from) = (at / len, 0);
        for &(m, _, step) in outer.iter().rev() {
            (from, rest) = (from + rest % m * step, rest / m);
        }
        let (first, last) = (at % len, len.min(at % len + range.end - at));
        match step {
            0 => out.resize(out.len() + last - first, z[from]),
            _ => out.extend_from_slice(&z[from + first..from + last]),
        }
        at += last - first;
    }
    out
}

/// Where a row of the result finds its operands: the first element of each, and the step to the next.
struct Row {
    x: usize,
    y: usize,
    sx: usize,
    sy: usize,
}

/// Rows of the shape `out`, filled by `fill` from operands of shapes `a` and `b`.
fn stretched<R: Bits + Send>(
    a: &[usize],
    b: &[usize],
    out: &[usize],
    fill: impl for<'x> Fn(&mut Unwritten<'x, R>, Row) -> (Written<'x>, bool) + Sync,
) -> Seen<R> {
    /// Elements of a chunk.
    const CHUNK: usize = 1 << 14;
    let dims = merged(a, b, out);
    let n: usize = out.iter().product();
    let (&(len, sx, sy), outer) = dims.split_last().unwrap_or((&(1, 0, 0), &[]));
    let rows = (CHUNK / len.max(1)).max(1);
    written(n, rows * len, |chunk, block| {
        super::vectorized(
            #[inline(always)]
            || {
                block.rows(
                    len,
                    #[inline(always)]
                    |i, row| {
                        let (mut rest, mut x, mut y) = (chunk * rows + i, 0, 0);
                        for &(m, sx, sy) in outer.iter().rev() {
                            (x, y, rest) = (x + rest % m * sx, y + rest % m * sy, rest / m);
                        }
                        fill(row, Row { x, y, sx, sy })
                    },
                )
            },
        )
    })
    .into()
}
