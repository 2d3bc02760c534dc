//! Loaders: every example once, in an order that the seed and the epoch decide, whatever the threads; and the built-in sets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pullback_core_graph::candle::{Device, Tensor};
use pullback_nn::Error;
use pullback_nn::data::{Dataset, Epoch, Labelled, Loader, LoaderOptions, strokes, synthetic};
use rand::Rng;

/// Examples that are their own indices; some do what they should not.
#[derive(Clone, Default)]
struct Numbers {
    count: usize,
    fails: Option<usize>,
    panics: Option<usize>,
    asked: Arc<AtomicUsize>,
}

impl Dataset for Numbers {
    fn len(&self) -> usize {
        self.count
    }

    fn batch(&self, indices: &[usize]) -> pullback_nn::Result<Vec<Tensor>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails.is_some_and(|at| indices.contains(&at)) {
            return Err(Error::Setting { name: "example", value: 0.0, reason: "is bad" });
        }
        assert!(self.panics.is_none_or(|at| !indices.contains(&at)), "a bug in user code");
        let values: Vec<u32> = indices.iter().map(|&i| i as u32).collect();
        Ok(vec![Tensor::new(values, &Device::Cpu)?])
    }
}

fn numbers(count: usize) -> Numbers {
    Numbers { count, ..Numbers::default() }
}

fn options(threads: usize) -> LoaderOptions {
    LoaderOptions { batch: 4, seed: 9, threads, ahead: 2, ..LoaderOptions::default() }
}

fn all(epoch: Epoch) -> Vec<Vec<u32>> {
    epoch.map(|batch| batch.unwrap().tensors[0].to_vec1().unwrap()).collect()
}

#[test]
fn an_epoch_has_every_example_once_and_no_other_epoch_has_its_order() {
    let loader = Loader::new(numbers(22), options(0)).unwrap();
    let (first, second) = (all(loader.epoch(0)), all(loader.epoch(1)));
    assert_eq!((first.len(), loader.batches(), first[5].len()), (6, 6, 2));
    for epoch in [&first, &second] {
        let mut flat = epoch.concat();
        flat.sort_unstable();
        assert_eq!(flat, (0..22).collect::<Vec<_>>());
    }
    assert_ne!(first, second);
    assert_ne!(first.concat(), (0..22).collect::<Vec<_>>());
    assert_eq!(all(loader.epoch(0)), first);
    assert_eq!(all(loader.epoch_from(1, 4)), second[4..]);
    assert!(all(loader.epoch_from(1, 6)).is_empty() && all(loader.epoch_from(1, 99)).is_empty());
    let other = LoaderOptions { seed: 10, ..options(0) };
    assert_ne!(all(Loader::new(numbers(22), other).unwrap().epoch(0)), first);
    let plain = LoaderOptions { shuffle: false, drop_last: true, ..options(0) };
    let plain = Loader::new(numbers(22), plain).unwrap();
    assert_eq!(all(plain.epoch(3)).concat(), (0..20).collect::<Vec<_>>());
}

