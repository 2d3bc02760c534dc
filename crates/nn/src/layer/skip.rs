//! A skip connection around anything.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::activation::Activation;
use crate::parameters::Bound;
use crate::summary::Walk;

/// y = σ(skip(x) + body(x)): a residual connection (He et al. 2016) around any layer. The skip is the identity unless one is given, and so
/// is σ.
///
/// Errors of [`Layer::forward`]: those of body and skip; the two give different shapes, which are not broadcast.
pub struct Residual {
    body: Box<dyn Layer>,
    skip: Option<Box<dyn Layer>>,
    activation: Activation,
}

impl Residual {
    /// x + body(x).
    #[must_use]
    pub fn new(body: impl Layer + 'static) -> Self {
        Self { body: Box::new(body), skip: None, activation: Activation::Identity }
    }

    /// The same with a layer in place of the identity, for a body that changes the shape.
    #[must_use]
    pub fn with_skip(self, skip: impl Layer + 'static) -> Self {
        Self { skip: Some(Box::new(skip)), ..self }
    }

    /// The same with an activation of the sum.
    #[must_use]
    pub fn then(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
}

impl std::fmt::Debug for Residual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let skip = if self.skip.is_some() { "a layer" } else { "the identity" };
        write!(f, "Residual({skip} beside its body, then {})", self.activation.name())
    }
}

impl Layer for Residual {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let change = self.body.forward(parameters, x)?;
        let kept = match &self.skip {
            Some(skip) => skip.forward(parameters, x)?,
            None => x,
        };
        // A sum would broadcast.
        if kept.dims()? != change.dims()? {
            let what = "skip and body must give one shape (skip, body)";
            return Err(Error::shape("residual", what, &[&kept.dims()?, &change.dims()?]));
        }
        self.activation.apply((kept + change).ok()?)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.sum(
            |walk| self.body.walk(walk),
            |walk| self.skip.iter().try_for_each(|layer| layer.walk(walk)),
        )?;
        match self.activation {
            Activation::Identity => Ok(()),
            activation => activation.walk(walk),
        }
    }
}
