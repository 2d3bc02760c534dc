//! PyTorch's numbers, and ours beside them.

use std::collections::BTreeMap;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result};
use pullback_nn::{Mode, Parameters};
use serde_json::Value;

use super::build::build;
use super::{Case, cast};

const TABLES: [&str; 3] = [
    include_str!("../../data/layers_features.json"),
    include_str!("../../data/layers_images.json"),
    include_str!("../../data/layers_sequences.json"),
];

/// One case of the tables.
pub(crate) struct Reference {
    pub(crate) name: String,
    training: bool,
    inputs: Vec<Tensor>,
    parameters: BTreeMap<String, Tensor>,
    buffers: BTreeMap<String, Tensor>,
    buffers_after: BTreeMap<String, Tensor>,
    output: Tensor,
    cotangent: Tensor,
    gradients: BTreeMap<String, Tensor>,
    input_gradients: Vec<Option<Tensor>>,
}

/// The worst error of one case, relative to max(1, the largest reference number) of each tensor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worst {
    pub(crate) error: f64,
    pub(crate) at: String,
    pub(crate) compared: usize,
}

pub(crate) fn table() -> Vec<Reference> {
    let cases = TABLES.iter().flat_map(|text| {
        let all: Value = serde_json::from_str(text).unwrap();
        all["cases"].as_array().unwrap().clone()
    });
    cases.map(|case| Reference::read(&case)).collect()
}

/// The version of PyTorch that made the tables.
pub(crate) fn version() -> String {
    let all: Value = serde_json::from_str(TABLES[0]).unwrap();
    all["versions"]["torch"].as_str().unwrap().to_string()
}

fn read(value: &Value) -> Tensor {
    let dims: Vec<usize> =
        value["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let data = value["data"].as_array().unwrap();
    if !data.is_empty() && data.iter().all(Value::is_i64) {
        let integers: Vec<u32> = data.iter().map(|v| v.as_u64().unwrap() as u32).collect();
        return Tensor::from_vec(integers, dims, &Device::Cpu).unwrap();
    }
    let numbers: Vec<f64> = data.iter().map(|v| v.as_f64().unwrap()).collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

fn read_all(value: &Value) -> BTreeMap<String, Tensor> {
    value.as_object().into_iter().flatten().map(|(name, v)| (name.clone(), read(v))).collect()
}

impl Reference {
    fn read(case: &Value) -> Self {
        let list = |key: &str| case[key].as_array().unwrap().clone();
        Self {
            name: case["name"].as_str().unwrap().to_string(),
            training: case["training"].as_bool().unwrap(),
            inputs: list("inputs").iter().map(read).collect(),
            parameters: read_all(&case["parameters"]),
            buffers: read_all(&case["buffers"]),
            buffers_after: read_all(&case["buffers_after"]),
            output: read(&case["output"]),
            cotangent: read(&case["cotangent"]),
            gradients: read_all(&case["gradients"]),
            input_gradients: list("input_gradients")
                .iter()
                .map(|v| (!v.is_null()).then(|| read(v)))
                .collect(),
        }
    }

    /// Our layer with these values.
    pub(crate) fn case(&self, dtype: DType) -> Case {
        let mut parameters = Parameters::new(1, dtype, &Device::Cpu);
        let forward =
            build(&self.name, parameters.root()).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
        assert!(names.iter().eq(self.parameters.keys()), "{}: {names:?}", self.name);
        for (name, value) in &self.parameters {
            parameters.set(name, &cast(value, dtype)).unwrap();
        }
        for (name, value) in &self.buffers {
            parameters.set_buffer(name, &cast(value, dtype)).unwrap();
        }
        let mode = if self.training { Mode::Training { seed: 1 } } else { Mode::Evaluation };
        let inputs = self.inputs.iter().map(|t| cast(t, dtype)).collect();
        Case { name: self.name.clone(), mode, parameters, forward, inputs }
    }

    /// Our output, gradients and buffers against PyTorch's.
    pub(crate) fn compare(&self, dtype: DType) -> Result<Worst> {
        let Case { mut parameters, forward, inputs, mode, .. } = self.case(dtype);
        let graph = Graph::new();
        let bound = parameters.bind(&graph).in_mode(mode);
        let x: Vec<_> = inputs
            .iter()
            .map(|t| if t.dtype().is_int() { graph.constant(t) } else { graph.input(t) })
            .collect();
        let y = forward(&bound, &x)?;
        let mut worst = Worst::default();
        worst.compare("output", &y.value()?, &self.output)?;
        let real = x.iter().zip(&self.input_gradients).filter(|(_, g)| g.is_some());
        let (of, expected): (Vec<_>, Vec<_>) = real.unzip();
        let wrt: Vec<_> = bound.vars().iter().copied().chain(of).collect();
        let pulled = graph.pull(&[(y, cast(&self.cotangent, dtype))], &wrt)?;
        let inputs = (0..).zip(expected).map(|(i, g)| (format!("input {i}"), g.clone().unwrap()));
        let all = self.gradients.clone().into_iter().chain(inputs);
        assert_eq!(pulled.len(), self.gradients.len() + of_real(&self.input_gradients));
        for ((name, expected), ours) in all.zip(pulled) {
            let ours = ours.unwrap_or(expected.zeros_like()?);
            worst.compare(&format!("gradient of {name}"), &ours, &expected)?;
        }
        parameters.apply(&bound).map_err(pullback_core_graph::Error::from)?;
        let after: BTreeMap<_, _> = parameters.buffers().collect();
        for (name, expected) in &self.buffers_after {
            worst.compare(name, after[name.as_str()], expected)?;
        }
        Ok(worst)
    }
}

fn of_real(gradients: &[Option<Tensor>]) -> usize {
    gradients.iter().flatten().count()
}

impl Worst {
    fn compare(&mut self, what: &str, ours: &Tensor, theirs: &Tensor) -> Result<()> {
        assert_eq!(ours.dims(), theirs.dims(), "{what}");
        let (ours, theirs) = (to_f64(ours)?, to_f64(theirs)?);
        let scale = theirs.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            self.compared += 1;
            let error = (a - b).abs() / scale;
            if error.is_nan() || self.error < error {
                self.error = error;
                self.at = format!("{what}, element {i}: {a:e} instead of {b:e}");
            }
        }
        Ok(())
    }
}
