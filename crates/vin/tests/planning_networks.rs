//! Networks against PyTorch: values and all gradients, in double precision; the penalty that a VIN's training may have.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Var};
use pullback_nn::data::{Batch, Dataset};
use pullback_nn::layer::Layer;
use pullback_nn::parameters::Parameters;
use pullback_nn::train::Task;
use pullback_vin::gradient::Plan;
use pullback_vin::grid::{GridMap, GridProcess, GridSpec};
use pullback_vin::learn::{ProblemSet, Protocol};
use pullback_vin::network::{Gppn, GppnSpec, PlanningData, PlanningTask, Vin, VinSpec};
use pullback_vin::node::{IterationOptions, PlanNode, value_iteration};
use pullback_vin::process::{Csr, Dense, Parametric};
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
fn the_penalty_on_blending_is_its_formula_and_part_of_the_loss() {
    let spec = VinSpec { hidden: 5, iterations: 4, symmetric: true, ..VinSpec::default() };
    let mut parameters = Parameters::new(5, DType::F64, &Device::Cpu);
    let network = Vin::new(&mut parameters.root(), spec).unwrap();
    network.start_as_steps(&mut parameters, 0.9).unwrap();
    let value = |p: &Parameters| {
        let graph = Graph::new();
        network.blending(&p.bind_constant(&graph)).unwrap().to_f64().unwrap()
    };
    assert!(value(&parameters).abs() < 1e-12); // steps blend nothing
    // The middle kernels are the same after every turn: W's 9th is 1 in the middle and b beside it, U's 10th is b alone.
    let (b, mut w, mut u) = (0.25f64, vec![0.0; 90], vec![0.0; 90]);
    w[8 * 9 + 4] = -1.0;
    for tap in [1, 3, 5, 7] {
        (w[8 * 9 + tap], u[9 * 9 + tap]) = (b, b);
    }
    for (name, k) in [("q.weight", w), ("w", u)] {
        parameters.set(name, &Tensor::from_vec(k, (10, 1, 3, 3), &Device::Cpu).unwrap()).unwrap();
    }
    let expected = 1.0 + 4.0 * b - (1.0 + 4.0 * b * b).sqrt() + 2.0 * b;
    assert!((value(&parameters) - expected).abs() < 1e-12);
    // The slope along a direction, at dense kernels.
    let [at, along] = [[1, 2], [3, 4]].map(|two| two.map(|k| fill(k, &[10, 1, 3, 3], 1.0)));
    let moved = |t: f64| {
        let mut p = parameters.clone();
        for (k, name) in ["q.weight", "w"].iter().enumerate() {
            p.set(name, &(&at[k] + (&along[k] * t).unwrap()).unwrap()).unwrap();
        }
        p
    };
    let (graph, here) = (Graph::new(), moved(0.0));
    let bound = here.bind(&graph);
    let wrt = ["q.weight", "w"].map(|name| bound.get(name).unwrap());
    let gradient = graph.gradient(network.blending(&bound).unwrap(), &wrt).unwrap();
    let pushed: f64 = gradient
        .iter()
        .zip(&along)
        .map(|(g, d)| common::dot(&to_f64(g).unwrap(), &to_f64(d).unwrap()))
        .sum();
    let slope = (value(&moved(1e-6)) - value(&moved(-1e-6))) / 2e-6;
    assert!((slope - pushed).abs() < 1e-7 * pushed.abs(), "{slope} {pushed}");
    // The loss of a task with it is the sum.
    let set = ProblemSet::generate(Protocol::Vin { size: 8 }, 1, 1).unwrap();
    let data = PlanningData::new(set).unwrap();
    // Images are f32, this network is f64.
    let tensors = data.batch(&[0, 3]).unwrap();
    assert_eq!(tensors[0].dtype(), DType::F32);
    let batch = Batch { epoch: 0, index: 0, tensors };
    let loss = |penalty: bool| {
        let mut task = PlanningTask::new(network.clone(), None, false);
        if penalty {
            let vin = network.clone();
            task = task.with_penalty(move |p| (vin.blending(p)? * 0.5).ok());
        }
        let graph = Graph::new();
        task.loss(&graph, &here.bind(&graph), &batch).unwrap().to_f64().unwrap()
    };
    assert!((loss(true) - loss(false) - 0.5 * value(&here)).abs() < 1e-12);
}

