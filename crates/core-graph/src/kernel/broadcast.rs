//! Elementwise maps over two tensors of broadcast-compatible shapes.

use rayon::prelude::*;
use smallvec::SmallVec;

use super::map2;

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
pub(crate) fn zip_broadcast<X: Copy + Sync, R: Copy + Default + Send>(
    (x, a): (&[X], &[usize]),
    (y, b): (&[X], &[usize]),
    out: &[usize],
    f: impl Fn(X, X) -> R + Copy + Sync,
) -> Vec<R> {
    if a == b {
        return map2(x, y, f);
    }
    let dims = merged(a, b, out);
    let n: usize = out.iter().product();
    let Some((&(len, sx, sy), outer)) = dims.split_last() else {
        return if n == 0 { vec![] } else { vec![f(x[0], y[0])] };
    };
    let mut data = vec![R::default(); n];
    if n == 0 {
        return data;
    }
    let row = |i: usize, out: &mut [R]| {
        let (mut rest, mut ox, mut oy) = (i, 0, 0);
        for &(m, sx, sy) in outer.iter().rev() {
            (ox, oy, rest) = (ox + rest % m * sx, oy + rest % m * sy, rest / m);
        }
        match (sx, sy) {
            (1, 1) => both(out, &x[ox..ox + len], &y[oy..oy + len], f),
            (1, 0) => {
                let y = y[oy];
                each(out, &x[ox..ox + len], |x| f(x, y));
            }
            (0, 1) => {
                let x = x[ox];
                each(out, &y[oy..oy + len], |y| f(x, y));
            }
            _ => {
                out.iter_mut().enumerate().for_each(|(j, o)| *o = f(x[ox + j * sx], y[oy + j * sy]))
            }
        }
    };
    const PARALLEL: usize = 1 << 16;
    if n < PARALLEL {
        data.chunks_mut(len).enumerate().for_each(|(i, out)| row(i, out));
    } else {
        let rows = (PARALLEL / 4 / len).max(1);
        data.par_chunks_mut(rows * len).enumerate().for_each(|(c, block)| {
            block.chunks_mut(len).enumerate().for_each(|(i, out)| row(c * rows + i, out))
        });
    }
    data
}

fn each<X: Copy, R>(out: &mut [R], x: &[X], f: impl Fn(X) -> R) {
    super::vectorized(
        #[inline(always)]
        || out.iter_mut().zip(x).for_each(|(o, &x)| *o = f(x)),
    );
}

fn both<X: Copy, R>(out: &mut [R], x: &[X], y: &[X], f: impl Fn(X, X) -> R) {
    super::vectorized(
        #[inline(always)]
        || out.iter_mut().zip(x.iter().zip(y)).for_each(|(o, (&x, &y))| *o = f(x, y)),
    );
}
