//! Vectors whose memory is written once: zeros first would cost a pass over memory of their own.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::memory::room_for;
use crate::magnitude::{Bits, Top};
use crate::spread;
use crate::tensor::Real;

/// From this many elements on, threads share the work.
const SHARED: usize = 1 << 16;

/// A vector of `n` elements, of which `write` fills every chunk: of `chunk` elements, the last one perhaps shorter.
///
/// `write` gets the index of the chunk and its memory, and hands the memory back filled, so that none can be missed. Several
/// threads share the chunks if there are many elements; which one writes a chunk does not matter.
pub(crate) fn written<T: Copy + Send, S: Send + Sync>(
    n: usize,
    chunk: usize,
    write: impl for<'x> Fn(usize, &mut Unwritten<'x, T>) -> (Written<'x>, S) + Sync,
) -> (Vec<T>, Vec<S>) {
    let mut out: Vec<T> = room_for(n);
    let chunk = chunk.max(1);
    let fill = |i: usize, memory: &mut [MaybeUninit<T>]| {
        let mut memory = Unwritten(memory);
        let expected = memory.whole();
        let (done, left) = write(i, &mut memory);
        assert!(done == expected, "a chunk was swapped for another");
        left
    };
    let chunks = out.spare_capacity_mut()[..n].chunks_mut(chunk);
    let left = match n < SHARED {
        true => chunks.enumerate().map(|(i, memory)| fill(i, memory)).collect(),
        false => spread(chunks.collect(), fill),
    };
    // SAFETY: the first n elements of the spare capacity, which `room_for` reserved, were cut into chunks without a gap, and
    // for each chunk `fill` saw a `Written` of its address and length; only `Unwritten` makes one, after it wrote every element of
    // that memory, row by row or at once. It has the lifetime of the borrow, which `write` knows nothing of and cannot have kept another one of, so
    // that it is of this memory while it is this vector's. `spread` gives one result for each task, or panics. So n elements are initialized.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(n);
    }
    (out, left)
}

/// A vector of `n` zeros, which several threads write if they are many.
pub(crate) fn zeros<T: Copy + Default + Send>(n: usize) -> Vec<T> {
    if n < SHARED {
        return vec![T::default(); n];
    }
    written(n, SHARED / 2, |_, out| (out.each(|_| T::default()), ())).0
}

/// Numbers, and whether all are finite: seen by the loop that made them, which costs less than a look at memory later.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    /// The numbers.
    pub values: Vec<T>,
    /// Neither NaN nor infinity among them.
    pub finite: bool,
}

impl<T> From<(Vec<T>, Vec<bool>)> for Seen<T> {
    fn from((values, finite): (Vec<T>, Vec<bool>)) -> Self {
        Seen { values, finite: !finite.contains(&false) }
    }
}

/// A vector of `count` rows of `width` numbers, with what each task is left with, in order.
///
/// A task is some 2¹⁵ numbers in whole rows, which depends on the width alone; several threads share them. It begins with what `start` gives, and
/// `work` fills row after row: it gets the row's index and its memory, and hands back what [`Unwritten::seen`] told. Mark it, and closures in
/// it, `#[inline(always)]`: the rows of a task are one loop in [`vectorized`](crate::vectorized).
pub fn in_rows<T: Real, S: Send + Sync>(
    count: usize,
    width: usize,
    start: impl Fn() -> S + Sync,
    work: impl for<'x> Fn(&mut S, usize, &mut Unwritten<'x, T>) -> (Written<'x>, bool) + Sync,
) -> (Seen<T>, Vec<S>) {
    const TASK: usize = 1 << 15;
    let rows = (TASK / width.max(1)).max(1);
    let (values, left) = written(count * width, rows * width, |task, out| {
        let mut state = start();
        let (done, finite) = super::vectorized(
            #[inline(always)]
            || {
                out.rows(
                    width,
                    #[inline(always)]
                    |i, row| work(&mut state, task * rows + i, row),
                )
            },
        );
        (done, (finite, state))
    });
    let (finite, left) = left.into_iter().unzip();
    ((values, finite).into(), left)
}

