//! The elimination behind [`super::lu`], right-looking in panels of 4 columns with a rank-4 update of the rest (Golub and Van Loan,
//! Matrix Computations, 4th ed., §3.4). Above 64 rows: panels of 64 columns, the rest by matrix products.

use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};

use super::batch::{Kernel, Output, Scratch, gather, numbers, scatter};
use super::condition::{norm_one, reciprocal_condition_of};
use super::error::LinalgError;
use super::lanes::Lanes;
use super::product::{View, subtract_product};
use super::real::Field;
use super::scale::largest;
use super::triangular::{BLOCK, Triangle, substitute};

/// The right-hand sides that are solved for at once.
pub(super) enum Right<'a, T> {
    None,
    Identity,
    Given(&'a [T]),
}

/// Factors, and solutions for k right-hand sides.
pub(super) struct Factor<'a, T> {
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: &'a [T],
    /// A pivot below this multiple of max|a_ij| is an error, as is 0.
    pub(super) tolerance: T,
    pub(super) right: Right<'a, T>,
}

impl<T> Factor<'_, T> {
    pub(super) fn work(&self) -> usize {
        self.n * self.n * (self.n + 2 * self.k + 8)
    }
}

type Outputs<'o, T> = (Output<'o, T>, Output<'o, usize>, Output<'o, T>);

impl<'o, T: Field> Kernel<T, Outputs<'o, T>> for Factor<'_, T> {
    fn interleaved(&self) -> bool {
        self.n <= BLOCK
    }

    #[inline(always)]
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        count: usize,
        (lu, permutation, x): &mut Outputs<'o, T>,
    ) -> Result<(), LinalgError> {
        let (n, k) = (self.n, self.k);
        let scratch = scratch.vectors::<C>(n * n + n + n * k);
        let (matrix, rest) = scratch.split_at_mut(n * n);
        let (inverse, right) = rest.split_at_mut(n);
        gather(lanes, self.a, n * n, first, count, matrix);
        let size = largest(lanes, matrix);
        for rows in permutation.data.chunks_exact_mut(n) {
            for (i, row) in rows.iter_mut().enumerate() {
                *row = i;
            }
        }
        let mut columns =
            Columns { n, matrix: &mut *matrix, permutation: &mut *permutation.data, count };
        if C::WIDTH > 1 || n <= BLOCK {
            columns.factor(lanes, 0, n);
        } else {
            columns.blocked(lanes);
        }
        self.check_pivots::<C>(first, count, matrix, &size, permutation.data)?;
        if lu.stride > 0 {
            scatter(lanes, matrix, count, n * n, lu.data);
        }
        if k == 0 {
            return Ok(());
        }
        let numbers = cast_slice_mut::<C::Vector, T>(right);
        for lane in 0..C::WIDTH {
            let source = lane.min(count - 1);
            for i in 0..n {
                let row = permutation.data[source * n + i];
                for j in 0..k {
                    numbers[(i * k + j) * C::WIDTH + lane] = match self.right {
                        Right::Given(b) => b[((first + source) * n + row) * k + j],
                        _ if row == j => T::ONE,
                        _ => T::ZERO,
                    };
                }
            }
        }
        for i in 0..n {
            inverse[i] = lanes.div(lanes.splat(T::ONE), matrix[i * n + i]);
        }
        for triangle in [Triangle::LOWER.unit(), Triangle::UPPER] {
            substitute(lanes, n, k, triangle, matrix, inverse, right);
        }
        scatter(lanes, right, count, n * k, x.data);
        Ok(())
    }
}

impl<T: Field> Factor<'_, T> {
    /// The lowest matrix with a pivot that is 0 or negligible.
    #[inline(always)]
    fn check_pivots<C: Lanes<Scalar = T>>(
        &self,
        first: usize,
        count: usize,
        matrix: &[C::Vector],
        size: &C::Vector,
        permutation: &[usize],
    ) -> Result<(), LinalgError> {
        let n = self.n;
        for lane in 0..count {
            let smallest = self.tolerance * numbers::<C>(size)[lane];
            let bad = |d: T| d == T::ZERO || d.magnitude() < smallest;
            let found = (0..n).find(|&i| bad(numbers::<C>(&matrix[i * n + i])[lane]));
            if let Some(pivot) = found {
                let batch = first + lane;
                let value = numbers::<C>(&matrix[pivot * n + pivot])[lane].to_f64();
                let lu: Vec<T> = cast_slice::<C::Vector, T>(matrix)[lane..]
                    .iter()
                    .step_by(C::WIDTH)
                    .copied()
                    .collect();
                let norm = norm_one(n, &self.a[batch * n * n..(batch + 1) * n * n]);
                let rows = &permutation[lane * n..(lane + 1) * n];
                let reciprocal_condition = reciprocal_condition_of(n, &lu, rows, norm).to_f64();
                return Err(LinalgError::Singular { batch, pivot, value, reciprocal_condition });
            }
        }
        Ok(())
    }
}

struct Columns<'a, V> {
    n: usize,
    matrix: &'a mut [V],
    permutation: &'a mut [usize],
    count: usize,
}

