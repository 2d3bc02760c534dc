//! What can go wrong, with the name of the node and the numbers.

use std::sync::Arc;

use candle_core::{DType, DeviceLocation};

/// The result of everything fallible in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Which sweep of a function network met a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Computing values, y = f(x).
    Eval,
    /// The forward chain rule, dy = J·dx.
    Push,
    /// The backward chain rule, dx = Jᵀ·dy.
    Pull,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Eval => "evaluating",
            Phase::Push => "pushing forward",
            Phase::Pull => "pulling back",
        })
    }
}

/// What a port of [`Error::NotFinite`] is.
fn of_port(phase: Phase) -> &'static str {
    match phase {
        Phase::Eval | Phase::Push => "output",
        Phase::Pull => "the derivative of input",
    }
}

/// Everything that can go wrong. Each variant names the node: `mul#17` is node 17 of its graph, a multiplication;
/// `policy#3/mul#17` is that node inside the nested function `policy`.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes that do not fit together.
    #[error("{node}: {what}; got shapes {got:?}")]
    Shape {
        /// The node.
        node: String,
        /// What was expected.
        what: String,
        /// The shapes that came.
        got: Vec<Vec<usize>>,
    },
    /// A wrong number of inputs, outputs, or directions.
    #[error("{node}: expected {expected} {what}, got {got}")]
    Arity {
        /// The node.
        node: String,
        /// What is counted.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// Element types that the node does not take, or that differ. Casts are explicit: `Var::cast`.
    #[error("{node}: {what}; got element types {got:?}")]
    DType {
        /// The node.
        node: String,
        /// What was expected.
        what: &'static str,
        /// The element types that came.
        got: Vec<DType>,
    },
    /// Tensors on different devices.
    #[error("{node}: tensors on different devices: {got:?}")]
    Device {
        /// The node.
        node: String,
        /// Where they are.
        got: Vec<DeviceLocation>,
    },
    /// NaN or an infinity appeared. `Ok` means finite.
    #[error("{node}: {phase}: {} {port} is {value} at flat index {index}", of_port(*phase))]
    NotFinite {
        /// The node.
        node: String,
        /// The sweep.
        phase: Phase,
        /// Which output (for pulls: which input's derivative).
        port: usize,
        /// The flat row-major index of the first such element.
        index: usize,
        /// The element.
        value: f64,
    },
    /// A parameter outside its domain.
    #[error("{node}: {what}")]
    Invalid {
        /// The node.
        node: String,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// A variable of another graph.
    #[error("{node}: input {input} is a variable of another graph")]
    ForeignVar {
        /// The node that was being recorded.
        node: String,
        /// The position of the variable among the inputs.
        input: usize,
    },
    /// A derivative that does not exist, or was not recorded.
    #[error("{node}: not differentiable: {why}")]
    NotDifferentiable {
        /// The node.
        node: String,
        /// The reason.
        why: String,
    },
    /// A derivative of a derivative that this node does not offer.
    #[error("{node}: its derivative is not a function again (no higher order)")]
    NoHigherOrder {
        /// The node.
        node: String,
    },
    /// A matrix that is singular, indefinite or otherwise outside the domain of a factorization.
    #[error(
        "{node}: matrix {batch} of the batch is {what} (pivot {pivot}: {value:e}, reciprocal condition {rcond:e})"
    )]
    Matrix {
        /// The node.
        node: String,
        /// What the matrix is: "singular", "not positive definite", …
        what: &'static str,
        /// The index in the flattened batch.
        batch: usize,
        /// Row of the failing pivot.
        pivot: usize,
        /// The pivot.
        value: f64,
        /// Estimated reciprocal condition number; NaN where no estimate was made.
        rcond: f64,
    },
    /// An iteration that did not converge.
    #[error("{node}: no convergence after {iterations} iterations, residual {residual:e}")]
    NoConvergence {
        /// The node.
        node: String,
        /// Iterations made.
        iterations: usize,
        /// What was left.
        residual: f64,
    },
    /// A derivative law that a function breaks; see [`crate::check`].
    #[error("{node}: {law}: {what}")]
    Law {
        /// The function.
        node: String,
        /// The law.
        law: &'static str,
        /// Input, index and numbers.
        what: String,
    },
    /// An error of candle.
    #[error("{node}: {source}")]
    Tensor {
        /// The node.
        node: String,
        /// candle's error.
        source: Arc<candle_core::Error>,
    },
    /// A typed error of a function from another crate (a solver, a simulator). To get it back, match this variant and ask
    /// `source.downcast_ref::<TheirError>()`; `source()` of the trait gives the shared pointer around it.
    #[error("{}", beside(node, source))]
    External {
        /// The node.
        node: String,
        /// The error.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// The text of an error with the node's name before it, once.
fn beside(node: &str, source: &impl std::fmt::Display) -> String {
    let text = source.to_string();
    match text.strip_prefix(node) {
        Some(rest) if rest.starts_with(':') => text,
        _ => format!("{node}: {text}"),
    }
}

impl Error {
    /// Wraps the typed error of another crate.
    pub fn external(
        node: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Error::External { node: node.into(), source: Arc::new(source) }
    }

    /// Wraps an error of candle.
    pub fn tensor(node: impl Into<String>, source: candle_core::Error) -> Self {
        Error::Tensor { node: node.into(), source: Arc::new(source) }
    }

    /// Shapes that do not fit.
    pub fn shape(node: impl Into<String>, what: impl Into<String>, got: &[&[usize]]) -> Self {
        Error::Shape {
            node: node.into(),
            what: what.into(),
            got: got.iter().map(|s| s.to_vec()).collect(),
        }
    }

    /// A parameter outside its domain.
    pub fn invalid(node: impl Into<String>, what: impl Into<String>) -> Self {
        Error::Invalid { node: node.into(), what: what.into() }
    }

    /// The name of the node where it happened.
    pub fn node(&self) -> &str {
        match self {
            Error::Shape { node, .. }
            | Error::Arity { node, .. }
            | Error::DType { node, .. }
            | Error::Device { node, .. }
            | Error::NotFinite { node, .. }
            | Error::Invalid { node, .. }
            | Error::ForeignVar { node, .. }
            | Error::NotDifferentiable { node, .. }
            | Error::NoHigherOrder { node }
            | Error::Matrix { node, .. }
            | Error::NoConvergence { node, .. }
            | Error::Law { node, .. }
            | Error::Tensor { node, .. }
            | Error::External { node, .. } => node,
        }
    }

    /// The same error under another node name.
    #[must_use]
    pub fn renamed(mut self, rename: impl FnOnce(&str) -> String) -> Self {
        match &mut self {
            Error::Shape { node, .. }
            | Error::Arity { node, .. }
            | Error::DType { node, .. }
            | Error::Device { node, .. }
            | Error::NotFinite { node, .. }
            | Error::Invalid { node, .. }
            | Error::ForeignVar { node, .. }
            | Error::NotDifferentiable { node, .. }
            | Error::NoHigherOrder { node }
            | Error::Matrix { node, .. }
            | Error::NoConvergence { node, .. }
            | Error::Law { node, .. }
            | Error::Tensor { node, .. }
            | Error::External { node, .. } => *node = rename(node),
        }
        self
    }
}

/// candle's errors come without a node; the graph adds it.
impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        Error::tensor("tensor", source)
    }
}

/// So that a function of ours inside candle code works with `?`; [`Error::from_candle`] gets the typed error back.
impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        error.into_candle()
    }
}
