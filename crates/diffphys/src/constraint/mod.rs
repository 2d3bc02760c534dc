//! Constraints as rows: equality, dry friction, limits, contacts. Each has a Jacobian, a reference acceleration and a regularization
//! (Todorov, "A convex, smooth and invertible contact model for trajectory optimization", ICRA 2011, in MuJoCo's form).

mod attachment;
mod build;
mod impedance;
mod instantiate;

pub(crate) use attachment::{Attachment, Both, Turn, attaches, join};
pub(crate) use build::{Chain, contact_column, contact_rows};
pub(crate) use impedance::{clamp_impedance, impedance, impedance_partials};
pub(crate) use instantiate::{make, parameters, polynomial, polynomial_curvature, reference};

use crate::model::arrays;

/// Regularization below this is next to none: J·M⁻¹·Jᵀ at the reference configuration is 0, or that of a body of thousands of tons.
const STIFF: f64 = 1e-10;

/// What a row belongs to (`mjtConstraint`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// An equality.
    Equality(usize),
    /// Dry friction of a degree of freedom.
    FrictionDof(usize),
    /// Dry friction of a tendon.
    FrictionTendon(usize),
    /// A limit of a joint.
    LimitJoint(usize),
    /// A limit of a tendon.
    LimitTendon(usize),
    /// A contact without friction.
    ContactFrictionless(usize),
    /// An edge of a contact's friction pyramid.
    ContactPyramidal(usize),
    /// An axis of a contact's elliptic cone.
    ContactElliptic(usize),
}

/// Where a row's cost is at the solution (`mjtConstraintState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowState {
    /// No force.
    #[default]
    Satisfied,
    /// Quadratic cost: force = −D·jar.
    Quadratic,
    /// Dry friction at its lower bound of jar: force = +frictionloss.
    LinearNegative,
    /// Dry friction at its upper bound: force = −frictionloss.
    LinearPositive,
    /// On the mantle of an elliptic cone.
    Cone,
}

arrays! {
    /// The rows of the constrained problem, with MuJoCo's names less `efc_`; each is read by a method.
    #[derive(Debug, Clone, Default)]
    Rows {
        /// What each row belongs to.
        kind: RowKind,
        /// Jacobian, `nefc × nv`.
        J: f64,
        /// Residual: position error or distance.
        pos: f64,
        /// Margin of the residual.
        margin: f64,
        /// Largest dry friction; 0 for other rows.
        frictionloss: f64,
        /// Approximate diagonal of J·M⁻¹·Jᵀ.
        diagA: f64,
        /// Stiffness, damping, impedance, and the impedance's slope in the residual.
        KBIP: [f64; 4],
        /// 1/R.
        D: f64,
        /// Regularization.
        R: f64,
        /// J·qvel.
        vel: f64,
        /// Reference acceleration.
        aref: f64,
        /// J·qacc − aref at the solution.
        jar: f64,
        /// Force at the solution.
        force: f64,
        /// State at the solution.
        state: RowState,
        /// Degrees of freedom with entries, decreasing: of row k, `chain[k].0..chain[k].1` of `dofs`.
        chain: (usize, usize),
        /// See `chain`.
        dofs: usize,
    } plain {
        /// Equality rows.
        ne: usize,
        /// Rows of dry friction.
        nf: usize,
        /// Rows of limits.
        nl: usize,
    } inputs {} hidden {
        /// How much each row's force² counts for the size of all forces, see `weigh`; 0 of rows that nothing moves.
        weight: Vec<f64>,
        /// Is there such a row?
        still: bool,
    }
}

impl Rows {
    /// Number of rows.
    pub fn nefc(&self) -> usize {
        self.kind.len()
    }

    pub(crate) fn clear(&mut self) {
        self.kind.clear();
        self.J.clear();
        self.pos.clear();
        self.margin.clear();
        self.frictionloss.clear();
        self.diagA.clear();
        self.KBIP.clear();
        self.D.clear();
        self.R.clear();
        self.vel.clear();
        self.aref.clear();
        self.jar.clear();
        self.force.clear();
        self.state.clear();
        self.chain.clear();
        self.dofs.clear();
        self.weight.clear();
        (self.ne, self.nf, self.nl) = (0, 0, 0);
    }

    /// The rows of the same object around `row`: of a contact or an equality.
    pub(crate) fn group(&self, row: usize) -> std::ops::Range<usize> {
        let same = |other: &usize| self.kind[*other] == self.kind[row];
        let first = (0..row).rev().take_while(same).last().unwrap_or(row);
        first..row + (row..self.nefc()).take_while(same).count()
    }

    /// The degrees of freedom of a row.
    #[inline]
    pub(crate) fn support(&self, row: usize) -> &[usize] {
        let (from, to) = self.chain[row];
        &self.dofs[from..to]
    }

    /// A row of zeros with residual and margin; its Jacobian is filled in by the caller.
    pub(crate) fn push(&mut self, nv: usize, kind: RowKind, pos: f64, margin: f64) -> usize {
        let row = self.kind.len();
        self.kind.push(kind);
        self.J.resize((row + 1) * nv, 0.0);
        self.pos.push(pos);
        self.margin.push(margin);
        self.frictionloss.push(0.0);
        self.diagA.push(0.0);
        self.KBIP.push([0.0; 4]);
        self.D.push(0.0);
        self.R.push(0.0);
        self.vel.push(0.0);
        self.aref.push(0.0);
        self.jar.push(0.0);
        self.force.push(0.0);
        self.state.push(RowState::Satisfied);
        self.chain.push((self.dofs.len(), self.dofs.len()));
        row
    }

    /// Fills `weight` and `still`. A weight is ‖J‖² where there is next to no regularization, so that a force may have any size, also where it
    /// moves nothing; else 1.
    pub(crate) fn weigh(&mut self, nv: usize) {
        for row in 0..self.nefc() {
            let j = &self.J[row * nv..(row + 1) * nv];
            let square = || self.support(row).iter().map(|&dof| j[dof] * j[dof]).sum();
            let weight = if self.R[row] < STIFF { square() } else { 1.0 };
            self.weight.push(weight);
        }
        self.still = self.weight.contains(&0.0);
    }

    /// J·x.
    pub(crate) fn multiply(&self, nv: usize, x: &[f64], y: &mut [f64]) {
        for row in 0..self.nefc() {
            let j = &self.J[row * nv..(row + 1) * nv];
            y[row] = self.support(row).iter().map(|&dof| j[dof] * x[dof]).sum();
        }
    }

    /// x += Jᵀ·y.
    pub(crate) fn add_transpose(&self, nv: usize, y: &[f64], x: &mut [f64]) {
        for row in 0..self.nefc() {
            if y[row] != 0.0 {
                let j = &self.J[row * nv..(row + 1) * nv];
                for &dof in self.support(row) {
                    x[dof] += j[dof] * y[row];
                }
            }
        }
    }
}
