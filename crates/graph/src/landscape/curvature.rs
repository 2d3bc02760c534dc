//! The gradient and the Hessian of a loss at a point, recorded once.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Direction, Function, LinearMap, Wrt, function};

use super::operator::{Operator, check_length};
use super::parameters::Parameters;
use crate::{Error, Result};

/// A loss at a point: its value, its gradient g, and the products H·v of its Hessian, exact to rounding.
///
/// The gradient is recorded as a function network once; each product pushes v through it (forward over reverse, Pearlmutter 1994,
/// Fast exact multiplication by the Hessian), at about the cost of two gradients, and products may run in several threads.
pub struct Curvature {
    /// That of the recorded gradient.
    name: String,
    parameters: Parameters,
    loss: f64,
    gradient: Vec<f64>,
    map: Box<dyn LinearMap>,
}

impl std::fmt::Debug for Curvature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Curvature({} parameters, loss {})", self.parameters.len(), self.loss)
    }
}

impl Curvature {
    /// Records the gradient of `loss` (parameter tensors in, one output of one element) at `parameters`.
    ///
    /// Errors: more than one output; a node that offers no second derivative, by name; whatever is not finite.
    pub fn at(loss: &Arc<dyn Function>, parameters: &[Tensor]) -> Result<Self> {
        let layout = Parameters::of(parameters)?;
        let inner = loss.clone();
        let gradient = function(format!("gradient of {}", loss.name()), move |graph, x| {
            let y = scalar(graph.apply(&inner, x)?, inner.name())?;
            let mut all = vec![y];
            all.extend(graph.record_gradient(y, x)?);
            Ok(all)
        });
        let (values, map) = gradient.linearize(parameters, Wrt(&vec![true; parameters.len()]))?;
        let (name, loss) = (gradient.name().to_string(), number(&values[0])?);
        let gradient = layout.ravel(&values[1..])?;
        Ok(Curvature { name, parameters: layout, loss, gradient, map })
    }

    /// The loss.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The gradient, one number for each parameter.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// How the parameters lie in the vectors.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// H·v.
    pub fn hvp(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_length("direction of a Hessian product", self.parameters.len(), v.len())?;
        self.push(&self.parameters.unravel(v)?.into_iter().map(Some).collect())
    }

    /// The block of the Hessian that belongs to some of the parameter tensors (a layer, all biases): the others are held fixed.
    ///
    /// Errors: a tensor that is not there, or twice there.
    pub fn group(&self, tensors: &[usize]) -> Result<Group<'_>> {
        for (k, &i) in tensors.iter().enumerate() {
            if self.parameters.count() <= i || tensors[..k].contains(&i) {
                let what = format!("tensor {i} of {}, or twice", self.parameters.count());
                return Err(Error::invalid("group of parameters", what));
            }
        }
        let dim = tensors.iter().map(|&i| self.parameters.range(i).len()).sum();
        Ok(Group { whole: self, tensors: tensors.to_vec(), dim })
    }

    /// What the gradient does along a direction, for all parameters.
    fn push(&self, direction: &Direction) -> Result<Vec<f64>> {
        let pushed = self.map.push(direction)?;
        // The first output is the loss itself.
        self.parameters.gathered(&self.name, pushed.get(1..).unwrap_or(&[]))
    }
}

impl Operator for Curvature {
    fn dim(&self) -> usize {
        self.parameters.len()
    }

    fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        self.hvp(x)
    }

    fn precision(&self) -> f64 {
        self.parameters.precision()
    }
}

/// The block of a Hessian that belongs to some parameter tensors, made by [`Curvature::group`].
#[derive(Debug, Clone)]
pub struct Group<'a> {
    whole: &'a Curvature,
    tensors: Vec<usize>,
    dim: usize,
}

impl Operator for Group<'_> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        check_length("direction in a group of parameters", self.dim, x.len())?;
        // A tensor outside the group is a structural zero, which costs nothing.
        let mut direction: Direction = vec![None; self.whole.parameters.count()];
        let mut from = 0;
        for &i in &self.tensors {
            let to = from + self.whole.parameters.range(i).len();
            direction[i] = Some(self.whole.parameters.tensor(i, &x[from..to])?);
            from = to;
        }
        let pushed = self.whole.push(&direction)?;
        let part = |&i: &usize| &pushed[self.whole.parameters.range(i)];
        Ok(self.tensors.iter().flat_map(part).copied().collect())
    }

    fn precision(&self) -> f64 {
        self.whole.precision()
    }
}

/// The loss and its gradient at a point, without its curvature.
///
/// Errors: more than one output; whatever is not finite.
pub fn value_and_gradient(
    loss: &Arc<dyn Function>,
    parameters: &[Tensor],
) -> Result<(f64, Vec<f64>)> {
    let layout = Parameters::of(parameters)?;
    let (values, map) = loss.linearize(parameters, Wrt(&vec![true; parameters.len()]))?;
    let y = scalar(values, loss.name())?;
    let value = number(&y)?;
    let one = y.ones_like().map_err(pullback_core_graph::Error::from)?;
    let gradient = layout.gathered(loss.name(), &map.pull(&[Some(one)])?)?;
    Ok((value, gradient))
}

/// The one output of a loss.
pub(super) fn scalar<T>(mut outputs: Vec<T>, name: &str) -> pullback_core_graph::Result<T> {
    match (outputs.pop(), outputs.len()) {
        (Some(one), 0) => Ok(one),
        (last, others) => Err(pullback_core_graph::Error::Arity {
            node: name.into(),
            what: "output of a loss",
            expected: 1,
            got: others + usize::from(last.is_some()),
        }),
    }
}

/// The number in a tensor of one element. Errors: more elements; NaN or infinite.
pub(super) fn number(t: &Tensor) -> Result<f64> {
    let all = pullback_core_graph::tensor::to_f64(t)?;
    check_length("elements of a loss", 1, all.len())?;
    super::operator::check_finite("loss", "element", &all)?;
    Ok(all[0])
}