impl<V: Pod> Columns<'_, V> {
    /// Factors columns start..end, in which the columns before `start` have been eliminated already.
    #[inline(always)]
    fn factor<C: Lanes<Vector = V>>(&mut self, lanes: C, start: usize, end: usize) {
        const PANEL: usize = 4;
        let n = self.n;
        let mut left = start;
        while left < end {
            let right = end.min(left + PANEL);
            for k in left..right {
                self.pivot(lanes, k);
                let matrix = &mut *self.matrix;
                let inverse = lanes.div(lanes.splat(C::Scalar::ONE), matrix[k * n + k]);
                for i in k + 1..n {
                    let factor = lanes.mul(matrix[i * n + k], inverse);
                    matrix[i * n + k] = factor;
                    for j in k + 1..right {
                        matrix[i * n + j] =
                            lanes.mul_sub(factor, matrix[k * n + j], matrix[i * n + j]);
                    }
                }
            }
            self.finish_rows(lanes, left, right, end);
            if right - left == PANEL {
                let mut i = right;
                while i + 4 <= n {
                    self.update_rows::<C, 4>(lanes, i, left, end);
                    i += 4;
                }
                while i < n {
                    self.update_rows::<C, 1>(lanes, i, left, end);
                    i += 1;
                }
            }
            left = right;
        }
    }

    /// Rows top..bottom of U, in columns bottom..end: forward substitution with the unit triangle of the panel.
    #[inline(always)]
    fn finish_rows<C: Lanes<Vector = V>>(
        &mut self,
        lanes: C,
        top: usize,
        bottom: usize,
        end: usize,
    ) {
        let n = self.n;
        for k in top..bottom {
            let (above, below) = self.matrix.split_at_mut((k + 1) * n);
            let row = &above[k * n + bottom..k * n + end];
            for i in k + 1..bottom {
                let below = &mut below[(i - k - 1) * n..][..n];
                let factor = below[k];
                for (x, &u) in below[bottom..end].iter_mut().zip(row) {
                    *x = lanes.mul_sub(factor, u, *x);
                }
            }
        }
    }

    /// Rows i..i+R, columns left+4..end: subtracts the product of the panel's 4 columns and the 4 rows of U.
    #[inline(always)]
    fn update_rows<C: Lanes<Vector = V>, const R: usize>(
        &mut self,
        lanes: C,
        i: usize,
        left: usize,
        end: usize,
    ) {
        let n = self.n;
        let (above, below) = self.matrix.split_at_mut((left + 4) * n);
        let rows = &mut below[(i - left - 4) * n..][..R * n];
        let mut factor = [[V::zeroed(); 4]; R];
        for r in 0..R {
            factor[r].copy_from_slice(&rows[r * n + left..r * n + left + 4]);
        }
        let u0 = &above[left * n..][..end];
        let u1 = &above[(left + 1) * n..][..end];
        let u2 = &above[(left + 2) * n..][..end];
        let u3 = &above[(left + 3) * n..][..end];
        for j in left + 4..end {
            let u = [u0[j], u1[j], u2[j], u3[j]];
            for r in 0..R {
                let mut x = rows[r * n + j];
                for c in 0..4 {
                    x = lanes.mul_sub(factor[r][c], u[c], x);
                }
                rows[r * n + j] = x;
            }
        }
    }

    /// Brings the entry of largest magnitude of column k, from row k on, to row k; each lane swaps its own rows.
    #[inline(always)]
    fn pivot<C: Lanes<Vector = V>>(&mut self, lanes: C, k: usize) {
        let n = self.n;
        let mut best = lanes.abs(self.matrix[k * n + k]);
        let mut row = lanes.splat(C::Scalar::from_f64(k as f64));
        for i in k + 1..n {
            let size = lanes.abs(self.matrix[i * n + k]);
            let larger = lanes.less(best, size);
            best = lanes.select(larger, size, best);
            row = lanes.select(larger, lanes.splat(C::Scalar::from_f64(i as f64)), row);
        }
        let rows = numbers::<C>(&row);
        let matrix = cast_slice_mut::<V, C::Scalar>(self.matrix);
        for lane in 0..C::WIDTH {
            // Row numbers are small integers, exact in both number types.
            let other = rows[lane].to_f64() as usize;
            if other == k {
                continue;
            }
            if lane < self.count {
                self.permutation.swap(lane * n + k, lane * n + other);
            }
            let (above, below) = matrix.split_at_mut(other * n * C::WIDTH);
            let one = above[k * n * C::WIDTH..][..n * C::WIDTH].chunks_exact_mut(C::WIDTH);
            let two = below[..n * C::WIDTH].chunks_exact_mut(C::WIDTH);
            for (x, y) in one.zip(two) {
                std::mem::swap(&mut x[lane], &mut y[lane]);
            }
        }
    }

    /// Panels of `BLOCK` columns of one matrix.
    #[inline(always)]
    fn blocked<C: Lanes<Vector = V>>(&mut self, lanes: C) {
        let n = self.n;
        let mut copy = Vec::new();
        for start in (0..n).step_by(BLOCK) {
            let end = n.min(start + BLOCK);
            self.factor(lanes, start, end);
            self.finish_rows(lanes, start, end, n);
            copy.clear();
            for i in end..n {
                copy.extend_from_slice(cast_slice::<V, C::Scalar>(
                    &self.matrix[i * n + start..i * n + end],
                ));
            }
            let (above, below) = self.matrix.split_at_mut(end * n);
            if below.is_empty() {
                return;
            }
            subtract_product(
                (n - end, n - end, end - start),
                cast_slice_mut::<V, C::Scalar>(&mut below[end..]),
                n,
                View { data: &copy, row: end - start, column: 1 },
                View { data: cast_slice(&above[start * n + end..]), row: n, column: 1 },
            );
        }
    }
}
