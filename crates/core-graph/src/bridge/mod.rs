//! Both directions of candle interoperation: a function on candle's tape ([`attach`]), and candle's tape as a function
//! ([`CandleFunction`]).

mod attach;
mod candle_function;

pub use attach::attach;
pub use candle_function::CandleFunction;

use candle_core::Error as CandleError;

use crate::Error;

impl Error {
    /// The typed error of ours that travelled through candle code, if there is one inside: what went wrong in a function that
    /// [`attach`] put on candle's tape, when `loss.backward()` fails.
    ///
    /// Context, paths and backtraces that candle put around it are looked through.
    ///
    /// ```
    /// use pullback_core_graph::{Error, attach, function, candle::{Device, Tensor, Var}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let f = function("root", |_, x| Ok(vec![x[0].sqrt()])); // at 0 its derivative is infinite
    /// let x = Var::new(&[4.0f64, 0.0], &Device::Cpu)?;
    /// let y = attach(&f, &[&x])?.swap_remove(0);
    /// let candle_error = y.sum_all()?.backward().unwrap_err();
    /// assert!(matches!(Error::from_candle(&candle_error), Some(Error::NotFinite { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_candle(error: &CandleError) -> Option<&Error> {
        match error {
            CandleError::Io(e) => e.get_ref()?.downcast_ref(),
            CandleError::WrappedContext { wrapped, .. } => match wrapped.downcast_ref() {
                Some(ours) => Some(ours),
                None => Error::from_candle(wrapped.downcast_ref()?),
            },
            CandleError::Context { inner, .. }
            | CandleError::WithPath { inner, .. }
            | CandleError::WithBacktrace { inner, .. } => Error::from_candle(inner),
            _ => None,
        }
    }

    /// The way back: candle's own wrapper keeps only the text, and among its variants the input/output error alone shows a foreign
    /// error's text unchanged and gives the error itself back.
    pub(crate) fn into_candle(self) -> CandleError {
        CandleError::Io(std::io::Error::other(self))
    }
}

/// An error of candle under the name of a node; one of ours that travelled through candle keeps its type and its place.
pub(crate) fn located(node: &str, error: CandleError) -> Error {
    match Error::from_candle(&error) {
        Some(ours) => ours.clone().renamed(|inner| format!("{node}/{inner}")),
        None => Error::tensor(node, error),
    }
}
