//! A function over the leading axis of its inputs as one node, on all threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::{ensure_finite, is_real};
use pullback_core_graph::{
    Direction, Error, Function, LinearMap, Phase, Result as NetworkResult, Wrt, function,
};
use rayon::prelude::*;

use crate::Result;
use crate::direction::{Spec, Stack, accumulate, check, count, element, inside};

/// A function that is evaluated once for each element of the leading axis of its inputs, to be built into one node:
///
/// > yᵢ… = f(xᵢ…, θ…), and Σᵢ yᵢ for outputs that are summed.
///
/// The elements are spread over rayon's threads; results are stacked, and sums made, in the order of the elements, so the bits do not
/// depend on the number of threads. Shared inputs θ go whole into every element; their cotangents are summed. Inputs may be integers,
/// which have no derivative; a summed output is f32 or f64.
///
/// Tangent and adjoint are maps again, of f's tangent and adjoint, to every order that f has. Where nothing is summed they take each
/// element's y from the node, so that a solver in f does not solve twice. Errors name the element: `solve[17]/mul#3`.
///
/// ```
/// use pullback_core_graph::{Function, function, candle::{Device, Tensor}};
/// use pullback_graph::Map;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let residual = function("residual", |_, v| Ok(vec![(v[0] * v[1]).sum(()).tanh()]));
/// let each = Map::new("each", residual).shared(&[1]).build()?;
/// let (x, theta) = (Tensor::new(&[[1.0f64, 0.0], [0.5, 0.5]], &Device::Cpu)?, Tensor::new(&[0.0f64, 2.0], &Device::Cpu)?);
/// assert_eq!(each.eval(&[x, theta])?[0].to_vec1::<f64>()?, [0.0, 1f64.tanh()]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Map {
    name: String,
    f: Arc<dyn Function>,
    shared: Ports,
    summed: Ports,
}

/// Which of some ports are marked: those of `first`, and those at the end as `last` says.
#[derive(Clone, Default)]
struct Ports {
    first: BTreeSet<usize>,
    last: Vec<bool>,
}

impl Ports {
    fn of(indices: &[usize]) -> Self {
        Ports { first: indices.iter().copied().collect(), last: vec![] }
    }

    fn marked(marks: &[bool]) -> Self {
        let first = marks.iter().enumerate().filter(|(_, m)| **m).map(|(i, _)| i).collect();
        Ports { first, last: vec![] }
    }

    fn has(&self, i: usize, n: usize) -> bool {
        let last = (i + self.last.len()).checked_sub(n).and_then(|i| self.last.get(i));
        last.copied().unwrap_or_else(|| self.first.contains(&i))
    }

    fn any(&self) -> bool {
        !self.first.is_empty() || self.last.contains(&true)
    }

    /// Are all of them among `n` ports?
    fn check(&self, node: &str, what: &str, n: usize) -> NetworkResult<()> {
        match self.first.last() {
            Some(i) if n <= *i => Err(Error::invalid(node, format!("{what} {i} of {n}"))),
            _ => Ok(()),
        }
    }
}

impl Map {
    /// `f` over the leading axis of all its inputs.
    pub fn new(name: impl Into<String>, f: Arc<dyn Function>) -> Self {
        Map { name: name.into(), f, shared: Ports::default(), summed: Ports::default() }
    }

    /// These inputs go whole into every element. One that is not there is an error once the inputs come.
    #[must_use]
    pub fn shared(mut self, inputs: &[usize]) -> Self {
        self.shared = Ports::of(inputs);
        self
    }

    /// These outputs are summed over the elements, in their order. One that is not there is an error once the outputs come.
    #[must_use]
    pub fn summed(mut self, outputs: &[usize]) -> Self {
        self.summed = Ports::of(outputs);
        self
    }

    /// The node. It always succeeds; what does not fit shows when the inputs come.
    pub fn build(self) -> Result<Arc<dyn Function>> {
        Ok(Arc::new(self))
    }

    fn place(&self, i: usize) -> String {
        format!("{}[{i}]", self.name)
    }

    fn at(&self, i: usize, e: Error) -> Error {
        inside(&self.place(i), self.f.name(), e)
    }

