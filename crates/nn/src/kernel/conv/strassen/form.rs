//! The sums of blocks before and after the seven products, in S. Winograd's variant of the method: 15 sums in place of Strassen's 18.
//!
//! ```text
//! [a b] [e f]     s = c + d,  t = s − a        u = f − e,  v = h − u
//! [c d] [g h]     p₀ = a·e   p₁ = t·v   p₂ = (a − c)·(h − f)   p₃ = d·(g − v)   p₄ = b·g   p₅ = s·u   p₆ = (b − t)·h
//!
//! result:         p₀ + p₄                      p₀ + p₁ + p₅ + p₆
//!                 p₀ + p₁ + p₂ + p₃            p₀ + p₁ + p₂ + p₅
//! ```

use pulp::Simd;

use crate::kernel::real::Real;

/// Products of each level.
pub(super) const PRODUCTS: usize = 7;
/// Products of both levels.
pub(super) const PAIRS: usize = PRODUCTS * PRODUCTS;

/// A register of each sixteenth of a matrix by rows: the `i`th of each quarter of four lines, `registers` long.
#[inline(always)]
pub(super) fn sixteenths<T: Real, S: Simd>(
    simd: S,
    lines: [&[T::Vector<S>]; 4],
    registers: usize,
    i: usize,
) -> [[T::Vector<S>; 4]; 4] {
    let mut blocks = [[T::splat(simd, T::ZERO); 4]; 4];
    for (blocks, line) in blocks.iter_mut().zip(lines) {
        for k in 0..4 {
            blocks[k] = line[k * registers + i];
        }
    }
    blocks
}

/// The 2×2 matrix whose blocks are summed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    /// What each product multiplies of the matrix, from its four blocks by rows.
    #[inline(always)]
    fn sums<T: Real, S: Simd>(
        self,
        simd: S,
        [a, b, c, d]: [T::Vector<S>; 4],
    ) -> [T::Vector<S>; PRODUCTS] {
        let (plus, minus) = (T::plus::<S>, T::minus::<S>);
        match self {
            Self::Left => {
                let lower = plus(simd, c, d);
                let rest = minus(simd, lower, a);
                [a, rest, minus(simd, a, c), d, b, lower, minus(simd, b, rest)]
            }
            Self::Right => {
                let upper = minus(simd, b, a);
                let rest = minus(simd, d, upper);
                [a, rest, minus(simd, d, b), minus(simd, c, rest), c, upper, d]
            }
        }
    }

    /// The outer level's product P, and what the inner level's products multiply of it.
    #[inline(always)]
    pub(super) fn within<const P: usize, T: Real, S: Simd>(
        self,
        simd: S,
        blocks: &[[T::Vector<S>; 4]; 4],
    ) -> [T::Vector<S>; PRODUCTS] {
        let mut half = [T::splat(simd, T::ZERO); 4];
        for (k, half) in half.iter_mut().enumerate() {
            let (upper, lower) = (&blocks[k / 2], &blocks[2 + k / 2]);
            let (r, c) = (k % 2, 2 + k % 2);
            *half = self.sums::<T, S>(simd, [upper[r], upper[c], lower[r], lower[c]])[P];
        }
        self.sums::<T, S>(simd, half)
    }

    /// One level within the other, for a register of each sixteenth of the matrix by rows: `put` gets each product's sum.
    #[inline(always)]
    pub(super) fn twice<T: Real, S: Simd>(
        self,
        simd: S,
        blocks: &[[T::Vector<S>; 4]; 4],
        mut put: impl FnMut(usize, T::Vector<S>),
    ) {
        self.put_within::<0, T, S>(simd, blocks, &mut put);
        self.put_within::<1, T, S>(simd, blocks, &mut put);
        self.put_within::<2, T, S>(simd, blocks, &mut put);
        self.put_within::<3, T, S>(simd, blocks, &mut put);
        self.put_within::<4, T, S>(simd, blocks, &mut put);
        self.put_within::<5, T, S>(simd, blocks, &mut put);
        self.put_within::<6, T, S>(simd, blocks, &mut put);
    }

    #[inline(always)]
    fn put_within<const P: usize, T: Real, S: Simd>(
        self,
        simd: S,
        blocks: &[[T::Vector<S>; 4]; 4],
        put: &mut impl FnMut(usize, T::Vector<S>),
    ) {
        let sums = self.within::<P, T, S>(simd, blocks);
        for inner in 0..PRODUCTS {
            put(P * PRODUCTS + inner, sums[inner]);
        }
    }
}

/// What becomes of a product of blocks: it is added to a sum, or begins one, and the sum is added to a block of the result.
pub(super) struct Step {
    /// Added to the sum of the step before.
    pub(super) onto: bool,
    /// The block of the result.
    pub(super) into: usize,
}

/// The products in an order in which the result's sums are made where the products are: p₀, p₀ + p₁ and so on. Each of the first
/// [`BLOCKS`] goes to a block that has nothing yet.
pub(super) const STEPS: [Step; PRODUCTS] = [
    Step { onto: false, into: 0 },
    Step { onto: true, into: 1 },
    Step { onto: true, into: 3 },
    Step { onto: true, into: 2 },
    Step { onto: false, into: 0 },
    Step { onto: false, into: 3 },
    Step { onto: true, into: 1 },
];
/// Blocks of the result.
pub(super) const BLOCKS: usize = 4;
/// The step whose product is a sum alone: it can be added to the block without one.
pub(super) const ALONE: usize = 4;
/// From this step on a block that is added to is finished, in the order of their numbers within each row of blocks.
pub(super) const LAST: usize = 3;
