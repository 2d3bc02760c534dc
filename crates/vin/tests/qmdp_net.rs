//! Robots that do not know where they are: the domain, the laws of QMDP-net, its filter beside the exact one, training that learns.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{Random, apart};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, function};
use pullback_nn::data::{Dataset, Loader, LoaderOptions};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::{Bound, Parameters};
use pullback_nn::train::{Event, Trainer, TrainerOptions};
use pullback_vin::belief::predict;
use pullback_vin::learn::{Demonstration, HiddenProblem, HiddenSpec, demonstrations};
use pullback_vin::network::{
    HiddenData, HiddenTask, QmdpNet, QmdpNetSpec, Readings, hidden_images, hidden_runs,
};
use rand::SeedableRng;

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(Random::new(seed).normals(dims.iter().product()), dims, &Device::Cpu).unwrap()
}

#[test]
fn the_expert_arrives_and_does_not_touch_walls() {
    let spec = HiddenSpec::default();
    let (problems, runs) = demonstrations(spec, 60, 4).unwrap();
    assert!(runs.len() >= 55, "{} of 60", runs.len());
    for problem in &problems {
        assert!((problem.belief.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(problem.belief[problem.start] > 0.0 && problem.start != problem.goal);
        assert_eq!(problem.limit(), 80);
    }
    for run in &runs {
        let problem = &problems[run.problem];
        // The same actions again lead to the goal; each reading is that of the cell.
        let mut step = 0;
        let mut random = rand_chacha::ChaCha8Rng::from_seed([7; 32]);
        let again = problem.run(&mut random, |t, last, reading| {
            assert_eq!(
                (reading, last),
                (run.readings[t], t.checked_sub(1).map(|t| run.actions[t]))
            );
            step = t;
            Ok(run.actions[t])
        });
        let again = again.unwrap();
        assert!(again.arrived && again.steps == run.actions.len());
        assert_eq!((again.collisions, step + 1), (0, run.actions.len()));
    }
    // The same seed, the same problem; another, another.
    let again = HiddenProblem::draw(spec, 4, 3).unwrap();
    assert_eq!(
        (again.start, again.goal, &again.belief),
        (problems[3].start, problems[3].goal, &problems[3].belief)
    );
    assert!(HiddenProblem::draw(HiddenSpec { size: 3, ..spec }, 1, 1).is_err());
    assert!(HiddenProblem::draw(HiddenSpec { solid: 1.0, ..spec }, 1, 1).is_err());
    assert!(HiddenProblem::draw(HiddenSpec { moves: 1.5, ..spec }, 1, 1).is_err());
    let mut walker = again.walker();
    let mut random = rand_chacha::ChaCha8Rng::from_seed([7; 32]);
    assert!(walker.step(5, &mut random).is_err() && walker.step(4, &mut random).is_ok());
    // A noisy world draws, too, and the expert mostly arrives.
    let noisy = HiddenSpec { moves: 0.8, sees: 0.9, ..spec };
    let (_, runs) = demonstrations(noisy, 40, 5).unwrap();
    assert!(runs.len() >= 30, "{} of 40", runs.len());
}

fn small(readings: Readings) -> QmdpNetSpec {
    QmdpNetSpec { hidden: 3, readings, iterations: 3, ..QmdpNetSpec::default() }
}

#[test]
fn the_laws_hold_for_both_observation_models() {
    for readings in [Readings::Kinds(5), Readings::Bits] {
        let mut parameters = Parameters::new(2, DType::F64, &Device::Cpu);
        let network = QmdpNet::new(&mut parameters.root(), small(readings)).unwrap();
        let names = parameters.names();
        let node = function("QMDP-net", move |graph, v| {
            let bound = Bound::new(names.clone(), v)?;
            let maps = network.maps(&bound, graph.constant(&tensor(1, &[2, 2, 4, 5])))?;
            let belief = graph.constant(&Tensor::full(0.05, (2, 1, 4, 5), &Device::Cpu)?);
            let bits = graph.constant(&Tensor::new(
                &[[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]],
                &Device::Cpu,
            )?);
            let action = [[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]];
            let action = graph.constant(&Tensor::new(&action, &Device::Cpu)?);
            let first = network.filter(&bound, maps, belief, None, bits)?;
            let second = network.filter(&bound, maps, first, Some(action), bits)?;
            Ok(vec![network.policy(&bound, maps, second)?, second])
        });
        // Away from the kinks: all hidden units open, one action far ahead.
        for (name, first, by) in [
            ("reward.hidden.bias", 6.0, 0.0),
            ("observe.hidden.bias", 6.0, 0.0),
            ("reward.out.bias", 0.0, 40.0),
        ] {
            let n = parameters.get(name).unwrap().elem_count();
            let bias = (0..n).map(|i| first + by * i as f64).collect::<Vec<_>>();
            parameters.set(name, &Tensor::from_vec(bias, n, &Device::Cpu).unwrap()).unwrap();
        }
        let x = parameters.values();
        let tolerances = Tolerances { step: 1e-4, ..Tolerances::default() };
        laws(&node, &x, &tolerances).unwrap_or_else(|e| panic!("{readings:?}: {e}"));
    }
}

#[test]
fn a_sharp_filter_moves_beliefs_as_the_exact_one_does() {
    let mut parameters = Parameters::new(2, DType::F64, &Device::Cpu);
    let network = QmdpNet::new(&mut parameters.root(), small(Readings::Bits)).unwrap();
    network.start_as_steps(&mut parameters, 40.0).unwrap();
    // Nothing is known of readings: all are as likely everywhere.
    for name in ["observe.out.weight", "observe.out.bias"] {
        let zero = parameters.get(name).unwrap().zeros_like().unwrap();
        parameters.set(name, &zero).unwrap();
    }
    let problem =
        HiddenProblem::draw(HiddenSpec { solid: 0.0, ..HiddenSpec::default() }, 1, 1).unwrap();
    let [x, _] = hidden_images(&[&problem]).unwrap();
    // Away from walls, where the exact filter knows more; away from the goal, which keeps its mass.
    let mut belief = vec![0.0; 100];
    (belief[44], belief[56]) = (0.25, 0.75);
    if problem.goal == 44 || problem.goal == 56 {
        belief.rotate_right(1);
    }
    for action in 0..5 {
        let graph = Graph::new();
        let bound = parameters.bind_constant(&graph);
        let x = graph.constant(&x.to_dtype(DType::F64).unwrap());
        let maps = network.maps(&bound, x).unwrap();
        let b = graph
            .constant(&Tensor::from_vec(belief.clone(), (1, 1, 10, 10), &Device::Cpu).unwrap());
        let one = (0..5).map(|a| f64::from(u8::from(a == action))).collect::<Vec<_>>();
        let one = graph.constant(&Tensor::from_vec(one, (1, 5), &Device::Cpu).unwrap());
        let bits = graph.constant(&Tensor::zeros((1, 4), DType::F64, &Device::Cpu).unwrap());
        let after = network.filter(&bound, maps, b, Some(one), bits).unwrap();
        let after = to_f64(&after.value().unwrap()).unwrap();
        let exact = predict(&problem.process, &belief, action).unwrap();
        assert!(apart(&after, &exact) < 1e-6, "action {action}");
    }
}

#[test]
fn training_learns_and_bad_data_are_errors() {
    let (problems, runs) = demonstrations(HiddenSpec::default(), 150, 8).unwrap();
    let problems = Arc::new(problems);
    let wrong = vec![Demonstration { problem: 150, readings: vec![0], actions: vec![0] }];
    assert!(HiddenData::new(problems.clone(), wrong, 8).is_err());
    assert!(HiddenData::new(problems.clone(), runs.clone(), 0).is_err());
    let data = HiddenData::new(problems.clone(), runs, 8).unwrap();
    assert!(data.batch(&[data.len()]).is_err());
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let spec = QmdpNetSpec { hidden: 16, readings: Readings::Bits, ..QmdpNetSpec::default() };
    let network = QmdpNet::new(&mut parameters.root(), spec).unwrap();
    network.start_as_steps(&mut parameters, 3.0).unwrap();
    let loader =
        Loader::new(data, LoaderOptions { batch: 16, seed: 1, ..LoaderOptions::default() })
            .unwrap();
    let adam = Adam::new(AdamOptions { learning_rate: 1e-2, ..AdamOptions::default() }).unwrap();
    let task = HiddenTask::new(network, problems[..20].to_vec());
    let options = TrainerOptions { epochs: 4, clip: Some(1.0), ..TrainerOptions::default() };
    let mut trainer = Trainer::new(task, parameters, adam, loader, options).unwrap();
    let mut losses = vec![];
    let run = trainer.run(|event| {
        if let Event::Epoch { loss, metrics, .. } = event {
            losses.push(*loss);
            assert!((0.0..=1.0).contains(&metrics["success"]));
        }
        ControlFlow::Continue(())
    });
    run.unwrap();
    assert!(losses[3] < 0.8 * losses[0], "{losses:?}");
    let parameters = trainer.into_parameters();
    let network =
        QmdpNet::new(&mut Parameters::new(1, DType::F32, &Device::Cpu).root(), spec).unwrap();
    let a = hidden_runs(&network, &parameters, &problems[..30], 5).unwrap();
    assert_eq!(a, hidden_runs(&network, &parameters, &problems[..30], 5).unwrap());
    assert_eq!(a.len(), 30);
}
