//! Optimizers and schedules against PyTorch's table; state that comes back bit by bit; misuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/optimizers.rs"]
mod optimizers;

use optimizers::{optimizer, table};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::optimizer::{
    Adam, AdamOptions, AdamW, ExponentialAverage, Group, RmsProp, RmsPropOptions, Sgd, SgdOptions,
    clip_by_norm, clip_by_value,
};
use pullback_nn::parameters::Initialization;
use pullback_nn::schedule::{
    self, Cosine, CosineRestarts, Exponential, Linear, MultiStep, OneCycle, Product, Schedule,
    Sequence, Step,
};
use pullback_nn::{Checkpoint, Error, Optimizer, Parameters};

#[test]
fn trajectories_are_those_of_pytorch() {
    let table = table();
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-5)] {
        for name in table.names() {
            let error = table.trajectory_error(name, dtype).unwrap();
            assert!(error <= tolerance, "{name} in {dtype:?}: {error:e}");
        }
    }
}

#[test]
fn learning_rates_are_those_of_pytorch() {
    let error = table().rate_error().unwrap();
    assert!(error <= 1e-13, "{error:e}");
}

#[test]
fn momenta_of_one_cycle_are_those_of_pytorch() {
    let error = table().momentum_error().unwrap();
    assert!(error <= 1e-15, "{error:e}");
    // Parts count from their own beginnings; what has no momentum leaves the optimizer's.
    let cycle = OneCycle::new(10).unwrap().cycle_momentum(0.5, 0.9).unwrap();
    let late = Sequence::new(Exponential::new(1.0).unwrap()).then(7, cycle).unwrap();
    assert_eq!(
        [late.momentum(6), late.momentum(7), late.momentum(9)],
        [None, Some(0.9), Some(0.5)]
    );
    let both = Product(Exponential::new(0.9).unwrap(), cycle);
    assert_eq!((both.momentum(2), both.momentum(99)), (Some(0.5), Some(0.9)));
    let mut sgd = Sgd::new(SgdOptions { momentum: 0.3, ..Default::default() }).unwrap();
    schedule::apply(&Exponential::new(0.9).unwrap(), 1.0, 3, &mut sgd).unwrap();
    assert_eq!(sgd.options().momentum, 0.3);
}

#[test]
fn a_resumed_trajectory_is_the_uninterrupted_one() {
    let table = table();
    for name in table.names() {
        for dtype in [DType::F64, DType::F32] {
            assert_eq!(table.resumed_differently(name, dtype).unwrap(), 0, "{name} in {dtype:?}");
        }
    }
}

#[test]
fn a_foreign_or_incomplete_state_is_refused_and_changes_nothing() {
    let table = table();
    let mut parameters = table.start(DType::F64).unwrap();
    let mut adam = Adam::new(AdamOptions::default()).unwrap();
    table.step("adam", 0, &mut adam, &mut parameters).unwrap();
    let mut whole = Checkpoint::new();
    adam.store(&mut whole, "o.");

    let mut sgd = optimizer("sgd momentum").unwrap();
    let refused = sgd.restore(&whole, "o.", &parameters);
    assert!(matches!(refused, Err(Error::Entry { name, .. }) if name == "o.rule"));
    let mut grouped = Adam::new(AdamOptions::default()).unwrap();
    grouped = grouped.with_groups(vec![Group::suffix("bias")]).unwrap();
    let refused = grouped.restore(&whole, "o.", &parameters);
    assert!(matches!(refused, Err(Error::Setting { name: "groups", .. })));

    let spoil = |change: &dyn Fn(&mut Checkpoint)| {
        let mut spoiled = whole.clone();
        change(&mut spoiled);
        let mut adam = Adam::new(AdamOptions { beta1: 0.5, ..Default::default() }).unwrap();
        let error = adam.restore(&spoiled, "o.", &parameters).unwrap_err();
        assert_eq!((adam.steps(), adam.options().beta1), (0, 0.5));
        error
    };
    let lacking = spoil(&|c| drop(c.tensors.remove("o.square.b.weight")));
    assert!(matches!(lacking, Error::Parameter { name, .. } if name == "b.weight"));
    let other = Tensor::new(&[1f64], &Device::Cpu).unwrap();
    let misshapen = spoil(&|c| drop(c.tensors.insert("o.mean.a.weight".into(), other.clone())));
    assert!(matches!(misshapen, Error::Parameter { name, .. } if name == "a.weight"));
    let unknown = spoil(&|c| drop(c.tensors.insert("o.mean.c".into(), other.clone())));
    assert!(matches!(unknown, Error::Parameter { name, .. } if name == "c"));
    let wild = spoil(&|c| drop(c.metadata.insert("o.beta2".into(), "1.5".into())));
    assert!(matches!(wild, Error::Setting { name: "beta2", .. }));
    let garbled = spoil(&|c| drop(c.metadata.insert("o.amsgrad".into(), "perhaps".into())));
    assert!(matches!(garbled, Error::Entry { .. }));
}

