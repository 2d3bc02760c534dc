//! Derivatives of the derivative of quadratic programs.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::problems::Problem;
use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::check::{Tolerances, second_order};
use pullback_core_graph::{Error as NetworkError, Function, Graph, Wrt};
use pullback_diffopt::qp::Qp;
use pullback_diffopt::{Degenerate, Error, Unsolved};

/// The arguments that there are, with batch dimensions.
fn tensors(problem: &Problem) -> Vec<Tensor> {
    let Problem { n, p, m, batch, .. } = *problem;
    let dims = [vec![n, n], vec![n], vec![p, n], vec![p], vec![m, n], vec![m]];
    let mut out = Vec::new();
    for (data, dims) in problem.data.iter().zip(dims) {
        if !data.is_empty() {
            let dims = [&[batch][..], &dims].concat();
            out.push(Tensor::from_slice(data, dims.as_slice(), &Device::Cpu).unwrap());
        }
    }
    out
}

#[test]
fn both_rules_are_functions_that_obey_the_laws() {
    let tolerances = Tolerances { step: 1e-4, ..Tolerances::default() };
    for (n, p, m) in [(3, 0, 0), (4, 2, 0), (4, 0, 3), (5, 1, 6)] {
        let problem = Problem::random(30, (n, p, m, 2), 0.5);
        let node = problem.qp().function().build();
        let found = second_order(&node, &tensors(&problem), &tolerances);
        found.unwrap_or_else(|e| panic!("{n}, {p}, {m}: {e}"));
    }
    // Q, A, G shared by the batch.
    let shared = Problem::random(51, (4, 1, 5, 1), 0.5);
    let mut x = tensors(&shared);
    x.iter_mut().for_each(|t| *t = t.squeeze(0).unwrap());
    let q = Tensor::from_slice(&common::random::Random::new(3).normals(8), (2, 4), &Device::Cpu);
    x[1] = q.unwrap();
    let node = shared.qp().function().build();
    second_order(&node, &x, &tolerances).unwrap();
}

#[test]
fn the_third_derivative_is_exact_too() {
    // x = θ/q for min ½q·x² − θx: ∂³x/∂q³ = −6θ/q⁴.
    let node = Qp::new(1).function().build();
    let graph = Graph::new();
    let input = |v: f64, dims: &[usize]| {
        graph.input(&Tensor::from_slice(&[v], dims, &Device::Cpu).unwrap())
    };
    let (q, theta) = (input(2.0, &[1, 1]), input(3.0, &[1]));
    let mut y = graph.apply(&node, &[q, -theta]).unwrap()[0].sum(());
    for want in [-0.75, 0.75, -1.125] {
        y = graph.record_gradient(y, &[q]).unwrap()[0].sum(());
        assert!((y.to_f64().unwrap() - want).abs() < 1e-10, "{}", y.to_f64().unwrap());
    }
}

/// x = max(0, θ) of a batch.
fn clipped(policy: Degenerate, unsolved: Unsolved) -> Arc<dyn Function> {
    Qp::new(1).inequalities(1).name("clip").function().degenerate(policy).unsolved(unsolved).build()
}

#[test]
fn a_weakly_active_row_has_a_second_derivative_only_on_a_side() {
    let at = |theta: f64, policy: Degenerate| -> Result<f64, NetworkError> {
        let graph = Graph::new();
        let constant = |v: f64, dims: &[usize]| {
            graph.constant(&Tensor::from_slice(&[v], dims, &Device::Cpu).unwrap())
        };
        let q = graph.input(&Tensor::from_slice(&[2.0], (1, 1), &Device::Cpu).unwrap());
        let rest = [constant(-theta, &[1]), constant(-1.0, &[1, 1]), constant(0.0, &[1])];
        let node = clipped(policy, Unsolved::Refuse);
        let x = graph.apply(&node, &[q, rest[0], rest[1], rest[2]])?[0].sum(());
        let first = graph.record_gradient(x, &[q])?[0].sum(());
        Ok(graph.gradient(first, &[q])?[0].flatten_all()?.to_vec1::<f64>()?[0])
    };
    // x = θ/q where θ > 0: ∂²x/∂q² = 2θ/q³.
    assert!((at(3.0, Degenerate::Average).unwrap() - 0.75).abs() < 1e-10);
    assert!(at(-3.0, Degenerate::Average).unwrap().abs() < 1e-12);
    match at(0.0, Degenerate::Average) {
        Err(e) => {
            let text = format!("{e:?}");
            assert!(text.contains("weakly active") && text.contains("clip"), "{text}");
        }
        Ok(x) => panic!("{x}"),
    }
    assert!(at(0.0, Degenerate::Active).unwrap().abs() < 1e-12);
    assert!(at(0.0, Degenerate::Inactive).unwrap().abs() < 1e-12);
    let central = clipped(Degenerate::CentralPath(1e-3), Unsolved::Refuse);
    assert!(matches!(central.adjoint(Wrt(&[true; 4])), Err(NetworkError::NoHigherOrder { .. })));
}

#[test]
fn items_without_a_solution_are_masked() {
    // x ≤ h and −x ≤ 0: the second item has h = −1.
    let node = Qp::new(1).inequalities(2).function().unsolved(Unsolved::Mask).build();
    let graph = Graph::new();
    let tensor = |v: &[f64], dims: &[usize]| Tensor::from_slice(v, dims, &Device::Cpu).unwrap();
    let q = graph.input(&tensor(&[2.0, 2.0], &[2, 1, 1]));
    let slope = graph.constant(&tensor(&[-3.0, -3.0], &[2, 1]));
    let g = graph.constant(&tensor(&[1.0, -1.0], &[2, 1]));
    let h = graph.constant(&tensor(&[9.0, 0.0, -1.0, 0.0], &[2, 2]));
    let y = graph.apply(&node, &[q, slope, g, h]).unwrap();
    let mask = y[2].value().unwrap();
    assert_eq!(mask.to_vec1::<u32>().unwrap(), [1, 0]);
    let keep = graph.constant(&tensor(&[1.0, 0.0], &[2, 1]));
    let loss = (y[0] * keep).sum(());
    let first = graph.record_gradient(loss, &[q]).unwrap()[0].sum(());
    let second = graph.gradient(first, &[q]).unwrap()[0].flatten_all().unwrap();
    let second = second.to_vec1::<f64>().unwrap();
    assert!((second[0] - 0.75).abs() < 1e-10 && second[1].abs() < 1e-12, "{second:?}");
    // The error of a weakly active row is this crate's own.
    let weak = clipped(Degenerate::Refuse, Unsolved::Refuse);
    let x = [tensor(&[1.0], &[1, 1]), tensor(&[0.0], &[1])];
    let x = [x[0].clone(), x[1].clone(), tensor(&[-1.0], &[1, 1]), tensor(&[0.0], &[1])];
    let y = weak.eval(&x).unwrap();
    let adjoint = weak.adjoint(Wrt(&[true; 4])).unwrap();
    let all = [&x[..], &y, &[tensor(&[1.0], &[1]), tensor(&[0.0], &[1])]].concat();
    let Err(NetworkError::External { source, .. }) = adjoint.eval(&all) else { panic!() };
    let found = source.downcast_ref::<Error>();
    assert!(matches!(found, Some(Error::NotDifferentiable { item: 0, .. })), "{found:?}");
}
