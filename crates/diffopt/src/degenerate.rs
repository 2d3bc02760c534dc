//! Where a solution is not differentiable: what is known about it, and what a derivative shall mean there.
//!
//! At x(θ) = argmin ½(x − θ)² s.t. x ≥ 0 and θ = 0 the row x ≥ 0 holds with equality and has the multiplier 0: it is *weakly active*.
//! To the right x' = 1, to the left x' = 0. [`Certificate`] says that this is so, [`Degenerate`] what a gradient is then. Nonlinear programs
//! share both.

/// What is known about the derivative of one solution. Rows count from 0 among the inequalities; numbers are in the solver's scaled units,
/// in which rows and columns of the data are of size 1.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Certificate {
    /// min over inequalities of max(slack, multiplier): 0 where strict complementarity fails; ∞ without inequalities.
    pub margin: f64,
    /// Inequalities with positive multipliers.
    pub strongly_active: Vec<usize>,
    /// Inequalities whose slack and multiplier are both 0.
    pub weakly_active: Vec<usize>,
    /// Least singular value of the active rows, each of norm 1: 0 where they depend on each other (LICQ fails); ∞ without active rows.
    pub independence: f64,
    /// Is there exactly one vector of multipliers?
    pub unique_multipliers: bool,
    /// Least eigenvalue of the Hessian along directions in which the equalities and the strongly active rows stay as they are: positive
    /// where the strong second-order condition holds; ∞ where there is no such direction.
    pub curvature: f64,
    /// Estimated relative error of the derivative: the residual times the norm of the inverse of the optimality conditions' matrix; ∞ where that is
    /// singular.
    pub gradient_error: f64,
}

/// Below this, a singular value or an eigenvalue in scaled units counts as 0.
pub(crate) const SINGULAR: f64 = 1e-7;

impl Certificate {
    /// Is x* differentiable: no weakly active rows, independent active rows, curvature in all free directions?
    pub fn is_differentiable(&self) -> bool {
        self.why_not().is_none()
    }

    /// Everything that fails, with the numbers.
    pub fn why_not(&self) -> Option<String> {
        let mut out = Vec::new();
        if self.curvature <= SINGULAR {
            out.push(format!(
                "there is no curvature along some feasible direction (least eigenvalue {:e}), so x is not unique",
                self.curvature
            ));
        }
        if !self.weakly_active.is_empty() {
            out.push(format!(
                "the inequalities {:?} are weakly active (slack and multiplier are at most {:e}): one-sided derivatives differ",
                self.weakly_active, self.margin
            ));
        }
        if self.independence <= SINGULAR {
            out.push(format!(
                "the active rows depend on each other (least singular value {:e}), so multipliers are not unique",
                self.independence
            ));
        }
        (!out.is_empty()).then(|| out.join("; "))
    }
}

/// What a derivative is at a solution that is not differentiable. Where it is, all but the last are the derivative.
///
/// Active, inactive, average and minimum norm say what weakly active rows count for. Where active rows depend on each other, so that multipliers are
/// not unique, these four share the rows' part among them (½ each for a row that is there twice): a gradient, but of neither side. `Refuse` refuses,
/// and one-sided derivatives take a vertex of the multipliers (of quadratic programs; those of cones are refused).
///
/// Whatever is chosen, [`Certificate`] tells, and the directional derivative is exact on both sides.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Degenerate {
    /// An error that names the item, and the rows or what else fails.
    Refuse,
    /// As if all weakly active rows held with equality: 0 at the example above.
    Active,
    /// As if no weakly active row were there: 1 at the example above.
    Inactive,
    /// The mean of the two, as min and max of this workspace have at ties: ½ at the example above.
    #[default]
    Average,
    /// Of the segment between the two the point whose matrix ∂x/∂(q, b, h), in scaled units, has the least Frobenius norm: ½ at the example above.
    MinimumNorm,
    /// The derivative on the side of a direction of the data: one slice for each argument, empty for a zero, of the whole batch or
    /// shared. Pushes of that direction are the directional derivative; pulls are the transpose of the same piece.
    OneSided(Vec<Vec<f64>>),
    /// The derivative of the central path at complementarity sλ = μ (in the objective's units) in the place of the solution's: smooth in the data, and
    /// off by O(μ) where the solution is differentiable. The value stays exact.
    CentralPath(f64),
}
