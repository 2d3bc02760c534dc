//! How great the numbers are that a loop makes: it can see whether all are finite while they are in registers.

/// What a bit pattern says of a number's size, as an integer, so that loops over it vectorize.
pub trait Bits: Copy {
    /// The exponent and the digits.
    type Magnitude: Copy + Ord + Default + std::fmt::Debug;
    /// The least that is not finite.
    const INFINITE: Self::Magnitude;
    /// Greater for a greater number; all bits but the sign.
    fn magnitude(self) -> Self::Magnitude;
}

macro_rules! float {
    ($t:ident, $u:ident) => {
        impl Bits for $t {
            type Magnitude = $u;
            const INFINITE: $u = $t::INFINITY.to_bits();
            #[inline(always)]
            fn magnitude(self) -> $u {
                self.to_bits() & ($u::MAX >> 1)
            }
        }
    };
}
float!(f32, u32);
float!(f64, u64);

/// The greatest magnitude so far.
#[derive(Debug, Clone, Copy)]
pub struct Top<T: Bits>(T::Magnitude);

impl<T: Bits> Default for Top<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Bits> Top<T> {
    /// Nothing seen yet.
    #[inline(always)]
    pub fn new() -> Self {
        Top(T::Magnitude::default())
    }

    /// One more number.
    #[inline(always)]
    pub fn see(&mut self, v: T) {
        let new = v.magnitude();
        self.0 = if new > self.0 { new } else { self.0 };
    }

    /// Was everything finite?
    #[inline(always)]
    pub fn finite(self) -> bool {
        self.0 < T::INFINITE
    }
}