/// Of all orders of three examples, each comes about as often.
#[test]
fn orders_are_equally_likely() {
    let options = LoaderOptions { batch: 3, ..options(0) };
    let loader = Loader::new(numbers(3), options).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for epoch in 0..6000 {
        *counts.entry(all(loader.epoch(epoch)).concat()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(counts.values().all(|count| (880..1120).contains(count)), "{counts:?}");
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let loader =
            Loader::new(numbers(50), options(threads)).unwrap().with_map(|tensors, random| {
                let noise: Vec<u32> =
                    (0..tensors[0].elem_count()).map(|_| random.random()).collect();
                Ok(vec![tensors[0].clone(), Tensor::new(noise, &Device::Cpu)?])
            });
        (0..3)
            .flat_map(|epoch| loader.epoch(epoch))
            .map(|batch| {
                let batch = batch.unwrap();
                let values = |i: usize| batch.tensors[i].to_vec1::<u32>().unwrap();
                (batch.epoch, batch.index, values(0), values(1))
            })
            .collect::<Vec<_>>()
    };
    let alone = run(0);
    assert_eq!(alone.len(), 39);
    for threads in [1, 2, 3, 7] {
        assert_eq!(run(threads), alone, "{threads} threads");
    }
    let noise: std::collections::BTreeSet<_> = alone.iter().map(|(.., noise)| noise).collect();
    assert_eq!(noise.len(), 39, "no two batches share their random numbers");
}

#[test]
fn no_more_is_made_ahead_than_may_be() {
    for threads in [1, 3] {
        let data = numbers(400);
        let loader = Loader::new(data.clone(), options(threads)).unwrap();
        let mut epoch = loader.epoch(0);
        for taken in 1..=20 {
            epoch.next().unwrap().unwrap();
            std::thread::yield_now();
            assert!(data.asked.load(Ordering::SeqCst) <= taken + 2);
        }
        // Dropped early: its threads end, and nothing more is asked for.
        drop(epoch);
        let asked = data.asked.load(Ordering::SeqCst);
        std::thread::yield_now();
        assert_eq!((data.asked.load(Ordering::SeqCst), Arc::strong_count(&data.asked)), (asked, 2));
    }
}

#[test]
fn errors_and_panics_come_in_their_place_and_end_the_epoch() {
    for threads in [0, 1, 2, 5] {
        let plain = LoaderOptions { shuffle: false, ..options(threads) };
        let run = |data| {
            let mut epoch = Loader::new(data, plain).unwrap().epoch(0);
            let good = epoch.by_ref().take(3).filter(Result::is_ok).count();
            (good, epoch.next().unwrap().unwrap_err(), epoch.next().is_none())
        };
        let (good, error, end) = run(Numbers { fails: Some(13), ..numbers(80) });
        assert!(good == 3 && end && matches!(error, Error::Setting { .. }), "{error}");
        let (good, error, end) = run(Numbers { panics: Some(13), ..numbers(80) });
        assert!(good == 3 && end && matches!(error, Error::Panic { .. }), "{error}");
        assert!(error.to_string().contains("batch 3 of epoch 0 panicked: a bug"), "{error}");
    }
}

#[test]
fn bad_settings_are_typed_errors() {
    let refused = |count, options| match Loader::new(numbers(count), options) {
        Err(Error::Argument { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(9, LoaderOptions { batch: 0, ..options(0) }), "batch");
    assert_eq!(refused(9, LoaderOptions { ahead: 0, ..options(0) }), "ahead");
    let empty = Loader::new(numbers(0), options(0)).unwrap_err();
    assert!(matches!(empty, Error::NoBatch { examples: 0, drop_last: false, .. }), "{empty}");
    let few = LoaderOptions { batch: 8, drop_last: true, ..options(0) };
    let few = Loader::new(numbers(3), few).unwrap_err().to_string();
    assert_eq!(
        few,
        "Loader: 3 examples make no batch of 8, and `drop_last` leaves smaller ones out"
    );
    let x = Tensor::new(&[[1f32], [2.0]], &Device::Cpu).unwrap();
    let labels = |l: &[i64]| Tensor::new(l, &Device::Cpu).unwrap();
    let make = |l: &[i64]| Labelled::new(&x, &labels(l), vec!["a".into(), "b".into()]);
    assert_eq!(make(&[1, 0]).unwrap().labels().to_vec1::<u32>().unwrap(), [1, 0]);
    assert!(matches!(make(&[1]), Err(Error::Length { expected: 2, found: 1, .. })));
    assert!(matches!(make(&[0, 2]), Err(Error::Index { position: 1, index: 2, size: 2, .. })));
    assert!(matches!(make(&[0, -1]), Err(Error::Index { position: 1, index: -1, .. })));
    assert!(matches!(make(&[0, 1]).unwrap().select(&[2]), Err(Error::Index { .. })));
    assert!(matches!(make(&[0, 1]).unwrap().split(1.5, 0), Err(Error::Setting { .. })));
    assert!(matches!(synthetic::two_moons(0, 0.1, 0), Err(Error::Argument { .. })));
    assert!(matches!(synthetic::two_moons(4, -0.1, 0), Err(Error::Setting { .. })));
    assert!(matches!(synthetic::spirals(0, 4, 1.0, 0.1, 0), Err(Error::Argument { .. })));
    assert!(matches!(strokes::digits(1, 7, 0), Err(Error::Argument { .. })));
    for (each, size) in [(usize::MAX, 16), (1 << 50, 16), (1, 1 << 40)] {
        assert!(matches!(strokes::digits(each, size, 0), Err(Error::Argument { .. })));
    }
}

#[test]
fn moons_and_spirals_lie_on_their_curves() {
    let points = |set: &Labelled| set.inputs().to_vec2::<f32>().unwrap();
    let moons = synthetic::two_moons(50, 0.0, 1).unwrap();
    for (k, p) in points(&moons).iter().enumerate() {
        let (x, y) = if k < 50 { (p[0], p[1]) } else { (1.0 - p[0], 0.5 - p[1]) };
        assert!((x.hypot(y) - 1.0).abs() < 1e-6 && y > -1e-6, "{k}: {p:?}");
    }
    let noisy = synthetic::two_moons(4000, 0.1, 1).unwrap();
    let clean = synthetic::two_moons(4000, 0.0, 1).unwrap();
    let distance: f32 = points(&noisy)
        .iter()
        .zip(points(&clean))
        .map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))
        .sum();
    assert!((distance / 16_000.0 - 0.01).abs() < 5e-4, "{}", distance / 16_000.0);
    let spiral = synthetic::spirals(3, 11, 1.0, 0.0, 1).unwrap();
    assert_eq!((spiral.len(), spiral.classes().len()), (33, 3));
    for (k, p) in points(&spiral).iter().enumerate() {
        assert!((p[0].hypot(p[1]) - (k % 11) as f32 / 10.0).abs() < 1e-6, "{k}: {p:?}");
    }
}

#[test]
fn drawn_digits_are_seeded_and_distinct() {
    let some = strokes::digits(3, 16, 5).unwrap();
    assert_eq!(some.inputs().dims(), [30, 1, 16, 16]);
    let values = |set: &Labelled| set.inputs().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let pixels = values(&some);
    assert!(pixels.iter().all(|v| (0.0..=1.0).contains(v)));
    for (k, digit) in pixels.chunks(256).enumerate() {
        let ink: f32 = digit.iter().sum();
        assert!((15.0..140.0).contains(&ink), "picture {k} has ink {ink}");
    }
    assert_eq!(values(&strokes::digits(5, 16, 5).unwrap())[..pixels.len()], pixels[..]);
    assert_ne!(values(&strokes::digits(3, 16, 6).unwrap()), pixels);
    // Each class is split by itself.
    let [train, test] = strokes::digits(20, 8, 1).unwrap().split(0.8, 3).unwrap();
    assert_eq!((train.len(), test.len()), (160, 40));
    for class in 0..10 {
        let labels: Vec<u32> = test.labels().to_vec1().unwrap();
        assert_eq!(labels.iter().filter(|&&l| l == class).count(), 4);
    }
}
