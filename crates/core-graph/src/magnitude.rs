//! How great the numbers are that a loop makes: it can see whether all are finite while they are in registers.

/// What a bit pattern says of a number's size, as an integer, so that loops over it vectorize.
pub trait Bits: Copy {
    /// The exponent and the digits.
    type Magnitude: Copy + Ord + Default + std::fmt::Debug;
    /// The least that is not finite.
    const INFINITE: Self::Magnitude;
    /// Greater for a greater number; all bits but the sign.
    fn magnitude(self) -> Self::Magnitude;
    /// A power of two that takes a number of this magnitude to \[1, 2), and its inverse, see [`Top::units`].
    fn units(magnitude: Self::Magnitude) -> [Self; 2];
}

macro_rules! float {
    ($t:ident, $u:ident, $largest:literal) => {
        impl Bits for $t {
            type Magnitude = $u;
            const INFINITE: $u = $t::INFINITY.to_bits();
            #[inline(always)]
            fn magnitude(self) -> $u {
                self.to_bits() & ($u::MAX >> 1)
            }
            #[inline(always)]
            fn units(magnitude: $u) -> [$t; 2] {
                const DIGITS: u32 = $t::MANTISSA_DIGITS - 1;
                const ONE: $u = (1.0 as $t).to_bits() >> DIGITS;
                match magnitude {
                    0 => [1.0, 0.0],
                    Self::INFINITE.. => [1.0, 1.0],
                    _ => {
                        let exponent = (magnitude >> DIGITS).clamp(ONE - $largest, ONE + $largest);
                        [2 * ONE - exponent, exponent]
                            .map(|exponent| $t::from_bits(exponent << DIGITS))
                    }
                }
            }
        }
    };
}
float!(f32, u32, 60);
float!(f64, u64, 500);

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

    /// A power of two that takes the greatest magnitude to \[1, 2), and its inverse: multiplied by the first, numbers far from 1 can be
    /// added up without harm to each other. Both are between 2^−60 and 2^60 (`f64`: 2^±500), so that a product of two is in range. 1 and 0 if all
    /// numbers are 0; 1 and 1 if one is not finite.
    #[inline(always)]
    #[must_use]
    pub fn units(self) -> [T; 2] {
        T::units(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Top;

    fn units<const N: usize>(numbers: [f32; N]) -> [f32; 2] {
        let mut top = Top::new();
        numbers.into_iter().for_each(|v| top.see(v));
        top.units()
    }

    #[test]
    fn units_take_the_greatest_to_one() {
        for (greatest, unit) in
            [(1.0f32, 1.0), (-1.99, 1.0), (2.0, 2.0), (-3e10, 2f32.powi(34)), (0.3, 0.25)]
        {
            assert_eq!(units([greatest * 0.5, greatest, 0.0]), [1.0 / unit, unit], "{greatest}");
        }
        let far = 2f32.powi(60);
        for (greatest, expected) in [
            (f32::MAX, [1.0 / far, far]),
            (f32::MIN_POSITIVE, [far, 1.0 / far]),
            (f32::from_bits(1), [far, 1.0 / far]),
            (0.0, [1.0, 0.0]),
            (-0.0, [1.0, 0.0]),
            (f32::INFINITY, [1.0, 1.0]),
            (f32::NAN, [1.0, 1.0]),
        ] {
            assert_eq!(units([greatest]), expected, "{greatest}");
        }
        let mut top = Top::new();
        [1e300f64, -1e-300].into_iter().for_each(|v| top.see(v));
        assert_eq!(top.units(), [2f64.powi(-500), 2f64.powi(500)]);
    }
}
