//! The backward recursion written out against the graph's pull.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use common::values;
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::{Activation, Error, FeedForward, Initialization, Layer, Parameters};

fn tensor(seed: u64, dims: &[usize], dtype: DType) -> Tensor {
    let values = values::<f64>(seed, dims.iter().product());
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    common::close(what, &"", &flat(found), &flat(expected), tolerance);
}

#[test]
fn the_recursion_equals_the_graphs_pull() {
    let activations = [
        Activation::Tanh,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Gelu,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Softsign,
        Activation::Identity,
    ];
    for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 2e-6)] {
        for hidden in activations {
            for sizes in [vec![3, 2], vec![4, 7, 1], vec![5, 8, 6, 9, 3]] {
                let mut parameters = Parameters::new(3, dtype, &Device::Cpu);
                let network = FeedForward::new(
                    &mut parameters.root(),
                    &sizes,
                    hidden,
                    Activation::Identity,
                    Initialization::Xavier,
                )
                .unwrap();
                for name in parameters.names().iter().filter(|n| n.ends_with("bias")) {
                    let dims = parameters.get(name).unwrap().dims().to_vec();
                    parameters.set(name, &tensor(9, &dims, dtype)).unwrap();
                }
                let x = tensor(1, &[6, sizes[0]], dtype);
                let seed = tensor(2, &[6, *sizes.last().unwrap()], dtype);
                let pass = network.forward_by_hand(&parameters, &x).unwrap();
                let by_hand = network.backward_by_hand(&parameters, &pass, &seed).unwrap();

                let graph = Graph::new();
                let (bound, x) = (parameters.bind(&graph), graph.input(&x));
                let y = network.forward(&bound, x).unwrap();
                close("value", pass.x.last().unwrap(), &y.value().unwrap(), tolerance);
                let wrt: Vec<_> = bound.vars().iter().copied().chain([x]).collect();
                let pulled = graph.pull(&[(y, seed)], &wrt).unwrap();
                assert!(by_hand.parameters.keys().eq(bound.names()));
                let all = by_hand.parameters.values().chain([&by_hand.input]);
                for (found, expected) in all.zip(pulled) {
                    close("gradient", found, &expected.unwrap(), tolerance);
                }
                assert_eq!(by_hand.deltas.len(), sizes.len() - 1);
                assert_eq!(by_hand.deltas[0].dims(), [6, sizes[1]]);
            }
        }
    }
}

#[test]
fn misuse_is_a_typed_error() {
    let mut parameters = Parameters::new(3, DType::F64, &Device::Cpu);
    let make = |p: &mut Parameters, name: &str, sizes: &[usize], output| {
        let (tanh, xavier) = (Activation::Tanh, Initialization::Xavier);
        FeedForward::new(&mut p.root().scope(name), sizes, tanh, output, xavier)
    };
    for sizes in [&[][..], &[3], &[3, 0, 2]] {
        let error = make(&mut parameters, "bad", sizes, Activation::Identity).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
    }
    let softmax = Activation::Softmax { axis: -1 };
    let a = make(&mut parameters, "a", &[3, 2], softmax).unwrap();
    let b = make(&mut parameters, "b", &[3, 4, 2], Activation::Identity).unwrap();
    let x = tensor(1, &[2, 3], DType::F64);
    let pass = a.forward_by_hand(&parameters, &x).unwrap();
    let seed = pass.x[1].ones_like().unwrap();
    assert!(b.backward_by_hand(&parameters, &pass, &seed).is_err(), "another network's pass");
    let error = a.backward_by_hand(&parameters, &pass, &seed).unwrap_err();
    assert!(error.to_string().contains("along an axis"), "{error}");
    assert!(a.forward_by_hand(&parameters, &seed).is_err(), "two inputs for three");
}
