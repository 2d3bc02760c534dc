//! Solutions of conic programs, and what is near a kink in them.

use std::sync::Arc;

use super::cone::Jacobian;
use super::problem::{Conic, ConicData};
use super::scale::Scale;
use super::system::System;
use crate::{Error, Result, Status};

/// Above this relative residual a linear system counts as unsolvable.
pub(super) const UNSOLVABLE: f64 = 1e-6;

/// One item, in the units in which it is solved and differentiated.
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
    /// Did Newton's steps add digits, so that the point is known as well as its residual says?
    pub(super) newton: bool,
    /// In the user's units.
    pub(super) proof: Vec<f64>,
    /// `None` where all of this is in the user's units.
    pub(super) units: Option<Box<Units>>,
}

/// An item's units, and what it is in the user's.
#[derive(Debug, Clone)]
pub(super) struct Units {
    pub(super) scale: Scale,
    /// P̂, q̂, Â, b̂.
    pub(super) data: [Vec<f64>; 4],
    pub(super) x: Vec<f64>,
    pub(super) z: Vec<f64>,
    pub(super) s: Vec<f64>,
    pub(super) residual: f64,
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
            newton: false,
            proof: Vec::new(),
            units: None,
        }
    }

    /// Its point in the units of a scale; `None`: in the user's.
    pub(super) fn point_in(&self, scale: Option<&Scale>) -> Self {
        let [x, z, s] = match &self.units {
            Some(units) => [&units.x, &units.z, &units.s],
            None => [&self.x, &self.z, &self.s],
        };
        let [x, z, s] = match scale {
            Some(scale) => scale.inverse([x, z, s]),
            None => [x, z, s].map(Vec::clone),
        };
        let v = z.iter().zip(&s).map(|(z, s)| z - s).collect();
        ConicItem { x, z, s, v, units: None, proof: Vec::new(), ..self.clone() }
    }

    /// An item that was solved in the units of a scale, with its point in the user's.
    pub(super) fn in_units(self, scale: Scale, data: [Vec<f64>; 4]) -> Self {
        let (x, z, s) = (scale.x(&self.x), scale.z(&self.z), scale.s(&self.s));
        // A proof is a direction: its largest number is 1.
        let mut proof = match self.status {
            Status::DualInfeasible => scale.x(&self.proof),
            _ => scale.z(&self.proof),
        };
        let most = proof.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        proof.iter_mut().for_each(|x| *x /= most);
        let residual = self.residual;
        let units = Some(Box::new(Units { scale, data, x, z, s, residual }));
        ConicItem { units, proof, ..self }
    }
}

/// The solutions of a batch of conic programs.
#[derive(Debug, Clone)]
pub struct ConicSolution {
    pub(super) problem: Conic,
    pub(super) items: Vec<ConicItem>,
    /// P, q, A, b.
    data: [Vec<f64>; 4],
    strides: [usize; 4],
}

/// What one factorization tells about the derivative of one conic solution; [`ConicSolution::certificate`] tells all.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ConicEstimate {
    /// Distance of v = z − s from the nearest kink of the projection onto K*, of inequalities row by row, of other cones relative to 1 + ‖v‖: 0 where
    /// strict complementarity fails; ∞ without inequalities.
    pub margin: f64,
    /// Is v on such a kink, to the setting `weak`?
    pub weakly_active: bool,
    /// Relative residual of the linear system for right-hand sides without structure: near rounding where the solution and its multipliers move in one way
    /// only.
    pub consistency: f64,
    /// Estimated relative error of the derivative: the residual of the optimality conditions times the largest response to those
    /// right-hand sides.
    pub gradient_error: f64,
}

impl ConicEstimate {
    /// Are x and z differentiable, as far as this tells?
    pub fn is_differentiable(&self) -> bool {
        !self.weakly_active && self.consistency < UNSOLVABLE
    }
}

impl ConicSolution {
    pub(super) fn new(
        problem: Conic,
        items: Vec<ConicItem>,
        data: &ConicData<'_>,
        strides: [usize; 4],
    ) -> Self {
        let data = [data.p, data.q, data.a, data.b].map(<[f64]>::to_vec);
        ConicSolution { problem, items, data, strides }
    }

    /// The number of items.
    pub fn batch(&self) -> usize {
        self.items.len()
    }

    /// x* of an item; without meaning unless it is solved. Panics for an item outside of the batch, as do all that take one and give no
    /// `Result`.
    pub fn x(&self, item: usize) -> &[f64] {
        self.items[item].units.as_ref().map_or(&self.items[item].x, |u| &u.x)
    }

    /// z ∈ K* of an item.
    pub fn multipliers(&self, item: usize) -> &[f64] {
        self.items[item].units.as_ref().map_or(&self.items[item].z, |u| &u.z)
    }

    /// s = b − Ax ∈ K of an item.
    pub fn slacks(&self, item: usize) -> &[f64] {
        self.items[item].units.as_ref().map_or(&self.items[item].s, |u| &u.s)
    }

    /// How an item ended.
    pub fn status(&self, item: usize) -> &Status {
        &self.items[item].status
    }

    /// Does an item have a solution?
    pub fn is_solved(&self, item: usize) -> bool {
        self.items[item].status.is_solved()
    }

