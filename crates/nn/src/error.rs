//! The crate's one error type.

use candle_core::Tensor;
use pullback_core_graph::Phase;
use pullback_core_graph::tensor::ensure_finite;

/// What can go wrong in this crate. Every variant carries the numbers that a caller needs to fix the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size, stride or similar argument that must be positive is zero, or sizes contradict each other.
    #[error("{operation}: {argument} = {value}: {reason}")]
    Argument {
        /// The operation that refused.
        operation: &'static str,
        /// The argument's name.
        argument: &'static str,
        /// Its value.
        value: usize,
        /// The condition that it breaks.
        reason: &'static str,
    },
    /// A slice's length does not match the shape that describes it.
    #[error("{operation}: `{argument}` has {found} elements, the shape says {expected}")]
    Length {
        /// The operation that refused.
        operation: &'static str,
        /// The slice's name.
        argument: &'static str,
        /// The number of elements that the shape implies.
        expected: usize,
        /// The number of elements that came.
        found: usize,
    },
    /// A kernel left a part of its output as it was: a fault of this crate.
    #[error("a kernel left a part of its output unwritten")]
    Unwritten,
    /// A (dilated) window does not fit into the padded image.
    #[error(
        "{operation}: a window of {window} does not fit along axis {axis}: size {size} with padding {padding} on both sides"
    )]
    WindowTooLarge {
        /// The operation that refused.
        operation: &'static str,
        /// 0: height, 1: width.
        axis: usize,
        /// dilation·(kernel − 1) + 1.
        window: usize,
        /// The image's size along the axis.
        size: usize,
        /// Padding on each side.
        padding: usize,
    },
    /// A setting outside its range.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The condition that it breaks.
        reason: &'static str,
    },
    /// A parameter that is missing, unexpected, or of another shape or element type.
    #[error("parameter `{name}`: {what}")]
    Parameter {
        /// The full name.
        name: String,
        /// What is wrong, with the numbers.
        what: String,
    },
    /// A text entry of a checkpoint that is missing or unreadable.
    #[error("checkpoint entry `{name}`: {}", .found.as_ref().map_or("missing".into(), |f| format!("cannot be read: {f:?}")))]
    Entry {
        /// The entry's name.
        name: String,
        /// Its text, if it is there.
        found: Option<String>,
    },
    /// A file that is not a checkpoint, or a damaged one.
    #[error("checkpoint {}: {reason}", .path.display())]
    Checkpoint {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A layer that does not say what it does to shapes.
    #[error("{layer} does not describe itself: implement Layer::walk")]
    Undescribed {
        /// Its type.
        layer: &'static str,
    },
    /// The disk refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of data that is not what it should be: damaged, cut short, of another format.
    #[error("{}, byte {at}: {reason}", .path.display())]
    Data {
        /// The file.
        path: std::path::PathBuf,
        /// Where in it, in bytes.
        at: u64,
        /// What is wrong, with the numbers.
        reason: String,
    },
    /// A panic in a function that the caller gave us, caught in a thread of ours.
    #[error("{place} panicked: {message}")]
    Panic {
        /// Which function, in which call.
        place: String,
        /// The panic's message.
        message: String,
    },
    /// A name that stands for nothing.
    #[error("there is no {what} `{name}`; there are: {known}")]
    Name {
        /// What was asked for.
        what: &'static str,
        /// By which name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// NaN or an infinity in what a method takes or makes.
    #[error("{operation}: {what} is {value} at flat index {index}")]
    NotFinite {
        /// The method and, where it counts them, its step: `sgd, step 8`.
        operation: String,
        /// What is not finite: the gradient of a parameter by name, its new value, what is kept for it.
        what: String,
        /// The flat row-major index of the first such element.
        index: usize,
        /// The element.
        value: f64,
    },
    /// Examples that make no batch.
    #[error("Loader: {examples} examples make no batch of {batch}{}", if *drop_last { ", and `drop_last` leaves smaller ones out" } else { "" })]
    NoBatch {
        /// How many examples the dataset has.
        examples: usize,
        /// How many a batch has.
        batch: usize,
        /// Whether smaller batches are left out.
        drop_last: bool,
    },
    /// An error of the function network.
    #[error(transparent)]
    Graph(#[from] pullback_core_graph::Error),
    /// An index buffer points outside the image that it indexes.
    #[error("{operation}: index {index} at position {position} is outside 0..{size}")]
    Index {
        /// The operation that refused.
        operation: &'static str,
        /// Where among the indices.
        position: usize,
        /// The offending index.
        index: i64,
        /// How many there are: pixels of a plane, examples, classes.
        size: usize,
    },
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Graph(error.into())
    }
}

/// So that `?` works inside a function network; the typed error stays reachable as the source.
impl From<Error> for pullback_core_graph::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Graph(error) => error,
            other => Self::external("nn", other),
        }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks that all of a tensor is finite; `what` is `[operation, what]` of [`Error::NotFinite`].
pub(crate) fn check_finite(t: &Tensor, what: impl FnOnce() -> [String; 2]) -> Result<()> {
    match ensure_finite(t, "", Phase::Eval, 0) {
        Err(pullback_core_graph::Error::NotFinite { index, value, .. }) => {
            let [operation, what] = what();
            Err(Error::NotFinite { operation, what, index, value })
        }
        other => Ok(other?),
    }
}

/// Checks a slice's length against its shape.
pub(crate) fn check_len(
    operation: &'static str,
    argument: &'static str,
    found: usize,
    expected: usize,
) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Length { operation, argument, expected, found })
    }
}

/// Whether numbers of these dimensions can be had from the system now.
pub(crate) fn room<T>(dims: &[usize]) -> bool {
    /// Nobody runs out of less.
    const SMALL: usize = 1 << 28;
    let beside = dims.iter().filter(|&&d| d > 0);
    match { beside }.try_fold(size_of::<T>(), |n, &d| n.checked_mul(d)) {
        None => false,
        Some(bytes) if bytes <= SMALL || dims.contains(&0) => true,
        Some(bytes) => Vec::<u8>::new().try_reserve_exact(bytes).is_ok(),
    }
}

/// Checks that an argument is positive.
pub(crate) fn check_positive(
    operation: &'static str,
    argument: &'static str,
    value: usize,
) -> Result<()> {
    if value > 0 {
        Ok(())
    } else {
        Err(Error::Argument { operation, argument, value, reason: "must be positive" })
    }
}
