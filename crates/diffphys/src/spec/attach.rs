//! Compiling what refers to bodies, joints and geoms by name: tendons, actuators, equalities, contact pairs, keyframes.

use super::checks::{at_least_zero, finite, label, limits, range, reference, softness};
use super::{Target, Via};
use crate::data::of_moved;
use crate::model::{
    Dynamics, EqualityType, GeomType, JointType, Keyframe, Pair, Transmission, Wrap,
};
use crate::{Error, Model, Result, collide};

pub(super) fn add_tendon(model: &mut Model, tendon: &super::Tendon) -> Result<()> {
    let node = || label("tendon", &tendon.name, tendon.line);
    let mut terms = Vec::with_capacity(tendon.terms.len());
    for (name, coefficient) in &tendon.terms {
        let joint = model.joint(name).map_err(|e| e.of(node))?;
        finite(node, "a coefficient", &[*coefficient])?;
        if !matches!(model.jnt_type[joint], JointType::Slide | JointType::Hinge) {
            return Err(Error::invalid(node(), format!("joint '{name}' has no scalar position")));
        }
        if terms.iter().any(|&(j, _)| j == joint) {
            return Err(Error::invalid(node(), format!("joint '{name}' stands twice")));
        }
        terms.push((joint, *coefficient));
    }
    let path = tendon_path(model, tendon)?;
    if terms.is_empty() == path.is_empty() {
        let what = if path.is_empty() { "has no joints and no path" } else { "has both" };
        return Err(Error::invalid(node(), what));
    }
    let dofs = if path.is_empty() {
        let mut dofs: Vec<usize> =
            terms.iter().map(|&(joint, _)| model.jnt_dofadr[joint]).collect();
        dofs.sort_unstable_by(|a, b| b.cmp(a));
        dofs
    } else {
        moved_by(model, bodies_of(model, &path))
    };
    model.tendon_path.push(path);
    model.tendon_dofs.push(dofs);
    // Increasing degrees of freedom.
    terms.sort_unstable_by_key(|&(joint, _)| joint);
    for (what, value) in [
        ("damping", tendon.damping),
        ("stiffness", tendon.stiffness),
        ("frictionloss", tendon.frictionloss),
    ] {
        at_least_zero(node, what, value)?;
    }
    softness(node, tendon.limit)?;
    softness(node, tendon.friction)?;
    model.tendon_names.push(tendon.name.clone());
    model.tendon_terms.push(terms);
    model.tendon_limited.push(tendon.range.is_some());
    model.tendon_range.push(limits(node, "the range", tendon.range)?);
    model.tendon_margin.push(tendon.margin);
    model.tendon_solref_lim.push(tendon.limit.solref);
    model.tendon_solimp_lim.push(tendon.limit.solimp);
    model.tendon_frictionloss.push(tendon.frictionloss);
    model.tendon_solref_fri.push(tendon.friction.solref);
    model.tendon_solimp_fri.push(tendon.friction.solimp);
    model.tendon_stiffness.push(tendon.stiffness);
    finite(node, "stiffness", &tendon.stiffnesspoly)?;
    model.tendon_stiffnesspoly.push(tendon.stiffnesspoly);
    model.tendon_damping.push(tendon.damping);
    let spring =
        tendon.springlength.map_or(Ok([f64::NAN; 2]), |s| range(node, "springlength", Some(s)))?;
    model.tendon_lengthspring.push(spring);
    Ok(())
}

