//! The derivative of conic solutions: which linear systems it is made of, and its action forwards and backwards.

use std::sync::Arc;

use rayon::prelude::*;

use super::problem::ConicData;
use super::solution::{ConicSolution, UNSOLVABLE};
use super::system::System;
use crate::degenerate::{Degenerate, SINGULAR};
use crate::{Error, Result};

impl ConicSolution {
    /// The derivative of all solutions. Items that have none do not hinder the others: a direction or a cotangent that is not 0 there is
    /// the error of that item.
    ///
    /// At kinks [`Degenerate::Active`] takes the side on which multipliers move and slacks stay 0, [`Degenerate::Inactive`] the other,
    /// [`Degenerate::Average`] the mean, [`Degenerate::MinimumNorm`] the point between them whose matrix ∂x/∂(q, b) has the least Frobenius
    /// norm (n solves), [`Degenerate::OneSided`] the piece that [`ConicSolution::directional`] lies on: four slices P, q, A, b.
    /// [`Degenerate::CentralPath`] is the derivative where z = −μ∇F(s) with the cones' logarithmic barriers F.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a policy outside its domain, [`Error::Length`] for its direction; for one-sided derivatives those of
    /// [`ConicSolution::directional`].
    pub fn derivative(self: &Arc<Self>, policy: &Degenerate) -> Result<ConicDerivative> {
        let invalid = |what: String| Err(Error::invalid(&self.problem.name, what));
        let mut side = None;
        match policy {
            Degenerate::CentralPath(mu) if !(*mu > 0.0 && mu.is_finite()) => {
                return invalid(format!("the central path at μ = {mu:e}, which is not positive"));
            }
            Degenerate::OneSided(direction) => {
                let [p, q, a, b] = &direction[..] else {
                    let count = direction.len();
                    return invalid(format!("a direction of {count} slices, for four arguments"));
                };
                let data = ConicData { p, q, a, b };
                side = Some((data, data.strides(&self.problem, self.batch(), true)?));
            }
            _ => {}
        }
        let one = |item: usize| -> Result<Piece> {
            self.ensure_solved(item)?;
            if let Degenerate::CentralPath(mu) = policy {
                let point = self.central(item, *mu, &self.data(item)).ok_or_else(|| {
                    let why = format!("its central path was not reached at μ = {mu:e}");
                    Error::NotDifferentiable { node: self.problem.name.clone(), item, why }
                })?;
                return Ok(Piece {
                    point: Some([point.x, point.z]),
                    systems: vec![(1.0, point.system)],
                });
            }
            let (weak, margin) = self.kinks(item);
            let whole = |systems| Ok(Piece { point: None, systems });
            if weak.is_empty() {
                let system = self.system(item, true)?;
                if matches!(policy, Degenerate::Refuse | Degenerate::OneSided(_)) {
                    self.ensure_regular(item, &system)?;
                }
                return whole(vec![(1.0, system)]);
            }
            if let Some((direction, strides)) = &side {
                let d = direction.item(self.problem.lengths(), *strides, item);
                let side = self.side(item, &d)?;
                return whole(vec![(1.0, self.factored(item, &side.jacobians)?)]);
            }
            if *policy == Degenerate::Refuse {
                let why =
                    format!("the cones {weak:?} are weakly active (relative margin {margin:e})");
                let node = self.problem.name.clone();
                return Err(Error::NotDifferentiable { node, item, why });
            }
            match policy {
                Degenerate::Active => return whole(vec![(1.0, self.system(item, true)?)]),
                Degenerate::Inactive => return whole(vec![(1.0, self.system(item, false)?)]),
                _ => {}
            }
            let (active, inactive) = (self.system(item, true)?, self.system(item, false)?);
            let share = match policy {
                Degenerate::MinimumNorm => self.least_norm_share(item, [&active, &inactive]),
                _ => 0.5,
            };
            whole(vec![(share, active), (1.0 - share, inactive)])
        };
        let pieces = (0..self.batch()).into_par_iter().map(one);
        // An error of a one-sided derivative is an error of the policy, as in quadratic programs.
        let pieces: Vec<Result<Piece>> = pieces.collect();
        Ok(ConicDerivative { solution: self.clone(), pieces })
    }

    /// Errors: the optimality conditions' linear system is singular. (A [`Certificate`](crate::Certificate) says which of its reasons that has, at the cost of
    /// dense matrices.)
    fn ensure_regular(&self, item: usize, system: &System) -> Result<()> {
        let (_, residual) = self.probe(system);
        if residual < UNSOLVABLE { Ok(()) } else { Err(self.unsolvable(item, residual)) }
    }

    fn unsolvable(&self, item: usize, residual: f64) -> Error {
        let why = format!(
            "the optimality conditions' linear system leaves a relative residual of {residual:e}: the solution or its multipliers \
             are not unique"
        );
        Error::NotDifferentiable { node: self.problem.name.clone(), item, why }
    }

