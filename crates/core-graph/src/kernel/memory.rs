//! Memory for long results.

/// Bytes from which on pages of 2 MiB are asked for: memory that is new to the process is then written in one go. Else each of its pages of
/// 4 KiB would interrupt the loop that writes it first, which costs as much as the writing.
#[cfg(target_os = "linux")]
const LONG: usize = 4 << 20;

/// An empty vector with room for `n` elements.
pub(crate) fn room_for<T>(n: usize) -> Vec<T> {
    let out = Vec::with_capacity(n);
    in_long_pages(&out);
    out
}

/// `n` zeros; where they are many the memory is touched by whoever writes it first.
#[must_use]
pub fn zeroed<T: Copy + Default>(n: usize) -> Vec<T> {
    let out = vec![T::default(); n];
    in_long_pages(&out);
    out
}

/// Asks the system for long pages for a vector's memory, if it is long. Only on Linux.
fn in_long_pages<T>(memory: &Vec<T>) {
    #[cfg(target_os = "linux")]
    if let Some(bytes) = memory.capacity().checked_mul(size_of::<T>()).filter(|&b| LONG <= b) {
        const PAGE: usize = 4096;
        let start = memory.as_ptr().addr();
        let (first, end) = (start.next_multiple_of(PAGE), (start + bytes) / PAGE * PAGE);
        // SAFETY: whole pages inside of the vector's own memory. The advice changes neither what they hold nor who may use them; the
        // system is free not to follow it, and so is its answer of no concern.
        #[allow(unsafe_code)]
        unsafe {
            let first = memory.as_ptr().cast_mut().with_addr(first);
            libc::madvise(first.cast(), end.saturating_sub(first.addr()), libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

/// Asks the processor to bring the line of the cache with element `at`, if there is one, nearer, while it does something else.
#[inline(always)]
pub fn prefetch<T>(memory: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = memory.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction reads and writes nothing that a program can see, at whatever address, and every x86-64 has it.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let (_, _) = (memory, at);
}

#[cfg(test)]
mod tests {
    use super::{prefetch, room_for, zeroed};

    #[test]
    fn what_is_brought_nearer_stays_as_it_is() {
        let numbers: Vec<u64> = (0..1000).collect();
        for at in [0, 999, 1000, usize::MAX] {
            prefetch(&numbers, at);
        }
        prefetch::<u64>(&[], 0);
        assert!(numbers.iter().enumerate().all(|(i, &v)| v == i as u64));
    }

    #[test]
    fn long_and_short_vectors_can_be_written_in_full() {
        for n in [0, 1, 1000, (4 << 20) / 8, (4 << 20) / 8 + 12_345] {
            let mut numbers: Vec<f64> = room_for(n);
            assert!(n <= numbers.capacity() && numbers.is_empty());
            numbers.extend((0..n).map(|i| i as f64));
            assert!(numbers.iter().enumerate().all(|(i, &v)| v == i as f64));
            assert!(zeroed::<f64>(n).iter().all(|&v| v == 0.0) && zeroed::<f64>(n).len() == n);
        }
    }
}
