//! Solving: clarabel's interior point (our operator splitting where there are semidefinite cones), Newton steps on the optimality
//! conditions, and the verification of whatever was claimed.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, SolverStatus, SupportedConeT};
use rayon::prelude::*;

use super::cone::{Cone, norm};
use super::problem::{Conic, ConicData};
use super::solution::{ConicItem, ConicSolution};
use super::splitting::split;
use super::system::System;
use crate::{Error, Result, Status};

/// The interior point's tolerance where Newton's steps are to do the rest.
const HOPEFUL: f64 = 1e-7;

/// A proof's defect times this must stay below what it proves.
const SURE: f64 = 1e8;

/// What a solver hands over.
pub(super) struct Candidate {
    pub(super) x: Vec<f64>,
    pub(super) z: Vec<f64>,
    pub(super) s: Vec<f64>,
    pub(super) claim: Claim,
    pub(super) iterations: usize,
}

/// Ways to a candidate.
#[derive(Debug, Clone, Copy)]
enum Method {
    /// `strict`: claims of infeasibility are made late.
    InteriorPoint {
        tolerance: f64,
        strict: bool,
        /// The residual, after Newton's steps, that ends the search.
        enough: f64,
    },
    Splitting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Solution,
    /// z proves that there is no feasible point.
    Infeasible,
    /// x is a direction along which the objective falls without bound.
    Unbounded,
}

impl Conic {
    /// Solves a batch, items over threads.
    ///
    /// # Errors
    /// [`crate::Error::Length`]; [`crate::Error::Invalid`] for settings outside their domain. What is wrong with one item's numbers is
    /// its [`Status`].
    pub fn solve(&self, batch: usize, data: &ConicData<'_>) -> Result<ConicSolution> {
        self.run(batch, data, None)
    }

    /// Solves a batch, starting from another solution of the same program: Newton steps from its point. Where they do not end at a
    /// solution, and where there was none, the item starts cold.
    ///
    /// # Errors
    /// As of [`Conic::solve`]; [`crate::Error::Invalid`] if the start is of another batch or of other sizes.
    pub fn solve_from(
        &self,
        start: &ConicSolution,
        batch: usize,
        data: &ConicData<'_>,
    ) -> Result<ConicSolution> {
        let sizes = start.problem().sizes();
        if start.batch() != batch || sizes != self.sizes() {
            let what = format!(
                "a start of sizes {sizes:?} and batch {}, for sizes {:?} and batch {batch}",
                start.batch(),
                self.sizes()
            );
            return Err(Error::invalid(&self.name, what));
        }
        self.run(batch, data, Some(start))
    }

    fn run(
        &self,
        batch: usize,
        data: &ConicData<'_>,
        start: Option<&ConicSolution>,
    ) -> Result<ConicSolution> {
        self.check()?;
        let strides = data.strides(self, batch, false)?;
        let one = |i: usize| {
            let d = data.item(self.lengths(), strides, i);
            self.in_good_units(&d, start.map(|s| &s.items[i]))
        };
        let items = if batch < 2 || rayon::current_num_threads() == 1 {
            (0..batch).map(one).collect()
        } else {
            (0..batch).into_par_iter().map(one).collect()
        };
        Ok(ConicSolution::new(self.clone(), items, data, strides))
    }

