//! Checks that compiling a model makes, with errors that name the element, its line and the numbers.

use super::{Geom, Softness};
use crate::model::{EqualityType, GeomType, JointType};
use crate::spatial::MINVAL;
use crate::{Error, Model, Result};

/// Positions and sizes beyond this, m, are refused: MuJoCo calls a state beyond it unstable (`mjMAXVAL`).
const FARTHEST: f64 = 1e10;

/// A body has no more degrees of freedom than this.
const MOST_OF_BODY: usize = 6;

/// `joint 'knee', line 12`.
pub(super) fn label(kind: &str, name: &str, line: u32) -> String {
    if line > 0 { format!("{kind} '{name}', line {line}") } else { format!("{kind} '{name}'") }
}

/// As [`label`], but by number where there is neither name nor line.
fn numbered(kind: &str, names: &[String], id: usize, lines: &[u32]) -> String {
    match (names.get(id), lines.get(id)) {
        (Some(name), Some(&line)) if line > 0 || !name.is_empty() => label(kind, name, line),
        _ => format!("{kind} {id}"),
    }
}

pub(super) fn finite(node: impl Fn() -> String, what: &str, values: &[f64]) -> Result<()> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(v) => Err(Error::invalid(node(), format!("{what} is {v}"))),
    }
}

/// Positions and sizes: finite, and not so far away that products overflow.
pub(super) fn bounded(node: impl Fn() -> String, what: &str, values: &[f64]) -> Result<()> {
    finite(&node, what, values)?;
    match values.iter().find(|v| v.abs() > FARTHEST) {
        None => Ok(()),
        Some(v) => Err(Error::invalid(node(), format!("{what} is {v:e}; at most {FARTHEST:e}"))),
    }
}

pub(super) fn at_least_zero(node: impl Fn() -> String, what: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::invalid(node(), format!("{what} is {value}; it must be at least 0")))
    }
}

/// An orientation that can be normalized.
pub(super) fn orientation(node: impl Fn() -> String, quat: [f64; 4]) -> Result<()> {
    let length = quat.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length.is_finite() && length > MINVAL {
        Ok(())
    } else {
        let what = format!("quat is {quat:?}; its length must be a positive number");
        Err(Error::invalid(node(), what))
    }
}

/// A range whose ends may be equal; 0 to 0 for none.
pub(super) fn range(
    node: impl Fn() -> String,
    what: &str,
    range: Option<[f64; 2]>,
) -> Result<[f64; 2]> {
    let Some([low, high]) = range else { return Ok([0.0; 2]) };
    if low.is_finite() && high.is_finite() && low <= high {
        Ok([low, high])
    } else {
        Err(Error::invalid(node(), format!("{what} is {low} to {high}")))
    }
}

/// A range that is on: MuJoCo asks for a lower end below the upper one. 0 to 0 for none.
pub(super) fn limits(
    node: impl Fn() -> String,
    what: &str,
    given: Option<[f64; 2]>,
) -> Result<[f64; 2]> {
    let ends = range(&node, what, given)?;
    if given.is_none() || ends[0] < ends[1] {
        return Ok(ends);
    }
    let [low, high] = ends;
    let what = if ends == [0.0; 2] {
        format!("{what} is on, but it is 0 to 0, as where none is given")
    } else {
        format!("{what} is {low} to {high}; the lower end must be below the upper one")
    };
    Err(Error::invalid(node(), what))
}

/// The limits of a joint: of a ball its largest angle, of a free joint none that count.
pub(super) fn joint_range(
    node: impl Fn() -> String,
    kind: JointType,
    given: Option<[f64; 2]>,
) -> Result<[f64; 2]> {
    match kind {
        JointType::Slide | JointType::Hinge => limits(node, "the range", given),
        JointType::Free => range(node, "the range", given),
        JointType::Ball => {
            let ends = range(&node, "the range", given)?;
            if ends[0] == 0.0 {
                return Ok(ends);
            }
            let what = format!("the range is {} to {}; a ball's begins at 0", ends[0], ends[1]);
            Err(Error::invalid(node(), what))
        }
    }
}

pub(super) fn softness(node: impl Fn() -> String, soft: Softness) -> Result<()> {
    finite(&node, "solimp", &soft.solimp)?;
    reference(node, "solref", soft.solref)
}

/// A reference in one of its two forms: time constant and damping ratio, or the negatives of stiffness and damping.
pub(crate) fn reference(
    node: impl Fn() -> String,
    what: &str,
    [time, ratio]: [f64; 2],
) -> Result<()> {
    finite(&node, what, &[time, ratio])?;
    if (time > 0.0) == (ratio > 0.0) {
        return Ok(());
    }
    let what = format!("{what} is {time} {ratio}; both must be positive, or neither");
    Err(Error::invalid(node(), what))
}

/// Names that are not empty stand once.
pub(super) fn unique(kind: &str, names: &[String], lines: &[u32]) -> Result<()> {
    let mut sorted: Vec<usize> = (0..names.len()).filter(|&k| !names[k].is_empty()).collect();
    sorted.sort_unstable_by_key(|&k| (&names[k], k));
    let Some(pair) = sorted.windows(2).find(|pair| names[pair[0]] == names[pair[1]]) else {
        return Ok(());
    };
    let line = |k: usize| lines.get(k).copied().unwrap_or(0);
    let first = match line(pair[0]) {
        0 => String::new(),
        line => format!(", first in line {line}"),
    };
    let node = label(kind, &names[pair[1]], line(pair[1]));
    Err(Error::invalid(node, format!("stands twice{first}")))
}

