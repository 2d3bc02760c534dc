//! Vectors for symbols.

use pullback_core_graph::{Error, Result, Var};

use super::Layer;
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// y[…] = weight\[x[…]\]: row x of a table for each integer.
///
/// Shapes: x (…) of integers, weight (symbols, features), y (…, features). The derivative adds up over repeated symbols.
#[derive(Debug, Clone)]
pub struct Embedding {
    weight: String,
    features: usize,
    padding: Option<u32>,
}

impl Embedding {
    /// Makes `weight`, normal with deviation 1 (PyTorch's default).
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(scope: &mut Scope<'_>, symbols: usize, features: usize) -> crate::Result<Self> {
        let normal = Initialization::Normal { mean: 0.0, deviation: 1.0 };
        let weight = scope.parameter("weight", &[symbols, features], normal)?;
        Ok(Self { weight, features, padding: None })
    }

    /// The same with a symbol for nothing: its vector is 0 whatever the table holds, so its row has the derivative 0.
    #[must_use]
    pub fn with_padding(self, symbol: u32) -> Self {
        Self { padding: Some(symbol), ..self }
    }
}

impl Layer for Embedding {
    /// Errors: an input that is not of integers, a symbol that is not in the table.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let (symbols, weight) = (x.value()?, parameters.get(&self.weight)?);
        if !symbols.dtype().is_int() {
            let (node, got) = ("embedding".into(), vec![symbols.dtype()]);
            return Err(Error::DType { node, what: "symbols are integers", got });
        }
        let mut dims = symbols.dims().to_vec();
        let flat = symbols.flatten_all()?;
        let mut rows = weight.index_select(&flat, 0);
        if let Some(padding) = self.padding {
            let other = flat.ne(padding)?.to_dtype(rows.dtype()?)?.unsqueeze(1)?;
            rows = x.graph().constant(&other).select(rows, rows.zeros_like());
        }
        dims.push(self.features);
        rows.reshape(&dims).ok()
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let dims = [walk.dims(), &[self.features]].concat();
        walk.reshape("embedding", &dims, &[&self.weight])
    }
}