    fn check_shared(&self, inputs: usize) -> NetworkResult<()> {
        self.shared.check(&self.name, "shared input", inputs)
    }

    /// How many elements there are. Errors: inputs without a leading axis or with different ones; a shared input that is not there; no
    /// input that is not shared; no element.
    fn length(&self, x: &[Tensor]) -> NetworkResult<usize> {
        self.check_shared(x.len())?;
        let mut length = None;
        for (i, t) in x.iter().enumerate().filter(|(i, _)| !self.shared.has(*i, x.len())) {
            let Some(&n) = t.dims().first() else {
                let what = format!("input {i} needs a leading axis, or to be shared");
                return Err(Error::shape(&self.name, what, &[t.dims()]));
            };
            if *length.get_or_insert(n) != n {
                let expected = length.unwrap_or_default();
                let what = format!("input {i} has {n} elements, the others have {expected}");
                return Err(Error::shape(&self.name, what, &[t.dims()]));
            }
        }
        match length {
            Some(0) => Err(Error::invalid(
                &self.name,
                "no elements: the shapes of the outputs are unknown",
            )),
            Some(n) => Ok(n),
            None => Err(Error::invalid(&self.name, "no input that is not shared")),
        }
    }

    /// Tensors that kernels can slice in place.
    fn laid_out(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let lay = |(i, t): (usize, &Tensor)| match self.shared.has(i, x.len()) {
            true => Ok(t.detach()),
            false => Ok(t.detach().contiguous()?),
        };
        x.iter().enumerate().map(lay).collect()
    }

    fn arguments(&self, x: &[Tensor], i: usize) -> NetworkResult<Vec<Tensor>> {
        let pick = |(k, t): (usize, &Tensor)| match self.shared.has(k, x.len()) {
            true => Ok(t.clone()),
            false => element(t, i),
        };
        x.iter().enumerate().map(pick).collect()
    }

    /// The outputs of all elements, joined.
    fn join(&self, each: Vec<Vec<Tensor>>) -> NetworkResult<Vec<Tensor>> {
        let n = each.first().map_or(0, Vec::len);
        for (i, y) in each.iter().enumerate() {
            count(&self.place(i), "outputs, like element 0", n, y.len())?;
        }
        self.summed.check(&self.name, "summed output", n)?;
        (0..n).map(|port| self.join_port(port, n, &each)).collect()
    }

    fn join_port(&self, port: usize, n: usize, each: &[Vec<Tensor>]) -> NetworkResult<Tensor> {
        let (first, what) =
            (Spec::of(&each[0][port]), "an output has one shape (here, in element 0)");
        for (i, y) in each.iter().enumerate() {
            first.check(&self.place(i), what, &y[port])?;
        }
        let ports = each.iter().map(|y| &y[port]);
        let joined = if !self.summed.has(port, n) {
            Tensor::stack(&ports.clone().collect::<Vec<_>>(), 0)?
        } else if is_real(&each[0][port]) {
            let mut sum = None;
            ports.clone().try_for_each(|y| accumulate(&mut sum, y.clone()))?;
            sum.ok_or_else(|| Error::invalid(&self.name, "no elements"))?
        } else {
            let what = "a summed output needs f32 or f64";
            return Err(Error::DType { node: self.name.clone(), what, got: vec![first.dtype] });
        };
        self.check_finite(&joined, Phase::Eval, port, ports.map(Some))?;
        Ok(joined)
    }

    /// `Ok` means finite. The error names the first element that is not, or the node if only the sum over them is not.
    fn check_finite<'t>(
        &self,
        joined: &Tensor,
        phase: Phase,
        port: usize,
        each: impl Iterator<Item = Option<&'t Tensor>>,
    ) -> NetworkResult<()> {
        let Err(error) = ensure_finite(joined, &self.name, phase, port) else { return Ok(()) };
        for (i, t) in each.enumerate() {
            t.map_or(Ok(()), |t| ensure_finite(t, &self.place(i), phase, port))?;
        }
        Err(error)
    }
}

/// All results, or the error of the first element that has one.
fn all<T: Send>(
    n: usize,
    f: impl Fn(usize) -> NetworkResult<T> + Send + Sync,
) -> NetworkResult<Vec<T>> {
    let results: Vec<NetworkResult<T>> = (0..n).into_par_iter().map(f).collect();
    results.into_iter().collect()
}