/// The path with its names resolved: sites, a geom only between two of them, pulleys only between branches of two sites or more.
fn tendon_path(model: &Model, tendon: &super::Tendon) -> Result<Vec<Wrap>> {
    let node = || label("tendon", &tendon.name, tendon.line);
    let mut path = Vec::with_capacity(tendon.path.len());
    let site = |item: Option<&Via>| matches!(item, Some(Via::Site(_)));
    for (k, item) in tendon.path.iter().enumerate() {
        let before = k.checked_sub(1).and_then(|j| tendon.path.get(j));
        let after = tendon.path.get(k + 1);
        match item {
            Via::Pulley(divisor) => {
                if !(divisor.is_finite() && *divisor > 0.0) {
                    return Err(Error::invalid(node(), format!("a pulley divides by {divisor}")));
                }
                let ends = before.is_none() || site(before);
                if !(ends && site(after)) {
                    return Err(Error::invalid(node(), "a pulley must stand between sites"));
                }
                path.push(Wrap::Pulley(*divisor));
            }
            Via::Site(name) => {
                let known = [before, after].into_iter().flatten();
                if known.filter(|other| !matches!(other, Via::Pulley(_))).count() == 0 {
                    return Err(Error::invalid(node(), "a branch needs two sites"));
                }
                path.push(Wrap::Site(model.site(name).map_err(|e| e.of(node))?));
            }
            Via::Geom(name, side) => {
                if !(site(before) && site(after)) {
                    let what = format!("geom '{name}' must stand between two sites");
                    return Err(Error::invalid(node(), what));
                }
                let geom = model.geom(name).map_err(|e| e.of(node))?;
                let side = side.as_ref().map(|name| model.site(name)).transpose();
                let side = side.map_err(|e| e.of(node))?;
                path.push(match model.geom_type[geom] {
                    GeomType::Sphere => Wrap::Sphere { geom, side },
                    GeomType::Cylinder => Wrap::Cylinder { geom, side },
                    other => {
                        let what = format!(
                            "geom '{name}' is no sphere or cylinder, but a {}",
                            other.name()
                        );
                        return Err(Error::invalid(node(), what));
                    }
                });
            }
        }
    }
    Ok(path)
}

fn bodies_of(model: &Model, path: &[Wrap]) -> Vec<usize> {
    let mut bodies = Vec::new();
    for item in path {
        match *item {
            Wrap::Pulley(_) => {}
            Wrap::Site(site) => bodies.push(model.site_bodyid[site]),
            Wrap::Sphere { geom, side } | Wrap::Cylinder { geom, side } => {
                bodies.push(model.geom_bodyid[geom]);
                bodies.extend(side.map(|s| model.site_bodyid[s]));
            }
        }
    }
    bodies
}

/// The degrees of freedom that move one of the bodies, decreasing.
fn moved_by(model: &Model, mut bodies: Vec<usize>) -> Vec<usize> {
    bodies.sort_unstable();
    bodies.dedup();
    let mut dofs = Vec::new();
    for body in bodies {
        let mut dof = model.last_dof(body);
        while dof != crate::dynamics::NO_PARENT {
            dofs.push(dof);
            dof = model.dof_parentid[dof];
        }
    }
    dofs.sort_unstable_by(|a, b| b.cmp(a));
    dofs.dedup();
    dofs
}

