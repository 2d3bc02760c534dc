//! A function of all parameters, for methods that ask for more than one gradient a step.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Error as GraphError, Function, Graph, LinearMap, Var, Wrt, function};

use crate::error::{Error, Result};
use crate::parameters::{Bound, Parameters};

/// f(p) over all parameters: its value, gradient, Hessian products, and its residuals if it is made of such.
#[derive(Clone)]
pub struct Objective {
    function: Arc<dyn Function>,
    residuals: Option<Arc<dyn Function>>,
}

impl std::fmt::Debug for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Objective({})", self.function.name())
    }
}

impl Objective {
    /// What the closure records, which has one element. Buffers are those that `parameters` have now.
    pub fn new<F>(name: impl Into<String>, parameters: &Parameters, f: F) -> Self
    where
        F: for<'g> Fn(&'g Graph, &Bound<'g>) -> pullback_core_graph::Result<Var<'g>>
            + Send
            + Sync
            + 'static,
    {
        Self { function: over_parameters(name.into(), parameters, f), residuals: None }
    }

    /// ½‖r‖² of the residuals r that the closure records, of any shape.
    pub fn least_squares<F>(name: impl Into<String>, parameters: &Parameters, r: F) -> Self
    where
        F: for<'g> Fn(&'g Graph, &Bound<'g>) -> pullback_core_graph::Result<Var<'g>>
            + Send
            + Sync
            + 'static,
    {
        let name = name.into();
        let residuals = over_parameters(name.clone(), parameters, r);
        let inner = residuals.clone();
        let half = function(format!("{name}, half square"), move |graph, p| {
            Ok(graph.apply(&inner, p)?.into_iter().map(|r| 0.5 * r.sqr().sum(())).collect())
        });
        Self { function: half, residuals: Some(residuals) }
    }

    /// f(p).
    ///
    /// # Errors
    /// Those of the function; more than one element.
    pub fn value(&self, parameters: &Parameters) -> Result<f64> {
        one(self.function.name(), &self.function.eval(&parameters.values())?)
    }

    /// f(p) and its gradient in the order of the parameters' names, as an [`Optimizer`](super::Optimizer) takes it.
    ///
    /// # Errors
    /// As [`Objective::value`].
    pub fn gradient(&self, parameters: &Parameters) -> Result<(f64, Vec<Tensor>)> {
        let values = parameters.values();
        let (y, map) = self.function.linearize(&values, Wrt(&vec![true; values.len()]))?;
        let value = one(self.function.name(), &y)?;
        let pulled = map.pull(&[Some(y[0].ones_like()?)])?;
        let dense =
            pulled.into_iter().zip(&values).map(|(d, p)| d.map_or_else(|| p.zeros_like(), Ok));
        Ok((value, dense.collect::<candle_core::Result<_>>()?))
    }

    /// f(p), its gradient, and its Hessian as a map: the gradient is recorded once, each product pushes a direction through it
    /// (Pearlmutter 1994), at about the cost of two gradients.
    ///
    /// # Errors
    /// As [`Objective::value`]; a node that offers no second derivative.
    pub fn curvature(&self, parameters: &Parameters) -> Result<Curvature> {
        let inner = self.function.clone();
        let gradient = function(format!("gradient of {}", inner.name()), move |graph, p| {
            let y = graph.apply(&inner, p)?;
            let [y] = y[..] else {
                let (what, got) = ("values", y.len());
                return Err(GraphError::Arity {
                    node: inner.name().into(),
                    what,
                    expected: 1,
                    got,
                });
            };
            Ok([y].into_iter().chain(graph.record_gradient(y, p)?).collect())
        });
        let values = parameters.values();
        let (y, map) = gradient.linearize(&values, Wrt(&vec![true; values.len()]))?;
        let space = Space::of(parameters);
        let value = one(self.function.name(), &y[..1])?;
        Ok(Curvature { value, gradient: space.ravel(&y[1..])?, space, map })
    }

    /// The same function, not one that looks alike?
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.function), Arc::as_ptr(&other.function))
    }

    pub(super) fn residuals(&self) -> Result<&Arc<dyn Function>> {
        let what = "this method needs an objective made by `Objective::least_squares`";
        let missing = || GraphError::invalid(self.function.name(), what);
        Ok(self.residuals.as_ref().ok_or_else(missing)?)
    }

    /// f at x, or ∞ where it has no finite value: a trial that goes too far is turned down, not an error.
    pub(super) fn trial(&self, parameters: &Parameters) -> Result<f64> {
        or_infinite(self.value(parameters), f64::INFINITY)
    }

    /// f and its flat gradient at x, or ∞ and nothing.
    pub(super) fn trial_gradient(&self, parameters: &Parameters) -> Result<(f64, Vec<f64>)> {
        let found = self
            .gradient(parameters)
            .and_then(|(value, gradient)| Ok((value, Space::of(parameters).ravel(&gradient)?)));
        or_infinite(found, (f64::INFINITY, Vec::new()))
    }
}

