//! An optimizer from an update rule: groups, state, and steps that happen whole or not at all.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use pullback_core_graph::tensor::{Real, all_finite, from_vec, with_slices};
use pullback_core_graph::{blocks_of, vectorized, with_real};

use super::Optimizer;
use super::group::{Group, check_groups, rule_for};
use super::rule::Rule;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, check_finite};
use crate::parameters::{Parameters, check_like};

/// Elements that are updated at a time.
const BLOCK: usize = 1 << 12;

/// A gradient method by its rule: [`Sgd`](super::Sgd), [`RmsProp`](super::RmsProp), [`Adam`](super::Adam),
/// [`AdamW`](super::AdamW).
#[derive(Debug, Clone)]
pub struct Descent<R> {
    rule: R,
    groups: Vec<Group>,
    /// By parameter, in the order of [`Rule::kept`].
    kept: BTreeMap<String, Vec<Tensor>>,
    steps: u64,
}

impl<R: Rule> Descent<R> {
    /// An optimizer at rest.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is outside its range.
    pub fn new(options: R) -> Result<Self> {
        let mut rule = options;
        rule.settings().iter().try_for_each(|(name, setting)| setting.check(name))?;
        Ok(Self { rule, groups: Vec::new(), kept: BTreeMap::new(), steps: 0 })
    }

    /// The same with options of their own for some parameters.
    ///
    /// # Errors
    /// [`Error::Setting`] if an option is outside its range.
    pub fn with_groups(self, groups: Vec<Group>) -> Result<Self> {
        groups.iter().try_for_each(Group::check)?;
        Ok(Self { groups, ..self })
    }

    /// The settings, of parameters in no group.
    #[must_use]
    pub fn options(&self) -> R {
        self.rule.clone()
    }

