//! Normalization with weight and bias as one operation: statistics, scale and shift in one kernel, the gradient in another.

use std::sync::Arc;

use pullback_core_graph::primitive::Slots;
use pullback_core_graph::{Error, Function, Result, Var, function};

use super::fused::{Fused, FusedKernel, Made};
use super::standardize::check_epsilon;
use crate::kernel::matrix::Element;
use crate::kernel::normalization::{Grouping, Normalization, normalize, normalize_gradient};

/// y and the statistics that it was made with, one of each for each group; no derivative goes through those.
#[derive(Debug, Clone, Copy)]
pub struct NormalizedVar<'g> {
    /// As x.
    pub value: Var<'g>,
    /// The mean of each group.
    pub mean: Var<'g>,
    /// Σ(x − mean)²/n of each group.
    pub variance: Var<'g>,
}

/// (x − mean)/√(variance + ε)·weight + bias over the groups that `sizes` states, of an x with planes·pixels numbers in row-major order.
///
/// Shapes: weight and bias of any shape with one number for each of [`Normalization::weights`], result as x. The derivative goes through
/// mean and variance; it has every order.
///
/// # Errors
/// [`Error::Shape`] for another number of elements or none; [`Error::Invalid`] for an ε that is not positive and finite, and
/// for planes that the grouping does not divide.
pub fn normalized<'g>(
    node: &'static str,
    x: Var<'g>,
    weight: Option<Var<'g>>,
    bias: Option<Var<'g>>,
    sizes: Normalization,
) -> Result<NormalizedVar<'g>> {
    check_epsilon(node, sizes.epsilon)?;
    let dims = x.dims()?;
    if !sizes.is_whole() {
        let Normalization { planes, grouping, .. } = sizes;
        return Err(Error::invalid(node, format!("{planes} planes are no whole {grouping:?}")));
    }
    if Some(dims.iter().product()) != sizes.planes.checked_mul(sizes.pixels) || dims.contains(&0) {
        let what = format!("{} planes of {} numbers, at least one", sizes.planes, sizes.pixels);
        return Err(Error::shape(node, what, &[&dims]));
    }
    for v in [weight, bias].into_iter().flatten() {
        let found = v.dims()?;
        if found.iter().product::<usize>() != sizes.weights() {
            return Err(Error::shape(node, format!("{} weights", sizes.weights()), &[&found]));
        }
    }
    let parts = [weight.is_some(), bias.is_some()];
    let shape = |v: Option<Var<'g>>| v.map_or_else(|| Ok(vec![]), |v| v.dims());
    let affine_dims = [shape(weight)?, shape(bias)?];
    let plan = Plan { node, sizes, dims, affine_dims, parts };
    let inputs: Vec<Var<'g>> = [Some(x), weight, bias].into_iter().flatten().collect();
    let carried = inputs.len();
    let rule = plan.clone();
    let op = Fused {
        name: node,
        formula: plan.formula(),
        carried,
        results: 1,
        gradient: Some(Box::new(move |x: &[Var<'_>], y: &[Var<'_>], dy| rule.pull(x, y, dy))),
        kernel: Forward(plan),
    };
    let out = x.graph().record_all(Arc::new(op), &inputs)?;
    Ok(NormalizedVar { value: out[0], mean: out[1], variance: out[2] })
}

#[derive(Clone)]
struct Plan {
    node: &'static str,
    sizes: Normalization,
    dims: Vec<usize>,
    /// Of the weight and of the bias.
    affine_dims: [Vec<usize>; 2],
    /// Is there a weight, a bias?
    parts: [bool; 2],
}

struct Forward(Plan);
struct Backward(Plan);

impl FusedKernel for Forward {
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>> {
        let Plan { sizes, dims, parts: [weight, bias], .. } = &self.0;
        let (weight, bias) = (weight.then(|| x[1]), bias.then(|| x[x.len() - 1]));
        let made = normalize(sizes, x[0], weight, bias);
        let groups = vec![sizes.groups()];
        let statistics = [(made.mean, groups.clone()), (made.variance, groups)];
        Ok(Made::seen(made.y, dims, statistics))
    }

    /// All of x is in the statistics.
    fn sees(&self, i: usize, _: usize) -> bool {
        i == 0
    }
}

impl FusedKernel for Backward {
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>> {
        let Plan { sizes, dims, affine_dims, parts: [weight, bias], .. } = &self.0;
        let weighted = weight.then(|| x[1]);
        let [dy, mean, variance] = [3, 2, 1].map(|k| x[x.len() - k]);
        let made = normalize_gradient(sizes, x[0], weighted, dy, mean, variance);
        let [of_weight, of_bias] = affine_dims.clone();
        let dweight = weight.then_some((made.dweight, of_weight));
        let dbias = bias.then_some((made.dbias, of_bias));
        Ok(Made::seen(made.dx, dims, dweight.into_iter().chain(dbias)))
    }

