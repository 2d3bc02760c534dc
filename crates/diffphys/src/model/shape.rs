//! What tells models apart: for what is made with one model and used with another.

use super::{Model, Options, Parameter};
use crate::{Error, Result};

/// How many of everything a model has, and its options: what arrays are sized by, and what their numbers mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    counts: [usize; 13],
    options: Options,
}

/// In the order of `counts`.
const NAMES: [&str; 13] = [
    "nq", "nv", "na", "nu", "nbody", "njnt", "ngeom", "nsite", "ntendon", "neq", "npair", "nmocap",
    "nmesh",
];

impl Shape {
    /// An error, if the model is not one with which `made` came about.
    pub(crate) fn same(&self, node: &str, made: &str, model: &Model) -> Result<()> {
        let other = model.shape();
        if *self == other {
            return Ok(());
        }
        let counts = self.counts.iter().zip(&other.counts);
        let what = match NAMES.iter().zip(counts).find(|(_, (a, b))| a != b) {
            Some((name, (a, b))) => format!("{made} had {name} = {a}, this model has {b}"),
            None => format!("the model has other options than those of {made}"),
        };
        Err(Error::invalid(node, what))
    }
}

impl Model {
    pub(crate) fn shape(&self) -> Shape {
        let counts = [
            self.nq(),
            self.nv(),
            self.na,
            self.nu(),
            self.nbody(),
            self.njnt(),
            self.ngeom(),
            self.site_pos.len(),
            self.ntendon(),
            self.eq_type.len(),
            self.pair.len(),
            self.nmocap(),
            self.mesh.len(),
        ];
        Shape { counts, options: self.opt }
    }

    /// What tells models of one shape apart by their parameters.
    pub(crate) fn fingerprint(&self) -> u64 {
        fingerprint(Parameter::ALL.iter().flat_map(|&p| self.parameter(p)))
    }
}

/// A number that tells sequences of numbers apart. Every number is scrambled by itself (splitmix64; Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014), so that changes of single bits, signs for one, cannot cancel.
pub(crate) fn fingerprint<'a>(numbers: impl Iterator<Item = &'a f64>) -> u64 {
    numbers.fold(0, |hash: u64, x| {
        let mut z = hash.rotate_left(1) ^ x.to_bits();
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn signs_and_order_tell() {
        let list = [0.3, -1.5, 0.0, 2.0];
        let of = |list: &[f64]| fingerprint(list.iter());
        let negated = list.map(|x: f64| -x);
        let two = [-0.3, 1.5, 0.0, 2.0];
        let swapped = [-1.5, 0.3, 0.0, 2.0];
        for other in [negated, two, swapped, [0.3, -1.5, -0.0, 2.0]] {
            assert_ne!(of(&list), of(&other), "{other:?}");
        }
        assert_ne!(of(&list), of(&list[..3]));
        assert_ne!(of(&[]), of(&[0.0]));
    }
}
