//! The two element types of the kernels, and the vector operations that they need.

use std::cell::RefCell;

use pullback_core_graph::Bits;
use pulp::Simd;

/// `f32` or `f64`: element type of every kernel. Sealed.
///
/// The methods are thin names for the processor's vector instructions, so that each kernel is written once for both
/// types and all instruction sets; `V` is one register of elements.
pub trait Real:
    sealed::Sealed
    + Copy
    + Send
    + Sync
    + PartialOrd
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::AddAssign
    + Bits
    + Default
    + 'static
{
    /// One vector register of elements.
    #[doc(hidden)]
    type Vector<S: Simd>: Copy;
    /// 0.
    #[doc(hidden)]
    const ZERO: Self;
    /// 1.
    #[doc(hidden)]
    const ONE: Self;
    /// −∞: what a maximum over nothing starts from.
    #[doc(hidden)]
    const NEGATIVE_INFINITY: Self;

    /// Elements per register.
    #[doc(hidden)]
    fn lanes<S: Simd>() -> usize;
    /// The same value in every lane.
    #[doc(hidden)]
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// a·b + c, fused where the processor can.
    #[doc(hidden)]
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// a + b.
    #[doc(hidden)]
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a − b.
    #[doc(hidden)]
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// In each lane 0 if a < 0, else a; NaN stays NaN.
    #[doc(hidden)]
    fn rectified<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    /// In each lane (a, a_mark) if a > b or only a is NaN, else (b, b_mark).
    #[doc(hidden)]
    fn greater<S: Simd>(
        simd: S,
        a: (Self::Vector<S>, Self::Vector<S>),
        b: (Self::Vector<S>, Self::Vector<S>),
    ) -> (Self::Vector<S>, Self::Vector<S>);
    /// The sum of the lanes, in a fixed order.
    #[doc(hidden)]
    fn sum_lanes<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
    /// The slice as whole registers and a tail.
    #[doc(hidden)]
    fn vectors<S: Simd>(slice: &[Self]) -> (&[Self::Vector<S>], &[Self]);
    /// The slice as whole registers and a tail, mutable.
    #[doc(hidden)]
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> (&mut [Self::Vector<S>], &mut [Self]);

    /// The nearest value of this type.
    #[doc(hidden)]
    fn from_f64(value: f64) -> Self;
    /// The integer part of a value between −2²⁴ and 2²⁴.
    #[doc(hidden)]
    fn to_i32(self) -> i32;

    /// Takes the buffer that suits `len` elements best out of this thread's pool; it may be shorter.
    #[doc(hidden)]
    fn take_buffer(len: usize) -> Vec<Self>;
    /// Gives a buffer back to this thread's pool.
    #[doc(hidden)]
    fn return_buffer(buffer: Vec<Self>);
}

mod sealed {
    /// Keeps [`Real`](super::Real) to the two types that the kernels are tested with.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Buffers that a thread keeps, and their largest size in elements: above it a buffer goes back to the allocator.
const POOLED_BUFFERS: usize = 12;
const POOLED_ELEMENTS: usize = 1 << 22;

macro_rules! real {
    ($type:ident: $vector:ident, $lanes:ident, $splat:ident, $mul_add:ident, $add:ident, $subtract:ident, $sum:ident, $split:ident,
        $split_mut:ident, $less:ident, $less_equal:ident, $equal:ident, $not:ident, $and:ident, $select:ident) => {
        impl Real for $type {
            type Vector<S: Simd> = S::$vector;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEGATIVE_INFINITY: Self = $type::NEG_INFINITY;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S> {
                simd.$splat(value)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: Self::Vector<S>,
                b: Self::Vector<S>,
                c: Self::Vector<S>,
            ) -> Self::Vector<S> {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                simd.$subtract(a, b)
            }
            #[inline(always)]
            fn rectified<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S> {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$less(a, zero), zero, a)
            }
            #[inline(always)]
            fn greater<S: Simd>(
                simd: S,
                a: (Self::Vector<S>, Self::Vector<S>),
                b: (Self::Vector<S>, Self::Vector<S>),
            ) -> (Self::Vector<S>, Self::Vector<S>) {
                let not_less = simd.$not(simd.$less_equal(a.0, b.0));
                let mask = simd.$and(not_less, simd.$equal(b.0, b.0));
                (simd.$select(mask, a.0, b.0), simd.$select(mask, a.1, b.1))
            }
            #[inline(always)]
            fn sum_lanes<S: Simd>(simd: S, a: Self::Vector<S>) -> Self {
                simd.$sum(a)
            }
            #[inline(always)]
            fn vectors<S: Simd>(slice: &[Self]) -> (&[Self::Vector<S>], &[Self]) {
                S::$split(slice)
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(slice: &mut [Self]) -> (&mut [Self::Vector<S>], &mut [Self]) {
                S::$split_mut(slice)
            }
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                self as i32
            }

            fn take_buffer(len: usize) -> Vec<Self> {
                POOL.with(|pool| {
                    let pool = &mut pool.borrow_mut().$type;
                    // The shortest that is long enough, else the longest.
                    let best = (0..pool.len()).min_by_key(|&i| {
                        let have = pool[i].len();
                        (have < len, have.abs_diff(len))
                    });
                    best.map(|i| pool.swap_remove(i)).unwrap_or_default()
                })
            }
            fn return_buffer(buffer: Vec<Self>) {
                if buffer.capacity() <= POOLED_ELEMENTS {
                    POOL.with(|pool| {
                        let pool = &mut pool.borrow_mut().$type;
                        if pool.len() < POOLED_BUFFERS {
                            pool.push(buffer);
                        }
                    });
                }
            }
        }
    };
}

