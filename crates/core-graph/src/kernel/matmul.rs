//! Products of many small matrices, where a call of the general routine for each would cost more than its work.

use rayon::prelude::*;

use crate::tensor::Real;

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
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (i, c) in c.chunks_exact_mut(m * n).enumerate() {
                    let (a, b) =
                        (&a[(first + i) * m * k..][..m * k], &b[(first + i) * k * n..][..k * n]);
                    for (c, a) in c.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
                        for (&a, b) in a.iter().zip(b.chunks_exact(n)) {
                            c.iter_mut().zip(b).for_each(|(c, &b)| *c += a * b);
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
        c.par_chunks_mut(block * m * n).enumerate().for_each(|(i, c)| run(i * block, c));
    }
    c
}
