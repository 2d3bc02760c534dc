//! One layer after the other.

use pullback_core_graph::{Result, Var};

use super::Layer;
use crate::parameters::Bound;
use crate::summary::Walk;

/// Layers applied in order; none is the identity.
#[derive(Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Layer>>,
}

impl Sequential {
    /// No layers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn then(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }
}

impl std::fmt::Debug for Sequential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sequential({} layers)", self.layers.len())
    }
}

impl Layer for Sequential {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.layers.iter().try_fold(x, |x, layer| layer.forward(parameters, x))
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        self.layers.iter().try_for_each(|layer| layer.walk(walk))
    }
}
