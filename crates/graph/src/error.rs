//! What can go wrong, with the place and the numbers.

/// Why a tape could not be recorded, differentiated or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
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
    /// A workspace was made for another tape.
    #[error("the workspace belongs to another tape")]
    ForeignWorkspace,
    /// A slice does not have the length that the tape asks for.
    #[error("{what}: {expected} numbers expected, {got} given")]
    Length {
        /// Which slice.
        what: &'static str,
        /// The length that the tape asks for.
        expected: usize,
        /// The slice's length.
        got: usize,
    },
    /// A number that comes out of the tape is NaN or infinite.
    #[error("output {output} of sample {sample} is {value}")]
    OutputNotFinite {
        /// Which output.
        output: usize,
        /// Which sample of the batch.
        sample: usize,
        /// Its value.
        value: f64,
    },
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
