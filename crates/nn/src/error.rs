//! The crate's one error type.

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
    /// An index buffer points outside the image that it indexes.
    #[error(
        "{operation}: index {index} at position {position} is outside a plane of {size} elements"
    )]
    Index {
        /// The operation that refused.
        operation: &'static str,
        /// Where in the index buffer.
        position: usize,
        /// The offending index.
        index: usize,
        /// Elements in one plane.
        size: usize,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
