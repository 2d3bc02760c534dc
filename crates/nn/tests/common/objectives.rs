//! Functions of one vector `x`, and methods run on them.
#![allow(dead_code, reason = "each test file uses a part")]

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Var};
use pullback_nn::optimizer::{Minimizer, Objective, Outcome, minimize};
use pullback_nn::{Bound, Initialization, Parameters};

pub(crate) fn parameters(dtype: DType, x: &[f64]) -> Parameters {
    let mut parameters = Parameters::new(1, dtype, &Device::Cpu);
    parameters.root().parameter("x", &[x.len()], Initialization::Constant(0.0)).unwrap();
    set(&mut parameters, x);
    parameters
}

pub(crate) fn set(parameters: &mut Parameters, x: &[f64]) {
    let dtype = parameters.dtype();
    parameters.set("x", &Tensor::new(x, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()).unwrap();
}

pub(crate) fn at(parameters: &Parameters) -> Vec<f64> {
    to_f64(parameters.get("x").unwrap()).unwrap()
}

pub(crate) fn of<F>(p: &Parameters, f: F) -> Objective
where
    F: for<'g> Fn(Var<'g>) -> Var<'g> + Send + Sync + 'static,
{
    Objective::new("f", p, move |_: &Graph, b: &Bound<'_>| f(b.get("x")?).ok())
}

pub(crate) fn run(
    method: &mut dyn Minimizer,
    f: &Objective,
    p: &mut Parameters,
    steps: usize,
) -> Outcome {
    minimize(method, f, p, steps, |_, _| ()).unwrap()
}
