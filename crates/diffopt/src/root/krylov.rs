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
            let mut trial = x.clone();
            axpy(&mut trial, 1.0, &cycle.correction);
            let image = apply(&trial)?;
            let rest: Vec<f64> = b.iter().zip(&image).map(|(b, a)| b - a).collect();
            let next = dot(&rest, &rest).sqrt() / size;
            if next.is_nan() {
                error = next;
                break;
            }
            // A cycle that gains nothing will not gain anything again; one that loses is not made.
            let gained = next <= 0.999 * error;
            if next < error {
                (x, r, error) = (trial, rest, next);
            }
            if !gained {
                break;
            }
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
            let image = dot(&w, &w).sqrt();
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
            // What is left of A·v by rounding is no direction.
            if next <= 8.0 * f64::EPSILON * image || g[k + 1].abs() <= 0.5 * goal {
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

    #[test]
    fn a_system_of_any_size_is_the_same_system() {
        // Whatever the units of A and of b, no direction of Krylov's space counts as 0 for its size.
        for (a, b) in [(1e-20, 1.0), (1.0, 1e-20), (1.0, 1e20), (1e20, 1e-20), (1e-100, 1e100)] {
            let apply = |x: &[f64]| -> Result<Vec<f64>> {
                Ok(vec![a * (2.0 * x[0] + x[1]), a * (3.0 * x[1] - x[2]), a * (x[0] + 4.0 * x[2])])
            };
            let right = [b, -2.0 * b, 0.5 * b];
            let gmres = Gmres { products: 8, ..Gmres::default() };
            let (x, error) = gmres.solve(&right, &apply).unwrap();
            assert!(error < 1e-12, "A·{a:e}, b·{b:e}: {error:e} at {x:?}");
        }
    }

    #[test]
    fn the_residual_that_is_told_is_that_of_the_answer() {
        // Products that do not agree with each other: the correction looks good, and makes it worse.
        let calls = std::cell::Cell::new(0);
        let apply = |x: &[f64]| -> Result<Vec<f64>> {
            calls.set(calls.get() + 1);
            Ok(x.iter().map(|x| if calls.get() == 1 { *x } else { 3.0 * x }).collect())
        };
        let (x, error) = Gmres::default().solve(&[1.0, 2.0], &apply).unwrap();
        assert_eq!((x, error), (vec![0.0, 0.0], 1.0));
    }
}
