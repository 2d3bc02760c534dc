//! A closure over variables is a function, and its recorded graph is its linear map: networks nest.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::Tensor;

use super::deep::{deeper, drop_deeper};
use super::sweep::finite_or_located;
use super::{Arena, Graph, Options, Var};
use crate::primitive::check_directions;
use crate::{Direction, Error, Function, LinearMap, Phase, Result, Wrt};

/// The closures that are functions: they record on the graph they are given.
pub(crate) trait Body:
    for<'g> Fn(&'g Graph, &[Var<'g>]) -> Result<Vec<Var<'g>>> + Send + Sync + 'static
{
}
impl<F> Body for F where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Result<Vec<Var<'g>>> + Send + Sync + 'static
{
}

/// A closure as a [`Function`]; made by [`function`].
#[derive(Clone)]
pub struct Closure {
    name: String,
    body: Arc<dyn Body>,
    options: Options,
}

/// Makes a closure a function: any number of variables in, any number out.
///
/// ```
/// use pullback_core_graph::{Function, function, candle::{Device, Tensor}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let f = function("f", |_, x| Ok(vec![x[0].sin() * x[1]]));
/// let x = Tensor::new(&[0.0f64, 1.0], &Device::Cpu)?;
/// assert_eq!(f.eval(&[x.clone(), x])?[0].to_vec1::<f64>()?, [0.0, 1f64.sin()]);
/// # Ok(())
/// # }
/// ```
pub fn function<F>(name: impl Into<String>, body: F) -> Arc<dyn Function>
where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Result<Vec<Var<'g>>> + Send + Sync + 'static,
{
    Arc::new(Closure { name: name.into(), body: Arc::new(body), options: Options::default() })
}

impl Closure {
    /// A closure as a function, with options for the graphs that it records.
    pub fn with_options<F>(name: impl Into<String>, options: Options, body: F) -> Self
    where
        F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Result<Vec<Var<'g>>> + Send + Sync + 'static,
    {
        Closure { name: name.into(), body: Arc::new(body), options }
    }

    fn record(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<Recording> {
        deeper(&self.name, || self.record_here(x, wrt))
    }

    fn record_here(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<Recording> {
        let graph = Graph { arena: RefCell::default(), options: self.options };
        let ids = || {
            let leaf = |(i, t)| if wrt.needs(i) { graph.input(t) } else { graph.constant(t) };
            let vars: Vec<Var<'_>> = x.iter().enumerate().map(leaf).collect();
            let inputs: Vec<u32> =
                vars.iter().map(|v| Ok(v.alive()?.id())).collect::<Result<_>>()?;
            let y = (self.body)(&graph, &vars)?;
            Ok((inputs, graph.parents(&self.name, &y)?.into_vec()))
        };
        let (inputs, outputs) = ids().map_err(|e| located(&self.name, e))?;
        Ok(graph.into_recording(self.name.clone(), inputs, outputs))
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        // The closure may hold the last handle of a function inside it, and so on.
        if Arc::strong_count(&self.body) == 1 {
            drop_deeper(std::mem::replace(&mut self.body, Arc::new(|_, _| Ok(vec![]))));
        }
    }
}

impl Function for Closure {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(self.record(x, Wrt(&[]))?.values())
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let mut recording = self.record(x, wrt)?;
        recording.wrt = wrt.marks(x.len());
        Ok((recording.values(), Box::new(recording)))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (body, wrt) = (self.body.clone(), wrt.0.to_vec());
        let name = format!("{}.tangent", self.name);
        Ok(function(name.clone(), move |g, v| {
            let given = |y: usize| wrt.len() + y + Wrt(&wrt).count();
            count_inputs(&name, "inputs of the tangent", given(1), v, |n| given(1) <= n)?;
            let y = body(g, &v[..wrt.len()])?;
            let expected = given(y.len());
            count_inputs(&name, "inputs of the tangent", expected, v, |n| n == expected)?;
            let dx = &v[wrt.len() + y.len()..];
            let wanted: Vec<Var<'_>> =
                v.iter().zip(&wrt).filter(|(_, b)| **b).map(|(x, _)| *x).collect();
            let seeds: Vec<_> = wanted.into_iter().zip(dx.iter().copied()).collect();
            let dy = g.record_push(&seeds, &y)?;
            Ok(dy.into_iter().zip(&y).map(|(d, y)| d.unwrap_or_else(|| y.zeros_like())).collect())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (body, wrt) = (self.body.clone(), wrt.0.to_vec());
        let name = format!("{}.adjoint", self.name);
        Ok(function(name.clone(), move |g, v| {
            let given = |y: usize| wrt.len() + 2 * y;
            count_inputs(&name, "inputs of the adjoint", given(1), v, |n| given(1) <= n)?;
            let y = body(g, &v[..wrt.len()])?;
            let expected = given(y.len());
            count_inputs(&name, "inputs of the adjoint", expected, v, |n| n == expected)?;
            let dy = &v[wrt.len() + y.len()..];
            let seeds: Vec<_> = y.iter().copied().zip(dy.iter().copied()).collect();
            let wanted: Vec<Var<'_>> =
                v.iter().zip(&wrt).filter(|(_, b)| **b).map(|(x, _)| *x).collect();
            let dx = g.record_pull(&seeds, &wanted)?;
            Ok(dx
                .into_iter()
                .zip(&wanted)
                .map(|(d, x)| d.unwrap_or_else(|| x.zeros_like()))
                .collect())
        }))
    }
}

fn count_inputs(
    name: &str,
    what: &'static str,
    expected: usize,
    v: &[Var<'_>],
    right: impl FnOnce(usize) -> bool,
) -> Result<()> {
    match right(v.len()) {
        true => Ok(()),
        false => Err(Error::Arity { node: name.into(), what, expected, got: v.len() }),
    }
}

/// A finished graph with its inputs and outputs marked: immutable, shareable between threads, and a linear map.
pub struct Recording {
    name: String,
    arena: Arena,
    options: Options,
    inputs: Vec<u32>,
    outputs: Vec<u32>,
    wrt: Vec<bool>,
}

impl Graph {
    /// Closes the graph: from now on it is the linear map from `inputs` to `outputs`, by slot.
    fn into_recording(self, name: String, inputs: Vec<u32>, outputs: Vec<u32>) -> Recording {
        let wrt = vec![true; inputs.len()];
        Recording {
            name,
            arena: self.arena.into_inner(),
            options: self.options,
            inputs,
            outputs,
            wrt,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        drop_deeper(std::mem::take(&mut self.arena));
    }
}

impl Recording {
    /// The output values.
    pub fn values(&self) -> Vec<Tensor> {
        self.tensors(&self.outputs)
    }

    fn tensors(&self, ids: &[u32]) -> Vec<Tensor> {
        ids.iter().map(|&i| self.arena.slots[i as usize].tensor.clone()).collect()
    }

    fn seeds(
        &self,
        ids: &[u32],
        d: &[Option<Tensor>],
        used: impl Fn(usize) -> bool,
    ) -> Vec<(u32, Tensor)> {
        let present = ids.iter().zip(d).enumerate().filter(|(i, _)| used(*i));
        present.filter_map(|(_, (&id, d))| Some((id, d.as_ref()?.detach()))).collect()
    }
}

/// Errors inside a closure are named from it: `policy/mul#17`.
fn located(name: &str, e: Error) -> Error {
    e.renamed(|inner| if inner == name { inner.to_string() } else { format!("{name}/{inner}") })
}

impl LinearMap for Recording {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        Ok(self.push_many(&[dx.to_vec()])?.swap_remove(0))
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        Ok(self.pull_many(&[dy.to_vec()])?.swap_remove(0))
    }

    fn push_many(&self, dx: &[Direction]) -> Result<Vec<Direction>> {
        let at = self.tensors(&self.inputs);
        dx.iter().try_for_each(|d| check_directions(&self.name, "input directions", d, &at))?;
        let wrt = |i: usize| Wrt(&self.wrt).needs(i);
        let seeds: Vec<_> = dx.iter().map(|d| self.seeds(&self.inputs, d, wrt)).collect();
        let sweep =
            |located| deeper(&self.name, || self.arena.push(&seeds, &self.outputs, &[], located));
        let (out, again) = (sweep(false), || sweep(true));
        finite_or_located(self.options.finite, out, again, Phase::Push)
            .map_err(|e| located(&self.name, e))
    }

    fn pull_many(&self, dy: &[Direction]) -> Result<Vec<Direction>> {
        let at = self.tensors(&self.outputs);
        dy.iter().try_for_each(|d| check_directions(&self.name, "output cotangents", d, &at))?;
        let seeds: Vec<_> = dy.iter().map(|d| self.seeds(&self.outputs, d, |_| true)).collect();
        let wanted: Vec<u32> =
            self.inputs.iter().zip(&self.wrt).filter(|(_, b)| **b).map(|(&id, _)| id).collect();
        let sweep = |located| deeper(&self.name, || self.arena.pull(&seeds, &wanted, &[], located));
        let (out, again) = (sweep(false), || sweep(true));
        let out = finite_or_located(self.options.finite, out, again, Phase::Pull)
            .map_err(|e| located(&self.name, e))?;
        let spread = |d: Direction| {
            let mut given = d.into_iter();
            self.wrt.iter().map(|&b| if b { given.next().flatten() } else { None }).collect()
        };
        Ok(out.into_iter().map(spread).collect())
    }
}
