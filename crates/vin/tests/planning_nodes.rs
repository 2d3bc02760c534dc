//! Nodes and networks: the laws, the loop beside the network composed from single operations, shapes, training that learns.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{Random, grid, grids};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Function, Graph, Var, Wrt, function};
use pullback_nn::data::{Loader, LoaderOptions};
use pullback_nn::layer::{Layer, layer_function};
use pullback_nn::ops::{Conv2dOptions, conv2d};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::Parameters;
use pullback_nn::train::{Event, Trainer, TrainerOptions};
use pullback_vin::gradient::{Plan, Way};
use pullback_vin::grid::{Connectivity, GridProcess};
use pullback_vin::learn::{ProblemSet, Protocol, measure};
use pullback_vin::network::{
    Calvin, CalvinSpec, Cnn, CnnSpec, DtVin, DtVinSpec, Fcn, FcnSpec, Gppn, GppnSpec, MvProp,
    MvPropSpec, PlanningData, PlanningTask, Vin, VinSpec, greedy, highway_loss, images,
};
use pullback_vin::node::{
    IterationOptions, PlanNode, action_value_iteration, dynamic_value_iteration, set_cross_entropy,
    value_iteration,
};
use pullback_vin::process::{Backup, Block, Parametric, Process};

fn tensor(seed: u64, dims: &[usize], scale: f64) -> Tensor {
    let data: Vec<f64> =
        Random::new(seed).normals(dims.iter().product()).iter().map(|x| scale * x).collect();
    Tensor::from_vec(data, dims, &Device::Cpu).unwrap()
}

#[test]
fn the_laws_hold_for_the_loop_and_the_loss() {
    // Two channels that see r and −r, and r far from 0: which one wins differs from cell to cell, and no small step changes it.
    let two = |seed: u64, sets: usize| -> Tensor {
        let mut w = to_f64(&tensor(seed, &[sets, 2, 3, 3], 0.03)).unwrap();
        (0..2 * sets).for_each(|c| w[c * 9 + 4] += if c % 2 == 0 { 1.0 } else { -1.0 });
        Tensor::from_vec(w, (sets, 2, 3, 3), &Device::Cpu).unwrap()
    };
    let far: Vec<f64> =
        Random::new(1).normals(48).iter().map(|x| x.signum() * (1.0 + 0.2 * x.abs())).collect();
    let r = Tensor::from_vec(far, (2, 4, 6), &Device::Cpu).unwrap();
    for (iterations, untied) in [(5, false), (2, true)] {
        let node = function("loop", move |_, v| {
            let options = IterationOptions { iterations, pad: 0.1, untied };
            Ok(vec![value_iteration(v[0], v[1], v[2], options)?])
        });
        let sets = if untied { iterations + 1 } else { 1 };
        let dims: &[usize] = if untied { &[3, 2, 3, 3] } else { &[2, 3, 3] };
        let w = two(2, sets).reshape(dims).unwrap();
        let u = tensor(3, dims, 0.02);
        laws(&node, &[r.clone(), w, u], &Tolerances::default()).unwrap();
    }
    let sets: Vec<u8> = (0..24).map(|i| (i * 5 % 8) as u8).collect();
    let loss = function("loss", move |_, v| Ok(vec![set_cross_entropy(v[0], sets.clone())?]));
    laws(&loss, &[tensor(4, &[2, 3, 3, 4], 1.0)], &Tolerances::default()).unwrap();
}

/// Blocks of θ as tensors, noise put in the inner part of its domain.
fn blocks(process: &GridProcess) -> Vec<Tensor> {
    let theta = process.parameters();
    let mut at = 0;
    let one = |block: &Block| {
        let n = block.len();
        let part = theta[at..at + n].to_vec();
        at += n;
        Tensor::from_vec(part, [&[1], &block.dims[..]].concat(), &Device::Cpu).unwrap()
    };
    process.blocks().iter().map(one).collect()
}

#[test]
fn the_laws_hold_for_the_planner() {
    for (name, spec, open) in grids() {
        if spec.slip == 0.0 || spec.stay == 0.0 {
            continue; // at the edge of the domain of probabilities there are no two-sided differences
        }
        let process = grid(spec, open).unwrap();
        let x = blocks(&process);
        for (way, backup) in [
            (Way::Implicit, Backup::Hard),
            (Way::Implicit, Backup::Soft { temperature: 0.1 }),
            (Way::Checkpointed { sweeps: 9 }, Backup::Mellow { temperature: 0.2 }),
        ] {
            let plan = Plan { way, backup, ..Plan::default() };
            let node = PlanNode::new(vec![process.clone()], plan).unwrap().build();
            let tolerances = Tolerances { step: 1e-4, ..Tolerances::default() };
            laws(&node, &x, &tolerances).unwrap_or_else(|e| panic!("{name}, {way:?}: {e}"));
        }
    }
}

