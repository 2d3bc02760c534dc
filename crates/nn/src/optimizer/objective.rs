//! A function of all parameters, for methods that ask for more than one gradient a step.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Error as GraphError, Function, Graph, LinearMap, Var, Wrt, function};

use crate::error::{Error, Result, check_finite};
use crate::parameters::{Bound, Parameters};

/// f(p) over all parameters: its value, gradient, Hessian products, and its residuals if it is made of such.
#[derive(Clone)]
pub struct Objective {
    function: Arc<dyn Function>,
    residuals: Option<Arc<dyn Function>>,
    /// Names and shapes of the parameters that it is a function of.
    over: Arc<[(String, Vec<usize>)]>,
}

impl std::fmt::Debug for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Objective({})", self.function.name())
    }
}

impl Objective {
    /// What the closure records, which has one element. Buffers are those that `parameters` have now; all methods take parameters of
    /// these names and shapes alone.
    pub fn new<F>(name: impl Into<String>, parameters: &Parameters, f: F) -> Self
    where
        F: for<'g> Fn(&'g Graph, &Bound<'g>) -> pullback_core_graph::Result<Var<'g>>
            + Send
            + Sync
            + 'static,
    {
        let function = over_parameters(name.into(), parameters, f);
        Self { function, residuals: None, over: shapes(parameters) }
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
        Self { function: half, residuals: Some(residuals), over: shapes(parameters) }
    }

    /// f(p).
    ///
    /// # Errors
    /// Those of the function; more than one element; [`Error::Parameter`] for parameters of other names or shapes.
    pub fn value(&self, parameters: &Parameters) -> Result<f64> {
        self.check(parameters)?;
        one(self.function.name(), &self.function.eval(&parameters.values())?)
    }

    /// f(p) and its gradient in the order of the parameters' names, as an [`Optimizer`](super::Optimizer) takes it.
    ///
    /// # Errors
    /// As [`Objective::value`].
    pub fn gradient(&self, parameters: &Parameters) -> Result<(f64, Vec<Tensor>)> {
        self.check(parameters)?;
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
        self.check(parameters)?;
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

    /// The function knows its parameters by their places: others would be taken for them.
    pub(super) fn check(&self, parameters: &Parameters) -> Result<()> {
        let mut found = parameters.iter();
        for (name, dims) in &*self.over {
            let what = match found.next() {
                Some((other, t)) if other == name && t.dims() == dims => continue,
                Some((other, t)) if other == name => {
                    format!("the objective was made for {dims:?}, got {:?}", t.dims())
                }
                Some((other, _)) => format!("the objective was made for it, got `{other}`"),
                None => "the objective was made for it, and it is missing".into(),
            };
            return Err(Error::Parameter { name: name.clone(), what });
        }
        match found.next() {
            Some((name, _)) => {
                let what = "the objective was made without it".into();
                Err(Error::Parameter { name: name.into(), what })
            }
            None => Ok(()),
        }
    }

    /// The error of a method's step; one of what is not finite says in which step, and of which parameter where that can be told:
    /// the first that is not finite itself, or whose gradient is not.
    pub(super) fn in_step(
        &self,
        method: &str,
        steps: u64,
        parameters: &Parameters,
        error: Error,
    ) -> Error {
        let Error::Graph(GraphError::NotFinite { node, index, value, .. }) = &error else {
            return error;
        };
        let operation = format!("{method}, step {}", steps + 1);
        for (name, t) in parameters.iter() {
            let what = || [operation.clone(), format!("the parameter `{name}`")];
            if let Err(found) = check_finite(t, what) {
                return found;
            }
        }
        let what = match self.function.eval(&parameters.values()) {
            Err(_) => format!("the value at {node}"),
            Ok(_) => match self.without_gradient(parameters) {
                Some(name) => format!("the gradient of `{name}`, at {node},"),
                None => format!("a derivative at {node}"),
            },
        };
        Error::NotFinite { operation, what, index: *index, value: *value }
    }

    /// The first parameter that has no gradient when it is asked for alone.
    fn without_gradient<'p>(&self, parameters: &'p Parameters) -> Option<&'p str> {
        let values = parameters.values();
        let fails = |i: usize| {
            let alone: Vec<bool> = (0..values.len()).map(|k| k == i).collect();
            let pulled = self.function.linearize(&values, Wrt(&alone)).and_then(|(y, map)| {
                let ones = y.iter().map(|y| y.ones_like().map(Some));
                map.pull(&ones.collect::<candle_core::Result<Vec<_>>>()?)
            });
            pulled.is_err()
        };
        parameters.iter().enumerate().find(|(i, _)| fails(*i)).map(|(_, (name, _))| name)
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

fn shapes(parameters: &Parameters) -> Arc<[(String, Vec<usize>)]> {
    parameters.iter().map(|(name, t)| (name.into(), t.dims().to_vec())).collect()
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
