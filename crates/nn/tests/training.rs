//! Parameters, optimizer and checkpoints: values by hand, resumption bit by bit, refusal of what is damaged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{in_pool, values};
use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::layer::{
    Conv2d, Conv2dSpec, MaxPool2d, ResidualBlock, ResidualOptions, Sequential, Upsample,
};
use pullback_nn::optimizer::{Sgd, SgdOptions, clip_by_norm};
use pullback_nn::{Checkpoint, Error, Initialization, Layer, Mode, Parameters, loss};

fn vector(v: &[f64]) -> Tensor {
    Tensor::new(v, &Device::Cpu).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn bits(parameters: &Parameters) -> Vec<u64> {
    parameters.iter().flat_map(|(_, t)| numbers(t)).map(f64::to_bits).collect()
}

/// A folder of its own for each test, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pullback-nn-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn initial_values_depend_on_seed_and_name_alone() {
    let make = |seed, names: &[&str], dtype| {
        let mut p = Parameters::new(seed, dtype, &Device::Cpu);
        for name in names {
            p.root().scope(name).parameter("w", &[4, 3], Initialization::He).unwrap();
        }
        p
    };
    let (ab, ba) = (make(1, &["a", "b"], DType::F64), make(1, &["b", "a"], DType::F64));
    assert_eq!(bits(&ab), bits(&ba));
    assert_eq!(ab.names().to_vec(), ["a.w", "b.w"]);
    assert_ne!(numbers(ab.get("a.w").unwrap()), numbers(ab.get("b.w").unwrap()));
    assert_ne!(bits(&ab), bits(&make(2, &["a", "b"], DType::F64)));
    let single = make(1, &["a", "b"], DType::F32);
    for (wide, narrow) in
        numbers(ab.get("a.w").unwrap()).iter().zip(numbers(single.get("a.w").unwrap()))
    {
        assert_eq!(*wide as f32, narrow as f32);
    }
}

#[test]
fn initial_values_have_the_stated_moments() {
    let n = 90_000.0;
    let table = [
        (Initialization::Constant(2.0), 2.0, 0.0),
        (Initialization::Uniform { low: -1.0, high: 3.0 }, 1.0, 16.0 / 12.0),
        (Initialization::Normal { mean: 1.0, deviation: 2.0 }, 1.0, 4.0),
        (Initialization::Xavier, 0.0, 2.0 / (100.0 * 9.0 + 100.0 * 9.0)),
        (Initialization::He, 0.0, 2.0 / (100.0 * 9.0)),
    ];
    for (initialization, mean, variance) in table {
        let mut p = Parameters::new(7, DType::F64, &Device::Cpu);
        p.root().parameter("w", &[100, 100, 3, 3], initialization).unwrap();
        let v = numbers(p.get("w").unwrap());
        let m = v.iter().sum::<f64>() / n;
        let s = v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / n;
        assert!((m - mean).abs() <= 5.0 * (variance / n).sqrt(), "{initialization:?}: mean {m}");
        assert!((s - variance).abs() <= 0.03 * variance, "{initialization:?}: variance {s}");
    }
}