#[test]
fn the_laws_hold_for_discount_temperature_and_first_values() {
    let (_, spec, open) = grids()[3];
    let process = grid(spec, open).unwrap();
    let n = process.states();
    let mut x = blocks(&process);
    let one = |v: f64| Tensor::from_vec(vec![v], (1, 1), &Device::Cpu).unwrap();
    x.extend([one(0.9), one(0.15), tensor(3, &[1, n], 0.1)]);
    for way in [Way::Implicit, Way::Unrolled { sweeps: 4 }] {
        let plan = Plan { way, backup: Backup::Soft { temperature: 0.3 }, ..Plan::default() };
        let node = PlanNode::new(vec![process.clone()], plan).unwrap();
        let node = node.discount().temperature().initial().build();
        let tolerances = Tolerances { step: 1e-4, ..Tolerances::default() };
        laws(&node, &x, &tolerances).unwrap_or_else(|e| panic!("{way:?}: {e}"));
    }
    // γ = 0 is outside the domain, and the error says so.
    x[4] = one(0.0);
    let node = PlanNode::new(vec![process], Plan::default()).unwrap();
    let error = node.discount().temperature().initial().build().eval(&x).unwrap_err();
    assert!(error.to_string().contains("discount"), "{error}");
}

#[test]
fn the_laws_hold_for_rewards_of_actions() {
    let rewards = tensor(1, &[2, 3, 4, 5], 1.0);
    let u = tensor(2, &[3, 3, 3], 0.05);
    let node = function("loop", move |_, v| {
        let options = IterationOptions { iterations: 4, pad: 0.1, untied: false };
        Ok(vec![action_value_iteration(v[0], v[1], options)?])
    });
    let tolerances = Tolerances { step: 1e-5, ..Tolerances::default() };
    laws(&node, &[rewards, u], &tolerances).unwrap();
}

#[test]
fn the_loop_of_a_dt_vin_is_its_operations() {
    let (kernels, r) = (tensor(1, &[2, 3, 9, 4, 5], 0.2), tensor(2, &[2, 4, 5], 1.0));
    let composed = function("composed", |graph, v| {
        let mut taps = vec![0.0; 81];
        (0..9).for_each(|t| taps[t * 10] = 1.0);
        let taps = graph.constant(&Tensor::from_vec(taps, (9, 1, 3, 3), &Device::Cpu)?);
        let options = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
        let (mut value, mut all) = (v[1].zeros_like(), vec![]);
        for n in 1..=4 {
            let around = conv2d((v[1] + value).unsqueeze(1), taps, options).unsqueeze(1);
            let q = (v[0] * around).sum([2]).ok()?;
            all.extend((n != 1 && n != 3).then_some(q));
            value = q.max([1]);
        }
        Ok(all)
    });
    let fused = function("fused", |_, v| dynamic_value_iteration(v[0], v[1], &[2, 4]));
    let run = |node: &Arc<dyn Function>| -> Vec<f64> {
        let graph = Graph::new();
        let x = [graph.input(&kernels), graph.input(&r)];
        let all = graph.apply(node, &x).unwrap();
        let loss = (all[0] * all[0]).sum(()) + (all[1] * all[1]).sum(());
        let gradient = graph.gradient(loss, &x).unwrap();
        let values = all.iter().flat_map(|q| to_f64(&q.value().unwrap()).unwrap());
        values.chain(gradient.iter().flat_map(|g| to_f64(g).unwrap())).collect()
    };
    assert!(common::apart(&run(&composed), &run(&fused)) < 1e-12);
    let tolerances = Tolerances { step: 1e-5, ..Tolerances::default() };
    laws(&fused, &[kernels.clone(), r.clone()], &tolerances).unwrap();
    let bad = function("bad", |_, v| dynamic_value_iteration(v[0], v[1], &[3, 2]));
    assert!(bad.eval(&[kernels, r]).unwrap_err().to_string().contains("stages"));
}

