//! Success while it learns, and gravity while it is identified.

use super::color;
use super::svg::Plane;
use crate::identify::DescentStep;
use crate::train::{AttemptRecord, Trainer};

/// Attempts over which a curve averages.
const WINDOW: usize = 150;

/// Moving averages of a success over the last [`WINDOW`] attempts, at every tenth attempt: (attempt, per cent).
fn moving(
    history: &[AttemptRecord],
    outcome: impl Fn(&AttemptRecord) -> Option<bool>,
) -> Vec<[f64; 2]> {
    (10..=history.len())
        .step_by(10)
        .map(|end| {
            let window = &history[end.saturating_sub(WINDOW)..end];
            let outcomes: Vec<bool> = window.iter().filter_map(&outcome).collect();
            let hits = outcomes.iter().filter(|&&hit| hit).count();
            [end as f64, 100.0 * hits as f64 / outcomes.len() as f64]
        })
        .collect()
}

/// Grasp (left) and throw (right) success over the attempts of stage C, exploration included.
pub(super) fn learning(trainers: &[Trainer]) -> String {
    let longest = trainers.iter().map(|t| t.history().len()).max().unwrap_or(0).max(20) as f64;
    let ticks: Vec<f64> = (0..=4).map(|i| (0.25 * f64::from(i) * longest).round()).collect();
    let percents = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0];
    let draw = |title: &str, outcome: &dyn Fn(&AttemptRecord) -> Option<bool>| {
        let mut plane = Plane::new(500.0, 280.0, [0.0, longest], [0.0, 100.0]);
        plane.axes(title, ["attempts of stage C", "success, %"], &ticks, &percents, [0, 0]);
        for trainer in trainers {
            let color = color::of(trainer.setup().method);
            let points = moving(trainer.history(), outcome);
            plane.line(points, &format!("stroke:{color};stroke-width:2"));
        }
        plane.finish()
    };
    let grasps = draw("grasps that held", &|a| Some(a.grasped));
    let throws = draw("throws into the right box, of those", &|a| a.grasped.then_some(a.success));
    format!("{grasps}{throws}")
}

/// Executed residual against the one that hindsight asked for, in the last attempts.
pub(super) fn residuals(trainers: &[Trainer]) -> String {
    let Some(trainer) = trainers.iter().find(|t| t.setup().method.has_residual()) else {
        return String::new();
    };
    let mut plane = Plane::equal(330.0, [-0.6, 0.6], [-0.6, 0.6]);
    let ticks = [-0.4, -0.2, 0.0, 0.2, 0.4];
    plane.axes(
        "asked and given, m/s",
        ["δ̄ by hindsight", "δ by the network"],
        &ticks,
        &ticks,
        [1, 1],
    );
    plane.line([[-0.6, -0.6], [0.6, 0.6]], "stroke:#888;stroke-dasharray:4 4");
    let history = trainer.history();
    for attempt in &history[history.len().saturating_sub(400)..] {
        let [x, y] = [attempt.hindsight, attempt.residual];
        if !attempt.explored[1] && x.abs() < 0.6 && y.abs() < 0.6 {
            let fill = if attempt.success { color::HIT } else { color::MISS };
            plane.dot([x, y], 2.2, &format!("fill:{fill};fill-opacity:.55"));
        }
    }
    plane.finish()
}

/// Gravity over the steps of its identification, and over the training of the method that learns it.
pub(super) fn gravity(steps: &[DescentStep], trainers: &[Trainer]) -> String {
    let all = steps.iter().map(|s| s.gravity);
    let all = all.chain(trainers.iter().flat_map(Trainer::history).map(|a| a.gravity));
    let (low, high) = all.fold((7.0f64, 10.0f64), |(l, h), a| (l.min(a), h.max(a)));
    let ticks: Vec<f64> = (low.floor() as i64..=high.ceil() as i64).map(|a| a as f64).collect();
    let range = [low.floor(), high.ceil()];
    let mut plane = Plane::new(500.0, 250.0, [0.0, steps.len().max(1) as f64], range);
    let xs: Vec<f64> =
        (0..=4).map(|i| (0.25 * f64::from(i) * steps.len() as f64).round()).collect();
    plane.axes("identified from vacuum throws", ["gradient steps", "a, m/s²"], &xs, &ticks, [0, 0]);
    plane.line([[0.0, 9.81], [steps.len() as f64, 9.81]], "stroke:#888;stroke-dasharray:4 4");
    plane.line(
        steps.iter().enumerate().map(|(i, step)| [i as f64, step.gravity]),
        "stroke:#009e73;stroke-width:2",
    );
    let mut svg = plane.finish();
    if let Some(trainer) = trainers.iter().find(|t| t.setup().method.learns_gravity()) {
        let history = trainer.history();
        let n = history.len().max(1) as f64;
        let mut plane = Plane::new(500.0, 250.0, [0.0, n], range);
        let xs: Vec<f64> = (0..=4).map(|i| (0.25 * f64::from(i) * n).round()).collect();
        plane.axes("learned by the robot", ["attempts of stage C", "a, m/s²"], &xs, &ticks, [0, 0]);
        plane.line([[0.0, 9.81], [n, 9.81]], "stroke:#888;stroke-dasharray:4 4");
        plane.line(
            history.iter().enumerate().map(|(i, a)| [i as f64, a.gravity]),
            "stroke:#009e73;stroke-width:2",
        );
        svg += &plane.finish();
    }
    svg
}
