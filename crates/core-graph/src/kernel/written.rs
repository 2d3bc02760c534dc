//! Vectors whose memory is written once: zeros first would cost a pass over memory of their own.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// From this many elements on, threads share the work.
const SHARED: usize = 1 << 16;

/// A vector of `n` elements, of which `write` fills every chunk: of `chunk` elements, the last one perhaps shorter.
///
/// `write` gets the index of the chunk and its memory, and hands the memory back filled, so that none can be missed. Several
/// threads share the chunks if there are many elements; which one writes a chunk does not matter.
pub(crate) fn written<T: Copy + Send, S: Send>(
    n: usize,
    chunk: usize,
    write: impl Fn(usize, &mut Unwritten<'_, T>) -> (Written, S) + Sync,
) -> (Vec<T>, Vec<S>) {
    let mut out: Vec<T> = Vec::with_capacity(n);
    let chunk = chunk.max(1);
    let fill = |(i, memory): (usize, &mut [MaybeUninit<T>])| {
        let expected = Written { at: memory.as_ptr().addr(), len: memory.len() };
        let (done, left) = write(i, &mut Unwritten(memory));
        assert!(done == expected, "a chunk was swapped for another");
        left
    };
    let memory = &mut out.spare_capacity_mut()[..n];
    let left = if n < SHARED || n <= chunk {
        memory.chunks_mut(chunk).enumerate().map(fill).collect()
    } else {
        memory.par_chunks_mut(chunk).enumerate().map(fill).collect()
    };
    // SAFETY: the first n elements of the spare capacity, which `with_capacity` reserved, were cut into chunks without a gap, and
    // for each chunk `fill` saw a `Written` of its address and length; only `Unwritten` makes one, after it wrote every element of
    // that memory, row by row or at once, and what is written stays written. So n elements are initialized.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(n);
    }
    (out, left)
}

/// A vector of `count` rows of `width` numbers, made in blocks of whole rows that fit into a fast cache; and what `work` gives for each
/// block, in order.
///
/// `work` gets the first row of the block and numbers to overwrite. Blocks depend on the width alone, and several threads share them.
pub fn in_blocks<T: Copy + Default + Send, S: Send>(
    count: usize,
    width: usize,
    work: impl Fn(usize, &mut [T]) -> S + Sync,
) -> (Vec<T>, Vec<S>) {
    const BLOCK: usize = 1 << 13;
    let rows = (BLOCK / width.max(1)).max(1);
    written(count * width, rows * width, |block, out| {
        let mut numbers = vec![T::default(); out.len()];
        let left = work(block * rows, &mut numbers);
        let done = super::vectorized(
            #[inline(always)]
            || out.copy(&numbers),
        );
        (done, left)
    })
}

/// So many vectors of `n` elements, made side by side in blocks of `block`; and what `work` gives for each block, in order.
///
/// `work` gets the first element of the block and a buffer for each vector to overwrite. Several threads share the blocks.
pub fn blocks_of<T: Copy + Default + Send, S: Send>(
    vectors: usize,
    n: usize,
    block: usize,
    work: impl Fn(usize, &mut [Vec<T>]) -> S + Sync,
) -> (Vec<Vec<T>>, Vec<S>) {
    let block = block.max(1);
    let mut out: Vec<Vec<T>> = (0..vectors).map(|_| Vec::with_capacity(n)).collect();
    let mut chunks: Vec<_> =
        out.iter_mut().map(|v| v.spare_capacity_mut()[..n].chunks_mut(block)).collect();
    let tasks: Vec<Vec<&mut [MaybeUninit<T>]>> = (0..n.div_ceil(block))
        .map(|_| chunks.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    let fill = |(i, targets): (usize, Vec<&mut [MaybeUninit<T>]>)| {
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
        true => tasks.into_iter().enumerate().map(fill).collect(),
        false => tasks.into_par_iter().enumerate().map(fill).collect(),
    };
    for vector in &mut out {
        // SAFETY: the first n elements of the spare capacity, which `with_capacity` reserved, were cut into ⌈n/block⌉ chunks without
        // a gap; task i took chunk i of every vector, as many chunks as there are buffers, and wrote every element of each, which the
        // assert on the lengths shows. So n elements are initialized.
        #[allow(unsafe_code)]
        unsafe {
            vector.set_len(n);
        }
    }
    (out, left)
}

/// Memory of a chunk that holds nothing yet.
pub(crate) struct Unwritten<'a, T>(&'a mut [MaybeUninit<T>]);

/// Tells that a chunk was filled.
#[derive(PartialEq, Eq)]
pub(crate) struct Written {
    at: usize,
    len: usize,
}

impl<T: Copy> Unwritten<'_, T> {
    /// How many elements.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// f(i) for each element.
    #[inline(always)]
    pub(crate) fn each(&mut self, mut f: impl FnMut(usize) -> T) -> Written {
        let written = Written { at: self.0.as_ptr().addr(), len: self.0.len() };
        for (i, out) in self.0.iter_mut().enumerate() {
            out.write(f(i));
        }
        written
    }

    /// Rows of `len` elements, the last one perhaps shorter, each filled by f(i, row).
    pub(crate) fn rows(
        &mut self,
        len: usize,
        mut f: impl FnMut(usize, &mut Unwritten<'_, T>) -> Written,
    ) -> Written {
        let written = Written { at: self.0.as_ptr().addr(), len: self.0.len() };
        for (i, row) in self.0.chunks_mut(len.max(1)).enumerate() {
            let expected = Written { at: row.as_ptr().addr(), len: row.len() };
            let done = f(i, &mut Unwritten(row));
            assert!(done == expected, "a row was swapped for another");
        }
        written
    }

    /// A copy of the first elements of `from`, as many as there is room for; panics if there are fewer.
    #[inline(always)]
    pub(crate) fn copy(&mut self, from: &[T]) -> Written {
        let from = &from[..self.0.len()];
        self.each(|i| from[i])
    }
}
