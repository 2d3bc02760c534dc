//! Gauss-Newton: JᵀJ and Jᵀr of a sparse Jacobian, every product's place prepared.

use super::Pattern;
use super::sweep::length;
use crate::{Error, Result};

/// How the lower triangle of JᵀJ is summed from the entries of J, in the order of [`JacobianPlan::pattern`](super::JacobianPlan::pattern).
///
/// ```
/// use pullback_graph::sparsity::{NormalPlan, Pattern};
/// # fn main() -> pullback_graph::Result<()> {
/// let plan = NormalPlan::new(&Pattern::new(2, 2, vec![(0, 0), (0, 1), (1, 1)]))?; // [2 3; 0 4]
/// let (mut normal, mut gradient) = ([0.0; 3], [0.0; 2]);
/// plan.normal(&[2.0, 3.0, 4.0], &mut normal)?;
/// plan.gradient(&[2.0, 3.0, 4.0], &[1.0, 10.0], &mut gradient)?;
/// assert_eq!((normal, gradient), ([4.0, 6.0, 25.0], [2.0, 43.0]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct NormalPlan {
    jacobian: Pattern,
    pattern: Pattern,
    /// Where each product of a row's entries goes: row by row, (first, first), (second, first), (second, second), …
    targets: Vec<u32>,
}

impl NormalPlan {
    /// For Jacobians with these places.
    ///
    /// # Errors
    /// `Invalid` if there are more products than 32 bits count.
    pub fn new(jacobian: &Pattern) -> Result<Self> {
        let n = jacobian.columns();
        let each =
            |i: usize| jacobian.row(i).len() as u128 * (jacobian.row(i).len() as u128 + 1) / 2;
        let products = (0..jacobian.rows()).map(each).sum::<u128>();
        if u128::from(u32::MAX) <= products {
            return Err(Error::invalid("normal plan", format!("{products} products are too many")));
        }
        // Column by column: the rows that it is in, and their columns up to it, each once.
        let transposed = jacobian.transposed();
        let (mut seen, mut places) = (vec![usize::MAX; n], Vec::new());
        for a in 0..n {
            for &i in transposed.row(a) {
                for &b in jacobian.row(i as usize).iter().take_while(|&&b| b as usize <= a) {
                    if std::mem::replace(&mut seen[b as usize], a) != a {
                        places.push((a as u32, b));
                    }
                }
            }
        }
        let pattern = Pattern::from_different(n, n, &places);
        // Again, now with the position of each place in hand; each row's products are filled column by column.
        let mut first = vec![0usize; jacobian.rows() + 1];
        (0..jacobian.rows()).for_each(|i| first[i + 1] = first[i] + each(i) as usize);
        let (mut targets, mut position) = (vec![0; products as usize], vec![0u32; n]);
        for a in 0..n {
            for (&b, k) in pattern.row(a).iter().zip(pattern.starts()[a]..) {
                position[b as usize] = k as u32;
            }
            for &i in transposed.row(a) {
                let columns = jacobian.row(i as usize).iter();
                for &b in columns.take_while(|&&b| b as usize <= a) {
                    targets[first[i as usize]] = position[b as usize];
                    first[i as usize] += 1;
                }
            }
        }
        Ok(NormalPlan { jacobian: jacobian.clone(), pattern, targets })
    }

    /// Where the entries of the lower triangle of JᵀJ stand.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Number of multiplications.
    pub fn products(&self) -> usize {
        self.targets.len()
    }

    /// normal ← the entries of JᵀJ, from those of J.
    ///
    /// # Errors
    /// `Length`.
    pub fn normal(&self, j: &[f64], normal: &mut [f64]) -> Result<()> {
        length("Jacobian entries", self.jacobian.len(), j.len())?;
        length("entries of the normal matrix", self.pattern.len(), normal.len())?;
        normal.fill(0.0);
        let mut targets = self.targets.iter();
        for row in self.jacobian.starts().windows(2) {
            let row = &j[row[0]..row[1]];
            for (k, a) in row.iter().enumerate() {
                for (b, &to) in row[..=k].iter().zip(targets.by_ref()) {
                    normal[to as usize] += a * b;
                }
            }
        }
        Ok(())
    }

    /// gradient ← Jᵀ·r: the gradient of ½·|f|² for r = f(x).
    ///
    /// # Errors
    /// `Length`.
    pub fn gradient(&self, j: &[f64], r: &[f64], gradient: &mut [f64]) -> Result<()> {
        length("Jacobian entries", self.jacobian.len(), j.len())?;
        length("residuals", self.jacobian.rows(), r.len())?;
        length("gradient", self.jacobian.columns(), gradient.len())?;
        gradient.fill(0.0);
        for (row, r) in self.jacobian.starts().windows(2).zip(r) {
            let columns = &self.jacobian.indices()[row[0]..row[1]];
            for (j, &column) in j[row[0]..row[1]].iter().zip(columns) {
                gradient[column as usize] += j * r;
            }
        }
        Ok(())
    }
}