    /// All of dy is in the means that dx lacks, or in its own place.
    fn sees(&self, i: usize, inputs: usize) -> bool {
        i + 3 == inputs
    }
}

/// x̂, and what turns it into x̂'s derivative, as variables.
struct Standard<'g> {
    /// (groups as [`Plan::grouped`] has them).
    value: Var<'g>,
    scale: Var<'g>,
    axes: Vec<i32>,
}

impl Plan {
    /// The gradient's kernel as a node.
    fn pull<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dy: Var<'g>) -> Result<Slots<'g>> {
        let [weight, _] = self.parts;
        let mut inputs = vec![x[0]];
        inputs.extend(weight.then(|| x[1]));
        let carried = inputs.len() + 1;
        inputs.extend([dy, y[1], y[2]]);
        let op = Fused {
            name: self.node,
            kernel: Backward(self.clone()),
            formula: self.gradient_formula(),
            carried,
            results: x.len(),
            gradient: None,
        };
        Ok(dy.graph().record_all(Arc::new(op), &inputs)?.into_iter().map(Some).collect())
    }

    /// x in a shape whose axes are the groups' or not, and which those are.
    fn grouped(&self) -> (Vec<usize>, Vec<i32>) {
        let Normalization { planes, pixels, grouping, .. } = self.sizes;
        match grouping {
            Grouping::Planes => (vec![planes, pixels], vec![1]),
            Grouping::Channels(channels) => (vec![planes / channels, channels, pixels], vec![0, 2]),
            Grouping::Successive { size, .. } => (vec![planes / size, size * pixels], vec![1]),
        }
    }

    /// x in a shape over which weights of the other shape stretch, and the axes that they are not along.
    fn weighted(&self) -> (Vec<usize>, Vec<usize>, Vec<i32>) {
        let Normalization { planes, pixels, grouping, .. } = self.sizes;
        match grouping {
            Grouping::Planes => (vec![planes, pixels], vec![pixels], vec![0]),
            Grouping::Channels(channels) | Grouping::Successive { channels, .. } => {
                (vec![planes / channels, channels, pixels], vec![channels, 1], vec![0, 2])
            }
        }
    }

    fn standard<'g>(&self, x: Var<'g>) -> Standard<'g> {
        let (dims, axes) = self.grouped();
        let x = x.reshape(&dims);
        let centred = if self.sizes.centred { x - x.mean_keepdim(axes.as_slice()) } else { x };
        let variance = centred.sqr().mean_keepdim(axes.as_slice());
        let scale = (variance + self.sizes.epsilon).rsqrt();
        Standard { value: centred * scale, scale, axes }
    }

    /// (x, weight, bias) ↦ y.
    fn formula(&self) -> Arc<dyn Function> {
        let plan = self.clone();
        function(self.node, move |_, x| {
            let (dims, stretched, _) = plan.weighted();
            let mut y = plan.standard(x[0]).value.reshape(&dims);
            if plan.parts[0] {
                y = y * x[1].reshape(&stretched);
            }
            if plan.parts[1] {
                y = y + x[x.len() - 1].reshape(&stretched);
            }
            Ok(vec![y.reshape(&plan.dims).ok()?])
        })
    }

    /// (x, weight, dy) ↦ (dx, dweight, dbias), as [`normalize_gradient`] states it.
    fn gradient_formula(&self) -> Arc<dyn Function> {
        let plan = self.clone();
        function(self.node, move |_, v| {
            let (dims, stretched, along) = plan.weighted();
            let (x, dy) = (v[0], v[v.len() - 1].reshape(&dims));
            let standard = plan.standard(x);
            let axes = standard.axes.as_slice();
            let weighted = if plan.parts[0] { dy * v[1].reshape(&stretched) } else { dy };
            let g = weighted.reshape(&plan.grouped().0);
            let mut d = g - standard.value * (g * standard.value).mean_keepdim(axes);
            if plan.sizes.centred {
                d = d - g.mean_keepdim(axes);
            }
            let mut out = vec![(d * standard.scale).reshape(&plan.dims)];
            if plan.parts[0] {
                let product = dy * standard.value.reshape(&dims);
                out.push(product.sum(along.as_slice()).reshape(&plan.affine_dims[0]));
            }
            if plan.parts[1] {
                out.push(dy.sum(along.as_slice()).reshape(&plan.affine_dims[1]));
            }
            Ok(out)
        })
    }
}
