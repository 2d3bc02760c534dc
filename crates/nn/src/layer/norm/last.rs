//! Normalizations over the last axes of each sample.

use pullback_core_graph::{Error, Result, Var};

use super::affine::Affine;
use crate::layer::Layer;
use crate::ops::{standardize, unit_rms};
use crate::parameters::{Bound, Scope};
use crate::summary::Walk;

/// y = (x − μ)/√(σ² + ε)·weight + bias with μ and σ² (divided by n) over the last axes (Ba et al. 2016).
///
/// Shapes: x, y (…, dims), weight and bias (dims).
#[derive(Debug, Clone)]
pub struct LayerNorm {
    affine: Affine,
    dims: Vec<usize>,
    epsilon: f64,
}

/// y = x/√(mean of x² + ε)·weight over the last axes (Zhang and Sennrich 2019).
///
/// Shapes: x, y (…, dims), weight (dims).
#[derive(Debug, Clone)]
pub struct RmsNorm {
    affine: Affine,
    dims: Vec<usize>,
    epsilon: f64,
}

impl LayerNorm {
    /// Makes `weight` (ones) and `bias` (zeros), with ε = 10⁻⁵.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(scope: &mut Scope<'_>, dims: &[usize]) -> crate::Result<Self> {
        Self::with_epsilon(scope, dims, 1e-5, true)
    }

    /// The same with another ε, and with a learned scale and shift if `affine`.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn with_epsilon(
        scope: &mut Scope<'_>,
        dims: &[usize],
        epsilon: f64,
        affine: bool,
    ) -> crate::Result<Self> {
        let affine = Affine::new(scope, dims, [affine; 2], 0)?;
        Ok(Self { affine, dims: dims.to_vec(), epsilon })
    }
}

impl RmsNorm {
    /// Makes `weight` (ones), with ε = 10⁻⁶.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn new(scope: &mut Scope<'_>, dims: &[usize]) -> crate::Result<Self> {
        Self::with_epsilon(scope, dims, 1e-6)
    }

    /// The same with another ε.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn with_epsilon(
        scope: &mut Scope<'_>,
        dims: &[usize],
        epsilon: f64,
    ) -> crate::Result<Self> {
        let affine = Affine::new(scope, dims, [true, false], 0)?;
        Ok(Self { affine, dims: dims.to_vec(), epsilon })
    }
}

/// The last axes, counted from the end. Errors: they have other lengths.
fn last_axes(node: &str, x: Var<'_>, dims: &[usize]) -> Result<Vec<i32>> {
    let found = x.dims()?;
    if dims.is_empty() || !found.ends_with(dims) {
        return Err(Error::shape(node, format!("(…, {dims:?})"), &[&found]));
    }
    Ok((1..=dims.len() as i32).map(|i| -i).collect())
}

impl Layer for LayerNorm {
    /// Errors: an input whose last axes are others.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let axes = last_axes("layer_norm", x, &self.dims)?;
        self.affine.apply(parameters, standardize(x, &axes, self.epsilon)?.value)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("layer_norm", &self.affine.names())
    }
}

impl Layer for RmsNorm {
    /// Errors: an input whose last axes are others.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let axes = last_axes("rms_norm", x, &self.dims)?;
        self.affine.apply(parameters, unit_rms(x, &axes, self.epsilon)?)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("rms_norm", &self.affine.names())
    }
}
