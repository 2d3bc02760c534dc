//! One arithmetic, many matrices at once: the vector context in which every kernel is written.
//!
//! A kernel is written once over [`Lanes`]: lane `l` of each vector belongs to matrix `l` of a group. It is compiled for the
//! machine's SIMD registers (`Wide64`, `Wide32`) and for single numbers (`One`). All vector operations act lane by lane and
//! kernels take no branch that changes a lane's numbers because of another lane, so a matrix gets the same bits in any lane, in
//! any group, and in the single-number form.
//!
//! Fused multiply-add is used in all contexts if the machine has it, and in none otherwise: results may differ between machines
//! of different instruction sets, never within one machine.

use std::marker::PhantomData;

use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};
use pulp::{Arch, Simd, WithSimd};

use super::real::Field;
use super::transpose::eight_by_eight;

/// The operations on vectors of numbers of `WIDTH` matrices.
pub trait Lanes: Copy + Send + Sync {
    /// The number type.
    type Scalar: Field;
    /// `WIDTH` numbers.
    type Vector: Pod + Send + Sync;
    /// `WIDTH` truth values.
    type Mask: Copy;
    /// The same arithmetic on one matrix.
    type Narrow: Lanes<Scalar = Self::Scalar, Vector = Self::Scalar, Narrow = Self::Narrow>;
    /// The number of matrices in a group.
    const WIDTH: usize;

    /// The context for single matrices.
    fn narrow(self) -> Self::Narrow;
    /// All lanes x.
    fn splat(self, x: Self::Scalar) -> Self::Vector;
    /// a + b
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a − b
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a / b
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b + c
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// c − a·b
    fn mul_sub(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// √a
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// |a|
    fn abs(self, a: Self::Vector) -> Self::Vector;
    /// −a
    fn neg(self, a: Self::Vector) -> Self::Vector;
    /// a < b, false where either is NaN.
    fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// `yes` where the mask holds, `no` elsewhere.
    fn select(self, mask: Self::Mask, yes: Self::Vector, no: Self::Vector) -> Self::Vector;
    /// Whether the mask holds in any lane.
    fn any(self, mask: Self::Mask) -> bool;
    /// Lane l of `target[e]` becomes `source[l·stride + e]`.
    #[inline(always)]
    fn interleave(self, source: &[Self::Scalar], stride: usize, target: &mut [Self::Vector]) {
        let length = target.len();
        if length < 8 {
            let target = cast_slice_mut::<Self::Vector, Self::Scalar>(target);
            for lane in 0..Self::WIDTH {
                let matrix = &source[lane * stride..][..length];
                for (slot, &x) in target.chunks_exact_mut(Self::WIDTH).zip(matrix) {
                    slot[lane] = x;
                }
            }
            return;
        }
        // The last block of 8 overlaps the one before it where the length is no multiple of 8.
        let mut done = 0;
        while done < length {
            let start = done.min(length - 8);
            self.interleave_block(&source[start..], stride, &mut target[start..][..8]);
            done += 8;
        }
    }
    /// `target[l·stride + e]` becomes lane l of `source[e]`.
    #[inline(always)]
    fn deinterleave(self, source: &[Self::Vector], stride: usize, target: &mut [Self::Scalar]) {
        let length = source.len();
        if length < 8 {
            let source = cast_slice::<Self::Vector, Self::Scalar>(source);
            for lane in 0..Self::WIDTH {
                let matrix = &mut target[lane * stride..][..length];
                for (slot, x) in matrix.iter_mut().zip(source.chunks_exact(Self::WIDTH)) {
                    *slot = x[lane];
                }
            }
            return;
        }
        let mut done = 0;
        while done < length {
            let start = done.min(length - 8);
            self.deinterleave_block(&source[start..][..8], stride, &mut target[start..]);
            done += 8;
        }
    }
    /// [`Lanes::interleave`] for 8 entries.
    #[inline(always)]
    fn interleave_block(self, source: &[Self::Scalar], stride: usize, target: &mut [Self::Vector]) {
        interleave_block(self, source, stride, target);
    }
    /// [`Lanes::deinterleave`] for 8 entries.
    #[inline(always)]
    fn deinterleave_block(
        self,
        source: &[Self::Vector],
        stride: usize,
        target: &mut [Self::Scalar],
    ) {
        deinterleave_block(self, source, stride, target);
    }
}

#[inline(always)]
fn interleave_block<C: Lanes>(_: C, source: &[C::Scalar], stride: usize, target: &mut [C::Vector]) {
    let target = &mut cast_slice_mut::<C::Vector, C::Scalar>(target)[..8 * C::WIDTH];
    for lane in 0..C::WIDTH {
        let matrix = &source[lane * stride..lane * stride + 8];
        for e in 0..8 {
            target[e * C::WIDTH + lane] = matrix[e];
        }
    }
}

#[inline(always)]
fn deinterleave_block<C: Lanes>(
    _: C,
    source: &[C::Vector],
    stride: usize,
    target: &mut [C::Scalar],
) {
    let source = &cast_slice::<C::Vector, C::Scalar>(source)[..8 * C::WIDTH];
    for lane in 0..C::WIDTH {
        let matrix = &mut target[lane * stride..lane * stride + 8];
        for e in 0..8 {
            matrix[e] = source[e * C::WIDTH + lane];
        }
    }
}

/// Work to be compiled for each instruction set.
pub(super) trait Task<T: Field> {
    /// What it returns.
    type Output;
    /// Runs in the given context.
    fn run<C: Lanes<Scalar = T>>(self, lanes: C) -> Self::Output;
}

/// Runs the task with the machine's best instruction set.
///
/// Never inlined, and without the arm for plain registers of `Arch::dispatch`: each would compile all kernels once more.
#[inline(never)]
pub(super) fn dispatch<T: Field, K: Task<T>>(task: K) -> K::Output {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => Simd::vectorize(simd, Vectorized(task, PhantomData)),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => Simd::vectorize(simd, Vectorized(task, PhantomData)),
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(simd) => Simd::vectorize(simd, Vectorized(task, PhantomData)),
        _ => task.run(One::<T, false>(PhantomData)),
    }
}

