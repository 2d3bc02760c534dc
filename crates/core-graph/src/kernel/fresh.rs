//! Memory that nobody has written yet, cut into parts; each is zeroed where it is used, while it is in a fast cache.
//!
//! A kernel whose tasks write parts of an output wants a vector to cut. Zeros for all of it first would cost a pass over memory of
//! their own, which for kernels with little to compute is a quarter of the time.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::memory::room_for;

/// From this many elements on, threads share the zeroing of one part.
const SHARED: usize = 1 << 16;

/// A part of the memory. It can be cut, and turned into a slice of zeros, once.
#[derive(Debug)]
pub struct Fresh<'a, T> {
    memory: &'a mut [MaybeUninit<T>],
    /// Elements that were zeroed, in all parts together.
    done: &'a AtomicUsize,
}

impl<'a, T: Copy + Default + Send> Fresh<'a, T> {
    /// Elements of this part.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Has it none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// Parts of `size` elements, the last one perhaps shorter.
    pub fn chunks(self, size: usize) -> impl ExactSizeIterator<Item = Fresh<'a, T>> {
        let done = self.done;
        self.memory.chunks_mut(size.max(1)).map(move |memory| Fresh { memory, done })
    }

    /// The memory, zeroed.
    #[must_use]
    pub fn zeroed(self) -> &'a mut [T] {
        let zero = |memory: &mut [MaybeUninit<T>]| {
            for element in memory {
                element.write(T::default());
            }
        };
        match self.memory.len() < SHARED {
            true => zero(self.memory),
            false => self.memory.par_chunks_mut(SHARED / 2).for_each(zero),
        }
        self.done.fetch_add(self.memory.len(), Ordering::Relaxed);
        let (start, n) = (self.memory.as_mut_ptr().cast::<T>(), self.memory.len());
        // SAFETY: the n elements from `start` on are what `self.memory` borrows mutably for 'a, which `self`, gone after this, does
        // not do any more; `MaybeUninit<T>` is laid out as T; and each element was written just now.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(start, n)
        }
    }
}

/// A vector of `n` elements that `fill` gets to cut and write; `None` if some part was never turned into a slice.
pub fn fresh<T: Copy + Default + Send, R>(
    n: usize,
    fill: impl FnOnce(Fresh<'_, T>) -> R,
) -> (Option<Vec<T>>, R) {
    let mut out: Vec<T> = room_for(n);
    let done = AtomicUsize::new(0);
    let result = fill(Fresh { memory: &mut out.spare_capacity_mut()[..n], done: &done });
    if done.into_inner() != n {
        return (None, result);
    }
    // SAFETY: `fill` had the first n elements of the spare capacity, which `room_for` reserved, as one `Fresh`. Cutting one gives
    // disjoint ones, `zeroed` uses one up, and nothing else makes any; so no element was counted twice, and n counted elements are all
    // of them. Each was written before it was counted, and a slice of T leaves nothing unwritten behind.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(n);
    }
    (Some(out), result)
}

/// The same with memory that is there: `fill` overwrites it.
pub fn refill<T: Copy + Default + Send, R>(
    memory: &mut [T],
    fill: impl FnOnce(Fresh<'_, T>) -> R,
) -> R {
    let (start, n) = (memory.as_mut_ptr().cast::<MaybeUninit<T>>(), memory.len());
    // SAFETY: the n elements that `memory` borrows mutably, until the end of this call. `MaybeUninit<T>` is laid out as T, and a
    // `Fresh` writes nothing but values of T into them, so that they stay initialized.
    #[allow(unsafe_code)]
    let memory = unsafe { std::slice::from_raw_parts_mut(start, n) };
    fill(Fresh { memory, done: &AtomicUsize::new(0) })
}

#[cfg(test)]
mod tests {
    use super::{fresh, refill};

    #[test]
    fn every_part_is_zeroed_once_and_kept() {
        for (n, size) in [(0, 3), (1, 1), (10, 3), (1 << 17, 1000), (1 << 17, 1 << 17)] {
            let (made, parts) = fresh::<f32, _>(n, |all| {
                let parts = all.chunks(size).enumerate();
                parts
                    .map(|(i, part)| {
                        let part = part.zeroed();
                        assert!(part.iter().all(|&v| v == 0.0));
                        part.fill(i as f32);
                    })
                    .count()
            });
            let expected: Vec<f32> = (0..n).map(|i| (i / size) as f32).collect();
            assert_eq!((made, parts), (Some(expected), n.div_ceil(size)));
        }
    }

    #[test]
    fn a_part_left_out_gives_no_vector() {
        let (made, ()) = fresh::<f64, _>(10, |all| {
            for part in all.chunks(4).skip(1) {
                part.zeroed().fill(1.0);
            }
        });
        assert!(made.is_none());
    }

    #[test]
    fn memory_that_is_there_is_overwritten() {
        let mut numbers = vec![7.0f32; 9];
        refill(&mut numbers, |all| all.zeroed()[3] = 1.0);
        assert_eq!(numbers, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
