//! The table of trajectories and learning rates that PyTorch computed, and the same here. The report reads it too.
#![allow(dead_code)] // each reader uses a part

use std::collections::BTreeMap;

use pullback_core_graph::Graph;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_nn::optimizer::{
    Adam, AdamOptions, AdamW, AdamWOptions, ExponentialAverage, Group, RmsProp, RmsPropOptions,
    Sgd, SgdOptions, clip_by_norm, clip_by_value,
};
use pullback_nn::schedule::{
    self, Anneal, Cosine, CosineRestarts, Exponential, Linear, MultiStep, OneCycle, Polynomial,
    Product, Schedule, Sequence,
};
use pullback_nn::{Checkpoint, Initialization, Optimizer, Parameters, Result};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Table {
    start: BTreeMap<String, Vec<f64>>,
    factors: BTreeMap<String, Vec<f64>>,
    targets: BTreeMap<String, Vec<f64>>,
    steps: Vec<usize>,
    trajectories: BTreeMap<String, Vec<Vec<f64>>>,
    pub(crate) rates: BTreeMap<String, Vec<f64>>,
    momenta: BTreeMap<String, Vec<f64>>,
}

pub(crate) fn table() -> Table {
    serde_json::from_str(include_str!("../data/optimizers.json")).unwrap()
}

/// The optimizer of a trajectory.
pub(crate) fn optimizer(name: &str) -> Result<Box<dyn Optimizer>> {
    let sgd = SgdOptions { learning_rate: 0.02, momentum: 0.9, ..Default::default() };
    let rms = RmsPropOptions { learning_rate: 0.01, ..Default::default() };
    let centered = RmsPropOptions { smoothing: 0.95, epsilon: 1e-6, centered: true, ..rms };
    let inside = RmsPropOptions { smoothing: 0.9, epsilon: 1e-2, epsilon_inside: true, ..rms };
    let adam = AdamOptions { learning_rate: 0.05, ..Default::default() };
    let adam_w = AdamWOptions { learning_rate: 0.05, ..Default::default() };
    Ok(match name {
        "sgd" => Box::new(Sgd::new(SgdOptions { learning_rate: 0.05, ..Default::default() })?),
        "sgd momentum" => Box::new(Sgd::new(sgd)?),
        "sgd nesterov" => {
            Box::new(Sgd::new(SgdOptions { weight_decay: 0.1, nesterov: true, ..sgd })?)
        }
        "rms_prop" => Box::new(RmsProp::new(rms)?),
        "rms_prop momentum" => {
            let options =
                RmsPropOptions { smoothing: 0.9, momentum: 0.5, weight_decay: 0.1, ..rms };
            Box::new(RmsProp::new(options)?)
        }
        "rms_prop centered" => Box::new(RmsProp::new(centered)?),
        "rms_prop centered momentum" => {
            Box::new(RmsProp::new(RmsPropOptions { epsilon: 1e-4, momentum: 0.7, ..centered })?)
        }
        "rms_prop inside" => Box::new(RmsProp::new(inside)?),
        "rms_prop inside momentum" => {
            Box::new(RmsProp::new(RmsPropOptions { epsilon: 1e-6, momentum: 0.5, ..inside })?)
        }
        "adam" | "one_cycle adam" | "one_cycle adam, three phases" => Box::new(Adam::new(adam)?),
        "one_cycle sgd" | "one_cycle sgd, three phases" => Box::new(Sgd::new(sgd)?),
        "adam decay" => {
            let betas = AdamOptions { beta1: 0.8, beta2: 0.95, ..adam };
            Box::new(Adam::new(AdamOptions { epsilon: 1e-6, weight_decay: 0.1, ..betas })?)
        }
        "adam amsgrad" => {
            let options = AdamOptions { learning_rate: 0.1, beta2: 0.9, amsgrad: true, ..adam };
            Box::new(Adam::new(options)?)
        }
        "adam_w" => Box::new(AdamW::new(adam_w)?),
        "adam_w amsgrad" => {
            let options = AdamWOptions { weight_decay: 0.3, beta2: 0.9, amsgrad: true, ..adam_w };
            Box::new(AdamW::new(options)?)
        }
        "groups" => {
            let group = Group::prefix("a.").learning_rate_factor(0.1).weight_decay(0.5);
            Box::new(AdamW::new(adam_w)?.with_groups(vec![group])?)
        }
        "clip norm" | "clip value" | "average" => {
            let options = SgdOptions { learning_rate: 0.05, momentum: 0.5, ..Default::default() };
            Box::new(Sgd::new(options)?)
        }
        other => panic!("no optimizer for {other:?}"),
    })
}

