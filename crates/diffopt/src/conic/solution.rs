//! Solutions of conic programs, and their derivatives.

use std::sync::Arc;

use rayon::prelude::*;

use super::cone::Jacobian;
use super::problem::{Conic, ConicData};
use super::system::System;
use crate::degenerate::{Degenerate, SINGULAR};
use crate::{Error, Result, Status};

/// Above this relative residual a linear system counts as unsolvable.
const UNSOLVABLE: f64 = 1e-6;

/// One item.
#[derive(Debug, Clone)]
pub(super) struct ConicItem {
    pub(super) x: Vec<f64>,
    pub(super) z: Vec<f64>,
    pub(super) s: Vec<f64>,
    /// z − s
    pub(super) v: Vec<f64>,
    pub(super) status: Status,
    pub(super) residual: f64,
    pub(super) iterations: usize,
    pub(super) proof: Vec<f64>,
}

impl ConicItem {
    pub(super) fn failed(n: usize, m: usize, status: Status) -> Self {
        ConicItem {
            x: vec![0.0; n],
            z: vec![0.0; m],
            s: vec![0.0; m],
            v: vec![0.0; m],
            status,
            residual: f64::INFINITY,
            iterations: 0,
            proof: Vec::new(),
        }
    }
}

/// The solutions of a batch of conic programs.
#[derive(Debug, Clone)]
pub struct ConicSolution {
    problem: Conic,
    items: Vec<ConicItem>,
    p: Vec<f64>,
    a: Vec<f64>,
    strides: [usize; 4],
}

/// What is known about the derivative of one conic solution.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConicCertificate {
    /// Relative distance of v = z − s from the nearest kink of the projection onto K*: 0 where strict complementarity fails; ∞ without
    /// inequalities.
    pub margin: f64,
    /// The cones, by their number, with such a kink.
    pub weakly_active: Vec<usize>,
    /// Relative residual of the linear system for right-hand sides without structure: near rounding where the solution and its multipliers move in one way
    /// only.
    pub consistency: f64,
    /// Estimated relative error of the derivative: the residual of the optimality conditions times the largest response to those
    /// right-hand sides.
    pub gradient_error: f64,
}

impl ConicCertificate {
    /// Are x and z differentiable?
    pub fn is_differentiable(&self) -> bool {
        self.weakly_active.is_empty() && self.consistency < UNSOLVABLE
    }
}

impl ConicSolution {
    pub(super) fn new(
        problem: Conic,
        items: Vec<ConicItem>,
        data: &ConicData<'_>,
        strides: [usize; 4],
    ) -> Self {
        ConicSolution { problem, items, p: data.p.to_vec(), a: data.a.to_vec(), strides }
    }

    /// The number of items.
    pub fn batch(&self) -> usize {
        self.items.len()
    }

    /// x* of an item; without meaning unless it is solved.
    pub fn x(&self, item: usize) -> &[f64] {
        &self.items[item].x
    }

    /// z ∈ K* of an item.
    pub fn multipliers(&self, item: usize) -> &[f64] {
        &self.items[item].z
    }

    /// s = b − Ax ∈ K of an item.
    pub fn slacks(&self, item: usize) -> &[f64] {
        &self.items[item].s
    }

    /// How an item ended.
    pub fn status(&self, item: usize) -> &Status {
        &self.items[item].status
    }

    /// Does an item have a solution?
    pub fn is_solved(&self, item: usize) -> bool {
        self.items[item].status.is_solved()
    }

    /// The largest of an item's relative residuals, as we measured them.
    pub fn residual(&self, item: usize) -> f64 {
        self.items[item].residual
    }

    /// Iterations of the solver.
    pub fn iterations(&self, item: usize) -> usize {
        self.items[item].iterations
    }

    /// The verified proof that an item has no solution: for [`Status::PrimalInfeasible`] a z ∈ K* with Aᵀz = 0 and bᵀz < 0, for
    /// [`Status::DualInfeasible`] a direction d with Pd = 0, −Ad ∈ K and qᵀd < 0.
    pub fn proof(&self, item: usize) -> Option<&[f64]> {
        Some(self.items[item].proof.as_slice()).filter(|p| !p.is_empty())
    }

    pub(super) fn problem(&self) -> &Conic {
        &self.problem
    }