/// A thread's pooled buffers, one list per element type.
#[derive(Default)]
struct Pool {
    f32: Vec<Vec<f32>>,
    f64: Vec<Vec<f64>>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

real!(f32: f32s, F32_LANES, splat_f32s, mul_add_e_f32s, add_f32s, sub_f32s, reduce_sum_f32s, as_simd_f32s,
    as_mut_simd_f32s, less_than_f32s, less_than_or_equal_f32s, equal_f32s, not_m32s, and_m32s, select_f32s);
real!(f64: f64s, F64_LANES, splat_f64s, mul_add_e_f64s, add_f64s, sub_f64s, reduce_sum_f64s, as_simd_f64s,
    as_mut_simd_f64s, less_than_f64s, less_than_or_equal_f64s, equal_f64s, not_m64s, and_m64s, select_f64s);

/// A buffer on loan from the thread's pool: no allocation once the thread is warm.
///
/// Its contents on arrival are arbitrary finite or non-finite numbers: whoever borrows it writes before reading.
pub(crate) struct Scratch<T: Real> {
    buffer: Vec<T>,
    len: usize,
}

impl<T: Real> Scratch<T> {
    /// Borrows `len` elements with arbitrary contents.
    pub(crate) fn new(len: usize) -> Self {
        let mut buffer = T::take_buffer(len);
        if buffer.len() < len {
            // What is in it is of no use, so it is not copied along.
            drop(std::mem::take(&mut buffer));
            buffer = vec![T::ZERO; len];
        }
        Self { buffer, len }
    }
}

impl<T: Real> std::ops::Deref for Scratch<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.buffer[..self.len]
    }
}

impl<T: Real> std::ops::DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[..self.len]
    }
}

impl<T: Real> Drop for Scratch<T> {
    fn drop(&mut self) {
        T::return_buffer(std::mem::take(&mut self.buffer));
    }
}

/// Zeros. A border of a few pixels is written here and now: a call of `memset` costs ten times as much.
#[inline(always)]
pub(crate) fn clear<T: Real>(slice: &mut [T]) {
    match slice {
        [] => {}
        [a] => *a = T::ZERO,
        [a, b] => (*a, *b) = (T::ZERO, T::ZERO),
        [a, b, c] => (*a, *b, *c) = (T::ZERO, T::ZERO, T::ZERO),
        [a, b, c, d] => (*a, *b, *c, *d) = (T::ZERO, T::ZERO, T::ZERO, T::ZERO),
        more => more.fill(T::ZERO),
    }
}

/// target\[i\] = source\[step·i\], for as many as both have.
#[inline(always)]
pub(crate) fn copy_strided<T: Real>(target: &mut [T], source: &[T], step: usize) {
    match step {
        1 => target.iter_mut().zip(source).for_each(|(target, &value)| *target = value),
        2 => {
            // In pairs, which the compiler takes apart a register at a time; the last may lack its second half.
            let (pairs, rest) = source.as_chunks::<2>();
            target.iter_mut().zip(pairs).for_each(|(target, pair)| *target = pair[0]);
            if let (Some(target), Some(&value)) = (target.get_mut(pairs.len()), rest.first()) {
                *target = value;
            }
        }
        _ => target
            .iter_mut()
            .zip(source.iter().step_by(step))
            .for_each(|(target, &value)| *target = value),
    }
}