#[test]
fn the_highway_loss_counts_what_can_be_known() {
    // Two stages, cells at 1, 3 and 9 moves: the second stage sees two of them, none the last.
    let logits = [tensor(1, &[1, 4, 1, 3], 1.0), tensor(2, &[1, 4, 1, 3], 1.0)];
    let (sets, moves) = (vec![1u8, 2, 4], [1.0, 3.0, 9.0]);
    let graph = Graph::new();
    let stages = [(2, graph.constant(&logits[0])), (4, graph.constant(&logits[1]))];
    let loss = highway_loss(&stages, &sets, &moves).unwrap().to_f64().unwrap();
    let one =
        |k: usize, sets: Vec<u8>| set_cross_entropy(stages[k].1, sets).unwrap().to_f64().unwrap();
    let expected = 0.5 * (one(0, vec![1, 0, 0]) + one(1, vec![1, 2, 0]));
    assert!((loss - expected).abs() < 1e-14);
    assert!(highway_loss(&stages, &sets, &[9.0; 3]).is_err());
    assert!(highway_loss(&stages, &sets, &moves[..2]).is_err());
    let node = function("highway", move |_, v| {
        Ok(vec![highway_loss(&[(2, v[0]), (4, v[1])], &sets, &moves)?])
    });
    laws(&node, &logits, &Tolerances::default()).unwrap();
}

#[test]
fn a_symmetric_network_turns_with_its_map() {
    let mut parameters = Parameters::new(5, DType::F64, &Device::Cpu);
    let spec = VinSpec { hidden: 5, iterations: 6, symmetric: true, ..VinSpec::default() };
    let network = Vin::new(&mut parameters.root(), spec).unwrap();
    parameters.set("w", &tensor(9, &[10, 1, 3, 3], 0.2)).unwrap();
    let run = |x: &[f64]| -> Vec<f64> {
        let graph = Graph::new();
        let x = Tensor::from_vec(x.to_vec(), (1, 2, 6, 6), &Device::Cpu).unwrap();
        let bound = parameters.bind_constant(&graph);
        to_f64(&network.forward(&bound, graph.constant(&x)).unwrap().value().unwrap()).unwrap()
    };
    let x = Random::new(3).normals(72);
    // A quarter turn clockwise: row y of the turned plane is column y of the plane, from below.
    let turn = |planes: &[f64]| -> Vec<f64> {
        let at = |i: usize| (i / 36) * 36 + (5 - i % 6) * 6 + i / 6 % 6;
        (0..planes.len()).map(|i| planes[at(i)]).collect()
    };
    let (plain, turned) = (run(&x), run(&turn(&x)));
    // North becomes east: two actions further.
    let moved = turn(&plain);
    let expected = [&moved[6 * 36..], &moved[..6 * 36]].concat();
    assert!(common::apart(&turned, &expected) < 1e-12);
    assert!(
        Vin::new(
            &mut Parameters::new(1, DType::F64, &Device::Cpu).root(),
            VinSpec { actions: 5, ..spec }
        )
        .is_err()
    );
}

#[test]
fn the_planner_refuses_other_shapes() {
    let process = grid(grids()[0].1, false).unwrap();
    let node = PlanNode::new(vec![process.clone(); 2], Plan::default()).unwrap().build();
    let x = blocks(&process);
    assert!(node.eval(&x).unwrap_err().to_string().contains("cost"));
    assert!(node.eval(&x[..1]).is_err());
    let other = grid(grids()[3].1, false).unwrap();
    assert!(PlanNode::new(vec![process, other], Plan::default()).is_err());
}

/// The network as its papers write it: two convolutions in front, one convolution of (r, V) for each Q.
fn composed<'g>(parameters: &[Var<'g>], x: Var<'g>, iterations: usize) -> Var<'g> {
    let [fc, hb, h, q, r, w] = parameters else { panic!("six parameters") };
    let padded = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
    let (a, c) = (fc.dims().unwrap()[0], fc.dims().unwrap()[1]);
    let front = conv2d(x, *h, padded) + hb.reshape(&[1, hb.dims().unwrap()[0], 1, 1]);
    let reward = conv2d(front, *r, Conv2dOptions::default());
    let mut v = conv2d(reward, *q, padded).max([1]).unsqueeze(1);
    let both = x.graph().cat(&[*q, *w], 1);
    for _ in 1..iterations {
        v = conv2d(x.graph().cat(&[reward, v], 1), both, padded).max([1]).unsqueeze(1);
    }
    let last = conv2d(x.graph().cat(&[reward, v], 1), both, padded);
    conv2d(last, fc.reshape(&[a, c, 1, 1]), Conv2dOptions::default())
}