/// A shape's pose, size and mass.
pub(super) fn solid(geom: &Geom) -> Result<()> {
    let node = || label("geom", &geom.name, geom.line);
    bounded(node, "pos", &geom.pose.pos)?;
    let sizes = match geom.kind {
        GeomType::Plane | GeomType::Mesh => 0,
        GeomType::Sphere => 1,
        GeomType::Capsule | GeomType::Cylinder => 2,
        GeomType::Ellipsoid | GeomType::Box => 3,
    };
    if let Some(size) = geom.size[..sizes].iter().find(|size| !(size.is_finite() && **size > 0.0)) {
        return Err(Error::invalid(node(), format!("a size is {size}; it must be positive")));
    }
    bounded(node, "a size", &geom.size[..sizes])?;
    // A density beside a mass does not count.
    match geom.mass {
        Some(mass) => at_least_zero(node, "the mass", mass),
        None => at_least_zero(node, "the density", geom.density),
    }
}

/// More numbers in a list that grows with two others are refused.
const MOST_NUMBERS: usize = 100_000_000;

/// What takes memory as products of two counts is within bounds.
pub(super) fn products(model: &Model, spec: &super::Spec) -> Result<()> {
    let (nq, nv, nu) = (model.nq(), model.nv(), spec.actuators.len());
    // Activations and controls, positions and orientations from outside.
    let state = nq + nv + 2 * nu + 7 * model.nmocap();
    let rows = |e: &super::Equality| match e.kind {
        EqualityType::Weld => 6,
        EqualityType::Connect => 3,
        EqualityType::Joint | EqualityType::Tendon => 1,
    };
    let rows = spec.equalities.iter().map(rows).sum();
    for (what, count, each) in [
        ("actuators", nu, nv),
        ("tendons", spec.tendons.len(), nv),
        ("rows of equalities", rows, nv),
        ("keyframes", spec.keyframes.len(), state),
    ] {
        if count.saturating_mul(each) > MOST_NUMBERS {
            let what = format!(
                "{count} {what} of {each} numbers each; at most {MOST_NUMBERS} numbers are supported"
            );
            return Err(Error::invalid("model", what));
        }
    }
    Ok(())
}

/// The joints of a body are such as MuJoCo simulates: nothing turns after a ball joint, and there are 6 degrees of freedom at most.
pub(super) fn joints(node: impl Fn() -> String, joints: &[super::Joint]) -> Result<()> {
    let degrees: usize = joints.iter().map(|j| j.kind.velocities()).sum();
    if degrees > MOST_OF_BODY {
        let what = format!("{degrees} degrees of freedom; a body has at most {MOST_OF_BODY}");
        return Err(Error::invalid(node(), what));
    }
    let mut after = joints.iter().skip_while(|j| j.kind != JointType::Ball).skip(1);
    let Some(turning) = after.find(|j| matches!(j.kind, JointType::Ball | JointType::Hinge)) else {
        return Ok(());
    };
    let what = format!(
        "a ball joint followed by a rotation ({}): put that into a body of its own",
        label("joint", &turning.name, turning.line)
    );
    Err(Error::invalid(node(), what))
}

/// Bounds, balance and total of masses; a moving body needs mass. `lines` are the bodies'.
pub(super) fn masses(model: &mut Model, rules: &super::InertiaRules, lines: &[u32]) -> Result<()> {
    let node = |model: &Model, id| numbered("body", &model.body_names, id, lines);
    for id in 1..model.nbody() {
        model.body_mass[id] = model.body_mass[id].max(rules.boundmass);
        let inertia = &mut model.body_inertia[id];
        if rules.boundinertia > 0.0 {
            *inertia = inertia.map(|moment| moment.max(rules.boundinertia));
        }
        if rules.as_given && !rules.balanceinertia {
            continue;
        }
        let [a, b, c] = *inertia;
        // No body has a principal moment larger than the sum of the other two.
        let slack = 1e-10 * (a + b + c);
        if a + b + slack < c || a + c + slack < b || b + c + slack < a {
            if !rules.balanceinertia {
                let what =
                    format!("moments of inertia {a}, {b}, {c}: one exceeds the sum of the others");
                return Err(Error::invalid(node(model, id), what));
            }
            *inertia = [(a + b + c) / 3.0; 3];
        }
    }
    let total: f64 = model.body_mass.iter().sum();
    if rules.settotalmass > 0.0 && total > 0.0 {
        let by = rules.settotalmass / total;
        for id in 1..model.nbody() {
            model.body_mass[id] *= by;
            model.body_inertia[id] = model.body_inertia[id].map(|m| m * by);
        }
    }
    for id in 1..model.nbody() {
        if model.body_jntnum[id] == 0 || rules.as_given {
            continue;
        }
        // What is welded to the body moves with it.
        let welded = (1..model.nbody()).filter(|&b| model.body_weldid[b] == id);
        let heavy = |b: usize| {
            model.body_mass[b] >= MINVAL && model.body_inertia[b].iter().all(|&m| m >= MINVAL)
        };
        if !welded.clone().any(heavy) {
            let what = format!(
                "mass {} and moments {:?} of a moving body must be positive",
                model.body_mass[id], model.body_inertia[id]
            );
            return Err(Error::invalid(node(model, id), what));
        }
    }
    Ok(())
}
