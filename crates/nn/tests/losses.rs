//! Losses beyond the table: derivatives by every input, extreme values, and misuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use common::values;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::{Error, Graph, Var, function};
use pullback_nn::loss::{self, CrossEntropy, GaussianNll, Reduction, reduce, weighted_mean};

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    Tensor::from_vec(values::<f64>(seed, dims.iter().product()), dims, &Device::Cpu).unwrap()
}

fn numbers(values: &[f64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn labels(values: &[i64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

#[test]
fn laws_hold_by_every_input() {
    type F = for<'g> fn(&[Var<'g>]) -> Var<'g>;
    let [x, y] = [tensor(1, &[3, 4]), tensor(2, &[3, 4])];
    let positive = tensor(3, &[3, 4]).affine(0.4, 0.6).unwrap();
    let table: [(&str, F, Vec<Tensor>); 10] = [
        ("mse", |v| loss::mse(v[0], v[1]), vec![x.clone(), y.clone()]),
        ("bce", |v| loss::bce_with_logits(v[0], v[1]), vec![x.clone(), positive.clone()]),
        ("kl", |v| loss::kl_divergence(v[0], v[1]), vec![x.clone(), positive.clone()]),
        ("kl of logs", |v| loss::kl_divergence_of_logs(v[0], v[1]), vec![x.clone(), y.clone()]),
        ("cosine", |v| loss::cosine_similarity(v[0], v[1]), vec![x.clone(), y.clone()]),
        (
            "gaussian",
            |v| GaussianNll::default().loss(v[0], v[1], v[2]),
            vec![x.clone(), y.clone(), positive.clone()],
        ),
        (
            "gaussian of log variance",
            |v| loss::gaussian_nll_of_log_variance(v[0], v[1], v[2]),
            vec![x.clone(), y.clone(), tensor(4, &[3, 4])],
        ),
        (
            "cross entropy of probabilities",
            |v| {
                let options = CrossEntropy::new().class_weights(&[1.0, 0.0, 2.0, 0.5]);
                options.label_smoothing(0.1).of_probabilities(v[0], v[1], Reduction::Mean)
            },
            vec![x.clone(), positive.clone()],
        ),
        ("batch mean", |v| reduce(v[0].sqr(), Reduction::BatchMean), vec![x.clone()]),
        ("sum", |v| reduce(loss::mse(v[0], v[1]), Reduction::Sum), vec![x, y]),
    ];
    for (name, f, inputs) in table {
        let f = function(name, move |_, v| Ok(vec![f(v)]));
        for (dtype, t) in [(DType::F64, Tolerances::default()), (DType::F32, Tolerances::single())]
        {
            let x: Vec<_> = inputs.iter().map(|t| t.to_dtype(dtype).unwrap()).collect();
            laws(&f, &x, &t).unwrap_or_else(|e| panic!("{name} {dtype:?}: {e}"));
            second_order(&f, &x, &t).unwrap_or_else(|e| panic!("{name} {dtype:?}, second: {e}"));
        }
    }
}

/// Finite values, gradients and curvatures for logits far beyond where eᶻ overflows, in f32.
#[test]
fn extreme_logits_give_finite_losses_and_derivatives() {
    type F = Box<dyn for<'g> Fn(Var<'g>) -> Var<'g>>;
    let y = || Tensor::new(&[[1f32, 0.0, 0.5], [0.0, 1.0, 0.5]], &Device::Cpu).unwrap();
    let label = || labels(&[2, 0]);
    let mask = || Tensor::new(&[[1u32, 0, 1], [1, 1, 0]], &Device::Cpu).unwrap();
    let losses: [(&str, F); 6] = [
        ("cross entropy", Box::new(move |z| loss::cross_entropy(z, &label()))),
        ("set", Box::new(move |z| loss::cross_entropy_of_set(z, &mask()))),
        ("among", Box::new(move |z| loss::cross_entropy_among(z, &label(), &mask()))),
        ("bce", Box::new(move |z| loss::bce_with_logits(z, z.graph().constant(&y())))),
        ("margin", Box::new(move |z| loss::multi_margin(z, &label(), 1.0))),
        (
            "smoothed",
            Box::new(move |z| {
                let options = CrossEntropy::new().label_smoothing(0.1).ignore_label(0);
                options.of_labels(z, &label(), Reduction::Mean)
            }),
        ),
    ];
    for (name, f) in losses {
        for size in [1e4f32, 1e30] {
            for row in [[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -1.0, -1.0]] {
                let z = row.map(|v| v * size);
                let graph = Graph::new();
                let z = graph.input(&Tensor::new(&[z, z], &Device::Cpu).unwrap());
                let sum = f(z).sum(());
                let gradient = graph.record_gradient(sum, &[z]).unwrap()[0];
                let curvature = graph.gradient(gradient.sum(()), &[z]);
                // `Ok` means finite.
                let case = format!("{name}, {row:?} × {size:e}");
                sum.ok().unwrap_or_else(|e| panic!("{case}: {e}"));
                curvature.unwrap_or_else(|e| panic!("{case}: {e}"));
            }
        }
    }
}

#[test]
fn masks_stand_for_logits_of_minus_infinity() {
    let graph = Graph::new();
    let infinite = graph.input(&Tensor::new(&[[0.0, f64::NEG_INFINITY]], &Device::Cpu).unwrap());
    assert!(matches!(infinite.ok(), Err(Error::NotFinite { .. })));
    // The softmax over two of three classes, whatever the third logit is.
    let allowed = Tensor::new(&[[1u32, 1, 0]], &Device::Cpu).unwrap();
    for third in [-1e300, 0.0, 1e300] {
        let z = graph.input(&Tensor::new(&[[1.0, 2.0, third]], &Device::Cpu).unwrap());
        let among = loss::cross_entropy_among(z, &labels(&[0]), &allowed);
        let expected = (1.0 + 1f64.exp()).ln();
        assert!((among.sum(()).to_f64().unwrap() - expected).abs() < 1e-15);
        let gradient = graph.gradient(among.sum(()), &[z]).unwrap()[0].to_vec2::<f64>().unwrap();
        assert_eq!(gradient[0][2], 0.0);
    }
    // A set of everything is certain.
    let z = graph.input(&tensor(1, &[2, 3]));
    let all = Tensor::ones((2, 3), DType::U8, &Device::Cpu).unwrap();
    let certain = loss::cross_entropy_of_set(z, &all).value().unwrap();
    assert_eq!(certain.to_vec1::<f64>().unwrap(), [0.0, 0.0]);
}

#[test]
fn weighted_means_count_what_they_say() {
    let graph = Graph::new();
    let x = graph.input(&numbers(&[1.0, 2.0, 4.0]));
    let mean = |w: &[f64]| weighted_mean(x, graph.constant(&numbers(w)));
    assert_eq!(mean(&[1.0, 0.0, 3.0]).to_f64().unwrap(), 13.0 / 4.0);
    assert!(matches!(mean(&[0.0; 3]).ok(), Err(Error::Invalid { .. })));
    assert!(matches!(mean(&[1.0, -1.0, 3.0]).ok(), Err(Error::Invalid { .. })));
    assert!(matches!(mean(&[1.0]).ok(), Err(Error::Shape { .. })));
}

#[test]
fn misuse_is_a_typed_error() {
    let graph = Graph::new();
    let z = graph.input(&tensor(1, &[2, 3]));
    let column = graph.input(&tensor(2, &[2, 1]));
    let ones = graph.constant(&Tensor::ones((2, 3), DType::F64, &Device::Cpu).unwrap());
    let sign = |v: &[f64]| graph.constant(&numbers(v));
    let shape = |v: Var<'_>| assert!(matches!(v.ok(), Err(Error::Shape { .. })), "{v:?}");
    let invalid = |v: Var<'_>| assert!(matches!(v.ok(), Err(Error::Invalid { .. })), "{v:?}");
    // Nothing is stretched: that would be another loss.
    shape(loss::mse(z, column));
    shape(loss::l1(z, column));
    shape(loss::bce_with_logits(z, column));
    shape(loss::kl_divergence(z, column));
    shape(loss::cosine_embedding(z, z, ones, 0.0));
    shape(GaussianNll::default().loss(z, z, column));
    shape(loss::bce_with_logits_weighted(
        z,
        z,
        graph.constant(&tensor(9, &[4, 2, 3]).abs().unwrap()),
    ));
    invalid(GaussianNll::default().loss(z, z, -ones));
    invalid(GaussianNll { floor: 0.0, full: false }.loss(z, z, ones));
    invalid(loss::bce_with_logits_weighted(z, z, -ones));
    invalid(loss::cosine_embedding(z, z, sign(&[1.0, 0.5]), 0.0));
    invalid(loss::cosine_embedding(z, z, sign(&[1.0, -1.0]), 1.5));
    invalid(loss::hinge(z, ones * 0.0, 1.0));
    invalid(loss::smooth_l1(z, 0.0));

    let options = CrossEntropy::new;
    let of = |o: CrossEntropy, l: &[i64]| o.of_labels(z, &labels(l), Reduction::Mean);
    invalid(of(options(), &[0, 3]));
    invalid(of(options(), &[0, -100]));
    invalid(of(options().ignore_label(-100), &[-100, -100]));
    invalid(of(options().class_weights(&[1.0, 2.0]), &[0, 1]));
    invalid(of(options().class_weights(&[1.0, -2.0, 1.0]), &[0, 1]));
    invalid(of(options().label_smoothing(1.5), &[0, 1]));
    shape(of(options(), &[0, 1, 2]));
    shape(of(options().position_weights(&numbers(&[1.0])), &[0, 1]));
    invalid(of(options().position_weights(&numbers(&[1.0, -1.0])), &[0, 1]));
    let real = options().of_labels(z, &numbers(&[0.0, 1.0]), Reduction::Mean);
    assert!(matches!(real.ok(), Err(Error::DType { .. })));

    let some = Tensor::new(&[[1u32, 0, 1], [0, 0, 0]], &Device::Cpu).unwrap();
    invalid(loss::cross_entropy_of_set(z, &some));
    invalid(loss::cross_entropy_among(z, &labels(&[1, 0]), &some));
    shape(loss::cross_entropy_of_set(z, &labels(&[1, 0])));
    shape(loss::multi_margin(z, &labels(&[1]), 1.0));
    // A failed input keeps its own name.
    let failed = loss::mse(loss::smooth_l1(z, -1.0), z);
    assert!(failed.ok().unwrap_err().node().starts_with("huber"), "{failed:?}");
}

#[test]
fn misfitting_labels_are_named_by_the_loss() {
    let logits = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
    let maps = Tensor::zeros((2, 3, 4, 5), DType::F64, &Device::Cpu).unwrap();
    let told = |labels: &Tensor| {
        let graph = Graph::new();
        loss::cross_entropy(graph.input(&logits), labels).ok().unwrap_err().to_string()
    };
    let at = |labels: &[i64]| Tensor::new(labels, &Device::Cpu).unwrap();
    assert!(
        told(&at(&[2, 3])).contains("label 3 at position 1 of 3 classes"),
        "{}",
        told(&at(&[2, 3]))
    );
    assert!(told(&at(&[-1, 0])).contains("label -1 at position 0 of 3 classes"));
    assert!(told(&at(&[0])).contains("a label for each position (positions, labels)"));
    let real = Tensor::new(&[0.0, 1.0], &Device::Cpu).unwrap();
    assert!(told(&real).contains("labels are integers"));
    for labels in [at(&[2, 3]), at(&[0]), real] {
        assert!(told(&labels).starts_with("cross_entropy"), "{}", told(&labels));
    }
    let graph = Graph::new();
    let error = loss::cross_entropy_at(graph.input(&maps), &[[0, 0], [1, 1]], &at(&[0, 7]));
    let error = error.ok().unwrap_err().to_string();
    assert!(error.starts_with("cross_entropy_at") && error.contains("label 7"), "{error}");
    let flat = graph.input(&Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap());
    let error = loss::cross_entropy(flat, &at(&[0])).ok().unwrap_err().to_string();
    assert!(error.starts_with("cross_entropy") && error.contains("logits (batch, classes"));
}