#[test]
fn sizes_and_inputs_that_cannot_be() {
    let large = VinSpec::of_size(usize::MAX);
    assert!(large.iterations > 1 << 60);
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let untied = VinSpec { iterations: usize::MAX, untied: true, ..VinSpec::default() };
    let error = Vin::new(&mut parameters.root(), untied).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("more than 2³⁶ weights"), "{error}");
    for kernel in [0, 1, 2, 4, 13, usize::MAX] {
        let spec = VinSpec { kernel, ..VinSpec::default() };
        let error = Vin::new(&mut parameters.root(), spec).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(&format!("the side {kernel}, must be 3")), "{error}");
    }
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

/// In f32 a row of 0.1, 0.2 and 0.7 has a sum of 1 − 7·10⁻⁹: it is a distribution none the less. A sum of 0.99 is none.
#[test]
fn probabilities_may_be_f32() {
    let p = [0.1, 0.2, 0.7, 0.3, 0.3, 0.4, 0.0, 0.0, 1.0];
    let reward = vec![-1.0, -2.0, 0.0];
    let dense = Dense::new([3, 1], reward.clone(), p.to_vec(), 1.0, &[(2, 0.0)]).unwrap();
    let rows = ((0..4).map(|i| 3 * i).collect(), [0, 1, 2].repeat(3), p.to_vec());
    let sparse = Csr::new([3, 1], reward, rows, 1.0, &[(2, 0.0)]).unwrap();
    fn check<P: Parametric + Clone + 'static>(process: P) {
        let plan = PlanNode::new(vec![process.clone()], Plan::default()).unwrap().build();
        let theta = process.parameters();
        let mut at = 0;
        let parts = process.blocks().into_iter().map(|block| {
            let (dims, n) = ([&[1], &block.dims[..]].concat(), block.len());
            at += n;
            Tensor::from_vec(theta[at - n..at].to_vec(), dims, &Device::Cpu).unwrap()
        });
        let x: Vec<Tensor> = parts.collect();
        let run = |dtype: DType| -> Vec<Vec<f64>> {
            let graph = Graph::new();
            let input = |t: &Tensor| graph.input(&t.to_dtype(dtype).unwrap());
            let x: Vec<Var<'_>> = x.iter().map(input).collect();
            let values = graph.apply(&plan, &x).unwrap()[0];
            let gradient = graph.gradient(values.sum(()), &x).unwrap();
            let all = std::iter::once(values.value().unwrap()).chain(gradient);
            all.map(|t| to_f64(&t).unwrap()).collect()
        };
        for (part, (a, b)) in run(DType::F32).iter().zip(&run(DType::F64)).enumerate() {
            let error = common::apart(a, b);
            assert!(error < 1e-6, "part {part}: {error:e}");
        }
        let mut lossy = to_f64(&x[1]).unwrap();
        lossy[2] -= 0.01;
        let lossy = Tensor::from_vec(lossy, x[1].dims(), &Device::Cpu).unwrap();
        let bad = [&x[0], &lossy].map(|t| t.to_dtype(DType::F32).unwrap());
        let error = plan.eval(&bad).unwrap_err().to_string();
        assert!(error.contains("state 0, action 0: their sum is 0.99"), "{error}");
    }
    check(dense);
    check(sparse);
    // Slip and stay of f32 may have a sum that is above 1 by its rounding.
    let map = GridMap::new(3, 3, vec![false; 9]).unwrap();
    let spec = GridSpec { slip: 0.2, stay: 0.8, ..GridSpec::default() };
    let process = GridProcess::new(map, spec, &[(4, 0.0)]).unwrap();
    let node = PlanNode::new(vec![process], Plan::default()).unwrap().build();
    let one = |dims: &[usize], x: f32| Tensor::full(x, dims, &Device::Cpu).unwrap();
    assert!(f64::from(0.2f32) + f64::from(0.8f32) > 1.0);
    let at = |stay: f32| node.eval(&[one(&[1, 3, 3], 1.0), one(&[1, 1], 0.2), one(&[1, 1], stay)]);
    assert!(at(0.8).is_ok());
    assert!(at(0.9).unwrap_err().to_string().contains("slip is 0.2"));
}
