//! The tensors of a call: their shapes checked, their numbers as f64.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, is_real, to_f64};
use pullback_core_graph::{Error as NetworkError, Result as NetworkResult};

use crate::{Data, Model, Parameter, Rollout};

/// Inputs of a call.
pub(crate) struct Call {
    pub(crate) dims: Vec<Vec<usize>>,
    pub(crate) dtype: DType,
    pub(crate) device: Device,
    pub(crate) batch: usize,
    /// Numbers of one state.
    pub(crate) width: usize,
    pub(crate) states: Vec<f64>,
    pub(crate) controls: Vec<f64>,
    pub(crate) parameters: Vec<Vec<f64>>,
    pub(crate) output: Vec<usize>,
}

impl Call {
    pub(crate) fn new(
        node: &str,
        model: &Model,
        steps: Option<usize>,
        parameters: &[Parameter],
        x: &[Tensor],
    ) -> NetworkResult<Self> {
        let width = model.nq() + model.nv() + model.na;
        let driven = usize::from(model.nu() > 0);
        let expected = 1 + driven + parameters.len();
        if x.len() != expected {
            let got = x.len();
            return Err(NetworkError::Arity { node: node.into(), what: "inputs", expected, got });
        }
        let dtype = x[0].dtype();
        if x.iter().any(|t| !is_real(t) || t.dtype() != dtype) {
            return Err(NetworkError::DType {
                node: node.into(),
                what: "needs f32 or f64, the same for all inputs",
                got: x.iter().map(Tensor::dtype).collect(),
            });
        }
        let shape = |what: String, t: &Tensor| Err(NetworkError::shape(node, what, &[t.dims()]));
        let Some((lead, [last])) = x[0].dims().split_last_chunk::<1>() else {
            return shape(format!("a state of {width} numbers"), &x[0]);
        };
        if *last != width {
            return shape(format!("a state of {width} numbers (qpos, qvel, act)"), &x[0]);
        }
        let batch = lead.iter().product();
        let mut output = lead.to_vec();
        output.extend(steps);
        if driven == 1 {
            let want = [&output[..], &[model.nu()]].concat();
            if x[1].dims() != want {
                return shape(format!("controls of the shape {want:?}"), &x[1]);
            }
        }
        for (t, p) in x[1 + driven..].iter().zip(parameters) {
            let want = model.parameter(*p).len();
            if t.dims() != [want] {
                return shape(format!("{} of the shape [{want}]", p.name()), t);
            }
        }
        output.push(width);
        Ok(Self {
            dims: x.iter().map(|t| t.dims().to_vec()).collect(),
            dtype,
            device: x[0].device().clone(),
            batch,
            width,
            states: to_f64(&x[0])?,
            controls: if driven == 1 { to_f64(&x[1])? } else { Vec::new() },
            parameters: x[1 + driven..].iter().map(to_f64).collect::<NetworkResult<_>>()?,
            output,
        })
    }

    pub(crate) fn state_into(&self, model: &Model, item: usize, data: &mut Data) {
        let (nq, nv) = (model.nq(), model.nv());
        let state = &self.states[item * self.width..(item + 1) * self.width];
        data.qpos.copy_from_slice(&state[..nq]);
        data.qvel.copy_from_slice(&state[nq..nq + nv]);
        data.act.copy_from_slice(&state[nq + nv..]);
    }

    pub(crate) fn controls_of(&self, item: usize, len: usize) -> &[f64] {
        &self.controls[item * len..(item + 1) * len]
    }

    /// The states after the start.
    pub(crate) fn output(&self, runs: &[Rollout]) -> NetworkResult<Tensor> {
        let data = runs.iter().flat_map(|r| r.states()[self.width..].iter().copied()).collect();
        self.tensor(data, &self.output)
    }

    pub(crate) fn tensor(&self, data: Vec<f64>, dims: &[usize]) -> NetworkResult<Tensor> {
        Ok(from_vec(data, dims, &self.device)?.to_dtype(self.dtype)?)
    }
}
