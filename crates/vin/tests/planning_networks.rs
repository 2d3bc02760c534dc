//! Networks against PyTorch: values and all gradients, in double precision.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Var};
use pullback_nn::layer::Layer;
use pullback_nn::parameters::Parameters;
use pullback_vin::gradient::Plan;
use pullback_vin::grid::{GridMap, GridProcess, GridSpec};
use pullback_vin::network::{Gppn, GppnSpec, Vin, VinSpec};
use pullback_vin::node::{IterationOptions, PlanNode, value_iteration};
use serde_json::Value;

/// Element i is scale·sin(0.7·i + 1.3·stream); tools/reference/generate_vin.py has the same function.
fn fill(stream: usize, dims: &[usize], scale: f64) -> Tensor {
    let one = |i: usize| scale * (0.7 * i as f64 + 1.3 * stream as f64).sin();
    let n = dims.iter().product();
    Tensor::from_vec((0..n).map(one).collect::<Vec<f64>>(), dims, &Device::Cpu).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn dims(v: &Value) -> Vec<usize> {
    numbers(v).iter().map(|x| *x as usize).collect()
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/networks.json"),
    );
    let all: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let cases = all["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let iterations = case["iterations"].as_u64().unwrap() as usize;
        let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
        let mut root = parameters.root();
        let network: Box<dyn Layer> = match name {
            "vin" => {
                let spec = VinSpec { hidden: 7, channels: 6, iterations, ..VinSpec::default() };
                Box::new(Vin::new(&mut root, spec).unwrap())
            }
            "gppn" => {
                let spec = GppnSpec { hidden: 5, kernel: 5, iterations, ..GppnSpec::default() };
                Box::new(Gppn::new(&mut root, spec).unwrap())
            }
            other => panic!("no network {other}"),
        };
        let weights = case["weights"].as_array().unwrap();
        assert_eq!(weights.len(), parameters.len(), "{name}");
        for (stream, weight) in weights.iter().enumerate() {
            let t = fill(stream, &dims(&weight[1]), weight[2].as_f64().unwrap());
            parameters.set(weight[0].as_str().unwrap(), &t).unwrap();
        }
        let graph = Graph::new();
        let bound = parameters.bind(&graph);
        let x = graph.input(&fill(weights.len(), &dims(&case["x"]), 1.0));
        let y = network.forward(&bound, x).unwrap();
        let error = common::apart(&to_f64(&y.value().unwrap()).unwrap(), &numbers(&case["y"]));
        assert!(error < 1e-12, "{name}: {error:e}");
        let along = graph.constant(&fill(weights.len() + 1, &y.dims().unwrap(), 1.0));
        let wrt: Vec<Var<'_>> = bound.vars().iter().copied().chain([x]).collect();
        let gradients = graph.gradient((y * along).sum(()), &wrt).unwrap();
        let want = case["gradients"].as_array().unwrap();
        assert_eq!(gradients.len(), want.len());
        for (i, (ours, theirs)) in gradients.iter().zip(want).enumerate() {
            let error = common::apart(&to_f64(ours).unwrap(), &numbers(theirs));
            assert!(error < 1e-11, "{name}, gradient {i}: {error:e}");
        }
    }
}

#[test]
fn sizes_and_inputs_that_cannot_be() {
    let large = VinSpec::of_size(usize::MAX);
    assert!(large.iterations > 1 << 60);
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let untied = VinSpec { iterations: usize::MAX, untied: true, ..VinSpec::default() };
    let error = Vin::new(&mut parameters.root(), untied).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("more than 2³⁶ weights"), "{error}");
    for (iterations, untied) in [(1 << 60, false), (usize::MAX, false), (usize::MAX, true)] {
        let graph = Graph::new();
        let r = graph.constant(&fill(0, &[1, 4, 4], 1.0));
        let w = graph.constant(&fill(1, if untied { &[1, 2, 3, 3] } else { &[2, 3, 3] }, 1.0));
        let options = IterationOptions { iterations, pad: 0.0, untied };
        let error = value_iteration(r, w, w, options).and_then(|q| q.value()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the tape of") || untied && text.contains("K + 1"), "{text}");
    }
    let map = GridMap::new(3, 3, vec![false; 9]).unwrap();
    let process = GridProcess::new(map, GridSpec::default(), &[(8, 0.0)]).unwrap();
    let node = || PlanNode::new(vec![process.clone()], Plan::default()).unwrap();
    let error = node().fill(f64::NAN).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("fill is NaN"), "{error}");
    let error = node().build().eval(&[fill(0, &[1, 3, 3], 1.0)]).unwrap_err().to_string();
    assert!(error.contains("1 inputs where there must be 3: cost, slip, stay"), "{error}");
}
