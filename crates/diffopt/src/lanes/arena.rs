//! Working memory, aligned to cache lines, and what is kept of it from solve to solve.

use std::sync::{Arc, Mutex, PoisonError};

const LINE: usize = 64;

/// A block of numbers that is cut into slices. Its beginning is aligned to a cache line, so that no vector straddles two.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    data: Vec<f64>,
    offset: usize,
}

impl Arena {
    /// At least `length` numbers, with any contents.
    pub(crate) fn reserve(&mut self, length: usize) {
        let slack = LINE / size_of::<f64>();
        if self.data.len() < length + slack {
            self.data = vec![0.0; length + slack];
        }
        // A compiler that does not know the offset says usize::MAX: the slices are then as good, but slower.
        self.offset = self.data.as_ptr().align_offset(LINE).min(slack);
    }

    /// Slices of these lengths, one after the other. Call [`Arena::reserve`] with the sum first.
    pub(crate) fn cut<const K: usize>(&mut self, lengths: [usize; K]) -> [&mut [f64]; K] {
        let mut rest = &mut self.data[self.offset..];
        lengths.map(|length| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(length);
            rest = tail;
            head
        })
    }

    /// The same slices, to read.
    pub(crate) fn view<const K: usize>(&self, lengths: [usize; K]) -> [&[f64]; K] {
        let mut rest = &self.data[self.offset..];
        lengths.map(|length| {
            let (head, tail) = rest.split_at(length);
            rest = tail;
            head
        })
    }
}

/// Blocks that are not in use, kept for the next solve: fresh memory costs a page fault for each 4 KiB.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Arena>>>);

impl Pool {
    /// At least `length` numbers, with any contents.
    pub(crate) fn take(&self, length: usize) -> Arena {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut arena = kept.unwrap_or_default();
        arena.reserve(length);
        arena
    }

    /// A copy of the first `length` numbers of a block, in one that is not in use. (Its alignment is its own, so they may lie elsewhere in it.)
    pub(crate) fn copy(&self, of: &Arena, length: usize) -> Arena {
        let mut copy = self.take(length);
        let [to] = copy.cut([length]);
        let [from] = of.view([length]);
        to.copy_from_slice(from);
        copy
    }

    /// Keeps a block.
    pub(crate) fn give(&self, arena: Arena) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
    }

    /// How many blocks are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