    /// The largest of an item's relative residuals, as we measured them: in the user's units, and in those in which it was solved.
    pub fn residual(&self, item: usize) -> f64 {
        let ConicItem { residual, units, .. } = &self.items[item];
        units.as_ref().map_or(*residual, |u| residual.max(u.residual))
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

    /// An item in the units in which it is solved and differentiated, as are the data, the systems and the directions below.
    pub(super) fn inner(&self, item: usize) -> &ConicItem {
        &self.items[item]
    }

    pub(super) fn scale(&self, item: usize) -> Option<&Scale> {
        self.items[item].units.as_ref().map(|u| &u.scale)
    }

    /// A direction of the data in an item's units, kept in `room` where they are not the user's.
    pub(super) fn direction<'a>(
        &self,
        item: usize,
        d: &ConicData<'a>,
        room: &'a mut [Vec<f64>; 4],
    ) -> ConicData<'a> {
        let Some(scale) = self.scale(item) else { return *d };
        *room = scale.data(&self.problem, d);
        let [p, q, a, b] = &*room;
        ConicData { p, q, a, b }
    }

    /// A direction of the solution in the user's units.
    pub(super) fn tangent(&self, item: usize, [dx, dz]: [Vec<f64>; 2]) -> [Vec<f64>; 2] {
        match self.scale(item) {
            Some(scale) => [scale.x(&dx), scale.z(&dz)],
            None => [dx, dz],
        }
    }

    /// The data of an item.
    pub(super) fn data(&self, item: usize) -> ConicData<'_> {
        if let Some(units) = &self.items[item].units {
            let [p, q, a, b] = &units.data;
            return ConicData { p, q, a, b };
        }
        let [p, q, a, b] = &self.data;
        ConicData { p, q, a, b }.item(self.problem.lengths(), self.strides, item)
    }

    /// The entries of P and of A.
    pub(super) fn values(&self, item: usize) -> (&[f64], &[f64]) {
        let d = self.data(item);
        (d.p, d.a)
    }

    /// v = z − s of an item.
    pub(super) fn normal(&self, item: usize) -> &[f64] {
        &self.items[item].v
    }

    pub(super) fn ensure_solved(&self, item: usize) -> Result<()> {
        if self.batch() <= item {
            let what = format!("item {item} of a batch of {}", self.batch());
            return Err(Error::invalid(&self.problem.name, what));
        }
        let status = self.status(item);
        if status.is_solved() {
            return Ok(());
        }
        Err(Error::NotSolved { node: self.problem.name.clone(), item, status: status.clone() })
    }

    /// Which cones have v on a kink, and how near the nearest one is.
    pub(super) fn kinks(&self, item: usize) -> (Vec<usize>, f64) {
        let v = &self.items[item].v;
        let (mut out, mut least) = (Vec::new(), f64::INFINITY);
        for (k, (cone, rows)) in self.problem.blocks().enumerate() {
            let v = &v[rows];
            let margin = cone.margin(v) / cone.size(v);
            if margin <= self.weak(item) {
                out.push(k);
            }
            least = least.min(margin);
        }
        (out, least)
    }

    /// The setting, or more where the solution is known less exactly.
    pub(super) fn weak(&self, item: usize) -> f64 {
        let ConicItem { residual, newton, .. } = self.items[item];
        // An interior point ends with slack times multiplier at its residual; Newton's steps do not.
        let floor = if newton || residual < 1e-12 { 0.0 } else { 10.0 * residual.sqrt() };
        self.problem.settings.weak.max(floor.min(1e-3))
    }

    pub(super) fn system(&self, item: usize, up: bool) -> Result<Arc<System>> {
        let v = &self.items[item].v;
        let jacobians: Vec<Jacobian> = self
            .problem
            .blocks()
            .map(|(cone, rows)| {
                let v = &v[rows];
                cone.jacobian(v, self.weak(item) * cone.size(v), up)
            })
            .collect();
        self.factored(item, &jacobians)
    }

    /// The system with these derivatives of the projections.
    pub(super) fn factored(&self, item: usize, jacobians: &[Jacobian]) -> Result<Arc<System>> {
        let (p, a) = self.values(item);
        System::new(&self.problem, p, a, jacobians).map(Arc::new).ok_or_else(|| {
            let why =
                "the factorization of the optimality conditions' linear system broke down".into();
            Error::NotDifferentiable { node: self.problem.name.clone(), item, why }
        })
    }

    /// What one factorization tells about the derivative of an item's solution.
    ///
    /// # Errors
    /// [`Error::NotSolved`]; [`Error::Invalid`] for an item outside of the batch.
    pub fn estimate(&self, item: usize) -> Result<ConicEstimate> {
        self.ensure_solved(item)?;
        Ok(self.estimate_of(item))
    }

    /// A system's largest answer to right-hand sides without structure, 1 at least, and the relative residual that is left.
    pub(super) fn probe(&self, system: &System) -> (f64, f64) {
        let (n, m) = self.problem.sizes();
        let noise = |k: usize, shift: f64| -> Vec<f64> {
            (0..k).map(|i| (2.399_963 * i as f64 + shift).sin()).collect()
        };
        let (dx, dz, consistency) = system.solve(&noise(n, 1.0), &noise(m, 2.0));
        (dx.iter().chain(&dz).fold(1.0f64, |a, x| a.max(x.abs())), consistency)
    }

    pub(super) fn estimate_of(&self, item: usize) -> ConicEstimate {
        let (weakly_active, margin) = self.kinks(item);
        let (response, consistency) =
            self.system(item, true).map_or((1.0, f64::INFINITY), |s| self.probe(&s));
        let gradient_error = if consistency < UNSOLVABLE {
            self.items[item].residual.max(f64::EPSILON) * response
        } else {
            f64::INFINITY
        };
        let weakly_active = !weakly_active.is_empty();
        ConicEstimate { margin, weakly_active, consistency, gradient_error }
    }
}
