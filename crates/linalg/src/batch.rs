//! From one group of matrices to the whole batch: groups, threads, finite checks, interleaving.
//!
//! The batch is cut into chunks whose size depends on the matrix size only; chunks run on rayon's current pool, and the error of
//! the first failing chunk is returned. A matrix's numbers depend on neither, see [`super::lanes`].

use std::marker::PhantomData;

use pulp::bytemuck::{cast_slice, cast_slice_mut};

use super::error::LinalgError;
use super::lanes::{Lanes, Task, dispatch};
use super::real::Field;
use super::spread::spread;

/// Output slices, cut by matrices.
pub(super) trait Rows: Send {
    /// Cuts off and returns the outputs of the first `count` matrices.
    fn take(&mut self, count: usize) -> Self;
}

/// `stride` entries for each matrix.
pub(super) struct Output<'o, E> {
    pub(super) data: &'o mut [E],
    pub(super) stride: usize,
}

impl<E: Send> Rows for Output<'_, E> {
    fn take(&mut self, count: usize) -> Self {
        let (head, tail) = std::mem::take(&mut self.data).split_at_mut(count * self.stride);
        self.data = tail;
        Self { data: head, stride: self.stride }
    }
}

impl<A: Rows, B: Rows> Rows for (A, B) {
    fn take(&mut self, count: usize) -> Self {
        (self.0.take(count), self.1.take(count))
    }
}

impl<A: Rows, B: Rows, C: Rows> Rows for (A, B, C) {
    fn take(&mut self, count: usize) -> Self {
        (self.0.take(count), self.1.take(count), self.2.take(count))
    }
}

/// Working memory that is kept from group to group.
pub(super) struct Scratch<T>(Vec<T>);

impl<T: Field> Scratch<T> {
    /// `length` vectors with any contents, aligned to cache lines, so that no vector straddles two.
    #[inline(always)]
    pub(super) fn vectors<C: Lanes<Scalar = T>>(&mut self, length: usize) -> &mut [C::Vector] {
        const LINE: usize = 64;
        let slack = LINE / size_of::<T>();
        let numbers = length * C::WIDTH;
        if self.0.len() < numbers + slack {
            self.0.resize(numbers + slack, T::ZERO);
        }
        // The offset may be unknown to a compiler, never larger than the slack here: numbers are aligned to their size.
        let offset = self.0.as_ptr().align_offset(LINE).min(slack);
        cast_slice_mut(&mut self.0[offset..offset + numbers])
    }
}

/// An algorithm on a group of matrices.
pub(super) trait Kernel<T: Field, O: Rows>: Sync {
    /// Whether a group holds as many matrices as a register has lanes; else one.
    fn interleaved(&self) -> bool;

    /// Processes matrices `first .. first + count` (1 ≤ `count` ≤ `C::WIDTH`) into `out`, which holds just these matrices' outputs.
    /// `scratch` keeps its allocation from group to group, with any contents.
    fn group<C: Lanes<Scalar = T>>(
        &self,
        lanes: C,
        scratch: &mut Scratch<T>,
        first: usize,
        count: usize,
        out: &mut O,
    ) -> Result<(), LinalgError>;
}

struct Chunk<'k, K, O> {
    kernel: &'k K,
    first: usize,
    count: usize,
    out: O,
}

impl<T: Field, O: Rows, K: Kernel<T, O>> Task<T> for Chunk<'_, K, O> {
    type Output = Result<(), LinalgError>;

    #[inline(always)]
    fn run<C: Lanes<Scalar = T>>(mut self, lanes: C) -> Self::Output {
        let (mut first, end) = (self.first, self.first + self.count);
        let mut scratch = Scratch(Vec::new());
        if self.kernel.interleaved() {
            // A group of one is cheaper in the single-number form.
            while end - first >= 2 {
                let count = C::WIDTH.min(end - first);
                let mut out = self.out.take(count);
                self.kernel.group(lanes, &mut scratch, first, count, &mut out)?;
                first += count;
            }
        }
        while first < end {
            let mut out = self.out.take(1);
            self.kernel.group(lanes.narrow(), &mut scratch, first, 1, &mut out)?;
            first += 1;
        }
        Ok(())
    }
}

