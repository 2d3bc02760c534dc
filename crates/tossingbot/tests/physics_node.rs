//! The ballistic formula in the network: values, both chain rules, second order, typed errors; gravity identified through it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::f64::consts::FRAC_PI_4;

use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Var};
use pullback_tossingbot::ballistics::{Aim, landing_distance};
use pullback_tossingbot::identify::{
    Descent, hindsight_speed, identify_gravity, loss_and_gradient, simulated_throws,
};
use pullback_tossingbot::physics_node::{BallisticSpeed, column};

const DISTANCES: [f64; 4] = [0.55, 0.80, 1.05, 2.4];
const HEIGHTS: [f64; 4] = [-0.16, 0.10, -0.02, 0.0];

fn number(x: f64) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

fn record<'g>(graph: &'g Graph, a: f64, d: &[f64], h: &[f64]) -> (Var<'g>, [Var<'g>; 3]) {
    let input = |x: &[f64]| graph.input(&Tensor::from_slice(x, x.len(), &Device::Cpu).unwrap());
    let x = [graph.input(&number(a)), input(d), input(h)];
    (BallisticSpeed { angle: FRAC_PI_4 }.record(x[0], x[1], x[2]), x)
}

#[test]
fn the_node_agrees_with_the_closed_form_to_second_order() {
    let graph = Graph::new();
    let (speed, x) = record(&graph, 9.81, &DISTANCES, &HEIGHTS);
    let values = to_f64(&speed.value().unwrap()).unwrap();
    let first = graph.record_gradient(speed.sum(()), &x).unwrap();
    let firsts: Vec<Vec<f64>> =
        first.iter().map(|d| to_f64(&d.value().unwrap()).unwrap()).collect();
    let mut gravity = 0.0;
    for i in 0..DISTANCES.len() {
        let exact = Aim::new(DISTANCES[i], HEIGHTS[i]).speed_derivatives(9.81).unwrap();
        assert!((values[i] - exact.speed).abs() < 1e-15);
        assert!((firsts[1][i] - exact.gradient[1]).abs() < 1e-13);
        assert!((firsts[2][i] - exact.gradient[2]).abs() < 1e-13);
        gravity += exact.gradient[0];
        let landed = landing_distance(values[i], HEIGHTS[i], FRAC_PI_4, 9.81).unwrap();
        assert!((landed - DISTANCES[i]).abs() < 1e-12);
    }
    assert!((firsts[0][0] - gravity).abs() < 1e-13);
    // ∂²v̂/∂a², ∂²v̂/∂d∂a, ∂²v̂/∂d², ∂²v̂/∂h∂d from the recorded first derivatives.
    for (row, column_, index) in
        [(0, 0, (0, 0)), (1, 0, (1, 0)), (1, 1, (1, 1)), (1, 2, (1, 2)), (2, 2, (2, 2))]
    {
        let second = graph.gradient(first[row].sum(()), &[x[column_]]).unwrap();
        let second: f64 = to_f64(&second[0]).unwrap().iter().sum();
        let exact: f64 = (0..DISTANCES.len())
            .map(|i| {
                let aim = Aim::new(DISTANCES[i], HEIGHTS[i]);
                aim.speed_derivatives(9.81).unwrap().hessian[index.0][index.1]
            })
            .sum();
        assert!(
            (second - exact).abs() < 1e-11 * exact.abs().max(1.0),
            "{index:?} {second} {exact}"
        );
    }
}

#[test]
fn pushing_agrees_with_pulling() {
    let graph = Graph::new();
    let (speed, x) = record(&graph, 9.0, &DISTANCES, &HEIGHTS);
    let column = |values: &[f64]| Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap();
    let (u, v) = (column(&[0.3, -0.1, 0.7, 0.2]), column(&[1.0, -2.0, 0.5, 0.1]));
    let seeds = [(x[0], number(0.9)), (x[1], u.clone()), (x[2], v.clone())];
    let pushed = to_f64(graph.push(&seeds, &[speed]).unwrap()[0].as_ref().unwrap()).unwrap();
    let cotangent = [0.2, 0.4, -1.0, 3.0];
    let pulled = graph.pull(&[(speed, column(&cotangent))], &x).unwrap();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let back: Vec<Vec<f64>> = pulled.iter().map(|d| to_f64(d.as_ref().unwrap()).unwrap()).collect();
    let right = 0.9 * back[0][0]
        + dot(&to_f64(&u).unwrap(), &back[1])
        + dot(&to_f64(&v).unwrap(), &back[2]);
    assert!((dot(&pushed, &cotangent) - right).abs() < 1e-13);
}

#[test]
fn a_target_out_of_reach_is_a_typed_error_that_names_the_node() {
    let graph = Graph::new();
    let error = record(&graph, 9.81, &[0.1], &[-0.5]).0.ok().unwrap_err();
    assert!(error.to_string().contains("ballistic_speed"), "{error}");
    let pullback_core_graph::Error::External { source, .. } = &error else { panic!("{error}") };
    let typed = source.downcast_ref::<pullback_tossingbot::Error>();
    assert!(matches!(typed, Some(pullback_tossingbot::Error::Unreachable { .. })), "{source}");
    let a = graph.input(&number(9.81));
    let d = column(&graph, &[0.5, 0.6]).unwrap();
    let wrong = BallisticSpeed { angle: FRAC_PI_4 }.record(a, d, a);
    assert!(wrong.ok().is_err());
}

#[test]
fn the_gradient_of_the_hindsight_loss_agrees_with_finite_differences() {
    let throws = simulated_throws(32, 9.81, 0.01, 1).unwrap();
    for gravity in [7.0, 9.5, 11.0] {
        let (_, gradient) = loss_and_gradient(&throws, gravity, FRAC_PI_4).unwrap();
        let loss = |a: f64| loss_and_gradient(&throws, a, FRAC_PI_4).unwrap().0;
        let h = 1e-5;
        let difference = (loss(gravity + h) - loss(gravity - h)) / (2.0 * h);
        assert!((gradient - difference).abs() < 1e-6, "{gravity}: {gradient} {difference}");
    }
}

#[test]
fn gravity_is_identified_from_throws() {
    let throws = simulated_throws(400, 9.81, 0.01, 3).unwrap();
    let (gravity, steps) = identify_gravity(&throws, &Descent::default()).unwrap();
    assert!((gravity - 9.81).abs() < 0.01, "{gravity}");
    assert!(steps[0].gravity == 7.0 && steps[0].gradient < 0.0);
    let speed = hindsight_speed(&throws[0], gravity, FRAC_PI_4).unwrap();
    assert!((speed - throws[0].speed).abs() < 0.1);
}
