//! Seeded directions and the little linear algebra over them that the laws need.

use candle_core::{DType, Tensor};

use crate::tensor::{from_vec, is_real, to_f64};
use crate::{Direction, Result};

/// Reproducible noise: SplitMix64 (Steele, Lea, Flood 2014), twelve sums for a nearly normal number.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Noise(seed)
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// A direction for each floating tensor, `None` for the others.
    pub(super) fn directions(&mut self, at: &[Tensor]) -> Result<Direction> {
        let one = |t: &Tensor| {
            if !is_real(t) {
                return Ok(None);
            }
            let data: Vec<f64> = (0..t.elem_count()).map(|_| self.normal()).collect();
            Ok(Some(from_vec(data, t.dims(), t.device())?.to_dtype(t.dtype())?))
        };
        at.iter().map(one).collect()
    }
}

pub(super) fn real_slots(x: &[Tensor]) -> Vec<usize> {
    (0..x.len()).filter(|&i| is_real(&x[i])).collect()
}

fn pairs<T>(
    a: &Direction,
    b: &Direction,
    mut f: impl FnMut(Option<&Tensor>, Option<&Tensor>) -> Result<T>,
) -> Result<Vec<T>> {
    a.iter().zip(b).map(|(a, b)| f(a.as_ref(), b.as_ref())).collect()
}

/// Σ ⟨a, b⟩ in f64.
pub(super) fn dot(a: &Direction, b: &Direction) -> Result<f64> {
    let one = |a: Option<&Tensor>, b: Option<&Tensor>| match (a, b) {
        (Some(a), Some(b)) => Ok(to_f64(a)?.iter().zip(to_f64(b)?).map(|(a, b)| a * b).sum()),
        _ => Ok(0.0),
    };
    Ok(pairs(a, b, one)?.into_iter().sum())
}

pub(super) fn norm(a: &Direction) -> Result<f64> {
    Ok(dot(a, a)?.sqrt())
}

pub(super) fn scaled(a: &Direction, c: f64) -> Result<Direction> {
    a.iter()
        .map(|t| t.as_ref().map(|t| Ok(t.to_dtype(DType::F64)?.affine(c, 0.0)?)).transpose())
        .collect()
}

/// a − b in f64.
pub(super) fn sub(a: &Direction, b: &Direction) -> Result<Direction> {
    let one = |a: Option<&Tensor>, b: Option<&Tensor>| match (a, b) {
        (Some(a), Some(b)) => Ok(Some(a.to_dtype(DType::F64)?.sub(&b.to_dtype(DType::F64)?)?)),
        _ => Ok(None),
    };
    pairs(a, b, one)
}

/// x + h·u, in the element type of x.
pub(super) fn along(x: &[Tensor], u: &Direction, h: f64) -> Result<Vec<Tensor>> {
    let one = |(x, u): (&Tensor, &Option<Tensor>)| match u {
        Some(u) => {
            let moved = x.to_dtype(DType::F64)?.add(&u.to_dtype(DType::F64)?.affine(h, 0.0)?)?;
            Ok(moved.to_dtype(x.dtype())?)
        }
        None => Ok(x.clone()),
    };
    x.iter().zip(u).map(one).collect()
}
