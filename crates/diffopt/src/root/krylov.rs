//! GMRES: a linear system from products with its matrix.

use pullback_core_graph::Result;

/// The generalized minimal residual method with restarts (Saad and Schultz, SIAM J. Sci. Stat. Comput. 7, 1986), orthogonalized twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gmres {
    /// Relative residual at which it ends. Default 10⁻¹².
    pub tolerance: f64,
    /// Vectors that are kept before a restart. Default 60.
    pub restart: usize,
    /// The most products with the matrix. Default 2000.
    pub products: usize,
}

impl Default for Gmres {
    fn default() -> Self {
        Gmres { tolerance: 1e-12, restart: 60, products: 2000 }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn axpy(y: &mut [f64], a: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

impl Gmres {
    /// x with A·x = b, and its relative residual; `apply` is the product with A.
    pub(super) fn solve(
        &self,
        b: &[f64],
        apply: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
    ) -> Result<(Vec<f64>, f64)> {
        let size = dot(b, b).sqrt();
        let mut x = vec![0.0; b.len()];
        if size == 0.0 {
            return Ok((x, 0.0));
        }
        let (mut r, mut products) = (b.to_vec(), 0);
        let mut error = 1.0;
        while self.tolerance < error && products < self.products {
            let cycle = self.cycle(&r, self.tolerance * size, apply, self.products - products)?;
            products += cycle.products + 1;
            axpy(&mut x, 1.0, &cycle.correction);
            let image = apply(&x)?;
            r = b.iter().zip(&image).map(|(b, a)| b - a).collect();
            let next = dot(&r, &r).sqrt() / size;
            // A cycle that gains nothing will not gain anything again.
            if next.is_nan() || 0.999 * error < next {
                error = if next.is_nan() { next } else { error.min(next) };
                break;
            }
            error = next;
        }
        Ok((x, error))
    }

    /// One cycle: the correction of least residual in the Krylov space of r.
    fn cycle(
        &self,
        r: &[f64],
        goal: f64,
        apply: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
        most: usize,
    ) -> Result<Cycle> {
        let beta = dot(r, r).sqrt();
        let mut basis = vec![r.iter().map(|r| r / beta).collect::<Vec<f64>>()];
        // The Hessenberg matrix by columns, triangular by Givens rotations; g: the rotated right-hand side.
        let (mut columns, mut rotations): (Vec<Vec<f64>>, Vec<(f64, f64)>) = (vec![], vec![]);
        let mut g = vec![beta];
        let steps = self.restart.max(1).min(r.len()).min(most.max(1));
        for k in 0..steps {
            let mut w = apply(&basis[k])?;
            let mut h = vec![0.0; k + 2];
            for _ in 0..2 {
                for (i, v) in basis.iter().enumerate() {
                    let along = dot(&w, v);
                    h[i] += along;
                    axpy(&mut w, -along, v);
                }
            }
            h[k + 1] = dot(&w, &w).sqrt();
            let next = h[k + 1];
            for (i, (c, s)) in rotations.iter().enumerate() {
                let (a, b) = (h[i], h[i + 1]);
                h[i] = c * a + s * b;
                h[i + 1] = c * b - s * a;
            }
            let length = h[k].hypot(h[k + 1]);
            let (c, s) =
                if length == 0.0 { (1.0, 0.0) } else { (h[k] / length, h[k + 1] / length) };
            (h[k], h[k + 1]) = (length, 0.0);
            rotations.push((c, s));
            let last = g[k];
            g[k] = c * last;
            g.push(-s * last);
            columns.push(h);
            if next <= f64::EPSILON * beta || g[k + 1].abs() <= 0.5 * goal {
                break;
            }
            basis.push(w.iter().map(|w| w / next).collect());
        }
        let used = columns.len();
        let mut y = g[..used].to_vec();
        for i in (0..used).rev() {
            for j in i + 1..used {
                y[i] -= columns[j][i] * y[j];
            }
            // A diagonal of 0 belongs to a direction without image.
            y[i] = if columns[i][i] == 0.0 { 0.0 } else { y[i] / columns[i][i] };
        }
        let mut correction = vec![0.0; r.len()];
        y.iter().zip(&basis).for_each(|(y, v)| axpy(&mut correction, *y, v));
        Ok(Cycle { correction, products: used })
    }
}

struct Cycle {
    correction: Vec<f64>,
    products: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step is a failed test
mod tests {
    use super::*;

    #[test]
    fn a_nonsymmetric_system_is_solved_with_and_without_restarts() {
        let n = 40;
        let entry = |i: usize, j: usize| {
            let far = (i as f64 - j as f64).abs();
            if i == j { 4.0 } else { (1.3 * i as f64 - 0.7 * j as f64).sin() / (1.0 + far * far) }
        };
        let apply = |x: &[f64]| -> Result<Vec<f64>> {
            Ok((0..n).map(|i| (0..n).map(|j| entry(i, j) * x[j]).sum()).collect())
        };
        let want: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
        for restart in [5, 60] {
            let gmres = Gmres { restart, ..Gmres::default() };
            let b = apply(&want).unwrap();
            let (x, error) = gmres.solve(&b, &apply).unwrap();
            let off = x.iter().zip(&want).map(|(x, w)| (x - w).abs()).fold(0.0, f64::max);
            assert!(error < 1e-11 && off < 1e-10, "{restart}: {error:e}, {off:e}");
        }
    }

    #[test]
    fn an_inconsistent_system_is_told_by_its_residual() {
        let apply = |x: &[f64]| -> Result<Vec<f64>> { Ok(vec![x[0], 0.0]) };
        let (x, error) = Gmres::default().solve(&[1.0, 1.0], &apply).unwrap();
        assert!((error - 0.5f64.sqrt()).abs() < 1e-12, "{x:?}, {error:e}");
    }
}
