//! Memory that nobody has written yet, cut into parts; each is written from its start to its end, or zeroed where it is used, while it
//! is in a fast cache.
//!
//! A kernel whose tasks write parts of an output wants a vector to cut. Zeros for all of it first would cost a pass over memory of
//! their own, which for kernels with little to compute is a quarter of the time.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::memory::{prefetch, room_for};
use crate::spread;

/// From this many elements on, threads share the zeroing of one part.
const SHARED: usize = 1 << 16;

/// A part of the memory. It can be cut, written element after element, and turned into a slice of zeros, once.
#[derive(Debug)]
pub struct Fresh<'a, T> {
    /// What is not written yet.
    memory: &'a mut [MaybeUninit<T>],
    /// Elements that this part has written before `memory`.
    written: usize,
    /// Elements that were written, in all parts that are gone together.
    done: &'a AtomicUsize,
}

impl<T> Drop for Fresh<'_, T> {
    fn drop(&mut self) {
        if self.written > 0 {
            self.done.fetch_add(self.written, Ordering::Relaxed);
        }
    }
}

impl<'a, T: Copy + Default + Send> Fresh<'a, T> {
    /// Elements of this part that are not written yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Has it none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// [`prefetch`](super::prefetch) of the element that is `at` behind those which are written.
    #[inline(always)]
    pub fn prefetch(&self, at: usize) {
        prefetch(self.memory, at);
    }

    /// Parts of `size` elements, the last one perhaps shorter.
    pub fn chunks(mut self, size: usize) -> impl ExactSizeIterator<Item = Fresh<'a, T>> {
        let (memory, done) = (std::mem::take(&mut self.memory), self.done);
        memory.chunks_mut(size.max(1)).map(move |memory| Fresh { memory, written: 0, done })
    }

    /// Two parts, of which the first has `n` elements, or all if there are fewer.
    #[must_use]
    pub fn split_at(mut self, n: usize) -> (Self, Self) {
        let (memory, done) = (std::mem::take(&mut self.memory), self.done);
        let (first, second) = memory.split_at_mut(n.min(memory.len()));
        let part = |memory| Fresh { memory, written: 0, done };
        (part(first), part(second))
    }

    /// Writes f(v) for each v of `from` into the next elements, as far as there are any.
    #[inline(always)]
    pub fn append(&mut self, from: &[T], mut f: impl FnMut(T) -> T) {
        let n = from.len().min(self.memory.len());
        let (next, rest) = std::mem::take(&mut self.memory).split_at_mut(n);
        self.memory = rest;
        for (element, &value) in next.iter_mut().zip(from) {
            element.write(f(value));
        }
        self.written += next.len();
    }

    /// The memory that is not written yet, zeroed.
    #[must_use]
    pub fn zeroed(mut self) -> &'a mut [T] {
        let memory = std::mem::take(&mut self.memory);
        let zero = |memory: &mut [MaybeUninit<T>]| {
            for element in memory {
                element.write(T::default());
            }
        };
        match memory.len() < SHARED {
            true => zero(memory),
            false => {
                drop(spread(memory.chunks_mut(SHARED / 2).collect(), |_, memory| zero(memory)))
            }
        }
        self.written += memory.len();
        let (start, n) = (memory.as_mut_ptr().cast::<T>(), memory.len());
        // SAFETY: the n elements from `start` on are what `memory` borrows mutably for 'a, taken out of `self`, and which nothing uses
        // after this; `MaybeUninit<T>` is laid out as T; and each element was written just now.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(start, n)
        }
    }
}

