//! The bits of a result depend on its matrix only.

use nalgebra::DMatrix;
use pullback_linalg as linalg;

use crate::tables::{Number, Random, cast, flat, zeros};

/// All results of all kernels for one batch, as one list per matrix.
fn everything<T: Number>(
    batch: usize,
    m: usize,
    n: usize,
    tall: &[T],
    square: &[T],
    right: &[T],
) -> Vec<Vec<T>> {
    let p = m.min(n);
    let k = 3;
    let z = |size: usize| zeros::<T>(batch * size);
    let (mut l, mut x, mut c) = (z(n * n), z(n * k), z(n * n));
    linalg::solve_positive_definite(batch, n, k, square, right, &mut l, &mut x).unwrap();
    linalg::cholesky(batch, n, square, &mut c).unwrap();
    assert_eq!(l, c, "one pass or two");
    let mut cx = z(n * k);
    linalg::cholesky_solve(batch, n, k, &l, right, &mut cx).unwrap();
    assert_eq!(x, cx, "one pass or two");
    let (mut lu, mut rows, mut y, mut inverse) = (z(n * n), vec![0; batch * n], z(n * k), z(n * n));
    linalg::solve(batch, n, k, square, right, &mut lu, &mut rows, &mut y).unwrap();
    linalg::inverse(batch, n, square, &mut inverse).unwrap();
    let mut yt = z(n * k);
    linalg::lu_solve(batch, n, k, &lu, &rows, true, right, &mut yt).unwrap();
    let (mut sign, mut logabs) = (z(1), z(1));
    linalg::slogdet(batch, n, square, &mut sign, &mut logabs).unwrap();
    let (mut q, mut r) = (z(m * p), z(p * n));
    linalg::qr(batch, m, n, tall, &mut q, &mut r).unwrap();
    let (mut w, mut v) = (z(n), z(n * n));
    linalg::symmetric_eigen(batch, n, square, &mut w, &mut v).unwrap();
    let (mut u, mut s, mut vt) = (z(m * p), z(p), z(p * n));
    linalg::svd(batch, m, n, tall, &mut u, &mut s, &mut vt).unwrap();
    let rows: Vec<T> = rows.iter().map(|&row| T::of(row as f64)).collect();
    let all = [l, x, lu, rows, y, yt, inverse, sign, logabs, q, r, w, v, u, s, vt];
    (0..batch)
        .map(|b| {
            let part = |x: &Vec<T>| x[b * x.len() / batch..(b + 1) * x.len() / batch].to_vec();
            all.iter().flat_map(part).collect()
        })
        .collect()
}

fn bits_are_independent<T: Number>() {
    for (batch, m, n) in
        [(67, 3, 2), (131, 6, 6), (41, 5, 9), (37, 20, 13), (19, 12, 33), (9, 64, 64), (3, 90, 70)]
    {
        let mut random = Random(batch as u64);
        let tall: Vec<T> = (0..batch * m * n).map(|_| T::of(random.next())).collect();
        let right: Vec<T> = (0..batch * n * 3).map(|_| T::of(random.next())).collect();
        let square: Vec<T> = (0..batch)
            .flat_map(|_| {
                let b = random.matrix(n, n);
                cast::<T>(&flat(&(&b * b.transpose() + DMatrix::identity(n, n))))
            })
            .collect();
        let whole = everything(batch, m, n, &tall, &square, &right);
        // Each matrix alone, and in batches that begin elsewhere and end elsewhere.
        for (first, count) in
            (0..batch).map(|b| (b, 1)).chain([(1, batch - 1), (0, batch - 1), (batch / 2, 2)])
        {
            let cut = |x: &[T], stride: usize| x[first * stride..(first + count) * stride].to_vec();
            let part = everything(
                count,
                m,
                n,
                &cut(&tall, m * n),
                &cut(&square, n * n),
                &cut(&right, 3 * n),
            );
            assert_eq!(
                part,
                whole[first..first + count],
                "{count} of {batch} matrices {m}×{n} from {first}"
            );
        }
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let same = pool.install(|| everything(batch, m, n, &tall, &square, &right)) == whole;
            assert!(same, "{threads} threads, {batch} matrices {m}×{n}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_batch_position_batch_size_or_threads() {
    bits_are_independent::<f64>();
    bits_are_independent::<f32>();
}