    fn values(&self, item: usize) -> (&[f64], &[f64]) {
        let [p, _, a, _] = self.problem.lengths();
        let (at_p, at_a) = (item * self.strides[0], item * self.strides[2]);
        (&self.p[at_p..at_p + p], &self.a[at_a..at_a + a])
    }

    fn ensure_solved(&self, item: usize) -> Result<()> {
        let status = self.status(item);
        if status.is_solved() {
            return Ok(());
        }
        Err(Error::NotSolved { node: self.problem.name.clone(), item, status: status.clone() })
    }

    /// Which cones have v on a kink, and how near the nearest one is.
    fn kinks(&self, item: usize) -> (Vec<usize>, f64) {
        let v = &self.items[item].v;
        let (mut out, mut least) = (Vec::new(), f64::INFINITY);
        for (k, (cone, rows)) in self.problem.blocks().enumerate() {
            let margin = cone.margin(&v[rows.clone()]) / (1.0 + super::cone::norm(&v[rows]));
            if margin <= self.weak(item) {
                out.push(k);
            }
            least = least.min(margin);
        }
        (out, least)
    }

    /// The setting, or more where the solution is known less exactly.
    fn weak(&self, item: usize) -> f64 {
        let residual = self.items[item].residual;
        let floor = if residual < 1e-12 { 0.0 } else { 10.0 * residual.sqrt() };
        self.problem.settings.weak.max(floor.min(1e-3))
    }

    fn system(&self, item: usize, up: bool) -> Result<Arc<System>> {
        let v = &self.items[item].v;
        let (p, a) = self.values(item);
        let jacobians: Vec<Jacobian> = self
            .problem
            .blocks()
            .map(|(cone, rows)| {
                let kink = self.weak(item) * (1.0 + super::cone::norm(&v[rows.clone()]));
                cone.jacobian(&v[rows], kink, up)
            })
            .collect();
        System::new(&self.problem, p, a, &jacobians).map(Arc::new).ok_or_else(|| {
            let why =
                "the factorization of the optimality conditions' linear system broke down".into();
            Error::NotDifferentiable { node: self.problem.name.clone(), item, why }
        })
    }

    /// What is known about the derivative of an item's solution; costs one factorization.
    ///
    /// # Errors
    /// [`Error::NotSolved`].
    pub fn certificate(&self, item: usize) -> Result<ConicCertificate> {
        self.ensure_solved(item)?;
        let (weakly_active, margin) = self.kinks(item);
        let (n, m) = self.problem.sizes();
        let noise = |k: usize, shift: f64| -> Vec<f64> {
            (0..k).map(|i| (2.399_963 * i as f64 + shift).sin()).collect()
        };
        let (dx, dz, consistency) = match self.system(item, true) {
            Ok(system) => system.solve(&noise(n, 1.0), &noise(m, 2.0)),
            Err(_) => (vec![], vec![], f64::INFINITY),
        };
        let response = dx.iter().chain(&dz).fold(1.0f64, |a, x| a.max(x.abs()));
        let gradient_error = if consistency < UNSOLVABLE {
            self.residual(item).max(f64::EPSILON) * response
        } else {
            f64::INFINITY
        };
        Ok(ConicCertificate { margin, weakly_active, consistency, gradient_error })
    }

