//! The crate's error type: what went wrong, with names and numbers.

use std::path::PathBuf;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong in the throwing robot's world.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// An argument is outside its domain.
    #[error("{name} = {value} must be {expected}")]
    InvalidArgument {
        /// The argument's name.
        name: &'static str,
        /// The value that was given.
        value: f64,
        /// The domain, in words.
        expected: &'static str,
    },
    /// No speed at this launch angle reaches the target.
    #[error(
        "no speed at launch angle {angle} rad reaches a target {distance} m away and {} m above the release point",
        -height
    )]
    Unreachable {
        /// Horizontal distance from release to target, in metres.
        distance: f64,
        /// Release height minus target height, in metres.
        height: f64,
        /// Launch angle above the horizontal, in radians.
        angle: f64,
    },
    /// The trajectory through the target passes it on the way up, so that nothing falls into a box there.
    #[error("a throw at {angle} rad is still rising at the target ({distance} m away, {} m above the release point)", -height)]
    StillRising {
        /// Horizontal distance from release to target, in metres.
        distance: f64,
        /// Release height minus target height, in metres.
        height: f64,
        /// Launch angle above the horizontal, in radians.
        angle: f64,
    },
    /// The thrown object never comes down through the landing plane.
    #[error("a throw with speed {speed} m/s at {angle} rad never reaches a plane {} m above the release point", -height)]
    NeverLands {
        /// Horizontal launch speed, in metres per second.
        speed: f64,
        /// Release height minus plane height, in metres.
        height: f64,
        /// Launch angle above the horizontal, in radians.
        angle: f64,
    },
    /// An iteration stopped before it met its tolerance.
    #[error("{what} did not converge: residual {residual:e} after {iterations} iterations")]
    NotConverged {
        /// What was being solved.
        what: &'static str,
        /// The size of the last residual.
        residual: f64,
        /// How many iterations were spent.
        iterations: usize,
    },
    /// A file could not be read.
    #[error("{path}: {message}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's message.
        message: String,
    },
    /// A file was read but its content is unusable.
    #[error("{path}:{line}: {problem}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; 0 when the problem belongs to the file as a whole.
        line: usize,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// The objects do not fit side by side into the workspace.
    #[error("only {placed} of {wanted} objects fit into a workspace of {width} × {depth} m")]
    SceneFull {
        /// How many were placed.
        placed: usize,
        /// How many were asked for.
        wanted: usize,
        /// Extent along x, in metres.
        width: f64,
        /// Extent along y, in metres.
        depth: f64,
    },
    /// The function network failed: a shape, a number that is not finite, or a typed error of one of its nodes.
    #[error(transparent)]
    Network(#[from] NetworkFailure),
    /// A name that is not known.
    #[error("there is no {what} named `{name}`; known are {known}")]
    UnknownName {
        /// What was looked up.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A checkpoint or result file cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An object number that is not in the scene, or a box number that is not in the grid.
    #[error("there is no {what} with number {index}; there are {count}")]
    NoSuchItem {
        /// What was looked up.
        what: &'static str,
        /// The number that was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

/// An error of the function network, compared by its message.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct NetworkFailure(#[from] pub pullback_core_graph::Error);

impl PartialEq for NetworkFailure {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl From<pullback_core_graph::Error> for Error {
    fn from(error: pullback_core_graph::Error) -> Self {
        Error::Network(NetworkFailure(error))
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        pullback_core_graph::Error::from(error).into()
    }
}

/// What can be wrong with a mesh or robot description file.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FileProblem {
    /// More bytes than the reader accepts.
    #[error("the file has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More triangles than the reader accepts.
    #[error("more than {limit} triangles")]
    TooManyFaces {
        /// The limit.
        limit: usize,
    },
    /// Elements nested deeper than the reader accepts.
    #[error("elements nested deeper than {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A token that should be a number is not.
    #[error("`{token}` is not {expected}")]
    BadNumber {
        /// The token as it stands in the file, shortened.
        token: String,
        /// What was expected in its place.
        expected: &'static str,
    },
    /// A vertex coordinate is NaN or infinite.
    #[error("vertex {index} is not finite")]
    NonFiniteVertex {
        /// The vertex, counted from 1 as in the file.
        index: usize,
    },
    /// A face names a vertex that does not exist.
    #[error("a face names vertex {index}, but there are {count} vertices so far")]
    IndexOutOfRange {
        /// The index as it stands in the file.
        index: i64,
        /// How many vertices are defined.
        count: usize,
    },
    /// A statement ends too early.
    #[error("`{statement}` has {found} values and needs {needed}")]
    Truncated {
        /// The statement or attribute.
        statement: &'static str,
        /// How many values it has.
        found: usize,
        /// How many it needs.
        needed: usize,
    },
    /// The file holds no triangles.
    #[error("no triangles")]
    Empty,
    /// The solid has no volume: all points lie in a plane, on a line, or in one point.
    #[error("the solid is degenerate: volume {volume:e} m³")]
    ZeroVolume {
        /// The volume that was found, in cubic metres.
        volume: f64,
    },
    /// A path in the file leaves the folder that may be read.
    #[error("the path `{reference}` leaves the model's folder")]
    PathEscape {
        /// The path as it stands in the file.
        reference: String,
    },
    /// A file that this file names does not exist.
    #[error("the file `{reference}` does not exist")]
    MissingFile {
        /// The path as it stands in the file.
        reference: String,
    },
    /// The file is not well-formed.
    #[error("{message}")]
    Syntax {
        /// The parser's message.
        message: String,
    },
    /// The file uses a feature that this reader does not have.
    #[error("{what} `{name}` is not supported")]
    Unsupported {
        /// What kind of thing it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

/// `value`, if it is finite and positive.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::InvalidArgument { name, value, expected: "positive and finite" })
    }
}

/// `value`, if it is finite.
pub(crate) fn finite(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::InvalidArgument { name, value, expected: "finite" })
    }
}
