//! The rectifier with a learned slope.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// max(x, 0) + weight·min(x, 0), with one weight for all or one for each channel along axis 1 (He et al. 2015).
///
/// At 0 the derivative with respect to x is the weight, and that with respect to the weight is 0.
#[derive(Debug, Clone)]
pub struct Prelu {
    weight: String,
    channels: usize,
}

impl Prelu {
    /// Makes `weight` (channels), first 0.25; one channel serves any input.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(scope: &mut Scope<'_>, channels: usize) -> crate::Result<Self> {
        let weight = scope.parameter("weight", &[channels], Initialization::Constant(0.25))?;
        Ok(Self { weight, channels })
    }
}

impl Layer for Prelu {
    /// Errors: other channels along axis 1.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let dims = x.dims()?;
        let mut weight = parameters.get(&self.weight)?;
        if self.channels != 1 {
            if dims.get(1) != Some(&self.channels) {
                let what = format!("{} channels along axis 1", self.channels);
                return Err(Error::shape("prelu", what, &[&dims]));
            }
            let mut along = vec![1; dims.len()];
            along[1] = self.channels;
            weight = weight.reshape(&along);
        }
        x.step().select(x, x * weight).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("prelu", &[&self.weight])
    }
}