pub(super) fn add_actuator(model: &mut Model, actuator: &super::Actuator) -> Result<()> {
    let node = || label("actuator", &actuator.name, actuator.line);
    let (kind, id) = match &actuator.target {
        Target::Joint(name) => (Transmission::Joint, model.joint(name)),
        Target::JointInParent(name) => (Transmission::JointInParent, model.joint(name)),
        Target::Tendon(name) => (Transmission::Tendon, model.tendon(name)),
        Target::Site(name) => (Transmission::Site, model.site(name)),
    };
    let id = id.map_err(|e| e.of(node))?;
    let dofs = match kind {
        Transmission::Tendon => model.tendon_dofs[id].clone(),
        Transmission::Site => moved_by(model, vec![model.site_bodyid[id]]),
        Transmission::Joint | Transmission::JointInParent => {
            let first = model.jnt_dofadr[id];
            (first..first + model.jnt_type[id].velocities()).rev().collect()
        }
    };
    model.actuator_dofs.push(dofs);
    finite(node, "gear", &actuator.gear)?;
    for list in [&actuator.gainprm, &actuator.biasprm, &actuator.dynprm] {
        finite(node, "a parameter", list)?;
    }
    let (mut ctrlrange, mut actrange) = (actuator.ctrlrange, actuator.actrange);
    finite(node, "inheritrange", &[actuator.inheritrange])?;
    if actuator.inheritrange > 0.0 {
        let slot = match actuator.dynamics {
            Dynamics::Integrator => &mut actrange,
            _ => &mut ctrlrange,
        };
        let inherited = match kind {
            Transmission::Joint if model.jnt_limited[id] => Some(model.jnt_range[id]),
            Transmission::Tendon if model.tendon_limited[id] => Some(model.tendon_range[id]),
            _ => None,
        };
        let (Some([low, high]), None) = (inherited, *slot) else {
            let what = "inheritrange needs a joint or tendon with a range, and no range of its own";
            return Err(Error::invalid(node(), what));
        };
        let (middle, half) = (0.5 * (low + high), 0.5 * (high - low) * actuator.inheritrange);
        *slot = Some([middle - half, middle + half]);
    }
    model.actuator_names.push(actuator.name.clone());
    model.actuator_trntype.push(kind);
    model.actuator_trnid.push(id);
    model.actuator_dyntype.push(actuator.dynamics);
    model.actuator_gaintype.push(actuator.gain);
    model.actuator_biastype.push(actuator.bias);
    model.actuator_dynprm.push(actuator.dynprm);
    model.actuator_gainprm.push(actuator.gainprm);
    model.actuator_biasprm.push(actuator.biasprm);
    model.actuator_gear.push(actuator.gear);
    model.actuator_ctrllimited.push(ctrlrange.is_some());
    model.actuator_ctrlrange.push(limits(node, "ctrlrange", ctrlrange)?);
    model.actuator_forcelimited.push(actuator.forcerange.is_some());
    model.actuator_forcerange.push(limits(node, "forcerange", actuator.forcerange)?);
    model.actuator_actlimited.push(actrange.is_some());
    model.actuator_actrange.push(limits(node, "actrange", actrange)?);
    model.actuator_actearly.push(actuator.actearly);
    if actuator.dynamics == Dynamics::None {
        model.actuator_actadr.push(usize::MAX);
    } else {
        model.actuator_actadr.push(model.na);
        model.na += 1;
    }
    Ok(())
}

pub(super) fn add_equality(model: &mut Model, equality: &super::Equality) -> Result<()> {
    let node = || label("equality of", &equality.first, equality.line);
    let find = |name: &String| match equality.kind {
        EqualityType::Joint => {
            let joint = model.joint(name).map_err(|e| e.of(node))?;
            match model.jnt_type[joint] {
                JointType::Slide | JointType::Hinge => Ok(joint),
                _ => Err(Error::invalid(node(), format!("joint '{name}' has no scalar position"))),
            }
        }
        EqualityType::Tendon => model.tendon(name).map_err(|e| e.of(node)),
        EqualityType::Connect | EqualityType::Weld if equality.sites => {
            model.site(name).map_err(|e| e.of(node))
        }
        EqualityType::Connect | EqualityType::Weld => model.body(name).map_err(|e| e.of(node)),
    };
    let first = find(&equality.first)?;
    let second = match (&equality.second, equality.kind) {
        (Some(name), _) => find(name)?,
        (None, EqualityType::Joint | EqualityType::Tendon) => usize::MAX,
        (None, _) if equality.sites => {
            return Err(Error::invalid(node(), "a second site is needed"));
        }
        // The world.
        (None, _) => 0,
    };
    if first == second {
        let what = format!("'{}' is repeated: nothing is tied to itself", equality.first);
        return Err(Error::invalid(node(), what));
    }
    finite(node, "a coefficient", &equality.data)?;
    softness(node, equality.softness)?;
    model.eq_type.push(equality.kind);
    model.eq_sites.push(equality.sites);
    model.eq_obj1id.push(first);
    model.eq_obj2id.push(second);
    model.eq_active0.push(equality.active);
    model.eq_data.push(equality.data);
    model.eq_solref.push(equality.softness.solref);
    model.eq_solimp.push(equality.softness.solimp);
    Ok(())
}

/// `pair of 'a' and 'b', line 12`.
fn label_of_two(kind: &str, [a, b]: &[String; 2], line: u32) -> String {
    let place = if line > 0 { format!(", line {line}") } else { String::new() };
    format!("{kind} of '{a}' and '{b}'{place}")
}

