//! The two inner loops, on registers: a block of outputs, and a block of weight derivatives.

use pulp::{NullaryFnOnce, Simd};
use smallvec::SmallVec;

use crate::kernel::real::Real;

/// Widest block of output channels; packed weights come in blocks of at most this many.
pub(super) const BLOCK: usize = 8;

/// A packed source as the kernels read it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    /// Channels one after the other.
    pub(super) data: &'a [T],
    /// Elements from channel to channel.
    pub(super) channel: usize,
}

/// A block of outputs: rows\[m\]\[i\] = Σ over channels and taps of
/// weights\[channel\]\[tap\]\[m\] · source\[channel\]\[i + shift\[tap\]\].
pub(super) struct Product<'a, T> {
    pub(super) source: Source<'a, T>,
    pub(super) shifts: &'a [usize],
    pub(super) weights: &'a [T],
    /// m < `width` ∈ {1, 2, 4, 8}.
    pub(super) width: usize,
    /// i < `positions`, a multiple of the register's length.
    pub(super) positions: usize,
    /// Add to what the rows hold.
    pub(super) accumulate: bool,
}

/// Lines of a block.
pub(super) type Rows<'r, T> = SmallVec<[&'r mut [T]; BLOCK]>;

/// Consecutive lines of `positions` elements.
#[inline(always)]
pub(super) fn rows_of<T>(lines: &mut [T], positions: usize) -> Rows<'_, T> {
    lines.chunks_exact_mut(positions).collect()
}

impl<T: Real> Product<'_, T> {
    /// Computes `width` rows of at least `positions` elements.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, rows: &mut [&mut [T]]) {
        simd.vectorize(Call { simd, product: self, rows });
    }

    #[inline(always)]
    fn sweeps<S: Simd>(&self, simd: S, rows: &mut [&mut [T]]) {
        // 32 registers hold 24 sums, the source vectors and a weight; 16 registers hold 12.
        if S::REGISTER_COUNT >= 32 {
            match self.width {
                1 => self.sweep::<S, 1, 8>(simd, 0, rows),
                2 => self.sweep::<S, 2, 8>(simd, 0, rows),
                4 => self.sweep::<S, 4, 6>(simd, 0, rows),
                _ => self.sweep::<S, 8, 3>(simd, 0, rows),
            }
        } else {
            match self.width {
                1 => self.sweep::<S, 1, 8>(simd, 0, rows),
                2 => self.sweep::<S, 2, 6>(simd, 0, rows),
                4 => self.sweep::<S, 4, 3>(simd, 0, rows),
                _ => {
                    self.sweep::<S, 4, 3>(simd, 0, rows);
                    self.sweep::<S, 4, 3>(simd, 4, rows);
                }
            }
        }
    }

    /// M channels from `first` on, V registers at a time, then what is left in smaller steps.
    #[inline(always)]
    fn sweep<S: Simd, const M: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        rows: &mut [&mut [T]],
    ) {
        let lanes = T::lanes::<S>();
        let mut at = 0;
        while at + V * lanes <= self.positions {
            self.tile::<S, M, V>(simd, first, at, rows);
            at += V * lanes;
        }
        if V > 4 && at + 4 * lanes <= self.positions {
            self.tile::<S, M, 4>(simd, first, at, rows);
            at += 4 * lanes;
        }
        while V > 2 && at + 2 * lanes <= self.positions {
            self.tile::<S, M, 2>(simd, first, at, rows);
            at += 2 * lanes;
        }
        if at + lanes <= self.positions {
            self.tile::<S, M, 1>(simd, first, at, rows);
        }
    }

    /// M channels × V registers of positions, held in registers over the whole sum.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        at: usize,
        rows: &mut [&mut [T]],
    ) {
        let span = V * T::lanes::<S>();
        let mut sums = [[T::splat(simd, T::ZERO); V]; M];
        if self.accumulate {
            for m in 0..M {
                let vectors = T::vectors::<S>(&rows[first + m][at..][..span]).0;
                for (sum, &out) in sums[m].iter_mut().zip(vectors) {
                    *sum = out;
                }
            }
        }
        let sums = self.sums::<S, M, V>(simd, first, at, sums);
        for m in 0..M {
            let vectors = T::vectors_mut::<S>(&mut rows[first + m][at..][..span]).0;
            for (out, sum) in vectors.iter_mut().zip(sums[m]) {
                *out = sum;
            }
        }
    }

    /// `sums` and the products of M channels × V registers of positions.
    #[inline(always)]
    fn sums<S: Simd, const M: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        at: usize,
        mut sums: [[T::Vector<S>; V]; M],
    ) -> [[T::Vector<S>; V]; M] {
        let span = V * T::lanes::<S>();
        let channels = self.source.data.chunks_exact(self.source.channel);
        for (plane, weights) in
            channels.zip(self.weights.chunks_exact(self.shifts.len() * self.width))
        {
            for (&shift, weights) in self.shifts.iter().zip(weights.chunks_exact(self.width)) {
                let vectors = T::vectors::<S>(&plane[at + shift..][..span]).0;
                let (Some(x), Some(w)) =
                    (vectors.first_chunk::<V>(), weights[first..].first_chunk::<M>())
                else {
                    return sums;
                };
                for m in 0..M {
                    let weight = T::splat(simd, w[m]);
                    for v in 0..V {
                        sums[m][v] = T::mul_add(simd, weight, x[v], sums[m][v]);
                    }
                }
            }
        }
        sums
    }
}

