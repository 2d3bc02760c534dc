//! The derivative of a batch of rollouts: pushed and pulled item by item over threads, combined in order.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::{ensure_finite, to_f64};
use pullback_core_graph::{
    Direction, Error as NetworkError, LinearMap, Phase, Result as NetworkResult,
};
use rayon::prelude::*;

use super::external;
use super::shapes::Call;
use crate::{Cotangent, Model, Parameter, Result, Rollout};

pub(crate) struct Map {
    name: String,
    model: Arc<Model>,
    parameters: Vec<Parameter>,
    call: Call,
    runs: Vec<Rollout>,
    wanted: Vec<bool>,
}

/// Cotangents of one item: state (ambient), controls, parameters.
type Pulled = (Vec<f64>, Vec<f64>, Vec<(Parameter, Vec<f64>)>);

impl Map {
    pub(crate) fn new(
        name: String,
        model: Arc<Model>,
        parameters: Vec<Parameter>,
        call: Call,
        runs: Vec<Rollout>,
        wanted: Vec<bool>,
    ) -> Self {
        Self { name, model, parameters, call, runs, wanted }
    }

    fn steps(&self) -> usize {
        let numbers: usize = self.call.output.iter().product();
        numbers / (self.call.batch * self.call.width).max(1)
    }

    fn driven(&self) -> usize {
        usize::from(self.model.nu() > 0)
    }

    fn check(
        &self,
        what: &'static str,
        phase: Phase,
        d: &[Option<Tensor>],
        dims: &[&[usize]],
    ) -> NetworkResult<()> {
        if d.len() != dims.len() {
            let (node, expected, got) = (self.name.clone(), dims.len(), d.len());
            return Err(NetworkError::Arity { node, what, expected, got });
        }
        for (port, (d, want)) in d.iter().zip(dims).enumerate() {
            let Some(d) = d else { continue };
            if d.dims() != *want {
                let text = format!("{what} of the shape {want:?} at port {port}");
                return Err(NetworkError::shape(&self.name, text, &[d.dims()]));
            }
            ensure_finite(d, &self.name, phase, port)?;
        }
        Ok(())
    }

    fn controls(&self, item: usize) -> &[f64] {
        let len = self.steps() * self.model.nu();
        if len == 0 { &[] } else { self.call.controls_of(item, len) }
    }

    fn pull_item(&self, item: usize, dy: &[f64]) -> Result<Pulled> {
        let model = &self.model;
        let (nq, nv, na, nu) = (model.nq(), model.nv(), model.na, model.nu());
        let (width, steps) = (self.call.width, self.steps());
        let n = 2 * nv + na;
        let mut rollout = self.runs[item].clone();
        let mut states = vec![0.0; (steps + 1) * n];
        for t in 0..steps {
            let from = &dy[(item * steps + t) * width..(item * steps + t + 1) * width];
            let to = &mut states[(t + 1) * n..(t + 2) * n];
            let qpos = &rollout.states()[(t + 1) * width..(t + 1) * width + nq];
            model.pull_tangent(qpos, &from[..nq], &mut to[..nv]);
            to[nv..].copy_from_slice(&from[nq..]);
        }
        let mut start = Cotangent::zeros(model);
        let mut control_bar = vec![0.0; steps * nu];
        let mut parameters: Vec<_> = self
            .parameters
            .iter()
            .enumerate()
            .filter(|(k, _)| self.wanted[1 + self.driven() + k])
            .map(|(_, &p)| (p, vec![0.0; model.parameter(p).len()]))
            .collect();
        let controls = self.controls(item);
        rollout.pull(model, controls, &states, &mut start, &mut control_bar, &mut parameters)?;
        let mut state = vec![0.0; width];
        model.pull_ambient(&rollout.states()[..nq], &start.qpos, &mut state[..nq]);
        state[nq..nq + nv].copy_from_slice(&start.qvel);
        state[nq + nv..].copy_from_slice(&start.act);
        Ok((state, control_bar, parameters))
    }