#[test]
fn bad_parameters_are_typed_errors() {
    let mut p = Parameters::new(1, DType::F32, &Device::Cpu);
    p.root().parameter("w", &[2], Initialization::Constant(0.0)).unwrap();
    let name = |result: Result<(), Error>| match result {
        Err(Error::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(name(p.root().parameter("w", &[2], Initialization::Constant(0.0)).map(drop)), "w");
    assert_eq!(
        name(p.root().scope("a").parameter("", &[2], Initialization::Constant(0.0)).map(drop)),
        "a."
    );
    assert_eq!(name(p.root().scope("b").parameter("v", &[2], Initialization::He).map(drop)), "b.v");
    assert_eq!(name(p.set("w", &vector(&[1.0, 2.0]))), "w");
    assert_eq!(name(p.get("x").map(drop)), "x");
}

/// p after each step, by hand, for L = ½p² (gradient p) from p = 1.
#[test]
fn sgd_follows_its_formula() {
    let table: [(SgdOptions, fn(f64, f64) -> (f64, f64)); 4] = [
        (SgdOptions { learning_rate: 0.1, ..SgdOptions::default() }, |p, _| (p - 0.1 * p, 0.0)),
        (SgdOptions { learning_rate: 0.1, momentum: 0.9, ..SgdOptions::default() }, |p, v| {
            let v = 0.9 * v + p;
            (p - 0.1 * v, v)
        }),
        (
            SgdOptions { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.5, nesterov: false },
            |p, v| {
                let v = 0.9 * v + (p + 0.5 * p);
                (p - 0.1 * v, v)
            },
        ),
        (
            SgdOptions { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.5, nesterov: true },
            |p, v| {
                let g = p + 0.5 * p;
                let v = 0.9 * v + g;
                (p - 0.1 * (g + 0.9 * v), v)
            },
        ),
    ];
    for (options, by_hand) in table {
        let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
        parameters.root().parameter("p", &[1], Initialization::Constant(1.0)).unwrap();
        let mut sgd = Sgd::new(options).unwrap();
        let (mut p, mut v) = (1.0, 0.0);
        for _ in 0..5 {
            let gradient = parameters.get("p").unwrap().clone();
            sgd.step(&mut parameters, &[gradient]).unwrap();
            (p, v) = by_hand(p, v);
            let found = numbers(parameters.get("p").unwrap())[0];
            assert!((found - p).abs() <= 1e-15, "{options:?}: {found} instead of {p}");
        }
        assert_eq!(sgd.steps(), 5);
    }
}

#[test]
fn a_refused_step_changes_nothing() {
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    parameters.root().parameter("a", &[2], Initialization::Constant(1.0)).unwrap();
    parameters.root().parameter("b", &[2], Initialization::Constant(1.0)).unwrap();
    let mut sgd = Sgd::new(SgdOptions { momentum: 0.5, ..SgdOptions::default() }).unwrap();
    let good = vector(&[1.0, 1.0]);
    let before = bits(&parameters);
    let refused = [
        vec![good.clone()],
        vec![good.clone(), vector(&[1.0])],
        vec![good.clone(), vector(&[1.0, f64::NAN])],
        vec![good.clone(), good.to_dtype(DType::F32).unwrap()],
        vec![good.clone(), vector(&[1.0, f64::MAX])],
    ];
    for gradients in &refused[..4] {
        sgd.step(&mut parameters, gradients).unwrap_err();
    }
    let mut wild = Sgd::new(SgdOptions { learning_rate: 1e10, ..SgdOptions::default() }).unwrap();
    assert!(matches!(wild.step(&mut parameters, &refused[4]), Err(Error::NotFinite { .. })));
    assert_eq!((bits(&parameters), sgd.steps(), wild.steps()), (before, 0, 0));
    for options in [
        SgdOptions { learning_rate: 0.0, ..SgdOptions::default() },
        SgdOptions { momentum: 1.0, ..SgdOptions::default() },
        SgdOptions { weight_decay: -1.0, ..SgdOptions::default() },
        SgdOptions { learning_rate: f64::NAN, ..SgdOptions::default() },
    ] {
        assert!(matches!(Sgd::new(options), Err(Error::Setting { .. })), "{options:?}");
    }
}

#[test]
fn clipping_scales_all_gradients_by_one_factor() {
    let start = [vector(&[3.0, 0.0]), vector(&[0.0, -4.0])];
    let mut gradients = start.to_vec();
    assert_eq!(clip_by_norm(&mut gradients, 10.0).unwrap(), 5.0);
    assert_eq!(numbers(&gradients[1]), [0.0, -4.0]);
    assert_eq!(clip_by_norm(&mut gradients, 1.0).unwrap(), 5.0);
    for (clipped, whole) in gradients.iter().zip(&start) {
        for (c, w) in numbers(clipped).iter().zip(numbers(whole)) {
            assert!((c - w / 5.0).abs() < 1e-15);
        }
    }
    assert!(matches!(clip_by_norm(&mut gradients, 0.0), Err(Error::Setting { .. })));
    let bad = clip_by_norm(&mut [vector(&[f64::NAN])], 1.0);
    assert!(matches!(bad, Err(Error::NotFinite { index: 0, .. })));
    // Squares beyond the numbers on either side, and a norm that is.
    for (size, norm) in [(1e300, 5e300), (1e-300, 5e-300), (4e307, f64::MAX)] {
        let mut far = [vector(&[3.0 * size, -4.0 * size])];
        let before = clip_by_norm(&mut far, 1e-305).unwrap();
        assert!((before / norm - 1.0).abs() < 1e-15, "{before:e}");
        let expected = vector(&[0.6e-305, -0.8e-305]);
        for (c, e) in numbers(&far[0]).iter().zip(numbers(&expected)) {
            assert!((c / e - 1.0).abs() < 1e-9, "{c:e}");
        }
    }
}

/// The robot's network in small: perception, pooling, residual blocks, up-sampling, one pixel's loss.
fn network(parameters: &mut Parameters) -> pullback_nn::Result<Sequential> {
    let mut root = parameters.root();
    let block = ResidualOptions::default();
    Ok(Sequential::new()
        .then(Conv2d::new(&mut root.scope("stem"), Conv2dSpec::same(1, 8, 3).rectified())?)
        .then(MaxPool2d::default())
        .then(ResidualBlock::new(&mut root.scope("one"), 8, 16, block)?)
        .then(ResidualBlock::new(&mut root.scope("two"), 16, 16, block)?)
        .then(Upsample::default())
        .then(Conv2d::new(&mut root.scope("head"), Conv2dSpec::same(16, 2, 1))?))
}

fn train(
    network: &Sequential,
    parameters: &mut Parameters,
    sgd: &mut Sgd,
    steps: std::ops::Range<u64>,
) -> Vec<f64> {
    steps
        .map(|step| {
            // Waves of random direction and phase; crests succeed.
            let random = values::<f64>(step + 1, 16);
            let wave = |i: usize| {
                let (n, y, x) = (i / 576, (i / 24 % 24) as f64, (i % 24) as f64);
                let (sine, cosine) = (std::f64::consts::PI * random[2 * n]).sin_cos();
                (0.5 * (x * cosine + y * sine) + 3.0 * random[2 * n + 1]).sin() as f32
            };
            let images: Vec<f32> = (0..8 * 576).map(wave).collect();
            let tried: Vec<[usize; 2]> = (0..8)
                .map(|n| [(5 * n + step as usize) % 24, (7 * n + 3 * step as usize) % 24])
                .collect();
            let label =
                |n: usize| u32::from(images[(n * 24 + tried[n][0]) * 24 + tried[n][1]] > 0.0);
            let labels = Tensor::new((0..8).map(label).collect::<Vec<_>>(), &Device::Cpu).unwrap();
            let images = Tensor::from_vec(images, (8, 1, 24, 24), &Device::Cpu).unwrap();
            let graph = Graph::new();
            let bound = parameters.bind(&graph);
            let logits = network.forward(&bound, graph.constant(&images)).unwrap();
            let loss = loss::cross_entropy_at(logits, &tried, &labels).mean(());
            let mut gradients = graph.gradient(loss, bound.vars()).unwrap();
            clip_by_norm(&mut gradients, 5.0).unwrap();
            sgd.step(parameters, &gradients).unwrap();
            loss.to_f64().unwrap()
        })
        .collect()
}

fn fresh() -> (Sequential, Parameters, Sgd) {
    let mut parameters = Parameters::new(5, DType::F32, &Device::Cpu);
    let network = network(&mut parameters).unwrap();
    let options =
        SgdOptions { learning_rate: 0.05, momentum: 0.9, weight_decay: 2e-5, nesterov: false };
    (network, parameters, Sgd::new(options).unwrap())
}

#[test]
fn training_lowers_the_loss_and_gives_the_same_bits_for_any_number_of_threads() {
    let run = |threads, steps| {
        in_pool(threads, || {
            let (network, mut parameters, mut sgd) = fresh();
            let losses = train(&network, &mut parameters, &mut sgd, 0..steps);
            (losses, bits(&parameters))
        })
    };
    let (losses, _) = run(2, 150);
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    assert!(mean(&losses[130..]) < 0.5 * mean(&losses[..20]), "{losses:?}");
    let one = run(1, 8);
    assert!(run(2, 8) == one && run(4, 8) == one);
}

#[test]
fn a_resumed_run_is_the_uninterrupted_run() {
    let folder = Folder::new("resume");
    let file = folder.0.join("run.safetensors");
    let (network, mut parameters, mut sgd) = fresh();
    train(&network, &mut parameters, &mut sgd, 0..4);
    sgd.set_learning_rate(0.1 + 0.2).unwrap();
    let mut checkpoint = Checkpoint::new();
    parameters.store(&mut checkpoint, "model.");
    sgd.store(&mut checkpoint, "optimizer.");
    checkpoint.save(&file).unwrap();
    train(&network, &mut parameters, &mut sgd, 4..8);

    let (network, mut resumed, _) = fresh();
    let checkpoint = Checkpoint::load(&file).unwrap();
    resumed.load(&checkpoint, "model.").unwrap();
    let mut resumed_sgd = Sgd::load(&checkpoint, "optimizer.", &resumed).unwrap();
    assert_eq!((resumed_sgd.steps(), resumed_sgd.options().learning_rate), (4, 0.1 + 0.2));
    train(&network, &mut resumed, &mut resumed_sgd, 4..8);
    assert_eq!(bits(&resumed), bits(&parameters));
}

fn sample() -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.tensors.insert("a".into(), vector(&[1.0, -2.5]));
    checkpoint
        .tensors
        .insert("b".into(), Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap());
    checkpoint.tensors.insert("c".into(), Tensor::new(&[7u32], &Device::Cpu).unwrap());
    for i in 0..20 {
        checkpoint.metadata.insert(format!("entry {i}"), format!("{}", f64::from(i) / 3.0));
    }
    checkpoint
}

#[test]
fn a_checkpoint_comes_back_as_it_was_and_the_same_bytes_are_written() {
    let folder = Folder::new("same");
    let (one, two) = (folder.0.join("one"), folder.0.join("two"));
    sample().save(&one).unwrap();
    let loaded = Checkpoint::load(&one).unwrap();
    assert_eq!(loaded.metadata, sample().metadata);
    for (name, tensor) in sample().tensors {
        assert_eq!(
            (tensor.dtype(), tensor.dims()),
            (loaded.tensors[&name].dtype(), loaded.tensors[&name].dims())
        );
        assert_eq!(numbers(&tensor), numbers(&loaded.tensors[&name]));
    }
    assert_eq!(loaded.entry::<f64>("entry 1").unwrap(), 1.0 / 3.0);
    loaded.save(&two).unwrap();
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn every_damaged_byte_and_every_cut_is_refused() {
    let folder = Folder::new("damage");
    let file = folder.0.join("checkpoint");
    sample().save(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&file, bytes).unwrap();
        let found = Checkpoint::load(&file);
        assert!(matches!(found, Err(Error::Checkpoint { .. })), "{what}: {found:?}");
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        refused(&bytes, &format!("byte {at} of {}", whole.len()));
    }
    for length in 0..whole.len() {
        refused(&whole[..length], &format!("cut to {length} bytes"));
    }
    refused(b"not a checkpoint at all", "text");
    let foreign = safetensors_without_checksum();
    refused(&foreign, "another program's file");
}

/// One f32 in the format, written by hand: the header's length, the header, the number.
fn safetensors_without_checksum() -> Vec<u8> {
    let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header, &1f32.to_le_bytes()].concat()
}