#[test]
fn the_folded_network_is_the_published_one() {
    let mut parameters = Parameters::new(5, DType::F64, &Device::Cpu);
    let spec = VinSpec { hidden: 12, iterations: 7, channels: 6, ..VinSpec::default() };
    let network = Vin::new(&mut parameters.root(), spec).unwrap();
    // U away from 0, or nothing would be told by it.
    parameters.set("w", &tensor(9, &[6, 1, 3, 3], 0.2)).unwrap();
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["fc.weight", "h.bias", "h.weight", "q.weight", "r.weight", "w"]);
    let x = tensor(1, &[3, 2, 9, 7], 1.0);
    let run = |folded: bool| -> Vec<Vec<f64>> {
        let graph = Graph::new();
        let bound = parameters.bind(&graph);
        let input = graph.input(&x);
        let y = match folded {
            true => network.forward(&bound, input).unwrap(),
            false => composed(bound.vars(), input, 7),
        };
        let weight = graph.constant(&tensor(4, &[3, 8, 9, 7], 1.0));
        let mut all = vec![to_f64(&y.value().unwrap()).unwrap()];
        let wrt: Vec<Var<'_>> = bound.vars().iter().copied().chain([input]).collect();
        let gradients = graph.gradient((y * weight).sum(()), &wrt).unwrap();
        all.extend(gradients.iter().map(|g| to_f64(g).unwrap()));
        all
    };
    for (part, (a, b)) in run(true).iter().zip(&run(false)).enumerate() {
        let error = common::apart(a, b);
        assert!(error < 1e-12, "part {part}: {error:e}");
    }
}

#[test]
fn every_network_has_logits_for_every_cell_and_obeys_the_laws() {
    let mut cases: Vec<(&str, Arc<dyn Function>, Parameters)> = vec![];
    macro_rules! case {
        ($name:expr, $make:expr) => {{
            let mut p = Parameters::new(3, DType::F64, &Device::Cpu);
            let layer = $make(&mut p).unwrap();
            cases.push(($name, layer_function($name, layer, &p), p));
        }};
    }
    let small = VinSpec { hidden: 4, channels: 5, iterations: 4, ..VinSpec::default() };
    case!("vin", |p: &mut Parameters| Vin::new(&mut p.root(), small));
    case!("untied", |p: &mut Parameters| {
        Vin::new(&mut p.root(), VinSpec { untied: true, kernel: 5, ..small })
    });
    case!("gppn", |p: &mut Parameters| {
        let spec =
            GppnSpec { hidden: 3, kernel: 5, iterations: 2, actions: 8, ..GppnSpec::default() };
        Gppn::new(&mut p.root(), spec)
    });
    case!("mvprop", |p: &mut Parameters| {
        MvProp::new(&mut p.root(), MvPropSpec { hidden: 4, iterations: 3, ..MvPropSpec::default() })
    });
    case!("calvin", |p: &mut Parameters| {
        Calvin::new(&mut p.root(), CalvinSpec { hidden: 4, iterations: 3, ..CalvinSpec::default() })
    });
    case!("dt-vin", |p: &mut Parameters| {
        DtVin::new(&mut p.root(), DtVinSpec { hidden: 4, iterations: 3, ..DtVinSpec::default() })
    });
    case!("cnn", |p: &mut Parameters| {
        Cnn::new(&mut p.root(), CnnSpec { channels: 4, layers: 2, ..CnnSpec::default() })
    });
    case!("fcn", |p: &mut Parameters| {
        let spec = FcnSpec { inputs: 2, size: 6, channels: [4, 3], actions: 8 };
        Fcn::new(&mut p.root(), spec)
    });
    for (name, function, parameters) in cases {
        // Biases that start at 0 are ties in cells where no hidden unit is active.
        let moved = |(i, t): (usize, Tensor)| t.clone() + tensor(80 + i as u64, t.dims(), 0.05);
        let mut x: Vec<Tensor> =
            parameters.values().into_iter().enumerate().map(|t| moved(t).unwrap()).collect();
        x.push(tensor(7, &[2, 2, 5, 6], 1.0));
        let y = function.eval(&x).unwrap();
        assert_eq!(y[0].dims(), [2, 8, 5, 6], "{name}");
        slopes(name, &function, &x);
    }
}