pub(super) fn exclude(model: &mut Model, exclude: &super::Exclude) -> Result<()> {
    let node = || label_of_two("exclude", &exclude.body, exclude.line);
    let find = |name: &str| model.body(name).map_err(|e| e.of(node));
    let (a, b) = (find(&exclude.body[0])?, find(&exclude.body[1])?);
    model.exclude.push((a.min(b), a.max(b)));
    Ok(())
}

pub(super) fn add_pair(model: &mut Model, pair: &super::ContactPair) -> Result<()> {
    let node = || label_of_two("pair", &pair.geom, pair.line);
    let find = |name: &str| model.geom(name).map_err(|e| e.of(node));
    let (mut g1, mut g2) = (find(&pair.geom[0])?, find(&pair.geom[1])?);
    // By shape, then by number.
    if (model.geom_type[g1], g1) > (model.geom_type[g2], g2) {
        (g1, g2) = (g2, g1);
    }
    let mixed = collide::mixed(
        model,
        g1,
        g2,
        model.geom_margin[g1] + model.geom_margin[g2],
        model.geom_gap[g1] + model.geom_gap[g2],
    );
    let pair = Pair {
        geom: [g1, g2],
        condim: pair.condim.unwrap_or(mixed.condim),
        friction: pair.friction.unwrap_or(mixed.friction),
        solref: pair.solref.unwrap_or(mixed.solref),
        solreffriction: pair.solreffriction.unwrap_or([0.0; 2]),
        solimp: pair.solimp.unwrap_or(mixed.solimp),
        margin: pair.margin.unwrap_or(mixed.margin),
        gap: pair.gap.unwrap_or(mixed.gap),
    };
    if ![1, 3, 4, 6].contains(&pair.condim) {
        return Err(Error::invalid(node(), format!("condim is {}", pair.condim)));
    }
    finite(node, "margin or gap", &[pair.margin, pair.gap])?;
    for f in pair.friction {
        at_least_zero(node, "friction", f)?;
    }
    softness(node, super::Softness { solref: pair.solref, solimp: pair.solimp })?;
    reference(node, "solreffriction", pair.solreffriction)?;
    model.pair_friction.push(pair.friction);
    model.pair_solref.push(pair.solref);
    model.pair_solreffriction.push(pair.solreffriction);
    model.pair_solimp.push(pair.solimp);
    model.pair.push(pair);
    Ok(())
}

/// A keyframe with everything filled in.
pub(super) fn keyframe(model: &Model, name: &str, frame: &Keyframe) -> Result<Keyframe> {
    let node = || label("keyframe", name, frame.line);
    finite(node, "time", &[frame.time])?;
    let fill = |what: &str, given: &[f64], rest: &[f64]| {
        finite(node, what, given)?;
        if given.is_empty() {
            Ok(rest.to_vec())
        } else if given.len() == rest.len() {
            Ok(given.to_vec())
        } else {
            let what = format!("{what} has {} numbers, the model {}", given.len(), rest.len());
            Err(Error::invalid(node(), what))
        }
    };
    fn moved<const N: usize>(
        node: impl Fn() -> String,
        what: &str,
        given: &[[f64; N]],
        rest: Vec<[f64; N]>,
    ) -> Result<Vec<[f64; N]>> {
        if given.is_empty() || given.len() == rest.len() {
            finite(node, what, given.as_flattened())?;
            return Ok(if given.is_empty() { rest } else { given.to_vec() });
        }
        let what = format!("{what} is of {} bodies, the model has {}", given.len(), rest.len());
        Err(Error::invalid(node(), what))
    }
    Ok(Keyframe {
        line: frame.line,
        time: frame.time,
        qpos: fill("qpos", &frame.qpos, &model.qpos0)?,
        qvel: fill("qvel", &frame.qvel, &vec![0.0; model.nv()])?,
        act: fill("act", &frame.act, &vec![0.0; model.na])?,
        ctrl: fill("ctrl", &frame.ctrl, &vec![0.0; model.nu()])?,
        mpos: moved(node, "mpos", &frame.mpos, of_moved(model, &model.body_pos))?,
        mquat: moved(node, "mquat", &frame.mquat, of_moved(model, &model.body_quat))?,
    })
}