    /// The learning rate η, of parameters in no group.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        let mut rule = self.rule.clone();
        let found = rule.settings().into_iter().find(|(name, _)| *name == "learning_rate");
        found.and_then(|(_, setting)| setting.number()).unwrap_or(f64::NAN)
    }

    /// Changes the learning rate, that of all groups in proportion: for schedules, which may end at 0.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is negative or not finite.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_rate(learning_rate)?;
        for (name, mut setting) in self.rule.settings() {
            if name == "learning_rate" {
                setting.set(learning_rate);
            }
        }
        Ok(())
    }

    /// Changes the momentum, Adam's β₁: for schedules.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is not in \[0, 1), or the rule has neither.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        let mut rule = self.rule.clone();
        let mut found = false;
        for (name, mut setting) in rule.settings() {
            if matches!(name, "momentum" | "beta1") {
                setting.set(momentum);
                setting.check(name)?;
                found = true;
            }
        }
        if !found {
            let reason = "the method has no momentum";
            return Err(Error::Setting { name: "momentum", value: momentum, reason });
        }
        self.rule = rule;
        Ok(())
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step. `gradients` are in the order of the parameters' names, as a gradient with respect to
    /// [`Bound::vars`](crate::parameters::Bound::vars) is. On an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Parameter`] if their number, a shape or an element type differs; [`Error::NotFinite`], with the parameter's name, if
    /// one is not finite or the step leads to a parameter or a state that is not; [`Error::Argument`] for a group of no parameters.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &[Tensor]) -> Result<()> {
        if gradients.len() != parameters.len() {
            let what = format!("{} gradients for {} parameters", gradients.len(), parameters.len());
            return Err(Error::Parameter { name: "(all)".into(), what });
        }
        if self.steps == 0 {
            check_groups(&self.groups, parameters)?;
        }
        let mut next = parameters.clone();
        let mut kept = BTreeMap::new();
        for ((name, p), g) in parameters.iter().zip(gradients) {
            check_like(name, p, g)?;
            let old = self.kept.get(name).map_or(&[][..], Vec::as_slice);
            old.iter().try_for_each(|old| check_like(name, p, old))?;
            let rule = rule_for(&self.rule, &self.groups, name);
            let (mut made, finite) = with_real!(name, p.dtype(), T => updated::<R, T>(&rule, self.steps + 1, p, g, old))?;
            // A gradient that is not finite leaves nothing finite behind; where it began is looked for only then.
            if !finite {
                self.name_not_finite(name, g, &made)?;
            }
            next.set(name, &made.remove(0))?;
            kept.insert(name.to_string(), made);
        }
        *parameters = next;
        self.kept = kept;
        self.steps += 1;
        Ok(())
    }

    /// The error of a step that leads to no numbers: its gradient's if that has none, else that of what the step made.
    fn name_not_finite(&self, name: &str, gradient: &Tensor, made: &[Tensor]) -> Result<()> {
        let step = format!("{}, step {}", R::NAME, self.steps + 1);
        check_finite(gradient, || [step.clone(), format!("the gradient of `{name}`")])?;
        let kept = self.rule.kept().iter().map(|kind| format!("the {kind} kept for `{name}`"));
        let whats = std::iter::once(format!("the new value of `{name}`")).chain(kept);
        made.iter().zip(whats).try_for_each(|(t, what)| check_finite(t, || [step.clone(), what]))
    }

    /// Puts settings and state into a checkpoint, under `prefix`. Which parameters belong to a group is the program's to say.
    pub fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        for (name, tensors) in &self.kept {
            for (kind, tensor) in self.rule.kept().iter().zip(tensors) {
                checkpoint.tensors.insert(format!("{prefix}{kind}.{name}"), tensor.clone());
            }
        }
        let mut put = |name: &str, text: String| {
            checkpoint.metadata.insert(format!("{prefix}{name}"), text);
        };
        put("rule", R::NAME.into());
        put("steps", self.steps.to_string());
        put("groups", self.groups.len().to_string());
        for (i, Group { factor, weight_decay, .. }) in self.groups.iter().enumerate() {
            put(&format!("group.{i}.learning_rate_factor"), factor.to_string());
            if let Some(weight_decay) = weight_decay {
                put(&format!("group.{i}.weight_decay"), weight_decay.to_string());
            }
        }
        for (name, setting) in self.rule.clone().settings() {
            put(name, setting.text());
        }
    }

    /// The optimizer without groups that [`store`](Self::store) put into a checkpoint for `parameters`.
    ///
    /// # Errors
    /// As [`Optimizer::restore`].
    pub fn load(checkpoint: &Checkpoint, prefix: &str, parameters: &Parameters) -> Result<Self> {
        let mut loaded =
            Self { rule: R::default(), groups: Vec::new(), kept: BTreeMap::new(), steps: 0 };
        loaded.restore(checkpoint, prefix, parameters)?;
        Ok(loaded)
    }

    fn settings_from(checkpoint: &Checkpoint, prefix: &str) -> Result<R> {
        let name = format!("{prefix}rule");
        let found: String = checkpoint.entry(&name)?;
        if found != R::NAME {
            return Err(Error::Entry { name, found: Some(found) });
        }
        let mut rule = R::default();
        for (name, mut setting) in rule.settings() {
            let key = format!("{prefix}{name}");
            match &mut setting {
                super::rule::Setting::Flag(flag) => **flag = checkpoint.entry(&key)?,
                number => number.set(checkpoint.entry(&key)?),
            }
            // A schedule may have ended at 0.
            match name {
                "learning_rate" => check_rate(setting.number().unwrap_or(f64::NAN))?,
                _ => setting.check(name)?,
            }
        }
        Ok(rule)
    }

    /// The groups of this program with the numbers of the checkpoint.
    fn groups_from(&self, checkpoint: &Checkpoint, prefix: &str) -> Result<Vec<Group>> {
        let count: usize = checkpoint.entry(&format!("{prefix}groups"))?;
        if count != self.groups.len() {
            let reason =
                "the checkpoint has another number of parameter groups than this optimizer";
            return Err(Error::Setting { name: "groups", value: count as f64, reason });
        }
        let mut groups = self.groups.clone();
        for (i, group) in groups.iter_mut().enumerate() {
            group.factor = checkpoint.entry(&format!("{prefix}group.{i}.learning_rate_factor"))?;
            let key = format!("{prefix}group.{i}.weight_decay");
            let stated = checkpoint.metadata.contains_key(&key);
            group.weight_decay = if stated { Some(checkpoint.entry(&key)?) } else { None };
            group.check()?;
        }
        Ok(groups)
    }
}