/// One call of [`Product::run`], compiled once for each instruction set however many callers there are.
struct Call<'c, 'a, 'r, T, S> {
    simd: S,
    product: &'c Product<'a, T>,
    rows: &'c mut [&'r mut [T]],
}

impl<T: Real, S: Simd> NullaryFnOnce for Call<'_, '_, '_, T, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, product, rows } = self;
        product.sweeps(simd, rows);
    }
}

/// Bytes of one line that [`weight_block`] works through at a time, so that a block of lines stays near the first-level cache while all
/// columns pass over it. (A block that fits in it, half as long, has twice as many sums of lanes, which take longer.)
const SEGMENT_BYTES: usize = 8192;

/// Interleaves `width` lines of whole registers, so that the inner loop reads one stream: out\[i\]\[m\] = lines\[m\]\[i\] in
/// registers, and zero for the lines past the last.
#[inline(always)]
pub(super) fn interleave<'a, T: Real, S: Simd>(
    simd: S,
    mut lines: impl Iterator<Item = &'a [T]>,
    width: usize,
    out: &mut [T],
) {
    let registers = T::vectors_mut::<S>(out).0;
    for m in 0..width {
        let targets = registers.iter_mut().skip(m).step_by(width);
        match lines.next() {
            Some(line) => {
                targets.zip(T::vectors::<S>(line).0).for_each(|(target, &value)| *target = value)
            }
            None => targets.for_each(|target| *target = T::splat(simd, T::ZERO)),
        }
    }
}

/// sums\[m\]\[k\] += Σᵢ lines\[m\]\[i\] · source\[columns\[k\] + i\], with `width` ∈ {1, 2, 4, 8} interleaved lines of
/// `positions` elements; `sums` has one line of `columns.len()` for each m that is wanted.
#[inline(always)]
pub(super) fn weight_block<T: Real, S: Simd>(
    simd: S,
    interleaved: &[T],
    width: usize,
    positions: usize,
    source: &[T],
    columns: &[usize],
    sums: &mut [T],
) {
    let segment = SEGMENT_BYTES / size_of::<T>();
    let mut from = 0;
    for lines in interleaved.chunks(segment * width) {
        let positions = segment.min(positions - from);
        let task = Columns { lines, from, positions, source, columns };
        if S::REGISTER_COUNT >= 32 {
            match width {
                1 => task.run::<S, 1, 1>(simd, 0, sums),
                2 => task.run::<S, 2, 2>(simd, 0, sums),
                4 => task.run::<S, 4, 4>(simd, 0, sums),
                _ => task.run::<S, 8, 8>(simd, 0, sums),
            }
        } else {
            match width {
                1 => task.run::<S, 1, 1>(simd, 0, sums),
                2 => task.run::<S, 2, 2>(simd, 0, sums),
                4 => task.run::<S, 4, 4>(simd, 0, sums),
                _ => {
                    task.run::<S, 4, 8>(simd, 0, sums);
                    task.run::<S, 4, 8>(simd, 4, sums);
                }
            }
        }
        from += positions;
    }
}

/// A segment of interleaved lines against all columns.
#[derive(Clone, Copy)]
struct Columns<'a, T> {
    lines: &'a [T],
    from: usize,
    positions: usize,
    source: &'a [T],
    columns: &'a [usize],
}

impl<T: Real> Columns<'_, T> {
    /// M of the W interleaved lines, from `first` on; columns three at a time, then one by one.
    #[inline(always)]
    fn run<S: Simd, const M: usize, const W: usize>(self, simd: S, first: usize, sums: &mut [T]) {
        let lines = T::vectors::<S>(self.lines).0.as_chunks::<W>().0;
        let column = |k: usize| {
            T::vectors::<S>(&self.source[self.columns[k] + self.from..][..self.positions]).0
        };
        let width = self.columns.len();
        let mut k = 0;
        while k + 3 <= width {
            let mut products = [[T::splat(simd, T::ZERO); 3]; M];
            for (((line, &a), &b), &c) in
                lines.iter().zip(column(k)).zip(column(k + 1)).zip(column(k + 2))
            {
                for m in 0..M {
                    let row = line[first + m];
                    products[m][0] = T::mul_add(simd, row, a, products[m][0]);
                    products[m][1] = T::mul_add(simd, row, b, products[m][1]);
                    products[m][2] = T::mul_add(simd, row, c, products[m][2]);
                }
            }
            add_products(simd, &products, first, k, width, sums);
            k += 3;
        }
        while k < width {
            let mut products = [[T::splat(simd, T::ZERO); 1]; M];
            for (line, &a) in lines.iter().zip(column(k)) {
                for m in 0..M {
                    products[m][0] = T::mul_add(simd, line[first + m], a, products[m][0]);
                }
            }
            add_products(simd, &products, first, k, width, sums);
            k += 1;
        }
    }
}

/// Adds each product's lanes to its sum; the lines of a padded block that nobody wants have no sum.
#[inline(always)]
fn add_products<T: Real, S: Simd, const M: usize, const K: usize>(
    simd: S,
    products: &[[T::Vector<S>; K]; M],
    first: usize,
    at: usize,
    width: usize,
    sums: &mut [T],
) {
    for (line, products) in sums.chunks_exact_mut(width).skip(first).zip(products) {
        for (sum, &product) in line[at..at + K].iter_mut().zip(products) {
            *sum += T::sum_lanes(simd, product);
        }
    }
}
