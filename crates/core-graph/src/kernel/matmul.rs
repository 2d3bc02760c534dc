//! Products of matrices: the general routine over a batch, and loops for many small matrices, where a call of the general routine for
//! each would cost more than its work.

use pullback_linalg::{LinalgError, View};

use crate::spread;
use crate::tensor::Real;

/// A slice with the strides of its axes: (rows, columns), or (batch, rows, columns).
type Strided<'a, T> = (&'a [T], &'a [usize]);

/// C = A·B for each of `batch` pairs of any layout: m×k and k×n; C is row-major.
pub(crate) fn batched<T: Real + pullback_linalg::Real>(
    (batch, m, k, n): (usize, usize, usize, usize),
    a: Strided<'_, T>,
    b: Strided<'_, T>,
    c: &mut [T],
) -> Result<(), LinalgError> {
    let one = |(i, c): (usize, &mut [T]), threads| {
        pullback_linalg::matmul((m, n, k), view(a, i), view(b, i), c, threads)
    };
    // Below this many multiplications the general routine stays on one thread, and it has so many panels at most: the batch is shared out instead. Which
    // of the two is done changes no bit.
    const SHARED: usize = 48 * 48 * 256;
    const PANELS: usize = 16;
    let pairs = (m * n).max(1);
    let work = m.saturating_mul(n).saturating_mul(k);
    if 1 < batch && (work <= SHARED || PANELS <= batch) {
        let together = (SHARED / work.max(1)).max(1);
        let done = spread(c.chunks_mut(together * pairs).collect(), |task, c| {
            let mut products = c.chunks_mut(pairs).enumerate();
            products.try_for_each(|(i, c)| one((task * together + i, c), false))
        });
        done.into_iter().collect()
    } else {
        c.chunks_mut(pairs).enumerate().try_for_each(|pair| one(pair, true))
    }
}

/// Matrix `i`.
fn view<'a, T>((data, strides): Strided<'a, T>, i: usize) -> View<'a, T> {
    match *strides {
        [lead, row, column] => View { data: &data[i * lead..], row, column },
        [row, column] => View { data, row, column },
        _ => View { data, row: 0, column: 0 },
    }
}

/// Is the general routine the wrong one?
pub(crate) fn is_small(batch: usize, m: usize, k: usize, n: usize) -> bool {
    4 <= batch && m * k * n <= 32 * 32 * 32 && n <= 64
}

/// C = A·B for each pair: row-major batch×m×k and batch×k×n.
pub(crate) fn small<T: Real>(
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    a: &[T],
    b: &[T],
) -> Vec<T> {
    let mut c = vec![T::default(); batch * m * n];
    let run = |first: usize, c: &mut [T]| {
        super::vectorized(
            #[inline(always)]
            || {
                for (i, c) in c.chunks_exact_mut(m * n).enumerate() {
                    let (a, b) =
                        (&a[(first + i) * m * k..][..m * k], &b[(first + i) * k * n..][..k * n]);
                    for (c, a) in c.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
                        for (p, (&a, b)) in a.iter().zip(b.chunks_exact(n)).enumerate() {
                            match p {
                                // Written, not added: reading fresh memory first would cost a second page fault.
                                0 => c.iter_mut().zip(b).for_each(|(c, &b)| *c = a * b),
                                _ => c.iter_mut().zip(b).for_each(|(c, &b)| *c += a * b),
                            }
                        }
                    }
                }
            },
        );
    };
    if m * n == 0 || k == 0 {
        return c;
    }
    let work = batch * m * k * n;
    if work < 1 << 17 {
        run(0, &mut c);
    } else {
        let block = batch.div_ceil(16);
        spread(c.chunks_mut(block * m * n).collect(), |i, c| run(i * block, c));
    }
    c
}

/// C = scale·(A·Bᵀ + B·Aᵀ)/2 for each pair: row-major batch×n×k twice, batch×n×n.
pub(crate) fn symmetric_product<T: Real>(
    batch: usize,
    n: usize,
    k: usize,
    scale: f64,
    a: &[T],
    b: &[T],
) -> Vec<T> {
    let mut c = vec![T::default(); batch * n * n];
    if n * k == 0 {
        return c;
    }
    let half = T::lit(0.5 * scale);
    let run = |first: usize, c: &mut [T]| {
        super::vectorized(
            #[inline(always)]
            || {
                // Columns of the factors, so that a row of C is a sum of contiguous vectors.
                let (mut at, mut bt) = (vec![T::default(); n * k], vec![T::default(); n * k]);
                for (i, c) in c.chunks_exact_mut(n * n).enumerate() {
                    let of = (first + i) * n * k..(first + i + 1) * n * k;
                    let (a, b) = (&a[of.clone()], &b[of]);
                    for (row, (a, b)) in a.chunks_exact(k).zip(b.chunks_exact(k)).enumerate() {
                        for (column, (&a, &b)) in a.iter().zip(b).enumerate() {
                            (at[column * n + row], bt[column * n + row]) = (a, b);
                        }
                    }
                    for (row, c) in c.chunks_exact_mut(n).enumerate() {
                        // The first term is written, not added: reading fresh memory first would cost a second page fault.
                        for (p, (at, bt)) in at.chunks_exact(n).zip(bt.chunks_exact(n)).enumerate()
                        {
                            let (x, y) = (half * at[row], half * bt[row]);
                            let terms = at.iter().zip(bt).map(|(&a, &b)| x * b + y * a);
                            match p {
                                0 => c.iter_mut().zip(terms).for_each(|(c, t)| *c = t),
                                _ => c.iter_mut().zip(terms).for_each(|(c, t)| *c += t),
                            }
                        }
                    }
                }
            },
        );
    };
    if batch * n * n * k < 1 << 16 {
        run(0, &mut c);
    } else {
        let block = batch.div_ceil(16);
        spread(c.chunks_mut(block * n * n).collect(), |i, c| run(i * block, c));
    }
    c
}
