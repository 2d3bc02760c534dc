//! The two levels of products: where each is added.

use pulp::Simd;

use super::form::{ALONE, BLOCKS, PRODUCTS, STEPS};
use crate::kernel::conv::microkernel::BLOCK;
use crate::kernel::real::{LINE_BYTES, Real};

/// Lines of the inner loop between which something else is done.
const STEP: usize = 4;

/// Sums of products in registers: rows by registers of positions.
pub(super) type Tile<T, S, const M: usize, const V: usize> = [[<T as Real>::Vector<S>; V]; M];

/// The 49 products of blocks, [`BLOCK`] rows each.
pub(super) trait Products<T: Real> {
    /// From here on the seven products of the inner level in this one of the outer.
    fn begin<S: Simd>(&mut self, simd: S, outer: usize);

    /// `start`, and M rows from `first` on, V registers of positions from `at` on, of a product.
    fn sums<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        product: usize,
        first: usize,
        at: usize,
        start: Tile<T, S, M, V>,
    ) -> Tile<T, S, M, V>;

    /// Takes the sums of the products since `begin`, two times [`BLOCK`] rows of two quarters, that are to be added to the rows of four
    /// quarters which `result` begins with. After [`ALONE`] they are in `result`, and `sum` is empty.
    fn add<S: Simd>(&mut self, simd: S, outer: usize, result: &mut [T], sum: &[T]);
}

/// Where results of 2×2 blocks lie: a line of a block has `quarter` elements, and from line to line there are `pitch`.
#[derive(Debug, Clone, Copy)]
struct Place {
    quarter: usize,
    pitch: usize,
}

/// Adds all 49 products to `result`: four times [`BLOCK`] rows of four quarters. `sum`, a quarter as long, is memory to work in. V registers
/// are a line of a block, or a part of it.
#[inline(always)]
pub(super) fn add_products<T: Real, S: Simd, P: Products<T>, const V: usize>(
    simd: S,
    quarter: usize,
    products: &mut P,
    result: &mut [T],
    sum: &mut [T],
) {
    let whole = Place { quarter, pitch: 4 * quarter };
    let half = Place { quarter, pitch: 2 * quarter };
    let start = |k: usize| k / 2 * (2 * BLOCK * whole.pitch) + k % 2 * half.pitch;
    for (outer, step) in STEPS.iter().enumerate() {
        products.begin(simd, outer);
        let rows = &mut result[start(step.into)..];
        if outer == ALONE {
            whole.add::<T, S, P, V>(simd, products, rows, false);
            products.add(simd, outer, rows, &[]);
        } else {
            half.add::<T, S, P, V>(simd, products, sum, !step.onto);
            products.add(simd, outer, rows, sum);
        }
    }
}

/// Adds such sums, rows of two quarters, to rows of four.
#[inline(always)]
pub(super) fn add_sum<T: Real, S: Simd>(simd: S, quarter: usize, result: &mut [T], sum: &[T]) {
    for (row, sum) in result.chunks_mut(4 * quarter).zip(sum.chunks_exact(2 * quarter)) {
        let row = T::vectors_mut::<S>(&mut row[..2 * quarter]).0;
        for (out, &sum) in row.iter_mut().zip(T::vectors::<S>(sum).0) {
            *out = T::plus(simd, *out, sum);
        }
    }
}

impl Place {
    /// Adds seven products of blocks to `result`, two times [`BLOCK`] rows of two quarters; if it is `fresh`, to zeros in its place.
    #[inline(always)]
    fn add<T: Real, S: Simd, P: Products<T>, const V: usize>(
        self,
        simd: S,
        products: &mut P,
        result: &mut [T],
        fresh: bool,
    ) {
        if S::REGISTER_COUNT >= 32 {
            self.add_rows::<T, S, P, 8, V>(simd, products, 0, result, fresh);
        } else {
            self.add_rows::<T, S, P, 4, V>(simd, products, 0, result, fresh);
            self.add_rows::<T, S, P, 4, V>(simd, products, 4, result, fresh);
        }
    }