struct Vectorized<T, K>(K, PhantomData<T>);

impl<T: Field, K: Task<T>> WithSimd for Vectorized<T, K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        self.0.run(T::wide(simd))
    }
}

/// One matrix at a time.
#[derive(Clone, Copy)]
pub struct One<T, const FUSED: bool>(PhantomData<T>);

impl<T: Field, const FUSED: bool> Lanes for One<T, FUSED> {
    type Scalar = T;
    type Vector = T;
    type Mask = bool;
    type Narrow = Self;
    const WIDTH: usize = 1;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat(self, x: T) -> T {
        x
    }
    #[inline(always)]
    fn add(self, a: T, b: T) -> T {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: T, b: T) -> T {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: T, b: T) -> T {
        a * b
    }
    #[inline(always)]
    fn div(self, a: T, b: T) -> T {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: T, b: T, c: T) -> T {
        if FUSED { a.fused(b, c) } else { a * b + c }
    }
    #[inline(always)]
    fn mul_sub(self, a: T, b: T, c: T) -> T {
        if FUSED { (-a).fused(b, c) } else { c - a * b }
    }
    #[inline(always)]
    fn sqrt(self, a: T) -> T {
        a.root()
    }
    #[inline(always)]
    fn abs(self, a: T) -> T {
        a.magnitude()
    }
    #[inline(always)]
    fn neg(self, a: T) -> T {
        -a
    }
    #[inline(always)]
    fn less(self, a: T, b: T) -> bool {
        a < b
    }
    #[inline(always)]
    fn select(self, mask: bool, yes: T, no: T) -> T {
        if mask { yes } else { no }
    }
    #[inline(always)]
    fn any(self, mask: bool) -> bool {
        mask
    }
}