fn check_rate(value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    let reason = "must be finite and not negative";
    Err(Error::Setting { name: "learning_rate", value, reason })
}

/// What `rule` keeps for each parameter, from a checkpoint.
fn kept_from<R: Rule>(
    rule: &R,
    steps: u64,
    checkpoint: &Checkpoint,
    prefix: &str,
    parameters: &Parameters,
) -> Result<BTreeMap<String, Vec<Tensor>>> {
    let mut kept: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
    for kind in rule.kept() {
        let start = format!("{prefix}{kind}.");
        for (name, tensor) in checkpoint.with_prefix(&start) {
            check_like(name, parameters.get(name)?, tensor)?;
            kept.entry(name.into()).or_default().push(tensor.to_device(parameters.device())?);
        }
    }
    let complete = |name: &str| kept.get(name).map_or(0, Vec::len) == rule.kept().len();
    match parameters.iter().find(|(name, _)| steps > 0 && !complete(name)) {
        Some((name, _)) => {
            let what = format!("the checkpoint lacks one of {:?} for it", rule.kept());
            Err(Error::Parameter { name: name.into(), what })
        }
        None => Ok(kept),
    }
}

/// The next value of a parameter, followed by what is kept for it; and whether all of it is finite.
///
/// A block is copied, updated and looked through while it is in a fast cache: memory is read once and written once.
fn updated<R: Rule, T: Real>(
    rule: &R,
    step: u64,
    p: &Tensor,
    g: &Tensor,
    old: &[Tensor],
) -> pullback_core_graph::Result<(Vec<Tensor>, bool)> {
    let (device, dims): (&Device, _) = (p.device(), p.dims());
    let count = rule.kept().len();
    let zeros = if old.len() < count { vec![T::default(); BLOCK] } else { vec![] };
    let all: Vec<&Tensor> = [p, g].into_iter().chain(old).collect();
    let (made, finite) = with_slices::<T, _>(&all, |all| {
        let (p, g, old) = (all[0], all[1], &all[2..]);
        blocks_of(1 + count, p.len(), BLOCK, |start, made: &mut [Vec<T>]| {
            let range = start..start + made[0].len();
            let sources = [p].into_iter().chain(old.iter().copied());
            for (made, source) in made.iter_mut().zip(sources) {
                made.copy_from_slice(&source[range.clone()]);
            }
            for made in made.iter_mut().skip(1 + old.len()) {
                made.copy_from_slice(&zeros[..range.len()]);
            }
            if let Some((p, kept)) = made.split_first_mut() {
                let mut kept: Vec<&mut [T]> = kept.iter_mut().map(Vec::as_mut_slice).collect();
                vectorized(
                    #[inline(always)]
                    || rule.update(step, p, &g[range.clone()], &mut kept),
                );
            }
            made.iter().all(|m| all_finite(m))
        })
    })?;
    let tensors: pullback_core_graph::Result<Vec<Tensor>> =
        made.into_iter().map(|v| from_vec(v, dims, device)).collect();
    Ok((tensors?, !finite.contains(&false)))
}

impl<R: Rule> Optimizer for Descent<R> {
    fn step(&mut self, parameters: &mut Parameters, gradients: &[Tensor]) -> Result<()> {
        Self::step(self, parameters, gradients)
    }

    fn learning_rate(&self) -> f64 {
        Self::learning_rate(self)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        Self::set_learning_rate(self, learning_rate)
    }

    fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        Self::set_momentum(self, momentum)
    }

    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str) {
        Self::store(self, checkpoint, prefix);
    }

    fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<()> {
        let rule = Self::settings_from(checkpoint, prefix)?;
        let groups = self.groups_from(checkpoint, prefix)?;
        let steps = checkpoint.entry(&format!("{prefix}steps"))?;
        let kept = kept_from(&rule, steps, checkpoint, prefix, parameters)?;
        check_groups(&groups, parameters)?;
        *self = Self { rule, groups, kept, steps };
        Ok(())
    }
}
