//! The numbers of a batch of quadratic programs, on plain slices.

use crate::{Error, Result};

/// The data of a batch: Q \[n×n\], q \[n\], A \[p×n\], b \[p\], G \[m×n\], h \[m\], row-major.
///
/// Each slice holds one copy for each item of the batch, or a single one that all items share. Q counts by its symmetric part
/// ½(Q + Qᵀ). A slice without numbers stands for zeros in Q and q, and is right for A, b, G and h where there are no such rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct QpData<'a> {
    /// Q: curvature of the objective ½xᵀQx + qᵀx.
    pub q_matrix: &'a [f64],
    /// q: slope of the objective.
    pub q: &'a [f64],
    /// A of Ax = b.
    pub a: &'a [f64],
    /// b of Ax = b.
    pub b: &'a [f64],
    /// G of Gx ≤ h.
    pub g: &'a [f64],
    /// h of Gx ≤ h.
    pub h: &'a [f64],
    pub(super) layout: Layout,
}

/// The names of the six arguments, in their order.
pub const ARGUMENTS: [&str; 6] = ["Q", "q", "A", "b", "G", "h"];

/// How many numbers an item has in each argument, and how far the next item's are (0: shared).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    pub(super) lengths: [usize; 6],
    pub(super) strides: [usize; 6],
}

impl<'a> QpData<'a> {
    /// Data of min ½xᵀQx + qᵀx s.t. Gx ≤ h.
    pub fn inequalities(q_matrix: &'a [f64], q: &'a [f64], g: &'a [f64], h: &'a [f64]) -> Self {
        QpData { q_matrix, q, g, h, ..QpData::default() }
    }

    /// Data of min ½xᵀQx + qᵀx s.t. Ax = b, Gx ≤ h.
    pub fn new(
        q_matrix: &'a [f64],
        q: &'a [f64],
        (a, b): (&'a [f64], &'a [f64]),
        (g, h): (&'a [f64], &'a [f64]),
    ) -> Self {
        QpData { q_matrix, q, a, b, g, h, ..QpData::default() }
    }

    /// The six slices in order.
    pub(crate) fn slices(&self) -> [&'a [f64]; 6] {
        [self.q_matrix, self.q, self.a, self.b, self.g, self.h]
    }

    /// Checks the lengths for a batch. Errors: a slice of another length, which the error names.
    pub(crate) fn laid_out(
        mut self,
        node: &str,
        batch: usize,
        (n, p, m): (usize, usize, usize),
        zeros: &'a [f64],
    ) -> Result<Self> {
        let lengths = [n * n, n, p * n, p, m * n, m];
        self.layout.lengths = lengths;
        for (i, slice) in
            [&mut self.q_matrix, &mut self.q, &mut self.a, &mut self.b, &mut self.g, &mut self.h]
                .into_iter()
                .enumerate()
        {
            if slice.is_empty() && i < 2 {
                *slice = &zeros[..lengths[i]];
            }
            let (one, all) = (lengths[i], lengths[i].saturating_mul(batch));
            self.layout.strides[i] = match slice.len() {
                k if k == one => 0,
                k if k == all => one,
                got => {
                    return Err(Error::Length {
                        node: node.into(),
                        argument: ARGUMENTS[i],
                        one,
                        batch,
                        got,
                    });
                }
            };
        }
        Ok(self)
    }

    /// The same for directions, of which any may be empty: a zero.
    pub(crate) fn as_direction(
        mut self,
        node: &str,
        batch: usize,
        (n, p, m): (usize, usize, usize),
    ) -> Result<Self> {
        let lengths = [n * n, n, p * n, p, m * n, m];
        for (i, slice) in self.slices().into_iter().enumerate() {
            let (one, got) = (lengths[i], slice.len());
            (self.layout.lengths[i], self.layout.strides[i]) = match got {
                0 => (0, 0),
                k if k == one => (one, 0),
                k if k == one * batch => (one, one),
                _ => {
                    let argument = ARGUMENTS[i];
                    return Err(Error::Length { node: node.into(), argument, one, batch, got });
                }
            };
        }
        Ok(self)
    }

    /// The arguments of one item.
    pub(crate) fn item(&self, i: usize) -> [&'a [f64]; 6] {
        let mut out = self.slices();
        for (k, slice) in out.iter_mut().enumerate() {
            let start = i * self.layout.strides[k];
            *slice = &slice[start..start + self.layout.lengths[k]];
        }
        out
    }

    /// The first number of an item that is NaN or infinite: argument, place, number.
    pub(crate) fn first_not_finite(&self, i: usize) -> Option<(&'static str, usize, f64)> {
        self.item(i).iter().zip(ARGUMENTS).find_map(|(slice, name)| {
            // Sums of x·0 are 0 exactly when all numbers are finite, and vectorize.
            if slice.iter().map(|x| x * 0.0).sum::<f64>() == 0.0 {
                return None;
            }
            let at = slice.iter().position(|x| !x.is_finite())?;
            Some((name, at, slice[at]))
        })
    }
}
