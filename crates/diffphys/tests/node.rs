//! Steps and rollouts as nodes: the laws of derivatives, batches, threads, candle's tape, closed loops.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::{direction, model, states};
use pullback_core_graph::candle::{DType, Device, Tensor, Var};
use pullback_core_graph::check::{Tolerances, laws};
use pullback_core_graph::{Function, Graph, attach, function};
use pullback_diffphys::{Model, Parameter, Simulation, StepDerivative};
use pullback_graph::{Checkpoints, Scan};

/// `count` states of the model as one tensor.
fn batch(model: &Model, count: usize) -> Tensor {
    let list = states(model, count, 17);
    let rows: Vec<f64> =
        list.iter().flat_map(|d| [d.qpos.as_slice(), &d.qvel, &d.act].concat()).collect();
    let width = model.nq() + model.nv() + model.na();
    Tensor::from_vec(rows, (count, width), &Device::Cpu).unwrap()
}

fn controls(dims: &[usize]) -> Tensor {
    let count = dims.iter().product();
    let data: Vec<f64> = direction(count).iter().map(|x| 0.3 * x).collect();
    Tensor::from_vec(data, dims, &Device::Cpu).unwrap()
}

/// The laws look at differences of a thousandth, contacts are softened over a millimetre: so the step is seen through a lens, x = x₀ + (z − 1)/10³,
/// at states at which no row is near to switching.
#[test]
fn a_step_obeys_the_laws() {
    const LENS: f64 = 1e-3;
    for name in ["arm", "cones"] {
        let model = Arc::new(model(name));
        let mut derivative = StepDerivative::new(&model);
        let mut tested = 0;
        for mut data in states(&model, 30, 7) {
            data.ctrl.fill(0.1);
            derivative.evaluate(&model, &data).unwrap();
            let nearest = derivative.report().nearest.map_or(1.0, |(_, d)| d);
            let onset = derivative.data().contact().iter().any(|c| c.dist.abs() < 1e-5);
            if nearest < 1e-3 || onset {
                continue;
            }
            let row = [data.qpos.as_slice(), &data.qvel, &data.act].concat();
            let width = row.len();
            let mut centers = vec![Tensor::from_vec(row, width, &Device::Cpu).unwrap()];
            if model.nu() > 0 {
                let ctrl = Tensor::from_vec(data.ctrl.clone(), model.nu(), &Device::Cpu).unwrap();
                centers.push(ctrl);
            }
            let ones: Vec<Tensor> = centers.iter().map(|c| c.ones_like().unwrap()).collect();
            let step = Simulation::step(model.clone()).build();
            let near = function("step through a lens", move |g, v| {
                let inputs: Vec<_> = centers
                    .iter()
                    .zip(v)
                    .map(|(center, z)| g.constant(center) + (*z - 1.0) * LENS)
                    .collect();
                g.apply(&step, &inputs)
            });
            let tolerances = Tolerances { difference: 1e-3, slope: 1.0, ..Tolerances::default() };
            laws(&near, &ones, &tolerances).unwrap();
            tested += 1;
        }
        assert!(tested >= 3, "{name}: {tested}");
    }
}

#[test]
fn a_rollout_obeys_the_laws_in_parameters_too() {
    let model = Arc::new(model("arm"));
    let parameters = [Parameter::BodyMass, Parameter::DofDamping];
    let mut x = vec![batch(&model, 2), controls(&[2, 4, model.nu()])];
    for p in parameters {
        let values = model.parameter(p).to_vec();
        let count = values.len();
        x.push(Tensor::from_vec(values, count, &Device::Cpu).unwrap());
    }
    let rollout = Simulation::rollout(model, 4).parameters(&parameters).build();
    laws(&rollout, &x, &Tolerances::default()).unwrap();
}