#[test]
fn missing_files_and_entries_are_typed_errors() {
    let folder = Folder::new("missing");
    assert!(matches!(Checkpoint::load(folder.0.join("none")), Err(Error::Io { .. })));
    assert!(matches!(sample().save(folder.0.join("none").join("deeper")), Err(Error::Io { .. })));
    let checkpoint = sample();
    assert!(matches!(checkpoint.entry::<f64>("none"), Err(Error::Entry { found: None, .. })));
    assert!(matches!(checkpoint.entry::<u64>("entry 1"), Err(Error::Entry { found: Some(_), .. })));

    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    parameters.root().parameter("a", &[2], Initialization::Constant(0.0)).unwrap();
    let before = bits(&parameters);
    assert!(
        matches!(parameters.load(&checkpoint, ""), Err(Error::Parameter { name, .. }) if name == "b")
    );
    assert!(
        matches!(parameters.load(&checkpoint, "x."), Err(Error::Parameter { name, .. }) if name == "a")
    );
    assert_eq!(bits(&parameters), before);
    assert!(matches!(Sgd::load(&checkpoint, "", &parameters), Err(Error::Entry { .. })));
}

#[test]
fn buffers_are_kept_beside_the_parameters() {
    let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
    let mut root = parameters.root();
    let mean = root.scope("norm").buffer("mean", &[2], 0.5).unwrap();
    let taken = root.scope("norm").parameter("mean", &[2], Initialization::Constant(0.0));
    assert!(matches!(taken, Err(Error::Parameter { .. })));
    assert_eq!((mean.as_str(), parameters.len()), ("norm.mean", 0));

    let graph = Graph::new();
    let bound = parameters.bind(&graph).training(7);
    assert_eq!(bound.mode(), Mode::Training { seed: 7 });
    let old = bound.buffer(&mean).unwrap();
    assert_eq!(old.to_vec1::<f32>().unwrap(), [0.5, 0.5]);
    bound.update(&mean, &(old + 1.0).unwrap());
    parameters.apply(&bound).unwrap();
    let new = parameters.buffers().next().unwrap().1.to_vec1::<f32>().unwrap();
    assert_eq!(new, [1.5, 1.5]);
    // What does not fit changes nothing.
    bound.update(&mean, &Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap());
    assert!(matches!(parameters.apply(&bound), Err(Error::Parameter { .. })));

    let mut checkpoint = Checkpoint::new();
    parameters.store(&mut checkpoint, "model.");
    let mut other = Parameters::new(1, DType::F32, &Device::Cpu);
    other.root().scope("norm").buffer("mean", &[2], 0.0).unwrap();
    other.load(&checkpoint, "model.").unwrap();
    assert_eq!(other.buffers().next().unwrap().1.to_vec1::<f32>().unwrap(), [1.5, 1.5]);
    let empty = other.load(&Checkpoint::new(), "model.");
    assert!(matches!(empty, Err(Error::Parameter { .. })));
}
