//! A batch of quadratic programs as a node of a function network.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::{to_f64, with_slice};
use pullback_core_graph::{Direction, Function, LinearMap, Result as NetworkResult, Wrt};

use super::data::{ARGUMENTS, QpData};
use super::sensitivity::{QpDerivative, QpTangent};
use super::solution::QpSolution;
use super::solve::{Qp, Settings};
use crate::node::{Call, Like, external, settings_of_node};
use crate::{Degenerate, Error, Unsolved};

/// A [`Qp`] as a [`Function`]: (Q, q, A, b, G, h) ↦ (x, ν, λ).
///
/// Inputs, f32 or f64, all of one element type (computed in f64): Q [n, n], q \[n\], A [p, n], b \[p\], G [m, n], h \[m\]; without A and b if
/// p = 0, without G and h if m = 0. Each may have leading batch dimensions, the same for all that have any; those without are shared
/// by the batch, and their cotangents are sums over it. Outputs: x […, n], ν […, p] if p > 0, λ […, m] if m > 0; with
/// [`Unsolved::Mask`] also u32 […], 1 where there is a solution.
///
/// Linearizing solves once and keeps the factor for all pushes and pulls. Derivatives of the derivative are exact to every order where no row
/// is weakly active, and on the side that [`Degenerate::Active`] or [`Degenerate::Inactive`] takes; else an error that names the item. There are
/// none on the central path.
///
/// # Errors
/// Shapes and element types; [`Error::NotSolved`] and [`Error::NotDifferentiable`], to be had back from the network's error by
/// `source.downcast_ref::<pullback_diffopt::Error>()`.
///
/// ```
/// use pullback_core_graph::{Graph, candle::{Device, Tensor}};
/// use pullback_diffopt::qp::Qp;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The point of the box [0, 1]² next to θ, for three θ at once.
/// let project = Qp::new(2).inequalities(4).function().build();
/// let graph = Graph::new();
/// let identity = graph.constant(&Tensor::new(&[[1.0f64, 0.0], [0.0, 1.0]], &Device::Cpu)?);
/// let g = graph.constant(&Tensor::new(&[[1.0f64, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], &Device::Cpu)?);
/// let h = graph.constant(&Tensor::new(&[1.0f64, 1.0, 0.0, 0.0], &Device::Cpu)?);
/// let theta = graph.input(&Tensor::new(&[[0.3f64, 2.0], [-1.0, 0.5], [3.0, -4.0]], &Device::Cpu)?);
/// let x = graph.apply(&project, &[identity, -theta, g, h])?[0];
/// let slope = graph.gradient(x.sum(()), &[theta])?;
/// let slope = slope[0].flatten_all()?.to_vec1::<f64>()?;
/// assert!(slope.iter().zip([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).all(|(s, want)| (s - want).abs() < 1e-10));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct QpFunction {
    pub(super) qp: Qp,
    pub(super) policy: Degenerate,
    pub(super) unsolved: Unsolved,
}

impl Qp {
    /// This problem as a function of its data.
    pub fn function(self) -> QpFunction {
        QpFunction { qp: self, policy: Degenerate::default(), unsolved: Unsolved::default() }
    }
}

settings_of_node!(QpFunction);

impl QpFunction {
    fn call(&self, x: &[Tensor]) -> NetworkResult<Call> {
        let (n, p, m) = self.qp.sizes();
        let shapes: [&[usize]; 6] = [&[n, n], &[n], &[p, n], &[p], &[m, n], &[m]];
        let named: Vec<_> = ARGUMENTS.into_iter().zip(shapes).collect();
        Call::new(self.name(), x, &named)
    }

    /// With the factors that derivatives need, or values only.
    fn solve(&self, call: &Call, x: &[Tensor], factors: bool) -> NetworkResult<QpSolution> {
        let mut all: [Option<Tensor>; 6] = Default::default();
        for (t, &k) in x.iter().zip(&call.arguments) {
            all[k] = Some(t.to_dtype(DType::F64)?);
        }
        let solution = with_all(&all, &mut |s: [&[f64]; 6]| {
            let data = QpData::new(s[0], s[1], (s[2], s[3]), (s[4], s[5]));
            let settings = Settings { factors, ..self.qp.settings };
            self.qp.clone().settings(settings).solve(call.batch, &data)
        })?
        .map_err(|e| external(self.name(), e))?;
        if self.unsolved == Unsolved::Refuse
            && let Some(item) = (0..call.batch).find(|&i| !solution.is_solved(i))
        {
            let status = solution.status(item).clone();
            let error = Error::NotSolved { node: self.qp.name.clone(), item, status };
            return Err(external(self.name(), error));
        }
        Ok(solution)
    }