/// So many vectors of `n` elements, made side by side in blocks of `block`; and what `work` gives for each block, in order.
///
/// `work` gets the first element of the block and a buffer for each vector to overwrite. Several threads share the blocks.
pub fn blocks_of<T: Copy + Default + Send, S: Send + Sync>(
    vectors: usize,
    n: usize,
    block: usize,
    work: impl Fn(usize, &mut [Vec<T>]) -> S + Sync,
) -> (Vec<Vec<T>>, Vec<S>) {
    let block = block.max(1);
    let mut out: Vec<Vec<T>> = (0..vectors).map(|_| room_for(n)).collect();
    let mut chunks: Vec<_> =
        out.iter_mut().map(|v| v.spare_capacity_mut()[..n].chunks_mut(block)).collect();
    let tasks: Vec<Vec<&mut [MaybeUninit<T>]>> = (0..n.div_ceil(block))
        .map(|_| chunks.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    let fill = |i: usize, targets: Vec<&mut [MaybeUninit<T>]>| {
        let len = block.min(n - i * block);
        let mut buffers = vec![vec![T::default(); len]; vectors];
        let left = work(i * block, &mut buffers);
        for (target, buffer) in targets.into_iter().zip(&buffers) {
            assert!(target.len() == buffer.len(), "a block changed its length");
            target.iter_mut().zip(buffer).for_each(|(target, &value)| {
                target.write(value);
            });
        }
        left
    };
    let left = match n < SHARED {
        true => tasks.into_iter().enumerate().map(|(i, targets)| fill(i, targets)).collect(),
        false => spread(tasks, fill),
    };
    for vector in &mut out {
        // SAFETY: the first n elements of the spare capacity, which `room_for` reserved, were cut into ⌈n/block⌉ chunks without
        // a gap; task i took chunk i of every vector, as many chunks as there are buffers, and wrote every element of each, which the
        // assert on the lengths shows. So n elements are initialized.
        #[allow(unsafe_code)]
        unsafe {
            vector.set_len(n);
        }
    }
    (out, left)
}

/// Memory that holds nothing yet.
#[derive(Debug)]
pub struct Unwritten<'x, T>(&'x mut [MaybeUninit<T>]);

/// Tells that memory was filled, and which: of the borrow `'x` and no other, so that none can be kept for the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Written<'x> {
    at: usize,
    len: usize,
    /// Neither a longer nor a shorter lifetime.
    borrow: PhantomData<fn(&'x ()) -> &'x ()>,
}

impl<'x, T: Copy> Unwritten<'x, T> {
    fn whole(&self) -> Written<'x> {
        Written { at: self.0.as_ptr().addr(), len: self.0.len(), borrow: PhantomData }
    }

    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// f(i) for each element.
    #[inline(always)]
    pub(crate) fn each(&mut self, mut f: impl FnMut(usize) -> T) -> Written<'x> {
        let written = self.whole();
        for (i, out) in self.0.iter_mut().enumerate() {
            out.write(f(i));
        }
        written
    }

    /// f(i) for each element, and whether all are finite.
    #[inline(always)]
    pub fn seen(&mut self, mut f: impl FnMut(usize) -> T) -> (Written<'x>, bool)
    where
        T: Bits,
    {
        let mut top = Top::new();
        let written = self.each(
            #[inline(always)]
            |i| {
                let value = f(i);
                top.see(value);
                value
            },
        );
        (written, top.finite())
    }

    /// Rows of `len` elements, the last one perhaps shorter, each filled by f(i, row); and whether all are finite.
    #[inline(always)]
    pub(crate) fn rows(
        &mut self,
        len: usize,
        mut f: impl for<'y> FnMut(usize, &mut Unwritten<'y, T>) -> (Written<'y>, bool),
    ) -> (Written<'x>, bool) {
        let mut finite = true;
        let written = self.whole();
        for (i, row) in self.0.chunks_mut(len.max(1)).enumerate() {
            let mut row = Unwritten(row);
            let expected = row.whole();
            let (done, fine) = f(i, &mut row);
            assert!(done == expected, "a row was swapped for another");
            finite &= fine;
        }
        (written, finite)
    }
}
