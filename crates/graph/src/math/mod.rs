//! Elementary functions without branches, so that a loop over lanes becomes vector instructions, and the same bits on every processor.

mod double;
mod exponential;
mod inverse;
mod logarithm;
mod power;
mod reduction;
mod trigonometric;

pub(crate) use exponential::{cosh, exp, exp_m1, sinh, tanh};
pub(crate) use inverse::{acos, asin, atan, atan2};
pub(crate) use logarithm::{acosh, asinh, atanh, ln, ln_1p};
pub(crate) use power::{hypot, pow};
pub(crate) use trigonometric::{
    REDUCIBLE, cos, cos_anywhere, sin, sin_anywhere, sin_cos, tan, tan_anywhere,
};
