//! Folds over the numbers of some slices, in an order that does not wait for the operation before.

use std::array::from_fn;

use crate::tensor::Real;

/// Running results of a fold: four 64-byte registers of `f32`.
const LANES: usize = 64;
/// Rows of lanes that are folded in registers before they meet the running results, which are in memory.
const ROWS: usize = 4;
/// Terms that are added before their sum meets the total.
const BLOCK: usize = 4096;

/// On a cache line's start: a register that is stored across two lines takes long to load again.
#[repr(align(64))]
struct Aligned<T>([T; LANES]);

/// Lane `l` of all rows.
#[inline(always)]
fn column<T: Real, const K: usize>(
    x: &[&[[T; LANES]; ROWS]; K],
    l: usize,
    f: &impl Fn(T, T) -> T,
    g: &impl Fn([T; K]) -> T,
) -> T {
    let mut result = g(from_fn(|k| x[k][0][l]));
    for row in 1..ROWS {
        result = f(result, g(from_fn(|k| x[k][row][l])));
    }
    result
}

/// The length of the shortest slice; 0 if there is none.
#[inline(always)]
fn shortest<T, const K: usize>(x: &[&[T]; K]) -> usize {
    let mut n = if K == 0 { 0 } else { usize::MAX };
    for x in x {
        n = if x.len() < n { x.len() } else { n };
    }
    n
}

/// f over g(x₀\[i\], x₁\[i\], …), as long as the shortest slice, in a fixed order.
#[inline(always)]
pub(super) fn fold<T: Real, const K: usize>(
    x: [&[T]; K],
    start: T,
    f: impl Fn(T, T) -> T,
    g: impl Fn([T; K]) -> T,
) -> T {
    let n = shortest(&x);
    let Aligned(lanes) = &mut Aligned([start; LANES]);
    // Slices of constant length leave no index to check: a check would keep the loops from becoming vector instructions.
    let rows: [&[[T; LANES]]; K] = from_fn(|k| x[k][..n].as_chunks::<LANES>().0);
    let last: [&[T]; K] = from_fn(|k| x[k][..n].as_chunks::<LANES>().1);
    let tall: [&[[[T; LANES]; ROWS]]; K] = from_fn(|k| rows[k].as_chunks::<ROWS>().0);
    let rest: [&[[T; LANES]]; K] = from_fn(|k| rows[k].as_chunks::<ROWS>().1);
    for i in 0..n / (LANES * ROWS) {
        let block: [&[[T; LANES]; ROWS]; K] = from_fn(|k| &tall[k][i]);
        for l in 0..LANES {
            lanes[l] = f(lanes[l], column(&block, l, &f, &g));
        }
    }
    for i in 0..n / LANES % ROWS {
        let row: [&[T; LANES]; K] = from_fn(|k| &rest[k][i]);
        for l in 0..LANES {
            lanes[l] = f(lanes[l], g(from_fn(|k| row[k][l])));
        }
    }
    let m = n % LANES;
    let last: [&[T]; K] = from_fn(|k| &last[k][..m]);
    for (l, lane) in lanes[..m].iter_mut().enumerate() {
        *lane = f(*lane, g(from_fn(|k| last[k][l])));
    }
    for half in [32, 16, 8, 4, 2, 1] {
        for l in 0..half {
            lanes[l] = f(lanes[l], lanes[half + l]);
        }
    }
    lanes[0]
}

/// Σ g(x₀\[i\], x₁\[i\], …), as long as the shortest slice: 64 running sums for each 4096 terms, whose results are added in order. Call it
/// inside [`vectorized`](crate::vectorized), with a closure marked `#[inline(always)]`.
#[inline(always)]
pub fn sum_of<T: Real, const K: usize>(x: [&[T]; K], g: impl Fn([T; K]) -> T) -> T {
    let n = shortest(&x);
    let mut total = T::default();
    for start in (0..n).step_by(BLOCK) {
        let end = if n - start < BLOCK { n } else { start + BLOCK };
        total += fold(
            from_fn(|k| &x[k][start..end]),
            T::default(),
            #[inline(always)]
            |a, b| a + b,
            &g,
        );
    }
    total
}

/// Several sums at once, Σ g(x₀\[i\], x₁\[i\], …), where one pass over long slices is what takes the time: as [`sum_of`], of which each sum may differ
/// by roundings.
#[inline(always)]
pub fn sums_of<T: Real, const K: usize, const S: usize>(
    x: [&[T]; K],
    g: impl Fn([T; K]) -> [T; S],
) -> [T; S] {
    let n = shortest(&x);
    let mut totals = [T::default(); S];
    for start in (0..n).step_by(BLOCK) {
        let end = if n - start < BLOCK { n } else { start + BLOCK };
        let mut lanes: [Aligned<T>; S] = from_fn(|_| Aligned([T::default(); LANES]));
        let rows: [&[[T; LANES]]; K] = from_fn(|k| x[k][start..end].as_chunks::<LANES>().0);
        let last: [&[T]; K] = from_fn(|k| x[k][start..end].as_chunks::<LANES>().1);
        for i in 0..(end - start) / LANES {
            let row: [&[T; LANES]; K] = from_fn(|k| &rows[k][i]);
            for l in 0..LANES {
                let values = g(from_fn(|k| row[k][l]));
                for s in 0..S {
                    lanes[s].0[l] += values[s];
                }
            }
        }
        let m = (end - start) % LANES;
        let last: [&[T]; K] = from_fn(|k| &last[k][..m]);
        for l in 0..m {
            let values = g(from_fn(|k| last[k][l]));
            for s in 0..S {
                lanes[s].0[l] += values[s];
            }
        }
        for s in 0..S {
            let Aligned(lanes) = &mut lanes[s];
            for half in [32, 16, 8, 4, 2, 1] {
                for l in 0..half {
                    lanes[l] += lanes[half + l];
                }
            }
            totals[s] += lanes[0];
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::{sum_of, sums_of};

    #[test]
    fn several_sums_are_those_of_one_at_a_time() {
        for n in [0, 1, 63, 64, 65, 4095, 4096, 4097, 10_000] {
            let x: Vec<f64> = (0..n).map(|i| (0.7 * i as f64).sin()).collect();
            // The shorter one counts.
            let y: Vec<f64> = (0..n + 3).map(|i| (0.3 * i as f64).cos()).collect();
            let [sum, product, ones] = sums_of([&x, &y], |[x, y]| [x, x * y, 1.0]);
            let expected = [sum_of([&x], |[x]| x), sum_of([&x, &y], |[x, y]| x * y), n as f64];
            for (a, b) in [sum, product, ones].into_iter().zip(expected) {
                assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{n}: {a} {b}");
            }
        }
    }
}
