//! Parameters that are trained by options of their own.

use std::sync::Arc;

use super::rule::{Rule, Setting};
use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// Parameters chosen by name, with a factor of the learning rate and a weight decay of their own.
///
/// Of several groups that choose a name, the first counts; a group that counts for no parameter is an error of the first step. What
/// is not stated is as for all other parameters.
#[derive(Clone)]
pub struct Group {
    chooses: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    pub(super) factor: f64,
    pub(super) weight_decay: Option<f64>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { factor, weight_decay, .. } = self;
        write!(f, "Group(learning rate × {factor}, weight decay {weight_decay:?})")
    }
}

impl Group {
    /// The parameters whose names pass.
    #[must_use]
    pub fn by(chooses: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { chooses: Arc::new(chooses), factor: 1.0, weight_decay: None }
    }

    /// The parameters whose names begin so: `perception.` is a part of the network.
    #[must_use]
    pub fn prefix(start: impl Into<String>) -> Self {
        let start = start.into();
        Self::by(move |name| name.starts_with(&start))
    }

    /// The parameters whose names end so. For biases see [`Group::biases`]: not all of their names end in `bias`.
    #[must_use]
    pub fn suffix(end: impl Into<String>) -> Self {
        let end = end.into();
        Self::by(move |name| name.ends_with(&end))
    }

    /// All biases: the last part of their names begins with `bias` (`bias`, a recurrent layer's `bias_hh_l0`) or ends with it.
    #[must_use]
    pub fn biases() -> Self {
        Self::by(|name| {
            let last = name.rsplit('.').next().unwrap_or(name);
            last.starts_with("bias") || last.ends_with("bias")
        })
    }

    /// η of the group over the η of all others; 0 holds its parameters fixed.
    #[must_use]
    pub fn learning_rate_factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// The group's weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay: Some(weight_decay), ..self }
    }

    pub(super) fn check(&self) -> Result<()> {
        let not_negative = |name, value: f64| match value >= 0.0 && value.is_finite() {
            true => Ok(()),
            false => {
                let reason = "must be finite and not negative";
                Err(Error::Setting { name, value, reason })
            }
        };
        not_negative("learning rate factor", self.factor)?;
        self.weight_decay.map_or(Ok(()), |w| not_negative("weight decay", w))
    }
}

/// Each group counts for some parameter. Errors: one that chooses no name, or only names of groups before it.
pub(super) fn check_groups(groups: &[Group], parameters: &Parameters) -> Result<()> {
    for (value, group) in groups.iter().enumerate() {
        let mut chosen = parameters.iter().filter(|(name, _)| (group.chooses)(name)).peekable();
        let (operation, argument) = ("optimizer", "group");
        let fail = |reason| Err(Error::Argument { operation, argument, value, reason });
        if chosen.peek().is_none() {
            return fail("chooses none of the parameters' names");
        }
        if chosen.all(|(name, _)| groups[..value].iter().any(|before| (before.chooses)(name))) {
            return fail("chooses only names that groups before it choose, and the first counts");
        }
    }
    Ok(())
}

/// The rule as it is for a parameter of this name.
pub(super) fn rule_for<R: Rule>(rule: &R, groups: &[Group], name: &str) -> R {
    let mut rule = rule.clone();
    if let Some(group) = groups.iter().find(|g| (g.chooses)(name)) {
        for (name, mut setting) in rule.settings() {
            match (name, &mut setting, group.weight_decay) {
                ("learning_rate", Setting::Positive(rate), _) => **rate *= group.factor,
                ("weight_decay", setting, Some(own)) => setting.set(own),
                _ => {}
            }
        }
    }
    rule
}