fn or_infinite<T>(found: Result<T>, infinite: T) -> Result<T> {
    match found {
        Err(Error::Graph(GraphError::NotFinite { .. })) => Ok(infinite),
        other => other,
    }
}

fn over_parameters<F>(name: String, parameters: &Parameters, f: F) -> Arc<dyn Function>
where
    F: for<'g> Fn(&'g Graph, &Bound<'g>) -> pullback_core_graph::Result<Var<'g>>
        + Send
        + Sync
        + 'static,
{
    let (names, all) = (parameters.names(), parameters.clone());
    function(name, move |graph, p| {
        let bound = Bound::new(names.clone(), p)?.with_buffers(&all);
        Ok(vec![f(graph, &bound)?])
    })
}

fn one(node: &str, y: &[Tensor]) -> Result<f64> {
    let dims: Vec<&[usize]> = y.iter().map(Tensor::dims).collect();
    match y {
        [y] if y.elem_count() == 1 => Ok(to_f64(y)?[0]),
        _ => Err(GraphError::shape(node, "an objective has one element", &dims).into()),
    }
}

/// An objective at a point, to second order. Vectors hold all parameters, one after the other in the order of their names.
pub struct Curvature {
    /// f(p).
    pub value: f64,
    /// ∇f(p).
    pub gradient: Vec<f64>,
    space: Space,
    map: Box<dyn LinearMap>,
}

impl std::fmt::Debug for Curvature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Curvature({} parameters, value {})", self.gradient.len(), self.value)
    }
}

impl Curvature {
    /// ∇²f(p)·v.
    ///
    /// # Errors
    /// A vector of another length, whatever is not finite.
    pub fn product(&self, v: &[f64]) -> Result<Vec<f64>> {
        let directions: Vec<_> = self.space.unravel(v)?.into_iter().map(Some).collect();
        let pushed = self.map.push(&directions)?;
        let mut out = Vec::with_capacity(v.len());
        for (d, dims) in pushed.into_iter().skip(1).zip(&self.space.dims) {
            match d {
                Some(d) => out.extend(to_f64(&d)?),
                None => out.resize(out.len() + dims.iter().product::<usize>(), 0.0),
            }
        }
        Ok(out)
    }
}

/// How parameters lie in a vector.
#[derive(Debug, Clone)]
pub(super) struct Space {
    dims: Vec<Vec<usize>>,
    dtype: DType,
    device: Device,
}

impl Space {
    pub(super) fn of(parameters: &Parameters) -> Self {
        let dims = parameters.iter().map(|(_, t)| t.dims().to_vec()).collect();
        Self { dims, dtype: parameters.dtype(), device: parameters.device().clone() }
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().map(|d| d.iter().product::<usize>()).sum()
    }

    /// How many numbers parameter number `index` has.
    pub(super) fn size(&self, index: usize) -> usize {
        self.dims[index].iter().product()
    }

    pub(super) fn ravel(&self, tensors: &[Tensor]) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(self.len());
        for tensor in tensors {
            out.extend(to_f64(tensor)?);
        }
        Ok(out)
    }

    pub(super) fn unravel(&self, x: &[f64]) -> Result<Vec<Tensor>> {
        crate::error::check_len("objective", "vector", x.len(), self.len())?;
        let mut rest = x;
        let mut tensors = Vec::with_capacity(self.dims.len());
        for dims in &self.dims {
            let (here, next) = rest.split_at(dims.iter().product());
            let tensor = from_vec(here.to_vec(), dims, &Device::Cpu)?.to_dtype(self.dtype)?;
            tensors.push(tensor.to_device(&self.device)?);
            rest = next;
        }
        Ok(tensors)
    }

    /// The parameters at p + s, rounded to their element type; none where that is not finite.
    pub(super) fn moved(&self, p: &Parameters, s: &[f64]) -> Result<Option<Parameters>> {
        let x = self.ravel(&p.values())?;
        let x: Vec<f64> = x.iter().zip(s).map(|(x, s)| x + s).collect();
        let tensors = self.unravel(&x)?;
        if self.ravel(&tensors)?.iter().any(|x| !x.is_finite()) {
            return Ok(None);
        }
        let mut next = p.clone();
        for (name, tensor) in p.names().iter().zip(&tensors) {
            next.set(name, tensor)?;
        }
        Ok(Some(next))
    }
}
