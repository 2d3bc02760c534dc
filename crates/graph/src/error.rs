//! What can go wrong, with the place and the numbers.

/// Why a tape, a plan or an analysis failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Recorded code compared two expressions, which would freeze the branch that was taken: use `select`.
    #[error(
        "recording: {left} {comparison} {right} compares expressions, and the branch taken would be frozen into the tape; use \
         Real::select"
    )]
    FrozenBranch {
        /// The comparison: `==` or `<`.
        comparison: &'static str,
        /// The left expression.
        left: String,
        /// The right expression.
        right: String,
    },
    /// An expression of one recording was used in another.
    #[error("recording: an expression of another recording")]
    ForeignExpression,
    /// A workspace, or a plan, was made for another tape.
    #[error("{what} was made for the tape {expected:016x}, not for {got:016x}")]
    ForeignTape {
        /// What was made for another tape.
        what: &'static str,
        /// The hash of the tape that it was made for.
        expected: u64,
        /// The hash of the tape that came.
        got: u64,
    },
    /// A slice does not have the length that is asked for.
    #[error("{what}: {expected} numbers expected, {got} given")]
    Length {
        /// Which slice.
        what: &'static str,
        /// The length that is asked for.
        expected: usize,
        /// The slice's length.
        got: usize,
    },
    /// A number that comes out of a tape is NaN or infinite.
    #[error("output {output} of sample {sample} is {value}{cause}")]
    OutputNotFinite {
        /// Which output.
        output: usize,
        /// Which sample of the batch.
        sample: usize,
        /// Its value.
        value: f64,
        /// `: ` and the first number on the way that is not finite; empty where that is not known.
        cause: String,
    },
    /// Bytes that are not a tape.
    #[error("not a tape: byte {at}: {what}")]
    Format {
        /// The byte at which it shows.
        at: usize,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// An argument outside its domain, or larger than what is allowed.
    #[error("{place}: {what}")]
    Invalid {
        /// The function, plan or node.
        place: String,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// An iteration that did not converge.
    #[error("{place}: no convergence after {iterations} iterations, residual {residual:e}")]
    NoConvergence {
        /// The function, plan or node.
        place: String,
        /// Iterations made.
        iterations: usize,
        /// What was left.
        residual: f64,
    },
    /// An error of a function network, with the name of its node.
    #[error(transparent)]
    Network(#[from] pullback_core_graph::Error),
}

impl Error {
    /// An argument outside its domain.
    pub(crate) fn invalid(place: impl Into<String>, what: impl Into<String>) -> Self {
        Error::Invalid { place: place.into(), what: what.into() }
    }
}

/// So that tensors are made with `?` where this crate's functions are called.
impl From<pullback_core_graph::candle::Error> for Error {
    fn from(error: pullback_core_graph::candle::Error) -> Self {
        Error::Network(error.into())
    }
}

/// So that what this crate does works with `?` inside functions of a network.
impl From<Error> for pullback_core_graph::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Network(inner) => inner,
            own => pullback_core_graph::Error::external("graph", own),
        }
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
