//! What can go wrong, with the node, the argument and the numbers.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Misuse, and derivatives that do not exist. That a problem has no solution is a [`crate::Status`], not an error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice does not have the length that the sizes ask for.
    #[error(
        "{node}: {argument} holds {got} numbers; {one} are one item's, and the batch is {batch}"
    )]
    Length {
        /// The problem.
        node: String,
        /// Which argument.
        argument: &'static str,
        /// How many numbers an item has.
        one: usize,
        /// Items of the batch.
        batch: usize,
        /// The slice's length.
        got: usize,
    },
    /// An argument outside its domain.
    #[error("{node}: {what}")]
    Invalid {
        /// The problem.
        node: String,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// A problem without a solution where one was needed: there is nothing to differentiate, or a graph's node has no value.
    #[error("{node}: item {item} of the batch: {status}")]
    NotSolved {
        /// The problem.
        node: String,
        /// Which item of the batch.
        item: usize,
        /// Its status.
        status: crate::Status,
    },
    /// The solution is not differentiable, and the policy is to refuse.
    #[error("{node}: item {item} of the batch is not differentiable: {why}")]
    NotDifferentiable {
        /// The problem.
        node: String,
        /// Which item of the batch.
        item: usize,
        /// What fails, with the numbers.
        why: String,
    },
}

impl Error {
    /// An argument outside its domain.
    pub(crate) fn invalid(node: impl Into<String>, what: impl Into<String>) -> Self {
        Error::Invalid { node: node.into(), what: what.into() }
    }
}