impl Function for Map {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let (n, x) = (self.length(x)?, self.laid_out(x)?);
        let each = all(n, |i| self.f.eval(&self.arguments(&x, i)?).map_err(|e| self.at(i, e)))?;
        self.join(each)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let (n, x) = (self.length(x)?, self.laid_out(x)?);
        let made =
            all(n, |i| self.f.linearize(&self.arguments(&x, i)?, wrt).map_err(|e| self.at(i, e)))?;
        let (each, maps): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let y = self.join(each)?;
        let wrt = (0..x.len()).map(|i| wrt.needs(i)).collect();
        let (inputs, outputs) = (Spec::all(&x), Spec::all(&y));
        Ok((y, Box::new(Each { map: self.clone(), maps, inputs, outputs, wrt })))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let (x, name) = (wrt.len(), format!("{}.tangent", self.name));
        self.check_shared(x)?;
        let shared: Vec<bool> = (0..x).map(|i| self.shared.has(i, x)).collect();
        let moving: Vec<bool> = (0..x).filter(|&i| wrt.needs(i)).map(|i| shared[i]).collect();
        let (f, tangent) = (self.f.clone(), self.f.tangent(wrt)?);
        if !self.summed.any() {
            let shared = Ports { last: moving, ..Ports::marked(&shared) };
            return Ok(Arc::new(Map { name, f: tangent, shared, summed: Ports::default() }));
        }
        // The elements of a sum are not given: each is computed again.
        let each = function(tangent.name().to_string(), move |g, v| {
            let (x, d) = v.split_at(x.min(v.len()));
            let y = g.apply(&f, x)?;
            g.apply(&tangent, &[x, &y, d].concat())
        });
        let directions = moving.len();
        let shared = Ports::marked(&[shared, moving].concat());
        let summed = self.summed.clone();
        let map: Arc<dyn Function> = Arc::new(Map { name: name.clone(), f: each, shared, summed });
        Ok(function(name.clone(), move |g, v| {
            let expected = x + directions + 1;
            if v.len() < expected {
                count(&name, "inputs or more", expected, v.len())?;
            }
            g.apply(&map, &[&v[..x], &v[v.len() - directions..]].concat())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let (x, name) = (wrt.len(), format!("{}.adjoint", self.name));
        self.check_shared(x)?;
        let shared: Vec<bool> = (0..x).map(|i| self.shared.has(i, x)).collect();
        let summed: Vec<bool> = (0..x).filter(|&i| wrt.needs(i)).map(|i| shared[i]).collect();
        let summed = Ports::marked(&summed);
        let (f, adjoint) = (self.f.clone(), self.f.adjoint(wrt)?);
        if !self.summed.any() {
            let shared = Ports::marked(&shared);
            return Ok(Arc::new(Map { name, f: adjoint, shared, summed }));
        }
        let each = function(adjoint.name().to_string(), move |g, v| {
            let (x, d) = v.split_at(x.min(v.len()));
            let y = g.apply(&f, x)?;
            g.apply(&adjoint, &[x, &y, d].concat())
        });
        let sums = self.summed.clone();
        Ok(function(name.clone(), move |g, v| {
            let y = v.len().saturating_sub(x) / 2;
            count(&name, "inputs", x + 2 * y.max(1), v.len())?;
            sums.check(&name, "summed output", y)?;
            let cotangents = (0..y).map(|j| sums.has(j, y));
            let shared =
                Ports::marked(&shared.iter().copied().chain(cotangents).collect::<Vec<_>>());
            let (f, summed) = (each.clone(), summed.clone());
            let map: Arc<dyn Function> = Arc::new(Map { name: name.clone(), f, shared, summed });
            g.apply(&map, &[&v[..x], &v[x + y..]].concat())
        }))
    }
}

/// The linear maps of all elements.
struct Each {
    map: Map,
    maps: Vec<Box<dyn LinearMap>>,
    inputs: Vec<Spec>,
    outputs: Vec<Spec>,
    wrt: Vec<bool>,
}

impl Each {
    /// Directions of element i: what is not whole is sliced.
    fn slices(
        &self,
        d: &[Direction],
        i: usize,
        whole: impl Fn(usize) -> bool,
    ) -> NetworkResult<Vec<Direction>> {
        let slice = |(port, d): (usize, &Option<Tensor>)| match d {
            Some(d) if !whole(port) => element(d, i).map(Some),
            d => Ok(d.clone()),
        };
        d.iter().map(|d| d.iter().enumerate().map(slice).collect()).collect()
    }

    /// Of each element k directions, one slot per port: stacked, or summed in the order of the elements.
    fn gather(
        &self,
        phase: Phase,
        each: &[Vec<Direction>],
        k: usize,
        at: &[Spec],
        whole: impl Fn(usize) -> bool,
    ) -> NetworkResult<Vec<Direction>> {
        for (i, d) in each.iter().enumerate() {
            count(&self.map.place(i), "directions at once", k, d.len())?;
            let slots = |d: &Direction| count(&self.map.place(i), "slots", at.len(), d.len());
            d.iter().try_for_each(slots)?;
        }
        let one = |k: usize, port: usize| -> NetworkResult<Option<Tensor>> {
            let (mut sum, mut stack) = (None, Stack::new(each.len()));
            for (i, d) in each.iter().enumerate() {
                let Some(d) = &d[k][port] else { continue };
                match whole(port) {
                    true => accumulate(&mut sum, d.clone())?,
                    false => stack.set(&self.map.place(i), "directions of one shape", i, d)?,
                }
            }
            let joined = if whole(port) { sum } else { stack.finish()? };
            if let Some(joined) = &joined {
                let each = each.iter().map(|d| d[k][port].as_ref());
                self.map.check_finite(joined, phase, port, each)?;
            }
            Ok(joined)
        };
        let all: NetworkResult<Vec<Direction>> =
            (0..k).map(|k| (0..at.len()).map(|port| one(k, port)).collect()).collect();
        let all = all?;
        for d in &all {
            for (d, at) in d.iter().zip(at) {
                let what = "a direction like its variable (it, the variable)";
                d.as_ref().map_or(Ok(()), |d| at.check(&self.map.name, what, d))?;
            }
        }
        Ok(all)
    }

    fn ready(&self, phase: Phase, d: &[Direction], at: &[Spec]) -> NetworkResult<Vec<Direction>> {
        d.iter().try_for_each(|d| check(&self.map.name, phase, d, at))?;
        let lay = |(i, d): (usize, &Option<Tensor>)| {
            let d = d.as_ref().filter(|_| phase == Phase::Pull || self.wrt[i]);
            d.map(|d| Ok(d.detach().contiguous()?)).transpose()
        };
        d.iter().map(|d| d.iter().enumerate().map(lay).collect()).collect()
    }
}

impl LinearMap for Each {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Ok(self.push_many(&[dx.to_vec()])?.swap_remove(0))
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Ok(self.pull_many(&[dy.to_vec()])?.swap_remove(0))
    }

    fn push_many(&self, dx: &[Direction]) -> NetworkResult<Vec<Direction>> {
        let dx = self.ready(Phase::Push, dx, &self.inputs)?;
        let whole = |port| self.map.shared.has(port, self.inputs.len());
        let each = all(self.maps.len(), |i| {
            let dx = self.slices(&dx, i, whole)?;
            self.maps[i].push_many(&dx).map_err(|e| self.map.at(i, e))
        })?;
        let summed = |port| self.map.summed.has(port, self.outputs.len());
        self.gather(Phase::Push, &each, dx.len(), &self.outputs, summed)
    }

    fn pull_many(&self, dy: &[Direction]) -> NetworkResult<Vec<Direction>> {
        let dy = self.ready(Phase::Pull, dy, &self.outputs)?;
        let summed = |port| self.map.summed.has(port, self.outputs.len());
        let each = all(self.maps.len(), |i| {
            let dy = self.slices(&dy, i, summed)?;
            self.maps[i].pull_many(&dy).map_err(|e| self.map.at(i, e))
        })?;
        let whole = |port| self.map.shared.has(port, self.inputs.len());
        self.gather(Phase::Pull, &each, dy.len(), &self.inputs, whole)
    }
}