/// Runs the kernel over the batch; `work` is about the number of operations for one matrix.
pub(super) fn run<T: Field, O: Rows, K: Kernel<T, O>>(
    kernel: &K,
    batch: usize,
    work: usize,
    mut out: O,
) -> Result<(), LinalgError> {
    const WORK_PER_CHUNK: usize = 100_000;
    // Whole groups of the widest register, so that only the last chunk has a group that is not full.
    let least = if kernel.interleaved() { 16 } else { 1 };
    let size = (WORK_PER_CHUNK / work.max(1)).next_multiple_of(least).max(least);
    if batch <= size {
        return dispatch(Chunk { kernel, first: 0, count: batch, out });
    }
    let chunks: Vec<_> = (0..batch)
        .step_by(size)
        .map(|first| {
            let count = size.min(batch - first);
            Chunk { kernel, first, count, out: out.take(count) }
        })
        .collect();
    spread(chunks, |_, chunk| dispatch(chunk)).into_iter().collect()
}

/// Copies `buffer.len()` consecutive entries of matrices `first .. first + count`, `stride` entries apart, into interleaved
/// form: `buffer[e]` holds entry e of all matrices. Lanes beyond `count` repeat the last matrix, so that they do nothing unusual.
#[inline(always)]
pub(super) fn gather<C: Lanes>(
    lanes: C,
    source: &[C::Scalar],
    stride: usize,
    first: usize,
    count: usize,
    buffer: &mut [C::Vector],
) {
    let length = buffer.len();
    if count == C::WIDTH {
        lanes.interleave(&source[first * stride..], stride, buffer);
        return;
    }
    let target = cast_slice_mut::<C::Vector, C::Scalar>(buffer);
    for lane in 0..C::WIDTH {
        let start = (first + lane.min(count - 1)) * stride;
        let matrix = &source[start..start + length];
        for (slot, &x) in target[lane..].iter_mut().step_by(C::WIDTH).zip(matrix) {
            *slot = x;
        }
    }
}

/// The inverse of [`gather`]: entry e of matrix `lane` goes to `target[lane·stride + e]`.
#[inline(always)]
pub(super) fn scatter<C: Lanes>(
    lanes: C,
    buffer: &[C::Vector],
    count: usize,
    stride: usize,
    target: &mut [C::Scalar],
) {
    if count == C::WIDTH {
        lanes.deinterleave(buffer, stride, target);
        return;
    }
    let source = cast_slice::<C::Vector, C::Scalar>(buffer);
    for (lane, matrix) in target.chunks_mut(stride.max(1)).take(count).enumerate() {
        for (slot, &x) in matrix.iter_mut().zip(source[lane..].iter().step_by(C::WIDTH)) {
            *slot = x;
        }
    }
}

/// The numbers of one vector.
#[inline(always)]
pub(super) fn numbers<C: Lanes>(vector: &C::Vector) -> &[C::Scalar] {
    cast_slice(std::slice::from_ref(vector))
}

/// Index of the first number that is NaN or infinite.
pub(super) fn first_not_finite<T: Field>(data: &[T]) -> Option<usize> {
    struct Scan<'a, T>(&'a [T], PhantomData<T>);
    impl<T: Field> Task<T> for Scan<'_, T> {
        type Output = Option<usize>;

        #[inline(always)]
        fn run<C: Lanes<Scalar = T>>(self, _: C) -> Option<usize> {
            const BLOCK: usize = 4096;
            for (block, values) in self.0.chunks(BLOCK).enumerate() {
                // No early exit inside: this form becomes a vector reduction.
                let mut bad = false;
                for x in values {
                    bad |= !x.finite();
                }
                if bad {
                    return values
                        .iter()
                        .position(|x| !x.finite())
                        .map(|index| block * BLOCK + index);
                }
            }
            None
        }
    }
    const SHARE: usize = 1 << 16;
    if data.len() <= 2 * SHARE {
        return dispatch(Scan(data, PhantomData));
    }
    let found = spread(data.chunks(SHARE).collect(), |i, x| {
        Some(i * SHARE + dispatch(Scan(x, PhantomData))?)
    });
    found.into_iter().flatten().next()
}

/// Refuses NaN and ±∞ in an input; `stride` numbers for each matrix.
pub(super) fn check_finite<T: Field>(
    operation: &'static str,
    argument: &'static str,
    data: &[T],
    stride: usize,
) -> Result<(), LinalgError> {
    match first_not_finite(data) {
        None => Ok(()),
        Some(at) => Err(LinalgError::NotFinite {
            operation,
            argument,
            batch: at / stride,
            index: at % stride,
        }),
    }
}

/// Refuses to hand out a result that is not finite.
pub(super) fn check_result<T: Field>(
    operation: &'static str,
    first: usize,
    data: &[T],
    stride: usize,
) -> Result<(), LinalgError> {
    match first_not_finite(data) {
        None => Ok(()),
        Some(at) => {
            Err(LinalgError::Overflow { operation, batch: first + at / stride, index: at % stride })
        }
    }
}