    fn push_item(
        &self,
        item: usize,
        dx: Option<&[f64]>,
        du: Option<&[f64]>,
        parameters: &[(Parameter, Vec<f64>)],
    ) -> Result<Vec<f64>> {
        let model = &self.model;
        let (nq, nv, nu) = (model.nq(), model.nv(), model.nu());
        let (width, steps) = (self.call.width, self.steps());
        let n = 2 * nv + model.na;
        let mut rollout = self.runs[item].clone();
        let mut start = vec![0.0; n];
        if let Some(dx) = dx {
            let from = &dx[item * width..(item + 1) * width];
            model.push_ambient(&rollout.states()[..nq], &from[..nq], &mut start[..nv]);
            start[nv..].copy_from_slice(&from[nq..]);
        }
        let len = steps * nu;
        let zeros = vec![0.0; len];
        let du = du.map_or(zeros.as_slice(), |du| &du[item * len..(item + 1) * len]);
        let mut tangents = Vec::new();
        rollout.push(model, self.controls(item), &start, du, parameters, &mut tangents)?;
        let mut out = vec![0.0; steps * width];
        for t in 0..steps {
            let from = &tangents[(t + 1) * n..(t + 2) * n];
            let qpos = &rollout.states()[(t + 1) * width..(t + 1) * width + nq];
            let to = &mut out[t * width..(t + 1) * width];
            model.push_tangent(qpos, &from[..nv], &mut to[..nq]);
            to[nq..].copy_from_slice(&from[nv..]);
        }
        Ok(out)
    }
}

impl LinearMap for Map {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let dims: Vec<&[usize]> = self.call.dims.iter().map(Vec::as_slice).collect();
        self.check("directions", Phase::Push, dx, &dims)?;
        let given = |k: usize| match &dx[k] {
            Some(d) if self.wanted[k] => to_f64(d).map(Some),
            _ => Ok(None),
        };
        let mut parameters = Vec::new();
        for (k, &parameter) in self.parameters.iter().enumerate() {
            if let Some(d) = given(1 + self.driven() + k)? {
                parameters.push((parameter, d));
            }
        }
        let state = given(0)?;
        let control = if self.driven() == 1 { given(1)? } else { None };
        if state.is_none() && control.is_none() && parameters.is_empty() {
            return Ok(vec![None]);
        }
        let parts: Result<Vec<Vec<f64>>> = (0..self.call.batch)
            .into_par_iter()
            .map(|item| self.push_item(item, state.as_deref(), control.as_deref(), &parameters))
            .collect();
        let data = parts.map_err(|e| external(&self.name, e))?.concat();
        Ok(vec![Some(self.call.tensor(data, &self.call.output)?)])
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        self.check("cotangents", Phase::Pull, dy, &[&self.call.output])?;
        let count = self.call.dims.len();
        let Some(dy) = &dy[0] else { return Ok(vec![None; count]) };
        let dy = to_f64(dy)?;
        let items: Result<Vec<Pulled>> =
            (0..self.call.batch).into_par_iter().map(|item| self.pull_item(item, &dy)).collect();
        let items = items.map_err(|e| external(&self.name, e))?;
        let mut out: Direction = vec![None; count];
        if self.wanted[0] {
            let data = items.iter().flat_map(|i| i.0.iter().copied()).collect();
            out[0] = Some(self.call.tensor(data, &self.call.dims[0])?);
        }
        let driven = self.driven();
        if driven == 1 && self.wanted[1] {
            let data = items.iter().flat_map(|i| i.1.iter().copied()).collect();
            out[1] = Some(self.call.tensor(data, &self.call.dims[1])?);
        }
        let mut place = 0;
        for k in 1 + driven..count {
            if !self.wanted[k] {
                continue;
            }
            // In the order of the items, whatever the threads did.
            let mut sum = vec![0.0; self.call.dims[k][0]];
            for item in &items {
                sum.iter_mut().zip(&item.2[place].1).for_each(|(s, x)| *s += x);
            }
            out[k] = Some(self.call.tensor(sum, &self.call.dims[k])?);
            place += 1;
        }
        Ok(out)
    }
}