/// A vector of `n` elements that `fill` gets to cut and write; `None` if some of them were never written.
pub fn fresh<T: Copy + Default + Send, R>(
    n: usize,
    fill: impl FnOnce(Fresh<'_, T>) -> R,
) -> (Option<Vec<T>>, R) {
    let mut out: Vec<T> = room_for(n);
    let done = AtomicUsize::new(0);
    let result =
        fill(Fresh { memory: &mut out.spare_capacity_mut()[..n], written: 0, done: &done });
    if done.into_inner() != n {
        return (None, result);
    }
    // SAFETY: `fill` had the first n elements of the spare capacity, which `room_for` reserved, as one `Fresh`. Cutting one gives
    // disjoint ones of what it has not written, `append` and `zeroed` take what they write out of it, and nothing else makes any; so no
    // element was counted twice, and n counted elements are all of them. Each was written before it was counted, and a slice of T leaves
    // nothing unwritten behind.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(n);
    }
    (Some(out), result)
}

/// The same with memory that is there: `fill` overwrites it. The first answer says whether it overwrote all of it.
pub fn refill<T: Copy + Default + Send, R>(
    memory: &mut [T],
    fill: impl FnOnce(Fresh<'_, T>) -> R,
) -> (bool, R) {
    let (start, n) = (memory.as_mut_ptr().cast::<MaybeUninit<T>>(), memory.len());
    // SAFETY: the n elements that `memory` borrows mutably, until the end of this call. `MaybeUninit<T>` is laid out as T, and a
    // `Fresh` writes nothing but values of T into them, so that they stay initialized.
    #[allow(unsafe_code)]
    let memory = unsafe { std::slice::from_raw_parts_mut(start, n) };
    let done = AtomicUsize::new(0);
    let result = fill(Fresh { memory, written: 0, done: &done });
    (done.into_inner() == n, result)
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
    fn parts_written_piece_by_piece_are_kept() {
        for (size, first) in [(7, 0), (7, 3), (7, 7), (100, 9)] {
            let (made, ()) = fresh::<f64, _>(20, |all| {
                for (k, mut part) in all.chunks(size).enumerate() {
                    let len = part.len();
                    let numbers: Vec<f64> = (0..100).map(|i| i as f64).collect();
                    part.append(&numbers[..first], |i| 10.0 * k as f64 + i);
                    assert_eq!(part.len(), len - first.min(len));
                    match k % 2 {
                        0 => part.append(&numbers[first..], |i| 10.0 * k as f64 + i),
                        _ => assert!(part.zeroed().iter().all(|&v| v == 0.0)),
                    }
                }
            });
            let expected = (0..20).map(|i| match (i / size % 2, i % size) {
                (1, at) if first <= at => 0.0,
                (_, at) => (10 * (i / size) + at) as f64,
            });
            assert_eq!(made, Some(expected.collect()));
        }
        let short = |left: bool| {
            let (made, ()) = fresh::<f32, _>(5, |mut all| {
                all.append(&[1.0; 2], |v| v);
                if !left {
                    all.append(&[1.0; 3], |v| 2.0 * v);
                }
            });
            made
        };
        assert_eq!((short(true), short(false)), (None, Some(vec![1.0, 1.0, 2.0, 2.0, 2.0])));
    }

    #[test]
    fn two_parts_are_all_of_it() {
        for n in [0, 1, 4, 5, 9] {
            let (made, lengths) = fresh::<f32, _>(5, |mut all| {
                all.append(&[9.0], |v| v);
                let (mut first, mut second) = all.split_at(n);
                let lengths = (first.len(), second.len());
                first.append(&[1.0; 5], |v| v);
                second.append(&[2.0; 5], |v| v);
                lengths
            });
            let expected = [9.0, 1.0, 1.0, 1.0, 1.0].iter().enumerate();
            let expected = expected.map(|(i, &v)| if n < i { 2.0 } else { v });
            assert_eq!((made, lengths), (Some(expected.collect()), (n.min(4), 4 - n.min(4))));
        }
    }

    #[test]
    fn memory_that_is_there_is_overwritten() {
        let mut numbers = vec![7.0f32; 9];
        assert!(refill(&mut numbers, |all| all.zeroed()[3] = 1.0).0);
        assert_eq!(numbers, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(!refill(&mut numbers, |mut all| all.append(&[5.0; 2], |v| v)).0);
        assert_eq!(numbers, [5.0, 5.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