    /// One item, in the units of its data.
    pub(super) fn item(&self, d: &ConicData<'_>) -> ConicItem {
        let (n, m) = self.sizes();
        if let Some((argument, index, value)) = d.first_not_finite() {
            return ConicItem::failed(n, m, Status::NotFinite { argument, index, value });
        }
        let semidefinite = self.cones.iter().any(|c| matches!(c, Cone::Semidefinite(_)));
        let mut best: Option<ConicItem> = None;
        let curved = self.cones.iter().any(|c| !matches!(c, Cone::Zero(_) | Cone::NonNegative(_)));
        // Where cones are curved coarse and hopeful first, for Newton's steps do the rest (of many flat rows some are too near to being active);
        // as sharp as it gets. A claim that does not
        // hold is a reason to look again: without early conclusions, then by another method.
        let tolerance = (0.1 * self.settings.tolerance).clamp(1e-12, 1e-9);
        let interior = |tolerance, strict, enough| {
            (!semidefinite).then_some(Method::InteriorPoint { tolerance, strict, enough })
        };
        let most = f64::INFINITY;
        let hopeful = interior(HOPEFUL, false, self.settings.tolerance.min(1e-10));
        let methods = [
            hopeful.filter(|_| 0 < self.settings.polish && curved),
            interior(tolerance, false, most),
            interior(tolerance, true, most),
            Some(Method::Splitting),
        ];
        let run = |method| match method {
            Method::Splitting => (split(self, d), most),
            Method::InteriorPoint { tolerance, strict, enough } => {
                (self.clarabel(d, tolerance, strict), enough)
            }
        };
        let mut methods = methods.into_iter().flatten();
        // The first interior point does not wait until P is known to be convex; a splitting, which would go on for long, does.
        let (curvature, first) = if semidefinite {
            (self.not_convex(d), None)
        } else {
            let first = methods.next();
            rayon::join(|| self.not_convex(d), || first.map(run))
        };
        if let Some(eigenvalue) = curvature {
            return ConicItem::failed(n, m, Status::NonConvex { eigenvalue });
        }
        for (candidate, enough) in first.into_iter().chain(methods.map(run)) {
            let Some(candidate) = candidate else { continue };
            let item = self.judge(d, candidate);
            let done = match item.status {
                Status::NotConverged { .. } => false,
                Status::Solved => item.residual <= enough,
                _ => true,
            };
            if done || best.as_ref().is_none_or(|b| item.residual < b.residual) {
                best = Some(item);
            }
            if done {
                break;
            }
        }
        best.unwrap_or_else(|| {
            let status = Status::NotConverged { iterations: 0, residual: f64::INFINITY };
            ConicItem::failed(n, m, status)
        })
    }

    fn judge(&self, d: &ConicData<'_>, c: Candidate) -> ConicItem {
        let proof = match c.claim {
            Claim::Infeasible => {
                self.verified_infeasible(d, &c.z).map(|z| (Status::PrimalInfeasible, z))
            }
            Claim::Unbounded => {
                self.verified_unbounded(d, &c.x).map(|x| (Status::DualInfeasible, x))
            }
            Claim::Solution => None,
        };
        if let Some((status, proof)) = proof {
            let (n, m) = self.sizes();
            return ConicItem {
                iterations: c.iterations,
                proof,
                ..ConicItem::failed(n, m, status)
            };
        }
        let mut item = ConicItem {
            v: c.z.iter().zip(&c.s).map(|(z, s)| z - s).collect(),
            x: c.x,
            z: c.z,
            s: c.s,
            status: Status::Solved,
            residual: f64::INFINITY,
            iterations: c.iterations,
            newton: false,
            proof: Vec::new(),
            units: None,
        };
        item.residual = self.residual(d, &item);
        self.polish(d, &mut item);
        if item.residual.is_nan() || self.settings.tolerance < item.residual {
            item.status =
                Status::NotConverged { iterations: item.iterations, residual: item.residual };
        }
        item
    }

