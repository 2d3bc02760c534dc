//! How a solve ended.

/// How the solve of one problem ended. Everything but `Solved` means: there is no solution to use or to differentiate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// The optimality conditions hold to the tolerance.
    Solved,
    /// No point satisfies the constraints; multipliers prove it ([`proof`](crate::qp::QpSolution::proof)), and were verified.
    PrimalInfeasible,
    /// The objective falls without bound along a direction that stays feasible; the direction was verified.
    DualInfeasible,
    /// Q has a negative eigenvalue.
    NonConvex {
        /// The least eigenvalue of ½(Q + Qᵀ).
        eigenvalue: f64,
    },
    /// A number of the data is NaN or infinite.
    NotFinite {
        /// The argument.
        argument: &'static str,
        /// Its place, row-major.
        index: usize,
        /// The number.
        value: f64,
    },
    /// The iterations ended above the tolerance, and neither kind of infeasibility could be proved.
    NotConverged {
        /// Iterations made.
        iterations: usize,
        /// The largest of the relative residuals.
        residual: f64,
    },
}

impl Status {
    /// Is there a solution?
    pub fn is_solved(&self) -> bool {
        matches!(self, Status::Solved)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Solved => f.write_str("solved"),
            Status::PrimalInfeasible => {
                f.write_str("infeasible: no point satisfies the constraints")
            }
            Status::DualInfeasible => f.write_str("unbounded: the objective falls without bound"),
            Status::NonConvex { eigenvalue } => {
                write!(f, "not convex: Q has the eigenvalue {eigenvalue:e}")
            }
            Status::NotFinite { argument, index, value } => {
                write!(f, "{argument} is {value} at entry {index}")
            }
            Status::NotConverged { iterations, residual } => {
                write!(f, "not converged after {iterations} iterations, residual {residual:e}")
            }
        }
    }
}
