//! What can go wrong, with the process, the argument and the numbers.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Misuse, and derivatives that do not exist. How a solve ended is a [`Status`](crate::solve::Status), not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice does not have the length that the sizes ask for.
    #[error("{node}: {argument} holds {got} numbers, the sizes say {expected}")]
    Length {
        /// The process or operation.
        node: String,
        /// Which argument.
        argument: &'static str,
        /// The number that the sizes imply.
        expected: usize,
        /// The slice's length.
        got: usize,
    },
    /// An argument outside its domain.
    #[error("{node}: {what}")]
    Invalid {
        /// The process or operation.
        node: String,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// Probabilities that are none.
    #[error("{node}: the probabilities of state {state}, action {action}: {what}")]
    Distribution {
        /// The process.
        node: String,
        /// The state.
        state: usize,
        /// The action.
        action: usize,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// A solution was needed and there is none.
    #[error("{node}: {status}")]
    NotSolved {
        /// The process.
        node: String,
        /// How the solve ended.
        status: crate::solve::Status,
    },
    /// I − γ·P_π has no inverse that rounding would leave anything of: no derivative at the fixed point, no value of the policy.
    #[error("{node}: the policy's equations (I − γ·P)x = b have no solution to trust: {why}")]
    NotContracting {
        /// The process.
        node: String,
        /// What fails, with the numbers.
        why: String,
    },
    /// A line of a file that is not what it should be.
    #[error("{path}{}: {what}", at_line(*.line))]
    File {
        /// The file.
        path: String,
        /// Its line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// An error of the function network or of its layers.
    #[error(transparent)]
    Network(Box<dyn std::error::Error + Send + Sync>),
}

/// Where in a file; nothing for the file as a whole.
fn at_line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}

impl Error {
    /// An argument outside its domain.
    pub(crate) fn invalid(node: impl Into<String>, what: impl Into<String>) -> Self {
        Error::Invalid { node: node.into(), what: what.into() }
    }
}

/// Checks a slice's length.
pub(crate) fn check_len(
    node: &str,
    argument: &'static str,
    got: usize,
    expected: usize,
) -> Result<()> {
    match got == expected {
        true => Ok(()),
        false => Err(Error::Length { node: node.into(), argument, expected, got }),
    }
}

/// Checks that so many numbers could be held: `None` for more than can be counted.
pub(crate) fn check_room<T>(node: &str, what: &str, count: Option<usize>) -> Result<()> {
    let fits = |n: usize| Vec::<T>::new().try_reserve_exact(n).is_ok();
    match count {
        Some(n) if n < 1 << 20 || fits(n) => Ok(()),
        Some(n) => {
            let size = size_of::<T>();
            Err(Error::invalid(
                node,
                format!("{what} would take {n} numbers of {size} bytes: there is no such memory"),
            ))
        }
        None => {
            Err(Error::invalid(node, format!("{what} would take more than {} numbers", usize::MAX)))
        }
    }
}

/// Checks that all numbers are finite.
pub(crate) fn check_finite(node: &str, argument: &str, numbers: &[f64]) -> Result<()> {
    match numbers.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::invalid(node, format!("{argument} is {} at entry {i}", numbers[i]))),
    }
}
