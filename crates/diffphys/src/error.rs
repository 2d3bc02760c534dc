//! What can go wrong, with the element, its line and the numbers.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Files that cannot be read, physics that is not supported, misuse, and derivatives that do not exist.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that is missing, too large, or outside the folder that files may come from.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A file's text is not a model: malformed XML, an unknown element or attribute, a number that is none.
    #[error("{file}, line {line}, <{element}>: {what}")]
    Parse {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// What is wrong.
        what: String,
    },
    /// Physics that this crate does not simulate. Nothing is left out silently.
    #[error("{file}, line {line}, <{element}>: {what} is not supported")]
    Unsupported {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u32,
        /// The element.
        element: String,
        /// What is not supported.
        what: String,
    },
    /// An argument or a number of a model outside its domain.
    #[error("{node}: {what}")]
    Invalid {
        /// The element or function.
        node: String,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// A slice does not have the length that the model asks for.
    #[error("{node}: {argument} holds {got} numbers; the model asks for {want}")]
    Length {
        /// The function.
        node: &'static str,
        /// Which argument.
        argument: &'static str,
        /// How many numbers it must have.
        want: usize,
        /// How many it has.
        got: usize,
    },
    /// No element of that name.
    #[error("{node}: there is no {kind} '{name}'")]
    Unknown {
        /// The element, with its line, or the model that was asked.
        node: String,
        /// Kind of element.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A state or a result is not finite: the simulation diverged, or the input did.
    #[error("{node}: {what} is not finite")]
    NotFinite {
        /// The function.
        node: &'static str,
        /// Which quantity.
        what: String,
    },
    /// The constraint solver did not converge, so that its solution has no derivative.
    #[error(
        "{node}: the solver stopped after {iterations} iterations at a scaled gradient of {gradient:.1e}; a derivative needs {needed:.1e}"
    )]
    NotConverged {
        /// The function.
        node: &'static str,
        /// Iterations.
        iterations: usize,
        /// Norm of the gradient, relative to the forces.
        gradient: f64,
        /// What a derivative needs.
        needed: f64,
    },
    /// What was asked for has no derivative.
    #[error("{node}: no derivative with {what}")]
    NotDifferentiable {
        /// The function.
        node: &'static str,
        /// Why, with the option or element.
        what: String,
    },
}

impl Error {
    pub(crate) fn invalid(node: impl Into<String>, what: impl Into<String>) -> Self {
        Error::Invalid { node: node.into(), what: what.into() }
    }

    /// An unknown name, with the element that has it.
    pub(crate) fn of(self, element: impl Fn() -> String) -> Self {
        match self {
            Error::Unknown { kind, name, .. } => Error::Unknown { node: element(), kind, name },
            other => other,
        }
    }
}

/// The slice has `want` numbers.
pub(crate) fn length(
    node: &'static str,
    argument: &'static str,
    got: usize,
    want: usize,
) -> Result<()> {
    if got == want { Ok(()) } else { Err(Error::Length { node, argument, want, got }) }
}