#[test]
fn settings_outside_their_range_are_typed_errors() {
    let setting = |result: Result<(), Error>| match result {
        Err(Error::Setting { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let adam = |options| setting(Adam::new(options).map(drop));
    assert_eq!(adam(AdamOptions { beta1: 1.0, ..Default::default() }), "beta1");
    assert_eq!(adam(AdamOptions { epsilon: 0.0, ..Default::default() }), "epsilon");
    assert_eq!(
        adam(AdamOptions { learning_rate: f64::INFINITY, ..Default::default() }),
        "learning_rate"
    );
    let rms = RmsPropOptions { smoothing: -0.1, ..Default::default() };
    assert_eq!(setting(RmsProp::new(rms).map(drop)), "smoothing");
    let group = Group::by(|_| true).learning_rate_factor(-1.0);
    let grouped = AdamW::new(Default::default()).unwrap().with_groups(vec![group]);
    assert_eq!(setting(grouped.map(drop)), "learning rate factor");
    let mut sgd = Sgd::new(SgdOptions::default()).unwrap();
    assert_eq!(setting(sgd.set_learning_rate(-0.1)), "learning_rate");
    sgd.set_learning_rate(0.0).unwrap();
    assert_eq!(setting(sgd.set_momentum(1.0)), "momentum");
    assert_eq!(sgd.options().momentum, 0.0);
    let mut adam = Adam::new(AdamOptions::default()).unwrap();
    assert_eq!(setting(adam.set_momentum(f64::NAN)), "beta1");
    assert_eq!(setting(clip_by_value(&mut [], 0.0).map(drop)), "maximum value");
    let parameters = table().start(DType::F64).unwrap();
    assert_eq!(setting(ExponentialAverage::new(1.0, &parameters).map(drop)), "decay");

    assert_eq!(setting(Step::new(0, 0.5).map(drop)), "every");
    assert_eq!(setting(MultiStep::new(&[5, 3], 0.5).map(drop)), "milestone");
    assert_eq!(setting(Exponential::new(1.5).map(drop)), "gamma");
    assert_eq!(setting(Cosine::new(0, 0.0).map(drop)), "steps");
    assert_eq!(setting(CosineRestarts::new(1, 0, 0.0).map(drop)), "growth");
    assert_eq!(setting(Linear::new(-1.0, 1.0, 3).map(drop)), "from");
    assert_eq!(setting(OneCycle::new(1).map(drop)), "steps");
    let cycle = |low, high| setting(OneCycle::new(9).unwrap().cycle_momentum(low, high).map(drop));
    assert_eq!((cycle(-0.1, 0.9), cycle(0.5, 1.0)), ("low", "high"));
    let twice =
        Sequence::new(Exponential::new(1.0).unwrap()).then(0, Exponential::new(1.0).unwrap());
    assert_eq!(setting(twice.map(drop)), "from");
}

#[test]
fn schedules_end_where_they_say_and_never_hang() {
    let far = u64::MAX;
    assert_eq!(Cosine::new(10, 0.25).unwrap().factor(far), 0.25);
    assert_eq!(Linear::new(0.0, 0.5, 10).unwrap().factor(far), 0.5);
    for growth in [1, 2, 3] {
        let factor = CosineRestarts::new(1, growth, 0.1).unwrap().factor(far);
        assert!((0.1..=1.0).contains(&factor), "growth {growth}: {factor}");
    }
    let end = OneCycle::new(100).unwrap().factor(far);
    assert!((end - 1.0 / 25.0 / 1e4).abs() < 1e-18, "{end}");
}

#[test]
fn a_frozen_group_stands_still() {
    let table = table();
    let mut parameters = table.start(DType::F32).unwrap();
    let frozen = parameters.get("a.weight").unwrap().to_vec1::<f32>().unwrap();
    let group = Group::prefix("a.").learning_rate_factor(0.0);
    let mut adam = AdamW::new(Default::default()).unwrap().with_groups(vec![group]).unwrap();
    let moving = parameters.get("b.weight").unwrap().to_vec1::<f32>().unwrap();
    (0..5).for_each(|i| table.step("adam_w", i, &mut adam, &mut parameters).unwrap());
    assert_eq!(parameters.get("a.weight").unwrap().to_vec1::<f32>().unwrap(), frozen);
    assert_ne!(parameters.get("b.weight").unwrap().to_vec1::<f32>().unwrap(), moving);
}

#[test]
fn an_average_comes_back_and_forgets_its_beginning_faster_with_warm_up() {
    let table = table();
    let mut parameters = table.start(DType::F64).unwrap();
    let mut average = ExponentialAverage::new(0.999, &parameters).unwrap().with_warm_up();
    let mut plain = ExponentialAverage::new(0.999, &parameters).unwrap();
    let start = parameters.get("b.weight").unwrap().to_vec1::<f64>().unwrap()[3];
    let mut sgd = optimizer("sgd").unwrap();
    for step in 0..20 {
        table.step("sgd", step, &mut *sgd, &mut parameters).unwrap();
        average.update(&parameters).unwrap();
        plain.update(&parameters).unwrap();
    }
    let moved = |a: &ExponentialAverage| {
        (a.parameters().get("b.weight").unwrap().to_vec1::<f64>().unwrap()[3] - start).abs()
    };
    assert!(moved(&average) > 10.0 * moved(&plain), "{} {}", moved(&average), moved(&plain));
    let mut checkpoint = Checkpoint::new();
    average.store(&mut checkpoint, "e.");
    let mut back = ExponentialAverage::new(0.5, &table.start(DType::F64).unwrap()).unwrap();
    back.restore(&checkpoint, "e.").unwrap();
    for step in 20..23 {
        table.step("sgd", step, &mut *sgd, &mut parameters).unwrap();
        average.update(&parameters).unwrap();
        back.update(&parameters).unwrap();
    }
    assert_eq!(moved(&back).to_bits(), moved(&average).to_bits());
    assert!(matches!(back.restore(&Checkpoint::new(), "e."), Err(Error::Entry { .. })));
}

#[test]
fn groups_choose_something() {
    let mut parameters = Parameters::new(0, DType::F64, &Device::Cpu);
    for name in ["weight", "bias", "bias_hh_l0", "in_proj_bias", "unbiased"] {
        parameters
            .root()
            .scope("layer")
            .parameter(name, &[2], Initialization::Constant(1.0))
            .unwrap();
    }
    let gradients: Vec<Tensor> = parameters.iter().map(|(_, p)| p.zeros_like().unwrap()).collect();
    let decay = |group| {
        let options = SgdOptions { learning_rate: 0.1, weight_decay: 1.0, ..Default::default() };
        Sgd::new(options).unwrap().with_groups(vec![group]).unwrap()
    };
    decay(Group::biases().weight_decay(0.0)).step(&mut parameters, &gradients).unwrap();
    let changed = parameters.iter().filter(|(_, p)| p.to_vec1::<f64>().unwrap()[0] != 1.0);
    let changed: Vec<&str> = changed.map(|(name, _)| name).collect();
    assert_eq!(changed, ["layer.unbiased", "layer.weight"]);
    let refused = decay(Group::prefix("nothing")).step(&mut parameters, &gradients);
    assert!(matches!(refused, Err(Error::Argument { argument: "group", value: 0, .. })));

    // Of groups that overlap the first counts, and one that is left without names is refused.
    let start = parameters.clone();
    let several = |groups: Vec<Group>| {
        let options = SgdOptions { learning_rate: 0.1, weight_decay: 1.0, ..Default::default() };
        let mut parameters = start.clone();
        let mut sgd = Sgd::new(options).unwrap().with_groups(groups).unwrap();
        sgd.step(&mut parameters, &gradients).map(|()| {
            let fall = |name| {
                let [old, new] = [&start, &parameters].map(|p| p.get(name).unwrap().clone());
                let [old, new] = [old, new].map(|t| t.to_vec1::<f64>().unwrap()[0]);
                (1e3 * (1.0 - new / old)).round()
            };
            ["layer.bias", "layer.weight"].map(fall)
        })
    };
    let half = || Group::prefix("layer.").weight_decay(0.5);
    assert_eq!(several(vec![Group::biases().weight_decay(0.0), half()]).unwrap(), [0.0, 50.0]);
    let hidden = several(vec![half(), Group::biases().weight_decay(0.0)]).unwrap_err();
    assert!(matches!(hidden, Error::Argument { argument: "group", value: 1, .. }), "{hidden}");
    assert!(hidden.to_string().contains("groups before it choose"), "{hidden}");
}

#[test]
fn what_is_not_finite_is_named_with_its_step() {
    let mut start = Parameters::new(0, DType::F64, &Device::Cpu);
    for name in ["a", "b"] {
        let mut root = start.root();
        root.scope(name).parameter("weight", &[2, 2], Initialization::Constant(1.0)).unwrap();
    }
    let good = Tensor::ones((2, 2), DType::F64, &Device::Cpu).unwrap();
    let bad = |x: f64| Tensor::new(&[[1.0, 1.0], [x, x]], &Device::Cpu).unwrap();
    let optimizers: [(&str, Box<dyn Optimizer>); 4] = [
        ("sgd", Box::new(Sgd::new(Default::default()).unwrap())),
        ("rms_prop", Box::new(RmsProp::new(Default::default()).unwrap())),
        ("adam", Box::new(Adam::new(Default::default()).unwrap())),
        ("adam_w", Box::new(AdamW::new(Default::default()).unwrap())),
    ];
    for (name, mut optimizer) in optimizers {
        let mut parameters = start.clone();
        optimizer.step(&mut parameters, &[good.clone(), good.clone()]).unwrap();
        for (x, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
            let error = optimizer.step(&mut parameters, &[good.clone(), bad(x)]).unwrap_err();
            let told =
                format!("{name}, step 2: the gradient of `b.weight` is {text} at flat index 2");
            assert_eq!(error.to_string(), told);
            assert!(matches!(error, Error::NotFinite { index: 2, .. }));
        }
    }
    let mut wild = Sgd::new(SgdOptions { learning_rate: 1e10, ..Default::default() }).unwrap();
    let error = wild.step(&mut start.clone(), &[good.clone(), bad(f64::MAX)]).unwrap_err();
    let told = "sgd, step 1: the new value of `b.weight` is -inf at flat index 2";
    assert_eq!(error.to_string(), told);
    let mut adam = Adam::new(Default::default()).unwrap();
    let error = adam.step(&mut start.clone(), &[good.clone(), bad(1e300)]).unwrap_err();
    let told = "adam, step 1: the square kept for `b.weight` is inf at flat index 2";
    assert_eq!(error.to_string(), told);
    for clipped in [
        clip_by_norm(&mut [good.clone(), bad(f64::NAN)], 1.0).map(drop),
        clip_by_value(&mut [good, bad(f64::NAN)], 1.0).map(drop),
    ] {
        let error = clipped.unwrap_err().to_string();
        assert!(error.contains("gradient number 1 is NaN at flat index 2"), "{error}");
    }
}
