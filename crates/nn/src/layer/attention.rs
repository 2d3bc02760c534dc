//! Multi-head attention.

use candle_core::Tensor;
use pullback_core_graph::{Error, Result, Var};

use super::{Dropout, Layer};
use crate::ops::{Heads, attention};
use crate::parameters::{Bound, Initialization, Scope};
use crate::summary::Walk;

/// Which keys a query may look at.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionMask<'a> {
    /// A query at time t sees the keys up to t.
    pub causal: bool,
    /// An integer tensor that broadcasts to (batch, heads, queries, keys): 1 where a query sees a key, 0 where not.
    pub seen: Option<&'a Tensor>,
}

/// softmax(QKᵀ/√d)·V for each of several heads, each with its own linear maps of queries, keys and values, and one linear map of all
/// heads' results (Vaswani et al. 2017).
///
/// Shapes: queries (batch, targets, features), keys and values (batch, sources, features), result (batch, targets, features). A query
/// that may see no key gets the value 0 from every head, and no derivative (PyTorch: NaN). Parameters are named and laid out as
/// PyTorch's: `in_proj_weight` (3·features, features) holds the maps of queries, keys and values, `out_proj.weight` the last one.
#[derive(Debug, Clone)]
pub struct MultiHeadAttention {
    input: [String; 2],
    output: [String; 2],
    features: usize,
    heads: usize,
    causal: bool,
    dropout: Option<Dropout>,
}

impl MultiHeadAttention {
    /// Makes the parameters: Xavier's weights, biases of zero.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) if the heads do not divide the features.
    pub fn new(scope: &mut Scope<'_>, features: usize, heads: usize) -> crate::Result<Self> {
        Self::initialized(scope, features, heads, Initialization::Xavier)
    }

    /// The same with other first values of the weights. [`Initialization::Pytorch`] leaves Xavier's for the maps of queries, keys and
    /// values, and all biases 0, as PyTorch does.
    ///
    /// # Errors
    /// As [`MultiHeadAttention::new`].
    pub fn initialized(
        scope: &mut Scope<'_>,
        features: usize,
        heads: usize,
        initialization: Initialization,
    ) -> crate::Result<Self> {
        if heads == 0 || features == 0 || !features.is_multiple_of(heads) {
            return Err(crate::Error::Argument {
                operation: "MultiHeadAttention",
                argument: "heads",
                value: heads,
                reason: "must divide the features",
            });
        }
        let (rows, zero) = (features.saturating_mul(3), Initialization::Constant(0.0));
        let first = match initialization {
            Initialization::Pytorch => Initialization::Xavier,
            other => other,
        };
        let input = [
            scope.parameter("in_proj_weight", &[rows, features], first)?,
            scope.parameter("in_proj_bias", &[rows], zero)?,
        ];
        let mut last = scope.scope("out_proj");
        let output = [
            last.parameter("weight", &[features, features], initialization)?,
            last.parameter("bias", &[features], zero)?,
        ];
        Ok(Self { input, output, features, heads, causal: false, dropout: None })
    }

    /// As a [`Layer`], let each position see only those up to itself.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// Drop attention weights in training.
    #[must_use]
    pub fn with_dropout(self, dropout: Dropout) -> Self {
        Self { dropout: Some(dropout), ..self }
    }

    /// What the queries find.
    ///
    /// # Errors
    /// Shapes that do not fit, a mask that does not broadcast or is not of integers.
    pub fn attend<'g>(
        &self,
        parameters: &Bound<'g>,
        [queries, keys, values]: [Var<'g>; 3],
        mask: AttentionMask<'_>,
    ) -> Result<Var<'g>> {
        let [batch, _] = self.check(queries)?;
        let sources = self.check(keys)?;
        if sources != self.check(values)? || sources[0] != batch {
            let dims = [queries.dims()?, keys.dims()?, values.dims()?];
            let what = "one batch, and a value for each key (queries, keys, values)";
            return Err(Error::shape("attention", what, &[&dims[0], &dims[1], &dims[2]]));
        }
        let heads = Heads { count: self.heads, causal: mask.causal, seen: mask.seen.cloned() };
        let x = self.project(parameters, [queries, keys, values])?;
        let joined = match &self.dropout {
            None if queries.device()?.is_cpu() && batch > 0 => attention(&x, &heads)?,
            dropout => {
                let n = self.features;
                let parts = match x[..] {
                    [all] => [0, 1, 2].map(|i| all.narrow(-1, i * n, n)),
                    _ => [x[0], x[1], x[2]],
                };
                heads.compose(parts, |weights| match dropout {
                    Some(dropout) => dropout.forward(parameters, weights),
                    None => Ok(weights),
                })?
            }
        };
        let [weight, bias] = [&self.output[0], &self.output[1]].map(|name| parameters.get(name));
        (joined.matmul(weight?.t()) + bias?).ok()
    }

    /// The linear maps of queries, keys and values: one product, all side by side, where the three are one variable.
    fn project<'g>(&self, parameters: &Bound<'g>, x: [Var<'g>; 3]) -> Result<Vec<Var<'g>>> {
        let n = self.features;
        let weight = parameters.get(&self.input[0])?;
        let bias = parameters.get(&self.input[1])?;
        let [q, k, v] = [x[0].index()?, x[1].index()?, x[2].index()?];
        if q == k && k == v {
            return Ok(vec![(x[0].matmul(weight.t()) + bias).ok()?]);
        }
        let map = |i: usize| {
            let (weight, bias) = (weight.narrow(0, i * n, n), bias.narrow(0, i * n, n));
            (x[i].matmul(weight.t()) + bias).ok()
        };
        (0..3).map(map).collect()
    }

    /// Batch and time. Errors: another shape than (batch, time ≥ 1, features).
    fn check(&self, x: Var<'_>) -> Result<[usize; 2]> {
        match *x.dims()? {
            [batch, time, features] if features == self.features && time > 0 => Ok([batch, time]),
            ref other => {
                let what = format!("(batch, time ≥ 1, {} features)", self.features);
                Err(Error::shape("attention", what, &[other]))
            }
        }
    }
}

impl Layer for MultiHeadAttention {
    /// Self-attention: x gives queries, keys and values.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let mask = AttentionMask { causal: self.causal, seen: None };
        self.attend(parameters, [x; 3], mask)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let names = [&self.input, &self.output].map(|pair| [pair[0].as_str(), pair[1].as_str()]);
        walk.features("attention", [self.features; 2], &names.concat())
    }
}