macro_rules! wide {
    ($name:ident, $scalar:ty, $vector:ident, $mask:ident, $lanes:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident,
     $div:ident, $mul_add:ident, $mul_sub:ident, $sqrt:ident, $abs:ident, $neg:ident, $less:ident, $select:ident,
     $first:ident, { $($special:item)* }) => {
        /// A SIMD register of matrices.
        #[derive(Clone, Copy)]
        pub struct $name<S>(pub(super) S);

        impl<S: Simd> Lanes for $name<S> {
            type Scalar = $scalar;
            type Vector = S::$vector;
            type Mask = S::$mask;
            type Narrow = One<$scalar, true>;
            const WIDTH: usize = S::$lanes;

            #[inline(always)]
            fn narrow(self) -> Self::Narrow {
                One(PhantomData)
            }
            #[inline(always)]
            fn splat(self, x: $scalar) -> Self::Vector {
                self.0.$splat(x)
            }
            #[inline(always)]
            fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$add(a, b)
            }
            #[inline(always)]
            fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$sub(a, b)
            }
            #[inline(always)]
            fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$mul(a, b)
            }
            #[inline(always)]
            fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                self.0.$div(a, b)
            }
            #[inline(always)]
            fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                self.0.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn mul_sub(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                self.0.$mul_sub(a, b, c)
            }
            #[inline(always)]
            fn sqrt(self, a: Self::Vector) -> Self::Vector {
                self.0.$sqrt(a)
            }
            #[inline(always)]
            fn abs(self, a: Self::Vector) -> Self::Vector {
                self.0.$abs(a)
            }
            #[inline(always)]
            fn neg(self, a: Self::Vector) -> Self::Vector {
                self.0.$neg(a)
            }
            #[inline(always)]
            fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
                self.0.$less(a, b)
            }
            #[inline(always)]
            fn select(self, mask: Self::Mask, yes: Self::Vector, no: Self::Vector) -> Self::Vector {
                self.0.$select(mask, yes, no)
            }
            #[inline(always)]
            fn any(self, mask: Self::Mask) -> bool {
                self.0.$first(mask) < Self::WIDTH
            }
            $($special)*
        }
    };
}

wide!(
    Wide64,
    f64,
    f64s,
    m64s,
    F64_LANES,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    div_f64s,
    mul_add_f64s,
    negate_mul_add_f64s,
    sqrt_f64s,
    abs_f64s,
    neg_f64s,
    less_than_f64s,
    select_f64s,
    first_true_m64s,
    {
        #[inline(always)]
        fn interleave_block(self, source: &[f64], stride: usize, target: &mut [Self::Vector]) {
            if Self::WIDTH == 8 {
                let mut rows = [self.splat(0.0); 8];
                for lane in 0..8 {
                    rows[lane] = S::as_simd_f64s(&source[lane * stride..][..8]).0[0];
                }
                if eight_by_eight(self.0, &mut rows) {
                    target[..8].copy_from_slice(&rows);
                    return;
                }
            }
            interleave_block(self, source, stride, target);
        }
        #[inline(always)]
        fn deinterleave_block(self, source: &[Self::Vector], stride: usize, target: &mut [f64]) {
            if Self::WIDTH == 8 {
                let mut rows = [self.splat(0.0); 8];
                rows.copy_from_slice(&source[..8]);
                if eight_by_eight(self.0, &mut rows) {
                    for lane in 0..8 {
                        S::as_mut_simd_f64s(&mut target[lane * stride..][..8]).0[0] = rows[lane];
                    }
                    return;
                }
            }
            deinterleave_block(self, source, stride, target);
        }
    }
);
wide!(
    Wide32,
    f32,
    f32s,
    m32s,
    F32_LANES,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    div_f32s,
    mul_add_f32s,
    negate_mul_add_f32s,
    sqrt_f32s,
    abs_f32s,
    neg_f32s,
    less_than_f32s,
    select_f32s,
    first_true_m32s,
    {}
);