/// The schedule of a trajectory, and its base learning rate, if it has one.
fn cycle(name: &str) -> Result<Option<(f64, OneCycle)>> {
    let all = OneCycle::new(51)?.cycle_momentum(0.85, 0.95)?;
    Ok(Some(match name {
        "one_cycle sgd" => (0.1, all),
        "one_cycle adam" => {
            (0.2, all.warm_up(0.4)?.cycle_momentum(0.5, 0.9)?.anneal(Anneal::Linear))
        }
        "one_cycle sgd, three phases" => (0.1, all.three_phases().divisors(10.0, 100.0)?),
        "one_cycle adam, three phases" => (0.2, all.three_phases().warm_up(0.25)?),
        _ => return Ok(None),
    }))
}

/// The schedule of a list of rates.
fn rate(name: &str) -> Result<Box<dyn Schedule>> {
    Ok(match name {
        "step" => Box::new(schedule::Step::new(7, 0.3)?),
        "multi_step" => Box::new(MultiStep::new(&[3, 10, 10, 31], 0.5)?),
        "exponential" => Box::new(Exponential::new(0.93)?),
        "cosine" => Box::new(Cosine::new(60, 0.02 / 0.4)?),
        "restarts" => Box::new(CosineRestarts::new(9, 1, 0.02 / 0.4)?),
        "growing restarts" => Box::new(CosineRestarts::new(5, 2, 0.0)?),
        "warm_up" => Box::new(Linear::warm_up(0.1, 12)?),
        "polynomial" => Box::new(Polynomial::new(40, 1.7)?),
        "one_cycle" => Box::new(OneCycle::new(60)?),
        "one_cycle linear" => {
            let cycle = OneCycle::new(60)?.warm_up(0.4)?.divisors(10.0, 100.0)?;
            Box::new(cycle.anneal(Anneal::Linear))
        }
        "one_cycle three phases" => Box::new(OneCycle::new(60)?.three_phases()),
        "one_cycle three phases, linear" => {
            let cycle = OneCycle::new(60)?.three_phases().warm_up(0.45)?.divisors(10.0, 1e4)?;
            Box::new(cycle.anneal(Anneal::Linear))
        }
        "one_cycle without warm-up" => Box::new(OneCycle::new(60)?.warm_up(0.0)?),
        "warm-up, then cosine" => {
            Box::new(Sequence::new(Linear::warm_up(0.1, 10)?).then(10, Cosine::new(50, 0.0)?)?)
        }
        "product" => Box::new(Product(Linear::warm_up(0.1, 12)?, Exponential::new(0.95)?)),
        other => panic!("no schedule for {other:?}"),
    })
}

