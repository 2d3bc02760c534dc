//! Normalizations over the last axes of each sample.

use pullback_core_graph::{Error, Result, Var};

use super::affine::Affine;
use crate::kernel::normalization::{Grouping, Normalization};
use crate::layer::Layer;
use crate::ops::{normalized, standardize, unit_rms};
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

/// x normalized over its last axes. Errors: they have other lengths.
fn over_last<'g>(
    node: &'static str,
    (affine, p): (&Affine, &Bound<'g>),
    x: Var<'g>,
    dims: &[usize],
    (centred, epsilon): (bool, f64),
) -> Result<Var<'g>> {
    let found = x.dims()?;
    if dims.is_empty() || !found.ends_with(dims) {
        return Err(Error::shape(node, format!("(…, {dims:?})"), &[&found]));
    }
    if !x.device()?.is_cpu() || found.contains(&0) {
        let axes: Vec<i32> = (1..=dims.len() as i32).map(|i| -i).collect();
        let y = match centred {
            true => standardize(x, &axes, epsilon)?.value,
            false => unit_rms(x, &axes, epsilon)?,
        };
        return affine.apply(p, y);
    }
    let planes = found[..found.len() - dims.len()].iter().product();
    let (pixels, grouping) = (dims.iter().product(), Grouping::Planes);
    let sizes = Normalization { planes, pixels, grouping, centred, epsilon };
    let [weight, bias] = affine.vars(p)?;
    Ok(normalized(node, x, weight, bias, sizes)?.value)
}

impl Layer for LayerNorm {
    /// Errors: an input whose last axes are others.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let how = (true, self.epsilon);
        over_last("layer_norm", (&self.affine, parameters), x, &self.dims, how)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("layer_norm", &self.affine.names())
    }
}

impl Layer for RmsNorm {
    /// Errors: an input whose last axes are others.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let how = (false, self.epsilon);
        over_last("rms_norm", (&self.affine, parameters), x, &self.dims, how)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.keep("rms_norm", &self.affine.names())
    }
}