    fn outputs(&self, call: &Call, solution: &QpSolution) -> NetworkResult<Vec<Tensor>> {
        let (n, p, m) = self.qp.sizes();
        let (nu, lambda) = solution.all_multipliers();
        let mut out = Vec::new();
        for (data, width) in [(solution.all_x(), n), (nu, p), (lambda, m)] {
            if width == 0 {
                continue;
            }
            out.push(call.output(data.to_vec(), width, |i| solution.is_solved(i))?);
        }
        if self.unsolved == Unsolved::Mask {
            out.push(call.mask(|i| solution.is_solved(i))?);
        }
        Ok(out)
    }
}

/// Calls `f` with the elements of the tensors, without a copy where they lie contiguous on the CPU; none for a missing one.
fn with_all<R>(t: &[Option<Tensor>; 6], f: &mut dyn FnMut([&[f64]; 6]) -> R) -> NetworkResult<R> {
    fn next<'s, R>(
        t: &'s [Option<Tensor>; 6],
        k: usize,
        slices: [&[f64]; 6],
        f: &mut dyn FnMut([&[f64]; 6]) -> R,
    ) -> NetworkResult<R> {
        if k == 6 {
            return Ok(f(slices));
        }
        match &t[k] {
            None => next(t, k + 1, slices, f),
            Some(tensor) => with_slice::<f64, _>(tensor, |slice| {
                let mut slices = slices;
                slices[k] = slice;
                next(t, k + 1, slices, f)
            })?,
        }
    }
    next(t, 0, [&[]; 6], f)
}

impl Function for QpFunction {
    fn name(&self) -> &str {
        &self.qp.name
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let call = self.call(x)?;
        let solution = self.solve(&call, x, false)?;
        self.outputs(&call, &solution)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let call = self.call(x)?;
        let solution = Arc::new(self.solve(&call, x, true)?);
        let y = self.outputs(&call, &solution)?;
        let derivative = solution.derivative(&self.policy).map_err(|e| external(self.name(), e))?;
        let outputs = Like::all(&y);
        let mut marked = [false; 6];
        for (i, &k) in call.arguments.iter().enumerate() {
            marked[k] = wrt.needs(i);
        }
        let name = self.qp.name.clone();
        Ok((y, Box::new(Map { name, derivative, call, outputs, marked })))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        self.tangent_rule(wrt)
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        self.adjoint_rule(wrt)
    }
}

/// The derivative with the shapes of the tensors.
struct Map {
    name: String,
    derivative: QpDerivative,
    call: Call,
    outputs: Vec<Like>,
    marked: [bool; 6],
}

impl LinearMap for Map {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Like::expect(&self.name, "directions", &self.call.inputs, dx)?;
        let mut slices: [Vec<f64>; 6] = Default::default();
        for (d, &k) in dx.iter().zip(&self.call.arguments) {
            if let Some(d) = d.as_ref().filter(|_| self.marked[k]) {
                slices[k] = to_f64(d)?;
            }
        }
        if slices.iter().all(Vec::is_empty) {
            return Ok(vec![None; self.outputs.len()]);
        }
        let [q_matrix, q, a, b, g, h] = &slices;
        let tangent = self
            .derivative
            .push(&QpData::new(q_matrix, q, (a, b), (g, h)))
            .map_err(|e| external(&self.name, e))?;
        let parts = [tangent.x, tangent.equality, tangent.inequality];
        let parts = parts.into_iter().zip(self.widths()).filter(|(_, width)| *width > 0);
        let mut out: Direction = parts
            .zip(&self.outputs)
            .map(|((data, _), like)| like.tensor(data).map(Some))
            .collect::<NetworkResult<_>>()?;
        out.resize(self.outputs.len(), None);
        Ok(out)
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Like::expect(&self.name, "cotangents", &self.outputs, dy)?;
        let mut cotangent = QpTangent::default();
        let mut given = dy.iter();
        let QpTangent { x, equality, inequality } = &mut cotangent;
        let mut any = false;
        for (part, width) in [x, equality, inequality].into_iter().zip(self.widths()) {
            if width > 0
                && let Some(Some(d)) = given.next()
            {
                *part = to_f64(d)?;
                any = true;
            }
        }
        if !any {
            return Ok(vec![None; self.call.inputs.len()]);
        }
        let mut shared = [false; 6];
        shared.copy_from_slice(&self.call.shared);
        let pulled = self
            .derivative
            .pull(&cotangent, self.marked, shared)
            .map_err(|e| external(&self.name, e))?;
        let mut pulled = pulled.map(Some);
        let one = |(&k, like): (&usize, &Like)| {
            let data = pulled[k].take().filter(|_| self.marked[k]);
            data.map(|data| like.tensor(data)).transpose()
        };
        self.call.arguments.iter().zip(&self.call.inputs).map(one).collect()
    }
}

impl Map {
    fn widths(&self) -> [usize; 3] {
        let (n, p, m) = self.derivative.solution().qp.sizes();
        [n, p, m]
    }
}