    /// The share t of the first system at which t·J₁ + (1 − t)·J₀ has the least norm, J being ∂x/∂(−q, b).
    fn least_norm_share(&self, item: usize, systems: [&System; 2]) -> f64 {
        let (n, m) = self.problem.sizes();
        let (rows, columns) = match self.scale(item) {
            Some(scale) => scale.response(),
            None => (&[][..], Vec::new()),
        };
        let (mut along, mut square) = (0.0, 0.0);
        for j in 0..n {
            let mut unit = vec![0.0; n];
            unit[j] = rows.get(j).copied().unwrap_or(1.0);
            // A row of J is a column of its transpose.
            let [a, b] = systems.map(|system| {
                let (u, up, _) = system.solve(&unit, &vec![0.0; m]);
                let mut row = [u, up].concat();
                row.iter_mut().zip(&columns).for_each(|(x, factor)| *x *= factor);
                row
            });
            for (a, b) in a.iter().zip(&b) {
                along += b * (a - b);
                square += (a - b) * (a - b);
            }
        }
        if square > 0.0 { (-along / square).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// Directions or cotangents of the solution: x \[batch×n\], z \[batch×m\].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConicTangent {
    /// Of x.
    pub x: Vec<f64>,
    /// Of z.
    pub z: Vec<f64>,
}

/// The derivative of a batch of conic solutions: one factorization for each item, for all pushes and pulls.
#[derive(Debug, Clone)]
pub struct ConicDerivative {
    solution: Arc<ConicSolution>,
    pieces: Vec<Result<Piece>>,
}

/// The derivative of one item: a weighted sum over factored systems.
#[derive(Debug, Clone)]
struct Piece {
    /// x and z, where they are not the solution's.
    point: Option<[Vec<f64>; 2]>,
    systems: Vec<(f64, Arc<System>)>,
}

impl ConicDerivative {
    /// The solutions that this is the derivative at.
    pub fn solution(&self) -> &ConicSolution {
        &self.solution
    }

    /// Why an item has no derivative; `None` if it has one.
    pub fn refusal(&self, item: usize) -> Option<&Error> {
        self.pieces.get(item).and_then(|s| s.as_ref().err())
    }

    /// The forward chain rule. An empty slice is a zero direction; a slice of one item's length is shared.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::NotDifferentiable`] where no direction of the solution belongs to this one of the data.
    pub fn push(&self, direction: &ConicData<'_>) -> Result<ConicTangent> {
        let problem = self.solution.problem();
        let strides = direction.strides(problem, self.solution.batch(), true)?;
        let one = |item: usize| {
            let d = direction.item(problem.lengths(), strides, item);
            if let Err(error) = &self.pieces[item] {
                let nothing = [d.p, d.q, d.a, d.b].into_iter().all(zero);
                let (n, m) = problem.sizes();
                return if nothing { Ok([vec![0.0; n], vec![0.0; m]]) } else { Err(error.clone()) };
            }
            let (x, z) = self.point(item);
            let mut room = Default::default();
            let d = self.solution.direction(item, &d, &mut room);
            let (r1, r2) = self.solution.right_hand_sides_at(x, z, &d);
            let (dx, dz) = self.solve(item, &r1, &r2)?;
            Ok(self.solution.tangent(item, [dx, dz]))
        };
        let mut out = ConicTangent::default();
        let parts: Vec<Result<_>> = (0..self.solution.batch()).into_par_iter().map(one).collect();
        for part in parts {
            let [dx, dz] = part?;
            out.x.extend(dx);
            out.z.extend(dz);
        }
        Ok(out)
    }

    /// The backward chain rule: cotangents of P, q, A, b that are marked in `wrt`, empty for the others; those marked in `shared` are
    /// summed over the batch.
    ///
    /// # Errors
    /// As of [`ConicDerivative::push`]. Empty slices of `cotangent` are zero.
    pub fn pull(
        &self,
        cotangent: &ConicTangent,
        wrt: [bool; 4],
        shared: [bool; 4],
    ) -> Result<[Vec<f64>; 4]> {
        let problem = self.solution.problem();
        let (batch, (n, m)) = (self.solution.batch(), problem.sizes());
        for (argument, slice, one) in
            [("the cotangent of x", &cotangent.x, n), ("the cotangent of z", &cotangent.z, m)]
        {
            if !slice.is_empty() && slice.len() != one * batch {
                let (node, got) = (problem.name.clone(), slice.len());
                return Err(Error::Length { node, argument, one, batch, got });
            }
        }
        let one = |item: usize| -> Result<[Vec<f64>; 4]> {
            let part = |slice: &[f64], one: usize| {
                if slice.is_empty() {
                    vec![0.0; one]
                } else {
                    slice[item * one..(item + 1) * one].to_vec()
                }
            };
            // The transpose of what turns directions of the solution into the user's units is the same diagonal matrix.
            let cotangents = [part(&cotangent.x, n), part(&cotangent.z, m)];
            if let Err(error) = &self.pieces[item] {
                let nothing = cotangents.iter().all(|c| zero(c));
                let lengths = problem.lengths();
                let zeros = |k: usize| vec![0.0; if wrt[k] { lengths[k] } else { 0 }];
                return if nothing { Ok([0, 1, 2, 3].map(zeros)) } else { Err(error.clone()) };
            }
            let [to_x, to_z] = self.solution.tangent(item, cotangents);
            let (u, up) = self.solve(item, &to_x, &to_z)?;
            let (x, z) = self.point(item);
            let mut out: [Vec<f64>; 4] = Default::default();
            if wrt[0] {
                let entry = |(i, j): (usize, usize)| {
                    if i == j { -u[i] * x[i] } else { -(u[i] * x[j] + x[i] * u[j]) }
                };
                out[0] = problem.p.entries().map(entry).collect();
            }
            if wrt[2] {
                let entry = |(i, j): (usize, usize)| -(z[i] * u[j] + up[i] * x[j]);
                out[2] = problem.a.entries().map(entry).collect();
            }
            if wrt[1] {
                out[1] = u.iter().map(|u| -u).collect();
            }
            if wrt[3] {
                out[3] = up;
            }
            if let Some(scale) = self.solution.scale(item) {
                let [p, q, a, b] = &out;
                out = scale.data(problem, &ConicData { p, q, a, b });
            }
            Ok(out)
        };
        let parts: Vec<Result<_>> = (0..batch).into_par_iter().map(one).collect();
        let mut out: [Vec<f64>; 4] = Default::default();
        for part in parts {
            for (k, part) in part?.into_iter().enumerate() {
                if shared[k] && !out[k].is_empty() {
                    out[k].iter_mut().zip(part).for_each(|(out, x)| *out += x);
                } else {
                    out[k].extend(part);
                }
            }
        }
        Ok(out)
    }

    /// (x, z) of an item that has a derivative, in its units.
    fn point(&self, item: usize) -> (&[f64], &[f64]) {
        match &self.pieces[item] {
            Ok(Piece { point: Some([x, z]), .. }) => (x, z),
            _ => (&self.solution.inner(item).x, &self.solution.inner(item).z),
        }
    }

    fn solve(&self, item: usize, r1: &[f64], r2: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
        let systems = &self.pieces[item].as_ref().map_err(Error::clone)?.systems;
        let (mut dx, mut dz) = (vec![0.0; r1.len()], vec![0.0; r2.len()]);
        for (weight, system) in systems {
            let (x, z, error) = system.solve(r1, r2);
            if error.is_nan() || UNSOLVABLE.max(SINGULAR) < error {
                return Err(self.solution.unsolvable(item, error));
            }
            dx.iter_mut().zip(&x).for_each(|(d, x)| *d += weight * x);
            dz.iter_mut().zip(&z).for_each(|(d, z)| *d += weight * z);
        }
        Ok((dx, dz))
    }
}

fn zero(v: &[f64]) -> bool {
    v.iter().all(|v| *v == 0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step is a failed test
mod tests {
    use super::*;
    use crate::Status;
    use crate::conic::{Cone, Conic, Pattern};

    #[test]
    fn an_item_without_numbers_spoils_no_gradient() {
        // min ½x² + qx s.t. x ≤ 2, the second item where a solver ended without numbers.
        let one = || Pattern::full(1, 1);
        let conic = Conic::new(one(), one(), vec![Cone::NonNegative(1)]).unwrap();
        let data = ConicData { p: &[1.0], q: &[-1.0, -1.0], a: &[1.0], b: &[2.0] };
        let mut solution = conic.solve(2, &data).unwrap();
        let lost = &mut solution.items[1];
        (lost.x[0], lost.z[0], lost.v[0]) = (f64::NAN, f64::NAN, f64::NAN);
        lost.status = Status::NotConverged { iterations: 1, residual: f64::NAN };
        let derivative = Arc::new(solution).derivative(&Degenerate::Average).unwrap();
        let cotangent = ConicTangent { x: vec![1.0, 0.0], z: vec![] };
        for shared in [[true, false, true, true], [false; 4]] {
            let pulled = derivative.pull(&cotangent, [true; 4], shared).unwrap();
            for (gradient, shared) in pulled.iter().zip(shared) {
                assert_eq!(gradient.len(), if shared { 1 } else { 2 });
                assert!(gradient.iter().all(|x| x.is_finite()), "{pulled:?}");
                assert!(gradient.get(1).is_none_or(|x| *x == 0.0), "{pulled:?}");
            }
            assert!((pulled[0][0] + 1.0).abs() < 1e-10, "{pulled:?}");
            assert!((pulled[1][0] + 1.0).abs() < 1e-10, "{pulled:?}");
        }
        let along = ConicData { p: &[1.0, 0.0], ..ConicData::default() };
        let pushed = derivative.push(&along).unwrap();
        assert!((pushed.x[0] + 1.0).abs() < 1e-10 && pushed.x[1] == 0.0, "{pushed:?}");
        for along in [&[0.0, 1.0], &[1.0, 1.0]] {
            let moved = derivative.push(&ConicData { q: along, ..ConicData::default() });
            assert!(matches!(moved, Err(Error::NotSolved { item: 1, .. })), "{moved:?}");
        }
    }
}
