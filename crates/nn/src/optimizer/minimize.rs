//! Methods that need the function, and the loop that runs them.

use super::objective::Objective;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::parameters::Parameters;

/// A method that evaluates the objective itself, as often as it needs.
pub trait Minimizer: Send {
    /// One iteration. The parameters move only if the status is [`Status::Running`]; on an error nothing has changed.
    ///
    /// # Errors
    /// Those of the objective at the parameters; [`Error::NotFinite`](crate::Error::NotFinite) names the parameter without a gradient. A
    /// trial elsewhere that is not finite is turned down instead.
    fn step(&mut self, objective: &Objective, parameters: &mut Parameters) -> Result<Progress>;

    /// Puts settings and state into a checkpoint, under `prefix`.
    fn store(&self, checkpoint: &mut Checkpoint, prefix: &str);

    /// Takes settings and state back; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Entry`](crate::Error::Entry), [`Error::Setting`](crate::Error::Setting),
    /// [`Error::Parameter`](crate::Error::Parameter) if state has another length than the parameters.
    fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        prefix: &str,
        parameters: &Parameters,
    ) -> Result<()>;
}

/// Where a method stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// The parameters moved.
    Running,
    /// The gradient is below the tolerance. Most methods look no further: the point may be a saddle.
    /// [`SaddleFreeNewton`](super::SaddleFreeNewton) has also found no direction of its enlarged subspace that leads down;
    /// [`Newton`](super::Newton) stops at any critical point, see [`Progress::curvature`].
    Converged,
    /// The gradient is below the tolerance and so is all curvature that the method saw: a minimum or a degenerate saddle, which
    /// takes third derivatives to tell.
    Flat,
    /// No step that the method would take lowers the objective.
    Stalled,
    /// The number of steps is spent.
    StepLimit,
}

/// One iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// f before it.
    pub value: f64,
    /// ‖∇f‖ before it.
    pub gradient_norm: f64,
    /// The lowest and the highest curvature that the method saw, if it looked.
    pub curvature: Option<[f64; 2]>,
    /// f after it.
    pub next_value: f64,
    /// Evaluations of f on the way, with or without gradient.
    pub evaluations: usize,
    /// What became of it.
    pub status: Status,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// f at the parameters.
    pub value: f64,
    /// ‖∇f‖ before the last iteration; ∞ if there was none.
    pub gradient_norm: f64,
    /// Iterations that moved the parameters.
    pub steps: usize,
    /// Why the run ended; never [`Status::Running`].
    pub status: Status,
}

/// Iterates until the method no longer moves or `steps` are made. `watch` sees every iteration, with the parameters after it.
///
/// # Errors
/// Those of [`Minimizer::step`]; the parameters are those of the last good step.
pub fn minimize(
    method: &mut dyn Minimizer,
    objective: &Objective,
    parameters: &mut Parameters,
    steps: usize,
    mut watch: impl FnMut(&Progress, &Parameters),
) -> Result<Outcome> {
    let mut outcome = Outcome {
        value: f64::NAN,
        gradient_norm: f64::INFINITY,
        steps: 0,
        status: Status::StepLimit,
    };
    while outcome.steps < steps {
        let progress = method.step(objective, parameters)?;
        watch(&progress, parameters);
        (outcome.value, outcome.gradient_norm) = (progress.next_value, progress.gradient_norm);
        if progress.status != Status::Running {
            return Ok(Outcome { status: progress.status, ..outcome });
        }
        outcome.steps += 1;
    }
    if outcome.steps == 0 {
        outcome.value = objective.value(parameters)?;
    }
    Ok(outcome)
}