    /// M rows of each block, V registers at a time.
    #[inline(always)]
    fn add_rows<T: Real, S: Simd, P: Products<T>, const M: usize, const V: usize>(
        self,
        simd: S,
        products: &mut P,
        first: usize,
        result: &mut [T],
        fresh: bool,
    ) {
        let Self { quarter, pitch } = self;
        for at in (0..quarter).step_by(V * T::lanes::<S>()) {
            let zero = [[T::splat(simd, T::ZERO); V]; M];
            let mut sums = zero;
            for product in 0..PRODUCTS {
                let step = &STEPS[product];
                if !step.onto {
                    sums = zero;
                }
                sums = products.sums::<S, M, V>(simd, product, first, at, sums);
                let start = (step.into / 2 * BLOCK + first) * pitch + step.into % 2 * quarter + at;
                let rows = &mut result[start..];
                if fresh && product < BLOCKS {
                    put_tile::<T, S, M, V>(&sums, rows, pitch);
                } else {
                    add_tile::<T, S, M, V>(simd, &sums, rows, pitch);
                }
            }
        }
    }
}

/// `start` and Σ over `lines` of weight(w, m) · line\[at..\], V registers long. Every few lines, `now` does something else.
#[inline(always)]
pub(super) fn tile<'a, T: Real, S: Simd, W: Copy, const M: usize, const V: usize>(
    simd: S,
    lines: impl Iterator<Item = (&'a [T], W)>,
    at: usize,
    start: Tile<T, S, M, V>,
    weight: impl Fn(W, usize) -> T,
    mut now: impl FnMut(),
) -> Tile<T, S, M, V> {
    let mut sums = start;
    for (k, (line, w)) in lines.enumerate() {
        if k % STEP == 0 {
            now();
        }
        let line = T::vectors::<S>(&line[at..][..V * T::lanes::<S>()]).0;
        let Some(line) = line.first_chunk::<V>() else { return sums };
        for m in 0..M {
            let weight = T::splat(simd, weight(w, m));
            for v in 0..V {
                sums[m][v] = T::mul_add(simd, weight, line[v], sums[m][v]);
            }
        }
    }
    sums
}

/// Where in some rows the next line of the cache begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    row: usize,
    at: usize,
}

impl Cursor {
    /// The next one's (row, element), of so many rows and elements.
    #[inline(always)]
    pub(super) fn next<T>(&mut self, rows: usize, elements: usize) -> Option<(usize, usize)> {
        let here = (self.row < rows).then_some((self.row, self.at));
        self.at += LINE_BYTES / size_of::<T>();
        if self.at >= elements {
            (self.row, self.at) = (self.row + 1, 0);
        }
        here
    }
}

/// Adds sums to M rows, `pitch` from one to the next.
#[inline(always)]
pub(super) fn add_tile<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: &Tile<T, S, M, V>,
    rows: &mut [T],
    pitch: usize,
) {
    for m in 0..M {
        let row = T::vectors_mut::<S>(&mut rows[m * pitch..][..V * T::lanes::<S>()]).0;
        let Some(row) = row.first_chunk_mut::<V>() else { return };
        for v in 0..V {
            row[v] = T::plus(simd, row[v], sums[m][v]);
        }
    }
}

/// Writes sums to M rows, `pitch` from one to the next.
#[inline(always)]
fn put_tile<T: Real, S: Simd, const M: usize, const V: usize>(
    sums: &Tile<T, S, M, V>,
    rows: &mut [T],
    pitch: usize,
) {
    for m in 0..M {
        let row = T::vectors_mut::<S>(&mut rows[m * pitch..][..V * T::lanes::<S>()]).0;
        let Some(row) = row.first_chunk_mut::<V>() else { return };
        *row = sums[m];
    }
}