    /// The largest of the relative residuals: dual, primal, gap, cones.
    pub(super) fn residual(&self, d: &ConicData<'_>, item: &ConicItem) -> f64 {
        let (n, m) = self.sizes();
        let largest =
            |v: &[f64]| v.iter().fold(0.0f64, |a, x| if x.is_nan() { *x } else { a.max(x.abs()) });
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (mut px, mut atz, mut ax) = (vec![0.0; n], vec![0.0; n], vec![0.0; m]);
        self.p.add_symmetric(d.p, &item.x, &mut px);
        self.a.add_transposed(d.a, &item.z, &mut atz);
        self.a.add_product(d.a, &item.x, &mut ax);
        let dual: Vec<f64> = (0..n).map(|j| px[j] + d.q[j] + atz[j]).collect();
        let primal: Vec<f64> = (0..m).map(|i| ax[i] + item.s[i] - d.b[i]).collect();
        let (xpx, qx, bz) = (dot(&px, &item.x), dot(d.q, &item.x), dot(d.b, &item.z));
        let dual = largest(&dual) / (1.0 + largest(&px).max(largest(d.q)).max(largest(&atz)));
        let primal =
            largest(&primal) / (1.0 + largest(&ax).max(largest(&item.s)).max(largest(d.b)));
        let objectives = (0.5 * xpx + qx).abs().min((0.5 * xpx + bz).abs());
        let gap = (xpx + qx + bz).abs() / (1.0 + objectives);
        let mut out: f64 = 0.0;
        for (cone, rows) in self.blocks() {
            let (s, z) = (&item.s[rows.clone()], &item.z[rows]);
            out = out.max(cone.outside(s) / (1.0 + norm(s)));
            out = out.max(cone.outside_dual(z) / (1.0 + norm(z)));
        }
        for x in [dual, primal, gap] {
            out = if x.is_nan() { x } else { out.max(x) };
        }
        out
    }

    /// Newton's method on F(x, v) = 0 from the solver's point (Qi and Sun, A nonsmooth version of Newton's method, 1993), as long as it helps.
    /// Each matrix serves for two steps: the second one costs little and adds as many digits as the first one had.
    pub(super) fn polish(&self, d: &ConicData<'_>, item: &mut ConicItem) {
        let start = item.residual;
        for _ in 0..self.settings.polish {
            let jacobians: Vec<_> =
                self.blocks().map(|(cone, rows)| cone.jacobian(&item.v[rows], 0.0, true)).collect();
            let Some(system) = System::new(self, d.p, d.a, &jacobians) else { return };
            let before = item.residual;
            for _ in 0..2 {
                match self.newton_step(d, item, &system) {
                    Some(next) if next.residual < item.residual => *item = next,
                    _ => break,
                }
            }
            item.newton = item.residual <= 1e-2 * start;
            if item.residual < 1e-13 || 0.5 * before < item.residual {
                return;
            }
        }
    }

    /// One step from an item, by the matrix of this point or of one nearby; `None` where the matrix has no answer.
    fn newton_step(
        &self,
        d: &ConicData<'_>,
        item: &ConicItem,
        system: &System,
    ) -> Option<ConicItem> {
        let (n, m) = self.sizes();
        let z = self.project(&item.v);
        let (mut r1, mut r2) = (vec![0.0; n], vec![0.0; m]);
        self.p.add_symmetric(d.p, &item.x, &mut r1);
        self.a.add_transposed(d.a, &z, &mut r1);
        self.a.add_product(d.a, &item.x, &mut r2);
        for j in 0..n {
            r1[j] = -(r1[j] + d.q[j]);
        }
        for i in 0..m {
            r2[i] = -(r2[i] + z[i] - item.v[i] - d.b[i]);
        }
        let (dx, dz, error) = system.solve(&r1, &r2);
        if error.is_nan() {
            return None;
        }
        // (I − D)dv = A·dx − r₂ and D·dv = U·w.
        let mut dv: Vec<f64> = dz.iter().zip(&r2).map(|(z, r)| z - r).collect();
        self.a.add_product(d.a, &dx, &mut dv);
        let mut next = item.clone();
        next.x.iter_mut().zip(&dx).for_each(|(x, d)| *x += d);
        next.v.iter_mut().zip(&dv).for_each(|(v, d)| *v += d);
        next.z = self.project(&next.v);
        next.s = next.z.iter().zip(&next.v).map(|(z, v)| z - v).collect();
        next.residual = self.residual(d, &next);
        Some(next)
    }

    /// Π_{K*}(v)
    pub(super) fn project(&self, v: &[f64]) -> Vec<f64> {
        self.blocks().flat_map(|(cone, rows)| cone.project_dual(&v[rows])).collect()
    }