/// A state that is none is told with the name of what was asked for.
#[test]
fn a_step_is_not_called_a_rollout() {
    let model = Arc::new(model("pile"));
    let mut row = states(&model, 1, 3).remove(0).qpos;
    row.extend(vec![f64::NAN; model.nv()]);
    let x = Tensor::new(row.as_slice(), &Device::Cpu).unwrap();
    for (node, words) in [
        (Simulation::step(model.clone()).build(), "step: qvel[0] = NaN"),
        (Simulation::rollout(model, 1).build(), "rollout: qvel[0] = NaN"),
    ] {
        let message = node.eval(std::slice::from_ref(&x)).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_batch_is_its_items_for_any_number_of_threads() {
    let model = Arc::new(model("arm"));
    let (x, u) = (batch(&model, 5), controls(&[5, 6, model.nu()]));
    let rollout = Simulation::rollout(model, 6).build();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let graph = Graph::new();
            let (a, b) = (graph.input(&x), graph.input(&u));
            let y = graph.apply(&rollout, &[a, b]).unwrap()[0];
            let loss = (y * y).sum(());
            let value = y.value().unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let g = graph.gradient(loss, &[b]).unwrap()[0].flatten_all().unwrap();
            (value, g.to_vec1::<f64>().unwrap())
        })
    };
    let one = run(1);
    assert_eq!(one, run(3));
    let item = rollout.eval(&[x.get(3).unwrap(), u.get(3).unwrap()]).unwrap();
    let width = item[0].elem_count();
    let alone = item[0].flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(alone, one.0[3 * width..4 * width]);
}

#[test]
fn candles_own_tape_flows_through() {
    let model = Arc::new(model("arm"));
    let (x, u) = (batch(&model, 1), controls(&[1, 3, model.nu()]));
    let rollout = Simulation::rollout(model, 3).build();
    let u = Var::from_tensor(&u.to_dtype(DType::F32).unwrap()).unwrap();
    let x = x.to_dtype(DType::F32).unwrap();
    let y = attach(&rollout, &[&x, u.as_tensor()]).unwrap();
    let loss = y[0].sqr().unwrap().sum_all().unwrap();
    let gradient = loss.backward().unwrap();
    let g = gradient.get(u.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(g.iter().any(|x| x.abs() > 1e-3) && g.iter().all(|x| x.is_finite()));
}

#[test]
fn a_closed_loop_is_a_scan_with_any_controller_and_a_cost_at_every_step() {
    let model = Arc::new(model("arm"));
    let width = model.nq() + model.nv() + model.na();
    let x = batch(&model, 1).get(0).unwrap();
    let step = Simulation::step(model.clone()).build();
    let nu = model.nu();
    // u = 0.1·tanh(K·x), cost = Σ x².
    let closed = function("closed loop", move |g, v| {
        let u = v[1].matmul(v[0].reshape(&[width, 1])).reshape(&[nu]).tanh() * 0.1;
        let next = g.apply(&step, &[v[0], u])?[0];
        Ok(vec![next, (next * next).sum(())])
    });
    let gain = controls(&[nu, width]);
    let run = |checkpoints: Checkpoints| {
        let scan = Scan::new("loop", closed.clone(), 1).outputs(1).steps(12);
        let scan = scan.checkpoints(checkpoints).build().unwrap();
        let graph = Graph::new();
        let (x, k) = (graph.input(&x), graph.input(&gain));
        let y = graph.apply(&scan, &[x, k]).unwrap();
        let cost = y[1].sum(());
        let slope = graph.gradient(cost, &[k]).unwrap()[0].flatten_all().unwrap();
        (cost.value().unwrap().to_scalar::<f64>().unwrap(), slope.to_vec1::<f64>().unwrap())
    };
    let all = run(Checkpoints::States);
    assert_eq!(all, run(Checkpoints::Revolve(3)));
    // Along a direction of K: the difference quotient.
    let moved = |s: f64| {
        let w = Tensor::from_vec(direction(nu * width), (nu, width), &Device::Cpu).unwrap();
        let k = (&gain + (w * s).unwrap()).unwrap();
        let (mut state, mut cost) = (x.clone(), 0.0);
        for _ in 0..12 {
            let y = closed.eval(&[state, k.clone()]).unwrap();
            cost += y[1].to_scalar::<f64>().unwrap();
            state = y[0].clone();
        }
        cost
    };
    let want = (moved(1e-6) - moved(-1e-6)) / 2e-6;
    let got: f64 = all.1.iter().zip(direction(nu * width)).map(|(a, b)| a * b).sum();
    assert!((got - want).abs() <= 1e-6 * (1.0 + want.abs()), "{got} {want}");
}
