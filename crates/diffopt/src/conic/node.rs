//! A batch of conic programs as a node of a function network.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Direction, Function, LinearMap, Result as NetworkResult, Wrt};

use super::derivative::{ConicDerivative, ConicTangent};
use super::problem::{CONIC_ARGUMENTS, Conic, ConicData};
use super::solution::ConicSolution;
use crate::node::{Call, Like, external, settings_of_node};
use crate::{Degenerate, Error, Unsolved};

/// A [`Conic`] as a [`Function`] of the values on its patterns: (P, q, A, b) ↦ (x, z).
///
/// Inputs, f32 or f64, all of one element type (computed in f64): the entries of P's upper triangle, q \[n\], the entries of A, b \[m\], in
/// the order of the patterns; those without numbers are left out. Each may have leading batch dimensions, the same for all that have any;
/// those without are shared by the batch. Outputs: x […, n], z […, m]; with [`Unsolved::Mask`] also u32 […], 1 where there is a solution.
#[derive(Debug, Clone)]
pub struct ConicFunction {
    conic: Conic,
    policy: Degenerate,
    unsolved: Unsolved,
}

impl Conic {
    /// This program as a function of its values.
    pub fn function(self) -> ConicFunction {
        ConicFunction { conic: self, policy: Degenerate::default(), unsolved: Unsolved::default() }
    }
}

settings_of_node!(ConicFunction);

impl ConicFunction {
    fn call(&self, x: &[Tensor]) -> NetworkResult<Call> {
        let lengths = self.conic.lengths();
        let shapes: Vec<_> = CONIC_ARGUMENTS
            .into_iter()
            .zip(&lengths)
            .map(|(name, k)| (name, std::slice::from_ref(k)))
            .collect();
        Call::new(self.name(), x, &shapes)
    }

    fn solve(&self, call: &Call, x: &[Tensor]) -> NetworkResult<ConicSolution> {
        let mut all: [Vec<f64>; 4] = Default::default();
        for (t, &k) in x.iter().zip(&call.arguments) {
            all[k] = to_f64(t)?;
        }
        let data = ConicData { p: &all[0], q: &all[1], a: &all[2], b: &all[3] };
        let solution = self.conic.solve(call.batch, &data).map_err(|e| external(self.name(), e))?;
        if self.unsolved == Unsolved::Refuse
            && let Some(item) = (0..call.batch).find(|&i| !solution.is_solved(i))
        {
            let (node, status) = (self.conic.name.clone(), solution.status(item).clone());
            return Err(external(self.name(), Error::NotSolved { node, item, status }));
        }
        Ok(solution)
    }

    fn outputs(&self, call: &Call, solution: &ConicSolution) -> NetworkResult<Vec<Tensor>> {
        let (n, m) = self.conic.sizes();
        let solved = |i: usize| solution.is_solved(i);
        let x = (0..call.batch).flat_map(|i| solution.x(i)).copied().collect();
        let mut out = vec![call.output(x, n, solved)?];
        if m > 0 {
            let z = (0..call.batch).flat_map(|i| solution.multipliers(i)).copied().collect();
            out.push(call.output(z, m, solved)?);
        }
        if self.unsolved == Unsolved::Mask {
            out.push(call.mask(solved)?);
        }
        Ok(out)
    }
}

impl Function for ConicFunction {
    fn name(&self) -> &str {
        &self.conic.name
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let call = self.call(x)?;
        let solution = self.solve(&call, x)?;
        self.outputs(&call, &solution)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let call = self.call(x)?;
        let solution = Arc::new(self.solve(&call, x)?);
        let y = self.outputs(&call, &solution)?;
        let derivative = solution.derivative(&self.policy).map_err(|e| external(self.name(), e))?;
        let outputs = Like::all(&y);
        let mut marked = [false; 4];
        for (i, &k) in call.arguments.iter().enumerate() {
            marked[k] = wrt.needs(i);
        }
        Ok((y, Box::new(Map { name: self.conic.name.clone(), derivative, call, outputs, marked })))
    }
}

/// The derivative with the shapes of the tensors.
struct Map {
    name: String,
    derivative: ConicDerivative,
    call: Call,
    outputs: Vec<Like>,
    marked: [bool; 4],
}

impl LinearMap for Map {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Like::expect(&self.name, "directions", &self.call.inputs, dx)?;
        let mut slices: [Vec<f64>; 4] = Default::default();
        for (d, &k) in dx.iter().zip(&self.call.arguments) {
            if let Some(d) = d.as_ref().filter(|_| self.marked[k]) {
                slices[k] = to_f64(d)?;
            }
        }
        let mut out = vec![None; self.outputs.len()];
        if slices.iter().all(Vec::is_empty) {
            return Ok(out);
        }
        let data = ConicData { p: &slices[0], q: &slices[1], a: &slices[2], b: &slices[3] };
        let tangent = self.derivative.push(&data).map_err(|e| external(&self.name, e))?;
        let parts = [tangent.x, tangent.z].into_iter().filter(|part| !part.is_empty());
        for ((part, like), out) in parts.zip(&self.outputs).zip(&mut out) {
            *out = Some(like.tensor(part)?);
        }
        Ok(out)
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Like::expect(&self.name, "cotangents", &self.outputs, dy)?;
        let numbers = |d: Option<&Option<Tensor>>| match d.and_then(Option::as_ref) {
            Some(d) => to_f64(d),
            None => Ok(Vec::new()),
        };
        let (_, m) = self.derivative.solution().problem().sizes();
        let z = if m > 0 { numbers(dy.get(1))? } else { Vec::new() };
        let cotangent = ConicTangent { x: numbers(dy.first())?, z };
        if cotangent.x.is_empty() && cotangent.z.is_empty() {
            return Ok(vec![None; self.call.inputs.len()]);
        }
        let mut shared = [false; 4];
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
