//! Schedules made of schedules.

use super::Schedule;
use crate::error::{Error, Result};

/// One schedule after the other; each counts its steps from its own beginning.
#[derive(Default)]
pub struct Sequence {
    /// By first step.
    parts: Vec<(u64, Box<dyn Schedule>)>,
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sequence(from steps {:?})", self.parts.iter().map(|p| p.0).collect::<Vec<_>>())
    }
}

impl Sequence {
    /// Begins with `schedule`.
    #[must_use]
    pub fn new(schedule: impl Schedule + 'static) -> Self {
        Self { parts: vec![(0, Box::new(schedule))] }
    }

    /// Goes on with `schedule` from step `from` on.
    ///
    /// # Errors
    /// [`Error::Setting`] if that is not after the beginning of the part before.
    pub fn then(mut self, from: u64, schedule: impl Schedule + 'static) -> Result<Self> {
        if self.parts.last().is_some_and(|(last, _)| from <= *last) {
            let reason = "a part must begin after the one before it";
            return Err(Error::Setting { name: "from", value: from as f64, reason });
        }
        self.parts.push((from, Box::new(schedule)));
        Ok(self)
    }
}

impl Schedule for Sequence {
    fn factor(&self, step: u64) -> f64 {
        let part = self.parts.iter().rev().find(|(from, _)| *from <= step);
        part.map_or(1.0, |(from, schedule)| schedule.factor(step - from))
    }

    fn momentum(&self, step: u64) -> Option<f64> {
        let part = self.parts.iter().rev().find(|(from, _)| *from <= step);
        part.and_then(|(from, schedule)| schedule.momentum(step - from))
    }
}

/// The product of two schedules, which both count from the beginning; the momentum is the first's, if it has one.
#[derive(Debug, Clone, Copy)]
pub struct Product<A, B>(
    /// One.
    pub A,
    /// The other.
    pub B,
);

impl<A: Schedule, B: Schedule> Schedule for Product<A, B> {
    fn factor(&self, step: u64) -> f64 {
        self.0.factor(step) * self.1.factor(step)
    }

    fn momentum(&self, step: u64) -> Option<f64> {
        self.0.momentum(step).or_else(|| self.1.momentum(step))
    }
}