    /// The derivative of all solutions. Items that have none do not hinder the others: a direction or a cotangent that is not 0 there is
    /// the error of that item.
    ///
    /// At kinks [`Degenerate::Active`] takes the side on which multipliers move and slacks stay 0, [`Degenerate::Inactive`] the other,
    /// [`Degenerate::Average`] the mean.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the other policies, which are not offered for cones.
    pub fn derivative(self: &Arc<Self>, policy: &Degenerate) -> Result<ConicDerivative> {
        let share = match policy {
            Degenerate::Refuse => f64::NAN,
            Degenerate::Active => 1.0,
            Degenerate::Inactive => 0.0,
            Degenerate::Average => 0.5,
            other => {
                let what = format!("the policy {other:?} is not offered for conic programs");
                return Err(Error::invalid(&self.problem.name, what));
            }
        };
        let one = |item: usize| -> Result<Vec<(f64, Arc<System>)>> {
            self.ensure_solved(item)?;
            let (weak, margin) = self.kinks(item);
            if weak.is_empty() {
                return Ok(vec![(1.0, self.system(item, true)?)]);
            }
            if share.is_nan() {
                let why =
                    format!("the cones {weak:?} are weakly active (relative margin {margin:e})");
                return Err(Error::NotDifferentiable {
                    node: self.problem.name.clone(),
                    item,
                    why,
                });
            }
            let mut out = Vec::new();
            if share > 0.0 {
                out.push((share, self.system(item, true)?));
            }
            if share < 1.0 {
                out.push((1.0 - share, self.system(item, false)?));
            }
            Ok(out)
        };
        let systems = (0..self.batch()).into_par_iter().map(one).collect();
        Ok(ConicDerivative { solution: self.clone(), systems })
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
    systems: Vec<Result<Vec<(f64, Arc<System>)>>>,
}

impl ConicDerivative {
    /// The solutions that this is the derivative at.
    pub fn solution(&self) -> &ConicSolution {
        &self.solution
    }

    /// Why an item has no derivative; `None` if it has one.
    pub fn refusal(&self, item: usize) -> Option<&Error> {
        self.systems.get(item).and_then(|s| s.as_ref().err())
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
            let (n, m) = problem.sizes();
            let at = &self.solution.items[item];
            let (mut r1, mut r2) = (vec![0.0; n], vec![0.0; m]);
            if !d.p.is_empty() {
                problem.p.add_symmetric(d.p, &at.x, &mut r1);
            }
            if !d.a.is_empty() {
                problem.a.add_transposed(d.a, &at.z, &mut r1);
                problem.a.add_product(d.a, &at.x, &mut r2);
            }
            for (j, r) in r1.iter_mut().enumerate() {
                *r = -*r - d.q.get(j).copied().unwrap_or(0.0);
            }
            for (i, r) in r2.iter_mut().enumerate() {
                *r = d.b.get(i).copied().unwrap_or(0.0) - *r;
            }
            self.solve(item, &r1, &r2)
        };
        let mut out = ConicTangent::default();
        let parts: Vec<Result<_>> = (0..self.solution.batch()).into_par_iter().map(one).collect();
        for part in parts {
            let (dx, dz) = part?;
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
            let (u, up) = self.solve(item, &part(&cotangent.x, n), &part(&cotangent.z, m))?;
            let at = &self.solution.items[item];
            let mut out: [Vec<f64>; 4] = Default::default();
            if wrt[0] {
                let entry = |(i, j): (usize, usize)| {
                    if i == j { -u[i] * at.x[i] } else { -(u[i] * at.x[j] + at.x[i] * u[j]) }
                };
                out[0] = problem.p.entries().map(entry).collect();
            }
            if wrt[2] {
                let entry = |(i, j): (usize, usize)| -(at.z[i] * u[j] + up[i] * at.x[j]);
                out[2] = problem.a.entries().map(entry).collect();
            }
            if wrt[1] {
                out[1] = u.iter().map(|u| -u).collect();
            }
            if wrt[3] {
                out[3] = up;
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

    fn solve(&self, item: usize, r1: &[f64], r2: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
        let systems = match &self.systems[item] {
            Ok(systems) => systems,
            Err(error) => {
                if r1.iter().chain(r2).all(|x| *x == 0.0) {
                    return Ok((vec![0.0; r1.len()], vec![0.0; r2.len()]));
                }
                return Err(error.clone());
            }
        };
        let (mut dx, mut dz) = (vec![0.0; r1.len()], vec![0.0; r2.len()]);
        for (weight, system) in systems {
            let (x, z, error) = system.solve(r1, r2);
            if error.is_nan() || UNSOLVABLE.max(SINGULAR) < error {
                let why = format!(
                    "the optimality conditions' linear system leaves a relative residual of {error:e}: the solution or its \
                     multipliers are not unique"
                );
                let node = self.solution.problem().name.clone();
                return Err(Error::NotDifferentiable { node, item, why });
            }
            dx.iter_mut().zip(&x).for_each(|(d, x)| *d += weight * x);
            dz.iter_mut().zip(&z).for_each(|(d, z)| *d += weight * z);
        }
        Ok((dx, dz))
    }
}