/// Pushed derivatives are slopes, pulled ones their transpose. The networks have maxima and rectifiers, so the step is too short for any of them to change
/// sides.
fn slopes(name: &str, f: &Arc<dyn Function>, x: &[Tensor]) {
    let wrt = vec![true; x.len()];
    let (y, map) = f.linearize(x, Wrt(&wrt)).unwrap();
    let u: Vec<Tensor> =
        x.iter().enumerate().map(|(i, t)| tensor(20 + i as u64, t.dims(), 1.0)).collect();
    let v = tensor(50, y[0].dims(), 1.0);
    let pushed = map.push(&u.iter().cloned().map(Some).collect::<Vec<_>>()).unwrap();
    let pushed = to_f64(pushed[0].as_ref().unwrap()).unwrap();
    let moved = |h: f64| -> Vec<f64> {
        let x: Vec<Tensor> =
            x.iter().zip(&u).map(|(x, u)| (x + u.affine(h, 0.0).unwrap()).unwrap()).collect();
        to_f64(&f.eval(&x).unwrap()[0]).unwrap()
    };
    // Of two steps the better one: within a longer one something may still change sides.
    let slope = |h: f64| -> Vec<f64> {
        moved(h).iter().zip(&moved(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    let errors = [1e-6, 1e-7].map(|h| common::apart(&pushed, &slope(h)));
    assert!(errors[0].min(errors[1]) < 1e-7, "{name}: {errors:?} from differences");
    let pulled = map.pull(&[Some(v.clone())]).unwrap();
    let left = common::dot(&pushed, &to_f64(&v).unwrap());
    let right: f64 = pulled
        .iter()
        .zip(&u)
        .filter_map(|(p, u)| p.as_ref().map(|p| (p, u)))
        .map(|(p, u)| common::dot(&to_f64(p).unwrap(), &to_f64(u).unwrap()))
        .sum();
    assert!((left - right).abs() < 1e-10 * left.abs().max(1.0), "{name}: {left} {right}");
}

#[test]
fn a_network_learns_to_plan() {
    let set = Arc::new(ProblemSet::generate(Protocol::Vin { size: 8 }, 60, 1).unwrap());
    let test = Arc::new(ProblemSet::generate(Protocol::Vin { size: 8 }, 20, 2).unwrap());
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let network = Vin::new(&mut parameters.root(), VinSpec::of_size(8)).unwrap();
    let before = measure(&test, &greedy(&network, &parameters, &test).unwrap(), true).unwrap();
    let data = PlanningData::new(set).unwrap();
    let options = LoaderOptions { batch: 32, seed: 1, ..LoaderOptions::default() };
    let loader = Loader::new(data, options).unwrap();
    let adam = Adam::new(AdamOptions { learning_rate: 5e-3, ..AdamOptions::default() }).unwrap();
    let task = PlanningTask::new(network.clone(), Some(test.clone()), true);
    let options = TrainerOptions { epochs: 6, clip: Some(10.0), ..TrainerOptions::default() };
    let mut trainer = Trainer::new(task, parameters, adam, loader, options).unwrap();
    let mut success = vec![];
    trainer
        .run(|event| {
            if let Event::Epoch { metrics, .. } = event {
                success.push(metrics["success"]);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let last = *success.last().unwrap();
    assert!(last > 0.8 && last > before.success.value() + 0.3, "{success:?}, {before:?}");
}

#[test]
fn images_say_what_is_where() {
    let set = ProblemSet::generate(Protocol::Vin { size: 8 }, 2, 1).unwrap();
    let problem = &set.problems[9];
    let x = images(&set, &[problem]).unwrap();
    assert_eq!(x.dims(), [1, 2, 8, 8]);
    let x = to_f64(&x).unwrap();
    for cell in 0..64 {
        let wall = set.maps[problem.map].solid()[cell];
        assert_eq!(x[cell], f64::from(u8::from(wall)));
        assert_eq!(x[64 + cell], if cell == problem.goal { 10.0 } else { 0.0 });
    }
    assert!(images(&set, &[]).is_err());
    let heading = Protocol::Gppn { size: 9, connectivity: Connectivity::Heading };
    assert!(PlanningData::new(ProblemSet::generate(heading, 2, 1).unwrap()).is_err());
}