impl Table {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.trajectories.keys().map(String::as_str)
    }

    pub(crate) fn start(&self, dtype: DType) -> Result<Parameters> {
        let mut parameters = Parameters::new(1, dtype, &Device::Cpu);
        for (name, values) in &self.start {
            let zero = Initialization::Constant(0.0);
            parameters.root().parameter(name, &[values.len()], zero)?;
            let tensor = Tensor::new(values.as_slice(), &Device::Cpu)?.to_dtype(dtype)?;
            parameters.set(name, &tensor)?;
        }
        Ok(parameters)
    }

    /// The gradients of Σ cᵢ(pᵢ − tᵢ)² + 0.1·sin 3pᵢ.
    fn gradients(&self, parameters: &Parameters) -> Result<Vec<Tensor>> {
        let graph = Graph::new();
        let bound = parameters.bind(&graph);
        let mut sum =
            graph.constant(&Tensor::new(0f64, &Device::Cpu)?.to_dtype(parameters.dtype())?);
        for (name, &p) in bound.names().iter().zip(bound.vars()) {
            let constant = |table: &BTreeMap<String, Vec<f64>>| -> Result<_> {
                let tensor = Tensor::new(table[name].as_slice(), &Device::Cpu)?;
                Ok(graph.constant(&tensor.to_dtype(parameters.dtype())?))
            };
            let parabola = constant(&self.factors)? * (p - constant(&self.targets)?).sqr();
            sum = sum + (parabola + 0.1 * (3.0 * p).sin()).sum(());
        }
        Ok(graph.gradient(sum, bound.vars())?)
    }

    /// Step number `step` (from 0) of the trajectory `name`.
    pub(crate) fn step(
        &self,
        name: &str,
        step: usize,
        optimizer: &mut dyn Optimizer,
        parameters: &mut Parameters,
    ) -> Result<()> {
        if let Some((base, cycle)) = cycle(name)? {
            schedule::apply(&cycle, base, step as u64, optimizer)?;
        }
        let mut gradients = self.gradients(parameters)?;
        match name {
            "clip norm" => drop(clip_by_norm(&mut gradients, 1.5)?),
            "clip value" => drop(clip_by_value(&mut gradients, 0.8)?),
            _ => {}
        }
        optimizer.step(parameters, &gradients)
    }

    /// The largest deviation from the trajectory `name` in its 50 steps, relative to the largest coordinate (but at least 1).
    pub(crate) fn trajectory_error(&self, name: &str, dtype: DType) -> Result<f64> {
        let (mut optimizer, mut parameters) = (optimizer(name)?, self.start(dtype)?);
        let mut average = ExponentialAverage::new(0.95, &parameters)?;
        let (mut worst, mut rows) = (0f64, self.trajectories[name].iter());
        for step in 1..=50 {
            self.step(name, step - 1, &mut *optimizer, &mut parameters)?;
            average.update(&parameters)?;
            if !self.steps.contains(&step) {
                continue;
            }
            let at = if name == "average" { average.parameters() } else { &parameters };
            let mut found = vec![];
            for (_, tensor) in at.iter() {
                found.extend(to_f64(tensor)?);
            }
            let expected = rows.next().unwrap();
            let scale = expected.iter().fold(1.0f64, |s, e| s.max(e.abs()));
            assert_eq!(found.len(), expected.len());
            found
                .iter()
                .zip(expected)
                .for_each(|(f, e)| worst = larger(worst, (f - e).abs() / scale));
        }
        assert!(rows.next().is_none(), "a row for each step that is in the table");
        Ok(worst)
    }

    /// The largest deviation from all lists of learning rates, relative to the base.
    pub(crate) fn rate_error(&self) -> Result<f64> {
        let base = 0.4;
        let mut worst = 0f64;
        for (name, rates) in &self.rates {
            let (schedule, mut sgd) = (rate(name)?, optimizer("sgd")?);
            for (step, expected) in rates.iter().enumerate() {
                schedule::apply(&*schedule, base, step as u64, &mut *sgd)?;
                worst = larger(worst, (sgd.learning_rate() - expected).abs() / base);
            }
        }
        Ok(worst)
    }

    /// The largest deviation from all lists of momenta, as an SGD and an Adam are given them.
    pub(crate) fn momentum_error(&self) -> Result<f64> {
        let mut worst = 0f64;
        for (name, momenta) in &self.momenta {
            let cycle = match name.as_str() {
                "one_cycle" => OneCycle::new(60)?,
                "one_cycle linear" => OneCycle::new(60)?.warm_up(0.4)?.anneal(Anneal::Linear),
                "one_cycle three phases" => OneCycle::new(60)?.three_phases(),
                "one_cycle without warm-up" => OneCycle::new(60)?.warm_up(0.0)?,
                other => panic!("no cycle for {other:?}"),
            };
            let [low, high] = if name.ends_with("linear") { [0.5, 0.9] } else { [0.85, 0.95] };
            let cycle = cycle.cycle_momentum(low, high)?;
            let (mut sgd, mut adam) =
                (Sgd::new(SgdOptions::default())?, Adam::new(AdamOptions::default())?);
            assert_eq!(momenta.len(), 60);
            for (step, expected) in momenta.iter().enumerate() {
                schedule::apply(&cycle, 0.1, step as u64, &mut sgd)?;
                schedule::apply(&cycle, 0.1, step as u64, &mut adam)?;
                for found in [sgd.options().momentum, adam.options().beta1] {
                    worst = larger(worst, (found - expected).abs());
                }
            }
        }
        Ok(worst)
    }

    /// Of 50 steps of the trajectory `name`, with a stop after each `k`: how many resumed runs end in other bits.
    pub(crate) fn resumed_differently(&self, name: &str, dtype: DType) -> Result<usize> {
        let run = |optimizer: &mut dyn Optimizer,
                   parameters: &mut Parameters,
                   steps: std::ops::Range<usize>|
         -> Result<()> {
            steps.into_iter().try_for_each(|i| self.step(name, i, optimizer, parameters))
        };
        let (mut whole, mut expected) = (optimizer(name)?, self.start(dtype)?);
        run(&mut *whole, &mut expected, 0..50)?;
        let mut differing = 0;
        for stop in (0..50).step_by(7) {
            let (mut first, mut parameters) = (optimizer(name)?, self.start(dtype)?);
            run(&mut *first, &mut parameters, 0..stop)?;
            let mut checkpoint = Checkpoint::new();
            parameters.store(&mut checkpoint, "model.");
            first.store(&mut checkpoint, "optimizer.");
            let (mut second, mut resumed) = (optimizer(name)?, self.start(dtype)?);
            resumed.load(&checkpoint, "model.")?;
            second.restore(&checkpoint, "optimizer.", &resumed)?;
            run(&mut *second, &mut resumed, stop..50)?;
            differing += usize::from(bits(&resumed)? != bits(&expected)?);
        }
        Ok(differing)
    }
}

fn bits(parameters: &Parameters) -> Result<Vec<u64>> {
    let mut all = vec![];
    for (_, tensor) in parameters.iter() {
        all.extend(to_f64(tensor)?.into_iter().map(f64::to_bits));
    }
    Ok(all)
}

/// The larger of two, or what is no number.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}