    fn clarabel(&self, d: &ConicData<'_>, tolerance: f64, strict: bool) -> Option<Candidate> {
        let (n, m) = self.sizes();
        let csc = |p: &super::sparse::Pattern, values: &[f64]| {
            CscMatrix::new(p.rows, p.columns, p.starts.clone(), p.indices.clone(), values.to_vec())
        };
        let cones: Vec<SupportedConeT<f64>> = self
            .cones
            .iter()
            .map(|cone| match *cone {
                Cone::Zero(k) => SupportedConeT::ZeroConeT(k),
                Cone::NonNegative(k) => SupportedConeT::NonnegativeConeT(k),
                Cone::SecondOrder(k) => SupportedConeT::SecondOrderConeT(k),
                Cone::Exponential => SupportedConeT::ExponentialConeT(),
                Cone::Power(a) => SupportedConeT::PowerConeT(a),
                // Not reached: such programs go to the splitting.
                Cone::Semidefinite(k) => SupportedConeT::NonnegativeConeT(k * (k + 1) / 2),
            })
            .collect();
        // What is accepted is decided by us.
        let mut settings = DefaultSettings {
            verbose: false,
            max_iter: self.settings.iterations.min(u32::MAX as usize) as u32,
            tol_gap_abs: tolerance,
            tol_gap_rel: tolerance,
            tol_feas: tolerance,
            presolve_enable: false,
            max_threads: 1,
            ..DefaultSettings::default()
        };
        if strict {
            settings.tol_infeas_abs = 1e-14;
            settings.tol_infeas_rel = 1e-14;
            settings.reduced_tol_infeas_abs = 1e-14;
            settings.reduced_tol_infeas_rel = 1e-14;
        }
        let (p, a) = (csc(&self.p, d.p), csc(&self.a, d.a));
        let mut solver = DefaultSolver::new(&p, d.q, &a, d.b, &cones, settings).ok()?;
        solver.solve();
        let solution = &solver.solution;
        let claim = match solution.status {
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => {
                Claim::Infeasible
            }
            SolverStatus::DualInfeasible | SolverStatus::AlmostDualInfeasible => Claim::Unbounded,
            _ => Claim::Solution,
        };
        if solution.x.len() != n || solution.z.len() != m || solution.s.len() != m {
            return None;
        }
        Some(Candidate {
            x: solution.x.clone(),
            z: solution.z.clone(),
            s: solution.s.clone(),
            claim,
            iterations: solution.iterations as usize,
        })
    }

    /// z ∈ K* with Aᵀz = 0 and bᵀz < 0, as far as numbers can tell: there is no solution within 10⁸ units of the data.
    pub(super) fn verified_infeasible(&self, d: &ConicData<'_>, z: &[f64]) -> Option<Vec<f64>> {
        let size = z.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if !(size > 0.0 && size.is_finite()) {
            return None;
        }
        let z: Vec<f64> = z.iter().map(|z| z / size).collect();
        let z: Vec<f64> = self.project(&z);
        let mut atz = vec![0.0; self.a.columns];
        self.a.add_transposed(d.a, &z, &mut atz);
        let value: f64 = d.b.iter().zip(&z).map(|(b, z)| b * z).sum();
        let defect = atz.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        (value < -1e-9 && SURE * defect <= -value).then_some(z)
    }

    /// −Ad ∈ K, Pd = 0, qᵀd < 0, as far as numbers can tell.
    pub(super) fn verified_unbounded(&self, d: &ConicData<'_>, x: &[f64]) -> Option<Vec<f64>> {
        let size = x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if !(size > 0.0 && size.is_finite()) {
            return None;
        }
        let x: Vec<f64> = x.iter().map(|x| x / size).collect();
        let (mut px, mut ax) = (vec![0.0; self.a.columns], vec![0.0; self.a.rows]);
        self.p.add_symmetric(d.p, &x, &mut px);
        self.a.add_product(d.a, &x, &mut ax);
        let mut defect = px.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        for (cone, rows) in self.blocks() {
            let s: Vec<f64> = ax[rows].iter().map(|a| -a).collect();
            defect = defect.max(cone.outside(&s));
        }
        let value: f64 = d.q.iter().zip(&x).map(|(q, x)| q * x).sum();
        (value < -1e-9 && SURE * defect <= -value).then_some(x)
    }
}
