//! A and B against centred differences of MuJoCo's own steps, at states in contact.

use super::ladder::{exact, short};
use super::numbers::{Numbers, files};
use anyhow::Result;
use benches::output::Output;
use benches::peer::Peer;
use benches::row::Row;
use pullback_diffphys::{Data, Integrator, Options, StepDerivative};
use serde_json::json;

const MODELS: [&str; 18] = [
    "gymnasium/ant",
    "gymnasium/half_cheetah",
    "gymnasium/hopper",
    "gymnasium/humanoid",
    "gymnasium/humanoidstandup",
    "gymnasium/point",
    "gymnasium/pusher",
    "gymnasium/walker2d",
    "gymnasium/walker2d_v5",
    "gymnasium/swimmer",
    "dm_control/ball_in_cup",
    "dm_control/cheetah",
    "dm_control/fish",
    "dm_control/hopper",
    "dm_control/humanoid",
    "dm_control/humanoid_CMU",
    "dm_control/swimmer",
    "dm_control/walker",
];

/// Those of them that nothing touches, or that tendons and media move: looked at, but not counted among the states in contact.
const WITHOUT_CONTACT: [&str; 4] =
    ["gymnasium/swimmer", "dm_control/ball_in_cup", "dm_control/fish", "dm_control/swimmer"];

/// The largest difference relative to the largest number, the better of two sizes of the difference.
fn error(ours: &[f64], theirs: &[f64]) -> f64 {
    let scale = theirs.iter().fold(1e-9f64, |m, x| m.max(x.abs()));
    ours.iter().zip(theirs).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / scale
}

/// Within the reach of a difference of 10⁻⁶ another contact appears, or one of the rows switches: there the difference quotient mixes two
/// pieces.
fn straddles(step: &StepDerivative) -> bool {
    let contacts = step.data().contact();
    contacts.iter().any(|c| (c.dist - c.includemargin).abs() < 3e-6)
        || step.report().nearest.is_some_and(|(_, d)| d < 1e-5)
}

pub(crate) fn rows(output: &mut Output, peer: &mut Peer, quick: bool) -> Result<()> {
    let count = if quick { 8 } else { 90 };
    let (mut errors, mut left_out) = (Vec::new(), 0);
    for path in files("mjcf", "xml")? {
        let name = short(&path);
        if !MODELS.contains(&name.as_str()) {
            continue;
        }
        let mut model = exact(&path)?;
        let options = Options { integrator: Integrator::Euler, ..*model.opt() };
        model.set_options(options)?;
        let parameters = json!({"path": path, "count": count, "every": 23, "seed": 11,
            "contact": !WITHOUT_CONTACT.contains(&name.as_str())});
        let case = peer.load("mujoco/diffphys_differences", parameters)?;
        let mut numbers = Numbers::new(peer.values(&case)?);
        let states = numbers.next()?[0] as usize;
        let (n, nu) = (2 * model.nv() + model.na(), model.nu());
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * nu]);
        let (mut data, mut step) = (Data::new(&model), StepDerivative::new(&model));
        let mut own = Vec::new();
        for _ in 0..states {
            numbers.state(&mut data)?;
            let evaluated = step.evaluate(&model, &data);
            if evaluated.is_ok() {
                step.jacobians(&model, &mut a, &mut b)?;
            }
            let mut best = f64::INFINITY;
            for _ in 0..2 {
                let e = error(&a, numbers.next()?).max(error(&b, numbers.next()?));
                best = best.min(e);
            }
            if evaluated.is_err() || straddles(&step) {
                left_out += 1;
            } else {
                own.push(best);
            }
        }
        own.sort_by(f64::total_cmp);
        let worst = own.last().copied().unwrap_or(f64::NAN);
        let row =
            Row::new(format!("A, B of {name}: worst of {} states", own.len()), "relative", worst);
        output.push(row)?;
        if !WITHOUT_CONTACT.contains(&name.as_str()) {
            errors.extend(own);
        }
    }
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = errors.len().saturating_sub(1) as f64;
        errors.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
    };
    let needed = if quick { 0.0 } else { 1000.0 };
    output.push(
        Row::new("A, B: states in contact", "states", errors.len() as f64).at_least(needed),
    )?;
    output.push(Row::new(
        "A, B: states left out next to switching",
        "states",
        f64::from(left_out),
    ))?;
    output.push(
        Row::new("A, B against centred mjd_transitionFD: median", "relative", at(0.5))
            .at_most(1e-7),
    )?;
    output.push(
        Row::new("A, B against centred mjd_transitionFD: 90 %", "relative", at(0.9)).at_most(1e-6),
    )?;
    output.push(
        Row::new("A, B against centred mjd_transitionFD: worst", "relative", at(1.0)).at_most(1e-4),
    )
}
